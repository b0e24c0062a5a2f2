"""`launch_outliers`: long calls, long launch delays, and calls that outlast their work."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.tklqt import names_of
from skiptrace.model.modules import modules_at
from skiptrace.model.nesting import Nest
from skiptrace.model.schema.breakdowns import LAUNCH_OUTLIERS
from skiptrace.model.schema.column import conform
from skiptrace.model.trace import Trace
from skiptrace.thresholds import LONG_CALL, LONG_DELAY


@over_ranks
def launch_outliers(
    trace: Trace, *, call_ns: int = LONG_CALL, delay_ns: int = LONG_DELAY
) -> pl.DataFrame:
    """Launches that cost more than they should, each with its place.

    Parameters
    ----------
    trace
        A trace or a window of one.
    call_ns
        A call that lasts longer than this many ns is a ``long_call``.
    delay_ns
        A launch whose ``launch_ns`` (what launching took, without waiting behind earlier work) is
        above this many ns is a ``long_delay``.

    Returns
    -------
    polars.DataFrame
        A row a launch and kind: ``long_call``, ``long_delay`` and ``short_work``, whose work ran
        for less time than the call; columns as listed under "launch_outliers" in the docs. By
        kind, then by falling excess: ``call_ns``, ``delay_ns``, or ``call_ns - work_ns``.

    Raises
    ------
    UnknownKeyError
        A threshold is no number of ns from 0 on.
    """
    for name, value in (("call_ns", call_ns), ("delay_ns", delay_ns)):
        given: object = value  # whatever the caller really gave
        if not isinstance(given, int) or given < 0:
            raise UnknownKeyError.of(name, value, ["nanoseconds, 0 or more"])
    warn_of_doubts(trace, "launch_outliers")
    launches = trace.launches
    worked = np.zeros(len(launches), np.int64)
    row = rows_of(launches["id"], trace.work["launch"])
    known = np.flatnonzero(row >= 0)
    np.add.at(worked, row[known], trace.work["dur_ns"].to_numpy()[known])
    frame = launches.with_columns(
        work_ns=pl.Series(worked), call_ns=pl.col("dur_ns"), delay_ns=pl.col("launch_ns")
    )
    call, delay, work = pl.col("call_ns"), pl.col("delay_ns"), pl.col("work_ns")
    found = [
        frame.filter(is_one).with_columns(outlier=pl.lit(kind), excess_ns=excess)
        for kind, is_one, excess in (
            ("long_call", call > call_ns, call),
            ("long_delay", delay > delay_ns, delay),
            ("short_work", work < call, call - work),
        )
    ]
    rows = pl.concat([f.sort(-pl.col("excess_ns"), "start_ns", "id") for f in found])
    return conform(_placed(trace, rows), LAUNCH_OUTLIERS)


def _placed(trace: Trace, rows: pl.DataFrame) -> pl.DataFrame:
    whole = trace.whole
    where = tuple(rows[c].to_numpy() for c in ("pid", "tid", "start_ns"))
    frames = whole.python
    return rows.with_columns(
        names_of(whole.ops, rows["op"]).alias("op"),
        names_of(whole.ops, rows["root_op"]).alias("root_op"),
        names_of(whole.work, rows["first_work"]).alias("work"),
        modules_at(trace, rows).alias("module"),
        link_to_row(frames["name"], Nest(frames).at(*where)).alias("python"),
        launch="id", call_name="name",
    )  # fmt: skip
