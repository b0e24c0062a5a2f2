"""Idle time of gaps, added up: by cause, activity, operator, Python frame or step."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.measure.doubt import warn_of_doubts, warn_of_unrecorded
from skiptrace.measure.idle_gaps import find_gaps, gap_causes, op_pieces, python_pieces
from skiptrace.measure.keys import check_key, largest_first
from skiptrace.model.schema.column import ACTIVITIES, conform
from skiptrace.model.schema.measured import IDLE_CAUSES, IDLE_KEYS
from skiptrace.model.trace import Trace


def idle_by(trace: Trace, by: str) -> pl.DataFrame:
    """The idle time of `idle_gaps` by any key of `idle_causes`."""
    check_key("by", by, IDLE_KEYS)
    warn_of_doubts(trace, "idle_causes")
    if by == "cause":
        return by_cause(gap_causes(trace))
    if by == "activity":
        return by_activity(gap_causes(trace))
    gaps = find_gaps(trace)
    if by == "python":
        warn_of_unrecorded(trace, by)
    if by == "step":
        return _summed(gaps.select("gap", name="step", ns="dur_ns"), by)
    names, cuts = (op_pieces if by == "op" else python_pieces)(trace, gaps)
    pieces = (cut() for cut in cuts)
    gap, row, ns = (np.concatenate(part) for part in zip(*pieces, strict=True))
    holder = names.named(names.at(row))
    return _summed(pl.DataFrame({"gap": gap, "name": holder, "ns": ns}), by)


def by_cause(gaps: pl.DataFrame) -> pl.DataFrame:
    """The gaps of `gap_causes` by their cause."""
    return _summed(gaps.select("gap", name="cause", ns="dur_ns"), "cause")


def by_activity(gaps: pl.DataFrame) -> pl.DataFrame:
    """The gaps of `gap_causes` divided by activity."""
    columns = [gaps[f"{name}_ns"] for name in ACTIVITIES]
    sums = pl.DataFrame(
        {
            "activity": ACTIVITIES,
            "gaps": [int((column > 0).sum()) for column in columns],
            "idle_ns": [int(column.sum()) for column in columns],
        }
    )
    return _with_shares(sums.filter(pl.col("gaps") > 0), "activity")


def _summed(pieces: pl.DataFrame, by: str) -> pl.DataFrame:
    sums = pieces.group_by(pl.col("name").alias(by)).agg(
        gaps=pl.col("gap").n_unique(), idle_ns=pl.col("ns").sum()
    )
    return _with_shares(sums, by)


def _with_shares(sums: pl.DataFrame, by: str) -> pl.DataFrame:
    frame = sums.with_columns(idle_share=pl.col("idle_ns") / pl.col("idle_ns").sum())
    return conform(largest_first(frame, [by], "idle_ns"), (IDLE_KEYS[by], *IDLE_CAUSES))
