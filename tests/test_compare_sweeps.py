"""Sweeps side by side."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import trace_path
from sweeps import pattern, trace_at

import skiptrace as sk
from skiptrace.errors import SweepError

BATCHES = (1, 2, 4, 8, 16)


def swept(batches: Any = BATCHES, **options: float) -> sk.Sweep:
    return sk.sweep({b: trace_at(b, **options) for b in batches})


def test_ratios_are_figures_over_the_baselines() -> None:
    one, other = swept(), swept(kernel_us=2)
    frame = sk.compare_sweeps({"slow": one, "fast": other}).frame
    assert frame["platform"].to_list() == ["fast"] * 5
    assert frame["parameter"].to_list() == list(BATCHES)
    for ratio, figure in {
        "il_ratio": "il_ns", "tklqt_ratio": "tklqt_ns", "floor_ratio": "floor_ns",
        "host_ratio": "cpu_busy_ns", "device_ratio": "kernel_ns",
    }.items():  # fmt: skip
        assert frame[ratio].to_list() == (other.frame[figure] / one.frame[figure]).to_list()
    assert frame["device_ratio"].to_list() == [0.5] * 5
    assert frame["baseline_verdict"].equals(one.frame["verdict"], check_names=False)
    assert frame["verdict"].equals(other.frame["verdict"])


def test_parameters_that_one_side_lacks_are_left_out() -> None:
    frame = sk.compare_sweeps({"a": swept((1, 2, 4)), "b": swept((2, 4, 8))}).frame
    assert frame["parameter"].to_list() == [2, 4]


def test_whole_numbers_and_fractions_are_the_same_parameter() -> None:
    found = sk.compare_sweeps({"a": swept((1, 2)), "b": swept((2.0, 2.5)), "c": swept((1, 2))})
    assert found.frame["parameter"].to_list() == [2.0, 1.0, 2.0]


def test_a_ratio_over_nothing_is_null() -> None:
    empty = sk.sweep({1: sk.load([]), 2: trace_at(2)})
    found = sk.compare_sweeps({"a": empty, "b": swept((1, 2))})
    assert found.frame["il_ratio"].to_list() == [None, 1.0]
    assert found.frame["device_ratio"].to_list() == [None, 1.0]


def test_crossovers_are_where_the_faster_platform_changes() -> None:
    # A host twice as slow before kernels that are twice as fast.
    found = sk.compare_sweeps({"base": swept(), "other": swept(host_us=40, kernel_us=2)})
    faster = (found.frame["il_ratio"] < 1).to_list()
    assert faster == [False, False, False, False, True]
    assert found.crossovers.rows() == [("other", 8, 16)]


def test_a_tie_is_no_crossover() -> None:
    base = swept((1, 2, 4))
    assert sk.compare_sweeps({"a": base, "b": swept((1, 2, 4))}).crossovers.is_empty()
    mixed = sk.sweep({1: trace_at(1, kernel_us=2), 2: trace_at(2), 4: trace_at(4, kernel_us=2)})
    found = sk.compare_sweeps({"a": base, "b": mixed})
    assert (found.frame["il_ratio"] < 1).to_list() == [True, False, True]
    assert found.crossovers.is_empty()


def test_later_is_the_ratio_of_the_interpolated_transitions() -> None:
    one, other = swept(), swept(kernel_us=2)
    found = sk.compare_sweeps({"slow": one, "fast": other})
    turns = {name: (s.transition.tklqt, s.transition.device) for name, s in
             (("slow", one), ("fast", other))}  # fmt: skip
    assert found.later.rows() == [
        ("fast", definition, turns["fast"][i].interpolated / turns["slow"][i].interpolated)  # type: ignore[operator]
        for i, definition in enumerate(("tklqt", "device"))
    ]
    assert found.later["ratio"].to_list() == pytest.approx([2, 2])
    assert found.transitions == {"slow": one.transition, "fast": other.transition}


def test_later_is_null_where_a_side_does_not_turn() -> None:
    found = sk.compare_sweeps({"a": swept(), "b": swept((1, 2))})
    assert found.later["ratio"].to_list() == [None, None]


def test_several_platforms_are_each_compared_with_the_first() -> None:
    found = sk.compare_sweeps({"a": swept(), "b": swept(kernel_us=2), "c": swept(kernel_us=8)})
    assert found.frame["platform"].unique(maintain_order=True).to_list() == ["b", "c"]
    assert found.frame.filter(platform="c")["device_ratio"].to_list() == [2.0] * 5
    assert found.sentence.count(" against a: ") == 2


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({"kernel_us": 2}, "so the device makes the larger difference."),
        ({"host_us": 80}, "so the host makes the larger difference."),
        ({}, "so neither makes a larger difference."),
    ],
)
def test_the_sentence_says_which_side_makes_the_difference(
    options: dict[str, float], ending: str
) -> None:
    sentence = sk.compare_sweeps({"one": swept(), "other": swept(**options)}).sentence
    assert sentence.startswith("other against one: ")
    assert sentence.endswith(ending)


def test_the_sentence_tells_the_regions_where_both_have_one_limit() -> None:
    sentence = sk.compare_sweeps({"one": swept(), "other": swept(kernel_us=2)}).sentence
    assert "where the host is the limit on both (1 to 4) it takes 0.98 x the latency" in sentence
    assert "where the device is the limit on both (16) it takes 0.51 x the latency" in sentence


@pytest.mark.parametrize("names", [[], ["only"]])
def test_fewer_than_two_sweeps_are_refused(names: list[str]) -> None:
    with pytest.raises(SweepError, match="at least two sweeps"):
        sk.compare_sweeps({name: swept((1,)) for name in names})


@pytest.mark.parametrize("other", [(4, 8), ("large", "small"), ((1, 512), (2, 512))])
def test_sweeps_without_a_parameter_in_common_are_refused(other: Any) -> None:
    twins = sk.sweep({p: trace_at(1) for p in other})
    with pytest.raises(SweepError, match="'a' and 'b' have no parameter in common"):
        sk.compare_sweeps({"a": swept((1, 2)), "b": twins})


def test_traces_in_place_of_sweeps_are_told_what_to_do() -> None:
    traces: Any = {"a": trace_at(1), "b": trace_at(2)}
    with pytest.raises(SweepError, match=r"'a' is a Trace, not a sweep: .*sk\.sweep\(\{1: "):
        sk.compare_sweeps(traces)


def test_gpt2_on_two_machines() -> None:
    trace_path("h200/gpt2_b1_s512_eager")
    sweeps = {name: sk.sweep(pattern(name.lower(), "gpt2")) for name in ("H100", "H200")}
    found = sk.compare_sweeps(sweeps)
    # The kernels are a little faster at each batch; the hosts are two shared machines, at
    # times the one and at times the other the faster.
    assert (found.frame["device_ratio"] < 1).all()
    assert found.crossovers.select("after", "parameter").rows() == [(4, 8), (16, 32)]
    assert found.sentence.startswith(
        "H200 against H100: where the host is the limit on both (1 to 16)"
    )
    assert found.later["ratio"].is_between(1, 1.5).all()


def test_differences_in_both_directions_do_not_cancel_out() -> None:
    mixed = sk.sweep({b: trace_at(b, host_us=10 if b == 1 else 40) for b in (1, 2)})
    sentence = sk.compare_sweeps({"one": swept((1, 2)), "other": mixed}).sentence
    assert sentence.endswith("so the host makes the larger difference.")
