"""The floor from a null-kernel trace. Times in the traces are microseconds."""

from __future__ import annotations

import pytest
from helpers import Event, call, kernel, memcpy, op

import skiptrace as sk
from skiptrace.errors import FloorError


def launches(delays: list[float], spacing: float = 100) -> list[Event]:
    """Launches with the given t_l; the i-th kernel takes i + 1 ns."""
    events = []
    for i, delay in enumerate(delays):
        at = spacing * i
        events += [
            call("cudaLaunchKernel", at, 1, i + 1),
            kernel(at + delay, (i + 1) / 1000, i + 1),
        ]
    return events


def test_median_and_percentiles_of_launches_onto_an_idle_device() -> None:
    # The first launch found no earlier work: it is not one of them.
    floor = sk.launch_floor(sk.load(launches([99, *range(20, 0, -1)])))
    assert floor == sk.LaunchFloor(
        median_ns=10500,
        p5_ns=1000,
        p95_ns=19000,
        kernel_median_ns=12,  # of 2 to 21, 11.5 to even
        kernel_p5_ns=2,
        kernel_p95_ns=20,
        launches=20,
        source="idle",
    )


def test_with_fewer_than_ten_of_those_every_launch_counts_and_the_floor_says_so() -> None:
    floor = sk.launch_floor(sk.load(launches([9, 1, 2, 3, 4])))
    assert (floor.median_ns, floor.launches, floor.source) == (3000, 5, "all")


def test_copies_and_graphs_are_no_kernel_launches() -> None:
    others = [
        call("cudaMemcpyAsync", 5000, 1, 90),
        memcpy(5500, 1, 90),
        call("cudaGraphLaunch", 6000, 1, 91),
        kernel(6500, 1, 91),
        kernel(6600, 1, 91),
    ]
    assert sk.launch_floor(sk.load([*launches([1, 2, 3]), *others])).launches == 3


def test_it_goes_into_floor_of_every_verb() -> None:
    floor = sk.launch_floor(sk.load(launches([2] * 12)))
    trace = sk.load([kernel(0, 40), op("a", 5, 9), call("launch", 10, 1, 1), kernel(40, 5, 1)])
    assert sk.tklqt(trace, floor=floor)["launch_ns"].item() == 2000
    assert sk.summary(trace, floor=floor)["queue_ns"].item() == 28000
    assert sk.boundedness(trace, floor=floor)["floor_ns"].item() == 2000


@pytest.mark.parametrize("events", [[], [call("cudaMemcpyAsync", 0, 1, 1), memcpy(5, 1, 1)]])
def test_a_trace_without_kernel_launches_has_no_floor(events: list[Event]) -> None:
    with pytest.raises(FloorError, match="no kernel launch"):
        sk.launch_floor(sk.load(events))
