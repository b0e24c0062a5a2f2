"""Which row of one trace is which of another: by call path, name and order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.model.nesting import ancestry, rows_of

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
        In the order that counts; nulls are equal.
    rounds
        Name -> key columns; each round pairs what those before it left.
    """
    left = [frame.with_row_index("row").cast({"row": pl.Int64}) for frame in (before, after)]
    found, names = [], []
    for name, keys in rounds.items():
        counted = [side.with_columns(n=pl.int_range(pl.len()).over(*keys)) for side in left]
        both = counted[0].join(
            counted[1], on=[*keys, "n"], nulls_equal=True, maintain_order="left"
        ).select(before="row", after="row_right")  # fmt: skip
        found.append(both)
        names += [name] * len(both)
        left = [
            side.filter(~pl.Series(np.isin(side["row"].to_numpy(), both[which].to_numpy())))
            for side, which in zip(left, ("before", "after"), strict=True)
        ]
    paired = pl.concat(found)
    removed, added = (side["row"].to_numpy() for side in left)
    nothing = [np.full(len(one), -1, np.int64) for one in (removed, added)]
    return Pairs(
        np.concatenate((paired["before"].to_numpy(), removed, nothing[1])),
        np.concatenate((paired["after"].to_numpy(), nothing[0], added)),
        pl.Series("match", [*names, *[None] * (len(removed) + len(added))], dtype=pl.String),
    )
