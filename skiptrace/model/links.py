"""Op -> launch -> work: which call launched a work, and which operator a call lies in."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.lookup import filled, link_to_row, where
from skiptrace.model.nesting import Nest, ancestry

NO_ID = (0, -1, 2**32 - 1)
"""Correlations that are no id: zero, and -1 however it was printed."""


def valid_id(column: str = "correlation") -> pl.Expr:
    """Whether a correlation is an id at all."""
    return pl.col(column).is_not_null() & ~pl.col(column).is_in(NO_ID)


def ids_of(frame: pl.DataFrame, column: str = "correlation") -> Ints:
    """The ids that a column holds; 0 where it holds none."""
    ids = filled(frame[column], 0)
    return np.where(np.isin(ids, NO_ID), 0, ids)


def with_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with null for what is no correlation."""
    ids = ids_of(frame)
    return frame.with_columns(where(ids != 0, pl.Series("correlation", ids)))


def nest_ops(ops: pl.DataFrame) -> tuple[pl.DataFrame, Nest, int]:
    """Add ``parent``, ``depth`` and ``root``; also the nest, and how many ends cross a parent's."""
    nest = Nest(ops)
    parent = nest.parents()
    depth, root = ancestry(parent)
    crossing = int(((parent >= 0) & (nest.ends > nest.ends[parent])).sum())
    ids = ops["id"].to_numpy()[nest.order]

    def by_row(placed: Ints) -> Ints:
        rows = np.empty_like(placed)
        rows[nest.order] = placed
        return rows

    above = by_row(parent)
    found = ops.with_columns(
        where(above >= 0, pl.Series("parent", ids[above])),
        depth=pl.Series(by_row(depth)),
        root=pl.Series(by_row(ids[root])),
    )
    return found, nest, crossing


def link_works(calls: pl.DataFrame, work: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Add ``launch`` to work: the outermost call of the same correlation; and how many fell back.

    Falls back on the external id only for a work that has no correlation, and only where exactly
    one call without one, and this work alone, carry that external id: anything else is a guess.
    """
    correlation = ids_of(calls)
    candidates = np.flatnonzero(correlation)
    start, dur = calls["start_ns"].to_numpy(), calls["dur_ns"].to_numpy()
    order = np.lexsort((-dur[candidates], start[candidates], correlation[candidates]))
    candidates = candidates[order]  # alike in all of these: in file order
    shared, first = np.unique(correlation[candidates], return_index=True)
    work = with_ids(work)
    wanted = ids_of(work)
    found = np.searchsorted(shared, wanted)
    hit = np.append(shared, 0)[found] == wanted  # 0 is no id: whatever it meets is none
    hit &= wanted != 0
    row = np.where(hit, np.append(candidates[first], -1)[found], -1)
    linked = work.with_columns(launch=link_to_row(calls["id"], row))
    if ((wanted == 0) & (ids_of(work, "external_id") != 0)).any():
        lacking = pl.col("correlation").is_null() & valid_id("external_id")
        by_external = linked.filter(lacking & (pl.len().over("external_id") == 1)).select(
            "id", "external_id"
        )
        alone = (
            calls.filter(~valid_id() & valid_id("external_id"))
            .filter(pl.len().over("external_id") == 1)
            .select("external_id", fallback="id")
        )
        pairs = by_external.join(alone, on="external_id").select("id", "fallback")
        linked = (
            linked.join(pairs, on="id", how="left", maintain_order="left")
            .with_columns(launch=pl.coalesce("launch", "fallback"))
            .drop("fallback")
        )
        return linked, len(pairs)
    return linked, 0


def enclosing_ops(nest: Nest, ops: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """Add ``op`` to calls: the innermost operator that encloses the call's start on its thread."""
    row = nest.at(calls["pid"].to_numpy(), calls["tid"].to_numpy(), calls["start_ns"].to_numpy())
    return calls.with_columns(link_to_row(ops["id"], row).alias("op"))
