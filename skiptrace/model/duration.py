"""Nanoseconds as people read them."""

from __future__ import annotations

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
