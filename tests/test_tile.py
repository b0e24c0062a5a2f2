"""benchmarks/tile.py: copies are the recording again, later and apart, in the same layout."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers import health, trace_path

import skiptrace as sk

SCRIPT = Path(__file__).resolve().parent.parent / "benchmarks" / "tile.py"

HEADER = """
  {
    "schemaVersion": 1,
    "deviceProperties": [
    {
      "id": 0, "name": "GPU"
    },
    {
      "id": 1, "name": "GPU"
    }
    ],
  "traceEvents": [
  """
EVENTS = [
    """{
    "ph": "X", "cat": "user_annotation", "name": "ProfilerStep#3", "pid": 4, "tid": 4,
    "ts": 100.001, "dur": 30.500,
    "args": {
      "External id": 7,"Record function id": 0, "Ev Idx": 0
    }
  }""",
    """{
    "ph": "X", "cat": "cpu_op", "name": "a \\"ts\\": 5 }, {", "pid": 4, "tid": 4,
    "ts": 105.250, "dur": 9.000,
    "args": {
      "External id": 8,"Record function id": 2, "Ev Idx": 1, "Sequence number": 0
    }
  }""",
    """{
    "ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 4, "tid": 4,
    "ts": 106.000, "dur": 2.000,
    "args": {
      "External id": 8, "cbid": 211, "correlation": 5
    }
  }""",
    """{
    "ph": "s", "id": 5, "pid": 4, "tid": 4, "ts": 106.000,
    "cat": "ac2g", "name": "ac2g"
  }""",
    """{
    "ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7,
    "ts": 110.125, "dur": 4.000,
    "args": {
      "External id": 8, "device": 0, "stream": 7, "correlation": 5, "grid": [1, 1, 1]
    }
  }""",
    """{
    "ph": "X", "cat": "cuda_runtime", "name": "cudaFree", "pid": 4, "tid": 4,
    "ts": 120.000, "dur": 2.000,
    "args": {
      "cbid": 20, "correlation": 0
    }
  }""",
    """{
    "name": "process_name", "ph": "M", "ts": 99.000, "pid": 4, "tid": 0,
    "args": {
      "name": "python"
    }
  }""",
    """{
    "name": "Record Window End", "ph": "i", "s": "g",
    "pid": "", "tid": "", "ts": 131.000
  }""",
]
FOOTER = """
  ],
  "traceName": "x.json"
}"""
TEXT = HEADER + ",\n  ".join(EVENTS) + FOOTER
LATER = 1031  # from 100 to the whole microsecond after 130.501, and a millisecond


@pytest.fixture
def tile() -> Any:
    spec = importlib.util.spec_from_file_location("tile", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules["tile"] = module  # its dataclass looks its module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["tile"]
    return module


@pytest.fixture
def literal(tmp_path: Path) -> Path:
    path = tmp_path / "literal.json"
    path.write_bytes(TEXT.encode())
    return path


def moved(copy: int) -> list[str]:
    """The first six events of a copy, replaced by hand."""
    late, ids = copy * LATER, copy * 9  # 9 is more than any id
    pairs = [
        *((f'"ts": {n}.', f'"ts": {n + late}.') for n in (100, 105, 106, 110, 120)),
        *((f'"External id": {n},', f'"External id": {n + ids},') for n in (7, 8)),
        ('"correlation": 5', f'"correlation": {5 + ids}'),
        ('"id": 5,', f'"id": {5 + ids},'),
        ('"Record function id": 2', f'"Record function id": {2 + ids}'),
        *((f'"Ev Idx": {n}', f'"Ev Idx": {n + ids}') for n in (1, 0)),
        ('"Sequence number": 0', f'"Sequence number": {ids}'),
        ("ProfilerStep#3", f"ProfilerStep#{3 + copy}"),
    ]
    found = []
    for event in EVENTS[:6]:
        text = event
        for before, after in pairs:
            text = text.replace(before, after)
        found.append(text)
    return found


@pytest.mark.parametrize("block", [400, 1 << 22])
def test_copies_are_the_text_with_times_ids_and_steps_moved(
    tile: Any, literal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(tile, "BLOCK", block)
    out = tmp_path / "out.json"
    tile.tile(literal, out, 3)
    end = EVENTS[7].replace("131.000", f"{131 + 2 * LATER}.000")
    events = [*EVENTS[:6], *moved(1), *moved(2), EVENTS[6], end]
    assert out.read_bytes().decode() == HEADER + ",\n  ".join(events) + FOOTER


def test_one_copy_is_the_file_and_a_rank_comes_after_the_version(
    tile: Any, literal: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    tile.tile(literal, out, 1)
    assert out.read_bytes() == literal.read_bytes()
    ranked = tmp_path / "ranked.json"
    tile.tile(literal, ranked, 1, rank=True)
    version = '\n    "schemaVersion": 1,'
    added = f'{version}\n    "distributedInfo": {{"rank": 0}},'
    assert ranked.read_bytes().decode() == TEXT.replace(version, added)
    assert sk.load(ranked).meta.rank == 0
    tile.tile(ranked, out, 1, rank=True)
    assert out.read_bytes() == ranked.read_bytes()


def test_a_copy_that_is_cut_keeps_what_ends_late_and_what_is_there_once(
    tile: Any, literal: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    tile.cut(literal, out, len(EVENTS[0] + EVENTS[5]))
    names = [e["name"] for e in json.loads(out.read_bytes())["traceEvents"]]
    assert names == ["ProfilerStep#3", "cudaFree", "process_name", "Record Window End"]


@pytest.mark.parametrize(
    "text",
    [
        "{}", json.dumps(json.loads(TEXT)), json.dumps(json.loads(TEXT), indent=2),
        TEXT.removesuffix(FOOTER), '"traceEvents": [\n  {\n    "ph": "M"\n  }\n  ]',
    ],
    ids=["no events", "one line", "other indentation", "no end", "no times"],
)  # fmt: skip
def test_other_layouts_are_refused(tile: Any, tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(tile.LayoutError, match=r"other\.json"):
        tile.tile(path, tmp_path / "out.json", 2)


@pytest.mark.parametrize("name", ["h100/gpt2_b1_s512_eager", "h100/cuda_sync_events_v0"])
def test_a_tiled_recording_is_so_many_times_the_counts_and_the_links(
    tile: Any, tmp_path: Path, name: str
) -> None:
    source, out = trace_path(name), tmp_path / "out.json"
    assert tile.main([str(source), "3x", str(out)]) == 0
    one, three = sk.load(source), sk.load(out)
    assert len(three.steps) == 3 * len(one.steps)
    assert three.steps["name"].is_unique().all()
    for frame in ("ops", "calls", "work", "annotations", "launches"):
        assert len(getattr(three, frame)) == 3 * len(getattr(one, frame)), frame
    assert three.work["launch"].null_count() == 3 * one.work["launch"].null_count()
    assert three.launches["tklqt_ns"].sum() == 3 * one.launches["tklqt_ns"].sum()
    linked = one.work.drop_nulls("launch")
    assert three.work["correlation"].n_unique() == 3 * one.work["correlation"].n_unique()
    assert len(three.work.drop_nulls("launch")) == 3 * len(linked) > 0
    assert health(three).get("duplicate_event", 0) == 3 * health(one).get("duplicate_event", 0)


def test_sizes_cut_or_copy_whole(tile: Any, tmp_path: Path) -> None:
    source, out = trace_path("h100/gpt2_b1_s512_eager"), tmp_path / "out.json"
    size = len(gzip.decompress(source.read_bytes()))
    for wanted, expected in (("2MB", round(2e6 / size) * size), ("1MB", 1e6)):
        assert tile.main([str(source), wanted, str(out)]) == 0
        assert out.stat().st_size == pytest.approx(expected, rel=0.1)
    with pytest.raises(SystemExit):
        tile.main([str(source), "much", str(out)])
