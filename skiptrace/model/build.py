"""Events by role to a `Trace`: nested, linked, in steps, with what is odd about it counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.beside import beside
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.model.arguments import SavedArguments
from skiptrace.model.doubts import note_doubts
from skiptrace.model.events import Events
from skiptrace.model.health import Findings
from skiptrace.model.launches import Floors, build_launches
from skiptrace.model.links import enclosing_ops, ids_of, link_works, nest_ops, with_ids
from skiptrace.model.meta import Meta
from skiptrace.model.nesting import thread_rows
from skiptrace.model.schema import FRAMES as SCHEMA
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.recorded import CALLS, LAUNCHES, OPS, WORK
from skiptrace.model.steps import Steps, find_steps, one_step, step_of
from skiptrace.model.trace import Trace, Whole
from skiptrace.read.source import Source


class Origin(NamedTuple):
    """Where events came from."""

    source: Source | SavedArguments
    """What has their other arguments."""
    meta: Meta
    mentioned: frozenset[str]
    """As in `Whole`."""


def build_trace(
    events: Events, findings: Findings, origin: Origin, wanted: Steps | pl.DataFrame | None
) -> Trace:
    """Nest, link and place the events of a recording.

    Parameters
    ----------
    events
        One frame a role, in file order.
    findings
        What was odd about reading them; what is odd about them is added.
    wanted
        As ``steps`` of `load`, or the finished frame.
    """
    device = beside(lambda: _link_device(events))  # on one core, and operators on another
    steps = _steps(events, wanted)
    ops, nest, crossing = nest_ops(events.ops)
    ops = conform(_with_step(ops, steps), OPS)
    findings.add("badly_nested_op", crossing, len(ops))
    linked = device.result()
    calls = conform(_with_step(enclosing_ops(nest, ops, linked.calls), steps), CALLS)
    del nest  # as large as three columns
    works, floors = linked.work, linked.floors
    launches = conform(_with_ops(linked.launches, calls, ops), LAUNCHES)
    _note_links(findings, ops, launches, linked)
    kinds = {"kernel", *launches["kind"].unique()}
    for how in dict.fromkeys(floors.source.values()):
        rest = [k for k in floors.source if floors.source[k] == how and k in kinds]
        detail = ", ".join(f"{kind}: {floors.ns[kind]} ns" for kind in rest)
        findings.add(f"floor_{how}", len(rest), detail=detail)
    frames = {
        "ops": ops,
        "calls": calls,
        "work": works,
        "launches": launches,
        "annotations": conform(events.annotations, SCHEMA["annotations"]),
        "python": conform(events.python, SCHEMA["python"]),
        "steps": steps,
    }
    note_doubts(findings, frames, events, origin.meta)
    return Trace(
        **frames,
        meta=origin.meta,
        health=findings.frame(),
        window=None,
        whole=Whole(
            **frames,
            overhead=conform(events.overhead, SCHEMA["annotations"]),
            syncs=events.syncs,
            collectives=events.collectives,
            floors=floors,
            source=origin.source,
            mentioned=origin.mentioned,
            names=events.names,
        ),
    )


def _steps(events: Events, wanted: Steps | pl.DataFrame | None) -> pl.DataFrame:
    if isinstance(wanted, pl.DataFrame):
        return wanted
    hosts = [events.annotations, events.named_steps]
    if wanted is not None:
        hosts.append(events.ops)
    labelled = events.annotations if len(events.annotations) else events.ops
    steps = find_steps(pl.concat(hosts), wanted, labelled["name"])
    return one_step(*events.span) if steps.is_empty() else steps


def _with_step(frame: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    step = step_of(steps, frame["pid"].to_numpy(), frame["start_ns"].to_numpy())
    return frame.with_columns(step.alias("step"))


def _with_ops(launches: pl.DataFrame, calls: pl.DataFrame, ops: pl.DataFrame) -> pl.DataFrame:
    """Launches, which are calls, with the step and the operators of each."""
    call = rows_of(calls["id"], launches["id"])
    operator = calls["op"][call]
    root = link_to_row(ops["root"], rows_of(ops["id"], operator))
    return launches.with_columns(operator, calls["step"][call], root.alias("root_op"))


class _Linked(NamedTuple):
    """What is found without the operators."""

    calls: pl.DataFrame
    work: pl.DataFrame
    launches: pl.DataFrame
    floors: Floors
    fallbacks: int


def _link_device(events: Events) -> _Linked:
    calls = with_ids(events.calls)
    work, fallbacks = link_works(calls, events.work)
    work = conform(work, WORK)
    return _Linked(calls, work, *build_launches(calls, work), fallbacks)


def _note_links(
    findings: Findings, ops: pl.DataFrame, launches: pl.DataFrame, linked: _Linked
) -> None:
    works = linked.work[["id", "start_ns", "dur_ns", "device", "stream", "correlation", "launch"]]
    findings.add("no_device_work", int(works.is_empty()))
    findings.add("no_operators", int(ops.is_empty()))
    unlinked = _lacking(works, "launch")
    has_id = ids_of(unlinked) != 0
    findings.add_ids("unlinked_work", unlinked["id"].to_numpy()[has_id], len(works))
    findings.add_ids("work_without_id", unlinked["id"].to_numpy()[~has_id], len(works))
    findings.add("linked_by_external_id", linked.fallbacks, len(works))
    for kind, column in (("launch_without_op", "op"), ("launch_outside_steps", "step")):
        findings.add_rows(kind, _lacking(launches, column), len(launches))
    findings.add_rows("overlapping_work", _overlapping(works), len(works))


def _lacking(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Rows without a value in a column; that there are none is known without a look."""
    nulls = frame[column].null_count()
    return frame.filter(pl.col(column).is_null()) if nulls else frame.clear()


def _overlapping(works: pl.DataFrame) -> pl.DataFrame:
    """Works that start before an earlier one of their stream has ended."""
    device, stream, start, dur = (
        works[c].to_numpy() for c in ("device", "stream", "start_ns", "dur_ns")
    )
    early = [np.empty(0, np.int64)]
    for rows in thread_rows(device, stream, start).values():
        reach = np.maximum.accumulate((start + dur)[rows])
        early.append(rows[1:][start[rows[1:]] < reach[:-1]])
    return works[np.concatenate(early)]
