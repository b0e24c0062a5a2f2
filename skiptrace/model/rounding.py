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


def ordered(name: str) -> pl.Expr:
    """The values of a group in order, as a list: sorted once for whatever is asked of them."""
    return pl.col(name).sort().implode()


def _count(values: pl.Expr) -> pl.Expr:
    return values.list.len().cast(pl.Int64)


def median(values: pl.Expr) -> pl.Expr:
    """Median of each list of integers in order, half to even; null of none."""
    count = _count(values)
    low, high = (
        values.list.get(place, null_on_oob=True) for place in ((count - 1) // 2, count // 2)
    )
    return _halved(low + high)


def p95(values: pl.Expr) -> pl.Expr:
    """95th percentile of each list of integers in order, nearest rank; null of none."""
    return values.list.get((95 * _count(values) + 99) // 100 - 1, null_on_oob=True)


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
