"""Numbers as people read them."""

from __future__ import annotations

from typing import Any

from skiptrace.model.duration import duration


def percent(share: float | None) -> str:
    """A share as a percentage."""
    if share is None:
        return "-"
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def printable(text: str) -> str:
    """The text with whatever would steer a terminal or a browser (bidi marks, too) taken out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def shorten(text: str | None, width: int) -> str:
    """Cut the middle out of a long name: templates differ at both ends."""
    if text is None:
        return "-"
    text = printable(text)
    if len(text) <= width:
        return text
    head = (width - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def label(column: str) -> str:
    """The heading of a column: its unit is in the cells."""
    return column.removesuffix("_ns").removesuffix("_share").replace("_", " ")


def cell(column: str, value: Any, width: int) -> str:  # noqa: ANN401  the cell of any column
    """A value as people read it, by the name of its column; names cut to `width`."""
    if value is None:
        return "-"
    if column.endswith("_ns"):
        return duration(round(value))
    if column.endswith("_share"):
        return percent(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else shorten(str(value), width)
