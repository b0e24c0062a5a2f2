"""`load`: a trace from wherever it is, read, linked and ready for every verb."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl

from skiptrace.errors import StepError
from skiptrace.model import categories as cats
from skiptrace.model.health import Findings
from skiptrace.model.launches import build_launches
from skiptrace.model.links import enclosing_ops, link_works, nest_ops, valid_id
from skiptrace.model.meta import build_meta
from skiptrace.model.saved import load_saved
from skiptrace.model.schema import CALLS, OPS, WORK, conform
from skiptrace.model.schema import FRAMES as SCHEMA
from skiptrace.model.steps import Steps, find_steps, one_step, step_of
from skiptrace.model.trace import Trace, Whole
from skiptrace.read.columns import RawEvents, assemble
from skiptrace.read.source import Progress, Source, TraceSource
from skiptrace.read.stream import read_parts


def load(
    source: TraceSource, *, steps: Steps | None = None, progress: Progress | None = None
) -> Trace:
    """Load a Kineto/Chrome trace, link its launches and find its steps.

    Parameters
    ----------
    source
        Path of a ``.json``, ``.json.gz`` or ``.json.zst`` file (recognised by content, whatever
        its name), ``bytes``, a binary file object, the decoded ``dict`` or ``list``, or a folder
        that `Trace.save` wrote.
    steps
        What a step is, where it is not ``ProfilerStep#N``: the name, or a pattern like
        ``"execute_*"``, of annotations or operators (of nested matches the outermost counts), a
        list of those, or windows ``(start_ns, end_ns)`` or ``(name, start_ns, end_ns)``.
    progress
        Called with a stage and the share of the load that is done, from 0 to 1.

    Returns
    -------
    Trace
        Its frames; what could not be read, linked or placed is counted in ``trace.health``.

    Raises
    ------
    ReadError
        The source cannot be opened, is empty, cut off, no JSON, or JSON without events; or a
        folder that is no saved trace, of another format, incomplete or changed.
    MissingDependencyError
        A zstandard file, and the package that reads those is not installed.
    StepError
        `steps` matches nothing, a window does not end after it starts, or the source is a saved
        folder, which has its steps.
    """
    if isinstance(source, (str, os.PathLike)) and (folder := Path(source)).is_dir():
        if steps is not None:
            raise StepError.saved(str(folder), steps)
        if progress:
            progress("read", 1.0)
        return load_saved(folder)
    origin = Source.of(source)
    parts, header = read_parts(origin, progress)
    raw = assemble(parts)
    if progress:
        progress("link", 0.8)
    trace = _build(raw, header, origin, steps)
    if progress:
        progress("link", 1.0)
    return trace


def _build(raw: RawEvents, header: dict[str, Any], source: Source, wanted: Steps | None) -> Trace:
    findings = Findings()
    for kind, found in raw.found.items():
        findings.add(kind, found.count, raw.events, found.example)
    events = raw.frame.with_columns(role=cats.role())
    content = [c for c in events.columns if c != "id"]
    # First by three numbers, since hashing every column of every event costs most.
    alike = events.filter(events.select("start_ns", "dur_ns", "tid").is_duplicated())
    same = alike.filter(alike.select(content).is_duplicated())
    first = same.unique(content, keep="first", maintain_order=True)
    findings.add_rows("duplicate_event", same.join(first, on="id", how="anti"), raw.events)
    unknown = events.filter(pl.col("role").is_null())
    names = unknown["cat"].fill_null("no category").unique().sort().head(8).to_list()
    findings.add("not_understood", len(unknown), raw.events, unknown["id"].min(), ", ".join(names))  # type: ignore[arg-type]
    part = dict(events.partition_by("role", as_dict=True, maintain_order=True).items())
    none = events.clear()
    ops, calls, works, annotations, python, named, overhead, syncs = (
        part.get((role,), none)
        for role in ("op", "call", "work", "annotation", "python", "step", "overhead", "sync")
    )

    hosts = pl.concat([annotations, named] if wanted is None else [annotations, named, ops])
    steps = find_steps(hosts, wanted)
    if steps.is_empty():
        start = int(events["start_ns"].min() or 0)  # type: ignore[arg-type]
        end = int((events["start_ns"] + events["dur_ns"]).max() or 0)  # type: ignore[arg-type]
        steps = one_step(start, end)

    ops, nest, crossing = nest_ops(ops)
    findings.add("badly_nested_op", crossing, len(ops))
    calls = enclosing_ops(nest, ops, calls).with_columns(
        pl.when(valid_id()).then(pl.col("correlation")).alias("correlation")
    )
    ops, calls = (
        f.with_columns(step_of(steps, f["pid"].to_numpy(), f["start_ns"].to_numpy()).alias("step"))
        for f in (ops, calls)
    )
    works = works.with_columns(
        kind=pl.col("cat").replace_strict(cats.WORK_KINDS, return_dtype=pl.String),
        device=pl.coalesce("device", "pid"),
        stream=pl.coalesce("stream", "tid"),
    )
    collectives = works.filter(pl.col("collective").is_not_null())["id"]
    works, fallbacks = link_works(calls, works)
    calls, works = conform(calls, CALLS), conform(works, WORK)
    launches, floors, negative = build_launches(calls, works, ops.select("id", "root"))
    _note_links(findings, ops, calls, works, launches, fallbacks, negative)
    kinds = {"kernel", *launches["kind"].unique()}
    for origin in dict.fromkeys(floors.source.values()):
        rest = [k for k in floors.source if floors.source[k] == origin and k in kinds]
        detail = ", ".join(f"{kind}: {floors.ns[kind]} ns" for kind in rest)
        findings.add(f"floor_{origin}", len(rest), detail=detail)
    frames = {
        "ops": conform(ops, OPS),
        "calls": calls,
        "work": works,
        "launches": launches,
        "annotations": conform(annotations, SCHEMA["annotations"]),
        "python": conform(python, SCHEMA["python"]),
        "steps": steps,
    }
    return Trace(
        **frames,
        meta=build_meta(source.name, raw.events, header, raw.threads),
        health=findings.frame(),
        window=None,
        whole=Whole(
            **frames,
            overhead=conform(overhead, SCHEMA["annotations"]),
            syncs=syncs.select("id", "start_ns", "device", "stream", "correlation", "sync_kind"),
            collectives=collectives,
            floors=floors,
            source=source,
        ),
    )


def _note_links(
    findings: Findings,
    ops: pl.DataFrame,
    calls: pl.DataFrame,
    works: pl.DataFrame,
    launches: pl.DataFrame,
    fallbacks: int,
    negative: int,
) -> None:
    findings.add("no_device_work", int(works.is_empty()))
    findings.add("no_operators", int(ops.is_empty()))
    unlinked = works.filter(pl.col("launch").is_null())
    findings.add_rows("unlinked_work", unlinked.filter(valid_id()), len(works))
    findings.add_rows("work_without_id", unlinked.filter(~valid_id()), len(works))
    findings.add("linked_by_external_id", fallbacks, len(works))
    again = (
        calls.filter(valid_id())
        .sort("start_ns", -pl.col("dur_ns"), "id")
        .filter(~pl.col("correlation").is_first_distinct())
    )
    findings.add_rows("shared_correlation", again, len(calls))
    findings.add("negative_launch_time", negative, len(launches))
    findings.add_rows("launch_without_op", launches.filter(pl.col("op").is_null()), len(launches))
    findings.add_rows(
        "launch_outside_steps", launches.filter(pl.col("step").is_null()), len(launches)
    )
    graphs = calls.filter(pl.col("name").str.contains(cats.LAUNCH_GRAPH))
    findings.add_rows(
        "graph_without_work", graphs.join(launches.select("id"), on="id", how="anti"), len(graphs)
    )
    end = pl.col("start_ns") + pl.col("dur_ns")
    early = works.sort("device", "stream", "start_ns", "id").filter(
        pl.col("start_ns") < end.cum_max().shift(1).over("device", "stream")
    )
    findings.add_rows("overlapping_work", early, len(works))
