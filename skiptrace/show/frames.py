"""Any frame as a table: columns that end in `_ns` as durations, shares as percentages."""

from __future__ import annotations

from typing import Literal

import polars as pl
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from skiptrace.show.text import cell, label

NAME_WIDTH = 60


def print_frame(console: Console, title: str, frame: pl.DataFrame, rows: int = 20) -> None:
    """A frame under a title, cut after `rows` rows, which it says."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name, dtype in frame.schema.items():
        # Only names are long enough to fold.
        number, folds = dtype.is_numeric(), name == "kernel"
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(label(name), justify=justify, overflow="fold", no_wrap=not folds)
    for row in frame.head(rows).iter_rows(named=True):
        table.add_row(*(Text(cell(name, value, NAME_WIDTH)) for name, value in row.items()))
    print_table(console, title, table, len(frame) - rows)


def print_table(console: Console, title: str, table: Table, more: int) -> None:
    """A table under its title, and how many rows it leaves out.

    Where the console is too narrow, names are folded and numbers run over the edge: better than
    numbers cut.
    """
    size = Measurement.get(console, console.options.update(max_width=10_000), table)
    folds = any(not column.no_wrap for column in table.columns)
    if folds and size.maximum > console.width - 2:
        table.width = max(size.minimum + len(table.columns), console.width - 2)
    console.print()
    console.print(Text(title, style="bold"))
    options = console.options.update(max_width=10_000)
    for line in console.render_lines(table, options, pad=False):
        console.print(
            Text("  " + "".join(part.text for part in line).rstrip()),
            crop=False,
            overflow="ignore",
            no_wrap=True,
        )
    if more > 0:
        console.print(Text(f"  ... and {more:,} more rows (see --json)", style="dim"))
