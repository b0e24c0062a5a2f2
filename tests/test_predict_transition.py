"""The transition of a sweep from two of its traces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import Event, call, kernel, op, trace_path
from sweeps import LAUNCHES, events_at, steps_at, trace_at, write

import skiptrace as sk
from skiptrace.errors import SweepError

HOST = 20 * (LAUNCHES - 1) + 10 + 4
"""Latency in µs at batch 1: the last kernel starts 10 after its operator, and runs 4."""


def device_share(batch: float) -> float:
    """Of the critical path of the small trace, with kernels as long as at `batch`."""
    return float(sk.whatif(trace_at(1), device=batch).frame["device_share"][0])


def test_the_line_through_the_device_times_is_replayed_until_the_device_holds_half() -> None:
    found = sk.predict_transition((1, trace_at(1)), (32, trace_at(32)))
    assert found.host_ns == HOST * 1000
    assert found.parameter is not None
    assert device_share(0.999 * found.parameter) < 0.5 <= device_share(1.001 * found.parameter)
    assert found.device.rows() == [("aten::mm", pytest.approx(0), pytest.approx(48_000))]
    assert "CPU-bound" in found.assumptions


def test_the_measured_sweep_turns_in_the_bracket_that_was_predicted() -> None:
    found = sk.predict_transition((1, trace_at(1)), (32, trace_at(32))).parameter
    turn = sk.sweep({b: trace_at(b) for b in (1, 2, 4, 8, 16, 32)}).transition.device
    assert found is not None
    assert turn.last_cpu_bound is not None
    assert turn.last_cpu_bound < found < turn.parameter


def grouped(device: Mapping[str, float], launches: int = 1) -> sk.Trace:
    """An operator of 100 µs for each group, with so many µs of kernels."""
    events: list[Event] = []
    for i, (name, dur) in enumerate(device.items()):
        events.append(op(name, 100 * i, 99))
        for j in range(launches):
            corr = 1 + 100 * i + j
            events += [
                call("cudaLaunchKernel", 100 * i + 1 + j, 1, corr),
                kernel(100 * i + 5 + j * dur / launches, dur / launches, corr),
            ]
    return sk.load(events)


def test_each_root_operator_has_its_own_line_and_none_falls() -> None:
    small, large = (
        {"grows": 4, "fixed": 3, "falls": 6, "gone": 2},
        {"grows": 30, "fixed": 3, "falls": 1},
    )
    found = sk.predict_transition((1, grouped(small)), (14, grouped(large | {"new": 13})))
    lines = {row["group"]: (row["fixed_ns"], row["per_unit_ns"]) for row in found.device.to_dicts()}
    assert lines == {
        "grows": (pytest.approx(2000), pytest.approx(2000)),
        "fixed": (3000, 0),
        "falls": (6000, 0),
        "gone": (2000, 0),
        "new": (pytest.approx(-1000), pytest.approx(1000)),
    }
    assert found.parameter is not None
    assert found.parameter > 14  # at 14 the last operator's 0.03 ms end beside 0.5 ms of host


def test_the_host_is_scaled_by_the_launches_of_the_large_trace() -> None:
    small = {"op": 12, "end": 1}
    large = grouped({"op": 80, "end": 9}, launches=3)
    found = sk.predict_transition((1, grouped(small)), (2, large))
    il = sk.summary(grouped(small))["il_ns"].item()
    assert found.host_ns == 3 * il
    alone = sk.predict_transition((1, grouped(small)), (2, grouped({"op": 80, "end": 9})))
    assert found.parameter is not None
    assert alone.parameter is not None
    assert found.parameter > 2 * alone.parameter
    assert "6 launches of 2" in found.assumptions


def test_the_spread_of_the_small_traces_steps_gives_a_range() -> None:
    small = sk.load(steps_at(1, [30, 20, 40]))
    found = sk.predict_transition((1, small), (32, trace_at(32)))
    assert found.low is not None
    assert found.parameter is not None
    assert found.high is not None
    assert found.low < found.parameter < found.high
    assert found.low / found.parameter == pytest.approx(234 / 344, rel=0.05)


@pytest.mark.parametrize("large", [{"op": 12, "end": 1}, {"op": 3, "end": 1}])
def test_a_device_time_that_does_not_grow_never_turns(large: Mapping[str, float]) -> None:
    found = sk.predict_transition((1, grouped({"op": 12, "end": 1})), (64, grouped(large)))
    assert (found.parameter, found.low, found.high) == (None, None, None)


def test_a_small_trace_that_is_not_cpu_bound_warns() -> None:
    with pytest.warns(
        sk.TraceWarning, match="the trace at 8 is not CPU-bound: its device worked 97 %"
    ):
        sk.predict_transition((8, trace_at(8)), (64, trace_at(64)))


def test_a_fixed_part_that_alone_fills_half_of_the_latency_gives_no_parameter() -> None:
    with pytest.warns(sk.TraceWarning):
        found = sk.predict_transition((1, grouped({"op": 90})), (2, grouped({"op": 91})))
    assert found.parameter is None


# --- how traces and parameters are given ----------------------------------------------------------


def test_every_way_to_give_traces_and_parameters_is_the_same(tmp_path: Path) -> None:
    small = write(tmp_path / "m2_b1_s512.json", events_at(1))
    large = write(tmp_path / "m2_b32_s512.json", events_at(32))
    expected = sk.predict_transition((1, trace_at(1)), (32, trace_at(32)))
    ways: list[tuple[Any, Any, Any]] = [
        (small, large, None),
        (str(small), str(large), None),
        (sk.load(small), sk.load(large), None),
        ({1: small}, {32: large}, None),
        ((1, str(small)), {32: sk.load(large)}, None),
        (sk.load(events_at(1)), sk.load(events_at(32)), (1, 32)),
        ((5, small), (6, large), (1, 32)),  # those given by name hold
    ]
    for first, last, parameters in ways:
        found = sk.predict_transition(first, last, parameters=parameters)
        assert found.parameter == expected.parameter
        assert found.device.equals(expected.device)


@pytest.mark.parametrize(
    ("first", "last"),
    [("b1_s512.json", "b32_s1024.json"), ("b1.json", "c32.json"), ("a.json", "a.json")],
)
def test_names_that_differ_in_no_one_number_give_no_parameters(
    tmp_path: Path, first: str, last: str
) -> None:
    paths = [write(tmp_path / str(i) / name, events_at(1)) for i, name in enumerate((first, last))]
    with pytest.raises(SweepError, match="numeric parameters, small < large, got None, None"):
        sk.predict_transition(*paths)


@pytest.mark.parametrize("parameters", [(2, 1), (1, 1), ("1", "2"), (float("nan"), 2), (None, 2)])
def test_parameters_that_do_not_rise_are_refused(parameters: Any) -> None:
    with pytest.raises(SweepError, match="small < large"):
        sk.predict_transition(trace_at(1), trace_at(2), parameters=parameters)


@pytest.mark.parametrize("end", [3, None, {}, {1: "a", 2: "b"}, (1, "a", "b")])
def test_what_is_no_trace_of_a_sweep_is_refused(end: Any) -> None:
    with pytest.raises(SweepError, match="given as a trace or path"):
        sk.predict_transition(end, trace_at(2))


@pytest.mark.parametrize(
    "events",
    [[], [op("aten::mm", 0, 5)], [op("aten::mm", 0, 5), kernel(1, 9)]],
    ids=["nothing", "no device", "unlinked"],
)
def test_a_trace_without_launched_kernels_is_refused_and_named(events: list[Event]) -> None:
    with pytest.raises(SweepError, match="the small trace has no step with kernels"):
        sk.predict_transition((1, sk.load(events)), (2, trace_at(2)))
    with pytest.raises(SweepError, match="the large trace has no step with kernels"):
        sk.predict_transition((1, trace_at(1)), (2, sk.load(events)))


# --- recorded sweeps ------------------------------------------------------------------------------

MEASURED = {
    ("h100", "bert-base"): 32,
    ("h100", "gpt2"): 16,
    ("h100", "llama-3.2-1b"): 4,
    ("h200", "gpt2"): 16,
}
"""The last CPU-bound batch of the recorded sweep."""


@pytest.mark.parametrize(("platform", "model"), MEASURED)
def test_batches_1_and_64_predict_the_measured_bracket_or_a_neighbour(
    platform: str, model: str
) -> None:
    small, large = (trace_path(f"{platform}/{model}_b{b}_s512_eager") for b in (1, 64))
    found = sk.predict_transition(small, large)
    last = MEASURED[platform, model]
    assert found.parameter is not None
    assert last / 2 <= found.parameter <= 4 * last
    assert found.assumptions.startswith("host time per launch as at 1, with the")
