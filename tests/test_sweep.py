"""Sweeps: what they are given, the median step, the transitions of literal and recorded ones."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from helpers import call, fixture_path, op, trace_path
from sweeps import LAUNCHES, events_at, on, pattern, steps_at, trace_at, write

import skiptrace as sk
from skiptrace.errors import ReadError, SweepError
from skiptrace.model import schema
from skiptrace.predict import pool
from skiptrace.predict import sweep as module

BATCHES = (1, 2, 4, 8)


def parameters(sweep: sk.Sweep) -> list[Any]:
    return sweep.frame["parameter"].to_list()


# --- what it is given -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [BATCHES, BATCHES[::-1], (4, 1, 8, 2)])
def test_rows_come_in_order_of_the_parameter_however_they_are_given(order: tuple[int, ...]) -> None:
    swept = sk.sweep({batch: trace_at(batch) for batch in order})
    assert parameters(swept) == list(BATCHES)
    assert swept.frame["kernel_ns"].to_list() == [LAUNCHES * 4000 * b for b in BATCHES]
    assert swept.name == "parameter"


@pytest.mark.parametrize("as_path", [str, Path])
def test_paths_traces_and_both_at_once_give_the_same(tmp_path: Path, as_path: Any) -> None:
    paths = {b: as_path(write(tmp_path / f"b{b}.json", events_at(b))) for b in BATCHES}
    expected = sk.sweep({b: trace_at(b) for b in BATCHES}).frame
    assert sk.sweep(paths).frame.equals(expected)
    assert sk.sweep(paths | {4: trace_at(4)}).frame.equals(expected)
    assert sk.sweep(list(paths.items())).frame.equals(expected)


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        ((3, 1), pl.Int64, [1, 3]),
        ((2.5, 0.5), pl.Float64, [0.5, 2.5]),
        ((2.5, 1), pl.Float64, [1.0, 2.5]),
        (("medium", "large"), pl.String, ["large", "medium"]),
        (((2, 128), (1, 512)), pl.List(pl.Int64), [[1, 512], [2, 128]]),
        ((Decimal("0.3"), Decimal("0.1")), pl.Decimal, [Decimal("0.1"), Decimal("0.3")]),
    ],
)
def test_a_parameter_is_anything_that_has_an_order(given: Any, dtype: Any, expected: Any) -> None:
    swept = sk.sweep({p: trace_at(1) for p in given})
    assert swept.frame.schema["parameter"] == dtype
    assert parameters(swept) == expected


@pytest.mark.parametrize(
    ("given", "found", "name"),
    [
        ("gpt2_b{batch}_s512.json", [1, 2, 16], "batch"),
        ("gpt2_b{}_s512.json", [1, 2, 16], "parameter"),
        ("gpt2_b*_s512.json", [1, 2, 16], "parameter"),
        ("gpt2_b{batch}_s*.json", [1, 2, 16], "batch"),
        ("*_b{batch}_s512.json", [1, 2, 16], "batch"),
        ("gpt?_?{batch}_s512.json", [1, 2, 16], "batch"),
        ("gpt2_[a-c]{batch}_s512.json", [1, 2, 16], "batch"),
        ("gpt2_*{batch}_s512.json", [1, 2, 16], "batch"),  # not 6 for 16
        ("gpt{batch}_b16_s512.json", [2], "batch"),
        ("**/deep_b{batch}.json", [3, 4, 5], "batch"),  # no, one and two folders down
        ("*/deep_b{batch}.json", [4], "batch"),
        ("seq{length}/t.json", [128, 512], "length"),
        ("seq[[]x[]]/b{batch}.json", [7], "batch"),
    ],
)
def test_a_pattern_finds_files_by_their_number(
    tmp_path: Path, given: str, found: list[int], name: str
) -> None:
    for file in (
        "gpt2_b1_s512.json", "gpt2_b2_s512.json", "gpt2_b16_s512.json", "gpt2_bx_s512.json",
        "deep_b3.json", "one/deep_b4.json", "one/two/deep_b5.json", "seq128/t.json",
        "seq512/t.json", "seq[x]/b7.json",
    ):  # fmt: skip
        write(tmp_path / file, events_at(1))
    swept = sk.sweep(f"{tmp_path}/{given}")
    assert (parameters(swept), swept.name) == (found, name)
    assert sk.sweep(f"{tmp_path}/{given}", name="mine").name == "mine"
    assert parameters(sk.sweep(tmp_path / given)) == found


def test_a_relative_pattern_is_that_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "b8.json", events_at(1))
    monkeypatch.chdir(tmp_path)
    assert parameters(sk.sweep("b{batch}.json")) == [8]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one trace"),
        ([], "at least one trace"),
        ({1: "a", "b": "c"}, "must be ordered.*got 1, 'b'"),
        ({1: "a", None: "c"}, "must be ordered"),
        ({float("nan"): "a"}, "must be ordered"),
        ([(1, "a.json"), (2, "b.json"), (1, "c.json")], r"1 has several traces: a.json, c.json"),
        ([1, 2], "takes a mapping"),
        ([(1, "a", "b")], "takes a mapping"),
        (7, "takes a mapping.*got 7"),
        (None, "takes a mapping"),
        ("nothing_b{batch}_here.json", "matches no file"),
        ("b{one}_{two}.json", "in braces, once: 'gpt2_b{batch}.json.gz'"),
        ("b*_*.json", "in braces, once"),
        ("trace.json", "in braces, once"),
        ("", "in braces, once"),
    ],
)
def test_what_makes_no_sweep_is_refused(given: Any, message: str) -> None:
    with pytest.raises(SweepError, match=message):
        sk.sweep(given)


def test_two_files_of_one_parameter_are_refused_and_both_named(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, events_at(1)) for name in ("a_b1.json", "b_b01.json")]
    with pytest.raises(SweepError, match="1 has several traces") as raised:
        sk.sweep(f"{tmp_path}/*_b{{batch}}.json")
    assert all(str(path) in str(raised.value) for path in paths)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_path_that_is_no_trace_is_named(tmp_path: Path, workers: int) -> None:
    good, bad = write(tmp_path / "good.json", events_at(1)), tmp_path / "bad.json"
    bad.write_bytes(b"{")
    with pytest.raises(ReadError, match=r"bad\.json: not valid JSON"):
        sk.sweep({1: good, 2: bad}, workers=workers)
    with pytest.raises(ReadError, match=r"gone\.json: cannot be read"):
        sk.sweep({1: good, 2: tmp_path / "gone.json"}, workers=workers)


# --- rows -----------------------------------------------------------------------------------------


def test_the_frame_is_as_declared() -> None:
    frame = sk.sweep({b: trace_at(b) for b in BATCHES}).frame
    declared = pl.Schema({c.name: c.dtype for c in schema.predicted.SWEEP}) | {
        "parameter": pl.Int64
    }
    assert dict(frame.schema) == dict(declared)


@pytest.mark.parametrize(
    ("paces", "median"), [([30], 0), ([20, 40, 30], 2), ([50, 20, 40, 30], 3), ([30, 20], 1)]
)
def test_a_row_is_the_step_with_the_median_latency_the_lower_of_an_even_count(
    paces: list[float], median: int
) -> None:
    trace = sk.load(steps_at(1, paces))
    row = sk.sweep({1: trace}).frame.row(0, named=True)
    steps = sk.summary(trace)
    assert row["step"] == f"ProfilerStep#{median}"
    assert (row["steps"], row["il_min_ns"], row["il_max_ns"]) == (
        len(paces), steps["il_ns"].min(), steps["il_ns"].max(),
    )  # fmt: skip
    one = steps.row(median, named=True)
    shared = one.keys() & row.keys()
    assert len(shared) > 15
    assert {key: row[key] for key in shared} == {key: one[key] for key in shared}
    judged = sk.boundedness(trace).row(median, named=True)
    for key in ("verdict", "floor_ns", "tklqt_per_launch_ns"):
        assert row[key] == judged[key]


def test_a_given_floor_is_that_of_every_point() -> None:
    traces = {b: trace_at(b) for b in BATCHES}
    frame = sk.sweep(traces, floor=123).frame
    assert frame["floor_ns"].to_list() == [123] * 4
    assert (frame["launch_ns"] + frame["queue_ns"]).equals(frame["tklqt_ns"], check_names=False)


def test_progress_is_told_after_each_trace() -> None:
    told: list[tuple[int, int]] = []
    sk.sweep({b: trace_at(b) for b in BATCHES}, progress=lambda *now: told.append(now))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_traces_without_kernels_have_rows_of_nulls_and_never_turn() -> None:
    bare = sk.load([op("aten::mm", 0, 5), call("cudaGetDevice", 1, 1)])
    swept = sk.sweep({1: sk.load([]), 2: bare})
    columns = ["parameter", "steps", "launches", "il_ns", "busy_share", "verdict"]
    assert swept.frame.select(columns).rows() == [
        (1, 0, 0, None, None, None),
        (2, 0, 0, None, None, None),
    ]
    assert swept.transition.device.parameter is None
    assert "never turns" in swept.transition.device.reason
    assert swept.transition.tklqt.parameter is None


def test_a_point_without_kernels_is_not_past_the_turn() -> None:
    swept = sk.sweep({1: trace_at(1), 4: trace_at(4), 8: sk.load([])})
    assert swept.transition.device.parameter is None
    assert "never turns: device_share is unknown at 8" in swept.transition.device.reason


def test_one_point_is_a_sweep_that_cannot_turn() -> None:
    low, high = sk.sweep({1: trace_at(1)}), sk.sweep({64: trace_at(64)})
    assert [s.transition.device.parameter for s in (low, high)] == [None, None]
    assert low.transition.device.last_cpu_bound == 1
    assert high.transition.device.last_cpu_bound is None
    assert "past the turn from the start" in high.transition.device.reason


# --- mixed devices --------------------------------------------------------------------------------


def test_points_from_different_devices_warn_and_say_where_they_change() -> None:
    points = {1: on("A100", 1), 2: on("A100", 2), 4: on("H100", 4), 8: trace_at(8)}
    with pytest.warns(sk.TraceWarning, match=r"\(A100 from 1 on; H100 from 4 on\)") as caught:
        swept = sk.sweep(points)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert parameters(swept) == [1, 2, 4, 8]


def test_points_of_one_device_or_of_none_named_do_not_warn() -> None:
    sk.sweep({1: on("A100", 1), 2: on("A100", 2), 4: trace_at(4)})


# --- several processes ----------------------------------------------------------------------------


def test_several_processes_give_what_one_gives(tmp_path: Path) -> None:
    for batch in BATCHES:
        write(tmp_path / f"b{batch}.json", events_at(batch))
    told: list[tuple[int, int]] = []
    one = sk.sweep(f"{tmp_path}/b{{batch}}.json", workers=1, floor=7)
    two = sk.sweep(
        f"{tmp_path}/b{{batch}}.json", workers=2, floor=7, progress=lambda *now: told.append(now)
    )
    assert two.frame.equals(one.frame)
    assert two.transition == one.transition
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_large_files_are_loaded_by_several_processes_and_small_ones_by_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[int] = []

    def counted(function: Any, given: Any, workers: int) -> Any:
        jobs.append(len(given))
        return pool.map_processes(function, given, workers)

    monkeypatch.setattr(module, "map_processes", counted)
    monkeypatch.setattr(module, "cpu_count", lambda: 2)
    paths = {b: write(tmp_path / f"b{b}.json", events_at(b)) for b in (1, 2)}
    sk.sweep(paths)
    assert jobs == []
    monkeypatch.setattr(module, "POOL_BYTES", 100)
    sk.sweep(paths)
    assert jobs == [2]


def test_processes_need_no_main_guard_in_the_script_that_asks_for_them(tmp_path: Path) -> None:
    for batch in (1, 2):
        write(tmp_path / f"b{batch}.json", events_at(batch))
    script = tmp_path / "script.py"
    script.write_text(
        "import skiptrace as sk\n"
        f"print(sk.sweep({str(tmp_path / 'b{batch}.json')!r}, workers=2).frame.height)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")


# --- transitions ----------------------------------------------------------------------------------


def test_both_transitions_of_a_literal_sweep() -> None:
    swept = sk.sweep({b: trace_at(b) for b in BATCHES}, name="batch")
    device, tklqt = swept.transition.device, swept.transition.tklqt
    # A kernel of 4 µs a unit in a host's pace of 20: beyond 5 it is the device that holds a step.
    assert (device.last_cpu_bound, device.parameter) == (4, 8)
    assert device.interpolated is not None
    assert 5 < device.interpolated < 6
    assert device.evidence == tuple(swept.frame.select("parameter", "device_share").rows())
    # Queues form as soon as a kernel outlasts the pace: beyond 5.
    assert (tklqt.last_cpu_bound, tklqt.parameter) == (4, 8)
    assert tklqt.threshold == 2 * 8000
    assert tklqt.evidence == ((1, 8000), (2, 8000), (4, 8000), (8, 74000))


def test_tklqt_is_taken_per_launch_so_that_more_launches_are_no_turn() -> None:
    twice = [*events_at(1), *events_at(1, begin=1000)]
    swept = sk.sweep({1: trace_at(1), 2: sk.load(twice)})
    assert swept.frame["launches"].to_list() == [LAUNCHES, 2 * LAUNCHES]
    assert swept.transition.tklqt.parameter is None


RECORDED = {
    ("h100", "bert-base"): (64, 16),
    ("h100", "gpt2"): (32, 16),
    ("h100", "llama-3.2-1b"): (8, 4),
    ("h200", "gpt2"): (32, 16),
}


@lru_cache
def recorded(platform: str, model: str) -> sk.Sweep:
    trace_path(f"{platform}/{model}_b1_s512_eager")
    return sk.sweep(pattern(platform, model))


@pytest.mark.parametrize(("platform", "model"), RECORDED)
def test_transitions_of_recorded_sweeps(platform: str, model: str) -> None:
    swept = recorded(platform, model)
    device, tklqt = RECORDED[platform, model]
    assert parameters(swept) == [2**n for n in range(8)]
    assert swept.name == "batch"
    assert swept.transition.device.parameter == device
    assert swept.transition.tklqt.parameter == tklqt
    shares = dict(swept.frame.select("parameter", "device_share").rows())
    assert all((share >= 0.5) == (batch >= device) for batch, share in shares.items())
    per_launch = dict(swept.frame.select("parameter", "tklqt_per_launch_ns").rows())
    least = min(per_launch.values())
    assert least > 0
    assert all((ns >= 2 * least) == (batch >= tklqt) for batch, ns in per_launch.items())
    for found in (swept.transition.device, swept.transition.tklqt):
        assert found.parameter is not None
        assert found.interpolated is not None
        assert found.parameter / 2 == found.last_cpu_bound < found.interpolated < found.parameter


def test_a_recorded_sweep_starts_cpu_bound_on_a_plateau_and_ends_gpu_bound() -> None:
    for platform, model in RECORDED:
        frame = recorded(platform, model).frame
        assert (frame["verdict"][0], frame["verdict"][-1]) == ("cpu", "gpu")
        assert frame["tklqt_per_launch_ns"][1] < 1.5 * frame["tklqt_per_launch_ns"][0]
        assert frame["tklqt_per_launch_ns"][-1] > 1000 * frame["tklqt_per_launch_ns"][0]


def test_a_fixture_has_the_row_of_its_summary() -> None:
    trace = sk.load(fixture_path("eager_step"))
    row = sk.sweep({1: trace}).frame.row(0, named=True)
    assert (row["step"], row["il_ns"]) == ("ProfilerStep#2", sk.summary(trace)["il_ns"][0])
