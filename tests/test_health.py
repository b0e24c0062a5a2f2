"""Every kind of finding, from a literal trace that has it that often, and from one that has not."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import pytest
from helpers import (
    Event,
    call,
    event,
    fixture_path,
    health,
    kernel,
    memcpy,
    memset,
    op,
    python,
    step,
)

import skiptrace as sk
from skiptrace.model.health import DOUBTFUL, MEANINGS
from skiptrace.read.faults import FAULTS

HALF = {"cat": "cpu_op", "pid": 1, "tid": 1}


def half(phase: str, ts: Any) -> Event:
    return {"ph": phase, "name": "half", "ts": ts, **HALF}


def onto_idle(count: int, start: int = 100, corr: int = 100) -> list[Event]:
    """Launches of 2 µs each, every one after the earlier's kernel has ended."""
    return [
        made
        for i in range(count)
        for made in (
            call("launch", start + 10 * i, 1, corr + i),
            kernel(start + 10 * i + 2, 3, corr + i),
        )
    ]


def graph(start: int, corr: int, works: str) -> list[Event]:
    """A graph launch with a work of each name."""
    launched = [kernel(start + 2 + i, 1, corr, name) for i, name in enumerate(works)]
    return [call("cudaGraphLaunch", start, 1, corr), *launched]


# Kind -> (events, how often, the first that shows it, of how many).
CASES: dict[str, tuple[list[Any], int, int | None, int | None]] = {
    "other_writer": (
        [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "/host:CPU"}},
         event(None, "a", 1, 1)], 1, None, None),
    "unknown_phase": ([op("a", 1, 1), {}, 7], 2, 1, 3),
    "unparsed_time": ([op("a", 1, 1), op("b", "soon", 1), op("c", None, 1)], 2, 1, 3),
    "events": ([op("a", 1, 1), kernel(1, 1), {"ph": "s"}, {"ph": "C"}], 4, None, None),
    "zero_duration": ([op("a", 1, 0), op("b", 1, 1), call("c", 3, 0), kernel(3, 0), kernel(4, 1)],
                      3, 0, 5),
    "missing_duration": ([op("a", 1, 1), op("b", 1, None)], 1, 1, 2),
    "negative_duration": ([op("a", 1, 1), op("b", 5, -1), op("c", 5, -0.001)], 2, 1, 3),
    "unclosed_begin": ([half("B", 1), half("B", 2), half("E", 3), half("B", 9)], 2, 0, 4),
    "stray_end": ([half("E", 1), half("B", 2), half("E", 3), half("E", 4)], 2, 0, 4),
    "named_pid": ([op("a", 1, 1, pid="host"), op("b", 1, 1, pid="Spans")], 1, 0, 2),
    "named_tid": ([op("a", 1, 1, tid="main"), op("b", 2, 1, tid="main")], 2, 0, 2),
    "not_understood": ([op("a", 1, 1), event("new", "n", 1, 1), event(None, "n", 1, 1)], 2, 1, 3),
    "left_out": ([op("a", 1, 1), event("other", "b", 1, 1)], 1, None, 2),
    "needed_left_out": ([op("a", 1, 1), call("c", 2, 1), event("other", "b", 1, 1)], 2, None, None),
    "without_nothing": ([op("a", 1, 1)], 2, None, 2),
    "duplicate_event": ([op("a", 1, 1), op("a", 1, 1), op("a", 1, 2), op("a", 1, 1)], 2, 1, 4),
    "no_device_work": ([op("a", 1, 1)], 1, None, None),
    "no_operators": ([kernel(1, 1)], 1, None, None),
    "unlinked_work": ([kernel(1, 1, 5), memcpy(3, 1, 6), kernel(4, 1)], 2, 0, 3),
    "call_missing": (
        [call("c", 1, 1, 5), kernel(1, 1, 4), kernel(2, 1, 5), kernel(3, 1, 6), kernel(4, 1, 9)],
        2, 3, 4,
    ),
    "ambiguous_correlation": (
        [call("c", 1, 5, 3), call("inside", 2, 4, 3), kernel(9, 1, 3),
         call("c", 1, 5, 4, tid=2), call("crossing", 2, 5, 4, tid=2), kernel(9, 1, 4),
         call("c", 1, 5, 5, tid=3), call("elsewhere", 2, 1, 5, tid=4), kernel(9, 1, 5),
         kernel(9, 1)],
        2, 5, 4,
    ),
    "work_without_id": ([kernel(1, 1, 5), memcpy(3, 1), kernel(4, 1, 0)], 2, 1, 3),
    "linked_by_external_id": (
        [call("c", 0, 1, **{"External id": 3}), kernel(1, 1, **{"External id": 3})], 1, None, 1,
    ),
    "shared_correlation": ([call("c", 1, 5, 3), call("d", 2, 1, 3), call("e", 3, 1, 3)], 2, 1, 3),
    "negative_launch_time": (
        [call("c", 5, 1, 3), kernel(4, 1, 3), call("c", 8, 1, 4), kernel(8, 1, 4)], 1, 0, 2,
    ),
    "launch_without_work": (
        [call("cudaLaunchKernel", 1, 3, 3), call("cuLaunchKernelEx", 2, 1, 3), kernel(4, 1, 3),
         call("hipModuleLaunchKernel", 3, 1, 4), call("cudaLaunchKernelExC", 4, 1, 5),
         call("cudaLaunchKernel", 5, 1, 0), call("cudaMalloc", 6, 1, 7)],
        2, 3, 3,
    ),
    "graph_incomplete": (
        [*graph(0, 1, "abc"), *graph(20, 2, "ab"), *graph(40, 3, "abd"), *graph(60, 4, "b"),
         *graph(80, 5, "abc")],
        1, 4, 5,
    ),
    "step_cut": (
        [step(1, 0, 9), call("cudaLaunchKernel", 1, 1, 3), kernel(4, 1, 3),
         step(2, 10, 9), call("cudaLaunchKernel", 11, 1, 4), call("cudaLaunchKernel", 12, 1, 5),
         kernel(14, 1, 5),
         step(3, 20, 9), call("cudaLaunchKernel", 21, 1, 6), call("cudaLaunchKernel", 22, 1, 7),
         kernel(24, 1, 6)],
        1, None, 3,
    ),
    "profiler_overhead": ([event("overhead", "Resource", 1, 2), op("a", 1, 1)], 1, 0, 2),
    "disturbed_launch": (
        [event("overhead", "Resource", 3, 2), call("c", 1, 2, 3), call("c", 2, 2, 4),
         call("c", 5, 2, 5), call("no launch", 3, 2), *(kernel(9 + c, 1, c) for c in (3, 4, 5))],
        1, 2, 3,
    ),
    "profiler_options": ([python("f", 1, 1), op("a", 1, 1)], 1, None, None),
    "launch_without_op": (
        [op("a", 0, 3), call("c", 1, 1, 3), call("c", 5, 1, 4), kernel(6, 1, 3), kernel(7, 1, 4)],
        1, 2, 2,
    ),
    "launch_outside_steps": (
        [step(1, 0, 3), call("c", 1, 1, 3), call("c", 3, 1, 4), kernel(6, 1, 3), kernel(7, 1, 4)],
        1, 2, 2,
    ),
    "graph_without_work": (
        [call("cudaGraphLaunch", 1, 1, 3), call("hipGraphLaunch", 2, 1, 4), kernel(4, 1, 4)],
        1, 0, 2,
    ),
    "badly_nested_op": ([op("a", 0, 5), op("b", 3, 9), op("c", 4, 8)], 1, None, 3),
    "overlapping_work": (
        [kernel(0, 5), kernel(4, 5), kernel(5, 1), kernel(0, 5, stream=8), kernel(0, 9, device=1)],
        2, 1, 5,
    ),
    "floor_median": (onto_idle(11), 1, None, None),
    "floor_smallest": (onto_idle(10), 1, None, None),
    "floor_kernel": (
        [*onto_idle(11), call("c", 1, 1, 1), memcpy(3, 1, 1), call("c", 5, 1, 2), memset(7, 1, 2)],
        2, None, None,
    ),
    "floor_none": ([call("c", 1, 1, 1), memcpy(3, 1, 1)], 2, None, None),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(set(MEANINGS) - set(FAULTS)))
def test_each_kind_is_found_as_often_as_it_occurs(kind: str) -> None:
    events, count, example, of = CASES[kind]
    without = {
        "left_out": ["other"], "without_nothing": ["other", "another"],
        "needed_left_out": ["cpu_op", "cuda_runtime", "other"],
    }.get(kind, [])  # fmt: skip
    row = sk.load(events, without=without).health.filter(kind=kind).row(0, named=True)
    assert (row["count"], row["example"]) == (count, example)
    assert row["share"] == (None if of is None else count / of)
    assert row["severity"] == MEANINGS[kind][0]
    assert row["affects"] == MEANINGS[kind][2]


@pytest.mark.parametrize("kind", sorted(set(MEANINGS) - {"floor_median", "events"}))
def test_a_sound_trace_has_none_of_them(kind: str) -> None:
    assert kind not in health(sk.load([op("all", 0, 1000), *onto_idle(11)]))


DOCUMENT = json.dumps({"traceEvents": [op(f"x{i}", 10 * i, 5) for i in range(4)]}).encode()
AT = DOCUMENT.index(b'"x2"')
PACKED = gzip.compress(DOCUMENT)


def zipped(*files: bytes) -> bytes:
    """An archive of traces."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, data in enumerate(files):
            packed.writestr(f"{number}.json", data)
    return file.getvalue()


def named(written: bytes) -> bytes:
    """The document with something else for the third name."""
    return DOCUMENT.replace(b'"x2"', written)


# Fault -> (the file, how often, the byte of the first, severity); what it is read as: test_repair.
DAMAGED: dict[str, tuple[bytes, int, int, str]] = {
    "truncated_json": (DOCUMENT[:AT], 1, AT, "error"),
    "lost_event": (DOCUMENT[:AT], 1, DOCUMENT.index(b'{"ph": "X", "name": "x2"'), "error"),
    "control_character": (named(b'"a\x01b\nc"'), 2, AT + 2, "warning"),
    "invalid_utf8": (named(b'"a\xffb"'), 1, AT + 2, "warning"),
    "lone_surrogate": (named(b'"\\ud800"'), 1, AT + 1, "warning"),
    "invalid_escape": (named(b'"C:\\Users"'), 1, AT + 3, "warning"),
    "unescaped_quote": (named(b'"say "hi""'), 2, AT + 5, "warning"),
    "unclosed_string": (named(b'"x2'), 1, AT, "warning"),
    "single_quotes": (named(b"'x2'"), 1, AT, "warning"),
    "unquoted_word": (named(b"x2"), 1, AT, "warning"),
    "not_a_number": (DOCUMENT.replace(b": 5", b": NaN"), 4, DOCUMENT.index(b" 5") + 1, "warning"),
    "no_value": (named(b"N/A"), 1, AT, "warning"),
    "python_word": (named(b"True"), 1, AT, "warning"),
    "odd_number": (named(b"007"), 1, AT, "warning"),
    "extra_comma": (named(b'"x2",'), 1, AT + 5, "warning"),
    "missing_comma": (DOCUMENT.replace(b"}, {", b"} {", 1), 1, DOCUMENT.index(b"}, {") + 2,
                      "warning"),
    "missing_bracket": (named(b'["x2"'), 1, AT + 7, "warning"),
    "stray_bracket": (named(b'"x2"]'), 1, AT + 4, "warning"),
    "comment": (named(b'/* x */ "x2"'), 1, AT, "info"),
    "too_deep": (named(b"[" * 2000 + b"]" * 2000), 1, AT + 511, "warning"),
    "junk": (named(b'{"a": 1} @#!'), 1, AT + 9, "error"),
    "byte_order_mark": (b"\xef\xbb\xbf" + DOCUMENT, 1, 0, "info"),
    "utf16_or_utf32": (DOCUMENT.decode().encode("utf-16"), 1, 0, "info"),
    "concatenated_document": (DOCUMENT + b"[{}]", 1, len(DOCUMENT), "warning"),
    "duplicate_document": (DOCUMENT * 2, 1, len(DOCUMENT), "warning"),
    "repeated_list": (DOCUMENT.replace(b"}, {", b"}], \"traceEvents\": [{", 1), 1,
                      DOCUMENT.index(b"}, {") + 19, "warning"),
    "wrapped_events": (b"[" + DOCUMENT + b"]", 1, 0, "warning"),
    "other_files": (zipped(b"[]", DOCUMENT), 1, 0, "warning"),
    "truncated_stream": (PACKED[:-8], 1, len(DOCUMENT), "error"),
    "damaged_stream": (PACKED + b"no member", 1, len(DOCUMENT), "error"),
    "bad_checksum": (PACKED[:-8] + bytes(8), 1, len(DOCUMENT), "error"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_of_a_file_is_a_row_with_its_byte(kind: str) -> None:
    data, count, byte, severity = DAMAGED[kind]
    row = sk.load(data).health.filter(kind=kind).row(0, named=True)
    assert (row["count"], row["byte"], row["severity"]) == (count, byte, severity)
    assert row["excerpt"]
    assert (row["share"], row["example"]) == (None, None)
    assert row["meaning"] == FAULTS[kind]


def test_every_kind_says_what_it_means_and_what_it_touches() -> None:
    assert set(CASES) == set(MEANINGS) - set(FAULTS)
    assert set(DAMAGED) == set(FAULTS)
    for severity, meaning, affects in MEANINGS.values():
        assert severity in ("info", "warning", "error")
        assert meaning
        assert affects


def test_the_worst_comes_first_then_the_most_frequent() -> None:
    events = [event("x", "n", 1, 1), event("y", "n", 1, 1), op("b", 5, -1), op("a", "?", 1)]
    frame = sk.load(events).health
    assert frame["kind"].to_list() == [
        "no_device_work", "unparsed_time", "not_understood", "negative_duration", "events",
        "floor_none", "zero_duration",
    ]  # fmt: skip


def test_floors_are_told_with_their_nanoseconds() -> None:
    events = [*onto_idle(11), call("c", 1, 1, 1), memcpy(3, 1, 1)]
    frame = sk.load(events).health
    meanings = dict(frame.select("kind", "meaning").rows())
    assert meanings["floor_median"].endswith("(kernel: 2000 ns)")
    assert meanings["floor_kernel"].endswith("(memcpy: 2000 ns)")


def test_what_is_repaired_is_kept() -> None:
    ops = sk.load([op("a", 5, -1), op("b", 1, None), op("c", 1, 1), op("c", 1, 1)]).ops
    assert ops.select("name", "start_ns", "dur_ns").rows() == [
        ("a", 5000, 0), ("b", 1000, 0), ("c", 1000, 1000), ("c", 1000, 1000),
    ]  # fmt: skip


def test_events_that_differ_only_in_what_no_column_holds_are_no_duplicates_of_other_threads() -> (
    None
):
    trace = sk.load([op("a", 1, 1), op("a", 1, 1, tid=2), kernel(1, 1, 5), kernel(1, 1, 6)])
    assert "duplicate_event" not in health(trace)


def test_a_window_has_the_health_of_the_recording() -> None:
    trace = sk.load(fixture_path("unlinked"))
    assert trace.step(6).health.equals(trace.health)
    assert health(trace)["unlinked_work"] == 501


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("eager_step", {"floor_median", "floor_kernel"}),
        ("graph_step", {"floor_none", "no_operators", "launch_without_op"}),
        ("no_device", {"no_device_work", "floor_none"}),
    ],
)
def test_real_traces_have_no_other_findings(name: str, kinds: set[str]) -> None:
    assert set(health(sk.load(fixture_path(name)))) == kinds | {"events"}


def test_what_events_are_is_told_with_their_number() -> None:
    events = [op("a", 1, 1), event("new", "n", 1, 1), event(None, "n", 1, 1), {"ph": "s"}]
    meanings = dict(
        sk.load([*events, event("new", "m", 2, 1)]).health.select("kind", "meaning").rows()
    )
    assert meanings["events"].endswith("(ops: 1, in no frame: 4)")
    assert meanings["not_understood"].endswith("(new: 2, no category: 1)")


def test_clocks_that_disagree_are_told_with_their_nanoseconds() -> None:
    events = [call("c", 5, 1, 3), kernel(4, 1, 3), call("c", 8, 1, 4), kernel(5.5, 1, 4)]
    found = sk.load(events).health.filter(kind="negative_launch_time")
    assert (
        found["meaning"]
        .item()
        .endswith("(the device's clock is 2,500 ns behind the host's, or more)")
    )


def test_options_of_the_profiler_are_named() -> None:
    document = {"traceEvents": [python("f", 1, 1)], "record_shapes": 1, "with_flops": 0}
    found = sk.load(document).health.filter(kind="profiler_options")
    assert found["meaning"].item().endswith("(record_shapes, with_stack)")
    assert found["count"].item() == 2


def test_a_step_given_beyond_the_recording_is_cut() -> None:
    events = [call("launch", 5, 1, 1), kernel(6, 4, 1)]
    steps = {"inside": (5000, 10000), "late": (6000, 10001), "early": (4999, 5500)}
    found = sk.load(events, steps=steps).health.filter(kind="step_cut")
    assert found["count"].item() == 2
    assert {"late", "early"} == set(found["meaning"].item().rpartition("(")[2][:-1].split(", "))


def test_the_grade_is_that_of_the_worst_finding() -> None:
    sound = [op("all", 0, 2000), *onto_idle(100)]
    assert sk.load(sound).grade == "good"
    assert sk.load([*sound, kernel(5, 1)]).grade == "good"  # less than 1 %
    unlinked = [kernel(5, 1), kernel(7, 1)]
    assert sk.load([*sound, *unlinked]).grade == "usable: work_without_id (2)"
    assert sk.load([*sound, *unlinked, op("b", "soon", 1)]).grade == (
        "doubtful: unparsed_time (1), work_without_id (2)"
    )
    many = [*unlinked, op("b", "soon", 1), *(op("c", 1, -1) for _ in range(9))]
    assert sk.load([*sound, *many]).grade == (
        "doubtful: unparsed_time (1), negative_duration (9), duplicate_event (8) and 1 more"
    )
    assert sk.load([*sound, *unlinked]).between(0, 9000).grade == "usable: work_without_id (2)"


def test_what_makes_a_verb_doubtful_is_a_finding_that_weighs() -> None:
    assert set(DOUBTFUL) <= set(MEANINGS)
    assert {MEANINGS[kind][0] for kind in DOUBTFUL} == {"error", "warning"}
    errors = {kind for kind, (severity, _, _) in MEANINGS.items() if severity == "error"}
    assert errors - {"no_device_work"} <= set(DOUBTFUL)
    assert all(callable(getattr(sk, verb)) for verbs in DOUBTFUL.values() for verb in verbs)
