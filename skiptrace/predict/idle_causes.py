"""`idle_causes`: where a device's idle time goes, and how much of it each cause alone explains."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import total, union
from skiptrace.lookup import rows_of
from skiptrace.measure.activity import thread_activities
from skiptrace.measure.idle_sums import idle_by
from skiptrace.measure.keys import largest_first
from skiptrace.measure.ranks import over_ranks
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.predicted import COUNTERFACTUAL
from skiptrace.model.trace import Trace
from skiptrace.predict.removals import removals
from skiptrace.predict.replay import Times, replay
from skiptrace.predict.replay_model import Recorded
from skiptrace.predict.replayed import recorded


@over_ranks
def idle_causes(trace: Trace, by: str = "cause", *, counterfactual: bool = False) -> pl.DataFrame:
    """The idle time of `idle_gaps`, added up.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``cause``: whole gaps by their one cause; ``activity``: each gap divided by activity;
        ``op``, ``python``: divided by the innermost operator or deepest Python frame of the
        launching thread at each moment, after the launch by the launch's; ``step``: by the step
        of the work that ended the gap.
    counterfactual
        With ``by="cause"``: beside the attribution, how much idle time goes away in the replay when
        that cause alone is taken out.

    Returns
    -------
    polars.DataFrame
        The key, ``gaps`` (with a part here), ``idle_ns``, ``idle_share``; largest first, what has
        no key (outside every operator, say) as null in the last row. ``idle_ns`` of every `by`
        sums to the total gap time. With `counterfactual` also ``counterfactual_ns``: these do not
        sum to anything, since two causes may each delay the same work, and may be negative, where
        the device then waits for something else; null for what cannot be taken out.

    Raises
    ------
    UnknownKeyError
        `by` is none of those, or `counterfactual` with another `by` than ``cause``.
    """
    frame = idle_by(trace, by)
    if not counterfactual:
        return frame
    if by != "cause":
        raise UnknownKeyError.of("by with counterfactual=True", by, ["cause"])
    made = recorded(trace)
    inside = rows_of(made.lanes.works["id"], trace.work["id"])
    before = _idle(made, replay(made.model), inside)
    activities = thread_activities(trace)
    saved = [
        (cause, before - _idle(made, replay(change(made.model)), inside))
        for cause, change in removals(trace, made, activities).items()
    ]
    table = pl.DataFrame(
        saved, schema={"cause": pl.String, "counterfactual_ns": pl.Int64}, orient="row"
    )
    joined = frame.join(table, on="cause", how="full", coalesce=True).with_columns(
        pl.col("gaps", "idle_ns").fill_null(0), pl.col("idle_share").fill_null(0.0)
    )
    joined = joined.filter((pl.col("gaps") > 0) | (pl.col("counterfactual_ns") != 0))
    return conform(largest_first(joined, ["cause"], "idle_ns"), COUNTERFACTUAL)


def _idle(made: Recorded, times: Times, inside: np.ndarray) -> int:
    """Idle time between the first and last of some works, summed over their devices."""
    device = np.array([d for d, _ in made.model.lanes], np.int64)[made.lanes.lane[inside]]
    idle = 0
    for one in np.unique(device).tolist():
        works = inside[device == one]
        start, end = times.start[works], times.end[works]
        idle += int(end.max() - start.min()) - total(union(start, end))
    return idle
