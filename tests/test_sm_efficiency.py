"""Utilisation, SM efficiency and occupancy of a device, by the TensorBoard plugin's definitions."""

from __future__ import annotations

from typing import Any

import pytest
from breakdowns import conforms
from helpers import Event, call, kernel, op, step, trace_path

import skiptrace as sk
from skiptrace.model.schema.breakdowns import SM_EFFICIENCY


def ran(start: float, dur: float, blocks: Any = None, occupancy: Any = None, **more: Any) -> Event:
    recorded = {"blocks per SM": blocks, "est. achieved occupancy %": occupancy, "grid": [1, 1, 1]}
    return kernel(start, dur, **more, **{k: v for k, v in recorded.items() if v is not None})


EVENTS = [
    step(1, 0, 100), step(2, 100, 100),
    ran(0, 20, 0.5, 40), ran(10, 20, 0.75, 80, stream=8),  # together more than all SMs
    ran(50, 10, 3.0), ran(90, 20, 0.25, 10),
    ran(70, 10, -1.0, -1),
]  # fmt: skip


def test_shares_of_each_step() -> None:
    frame = sk.sm_efficiency(sk.load(EVENTS))
    conforms(frame, *SM_EFFICIENCY)
    first, second = frame.rows()
    # 10 x 0.5, 10 x 1 (of 1.25), 10 x 0.75, 10 x 1 (of 3), 10 x 0.25
    assert first[:4] == ("ProfilerStep#1", 0, 100_000, 0.6)
    assert first[4] == pytest.approx(0.35)
    assert first[5] == pytest.approx((20 * 0.4 + 20 * 0.8 + 10 * 0.1) / 50)
    assert second[3:] == (0.1, pytest.approx(0.025), pytest.approx(0.1))


def test_a_step_as_a_trace_has_the_row_of_the_step() -> None:
    trace = sk.load(EVENTS)
    for name in trace.steps["name"]:
        expected = sk.sm_efficiency(trace).filter(step=name)
        assert sk.sm_efficiency(trace.step(name)).equals(expected)
        low = trace.steps.filter(name=name)["start_ns"].item()
        part = trace.between(low + 10_000, low + 20_000)  # rows are of whole steps
        assert sk.sm_efficiency(part).equals(expected)


def test_nothing_recorded_is_null_and_no_zero() -> None:
    row = sk.sm_efficiency(sk.load([op("a", 0, 10), kernel(0, 5)])).row(0, named=True)
    assert (row["utilization_share"], row["sm_share"], row["occupancy_share"]) == (0.5, None, None)
    assert sk.sm_efficiency(sk.load([op("a", 0, 10)])).is_empty()


def test_a_plain_count_of_a_real_trace() -> None:
    trace = sk.load(trace_path("h100/gpt2_b1_shapes_flops"))
    blocks, occupancy = (
        dict(trace.args(key).rows()) for key in ("blocks per SM", "est. achieved occupancy %")
    )
    for row in sk.sm_efficiency(trace).to_dicts():
        times = sk.step_time(trace).filter(step=row["step"]).row(0, named=True)
        low, high = times["start_ns"], times["start_ns"] + times["wall_ns"]
        filled = weighted = time = 0.0
        for work in trace.work.filter(kind="kernel").to_dicts():
            inside = min(work["start_ns"] + work["dur_ns"], high) - max(work["start_ns"], low)
            if inside > 0:  # one stream, and no kernel beside another
                filled += min(blocks[work["id"]], 1) * inside
                weighted += occupancy[work["id"]] / 100 * inside
                time += inside
        assert row["sm_share"] == pytest.approx(filled / times["wall_ns"], rel=1e-3)
        assert row["occupancy_share"] == pytest.approx(weighted / time, rel=1e-6)


def test_a_call_alone_has_no_device() -> None:
    assert sk.sm_efficiency(sk.load([call("cudaLaunchKernel", 0, 1, 1)])).is_empty()
