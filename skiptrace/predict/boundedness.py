"""`boundedness`: does the host or the device hold a step back, with the evidence."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import check_key
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.summary import figures
from skiptrace.model.duration import duration
from skiptrace.model.launches import Floor, given_floors
from skiptrace.model.rounding import mean_of, share_of
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.predicted import BOUNDEDNESS
from skiptrace.model.steps import ALL
from skiptrace.model.trace import Trace
from skiptrace.predict.critical_path import path_pieces
from skiptrace.predict.replayed import bare_run, recorded, steps_of
from skiptrace.predict.walk import DEPENDENCY, DEVICE, GAP, HOST, LATENCY, WAKE, Pieces
from skiptrace.thresholds import MAJORITY

SIDES = {"host_ns": (HOST, WAKE), "device_ns": (DEVICE, GAP, DEPENDENCY), "latency_ns": (LATENCY,)}
"""Sides of a critical path, and the kinds of piece on each."""


BARE = tuple(f"bare_{side}" for side in SIDES)
"""The same without what the profiler adds to the host's time."""


@over_ranks
def boundedness(trace: Trace, by: str = "step", *, floor: Floor | None = None) -> pl.DataFrame:
    """Verdict on each step: ``cpu``, ``gpu`` or ``balanced``, always with its evidence.

    The verdict is the side on which more than half of the step's critical path lies (see
    `critical_path`): ``cpu`` for the host, ``gpu`` for the device, ``balanced`` where neither holds
    half, the rest being launch latency. It answers what a change would bring: a faster host
    shortens the host's part alone. ``busy_share``, the share of IL in which the device had any
    work, ``queue_share`` and the mean TKLQT per launch against the floor stand beside it as
    evidence.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``step``: a row a step; ``trace``: one row, pooled over the steps (so that time between
        steps, where the profiler itself works, does not count).
    floor
        As in `tklqt`.

    Returns
    -------
    polars.DataFrame
        ``step``, ``verdict``, ``host_share``, ``device_share``, ``latency_share``, ``busy_share``,
        ``queue_share``, ``tklqt_per_launch_ns``, ``floor_ns``, ``hdbi_share``,
        ``unprofiled_verdict`` (what it would be without the host time that recording adds) and
        ``because``. ``verdict`` is null, and ``because`` says why, where a step has no latency to
        judge.

    Raises
    ------
    UnknownKeyError
        `by` is neither ``step`` nor ``trace``.
    """
    check_key("by", by, ("step", "trace"))
    warn_of_doubts(trace, "boundedness")
    return verdicts(trace, figures(trace, "step", floor), by, floor)


def verdicts(trace: Trace, steps: pl.DataFrame, by: str, floor: Floor | None) -> pl.DataFrame:
    """The rows of `boundedness` from those of `summary` by step."""
    frame = _with_path(steps, trace, "step")
    if by == "trace":
        frame = _pooled(trace, frame, floor)
    floor_ns = given_floors(trace.whole.floors, floor).ns["kernel"]
    tklqt, path = pl.col("tklqt_ns"), pl.sum_horizontal(*SIDES)
    frame = frame.with_columns(
        *(share_of(pl.col(side), path).alias(side.replace("_ns", "_share")) for side in SIDES),
        queue_share=share_of(pl.col("queue_ns"), tklqt),
        tklqt_per_launch_ns=mean_of(tklqt, pl.col("launches")),
        floor_ns=pl.lit(floor_ns),
    ).with_columns(
        verdict=verdict_of(pl.col("host_share"), pl.col("device_share")),
        unprofiled_verdict=verdict_of(
            *(
                share_of(pl.col(f"bare_{side}"), pl.sum_horizontal(*BARE))
                for side in ("host_ns", "device_ns")
            )
        ),
    )
    il = pl.Series("il", [duration(ns) for ns in frame["il_ns"]], dtype=pl.String)
    return conform(frame.with_columns(il).with_columns(because=_because()), BOUNDEDNESS)


def verdict_of(host: pl.Expr, device: pl.Expr) -> pl.Expr:
    """The verdict from the shares of a critical path; null where there is none."""
    return (
        pl.when(host > MAJORITY).then(pl.lit("cpu"))
        .when(device >= MAJORITY).then(pl.lit("gpu"))
        .when(host.is_not_null()).then(pl.lit("balanced"))
    )  # fmt: skip


def side_sums(pieces: Pieces) -> dict[str, int]:
    """Nanoseconds of a path on each side."""
    of_kind = np.bincount(pieces.kind, pieces.end - pieces.start, minlength=6)
    return {side: int(of_kind[list(kinds)].sum()) for side, kinds in SIDES.items()}


def _with_path(frame: pl.DataFrame, trace: Trace, by: str) -> pl.DataFrame:
    """Add nanoseconds of the critical path by side, as recorded and without the profiler's own."""
    made, steps = recorded(trace), steps_of(trace, by, frame)
    paths = path_pieces(made, steps, range(len(steps.names)))
    rows = [
        side_sums(pieces) | {f"bare_{side}": ns for side, ns in side_sums(other).items()}
        for pieces, other in zip(paths, bare_run(trace, by).pieces(), strict=True)
    ]
    sums = pl.DataFrame(rows, schema=dict.fromkeys((*SIDES, *BARE), pl.Int64))
    named = sums.with_columns(pl.Series("step", steps.names, dtype=pl.String))
    return frame.join(named, on="step", how="left", maintain_order="left")


def _pooled(trace: Trace, steps: pl.DataFrame, floor: Floor | None) -> pl.DataFrame:
    if len(steps) == 1 or steps["il_ns"].is_null().all():
        frame = figures(trace, "trace", floor)
        return _with_path(frame, trace, "trace")
    judged = steps.filter(pl.col("il_ns").is_not_null())
    sums = judged.select(
        pl.col(
            *("il_ns", "launches", "works", "tklqt_ns", "queue_ns", "gpu_idle_ns"),
            *("kernel_ns", "cpu_busy_ns", *SIDES, *BARE),
        ).sum(),
        device_time_ns=(pl.col("il_ns") * pl.col("devices")).sum(),
    )
    return sums.select(
        pl.exclude("device_time_ns"),
        step=pl.lit(ALL),
        busy_share=1 - pl.col("gpu_idle_ns") / pl.col("device_time_ns"),
        hdbi_share=share_of(pl.col("kernel_ns"), pl.col("kernel_ns") + pl.col("cpu_busy_ns")),
    )


def _because() -> pl.Expr:
    """The evidence as a sentence; ``il`` is the latency in words."""
    host, on_device, busy = (
        (pl.col(f"{what}_share") * 100).round(1) for what in ("host", "device", "busy")
    )
    queue = (pl.col("queue_share") * 100).round(0).cast(pl.Int64)
    waited = (
        pl.when(queue.is_not_null())
        .then(pl.format(", and {} % of the launch-to-start time was queueing", queue))
        .otherwise(pl.lit(""))
    )
    parts = pl.format("host {} %, device {} % of the critical path of {}", host, on_device, "il")
    other = pl.col("unprofiled_verdict")
    bare = (
        pl.when((other != pl.col("verdict")).fill_null(value=False))
        .then(pl.format("; without the profiler's own time it would be {}", other))
        .otherwise(pl.lit(""))
    )
    text = pl.concat_str(parts, pl.format("; the device worked {} % of it", busy), waited)
    return (
        pl.when(pl.col("works") == 0).then(pl.lit("nothing ran on a device"))
        .when(pl.col("il_ns").is_null())
        .then(pl.lit("no latency: no operator or call starts before the last work ends"))
        .when(pl.col("verdict") == "cpu")
        .then(pl.concat_str(text, pl.lit(": a step is as long as its host takes"), bare))
        .when(pl.col("verdict") == "gpu")
        .then(pl.concat_str(text, pl.lit(": a step is as long as its device takes"), bare))
        .otherwise(pl.concat_str(text, pl.lit(": neither side holds it back alone"), bare))
    )  # fmt: skip
