"""Real traces damaged at random: every identity holds, or skiptrace says what is wrong.

A few seconds in the suite; ``SKIPTRACE_FUZZ=20000`` tries that many inputs a test.
"""

from __future__ import annotations

import gzip
import json
import os
import warnings
from typing import Any

from agreement import assert_identities
from helpers import fixture_paths
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import skiptrace as sk

EVENTS = 60
"""So many of each fixture's events are mutated: all kinds of them, and read in milliseconds."""
MARKS = b'"\\{}[],:0159.-+eE \n\0\xff'

fuzz = settings(
    max_examples=int(os.environ.get("SKIPTRACE_FUZZ", "15")),
    deadline=60_000,  # of wall clock, beside other tests: what ends at all takes a few seconds
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _seeds() -> list[dict[str, Any]]:
    traces = [json.loads(gzip.decompress(path.read_bytes())) for path in fixture_paths()]
    return [
        {**t, "traceEvents": t["traceEvents"][:: len(t["traceEvents"]) // EVENTS + 1]}
        for t in traces
    ]


SEEDS = _seeds()


@st.composite
def layouts(draw: st.DrawFn, trace: Any) -> bytes:
    return json.dumps(trace, indent=draw(st.sampled_from([None, 0, 2]))).encode()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Bytes flipped, cut out, copied elsewhere or put in, and maybe packed."""
    data = bytearray(draw(layouts(draw(st.sampled_from(SEEDS)))))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.integers(1, 60))
        match draw(st.sampled_from(["flip", "mark", "remove", "insert", "splice", "cut"])):
            case "flip":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "mark":
                data[at : at + 1] = bytes([draw(st.sampled_from(MARKS))])
            case "remove":
                del data[at : at + size]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "splice":
                other = draw(st.integers(0, max(len(data) - 1, 0)))
                data[at:at] = data[other : other + size]
            case _:
                del data[max(at, len(data) // 2) :]
    if draw(st.integers(0, 4)):
        return bytes(data)
    packed = gzip.compress(bytes(data))
    return packed[: draw(st.integers(len(packed) // 2, len(packed)))]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([-1, 0, 1, 2**63 - 1, -(2**63), 2**53 + 1, 1e-3, 1e18, -1e300]),
    st.text(max_size=12),
    st.sampled_from(["stream 7", "N/A", "NaN", "12.5", '"},{"', "ProfilerStep#1", "X", "kernel"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "ts", "correlation"]), st.integers(), max_size=2),
)


@st.composite
def swapped(draw: st.DrawFn) -> bytes:
    """Valid JSON in which fields are swapped between events, or hold what they should not."""
    trace = draw(st.sampled_from(SEEDS))
    traced = [{**e, "args": {**e.get("args", {})}} for e in trace["traceEvents"]]
    for _ in range(draw(st.integers(1, 12))):
        event, other = draw(st.sampled_from(traced)), draw(st.sampled_from(traced))
        if draw(st.booleans()) and isinstance(event.get("args"), dict):
            other_args = other.get("args")
            other = other_args if isinstance(other_args, dict) else other
            event = event["args"]
        key = draw(st.sampled_from([*event, "correlation", "ts", "dur"]))
        event[key] = other[key] if key in other and draw(st.booleans()) else draw(VALUES)
    return draw(layouts({**trace, "traceEvents": traced}))


def assert_holds(data: bytes) -> None:
    """A trace with all identities intact, or an error of skiptrace."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sk.TraceWarning)
            assert_identities(sk.load(data))
    except sk.errors.SkiptraceError:
        pass


@fuzz
@given(damaged())
def test_a_damaged_trace_keeps_the_identities_or_is_refused_by_name(data: bytes) -> None:
    assert_holds(data)


@fuzz
@given(swapped())
def test_fields_that_are_not_as_they_should_be_break_no_identity(data: bytes) -> None:
    assert_holds(data)
