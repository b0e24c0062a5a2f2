"""What stands behind the idle time: per cause the operator, Python frame and call to look at."""

from __future__ import annotations

import polars as pl

from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.behaviour import waiting_calls
from skiptrace.measure.idle_gaps import holders
from skiptrace.measure.tklqt import names_of
from skiptrace.model.nesting import Nest
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.measured import BLAME
from skiptrace.model.trace import Trace


def blame(trace: Trace, gaps: pl.DataFrame) -> pl.DataFrame:
    """Idle gaps by cause and place.

    A gap caused by ``sync`` points at the call that waited and the operators and Python frame
    around it; any other at the operator and frame that held most of the gap, or, where the host
    was in none, at the operator that came next.

    Parameters
    ----------
    trace
        A trace or a window of one.
    gaps
        Its gaps, all or some, from `gap_causes`.

    Returns
    -------
    polars.DataFrame
        ``cause``, ``root_op`` and ``call`` (of a wait), ``op``, ``python``, ``next_op``, ``gaps``,
        ``idle_ns``; largest first.
    """
    ops = trace.whole.ops
    ending = names_of(ops, gaps["op"]).alias("ending_op")
    gaps = gaps.with_columns(*holders(trace, gaps), ending)
    is_sync = pl.col("cause") == "sync"
    placed = gaps.join(_waits(trace, gaps.filter(is_sync)), on="gap", how="left").with_columns(
        op=pl.when(is_sync).then("wait_op").otherwise("host_op"),
        python=pl.when(is_sync).then("wait_python").otherwise("host_python"),
    )
    nowhere = pl.all_horizontal(pl.col("call", "op", "python").is_null())
    placed = placed.with_columns(next_op=pl.when(nowhere).then("ending_op"))
    keys = ["cause", "root_op", "op", "python", "call", "next_op"]
    summed = placed.group_by(keys).agg(gaps=pl.len(), idle_ns=pl.col("dur_ns").sum())
    return conform(summed.sort(-pl.col("idle_ns"), *keys, nulls_last=True), BLAME)


def _waits(trace: Trace, gaps: pl.DataFrame) -> pl.DataFrame:
    """For each gap the call that the host waited in at its start, and what surrounds that call."""
    ops, frames = trace.whole.ops, trace.whole.python
    calls = waiting_calls(trace)
    at_start = Nest(calls).at(*(gaps[c].to_numpy() for c in ("pid", "tid", "start_ns")))
    # A wait need not cover the gap's start to be most of it: then it is the first one in the gap.
    later = gaps.sort("start_ns").join_asof(
        calls.with_row_index("row").select("row", "pid", "tid", wait_ns="start_ns").sort("wait_ns"),
        left_on="start_ns", right_on="wait_ns", by=["pid", "tid"], strategy="forward",
        check_sortedness=False,
    ).filter(pl.col("wait_ns") < pl.col("call_ns"))  # fmt: skip
    rows = gaps.select("gap", at=pl.Series(at_start)).join(
        later.select("gap", "row"), on="gap", how="left", maintain_order="left"
    )
    found = rows.select(pl.when(pl.col("at") >= 0).then("at").otherwise("row")).to_series()
    known = found.is_not_null()
    gaps, call = gaps.filter(known), calls[found.drop_nulls().cast(pl.Int64)]
    frame = Nest(frames).at(*(call[c].to_numpy() for c in ("pid", "tid", "start_ns")))
    roots = link_to_row(ops["root"], rows_of(ops["id"], call["op"]))
    return pl.DataFrame(
        {
            "gap": gaps["gap"],
            "call": call["name"],
            "wait_op": names_of(ops, call["op"]),
            "root_op": names_of(ops, roots),
            "wait_python": link_to_row(frames["name"], frame),
        }
    )
