"""`stragglers`: which rank the others waited for, how long, and what it did in that time."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import Ints, overlay
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.activity import thread_activities
from skiptrace.measure.collectives import arrivals
from skiptrace.measure.ranks import Ranks, clocks_agree
from skiptrace.measure.tklqt import names_of
from skiptrace.model.nesting import Nest
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.several import STRAGGLERS
from skiptrace.model.trace import Trace

_PIECE = {
    "waiting": pl.Int64, "collective": pl.Int64, "wait_ns": pl.Int64, "activity": pl.String,
    "op": pl.String, "kernel": pl.String,
}  # fmt: skip


def stragglers(ranks: Ranks) -> pl.DataFrame:
    """Who makes whom wait at collectives, how long, and what the late rank did meanwhile.

    Parameters
    ----------
    ranks
        From `load_ranks`.

    Returns
    -------
    polars.DataFrame
        ``rank`` (the late one), ``waiting``, ``activity``, ``op``, ``kernel``, and the
        ``wait_ns`` of that; largest first. ``wait_ns`` adds up to that of
        ``collectives(ranks, by="rank")``.

    Notes
    -----
    A rank waits from its arrival at a collective to the arrival of the last rank. That time is
    read on the late rank: ``device`` while other work ran on the device; else what the thread
    that launched the collective did, as in `idle_gaps`: its activity up to the launch, ``launch``
    to the call's return, then ``dependency``; ``unknown`` where the launch is not in the file.
    """
    clocks_agree(ranks, "stragglers")
    rows = arrivals(ranks)
    last = pl.col("aligned_ns").rank("ordinal", descending=True).over("collective") == 1
    late = rows.sort("aligned_ns", "rank").with_columns(late=last).filter("late")
    waits = rows.filter(pl.col("wait_ns") > 0).select(
        "collective", "wait_ns", waiting="rank"
    )  # fmt: skip
    parts = []
    for rank, trace in ranks.traces.items():
        mine = late.filter(pl.col("rank") == rank).join(waits, on="collective", suffix="_of")
        if len(mine):
            pieces = _pieces(trace, mine)
            parts.append(pieces.select(pl.lit(rank, pl.Int64).alias("rank"), pl.all()))
    found = pl.concat(parts) if parts else pl.DataFrame(schema={"rank": pl.Int64, **_PIECE})
    keys = ["rank", "waiting", "activity", "op", "kernel"]
    total = pl.col("wait_ns").sum()
    summed = found.group_by(keys).agg(total, collectives=pl.col("collective").n_unique())
    summed = summed.with_columns(wait_share=pl.col("wait_ns") / total)
    return conform(summed.sort(-pl.col("wait_ns"), *keys, nulls_last=True), STRAGGLERS)


def _pieces(trace: Trace, late: pl.DataFrame) -> pl.DataFrame:
    """The waits for one rank, cut by what it did; each ends with its arrival."""
    parts = []
    for device in late["device"].unique():
        rows = late.filter(pl.col("device") == device)
        work = trace.whole.work.filter(pl.col("device") == device)
        nest = Nest(work.with_columns(pid=pl.lit(0), tid=pl.lit(0)))
        bounds, ran = nest.timeline(0, 0)
        high = rows["start_ns"].to_numpy()
        low = high - rows["wait_ns_of"].to_numpy()
        which, segment, length = overlay(low, high, bounds)
        start = np.where(segment < 0, low[which], np.maximum(low[which], bounds[segment]))
        work_row = np.where(segment < 0, -1, ran[segment])
        busy = work_row >= 0
        parts += [
            _on_device(trace, work, rows[which[busy]], work_row[busy], length[busy]),
            *_on_host(trace, rows[which[~busy]], start[~busy], (start + length)[~busy]),
        ]
    return pl.concat(parts)


def _on_device(
    trace: Trace, work: pl.DataFrame, waits: pl.DataFrame, row: Ints, length: Ints
) -> pl.DataFrame:
    launches = trace.whole.launches
    launch = rows_of(launches["id"], link_to_row(work["launch"], row))
    return _rows(
        waits,
        length,
        "device",
        names_of(trace.whole.ops, link_to_row(launches["op"], launch)),
        link_to_row(work["name"], row),
    )


def _on_host(trace: Trace, waits: pl.DataFrame, low: Ints, high: Ints) -> list[pl.DataFrame]:
    """Times in which the device idled, by what the launching thread did."""
    linked = waits["call_ns"].is_not_null().to_numpy()
    call = np.clip(waits["call_ns"].fill_null(0).to_numpy(), low, high)
    back = np.clip(waits["return_ns"].fill_null(0).to_numpy(), call, high)
    around = names_of(trace.whole.ops, waits["launch_op"])
    parts = [
        _rows(waits, np.where(linked, 0, high - low), "unknown"),
        _rows(waits, np.where(linked, back - call, 0), "launch", around),
        _rows(waits, np.where(linked, high - back, 0), "dependency", around),
    ]
    activities = thread_activities(trace)
    nest = Nest(trace.whole.ops)
    for pid, tid in waits.filter(linked).select("pid", "tid").unique().rows():
        here = ((waits["pid"] == pid) & (waits["tid"] == tid)).fill_null(value=False)
        rows = here.arg_true().to_numpy()
        bounds, inside = nest.timeline(pid, tid)
        which, segment, length = overlay(low[rows], call[rows], bounds)
        edges = np.append(bounds, 0)
        start = np.where(
            segment < 0, low[rows][which], np.maximum(low[rows][which], edges[segment])
        )
        op = trace.whole.ops["name"]
        names = link_to_row(op, np.where(segment < 0, -1, np.append(inside, -1)[segment]))
        did = activities[pid, tid].amounts(start, start + length)
        owner = waits[rows[which]]
        parts += [_rows(owner, amount, name, names) for name, amount in did.items()]
    return parts


def _rows(
    waits: pl.DataFrame,
    length: Ints,
    activity: str,
    op: pl.Series | None = None,
    kernel: pl.Series | None = None,
) -> pl.DataFrame:
    none = pl.lit(None, pl.String)
    frame = waits.select("waiting", "collective").with_columns(
        wait_ns=pl.Series(length, dtype=pl.Int64),
        activity=pl.lit(activity),
        op=none if op is None else op,
        kernel=none if kernel is None else kernel,
    )
    return frame.filter(pl.col("wait_ns") > 0).cast(_PIECE)  # type: ignore[arg-type]
