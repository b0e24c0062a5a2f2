"""A report as rich tables in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiptrace.model.duration import duration
from skiptrace.show.advice import TAKEN_OUT
from skiptrace.show.frames import print_table
from skiptrace.show.report import Report
from skiptrace.show.text import percent, shorten

ROWS = 12
"""Rows of a table before it is cut, and says so."""

CHANGE_WIDTH = 160
"""Characters of a change: it wraps, since its end may say the most."""

Cell = Callable[[Any], str]


def print_report(report: Report, console: Console) -> None:
    """The verdict first, then what it rests on."""
    console.print(Text(report.sentence, style="bold"))
    if report.caution:
        console.print(Text(report.caution, style="bold yellow"))
    if report.advice:
        console.print(Text(report.advice))
    if report.grade != "good":
        console.print(Text(f"Trace {report.grade}."))
    wide = max(16, console.width - 62)
    steps = report.steps.join(
        report.boundedness.select("step", "verdict", "queue_share"), on="step", how="left"
    )
    _table(console, "Steps", steps, {
        "step": ("step", _name(26)), "verdict": ("verdict", _text), "il_ns": ("latency", duration),
        "launches": ("launches", _count), "tklqt_ns": ("TKLQT", duration),
        "queue_share": ("queued", percent), "akd_ns": ("kernel mean", duration),
        "busy_share": ("GPU busy", percent), "gpu_idle_ns": ("GPU idle", duration),
        "cpu_busy_ns": ("CPU busy", duration)})  # fmt: skip
    _table(console, "TKLQT by root operator", report.tklqt, {
        "root_op": ("root operator", _name(wide)), "launches": ("launches", _count),
        "tklqt_ns": ("TKLQT", duration), "launch_ns": ("launch", duration),
        "queue_ns": ("queue", duration), "median_ns": ("median", duration)})  # fmt: skip
    _table(console, "Idle time between works, by cause", report.idle, {
        "cause": ("cause", _text), "idle_share": ("share", percent), "idle_ns": ("idle", duration),
        "gaps": ("gaps", _count)})  # fmt: skip
    places: dict[str, tuple[str, Cell]] = {
        "cause": ("cause", _text), "root_op": ("within", _name(24)), "op": ("operator", _name(30)),
        "python": ("Python", _name(36)), "call": ("waiting call", _name(24)),
        "next_op": ("then", _name(24)), "idle_ns": ("idle", duration), "gaps": ("gaps", _count),
    }  # fmt: skip
    shown = report.behind.head(ROWS)
    present = {k: cell for k, cell in places.items() if shown[k].is_not_null().any()}
    _table(console, "Behind it", report.behind, present)
    _table(console, "What the host did meanwhile", report.activities, {
        "activity": ("activity", _text), "idle_share": ("share", percent),
        "idle_ns": ("idle", duration)})  # fmt: skip
    _table(console, "Top kernels", report.kernels, {
        "kernel": ("kernel", _name(wide + 16)), "count": ("count", _count),
        "kernel_ns": ("sum", duration), "mean_ns": ("mean", duration),
        "time_share": ("share", percent)})  # fmt: skip
    _changes(console, report.changes)
    _table(console, "Health", report.health, {
        "severity": ("severity", _text), "count": ("count", _count), "meaning": ("found", _text),
        "affects": ("affects", _text)})  # fmt: skip


def _changes(console: Console, found: pl.DataFrame) -> None:
    """What would pay: a table, and a sentence on what to do about the first."""
    if found.is_empty():
        return
    found = found.with_columns(pl.col("change").replace(TAKEN_OUT))
    columns: dict[str, tuple[str, Cell]] = {
        "change": ("change", _name(CHANGE_WIDTH)), "gain_share": ("gain", percent),
        "gain_ns": ("shorter by", duration), "op": ("where", _name(36)),
        "module": ("module", _name(28)), "python": ("Python", _name(36)),
    }  # fmt: skip
    present = {k: cell for k, cell in columns.items() if found[k].is_not_null().any()}
    whole = f"the median step takes {duration(found['before_ns'][0])} without a profiler"
    _table(console, f"What would pay, each by itself ({whole})", found, present)
    console.print(Text(f"  First: {found['advice'][0]}."))


def _table(
    console: Console, title: str, frame: pl.DataFrame, columns: dict[str, tuple[str, Cell]]
) -> None:
    if frame.is_empty():
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for key, (label, cell) in columns.items():
        number = frame[key].dtype.is_numeric()
        justify: Literal["left", "right"] = "right" if number else "left"
        short = number or cell is _text or key == "step"
        table.add_column(
            label, justify=justify, overflow="fold", no_wrap=short and key != "meaning"
        )
    for row in frame.head(ROWS).iter_rows(named=True):
        table.add_row(*_cells(row, columns.items()))
    print_table(console, title, table, len(frame) - ROWS)


def _cells(row: dict[str, Any], columns: Iterable[tuple[str, tuple[str, Cell]]]) -> list[Text]:
    # Names come from the trace: as Text they cannot carry markup.
    return [Text(cell(row[key])) for key, (_, cell) in columns]


def _count(value: int) -> str:
    return f"{value:,}"


def _text(value: str | None) -> str:
    return value if value is not None else "-"


def _name(width: int) -> Cell:
    return lambda value: shorten(value, width)
