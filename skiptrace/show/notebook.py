"""What a notebook shows of a trace or a result: the verdict first, then the figures that matter.

HTML without scripts, classes or colours of its own, so that it takes those of the notebook around
it, light or dark. Names are escaped: what a trace says is shown, never read.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import PurePath
from typing import Any, TypeVar

import polars as pl

from skiptrace.measure.diff import Diff
from skiptrace.measure.ranks import Ranks
from skiptrace.measure.summary import figures, median_step
from skiptrace.model.trace import Trace
from skiptrace.predict.boundedness import verdicts
from skiptrace.predict.doubts import unlinked_share
from skiptrace.predict.sweep import Sweep
from skiptrace.predict.whatif import WhatIf
from skiptrace.show.advice import caution_sentence, verdict_sentence
from skiptrace.show.results import turn_sentences, whatif_sentence
from skiptrace.show.text import cell, shorten

ROWS = 8
"""Rows of a table; of more steps the shortest, the median and the longest are shown."""
NAME = 60
"""Characters of a name."""
POINTS = 20
"""Rows of a sweep."""

_BOX = "font-size:13px;line-height:1.45;overflow-x:auto"
_HEAD = "font-size:1.15em;font-weight:600;margin:0 0 .3em;max-width:56em"
_NOTE = "margin:.25em 0;opacity:.75;max-width:64em"
_TABLE = (
    "border-collapse:collapse;margin:.6em 0;font-size:inherit;color:inherit;"
    "font-variant-numeric:tabular-nums"
)
_CELL = "padding:.2em .9em .2em 0;white-space:nowrap;text-align:"
_RULE = ";border-bottom:1px solid rgba(128,128,128,.35)"

_STEP = {
    "step": "step", "verdict": "bound by", "il_ns": "latency", "launches": "kernel launches",
    "tklqt_ns": "TKLQT", "queue_share": "of it queued", "busy_share": "device busy",
    "gpu_idle_ns": "device idle", "cpu_busy_ns": "host busy",
}  # fmt: skip
"""Columns of a trace's table."""

T = TypeVar("T")


def _shown(build: Callable[[T], Iterable[str]]) -> Callable[[T], str]:
    """The parts of a box, made so that a cell never fails: what cannot be shown has its repr."""

    @wraps(build)
    def shown(value: T) -> str:
        try:
            inside = "".join(build(value))
        except Exception:  # noqa: BLE001  a broken trace can still be looked at
            inside = f"<pre>{html.escape(_repr(value))}</pre>"
        return f'<div style="{_BOX}">{inside}</div>'

    return shown


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  as above
        return object.__repr__(value)


@_shown
def trace_html(trace: Trace) -> Iterator[str]:
    """The verdict on a trace, its steps, and what was recorded.

    It costs what `summary` and `boundedness` do, which keep what they find, and warns of nothing.
    """
    steps = figures(trace, "step", None)
    by_step, verdict = (verdicts(trace, steps, by, None) for by in ("step", "trace"))
    yield _head(verdict_sentence(verdict, by_step, trace.health))
    yield _note(caution_sentence(verdict["verdict"].item(), trace.health, unlinked_share(trace)))
    steps = steps.join(
        by_step.select("step", "verdict", "queue_share"), on="step", how="left",
        maintain_order="left",
    )  # fmt: skip
    yield from _some_steps(steps.filter(pl.col("works") > 0), "il_ns", _STEP)
    yield _note(_recorded(trace))


@_shown
def sweep_html(sweep: Sweep) -> Iterator[str]:
    """Where a sweep turns, and its curve."""
    first, *others = turn_sentences(sweep)
    yield _head(first)
    yield from map(_note, others)
    columns = {
        "parameter": sweep.name, "verdict": "bound by", "il_ns": "latency",
        "tklqt_per_launch_ns": "TKLQT per launch", "launches": "kernel launches",
        "device_share": "critical path on device", "busy_share": "device busy",
        "gpu_idle_ns": "device idle", "cpu_busy_ns": "host busy",
    }  # fmt: skip
    frame = sweep.frame
    if frame["parameter"].dtype.is_float():  # which is a name here: all its digits count
        frame = frame.with_columns(pl.col("parameter").cast(pl.String))
    yield from _table(frame, columns, POINTS)


@_shown
def whatif_html(found: WhatIf) -> Iterator[str]:
    """What a change would bring, what that takes for granted, and each step."""
    yield _head(whatif_sentence(found))
    if not found.changed:
        yield _note("Nothing changes.")
    for line in found.assumptions:
        yield _note(f"Assumed: {line}." if found.changed else f"{line}.")
    columns = {
        "step": "step", "before_ns": "now", "latency_ns": "then", "latency_low_ns": "at least",
        "latency_high_ns": "at most", "speedup": "times as fast", "verdict": "then bound by",
    }  # fmt: skip
    yield from _some_steps(found.frame, "latency_ns", columns)


@_shown
def diff_html(found: Diff) -> Iterator[str]:
    """The change in a sentence, and the operators that made it."""
    yield _head(f"{found.verdict[:1].upper()}{found.verdict[1:]}.")
    columns = {
        "root_op": "outermost operator", "op": "operator", "works_before": "works before",
        "works_after": "after", "before_ns": "latency before", "after_ns": "latency after",
        "change_ns": "change",
    }  # fmt: skip
    yield from _table(found.split, columns, ROWS)
    for which, source in zip(("before", "after"), found.steps["source"], strict=True):
        yield _note(f"{which}: {_name(source)}")


@_shown
def ranks_html(ranks: Ranks) -> Iterator[str]:
    """The median step of each rank."""
    yield _head(f"{len(ranks):,} ranks")
    rows = []
    for rank, trace in list(ranks.traces.items())[:ROWS]:
        steps = figures(trace, "step", None)
        middle = median_step(steps)
        row = middle if len(middle) else steps.head(1)
        rows.append(row.select(
            pl.lit(rank, pl.Int64).alias("rank"), pl.lit(_name(trace.meta.source)).alias("file"),
            pl.lit(len(steps), pl.Int64).alias("steps"), *(pl.col(c) for c in _OF_RANK),
        ))  # fmt: skip
    columns = {"rank": "rank", "file": "file", "steps": "steps", **_OF_RANK}
    if rows:
        yield from _table(pl.concat(rows), columns, ROWS, len(ranks))
    yield _note("The median step of each; sk.stragglers(ranks) tells who waits for whom.")


_OF_RANK = {
    key: name for key, name in _STEP.items() if key not in ("step", "verdict", "queue_share")
}


def _name(source: str) -> str:
    return shorten(PurePath(source).name, 80)


def _recorded(trace: Trace) -> str:
    counts = {
        "operators": trace.ops, "calls": trace.calls, "launches": trace.launches,
        "works": trace.work, "steps": trace.steps,
    }  # fmt: skip
    parts = [f"{what} {len(frame):,}" for what, frame in counts.items()]
    devices = trace.work["device"].unique().sort().head(4)
    names = dict.fromkeys(trace.meta.devices[d] for d in devices if d in trace.meta.devices)
    where = f", on {', '.join(shorten(name, 40) for name in names)}" if names else ""
    window = f" The window [{trace.window[0]}, {trace.window[1]}) ns." if trace.window else ""
    return f"{_name(trace.meta.source)}: {', '.join(parts)}{where}.{window} Trace {trace.grade}."


def _by_latency(steps: pl.DataFrame, latency: str) -> pl.DataFrame:
    return steps.filter(pl.col(latency).is_not_null()).sort(latency, maintain_order=True)


def _some_steps(steps: pl.DataFrame, latency: str, columns: Mapping[str, str]) -> Iterator[str]:
    """All steps in order where they are few, else the shortest, the median and the longest."""
    if len(steps) > ROWS:
        judged = _by_latency(steps, latency)
        yield _note(f"Of {len(steps):,} steps the shortest, the median and the longest:")
        steps = judged[sorted({0, (len(judged) - 1) // 2, len(judged) - 1})] if len(judged) else (
            steps.head(ROWS))  # fmt: skip
    yield from _table(steps, columns, ROWS)


def _table(
    frame: pl.DataFrame, columns: Mapping[str, str], most: int, total: int | None = None
) -> Iterator[str]:
    """The first rows of a frame, times and shares in words; the frame stays as it is."""
    if frame.is_empty():
        return
    sides = {c: "right" if frame[c].dtype.is_numeric() else "left" for c in columns}
    heads = "".join(
        f'<th style="{_CELL}{sides[c]};opacity:.75{_RULE}">{html.escape(shorten(name, 40))}</th>'
        for c, name in columns.items()
    )
    rows = "".join(
        f"<tr>{''.join(_td(sides[c], c, value) for c, value in row.items())}</tr>"
        for row in frame.head(most).select(*columns).iter_rows(named=True)
    )
    yield f'<table style="{_TABLE}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    left_out = (total or len(frame)) - min(most, len(frame))
    if left_out > 0:
        yield _note(f"... and {left_out:,} more")


def _td(side: str, column: str, value: Any) -> str:  # noqa: ANN401  the cell of any column
    return f'<td style="{_CELL}{side}{_RULE}">{html.escape(cell(column, value, NAME))}</td>'


def _head(text: str) -> str:
    return f'<p style="{_HEAD}">{html.escape(text)}</p>'


def _note(text: str) -> str:
    return f'<p style="{_NOTE}">{html.escape(text)}</p>' if text else ""
