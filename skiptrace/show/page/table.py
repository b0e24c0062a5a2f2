"""A frame as an HTML table that sorts and filters; its columns are defined by the schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from skiptrace.model.schema.column import Column
from skiptrace.show.page.markup import Markup, bar, element, join, name
from skiptrace.show.text import cell, label

ROWS = 200
"""Rows of a table in the file; the rest is left out, and the table says so."""
FIRST = 10
"""Rows that a table shows until it is opened, where the browser runs scripts."""
LABELS = {
    "il_ns": "latency", "akd_ns": "kernel mean", "tklqt_ns": "TKLQT", "kernel_ns": "kernel sum",
    "busy_share": "GPU busy", "gpu_idle_ns": "GPU idle", "cpu_busy_ns": "CPU busy",
    "queue_share": "queued", "time_share": "share", "idle_share": "share", "root_op": "within",
    "op": "operator", "next_op": "then", "call": "waiting call", "python": "Python",
    "gain_share": "gain", "gain_ns": "shorter by", "meaning": "found", "hdbi_share": "HDBI",
    "self_ns": "host self", "total_ns": "host total", "device_total_ns": "device total",
    "tklqt_per_launch_ns": "TKLQT per launch", "floor_ns": "launch floor",
}  # fmt: skip
"""Headings that say more than the column's own name."""
_PROSE = ("advice", "meaning", "affects")
"""Sentences of our own: shown whole."""
_BARS = ("idle_share", "time_share", "self_share", "gain_share", "wait_share")
"""Shares of a whole that a table is about: drawn as well."""


@dataclass(frozen=True, eq=False)
class Table:
    """What a table shows, and what it says of itself."""

    key: str
    """Its anchor, and that of its definitions."""
    title: str
    frame: pl.DataFrame
    defined: Sequence[Column]
    """The schema of the frame."""
    columns: Sequence[str]
    """Which columns are shown; those that are null in all rows are left out."""
    call: str
    """The call that gives the whole frame."""
    rows: int = ROWS
    labels: dict[str, str] = field(default_factory=dict)
    """Other headings than `LABELS`."""

    def shown(self) -> list[str]:
        """The columns that have a value in any row that is shown."""
        return [c for c in self.columns if self.frame[c].head(self.rows).is_not_null().any()]

    @property
    def anchor(self) -> str:
        """Where its columns are defined: in one place for ``ops-1``, ``ops-2`` and so on."""
        return f"{self.key.partition('-')[0]}-columns"

    def heading(self, column: str) -> str:
        """What stands above a column."""
        return self.labels.get(column) or LABELS.get(column) or label(column)

    def meanings(self) -> list[tuple[str, Column]]:
        """Each shown column's heading and definition."""
        known = {column.name: column for column in self.defined}
        return [(self.heading(c), known[c]) for c in self.shown()]


def draw(table: Table) -> Markup:
    """The table under its title; nothing where it has no rows."""
    if table.frame.is_empty():
        return Markup()
    rows = table.frame.head(table.rows)
    shown = table.shown()
    numbers = {c for c in shown if rows[c].dtype.is_numeric()}
    heads = [
        _head(heading, column, numeric=column.name in numbers)
        for heading, column in table.meanings()
    ]
    body = [
        element("tr", *(_cell(c, row[c], numeric=c in numbers) for c in shown))
        for row in rows.iter_rows(named=True)
    ]
    grid = element(
        "table",
        element("caption", table.title, class_="unseen"),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        data_first=FIRST,
    )
    return element(
        "section",
        element("div", element("h3", table.title), _filter(table, len(rows)), class_="over"),
        element("div", grid, class_="scroll", tabindex="0", role="region", aria_label=table.title),
        _foot(table),
        class_="table",
        id=table.key,
    )


def _head(heading: str, column: Column, *, numeric: bool) -> Markup:
    unit = f" ({column.unit})" if column.unit else ""
    meaning = f"{column.name}{unit}: {column.meaning}"
    return element(
        "th", element("button", heading, type="button", title=meaning), scope="col",
        aria_sort="none", class_="n" if numeric else None,
        data_kind="number" if numeric else "text",
    )  # fmt: skip


def _cell(column: str, value: Any, *, numeric: bool) -> Markup:  # noqa: ANN401  the cell of any column
    if isinstance(value, str):
        return element("td", element("p", value) if column in _PROSE else name(value))
    kind = "n" if numeric else None
    if value is None:
        return element("td", element("span", "-", class_="none"), class_=kind)
    shown = cell(column, value, 0)
    drawn = join(shown, bar(value)) if column in _BARS else shown
    return element("td", drawn, class_=kind, data_v=repr(value))


def _filter(table: Table, rows: int) -> Markup | None:
    if rows <= FIRST:
        return None
    box = element(
        "input", type="search", placeholder="filter rows", aria_label=f"Filter: {table.title}"
    )
    count = element("span", f"{rows:,} rows", class_="count", aria_live="polite")
    return element("div", box, count, class_="filter", hidden=True)


def _foot(table: Table) -> Markup:
    more = len(table.frame) - table.rows
    left = f"{more:,} more rows are left out here. " if more > 0 else None
    open_ = element("button", f"Show all {min(len(table.frame), table.rows):,} rows", type="button",
                    class_="more", hidden=True) if len(table.frame) > FIRST else None  # fmt: skip
    every = join(
        left, "All rows and columns: " if more > 0 else "In Python: ", element("code", table.call)
    )
    means = element("a", "what the columns mean", href=f"#{table.anchor}")
    return element("p", open_, element("span", every, " · ", means), class_="foot")


def definitions(table: Table) -> Markup:
    """What each column of the table means."""
    if table.frame.is_empty():
        return Markup()
    rows = []
    for heading, column in table.meanings():
        unit = f", {column.unit}" if column.unit else ""
        rows.append(element("dt", heading, " ", element("code", f"{column.name}{unit}")))
        rows.append(element("dd", column.meaning))
    title = element("h3", element("a", table.title, href=f"#{table.key}"))
    return element("section", title, element("dl", *rows), id=table.anchor)
