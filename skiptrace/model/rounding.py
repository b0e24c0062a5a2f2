"""Means, medians and percentiles of integer nanoseconds that stay exact integers."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import polars as pl

from skiptrace.intervals import Ints

Number = TypeVar("Number", int, pl.Expr)


def _halved(total: Number) -> Number:
    """Half of an integer, rounded half to even."""
    quotient = total // 2
    return quotient + ((total % 2) * (quotient % 2))


def _ranked(name: str, place: pl.Expr) -> pl.Expr:
    """The value at a place of the sorted column; null where there is no row."""
    return pl.col(name).sort().slice(place, 1).first()


def median(name: str) -> pl.Expr:
    """Median of an integer column, half to even; null where there is no row."""
    count = pl.len().cast(pl.Int64)
    return _halved(_ranked(name, (count - 1) // 2) + _ranked(name, count // 2))


def p95(name: str) -> pl.Expr:
    """95th percentile of an integer column, nearest rank; null where there is no row."""
    return _ranked(name, (95 * pl.len().cast(pl.Int64) + 99) // 100 - 1)


def mean_of(total: pl.Expr, count: pl.Expr) -> pl.Expr:
    """Integer mean, half to even; null where `count` is 0."""
    quotient, rest = total // count, total % count
    up = (2 * rest > count) | ((2 * rest == count) & (quotient % 2 == 1))
    return pl.when(count > 0).then(quotient + up.cast(pl.Int64))


def share_of(part: pl.Expr, total: pl.Expr) -> pl.Expr:
    """A share; null of nothing."""
    return pl.when(total > 0).then(part / total)


def quantile_of(values: Ints, percent: int) -> int:
    """Nearest-rank percentile of a non-empty array."""
    ordered = np.sort(values)
    return int(ordered[max((percent * len(ordered) + 99) // 100 - 1, 0)])


def median_of(values: Ints) -> int:
    """Median of a non-empty array, half to even."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high))
    return _halved(int(ordered[low]) + int(ordered[high]))
