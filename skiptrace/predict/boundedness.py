"""`boundedness`: does the host or the device hold a step back, with the evidence."""

from __future__ import annotations

import polars as pl

from skiptrace.measure.behaviour import host_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import check_key
from skiptrace.measure.summary import figures
from skiptrace.model.launches import Floor, given_floors
from skiptrace.model.rounding import mean_of, share_of
from skiptrace.model.schema import BOUNDEDNESS, conform
from skiptrace.model.steps import ALL
from skiptrace.model.trace import Trace
from skiptrace.thresholds import CPU_BELOW, GPU_FROM


def boundedness(trace: Trace, by: str = "step", *, floor: Floor | None = None) -> pl.DataFrame:
    """Verdict on each step: ``cpu``, ``gpu`` or ``balanced``, always with its evidence.

    The verdict rests on ``busy_share``, the share of IL in which the device had any work: ``cpu``
    below 0.5, ``gpu`` from 0.8. That holds for graphs (one launch, many kernels), several streams
    and noisy launch times alike. ``queue_share`` and the mean TKLQT per launch against the floor
    stand beside it and do not decide: a wait on another stream looks like launch time, and a
    small kernel behind its predecessor looks like queueing.

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
        ``step``, ``verdict``, ``busy_share``, ``queue_share``, ``tklqt_per_launch_ns``,
        ``floor_ns``, ``hdbi_share``, ``because``. ``verdict`` is null, and ``because`` says why,
        where a step has no latency to judge.

    Raises
    ------
    UnknownKeyError
        `by` is neither ``step`` nor ``trace``.
    """
    check_key("by", by, ("step", "trace"))
    warn_of_doubts(trace, "boundedness")
    return verdicts(trace, figures(trace, "step", floor, host_of(trace)), by, floor)


def verdicts(trace: Trace, steps: pl.DataFrame, by: str, floor: Floor | None) -> pl.DataFrame:
    """The rows of `boundedness` from those of `summary` by step."""
    frame = _pooled(trace, steps, floor) if by == "trace" else steps
    floor_ns = given_floors(trace.whole.floors, floor).ns["kernel"]
    tklqt, busy = pl.col("tklqt_ns"), pl.col("busy_share")
    frame = frame.with_columns(
        queue_share=share_of(pl.col("queue_ns"), tklqt),
        tklqt_per_launch_ns=mean_of(tklqt, pl.col("launches")),
        floor_ns=pl.lit(floor_ns),
        verdict=pl.when(busy < CPU_BELOW).then(pl.lit("cpu"))
        .when(busy >= GPU_FROM).then(pl.lit("gpu"))
        .when(busy.is_not_null()).then(pl.lit("balanced")),
    )  # fmt: skip
    return conform(frame.with_columns(because=_because()), BOUNDEDNESS)


def _pooled(trace: Trace, steps: pl.DataFrame, floor: Floor | None) -> pl.DataFrame:
    if len(steps) == 1 or steps["il_ns"].is_null().all():
        return figures(trace, "trace", floor, host_of(trace))
    judged = steps.filter(pl.col("il_ns").is_not_null())
    sums = judged.select(
        pl.col(
            "il_ns",
            "launches",
            "works",
            "tklqt_ns",
            "queue_ns",
            "gpu_idle_ns",
            "kernel_ns",
            "cpu_busy_ns",
        ).sum(),
        device_ns=(pl.col("il_ns") * pl.col("devices")).sum(),
    )
    return sums.select(
        pl.exclude("device_ns"),
        step=pl.lit(ALL),
        busy_share=1 - pl.col("gpu_idle_ns") / pl.col("device_ns"),
        hdbi_share=share_of(pl.col("kernel_ns"), pl.col("kernel_ns") + pl.col("cpu_busy_ns")),
    )


def _because() -> pl.Expr:
    """The evidence as a sentence."""
    percent = (pl.col("busy_share") * 100).round(1)
    queue = (pl.col("queue_share") * 100).round(0).cast(pl.Int64)
    device = pl.format("the device worked {} % of {} ms", percent, (pl.col("il_ns") / 1e6).round(3))
    waited = (
        pl.when(queue.is_not_null())
        .then(pl.format(" and {} % of the launch-to-start time was queueing", queue))
        .otherwise(pl.lit(""))
    )
    text = pl.concat_str(device, waited)
    return (
        pl.when(pl.col("works") == 0).then(pl.lit("nothing ran on a device"))
        .when(pl.col("il_ns").is_null())
        .then(pl.lit("no latency: no operator or call starts before the last work ends"))
        .when(pl.col("verdict") == "cpu")
        .then(pl.concat_str(text, pl.lit(": for most of it there was no work for it")))
        .when(pl.col("verdict") == "gpu")
        .then(pl.concat_str(text, pl.lit(": it has work nearly always")))
        .otherwise(pl.concat_str(text, pl.lit(": neither side holds it back alone")))
    )  # fmt: skip
