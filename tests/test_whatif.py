"""What-ifs: against a machine that runs the changed program, bounds, and recorded measurements."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from helpers import (
    Event,
    call,
    fixture_path,
    fixture_paths,
    kernel,
    op,
    python,
    step,
    trace_path,
    trace_paths,
    traces_folder,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from machine import Machine, program

import skiptrace as sk
from skiptrace.errors import UnknownKeyError
from skiptrace.model.duration import duration
from skiptrace.predict.replayed import recorded
from skiptrace.predict.roofline import rooflines
from skiptrace.show.results import whatif_sentence

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


def test_the_low_end_of_a_fusion_is_its_longest_part() -> None:
    events = [step(1, 0, 1000), op("aten::all", 0, 20)]
    for i, took in enumerate((10, 300, 20) * 2):
        events += [call("cudaLaunchKernel", 3 * i, 2, i + 1)]
        events += [kernel(8 + sum((10, 300, 20, 10, 300)[:i]), took, i + 1, f"k{i % 3}")]
    row = sk.whatif(sk.load(events), fuse=[["k0", "k1", "k2"]]).frame.row(0, named=True)
    assert row["latency_ns"] - row["latency_low_ns"] == pytest.approx(2 * 30_000, abs=3_000)


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
    with pytest.warns(sk.TraceWarning, match="modules are not recorded"):
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
        {"launch_floor_ns": 0.5}, {"fuse": ["k0"]}, {"gpu": {"memory": 2}}, {"gpu": {"flops": 0}},
    ],
    ids=str,
)  # fmt: skip
def test_values_that_an_option_does_not_have_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: "):
        sk.whatif(sk.load(step_of(4)), **changes)


def test_a_trace_without_steps_to_predict_gives_no_row() -> None:
    assert sk.whatif(sk.load([]), host=0.5).frame.is_empty()
    assert sk.whatif(sk.load([op("a", 0, 5)]), cuda_graph=True).frame.is_empty()


NOTHING: list[tuple[dict[str, Any], str]] = [
    ({"kernels": {"nonsense": 0.5}}, "no work is of the kind or has a name like 'nonsense'"),
    ({"kernels": {"k[": 0.5}}, "'k['"),
    ({"remove_syncs": True}, "no call waits before a later launch of its step"),
    ({"remove_syncs": ["no such op"]}, "no call in 'no such op' waits"),
    ({"fuse": 3}, "no chain of 3 kernels always repeats"),
    ({"fuse": [["k0", "k7"]]}, "none of these chains"),
    ({"cuda_graph": "op"}, "no op has several launches"),
    ({"gpu": {"bandwidth": 2}}, "no operator's arithmetic is known by its shapes"),
]


@pytest.mark.parametrize(("changes", "said"), NOTHING, ids=str)
def test_what_matches_nothing_is_said_and_warned_of(changes: dict[str, Any], said: str) -> None:
    events = step_of(3)
    events[1] = op("aten::all", 0, 1)  # launches in no operator, and no chain of three
    trace = sk.load(events)
    with pytest.warns(sk.TraceWarning, match="nothing changes: ") as caught:
        found = sk.whatif(trace, **changes)
    assert not found.changed
    assert said in found.assumptions[0]
    assert said in str(caught[0].message)
    assert caught[0].filename == __file__
    assert found.frame["latency_ns"].equals(found.frame["before_ns"], check_names=False)
    # Beside a change that does apply it is said alone.
    mixed = sk.whatif(trace, host=0.5, **changes)
    assert mixed.changed
    assert any(said in line for line in mixed.assumptions)


def test_waits_that_are_there_are_named_where_none_matches() -> None:
    events = [*step_of(3), op("aten::item", 20, 20), call("cudaDeviceSynchronize", 25, 3)]
    with pytest.warns(sk.TraceWarning, match=r"those that do: aten::item"):
        sk.whatif(sk.load(events), remove_syncs="aten::itm")


def test_work_without_a_name_takes_the_factor_of_its_kind() -> None:
    events = [op("a", 0, 20), call("cudaLaunchKernel", 5, 5, 1), kernel(20, 100, 1)]
    events[-1]["name"] = None
    trace = sk.load(events)
    halved = sk.whatif(trace, device=0.5).frame.row(0, named=True)
    assert halved["before_ns"] - halved["latency_ns"] == 50_000
    assert sk.whatif(trace, kernels={"kernel": 0.5}).frame["latency_ns"][0] == halved["latency_ns"]


def test_names_with_brackets_are_taken_as_they_stand() -> None:
    events = step_of(2)
    events += [call("cudaLaunchKernel", 90, 4, 9), kernel(98, 20, 9, "void add<f(int)[2]>(")]
    trace = sk.load(events)
    found = sk.whatif(trace, kernels={"add<f(int)[2]>(": 0}).frame["il_ns"][0]
    assert found == sk.whatif(trace).frame["il_ns"][0] - 20_000


CHANGES: list[dict[str, Any]] = [
    {}, {"host": 0}, {"device": 0.5}, {"remove_syncs": True}, {"cuda_graph": "op"},
    {"fuse": 4}, {"launch_floor_ns": 1000}, {"unprofiled": True},
    {"host": 0.3, "device": 0.5, "remove_syncs": True, "fuse": 2, "launch_floor_ns": 0,
     "cuda_graph": True, "unprofiled": True},
]  # fmt: skip


def device_bound(trace: sk.Trace, changes: dict[str, Any]) -> dict[str, float]:
    """Per step the device time of its longest stream after a change, without what overlaps."""
    end = (pl.col("start_ns") + pl.col("dur_ns")).cum_max().shift(1).over("device", "stream")
    whole = trace.whole.work.sort("start_ns").with_columns(
        ns=pl.col("dur_ns") - (end - pl.col("start_ns")).fill_null(0).clip(0)
    )
    steps = trace.launches.select("step", launch="id")
    # A kernel that started on an idle device is a little shorter inside a graph.
    less = pl.min_horizontal(150, 0.25 * pl.col("ns")) if "cuda_graph" in changes else 0
    busy = (
        whole.join(steps, on="launch")
        .group_by("step", "device", "stream")
        .agg(ns=(changes.get("device", 1) * pl.col("ns") - less).clip(0).sum(), works=pl.len())
    )
    rounded = pl.col("ns") - pl.col("works")
    return dict(busy.group_by("step").agg(rounded.max()).drop_nulls().rows())


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
@pytest.mark.parametrize("path", trace_paths(), ids=lambda path: "/".join(path.parts[-2:]))
def test_no_prediction_is_below_the_longest_streams_device_time(path: Path) -> None:
    if path.stat().st_size > 2_000_000:
        pytest.skip("large")
    trace = sk.load(path)
    for changes in CHANGES:
        least = device_bound(trace, changes)
        for row in sk.whatif(trace, **changes).frame.iter_rows(named=True):
            assert row["il_ns"] >= least.get(row["step"], 0), (row["step"], changes)


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    streams=st.integers(1, 3),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "host": st.sampled_from([0.0, 0.4, 1.7]),
            "device": st.sampled_from([0.0, 0.4, 1.7]),
            "kernels": st.just({"memcpy": 0.5}),
            "remove_syncs": st.sampled_from([True, "all"]),
            "fuse": st.integers(2, 4),
            "cuda_graph": st.sampled_from([True, "op"]),
            "launch_floor_ns": st.sampled_from([0, 20_000]),
            "unprofiled": st.booleans(),
        },
    ),
)
def test_no_mix_of_changes_is_below_what_it_keeps(
    seed: int, streams: int, changes: dict[str, Any]
) -> None:
    machine, actions = Machine(), program(seed, streams)
    machine.run(actions)
    trace = sk.load(machine.events)
    found = int(sk.whatif(trace, **changes).frame["il_ns"][0])
    assert found >= max(device_bound(trace, changes).values())
    if not changes.keys() & {"fuse", "cuda_graph", "launch_floor_ns"} and not changes.get(
        "unprofiled"
    ):
        last = max(i for i, action in enumerate(actions) if action[0] == "launch")
        own: dict[str, Callable[[Any], float]] = {
            "think": lambda action: action[1],
            "launch": lambda _: machine.call,
        }
        host = sum(own[a[0]](a) for a in actions[:last] if a[0] in own)
        assert found >= 1000 * changes.get("host", 1) * host - 2 * len(actions)


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


# --- another GPU ----------------------------------------------------------------------------------


def shaped(name: str, at: float, took: float, number: int, dims: list[list[int]]) -> list[Event]:
    """An operator of half-precision inputs, and its kernel."""
    args = {"Input Dims": dims, "Input type": ["c10::Half"] * len(dims)}
    return [
        op(name, at, 20, **args), call("cudaLaunchKernel", at + 1, 4, number),
        kernel(at + 8, took, number, name),
    ]  # fmt: skip


def workload() -> list[Event]:
    """A step of two kernels that saturate memory, one that does the arithmetic, and a slow one."""
    large = [1 << 23]
    events = [step(1, 0, 900)]
    for i in range(2):
        events += shaped("aten::copy_", 200 * i, 100, i + 1, [large, large])
    events += shaped("aten::mm", 400, 100, 3, [[1000, 1000], [1000, 1000]])
    return events + shaped("aten::_softmax", 600, 200, 4, [large])


@pytest.mark.parametrize(
    ("ratios", "shorter_us"),
    [
        # The last kernel ends the step: only what is bound by nothing stays as long as it is.
        ({"bandwidth": 2.0}, {"copies": 100, "mm": 0, "softmax": 0}),
        ({"flops": 2.0}, {"copies": 0, "mm": 50, "softmax": 0}),
        ({"bandwidth": 4.0, "flops": 2.0}, {"copies": 150, "mm": 50, "softmax": 0}),
        ({"bandwidth": 0.25}, {"copies": -600, "mm": 0, "softmax": -200}),
    ],
    ids=str,
)
def test_kernels_scale_by_what_bounds_them(
    ratios: dict[str, float], shorter_us: dict[str, float]
) -> None:
    trace = sk.load(workload())
    made = recorded(trace)
    took = made.model.dur * rooflines(trace, made).factors(ratios)
    expected = {"copies": 200, "mm": 100, "softmax": 200}
    now = {"copies": took[0] + took[1], "mm": took[2], "softmax": took[3]}
    assert {k: 1000 * (v - shorter_us[k]) for k, v in expected.items()} == pytest.approx(now)
    found = sk.whatif(trace, gpu=ratios)
    assert " 0% of kernel time is in no operator of known arithmetic" in found.assumptions[0]


def test_kernels_of_no_known_arithmetic_are_taken_to_be_memory_bound_and_counted() -> None:
    events = [*workload(), call("cudaLaunchKernel", 880, 4, 9), kernel(888, 500, 9)]
    trace = sk.load(events)
    found = sk.whatif(trace, gpu={"bandwidth": 2})
    assert " 50% of kernel time is in no operator of known arithmetic" in found.assumptions[0]
    now = sk.whatif(trace).frame["il_ns"][0]
    assert found.frame["il_ns"][0] == now - 250_000


CONV = {
    "Input Dims": [[64, 512, 28, 28], [512, 512, 3, 3], [], [], []],
    "Input type": ["c10::Half", "c10::Half", "ScalarList", "ScalarList", "ScalarList"],
    "Concrete Inputs": ["", "", "[1, 1]", "[1, 1]", "[1, 1]"],
}
ATTENTION = {"Input Dims": [[16, 12, 2048, 64]] * 3, "Input type": ["c10::Half"] * 3}


@pytest.mark.parametrize("copies", [0, 2])
@pytest.mark.parametrize(
    ("name", "inner", "args"),
    [
        ("aten::cudnn_convolution", "cudnn", CONV),
        ("aten::_scaled_dot_product_flash_attention", "aten::_flash_attention_forward", ATTENTION),
        ("aten::conv2d", "cudnn", CONV | {"Concrete Inputs": None, "flops": 236_760_072_192}),
    ],
    ids=["convolution", "attention", "recorded"],
)
def test_what_does_arithmetic_scales_with_it_whichever_operator_launches(
    copies: int, name: str, inner: str, args: dict[str, Any]
) -> None:
    events = [step(1, 0, 1200), op(name, 10, 30, **args), op(inner, 11, 20)]
    events += [call("cudaLaunchKernel", 12, 4, 1), kernel(20, 400, 1)]
    for i in range(copies):
        events += shaped("aten::copy_", 500 + 200 * i, 100, i + 2, [[1 << 26], [1 << 26]])
    trace = sk.load(events)
    made = recorded(trace)
    lines = rooflines(trace, made)
    for ratios, factor in (({"flops": 2.0}, 0.5), ({"bandwidth": 2.0}, 1.0)):
        assert lines.factors(ratios)[0] == factor
    assert lines.factors({"bandwidth": 2.0})[1:].tolist() == [0.5] * copies
    assert lines.assumed == 0
    assert sk.whatif(trace, gpu={"flops": 2}).changed


def test_an_elementwise_operator_alone_is_bound_by_memory() -> None:
    trace = sk.load([step(1, 0, 300), *shaped("aten::mul", 10, 100, 1, [[1 << 24], [1 << 24]])])
    assert rooflines(trace, recorded(trace)).factors({"flops": 2, "bandwidth": 4}).tolist() == [
        1 / 4
    ]


def test_malformed_shapes_are_of_no_known_arithmetic() -> None:
    broken = [[[2, 3]], [3, 4]]
    trace = sk.load([*workload(), *shaped("aten::mm", 850, 500, 9, broken)])  # type: ignore[arg-type]
    found = sk.whatif(trace, gpu={"bandwidth": 2})
    assert " 50% of kernel time is in no operator of known arithmetic" in found.assumptions[0]


def test_a_gpu_of_more_bandwidth_is_predicted_from_a_trace_with_shapes() -> None:
    trace = sk.load(trace_path("h100/gpt2_b64_shapes_flops"))
    other = sk.summary(sk.load(trace_path("h200/gpt2_b64_s512_eager")))["il_ns"]
    found = sk.whatif(trace, gpu={"flops": 1, "bandwidth": 4.8 / 3.35}).frame["il_ns"]
    assert found.mean() == pytest.approx(other.mean(), rel=0.05)


def test_another_cost_of_recording_moves_what_a_clock_would_measure_alone() -> None:
    trace = sk.load(fixture_paths()[0])
    free = sk.ProfilerCost(*(sk.Cost(0, 0, 0) for _ in sk.ProfilerCost._fields))
    usual, none = (sk.whatif(trace, host=0.5, profiler=p).frame for p in (sk.ProfilerCost(), free))
    assert usual["il_ns"].equals(none["il_ns"])
    assert (usual["before_ns"] < none["before_ns"]).all()
    assert (none["latency_ns"] > usual["latency_ns"]).all()
    bare = sk.whatif(trace, unprofiled=True, profiler=free).frame
    recorded = sk.whatif(trace).frame
    assert bare["il_ns"].equals(recorded["il_ns"])
    with pytest.raises(sk.errors.UnknownKeyError, match="ProfilerCost"):
        sk.whatif(trace, profiler=3)  # type: ignore[arg-type]


def test_it_is_told_by_the_step_with_the_median_latency_as_recorded() -> None:
    trace = sk.load(fixture_path("graph_step"))
    found = sk.whatif(trace, host=0.9)
    (step,) = sk.sweep({1: trace}).frame["step"]
    assert found.middle["step"].to_list() == [step]
    by_prediction = found.frame.sort("latency_ns")[1]
    assert by_prediction["step"].item() != step  # the two orders differ in this trace
    assert f"instead of {duration(found.middle['before_ns'].item())} " in whatif_sentence(found)
    two = replace(found, frame=found.frame[[0, 2]])
    assert two.middle.equals(found.frame[[2]])  # the lower of an even count
    assert replace(found, frame=found.frame.clear()).middle.is_empty()
