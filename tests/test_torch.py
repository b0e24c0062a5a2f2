"""The profiler's hook: files are whole and kept, traces reach the function, training goes on."""

from __future__ import annotations

import gzip
import json
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import Event, call, kernel, op, step

import skiptrace as sk
from skiptrace.errors import SaveError, TraceWarning

EVENTS: list[Event] = [step(4, 0, 9), op("a", 0, 9), call("launch", 1, 1, 1), kernel(4, 1, 1)]


class Profile:
    """Exports as PyTorch's does: packed where the name says so."""

    def __init__(self, step_num: int = 5, events: Any = EVENTS) -> None:
        self.step_num, self.events = step_num, events

    def export_chrome_trace(self, path: str) -> None:
        text = json.dumps({"traceEvents": self.events}).encode()
        Path(path).write_bytes(gzip.compress(text) if path.endswith(".gz") else text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)


def test_each_recording_is_a_file_and_a_trace(tmp_path: Path) -> None:
    traces: list[sk.Trace] = []
    ready = sk.torch.on_trace_ready(tmp_path / "new" / "traces", traces.append)
    ready(Profile(5))
    ready(Profile(10))
    folder = tmp_path / "new" / "traces"
    assert names(folder) == ["rank0_step10.json.gz", "rank0_step5.json.gz"]
    assert [Path(t.meta.source).name for t in traces] == names(folder)[::-1]
    assert [t.launches["tklqt_ns"].to_list() for t in traces] == [[3000], [3000]]


def test_without_a_function_the_file_is_written_and_not_read(tmp_path: Path) -> None:
    sk.torch.on_trace_ready(tmp_path)(Profile(events="no events"))
    assert names(tmp_path) == ["rank0_step5.json.gz"]


def test_the_file_is_whole_before_anything_is_done_with_it(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    sk.torch.on_trace_ready(tmp_path, lambda trace: seen.append(names(tmp_path)))(Profile())
    assert seen == [["rank0_step5.json.gz"]]


# --- ranks and workers ----------------------------------------------------------------------------


def test_ranks_are_told_apart_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sk.torch.on_trace_ready(tmp_path, rank=1)(Profile())
    monkeypatch.setenv("RANK", "2")
    sk.torch.on_trace_ready(tmp_path)(Profile())
    group = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: 3
    )
    monkeypatch.setitem(sys.modules, "torch.distributed", group)
    sk.torch.on_trace_ready(tmp_path)(Profile())
    group.is_initialized = lambda: False
    monkeypatch.setenv("RANK", "none")
    sk.torch.on_trace_ready(tmp_path)(Profile())
    assert names(tmp_path) == [f"rank{n}_step5.json.gz" for n in range(4)]
    assert list(sk.load_ranks(tmp_path).traces) == [0, 1, 2, 3]


def test_a_name_that_is_taken_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "rank0_step5.json.gz").write_bytes(b"of another run")
    ready = sk.torch.on_trace_ready(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ready(Profile()), range(6)))
    rest = [f"rank0_step5_{n}.json.gz" for n in range(2, 8)]
    assert names(tmp_path) == sorted(["rank0_step5.json.gz", *rest])
    assert (tmp_path / "rank0_step5.json.gz").read_bytes() == b"of another run"
    assert all(len(sk.load(tmp_path / name).work) == 1 for name in rest)


# --- what goes wrong ------------------------------------------------------------------------------


def broken(trace: sk.Trace) -> None:
    raise ZeroDivisionError(f"of {len(trace.work)} works")


def test_an_error_of_the_function_is_told_and_training_goes_on(tmp_path: Path) -> None:
    with pytest.warns(TraceWarning, match=r"rank0_step5.json.gz is kept") as told:
        sk.torch.on_trace_ready(tmp_path, broken)(Profile())
    text = str(told[0].message)
    assert "ZeroDivisionError: of 1 works" in text
    assert "in broken" in text
    assert told[0].filename == __file__
    assert len(sk.load(tmp_path / "rank0_step5.json.gz").work) == 1


def test_a_trace_that_cannot_be_loaded_is_kept(tmp_path: Path) -> None:
    with pytest.warns(TraceWarning, match="is kept"):
        sk.torch.on_trace_ready(tmp_path, print)(Profile(events="no events"))
    assert names(tmp_path) == ["rank0_step5.json.gz"]


def test_a_recording_that_cannot_be_written_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    class Full(Profile):
        def export_chrome_trace(self, path: str) -> None:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.warns(TraceWarning, match="no trace was written") as told:
        sk.torch.on_trace_ready(tmp_path, print)(Full())
    assert "No space left" in str(told[0].message)
    assert names(tmp_path) == []


def test_strict_raises_and_keeps_the_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        sk.torch.on_trace_ready(tmp_path, broken, strict=True)(Profile())
    assert names(tmp_path) == ["rank0_step5.json.gz"]


def test_an_interrupt_is_not_held_back(tmp_path: Path) -> None:
    def stop(_: sk.Trace) -> None:
        raise KeyboardInterrupt

    with warnings.catch_warnings(), pytest.raises(KeyboardInterrupt):
        sk.torch.on_trace_ready(tmp_path, stop)(Profile())


def test_a_folder_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="cannot be written"):
        sk.torch.on_trace_ready(tmp_path / "file" / "traces")
