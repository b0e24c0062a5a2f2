"""Which rows lie in a window, found by an index that is built once instead of reading the frames.

Frames keep their rows in the order in which they stand, which need not be that of time, and so do
the rows that are taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.intervals import Ints


class Sorted:
    """A frame and its rows in the order of an integer column, nulls left out."""

    def __init__(self, frame: pl.DataFrame, column: str) -> None:
        known = frame[column].is_not_null()
        values = frame[column].drop_nulls().to_numpy()
        self.frame = frame.rechunk()  # or each gather of a few rows would first copy them all
        self.rows: Ints | None = None
        """Row of each value; None where the rows are in that order already."""
        self.values: Ints = values
        if len(values) < len(frame) or (values[1:] < values[:-1]).any():
            order = np.argsort(values, kind="stable")
            self.values, self.rows = values[order], known.arg_true().to_numpy()[order]

    def between(self, low: int, high: int) -> pl.DataFrame:
        """The rows whose value lies in ``[low, high)``, in the order of the frame."""
        first, last = np.searchsorted(self.values, np.array((low, high), np.int64)).tolist()
        if self.rows is None:
            return self.frame.slice(first, last - first)
        return self.frame[np.sort(self.rows[first:last])]

    def equal_to(self, wanted: Ints) -> pl.DataFrame:
        """The rows whose value is one of `wanted` (none given twice), in the frame's order."""
        first = np.searchsorted(self.values, wanted, side="left")
        count = np.searchsorted(self.values, wanted, side="right") - first
        place = np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count)
        return self.frame[np.sort(place if self.rows is None else self.rows[place])]


@dataclass(frozen=True, eq=False)
class Index:
    """What starts when, and which work is whose: each answer costs what it finds."""

    ops: Sorted
    calls: Sorted
    launches: Sorted
    annotations: Sorted
    python: Sorted
    work: Sorted
    """By launch; the others by start."""
