"""`from_frames`: a trace of columns that a profiler has in memory, linked as `load` links them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import polars as pl

from skiptrace.errors import FramesError
from skiptrace.model.arguments import GivenArguments
from skiptrace.model.build import Origin, build_trace
from skiptrace.model.categories import STEP_NAME, WORK_KINDS
from skiptrace.model.events import Events
from skiptrace.model.health import Findings
from skiptrace.model.meta import build_meta
from skiptrace.model.schema.column import Column
from skiptrace.model.schema.given import GIVEN
from skiptrace.model.steps import Steps, given_steps
from skiptrace.model.trace import Trace
from skiptrace.read.rows import ASKED_FOR, INT64

FrameLike: TypeAlias = Any
"""A `polars.DataFrame`, or whatever it can be made of: anything that exports Arrow."""

_EVENTS = ("ops", "calls", "work", "annotations", "python", "overhead", "syncs")
_NOT_NULL = ("id", "start_ns", "dur_ns", "pid", "tid", "kind", "device", "stream")
_SYNCS = ("start_ns", "device", "stream", "correlation", "sync_kind")
_HIGHEST = 2**62
"""Of ids: those of rows without one come behind them."""
_NO_SPAN = pl.DataFrame({"start_ns": [0], "end": [0]})


def from_frames(  # noqa: PLR0913  one for each frame of a trace
    *,
    ops: FrameLike | None = None,
    calls: FrameLike | None = None,
    work: FrameLike | None = None,
    annotations: FrameLike | None = None,
    python: FrameLike | None = None,
    overhead: FrameLike | None = None,
    syncs: FrameLike | None = None,
    args: FrameLike | None = None,
    steps: Steps | FrameLike | None = None,
    header: Mapping[str, Any] | None = None,
    threads: Mapping[tuple[int | str, int | str], str] | None = None,
    source: str = "<frames>",
) -> Trace:
    """Make a trace of frames: their events are nested, linked and placed in steps as by `load`.

    Parameters
    ----------
    ops, calls, work, annotations, python
        Operators, API calls, device work, annotations and Python frames: times in integer
        nanoseconds, other columns than those of the table on the verb's page are ignored.
    overhead
        Times in which the profiler itself worked.
    syncs
        Waits of streams for events.
    args
        Arguments of events, as `Trace.args` returns them.
    steps
        As for `load`; or a frame with the name, start and duration of each.
    header
        What a file says at its top level, such as ``{"distributedInfo": {"rank": 3}}``.
    threads
        (pid, tid) -> name of the thread.
    source
        What the trace is called, in messages and reports.

    Returns
    -------
    Trace
        With the same links, steps and figures as one loaded from a file of these events.

    Raises
    ------
    FramesError
        A frame is none, lacks a column, has one of another type (floats where nanoseconds belong
        among them), a null or an id twice.
    StepError
        `steps` matches nothing, or a window does not end after it starts.
    """
    given = {
        "ops": ops, "calls": calls, "work": work, "annotations": annotations, "python": python,
        "overhead": overhead, "syncs": syncs,
    }  # fmt: skip
    findings = Findings()
    frames = _numbered({name: checked(name, given[name]) for name in _EVENTS})
    count = sum(map(len, frames.values()))
    timed = [name for name in _EVENTS if name != "syncs"]
    negative = pl.concat([frames[n].filter(pl.col("dur_ns") < 0).select("id") for n in timed])
    findings.add_rows("negative_duration", negative, count)
    for name in timed:
        frames[name] = frames[name].with_columns(pl.col("dur_ns").clip(lower_bound=0))
    wanted = given_steps(checked("steps", steps)) if _is_frame(steps) else steps
    events = _events(frames, wanted)
    findings.add("duplicate_event", events.duplicates[0], count, events.duplicates[1])
    texts = checked("args", args)
    origin = Origin(
        GivenArguments(texts),
        build_meta(source, count, dict(header or {}), dict(threads or {})),
        frozenset(key for key in ASKED_FOR if _mentions(texts, key)),
    )
    return build_trace(events, findings, origin, wanted)


def checked(name: str, given: FrameLike | None) -> pl.DataFrame:
    """The columns of a given frame, in their types; those it need not have filled with nulls.

    Raises
    ------
    FramesError
        It cannot be used; says which column, or which row, and why.
    """
    required, optional = GIVEN[name]
    columns = (*required, *optional)
    if given is None:
        return pl.DataFrame(schema={c.name: c.dtype for c in columns})
    try:
        frame = given if isinstance(given, pl.DataFrame) else pl.DataFrame(given)
    except (ImportError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise FramesError.none(name, given, " ".join(str(error).split())[:200]) from error
    if lacking := [c.name for c in required if c.name not in frame.columns]:
        raise FramesError.missing(name, lacking, frame.columns)
    made = pl.DataFrame([_column(name, frame, column) for column in columns])
    if name == "work":
        _check_kinds(made)
        made = made.with_columns(pl.coalesce("pid", "device"), pl.coalesce("tid", "stream"))
    for column in (c.name for c in required if c.name in _NOT_NULL or name == "steps"):
        if made[column].null_count():
            row = int(made[column].is_null().arg_max() or 0)
            raise FramesError.value(name, column, row, None, "every event has one")
    if name == "steps" and (back := made["dur_ns"] < 0).any():
        row = int(back.arg_max() or 0)
        raise FramesError.value(name, "dur_ns", row, made["dur_ns"][row], "it ends too early")
    if {"start_ns", "dur_ns"} <= set(made.columns):
        beyond = made["start_ns"] > INT64[1] - made["dur_ns"].clip(0)
        if beyond.any():
            row = int(beyond.arg_max() or 0)
            raise FramesError.value(
                name, "start_ns", row, made["start_ns"][row], "it ends beyond 64 bits"
            )
    return made


def _is_frame(given: object) -> bool:
    return isinstance(given, pl.DataFrame) or hasattr(given, "__arrow_c_stream__")


def _column(name: str, frame: pl.DataFrame, column: Column) -> pl.Series:
    if column.name not in frame.columns:
        return pl.repeat(None, len(frame), dtype=column.dtype, eager=True).alias(column.name)
    values = frame[column.name]
    dtype = values.dtype
    kinds: dict[Any, tuple[bool, str]] = {
        pl.Int64: (dtype.is_integer(), "an integer"),
        pl.String: (dtype in (pl.String, pl.Categorical, pl.Enum), "text"),
        pl.Boolean: (dtype == pl.Boolean, "true or false"),
    }
    fits, wanted = kinds[column.dtype]
    if not fits and dtype != pl.Null:
        raise FramesError.dtype(name, column.name, dtype, wanted)
    cast = values.cast(column.dtype, strict=False)
    if cast.null_count() > values.null_count():
        row = int((cast.is_null() & values.is_not_null()).arg_max() or 0)
        raise FramesError.value(name, column.name, row, values[row], "beyond 64 bits with a sign")
    return cast


def _check_kinds(work: pl.DataFrame) -> None:
    kinds = list(dict.fromkeys(WORK_KINDS.values()))
    other = (~work["kind"].is_in(kinds)).fill_null(value=False)
    if other.any():
        row = int(other.arg_max() or 0)
        raise FramesError.value(
            "work", "kind", row, work["kind"][row], f"one of {', '.join(kinds)}"
        )


def _numbered(frames: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Every frame with ids, by id; rows without one are numbered behind all that have one."""
    known = pl.concat([f.select("id", frame=pl.lit(n)) for n, f in frames.items()]).drop_nulls("id")
    if known["id"].is_duplicated().any():
        twice = known.filter(pl.col("id").is_duplicated())
        first = twice["id"][0]
        raise FramesError.repeated(
            first, twice.filter(id=first)["frame"].unique(maintain_order=True)
        )
    no_id = known.filter(~pl.col("id").is_between(0, _HIGHEST))
    if len(no_id):
        first, frame = no_id.row(0)
        row = int((frames[frame]["id"] == first).arg_max() or 0)
        raise FramesError.value(frame, "id", row, first, "ids are from 0 to 2 to the power of 62")
    following = 0 if known.is_empty() else int(known["id"].max()) + 1  # type: ignore[arg-type]
    numbered = {}
    for name, frame in frames.items():
        place = pl.col("id").is_null().cum_sum().cast(pl.Int64) - 1
        ids = pl.when(pl.col("id").is_null()).then(following + place).otherwise("id")
        following += frame["id"].null_count()
        filled = frame.with_columns(ids.cast(pl.Int64).alias("id"))
        numbered[name] = filled if filled["id"].is_sorted() else filled.sort("id")
    return numbered


def _events(frames: dict[str, pl.DataFrame], steps: Steps | pl.DataFrame | None) -> Events:
    recorded = [f for name, f in frames.items() if name != "syncs"]
    if isinstance(steps, pl.DataFrame):  # recorded too, even where no other frame has them
        recorded.append(steps)
    end = pl.col("start_ns") + pl.col("dur_ns")
    span = pl.concat([f.select("start_ns", end=end) for f in recorded if len(f)] or [_NO_SPAN])
    # A step that is not an annotation is no operator either, whatever frame it is in.
    is_step = pl.col("name").str.contains(STEP_NAME).fill_null(value=False)
    named = pl.concat([frames[name].filter(is_step) for name in ("ops", "python")])
    work = frames["work"]
    repeated = [_repeated(frame) for frame in frames.values()]
    firsts = [first for _, first in repeated if first is not None]
    return Events(
        ops=frames["ops"].filter(~is_step),
        annotations=frames["annotations"],
        python=frames["python"].filter(~is_step),
        named_steps=named,
        overhead=frames["overhead"],
        calls=frames["calls"],
        work=work.drop("collective"),
        syncs=frames["syncs"].select("id", *_SYNCS),
        collectives=work.filter(pl.col("collective").fill_null(value=False))["id"],
        span=(int(span["start_ns"].min()), int(span["end"].max())),  # type: ignore[arg-type]
        duplicates=(sum(count for count, _ in repeated), min(firsts, default=None)),
        not_understood=(0, None, []),
    )


def _repeated(frame: pl.DataFrame) -> tuple[int, int | None]:
    """Rows equal to an earlier one in all but the id: how many, and the first."""
    again = ~frame.select(pl.struct(pl.exclude("id")).is_first_distinct()).to_series()
    return int(again.sum()), frame["id"][int(again.arg_max() or 0)] if again.any() else None


def _mentions(texts: pl.DataFrame, key: str) -> bool:
    return bool(texts["value"].str.contains(f'"{key}"', literal=True).any())
