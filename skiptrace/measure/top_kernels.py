"""`top_kernels`: the kernels that run most often or longest."""

from __future__ import annotations

import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import check_key
from skiptrace.measure.ranks import over_ranks
from skiptrace.model.rounding import mean_of
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.measured import TOP_KERNELS
from skiptrace.model.trace import Trace


@over_ranks
def top_kernels(trace: Trace, k: int = 10, by: str = "time") -> pl.DataFrame:
    """The `k` kernel names with most device time, or most runs.

    Parameters
    ----------
    trace
        A trace or a window of one.
    k
        How many names at most.
    by
        ``time`` (sum of durations) or ``count``.

    Returns
    -------
    polars.DataFrame
        ``kernel``, ``count``, ``kernel_ns``, ``mean_ns``, ``min_ns``, ``max_ns``, ``time_share``
        (of all kernels' durations, not only of those listed); unlinked kernels included.

    Raises
    ------
    UnknownKeyError
        `by` is neither ``time`` nor ``count``, or `k` is negative.
    """
    order = {"time": "kernel_ns", "count": "count"}[check_key("by", by, ("time", "count"))]
    if k < 0:
        raise UnknownKeyError.of("k", k, ["0 or more"])
    warn_of_doubts(trace, "top_kernels")
    return ranked(trace, k, order)


def ranked(trace: Trace, k: int, order: str) -> pl.DataFrame:
    """The rows of `top_kernels`, by a column."""
    dur = pl.col("dur_ns")
    kernels = trace.work.filter(pl.col("kind") == "kernel")
    frame = (
        kernels.group_by(kernel="name")
        .agg(count=pl.len().cast(pl.Int64), kernel_ns=dur.sum(), min_ns=dur.min(), max_ns=dur.max())
        .with_columns(
            mean_ns=mean_of(pl.col("kernel_ns"), pl.col("count")),
            time_share=pl.when(pl.col("kernel_ns").sum() > 0).then(
                pl.col("kernel_ns") / pl.col("kernel_ns").sum()
            ),
        )
        .sort(order, "kernel_ns", "kernel", descending=[True, True, False])
    )
    return conform(frame.head(k), TOP_KERNELS)
