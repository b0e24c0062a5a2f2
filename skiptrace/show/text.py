"""Numbers as people read them."""

from __future__ import annotations

from typing import Any

NAME_WIDTH = 60
"""Characters of a name in a table."""
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))


def duration(ns: int | None) -> str:
    """Nanoseconds with three significant digits, in the unit that suits them."""
    if ns is None:
        return "-"
    for size, unit in _UNITS:
        if abs(ns) >= size:
            value = ns / size
            digits = max(0, 2 - len(str(int(abs(value)))) + 1)
            return f"{value:,.{digits}f} {unit}"
    return f"{ns} ns"


def percent(share: float | None) -> str:
    """A share as a percentage."""
    if share is None:
        return "-"
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def shorten(text: str | None, width: int) -> str:
    """Cut the middle out of a long name: templates differ at both ends."""
    if text is None:
        return "-"
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if len(text) <= width:
        return text
    head = (width - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def label(column: str) -> str:
    """What a table calls a column: its cells have their units with them."""
    return column.removesuffix("_ns").removesuffix("_share").replace("_", " ")


def cell(column: str, value: Any) -> str:  # noqa: ANN401  the cell of any column
    """A cell of a table: columns that end in ``_ns`` as durations, shares as percentages."""
    if value is None:
        return "-"
    if column.endswith("_ns"):
        return duration(round(value))
    if column.endswith("_share"):
        return percent(value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else shorten(str(value), NAME_WIDTH)
