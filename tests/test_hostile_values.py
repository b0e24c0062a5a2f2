"""Every field of an event, and every field of the header, may hold any value that JSON has."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import Event, call, health, kernel, op

import skiptrace as sk

DEEP: list[Any] = []
for _ in range(50_000):
    DEEP = [DEEP]

VALUES: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30,
    -(10**30), 10**400, 10**5000, 1.5, -0.0, 1e300, -1e300, 1e19, 9.3e15, float("inf"),
    float("-inf"), float("nan"), "", "x", "12", "12.5", "-3", " 7 ", "1e5", "1e400", "1e-400",
    "1E+999999999", "1E-999999999", "NaN", "inf", "N/A", "stream 7", "9" * 30, "9" * 5000,
    "0x10", "1_000", "\u0663", "\0", "\ud800", "x" * 10_000,
    [], {}, [1], {"a": 1}, [None], [[1, [2]]], {"": {}}, DEEP,
]  # fmt: skip
IDS = [f"{type(v).__name__}-{i}" for i, v in enumerate(VALUES)]

FIELDS = ("ph", "cat", "name", "pid", "tid", "ts", "dur", "args")
ARGS = (
    "correlation", "External id", "external id", "device", "stream", "cuda_sync_kind",
    "Collective name",
)  # fmt: skip
SOUND = [op("op", 0, 20), call("launch", 5, 2, 1), kernel(10, 5, 1)]


def odd_kernel(field: str, value: Any) -> Event:
    event = kernel(40, 5, 2)
    return (
        {**event, "args": {**event["args"], field: value}}
        if field in ARGS
        else ({**event, field: value})
    )


def accounted(trace: sk.Trace) -> int:
    """Events in a frame, or counted as one that is in none."""
    frames = (trace.ops, trace.calls, trace.work, trace.annotations, trace.python)
    counts = health(trace)
    left_out = ("unknown_phase", "unparsed_time", "not_understood", "stray_end")
    return sum(map(len, frames)) + sum(counts.get(kind, 0) for kind in left_out)


@pytest.mark.parametrize("field", [*FIELDS, *ARGS])
def test_any_value_in_any_field_is_read_or_counted(field: str) -> None:
    odd = [odd_kernel(field, value) for value in VALUES]
    trace = sk.load([*SOUND, *odd])
    assert trace.meta.events == len(SOUND) + len(odd)
    assert accounted(trace) >= len(SOUND) + len(odd)
    assert trace.ops["name"].to_list()[:1] == ["op"]
    assert trace.launches.height >= 1


@pytest.mark.parametrize("value", VALUES, ids=IDS)
def test_an_event_that_is_any_value_costs_no_other(value: Any) -> None:
    trace = sk.load([*SOUND, value])
    assert accounted(trace) == len(SOUND) + 1
    assert trace.launches["tklqt_ns"].to_list() == [5000]


@pytest.mark.parametrize("field", ["name", "pid", "tid", "args", "ts"])
def test_metadata_events_may_hold_anything(field: str) -> None:
    named = {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "main"}}
    odd = [{**named, field: value} for value in VALUES]
    odd += [{**named, "args": {"name": value}} for value in VALUES]
    assert sk.load([*SOUND, *odd]).meta.events == len(SOUND) + len(odd)


@pytest.mark.parametrize(
    "field",
    ["deviceProperties", "distributedInfo", "baseTimeNanoseconds", "schemaVersion", "with_stack"],
)
def test_the_header_may_hold_anything(field: str) -> None:
    for value in VALUES:
        assert sk.load({"traceEvents": SOUND, field: value}).launches.height == 1


@pytest.mark.parametrize("value", VALUES, ids=IDS)
def test_what_the_header_holds_of_devices_and_ranks_may_be_anything(value: Any) -> None:
    header = {
        "deviceProperties": [{"id": value, "name": value}, value],
        "distributedInfo": {"rank": value, "world_size": value, "backend": value},
    }
    assert sk.load({"traceEvents": SOUND, **header}).launches.height == 1


def test_a_first_event_nested_without_end_is_no_crash() -> None:
    bomb = b'{"traceEvents":[{"a":' + b'{"a":' * 100_000
    with pytest.raises(sk.errors.ReadError, match="not valid JSON"):
        sk.load(bomb)
