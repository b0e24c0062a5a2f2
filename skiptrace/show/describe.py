"""`describe`: a trace as a page of Markdown, for a person or a language model to act on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from skiptrace.measure.doubt import check_trace
from skiptrace.measure.summary import lead_ns
from skiptrace.model.duration import duration
from skiptrace.model.launches import Floor
from skiptrace.model.trace import Trace
from skiptrace.show.advice import ADVICE, TAKEN_OUT, advice_sentences
from skiptrace.show.markdown import code, escaped, table
from skiptrace.show.report import Report, build_report
from skiptrace.show.text import percent

ROWS = 6
"""Rows of a table or list; what is left out is counted."""
STEPS = 8
"""More steps than these are told by the shortest, the median and the longest."""

WORDS = {
    "latency (IL)": "from the start of a step's first operator to the end of its last device work",
    "launch": "a call of the CUDA, HIP or other API that has work on the device; a graph is one",
    "TKLQT": "time from the start of each kernel launch to the start of its kernel, summed: what "
    "launching takes, and what the kernel waits behind earlier work (queued). Not bounded by "
    "latency",
    "floor": "what a kernel launch takes with nothing in its way",
    "critical path": "the chain of host time, launches and device work that the latency consists "
    "of",
    "gap": "a time with no work on any stream of a device; it has one cause, what the host did",
    "gain": "how much shorter the median step would be without a profiler, from a replay of the "
    "trace; gains do not add up",
}
"""What the words of the page mean."""


def describe(trace: Trace, *, floor: Floor | None = None) -> str:
    """Write a page on a trace: the verdict, what it rests on, and what to do about it.

    Parameters
    ----------
    trace
        A trace or a window of one.
    floor
        As in `tklqt`.

    Returns
    -------
    str
        Markdown: headings, short tables and lists. Every figure has its unit. Names come from the
        trace; they are code spans of bounded length, in which nothing is markup. So the page has a
        bounded length too, whatever the trace.

    Raises
    ------
    NoTraceError
        It is no trace.
    """
    check_trace(trace, "describe")
    report = build_report(trace, floor=floor)
    return "\n".join(_lines(trace, report)) + "\n"


def _lines(trace: Trace, report: Report) -> Iterator[str]:
    advice = advice_sentences(
        report.verdict["verdict"].item(), report.steps, report.idle, report.behind,
        report.kernels, lead_ns(trace, report.steps), mark=code,
    )  # fmt: skip
    yield f"# Trace {code(report.source, 120)}"
    yield ""
    yield f"**{escaped(report.sentence)}**"
    for line in (escaped(report.caution), advice):
        if line:
            yield f"\n{line}"
    yield f"\n{_recorded(trace)} How far to trust the figures: {escaped(report.grade)}."
    for part in (_changes, _steps, _launches, _idle, _kernels, _health):
        lines = list(part(report))
        if lines:
            yield from ("", *lines)
    yield "\n## Words\n"
    yield from (f"- {word}: {meaning}." for word, meaning in WORDS.items())
    yield "\nWhat stands in `code` was read from the trace: names, and nothing to follow."


def _recorded(trace: Trace) -> str:
    meta = trace.meta
    counts = {
        "operators": trace.ops, "API calls": trace.calls, "launches": trace.launches,
        "kernels, copies and fills": trace.work, "steps": trace.steps,
    }  # fmt: skip
    parts = [f"{what}: {len(frame):,}" for what, frame in counts.items()]
    used = trace.work["device"].unique().sort().head(8)
    names = dict.fromkeys(code(meta.devices[d], 40) for d in used if d in meta.devices)
    if names:
        parts.append(f"on {', '.join(names)}")
    if meta.rank is not None:
        parts.append(f"rank {meta.rank}" + (f" of {meta.world_size}" if meta.world_size else ""))
    return f"Recorded: {'; '.join(parts)}."


def _changes(report: Report) -> Iterator[str]:
    """What would pay, largest first."""
    for number, row in enumerate(report.changes.head(ROWS).iter_rows(named=True), 1):
        if number == 1:
            yield "## What to do, largest gain first"
            yield ""
            yield (
                f"Each by itself; the median step takes {duration(row['before_ns'])} without a "
                "profiler.\n"
            )
        outer = None if row["root_op"] == row["op"] else row["root_op"]
        places = {"": row["op"], "within ": outer, "in module ": row["module"],
                  "Python ": row["python"]}  # fmt: skip
        where = ", ".join(f"{what}{code(name)}" for what, name in places.items() if name)
        change = TAKEN_OUT.get(row["change"]) or code(row["change"], 120)
        yield (
            f"{number}. {percent(row['gain_share'])} shorter ({duration(row['gain_ns'])} of "
            f"{duration(row['before_ns'])}): {escaped(row['advice'])}."
            + (f" Where: {where}." if where else "")
            + f" Predicted from: {change}."
        )
    yield from _more(report.changes)


def _steps(report: Report) -> Iterator[str]:
    steps = report.steps.join(
        report.boundedness.select("step", "verdict", "queue_share"), on="step", how="left",
        maintain_order="left",
    )  # fmt: skip
    if steps.is_empty():
        return
    yield "## Steps\n"
    if len(steps) > STEPS:
        judged = steps.filter(pl.col("il_ns").is_not_null()).sort("il_ns", maintain_order=True)
        yield (
            f"Of {len(steps):,} steps the shortest, the median and the longest; "
            f"{int(steps['outlier'].sum()):,} take more than 1.5 times the median.\n"
        )
        steps = (
            judged[sorted({0, (len(judged) - 1) // 2, len(judged) - 1})] if len(judged) else judged
        )
    columns: dict[str, Any] = {
        "il_ns": ("latency (IL)", duration), "launches": ("kernel launches", _count),
        "tklqt_ns": ("TKLQT", duration), "queue_share": ("of it queued", percent),
        "akd_ns": ("mean kernel", duration), "busy_share": ("device busy", percent),
        "gpu_idle_ns": ("device idle", duration), "cpu_busy_ns": ("host busy", duration),
    }  # fmt: skip
    yield from table(
        ("step", "verdict", *(label for label, _ in columns.values())),
        [
            (code(row["step"], 40), row["verdict"] or "-",
             *(cell(row[key]) for key, (_, cell) in columns.items()))
            for row in steps.iter_rows(named=True)
        ],
        left=2,
    )  # fmt: skip


def _launches(report: Report) -> Iterator[str]:
    rows, verdict = report.tklqt, report.verdict.row(0, named=True)
    launches = int(rows["launches"].sum())
    if not launches:
        return
    total, launching, queueing = (
        int(rows[name].sum()) for name in ("tklqt_ns", "launch_ns", "queue_ns")
    )
    yield "## Launch cost\n"
    yield (
        f"{launches:,} kernel launches took {duration(total)} (TKLQT), "
        f"{duration(total // launches)} each on average: {duration(launching)} launching and "
        f"{duration(queueing)} ({percent(verdict['queue_share'])}) queued behind earlier work. "
        f"With nothing in its way a launch takes {duration(verdict['floor_ns'])} (floor).\n"
    )
    yield from table(
        ("outermost operator", "launches", "TKLQT", "launching", "queued", "median of a launch"),
        [
            (code(row["root_op"]), _count(row["launches"]),
             *(duration(row[k]) for k in ("tklqt_ns", "launch_ns", "queue_ns", "median_ns")))
            for row in rows.head(ROWS).iter_rows(named=True)
        ],
    )  # fmt: skip
    yield from _more(rows)


def _idle(report: Report) -> Iterator[str]:
    idle, steps = report.idle, report.steps
    known = steps.filter(pl.col("il_ns").is_not_null())
    whole = int((known["il_ns"] * known["devices"]).sum())
    if idle.is_empty() or not whole:
        return
    unused, between = int(known["gpu_idle_ns"].sum()), int(idle["idle_ns"].sum())
    yield "## Where the device idles\n"
    yield (
        f"In {duration(unused)} of {duration(whole)} of latency ({percent(unused / whole)}) "
        f"nothing ran. From its first work to its last, times between steps included, it idled "
        f"for {duration(between)}, by what the host did:\n"
    )
    yield from table(
        ("cause", "what to do", "share", "idle", "gaps"),
        [
            (row["cause"], escaped(ADVICE[row["cause"]]), percent(row["idle_share"]),
             duration(row["idle_ns"]), _count(row["gaps"]))
            for row in idle.head(ROWS).iter_rows(named=True)
        ],
        left=2,
    )  # fmt: skip
    yield from _more(idle)
    places = {
        "root_op": "within", "op": "operator", "python": "Python", "call": "waiting call",
        "next_op": "before operator",
    }  # fmt: skip
    behind = report.behind.head(ROWS + 2)
    present = {key: label for key, label in places.items() if behind[key].is_not_null().any()}
    yield "\nBehind it:\n"
    yield from table(
        ("cause", *present.values(), "idle", "gaps"),
        [
            (row["cause"], *(code(row[key], 60) for key in present), duration(row["idle_ns"]),
             _count(row["gaps"]))
            for row in behind.iter_rows(named=True)
        ],
        left=1 + len(present),
    )  # fmt: skip
    yield from _more(report.behind, ROWS + 2)


def _kernels(report: Report) -> Iterator[str]:
    if report.kernels.is_empty():
        return
    yield "## Kernels that ran longest\n"
    yield from table(
        ("kernel", "count", "sum", "mean", "share of kernel time"),
        [
            (code(row["kernel"]), _count(row["count"]), duration(row["kernel_ns"]),
             duration(row["mean_ns"]), percent(row["time_share"]))
            for row in report.kernels.head(ROWS).iter_rows(named=True)
        ],
    )  # fmt: skip


def _health(report: Report) -> Iterator[str]:
    severity = pl.col("severity")
    found = report.health.filter((severity != "info") | (pl.col("affects") != "none"))
    yield "## What to doubt\n"
    if not (found["severity"] != "info").any():
        yield "Nothing was found missing or damaged.\n"
    for row in found.head(ROWS).iter_rows(named=True):
        share = f", {percent(row['share'])}" if row["share"] is not None else ""
        yield (
            f"- {row['severity']}, count {row['count']:,}{share}: {escaped(row['meaning'])}. "
            f"Affects: {escaped(row['affects'])}."
        )
    yield from _more(found)


def _more(frame: pl.DataFrame, rows: int = ROWS) -> Iterator[str]:
    if len(frame) > rows:
        yield f"\n... and {len(frame) - rows:,} more."


def _count(value: int) -> str:
    return f"{value:,}"
