"""`collectives`: each collective across ranks, with who arrived when, its size and bandwidths."""

from __future__ import annotations

import polars as pl

from skiptrace.measure.keys import check_key
from skiptrace.measure.ranks import Ranks, clocks_agree
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.several import COLLECTIVE_RANKS, COLLECTIVES


def _of_n(n: pl.Expr) -> pl.Expr:
    return (n - 1) / n


BUS_FACTORS = {
    "all_reduce": 2 * _of_n(pl.col("group_size")),
    **dict.fromkeys(
        ("all_gather", "reduce_scatter", "all_to_all", "gather", "scatter"),
        _of_n(pl.col("group_size")),
    ),
}
"""Type -> what nccl-tests multiplies the algorithm bandwidth with; 1 for those not listed."""


def collectives(ranks: Ranks, by: str = "collective") -> pl.DataFrame:
    """Every collective of a set of ranks: size, arrivals, duration and bandwidth.

    Parameters
    ----------
    ranks
        From `load_ranks`.
    by
        ``collective``: a row each; ``rank``: a row for each of its kernels, with that rank's
        arrival and wait.

    Returns
    -------
    polars.DataFrame
        In order of first arrival; ``missing`` counts loaded ranks of the group that do not have a
        collective, which is then not matched there. Times that several ranks share are on the axis
        of the lowest rank (``ranks.clocks``).

    Raises
    ------
    UnknownKeyError
        `by` is neither ``collective`` nor ``rank``.

    References
    ----------
    Sizes, algorithm and bus bandwidth: NVIDIA, nccl-tests, doc/PERFORMANCE.md.
    """
    check_key("by", by, ("collective", "rank"))
    clocks_agree(ranks, "collectives")
    rows = arrivals(ranks)
    if by == "rank":
        return conform(rows.sort("collective", "rank"), COLLECTIVE_RANKS)
    end = pl.col("aligned_ns") + pl.col("dur_ns")
    found = (
        rows.sort("collective", "aligned_ns", "rank")
        .group_by("collective", maintain_order=True)
        .agg(
            pl.col("type", "group", "step", "bytes", "members").first(),
            pl.col("dtype").drop_nulls().first(),
            group_size=pl.col("group_size").max(),
            ranks=pl.len(),
            start_ns=pl.col("aligned_ns").first(),
            dur_ns=end.max() - pl.col("aligned_ns").first(),
            skew_ns=pl.when(pl.len() > 1).then(pl.col("wait_ns").max()),
            first_rank=pl.col("rank").first(),
            last_rank=pl.col("rank").last(),
            transfer_ns=pl.col("dur_ns").min(),
        )
    )
    loaded = list(ranks.traces)
    some = pl.min_horizontal("group_size", pl.lit(len(loaded)))  # of a group of unknown members
    complete = pl.col("ranks") >= pl.col("group_size")
    found = found.with_columns(
        group_size=pl.col("group_size").fill_null(len(loaded)),
        expected=pl.col("members").list.set_intersection(loaded).list.len().fill_null(some),
    ).with_columns(
        missing=pl.max_horizontal(pl.col("expected").cast(pl.Int64) - pl.col("ranks"), 0),
        transfer_ns=pl.when(complete).then("transfer_ns"),
    )
    # Bytes a nanosecond are GB/s.
    timed = pl.when(pl.col("transfer_ns") > 0).then("transfer_ns")
    found = found.with_columns(algorithm_gb_s=pl.col("bytes") / timed)
    factor = pl.lit(1.0)
    for kind, of_kind in BUS_FACTORS.items():
        factor = pl.when(pl.col("type") == kind).then(of_kind).otherwise(factor)
    return conform(found.with_columns(bus_gb_s=pl.col("algorithm_gb_s") * factor), COLLECTIVES)


def arrivals(ranks: Ranks) -> pl.DataFrame:
    """The communication kernels of all ranks, with arrival and wait on the common axis."""
    rows = ranks.matched.join(ranks.clocks.select("rank", "offset_ns"), on="rank")
    rows = rows.with_columns(aligned_ns=pl.col("start_ns") + pl.col("offset_ns"))
    first = pl.col("aligned_ns").min().over("match")
    rows = rows.with_columns(
        wait_ns=pl.col("aligned_ns").max().over("match") - pl.col("aligned_ns"),
        collective=pl.struct(first, "match").rank("dense").cast(pl.Int64) - 1,
        bytes=pl.col("bytes").max().over("match"),
        step=pl.col("step").sort_by("rank").first().over("match"),
    )
    return rows.drop("match")
