"""Any frame as a table: columns that end in `_ns` as durations, shares as percentages."""

from __future__ import annotations

from typing import Any

import polars as pl
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from skiptrace.show.text import duration, percent, shorten

NAME_WIDTH = 60


def print_frame(console: Console, title: str, frame: pl.DataFrame, rows: int = 20) -> None:
    """A frame under a title, cut after `rows` rows, which it says."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name, dtype in frame.schema.items():
        table.add_column(_label(name), justify="right" if dtype.is_numeric() else "left")
    for row in frame.head(rows).iter_rows(named=True):
        table.add_row(*(Text(_cell(name, value)) for name, value in row.items()))
    console.print()
    console.print(Text(title, style="bold"))
    console.print(Padding(table, (0, 0, 0, 2)))
    if len(frame) > rows:
        console.print(Text(f"  ... and {len(frame) - rows:,} more rows (see --json)", style="dim"))


def _label(name: str) -> str:
    return name.removesuffix("_ns").removesuffix("_share").replace("_", " ")


def _cell(name: str, value: Any) -> str:  # noqa: ANN401  the cell of any column
    if value is None:
        return "-"
    if name.endswith("_ns"):
        return duration(round(value))
    if name.endswith("_share"):
        return percent(value)
    if isinstance(value, list):
        more = f" +{len(value) - 1}" if len(value) > 1 else ""
        return (shorten(value[0], NAME_WIDTH - 6) if value else "-") + more
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else shorten(str(value), NAME_WIDTH)
