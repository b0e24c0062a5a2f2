"""Frames in memory give the trace, and the figures, that a file of the same events gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from helpers import Event, call, event, fixture_path, health, kernel, op, step
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal
from test_properties import traces
from test_verbs_pure import VERBS, equal

import skiptrace as sk
from skiptrace.errors import FramesError, SkiptraceError
from skiptrace.model.schema.given import GIVEN

LINKED = ("ops", "calls", "work", "launches", "annotations", "python", "steps")
FIXTURES = ("graph_step", "legacy_2021", "no_device", "rocm", "streams", "sync_events", "tp2_rank0",
            "unlinked")  # fmt: skip
"""One of each kind of recording: they differ in what frames hold."""
UNLIKE = ("diff", "memory")
"""Verbs that set two traces against each other, and those that need more than frames."""
OPS = {"name": ["a"], "start_ns": [10], "dur_ns": [90], "pid": [1], "tid": [1]}
CALLS = {"name": ["launch"], "start_ns": [20], "dur_ns": [5], "pid": [1], "tid": [1],
         "correlation": [3]}  # fmt: skip
WORK = {"name": ["k"], "start_ns": [40], "dur_ns": [7], "kind": ["kernel"], "device": [0],
        "stream": [7], "correlation": [3]}  # fmt: skip


def frames_of(trace: sk.Trace) -> dict[str, Any]:
    """What `from_frames` takes, from a trace that has it."""
    whole = trace.whole
    is_collective = pl.col("id").is_in(whole.collectives.implode())
    return {
        **{name: getattr(trace, name) for name in ("ops", "calls", "annotations", "python")},
        "work": trace.work.with_columns(collective=is_collective),
        "steps": trace.steps,
        "overhead": whole.overhead,
        "syncs": whole.syncs,
        "args": trace.args(),
        "header": trace.meta.header,
        "threads": trace.meta.threads,
        "source": trace.meta.source,
    }


def result(verb: Callable[[sk.Trace], Any], trace: sk.Trace) -> Any:
    try:
        return verb(trace)
    except SkiptraceError as error:
        return str(error)


def assert_alike(made: sk.Trace, loaded: sk.Trace) -> None:
    """Same frames, meta but for the count of events, findings but for those of reading."""
    for name in LINKED:
        assert_frame_equal(getattr(made, name), getattr(loaded, name), check_exact=True)
    for name in ("devices", "rank", "base_time_ns", "versions", "threads", "source"):
        assert getattr(made.meta, name) == getattr(loaded.meta, name)
    assert made.whole.floors == loaded.whole.floors


def assert_same_context(made: sk.Trace, loaded: sk.Trace) -> None:
    """With equal frames, all that a verb can go by."""
    assert_alike(made, loaded)
    for name in ("overhead", "syncs"):
        assert_frame_equal(getattr(made.whole, name), getattr(loaded.whole, name))
    assert made.whole.collectives.equals(loaded.whole.collectives)
    assert_frame_equal(made.args(), loaded.args())


def assert_same_figures(made: sk.Trace, loaded: sk.Trace) -> None:
    for name, verb in VERBS.items():
        if name not in UNLIKE:
            assert equal(result(verb, made), result(verb, loaded)), name


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
@pytest.mark.parametrize("name", FIXTURES)
def test_the_frames_of_a_real_trace_give_all_that_figures_come_from(name: str) -> None:
    loaded = sk.load(fixture_path(name))
    made = sk.from_frames(**frames_of(loaded))
    assert_same_context(made, loaded)
    assert_frame_equal(made.args("stream"), loaded.args("stream"))
    kept = {k: n for k, n in health(loaded).items() if k in health(made) and k != "events"}
    assert {k: n for k, n in health(made).items() if k != "events"} == kept


def test_the_frames_of_a_real_trace_give_every_figure_of_it() -> None:
    loaded = sk.load(fixture_path("sync"))
    assert_same_figures(sk.from_frames(**frames_of(loaded)), loaded)


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(traces())
def test_the_frames_of_a_random_trace_give_every_figure_of_it(events: list[Event]) -> None:
    loaded = sk.load(events)
    frames = frames_of(loaded)
    made = sk.from_frames(**frames)
    assert_same_context(made, loaded)
    for verb in (sk.tklqt, sk.summary, sk.idle_gaps, sk.boundedness, sk.ops):
        assert equal(result(verb, made), result(verb, loaded))
    for name in ("ops", "calls", "work"):  # what is computed is not taken from the frames
        columns = [c.name for part in GIVEN[name] for c in part]
        frames[name] = frames[name].select([c for c in columns if c in frames[name].columns])
    assert_alike(sk.from_frames(**frames), loaded)


def test_columns_that_may_be_missing_are_filled() -> None:
    trace = sk.from_frames(ops=OPS, calls=CALLS, work=WORK)
    assert trace.launches.select("op", "root_op", "step", "tklqt_ns", "works").rows() == [
        (0, 0, "all", 20, 1)
    ]
    assert trace.work.select("id", "pid", "tid", "launch", "bytes").rows() == [(2, 0, 7, 1, None)]
    assert trace.meta.source == "<frames>"
    assert trace.meta.events == 3
    assert "in no frame" not in trace.health.filter(kind="events")["meaning"].item()


def test_rows_without_an_id_are_numbered_behind_all_others() -> None:
    calls = pl.concat(
        [pl.DataFrame(CALLS).with_columns(start_ns=pl.lit(at)) for at in (20, 21, 22)]
    )
    trace = sk.from_frames(ops=OPS | {"id": [2**32 - 2]}, calls=calls)
    assert trace.calls["id"].to_list() == [2**32 - 1, 2**32, 2**32 + 1]


def test_nothing_at_all_is_the_trace_of_no_events() -> None:
    made, loaded = sk.from_frames(), sk.load([])
    for name in LINKED:
        assert_frame_equal(getattr(made, name), getattr(loaded, name))
    assert health(made) == health(loaded)
    assert made.args().is_empty()


def test_rows_in_any_order_with_ids_are_those_of_the_file() -> None:
    events = [op("b", 5, 1), op("a", 0, 9), call("launch", 1, 1, 1), kernel(4, 1, 1), step(1, 0, 9)]
    loaded = sk.load(events)
    made = sk.from_frames(
        ops=loaded.ops.reverse(), calls=loaded.calls, work=loaded.work,
        annotations=loaded.annotations, source=loaded.meta.source,
    )  # fmt: skip
    assert_alike(made, loaded)


def test_a_step_among_operators_is_a_step_and_no_operator() -> None:
    ops = pl.DataFrame(OPS | {"name": ["ProfilerStep#4"]})
    trace = sk.from_frames(ops=ops, calls=CALLS, work=WORK)
    assert trace.steps["name"].to_list() == ["ProfilerStep#4"]
    assert trace.ops.is_empty()
    assert trace.launches["step"].to_list() == ["ProfilerStep#4"]


@pytest.mark.parametrize("steps", ["a", [("mine", 0, 50)], {"mine": (0, 50)}], ids=str)
def test_steps_are_named_as_for_load(steps: Any) -> None:
    trace = sk.from_frames(ops=OPS, calls=CALLS, work=WORK, steps=steps)
    assert trace.launches["step"].to_list() == [steps if steps == "a" else "mine"]


def test_steps_may_be_a_frame_of_processes() -> None:
    steps = pl.DataFrame(
        {"name": ["s", "s"], "start_ns": [30, 0], "dur_ns": [9, 25], "pid": [2, 1]}
    )
    trace = sk.from_frames(ops=OPS, calls=CALLS, work=WORK, steps=steps)
    assert trace.steps["name"].to_list() == ["s (pid 1)", "s (pid 2)"]
    assert trace.calls["step"].to_list() == ["s (pid 1)"]
    assert trace.step("s (pid 1)").work["name"].to_list() == ["k"]


def test_arguments_are_found_by_verbs_and_saved(tmp_path: Path) -> None:
    dims = orjson.dumps({"Input Dims": [[2, 3], [3, 4]]}).decode()
    args = pl.DataFrame({"id": [0, 9], "value": [dims, '{"x": 1}']})
    trace = sk.from_frames(ops=OPS, calls=CALLS, work=WORK, args=args)
    assert sk.ops(trace, by="shape")["shape"].to_list() == ["[[2,3],[3,4]]"]
    assert trace.args("Input Dims").rows() == [(0, [[2, 3], [3, 4]])]
    trace.save(tmp_path / "t")
    assert_frame_equal(sk.load(tmp_path / "t").args(), trace.args())
    with pytest.raises(sk.errors.SaveError, match="made of frames"):
        sk.annotate(trace, tmp_path / "no.json")


def test_times_stay_exact_beyond_what_a_double_holds() -> None:
    at = 2**60 + 1
    work = {**WORK, "start_ns": [at], "dur_ns": [3]}
    assert sk.from_frames(work=work).work["start_ns"].to_list() == [at]


def test_whatever_exports_arrow_is_taken() -> None:
    class Table:
        def __init__(self, frame: pl.DataFrame) -> None:
            self.frame = frame

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self.frame.__arrow_c_stream__(requested_schema)

    typed = pl.DataFrame(WORK).cast(
        {"start_ns": pl.UInt64, "device": pl.Int8, "kind": pl.Enum(["kernel", "memcpy"])}
    )
    steps = Table(pl.DataFrame({"name": ["s"], "start_ns": [0], "dur_ns": [50]}))
    made = sk.from_frames(ops=Table(pl.DataFrame(OPS)), calls=CALLS, work=Table(typed), steps=steps)
    assert_alike(made, sk.from_frames(ops=OPS, calls=CALLS, work=WORK, steps=[("s", 0, 50)]))


WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "missing": (
        {"work": {k: v for k, v in WORK.items() if k not in ("kind", "device")}},
        ("work= lacks the columns kind, device;", "it has name, start_ns"),
    ),
    "float": ({"ops": OPS | {"start_ns": [1.5]}}, ("ops=", "'start_ns' of Float64", "nanosecond")),
    "nullable of pandas": (
        {"work": WORK | {"correlation": [3.0]}}, ("'correlation' of Float64", "astype('Int64')"),
    ),
    "duration": (
        {"ops": OPS | {"dur_ns": pl.Series([1]).cast(pl.Duration("ns"))}}, ("'dur_ns'", "Duration"),
    ),
    "text": ({"calls": CALLS | {"tid": ["main"]}}, ("calls=", "'tid' of String", "an integer")),
    "number": ({"calls": CALLS | {"name": [7]}}, ("'name' of Int64", "text")),
    "flag": ({"work": WORK | {"collective": [1]}}, ("'collective' of Int64", "true or false")),
    "null": ({"ops": OPS | {"pid": [None]}}, ("ops= has None in column 'pid' (row 0)",)),
    "step without a name": (
        {"steps": pl.DataFrame({"name": [None], "start_ns": [1], "dur_ns": [1]})},
        ("steps= has None in column 'name'",),
    ),
    "kind": ({"work": WORK | {"kind": ["Kernel"]}}, ("'Kernel'", "kernel, memcpy, memset")),
    "too large": (
        {"ops": OPS | {"start_ns": pl.Series([2**63], dtype=pl.UInt64)}}, ("9223372036854775808",),
    ),
    "end": ({"ops": OPS | {"start_ns": [2**63 - 5]}}, ("ends beyond 64 bits",)),
    "ids": (
        {"ops": OPS | {"id": [4]}, "calls": CALLS | {"id": [4]}}, ("id 4", "in ops, calls"),
    ),
    "negative id": ({"ops": OPS | {"id": [-4]}}, ("ops= has -4 in column 'id' (row 0)",)),
    "no room behind an id": (
        {"ops": OPS | {"id": [2**63 - 1]}, "calls": CALLS}, ("9223372036854775807 in column 'id'",),
    ),
    "step back": (
        {"steps": pl.DataFrame({"name": ["s"], "start_ns": [5], "dur_ns": [-1]})},
        ("steps= has -1 in column 'dur_ns' (row 0)",),
    ),
    "no frame": ({"ops": 5}, ("ops= is no frame but a int", "Arrow")),
    "lazy": ({"ops": pl.LazyFrame(OPS)}, ("ops= is no frame but a LazyFrame",)),
    "ragged": ({"ops": OPS | {"pid": [1, 2]}}, ("ops= is no frame",)),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_frame_is_told(wrong: str) -> None:
    given, parts = WRONG[wrong]
    with pytest.raises(FramesError) as caught:
        sk.from_frames(**given)
    assert [part for part in parts if part not in str(caught.value)] == []


@pytest.mark.parametrize("value", ["", "[1]", "{'a': 1}", None])
def test_arguments_that_are_no_object_are_told_when_they_are_read(value: str | None) -> None:
    trace = sk.from_frames(
        ops=OPS,
        args=pl.DataFrame({"id": [0], "value": [value]}, schema_overrides={"value": pl.String}),
    )
    with pytest.raises(FramesError, match=r"no JSON object for the event 0"):
        trace.args()


def test_oddities_are_counted_as_in_a_file() -> None:
    ops = pl.concat([pl.DataFrame(OPS | {"dur_ns": [dur]}) for dur in (90, 90, -1)])
    made = sk.from_frames(ops=ops, work=WORK)
    events = [event("cpu_op", "a", 0.01, dur) for dur in (0.09, 0.09, -0.001)]
    loaded = sk.load([*events, kernel(0.04, 0.007, 3)])
    kinds = ("duplicate_event", "negative_duration", "unlinked_work", "zero_duration")
    assert {k: health(made)[k] for k in kinds} == {k: health(loaded)[k] for k in kinds}
    assert made.ops["dur_ns"].to_list() == loaded.ops["dur_ns"].to_list()


def test_the_page_lists_the_columns_of_every_frame() -> None:
    page = (Path(__file__).parent.parent / "docs/verbs/from_frames.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", page, re.MULTILINE))
    assert list(rows) == list(GIVEN)
    for name, part in GIVEN.items():
        cells = [re.findall(r"`(\w+)`", cell) for cell in rows[name].split("|")]
        assert cells[:2] == [[c.name for c in columns] for columns in part]


def test_numpy_columns_are_columns() -> None:
    ops = {k: np.array(v) for k, v in OPS.items()}
    assert sk.from_frames(ops=ops).ops["start_ns"].to_list() == [10]


def test_a_fixture_through_its_bare_frames_has_its_verdict() -> None:
    trace = sk.load(fixture_path("eager_step"))
    made = sk.from_frames(
        ops=trace.ops, calls=trace.calls, work=trace.work, annotations=trace.annotations
    )
    assert sk.boundedness(made).equals(sk.boundedness(trace))
