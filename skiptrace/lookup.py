"""Values by row and rows by value: on the arrays of columns, without a query each."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from polars._typing import PolarsDataType

from skiptrace.intervals import Bools, Ints


def where(valid: Bools, values: pl.Series) -> pl.Series:
    """The values, null where they are not valid; cheaper than an expression."""
    if valid.all():
        return values
    return values.zip_with(pl.Series(valid), pl.Series([None], dtype=values.dtype))


def filled(values: pl.Series, value: int) -> Ints:
    """Integers as an array, with a value where there are none."""
    some = values.null_count()
    return (values.fill_null(value) if some else values).to_numpy()


def nothing(count: int, dtype: PolarsDataType) -> pl.Series:
    """So many nulls."""
    return pl.Series([None], dtype=dtype).new_from_index(0, count)


def rows_of(ids: pl.Series, wanted: pl.Series) -> Ints:
    """Row of each wanted id, the first of several; -1 where it is null or not among `ids`."""
    known, asked = ids.to_numpy(), filled(wanted, -1)
    if not len(known) or not len(asked):
        return np.full(len(asked), -1, np.int64)
    low, high = int(known.min()), int(known.max())
    if high - low < 4 * (len(known) + len(asked)):  # dense, as ids of a frame are: a table
        table = np.full(high - low + 2, -1, np.int32)
        rows = np.arange(len(known), dtype=np.int32)
        table[(known - low)[::-1]] = rows[::-1]  # the first is written last
        # Without a sign what lies below is large, and all that is outside finds the last, -1.
        place = (asked - low).view(np.uint64)
        np.minimum(place, len(table) - 1, out=place)
        return np.asarray(table[place.view(np.int64)], np.int64)
    if (known[1:] > known[:-1]).all():
        row = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    else:
        order = np.argsort(known, kind="stable")
        row = order[np.minimum(np.searchsorted(known, asked, sorter=order), len(known) - 1)]
    return np.where(known[row] == asked, row, -1)


def link_to_row(ids: pl.Series, row: np.ndarray[Any, np.dtype[np.signedinteger]]) -> pl.Series:
    """Ids at the given rows, null where the row is -1."""
    if not len(ids):
        return nothing(len(row), ids.dtype)
    return where(row >= 0, ids[np.maximum(row, 0)])


def shared(values: np.ndarray[Any, Any]) -> Ints:
    """Places, in order, whose value another has too; cheap for what is nearly sorted."""
    order = np.argsort(values, kind="stable")
    again = np.flatnonzero(values[order[1:]] == values[order[:-1]])
    return np.union1d(order[again], order[again + 1])


def occurring(codes: np.ndarray[Any, Any], count: int) -> Ints:
    """The codes below `count` that occur, in order; others may be -1, or `count`."""
    occurs = np.zeros(count + 1, np.bool_)
    occurs[codes] = True  # -1 finds the last
    return np.flatnonzero(occurs[:-1])
