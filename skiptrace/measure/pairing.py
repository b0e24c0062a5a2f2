"""Which row of one trace is which of another: by call path, name and order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.lookup import rows_of
from skiptrace.model.nesting import ancestry

BETWEEN = " / "
"""Between the operators of a call path, outermost first."""


class Pairs(NamedTuple):
    """The rows of two frames: those that are each other's first, then those of one alone."""

    before: Ints
    """Row of the first frame, -1 for what was added."""
    after: Ints
    """Row of the second frame, -1 for what was removed."""
    match: pl.Series
    """The round that paired them, null for what is in one alone."""


def call_paths(ops: pl.DataFrame) -> pl.Series:
    """The names of the operators above each and its own, outermost first, among those given."""
    parent = rows_of(ops["id"], ops["parent"])
    depth, _ = ancestry(parent)
    path = ops["name"].fill_null("")
    for level in range(1, int(depth.max(initial=0)) + 1):
        here = np.flatnonzero(depth == level)
        longer = path.gather(parent[here]) + BETWEEN + path.gather(here)
        path = path.scatter(here, longer)
    return path.alias("path")


def pair(before: pl.DataFrame, after: pl.DataFrame, rounds: dict[str, Sequence[str]]) -> Pairs:
    """Pair the rows of two frames, the n-th of a key with the n-th of the same key.

    Parameters
    ----------
    before, after
        In the order that counts; key columns are texts, and nulls are equal.
    rounds
        Name -> key columns; each round pairs what those before it left.
    """
    codes = {
        key: _codes(before[key], after[key])
        for key in dict.fromkeys(key for keys in rounds.values() for key in keys)
    }
    left = [np.arange(len(before)), np.arange(len(after))]
    found: list[tuple[Ints, Ints]] = []
    names: list[pl.Series] = []
    for name, keys in rounds.items():
        one, two = _same(*(_mixed([codes[key][i] for key in keys], left[i]) for i in (0, 1)))
        found.append((left[0][one], left[1][two]))
        names.append(pl.repeat(name, len(one), dtype=pl.String, eager=True))
        left = [np.delete(rows, paired) for rows, paired in zip(left, (one, two), strict=True)]
    nothing = [np.full(len(rows), -1, np.int64) for rows in left]
    alone = pl.repeat(None, sum(map(len, left)), dtype=pl.String, eager=True)
    return Pairs(
        np.concatenate((*(one for one, _ in found), left[0], nothing[1])),
        np.concatenate((*(two for _, two in found), nothing[0], left[1])),
        pl.concat([*names, alone]).alias("match"),
    )


def _codes(before: pl.Series, after: pl.Series) -> tuple[Ints, Ints]:
    """A number for each text, the same on both sides; 0 for null."""
    both = pl.concat([before, after]).cast(pl.Categorical).to_physical().cast(pl.Int64)
    numbers = (both + 1).fill_null(0).to_numpy()
    return numbers[: len(before)], numbers[len(before) :]


def _mixed(codes: list[Ints], rows: Ints) -> Ints:
    """One number for the codes of a row; a trace has fewer than 2**31 different texts."""
    mixed = codes[0][rows]
    for more in codes[1:]:
        mixed = (mixed << 31) | more[rows]
    return mixed


def _same(before: Ints, after: Ints) -> tuple[Ints, Ints]:
    """Places of the n-th of a number on both sides, for every number and n that both have."""
    orders = [np.argsort(numbers, kind="stable") for numbers in (before, after)]
    sorted_ = [numbers[order] for numbers, order in zip((before, after), orders, strict=True)]
    first = np.searchsorted(sorted_[0], sorted_[1], side="left")
    nth = np.arange(len(after)) - np.searchsorted(sorted_[1], sorted_[1], side="left")
    place = first + nth
    there = place < len(before)
    there[there] = sorted_[0][place[there]] == sorted_[1][there]
    return orders[0][place[there]], orders[1][there]
