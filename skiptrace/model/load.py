"""`load`: a trace from wherever it is, read, linked and ready for every verb."""

from __future__ import annotations

import os
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

import polars as pl

from skiptrace.errors import ReadError, StepError, TraceWarning
from skiptrace.model import categories as cats
from skiptrace.model.build import Origin, build_trace
from skiptrace.model.events import split_by_role
from skiptrace.model.health import Findings
from skiptrace.model.meta import build_meta
from skiptrace.model.saved import load_saved
from skiptrace.model.steps import Steps, check_window
from skiptrace.model.trace import Trace
from skiptrace.model.writers import translate
from skiptrace.read.columns import Columns, RawEvents
from skiptrace.read.faults import FAULTS
from skiptrace.read.select import Selection
from skiptrace.read.source import Progress, Source, TraceSource
from skiptrace.read.stream import Read, read_parts


def load(
    source: TraceSource,
    *,
    steps: Steps | None = None,
    without: Collection[str] = (),
    window: tuple[int, int] | None = None,
    repair: bool = True,
    progress: Progress | None = None,
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
    without
        Categories to leave out, as the file writes them. ``["python_function"]`` is often most
        of a file; what remains is loaded in about the time of its share.
    window
        Start and end (ns, on the axis of ``start_ns``): load only what touches that time on the
        host, and all device work. The result is the window, as `Trace.between` gives it, but
        floors are taken from what was loaded.
    repair
        Read what a damaged file still holds, and count every fault in health with its byte; False:
        the first fault is an error.
    progress
        Called with a stage and the share of the load that is done, from 0 to 1.

    Returns
    -------
    Trace
        Its frames; what could not be read, linked or placed is counted in ``trace.health``.

    Raises
    ------
    ReadError
        The source cannot be opened, is empty, or holds no event, or without `repair` has, or
        when it was saved had, any fault; or a folder that is no saved trace, of another format,
        incomplete or changed, or is given with `without`.
    MissingDependencyError
        A zstandard file, and the package that reads those is not installed.
    StepError
        `steps` matches nothing, a window does not end after it starts, or the source is a saved
        folder, which has its steps.

    Warns
    -----
    TraceWarning
        No event has a category of `without`; nothing of the host starts in `window`.
    """
    if isinstance(source, (str, os.PathLike)) and (folder := Path(source)).is_dir():
        if steps is not None:
            raise StepError.saved(str(folder), steps)
        if without:
            raise ReadError.without(str(folder), without)
        saved = load_saved(folder)
        if not repair:
            _refuse_repaired(saved, str(folder))
        if progress:
            progress("read", 1.0)
        return saved if window is None else _window(saved, window, _span(saved))
    origin = Source.of(source)
    selection = select(without, window)
    read = read_parts(origin, progress, selection, repair=repair)
    if progress:
        progress("link", 0.8)
    trace = _build(read.events.assembled(), read, origin, selection, steps)
    if progress:
        progress("link", 1.0)
    return trace if window is None else _window(trace, window, selection.span)


def _window(trace: Trace, window: tuple[int, int], span: tuple[int, int] | None) -> Trace:
    """The window of a trace; a warning that says which times there are, where it has no host."""
    part = trace.between(*window)
    if all(frame.is_empty() for frame in (part.ops, part.calls, part.annotations, part.python)):
        low, high = window
        times = (
            "it has no times" if span is None else f"its times go from {span[0]} to {span[1]} ns"
        )
        TraceWarning.issue(
            f"{trace.meta.source}: nothing of the host starts in the window [{low}, {high}) ns; "
            f"{times}."
        )
    return part


def _unmet(selection: Selection, raw: RawEvents, source: str) -> list[str]:
    """Categories to leave out that no event has; a warning of each, a slip of the pen maybe."""
    unmet = sorted(selection.without - selection.met)
    read = raw.frame(["cat"])["cat"].drop_nulls().unique().to_list() if unmet else []
    known = sorted({*read, *selection.met})
    for name in unmet:
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        TraceWarning.issue(
            f"{source}: without={name!r} leaves nothing out: no event has that category.{hint} "
            f"It has {', '.join(known) or 'none'}."
        )
    return unmet


def _refuse_repaired(saved: Trace, folder: str) -> None:
    """Raise for the first fault of the file that was saved."""
    repaired = saved.health.filter(pl.col("kind").is_in(list(FAULTS))).sort("byte")
    for row in repaired.head(1).iter_rows(named=True):
        raise ReadError.fault(folder, row["kind"], row["byte"], row["excerpt"])


def select(without: Collection[str], window: tuple[int, int] | None) -> Selection:
    """What to load; names of categories are told from a single name given by mistake."""
    if window is not None:
        check_window(*window)
    left_out = frozenset([without] if isinstance(without, str) else without)
    return Selection(left_out, window, frozenset([*cats.WORK_KINDS, *cats.SYNCS]))


def _build(
    raw: RawEvents, read: Read[Columns], source: Source, selection: Selection, wanted: Steps | None
) -> Trace:
    findings = Findings()
    findings.add_faults(read.faults)
    for kind, found in raw.found.items():
        findings.add(kind, found.count, raw.events, found.example)
    unmet = _unmet(selection, raw, source.name)
    writer = translate(raw)
    findings.add("other_writer", int(writer is not None), detail=str(writer))
    events = split_by_role(raw)
    findings.add("left_out", raw.left_out, raw.events)
    needed = sorted(filter(cats.NEEDED.fullmatch, selection.met))
    findings.add("needed_left_out", len(needed), detail=", ".join(needed))
    findings.add("without_nothing", len(unmet), len(selection.without), detail=", ".join(unmet))
    count, first, categories = events.not_understood
    findings.add("not_understood", count, raw.events, first, ", ".join(categories))
    findings.add("duplicate_event", events.duplicates[0], raw.events, events.duplicates[1])
    threads = {
        where: name
        for where, name in raw.threads.items()
        if not raw.processes.get(where[0], "").startswith(f"{cats.OWN}: ")
    }
    meta = build_meta(source.name, raw.events, read.header, threads)
    return build_trace(events, findings, Origin(source, meta, frozenset(raw.mentions)), wanted)


def _span(trace: Trace) -> tuple[int, int] | None:
    """From when to when the events of a trace go; None where it has none."""
    frames = (trace.ops, trace.calls, trace.work, trace.annotations, trace.python)
    end = pl.col("start_ns") + pl.col("dur_ns")
    times = pl.concat(frame.select("start_ns", end=end) for frame in frames)
    if times.is_empty():
        return None
    return int(times["start_ns"].min()), int(times["end"].max())  # type: ignore[arg-type]
