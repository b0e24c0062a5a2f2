"""The scripts of examples/: their options, what they write, and the sweep they make together."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers import fixture_path, trace_path
from sweeps import events_at, write

import skiptrace as sk

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def script(name: str) -> Any:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


@pytest.fixture
def capture() -> Any:
    return script("capture_sweep")


@pytest.fixture
def paper() -> Any:
    return script("reproduce_paper")


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_help_tells_what_a_script_is_for(path: Path) -> None:
    done = run(path.stem, "--help")
    assert done.returncode == 0
    summary = path.read_text(encoding="utf-8").partition("\n")[0].strip('"')
    assert " ".join(summary.split()) in " ".join(done.stdout.split())
    assert done.stderr == ""


# --- capture_sweep.py -----------------------------------------------------------------------------


def test_capturing_loads_no_pytorch_before_it_is_needed() -> None:
    code = "import sys, capture_sweep as c; c.parser(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=EXAMPLES
    )
    assert done.stdout == "False\n"


def test_names_of_traces_are_found_by_a_sweep(capture: Any, tmp_path: Path) -> None:
    for batch in (1, 16):
        write(tmp_path / capture.file_name("org/My Model-1.5B", batch, 512, "eager"), events_at(1))
    swept = sk.sweep(f"{tmp_path}/org-my-model-1.5b_b{{batch}}_s512_eager.json.gz")
    assert swept.frame["parameter"].to_list() == [1, 16]


def test_latencies_are_kept_as_median_and_range(capture: Any) -> None:
    assert capture.spread([3.0, 1.0, 10.0]) == {"median": 3.0, "min": 1.0, "max": 10.0, "n": 3}


def test_latencies_of_other_models_and_platforms_stay(capture: Any, tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    capture.merge_latencies(path, "h100", {"a/b1/eager": {"median": 1}}, {"gpu": "H100"})
    capture.merge_latencies(path, "h200", {"a/b1/eager": {"median": 2}}, {"gpu": "H200"})
    capture.merge_latencies(path, "h100", {"a/b2/eager": {"median": 3}}, {"torch": "2"})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "h100": {
            "gpu": "H100",
            "torch": "2",
            "latency_us": {"a/b1/eager": {"median": 1}, "a/b2/eager": {"median": 3}},
        },
        "h200": {"gpu": "H200", "latency_us": {"a/b1/eager": {"median": 2}}},
    }


def test_without_pytorch_it_says_what_is_missing(
    capture: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(capture.importlib.util, "find_spec", lambda _: None)
    assert capture.main(["--out", str(tmp_path / "no")]) == 2
    assert "needs PyTorch" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_sweep_recorded_on_the_cpu(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed: nothing to record with")
    done = run(
        "capture_sweep", "--model", "mlp", "--device", "cpu", "--batches", 1, 2, "--active", 3,
        "--repeats", 4, "--warmup", 1, "--platform", "here", "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for batch in (1, 2):
        trace = sk.load(tmp_path / f"mlp_b{batch}_s512_eager.json.gz")
        assert len(trace.steps) == 3
        assert "aten::linear" in trace.ops["name"]
        assert trace.python.is_empty()
    found = json.loads((tmp_path / "latency.json").read_text(encoding="utf-8"))["here"]
    assert list(found["latency_us"]) == ["mlp/b1/eager", "mlp/b2/eager"]
    for row in found["latency_us"].values():
        assert 0 < row["min"] <= row["median"] <= row["max"]
        assert row["n"] == 4
    assert run("capture_sweep", "--null-kernel", "--device", "cpu").returncode == 2


# --- measure_whatif.py ----------------------------------------------------------------------------


def test_measuring_needs_pytorch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = script("measure_whatif")
    monkeypatch.setattr(measure.importlib.util, "find_spec", lambda _: None)
    assert measure.main([]) == 2
    assert "needs PyTorch" in capsys.readouterr().err


def test_predictions_stand_beside_what_was_measured() -> None:
    measure = script("measure_whatif")
    before = {"plain": 800.0, "graph": 200.0, "reading": 900.0, "kept": 850.0, "parts": 1000.0}
    trace = sk.load(fixture_path("sync"))
    row = measure.compare("cuda_graph", trace, before, before, [])
    frame = sk.whatif(trace, cuda_graph=True).frame.sort("latency_ns")
    found = frame["latency_ns"][(len(frame) - 1) // 2] / 1e3
    assert row["predicted_us"]["after"] == found
    assert row["measured_us"] == {"before": 800.0, "after": 200.0}
    assert row["error"] == pytest.approx(found / 200 - 1)
    assert row["speedup"]["measured"] == 4
    line = measure.sentence({"change": "cuda_graph", "batch": 1, **row})
    assert f"batch 1, cuda_graph: {found:.1f} us predicted" in line
    nothing = measure.compare("fuse", sk.load([]), before, before, [])
    assert nothing == {"measured_us": {"before": 1000.0, "after": 800.0}, "again_us": {
        "before": 1000.0, "after": 800.0}}  # fmt: skip


# --- inside_a_profiler.py -------------------------------------------------------------------------


def test_an_example_inside_a_profiler(tmp_path: Path) -> None:
    if importlib.util.find_spec("torch") is None:
        done = run("inside_a_profiler", "--out", tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert "needs PyTorch" in done.stderr
        return
    done = run("inside_a_profiler", "--out", tmp_path, "--steps", 6, "--active", 1)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "rank0_step3.json.gz", "rank0_step6.json.gz",
    ]  # fmt: skip
    assert "rank0_step6.json.gz: " in done.stdout
    assert "aten::addmm" in done.stdout


# --- reproduce_paper.py ---------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sweeps, a null kernel, a latency and what is none of these."""
    here = tmp_path / "fast"
    for batch in (1, 2, 4, 8, 16):
        write(here / f"toy_b{batch}_s512_eager.json", events_at(batch))
        write(here / f"toy_b{batch}_s64_eager.json", events_at(batch, kernel_us=1))
        write(tmp_path / "slow" / f"toy_b{batch}_s512_eager.json", events_at(batch, kernel_us=8))
    write(here / "alone_b1_s512_eager.json", events_at(1))
    write(here / "other.json", events_at(1))
    shutil.copy(fixture_path("eager_step"), here / "null_kernel_spaced.json.gz")
    latency = {"fast": {"latency_us": {"toy/b4/eager": {"median": 1234.5}}}}
    (tmp_path / "latency.json").write_text(json.dumps(latency), encoding="utf-8")
    return here


def test_the_paper_from_literal_sweeps(folder: Path, tmp_path: Path) -> None:
    out, figures = tmp_path / "paper.md", tmp_path / "figures"
    done = run(
        "reproduce_paper", folder, tmp_path / "slow", "--suffix", "s512_eager", "--out", out,
        "--figures", figures,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = out.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "## Transition from CPU- to GPU-bound",
        "## One inference over batch size",
        "### toy on fast (s512_eager)",
        "### toy on slow (s512_eager)",
        "## GPU idle time at the smallest batch",
        "## Kernel fusion at the smallest batch",
        "### toy on fast (s512_eager)",
        "### toy on slow (s512_eager)",
        "## Launch floor of a null kernel",
        "## Platforms",
        "### toy (s512_eager)",
    ]
    assert "| toy | fast | 4 to 8 |" in text
    assert "| toy | slow | 2 to 4 |" in text
    assert "| 4 | 0.246 | 1.23 | 12 | 8.00 | 1.00 | 16.0 |" in text
    assert "| fast | null_kernel_spaced | 9.48 |" in text
    assert "slow against fast: " in text
    assert sorted(p.name for p in figures.iterdir()) == [
        "busy_share.svg",
        "tklqt_per_launch_ns.svg",
    ]
    for path in figures.iterdir():
        root = ET.fromstring(path.read_text(encoding="utf-8"))
        lines = [e for e in root.iter() if e.tag.endswith("polyline")]
        assert [len(line.attrib["points"].split()) for line in lines] == [5, 5]


def test_every_suffix_with_several_batches_without_one_asked_for(folder: Path) -> None:
    done = run("reproduce_paper", folder)
    assert done.returncode == 0
    assert "### toy on fast (s512_eager)" in done.stdout
    assert "### toy on fast (s64_eager)" in done.stdout
    assert "alone" not in done.stdout


def test_a_sweep_without_kernels_is_a_table_of_dashes(tmp_path: Path) -> None:
    for batch in (1, 2):
        write(tmp_path / "cpu" / f"m_b{batch}_s1_eager.json", [])
    done = run("reproduce_paper", tmp_path / "cpu", "--figures", tmp_path / "none")
    assert done.returncode == 0
    assert "| m | cpu | never turns | - | never turns | - | - |" in done.stdout
    assert list((tmp_path / "none").iterdir()) == []


def test_a_folder_without_a_sweep_and_a_broken_trace_are_told(tmp_path: Path) -> None:
    nothing = run("reproduce_paper", tmp_path)
    assert nothing.returncode == 2
    assert "no sweep" in nothing.stderr
    for batch in (1, 2):
        (tmp_path / f"m_b{batch}_s1_eager.json").write_bytes(b"{")
    broken = run("reproduce_paper", tmp_path)
    assert broken.returncode == 2
    assert "m_b1_s1_eager.json: not valid JSON" in broken.stderr
    assert "Traceback" not in broken.stderr


@pytest.mark.parametrize(
    ("cell", "text"),
    [(None, "-"), (0.0, "0"), (0.67549, "0.675"), (12.345, "12.3"), (234198.8, "234,199"),
     (7, "7"), ("a|b", "a\\|b"), (-14.04, "-14.0")],
)  # fmt: skip
def test_cells_have_three_digits(paper: Any, cell: object, text: str) -> None:
    assert paper.shown(cell) == text


def test_the_paper_from_recorded_traces(tmp_path: Path) -> None:
    for batch in (1, 8, 16, 64):
        source = trace_path(f"h100/gpt2_b{batch}_s512_eager")
        (tmp_path / source.name).symlink_to(source)
    done = run("reproduce_paper", tmp_path)
    assert done.returncode == 0
    assert f"| gpt2 | {tmp_path.name} | 8 to 16 | 8.42 | 16 to 64 | 24.3 | 19.1 |" in done.stdout
    assert "| 256 | 13 | 2 | 576 | 66 | 8.73 | 10 | 8.73 |" in done.stdout


def test_the_tables_of_the_docs_are_what_their_command_writes(tmp_path: Path) -> None:
    docs = EXAMPLES.parent / "docs"
    folders = [trace_path(f"{p}/gpt2_b1_s512_eager").parent for p in ("h100", "h200")]
    out = tmp_path / "tables.txt"
    done = run(
        "reproduce_paper", *folders, "--suffix", "s512_eager", "--out", out, "--figures", tmp_path
    )
    assert done.returncode == 0, done.stderr
    for path in sorted(tmp_path.iterdir()):
        assert path.read_text(encoding="utf-8") == (docs / "paper" / path.name).read_text(
            encoding="utf-8"
        ), f"make docs/paper/{path.name} again: see docs/paper.md"
    assert len(list(tmp_path.iterdir())) == len(list((docs / "paper").iterdir())) == 3
