"""What-ifs: against a machine that runs the changed program, bounds, and recorded measurements."""

from __future__ import annotations

import json
import statistics
from typing import Any

import polars as pl
import pytest
from helpers import Event, call, kernel, op, python, step, trace_path, traces_folder
from machine import Machine, program

import skiptrace as sk
from skiptrace.errors import UnknownKeyError

SEEDS = range(6)


def il(seed: int, streams: int = 1, *, syncs: bool = True, **changed: Any) -> int:
    """IL in ns of a machine with other constants."""
    return round(1000 * Machine(**changed).run(program(seed, streams, syncs)))


def predicted(seed: int, streams: int = 1, *, syncs: bool = True, **changes: Any) -> int:
    machine = Machine()
    machine.run(program(seed, streams, syncs))
    return int(sk.whatif(sk.load(machine.events), **changes).frame["il_ns"][0])


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_another_host_is_what_a_machine_with_that_host_takes(
    seed: int, factor: float, streams: int
) -> None:
    assert predicted(seed, streams, host=factor) == il(seed, streams, host=factor)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("factor", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_another_device_is_what_a_machine_with_that_device_takes(
    seed: int, factor: float, streams: int
) -> None:
    assert predicted(seed, streams, device=factor) == il(seed, streams, device=factor)
    names = {"^k": factor}
    assert predicted(seed, streams, kernels=names) == il(seed, streams, device=factor)


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_prediction_is_below_the_path_that_is_kept(seed: int, streams: int) -> None:
    host, device = il(seed, streams, device=0), il(seed, streams, host=0)
    for factor in (0.0, 0.3, 0.9):
        assert predicted(seed, streams, device=factor) >= host
        assert predicted(seed, streams, host=factor) >= device


@pytest.mark.parametrize("seed", SEEDS)
def test_without_waits_is_the_program_without_them(seed: int) -> None:
    machine, bare = Machine(), Machine()
    machine.run(program(seed))
    without = [action for action in program(seed) if action[0] != "sync"]
    expected = 1000 * bare.run(without)
    frame = sk.whatif(sk.load(machine.events), remove_syncs=True).frame
    assert frame["il_ns"].to_list() == [expected]


def step_of(kernels: int, took: float = 10, apart: float = 50) -> list[Event]:
    """A step in which each kernel is launched long after the last has ended."""
    events: list[Event] = [step(1, 0, kernels * apart), op("aten::all", 0, kernels * apart)]
    for i in range(kernels):
        events += [call("cudaLaunchKernel", i * apart + 1, 4, i + 1)]
        events += [kernel(i * apart + 8, took, i + 1, f"k{i % 2}")]
    return events


def test_a_step_as_one_graph_has_no_host_time_but_one_launch() -> None:
    row = sk.whatif(sk.load(step_of(20)), cuda_graph=True).frame.row(0, named=True)
    floor, gaps, kernels = 7_000, 19 * 450, 20 * 10_000 - 19 * 150
    assert row["il_ns"] == floor + gaps + kernels
    assert row["latency_ns"] == row["il_ns"] + 5_000  # the wake-up of a final wait
    assert row["latency_low_ns"] < row["latency_ns"] < row["latency_high_ns"]
    assert (row["verdict"], row["error"]) == ("gpu", 0)
    assert row["device_share"] > 0.9


def test_fused_kernels_take_their_parts_and_one_launch() -> None:
    events = step_of(20)
    eager = sk.whatif(sk.load(events)).frame.row(0, named=True)
    fused = sk.whatif(sk.load(events), fuse=[["k0", "k1"]]).frame.row(0, named=True)
    # Of every two launches the second, and the 50 us from the one to its return, are gone.
    assert eager["il_ns"] - fused["il_ns"] == 10 * 50_000 - 10_000
    assert sk.whatif(sk.load(events), fuse=2).frame["il_ns"][0] == fused["il_ns"]


def test_operators_as_graphs_keep_what_is_between_them() -> None:
    events = [step(1, 0, 400)]
    for n in range(2):
        at = 200 * n
        events += [op("block", at, 150)]
        for i in range(3):
            number = 3 * n + i + 1
            events += [call("cudaLaunchKernel", at + 40 * i + 10, 4, number)]
            events += [kernel(at + 40 * i + 16, 5, number)]
    row = sk.whatif(sk.load(events), cuda_graph="op").frame.row(0, named=True)
    inside = 6_000 + 3 * 5_000 + 2 * (450 - 150)
    assert (
        row["il_ns"] == 4_000 + 50_000 + inside
    )  # the first launch call and the pause, the second


def test_modules_as_graphs_are_those_that_the_model_calls() -> None:
    events = [step(1, 0, 400), python("nn.Module: Net_0", 0, 400)]
    for n in range(2):
        at = 200 * n
        events += [
            python(f"nn.Module: Block_{n}", at, 150),
            python("nn.Module: Act_0", at + 80, 40),
        ]
        events += [op("aten::add", at, 150)]
        for i in range(3):
            number = 3 * n + i + 1
            events += [call("cudaLaunchKernel", at + 40 * i + 10, 4, number)]
            events += [kernel(at + 40 * i + 16, 5, number)]
    by_module, by_op = (
        sk.whatif(sk.load(events), cuda_graph=pieces).frame["il_ns"][0]
        for pieces in ("module", "op")
    )
    assert by_module == by_op
    bare = [event for event in events if event["cat"] != "python_function"]
    frame = sk.whatif(sk.load(bare), cuda_graph="module").frame
    assert frame["il_ns"].equals(sk.whatif(sk.load(bare)).frame["il_ns"])


def test_a_floor_scales_launch_calls_and_latency() -> None:
    row = sk.whatif(sk.load(step_of(20)), launch_floor_ns=0).frame.row(0, named=True)
    assert row["il_ns"] == 1_000 + 19 * 46_000 + 10_000
    assert row["latency_share"] == 0


def test_without_the_profiler_a_step_takes_what_recording_added_less() -> None:
    frame = sk.whatif(sk.load(step_of(20)), unprofiled=True).frame.row(0, named=True)
    # The operator's end lies behind the last launch, and half of its cost with it.
    assert 968_000 - frame["il_ns"] == 20 * 650 + 910 // 2
    assert frame["speedup"] == 1  # the program itself is no faster
    assert frame["latency_ns"] == frame["before_ns"]


@pytest.mark.parametrize(
    "changes",
    [
        {"cuda_graph": "block"}, {"host": -1}, {"device": True}, {"kernels": {"gemm": "x"}},
        {"launch_floor_ns": 0.5}, {"fuse": ["k0"]},
    ],
    ids=str,
)  # fmt: skip
def test_values_that_an_option_does_not_have_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: "):
        sk.whatif(sk.load(step_of(4)), **changes)


def test_a_trace_without_steps_to_predict_gives_no_row() -> None:
    assert sk.whatif(sk.load([]), host=0.5).frame.is_empty()
    assert sk.whatif(sk.load([op("a", 0, 5)]), cuda_graph=True).frame.is_empty()


CHANGES: list[dict[str, Any]] = [
    {}, {"host": 0}, {"host": 0.5}, {"device": 0.5}, {"remove_syncs": True}, {"cuda_graph": "op"},
    {"fuse": 4}, {"launch_floor_ns": 1000}, {"unprofiled": True},
]  # fmt: skip


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("name", ["gpt2_b16_s512_eager", "streams_copies_events", "cause_sync_v0"])
def test_no_prediction_is_below_the_longest_streams_device_time(
    name: str, changes: dict[str, Any]
) -> None:
    trace = sk.load(trace_path(f"h100/{name}"))
    steps = trace.launches.select("step", launch="id")
    busy = (
        trace.work.join(steps, on="launch")
        .group_by("step", "device", "stream")
        .agg(ns=pl.col("dur_ns").sum())
    )
    least = dict(busy.group_by("step").agg(pl.col("ns").max()).rows())
    factor = changes.get("device", 1)
    for row in sk.whatif(trace, **changes).frame.iter_rows(named=True):
        assert row["il_ns"] >= int(factor * least[row["step"]]) - 1


def test_graphs_are_predicted_from_eager_traces_within_the_measured_latency() -> None:
    folder = traces_folder()
    if not (folder / "latency.json").is_file():
        pytest.skip("no measured latencies at hand")
    measured = json.loads((folder / "latency.json").read_text())["h100"]["latency_us"]
    errors = []
    for path in sorted(folder.glob("h100/*_mask4d.json.gz")):
        model, batch = path.name.split("_")[:2]
        real = measured[f"{model}/{batch}/mask4d-cudagraph"]["median"] * 1000
        found = sk.whatif(sk.load(path), cuda_graph=True).frame["latency_ns"].to_list()
        errors.append(abs(statistics.median(found) - real) / real)
    assert len(errors) == 12
    assert statistics.median(errors) <= 0.03
    assert max(errors) <= 0.08
