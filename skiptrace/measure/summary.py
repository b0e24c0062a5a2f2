"""`summary`: latency, TKLQT, busy and idle of each step, and of the whole trace."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from skiptrace.intervals import EMPTY, Intervals, Ints, merge, overlap, subtract, union
from skiptrace.lookup import link_to_row, rows_of, where
from skiptrace.measure.behaviour import Host, host_of, thread_intervals
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import Numbered, check_key, step_names
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.tklqt import kernel_launches
from skiptrace.model.launches import Floor
from skiptrace.model.nesting import thread_rows
from skiptrace.model.once import once
from skiptrace.model.rounding import mean_of, share_of
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.measured import SUMMARY
from skiptrace.model.steps import ALL, is_one_step
from skiptrace.model.trace import Trace
from skiptrace.thresholds import OUTLIER


@over_ranks
def summary(trace: Trace, by: str = "step", *, floor: Floor | None = None) -> pl.DataFrame:
    """Latency, TKLQT, busy and idle time, a row a step.

    ``IL`` = end of the last work - start of the first operator that starts in the step (of its
    first call where it has no operator). ``gpu_idle_ns`` is the part of that interval in which no
    work at all ran on the step's devices, whichever step launched it. ``hdbi_share`` = kernel
    time / (kernel time + CPU busy).

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``step``: a row a step, in time order; ``trace``: one row, its step named ``all``.
    floor
        As in `tklqt`.

    Returns
    -------
    polars.DataFrame
        Columns as listed under "summary" in the docs. ``il_ns`` and what follows from it are null
        where there is no work, or neither operator nor call, or where the last work ends before
        the first operator starts (clocks disagree).

    Raises
    ------
    UnknownKeyError
        `by` is neither ``step`` nor ``trace``.

    References
    ----------
    IL, AKD and GPU idle: arXiv 2504.11750. HDBI: after TaxBreak, arXiv 2603.12465.
    """
    check_key("by", by, ("step", "trace"))
    warn_of_doubts(trace, "summary")
    return figures(trace, by, floor, host_of(trace))


def figures(trace: Trace, by: str, floor: Floor | None, host: Host) -> pl.DataFrame:
    """The rows of `summary`, with what the host did at hand."""
    if by == "step" and floor is None:
        return _by_step(trace).clone()  # a frame can be changed by who gets it
    return _rows(trace, by, floor, host)


@once
def _by_step(trace: Trace) -> pl.DataFrame:
    return _rows(trace, "step", None, host_of(trace))


def _rows(trace: Trace, by: str, floor: Floor | None, host: Host) -> pl.DataFrame:
    if by == "trace":
        steps = pl.DataFrame(
            [(ALL, *_extent(trace), None)],
            schema={"step": pl.String, "start_ns": pl.Int64, "dur_ns": pl.Int64, "pid": pl.Int64},
            orient="row",
        )
        step: pl.Expr = pl.lit(ALL)
    else:
        steps = trace.steps.select("start_ns", "dur_ns", "pid", step="name")
        step = pl.col("step")
    launches = kernel_launches(trace, trace.launches, ["step"], floor)
    used = _by_step_and_device(trace.work, _steps(trace, by))
    frame = (
        _join(steps, _first_start(trace.ops, step, "op"))
        .pipe(_join, _first_start(trace.calls, step, "call"))
        .pipe(_join, _launch_sums(launches, step))
        .pipe(_join, _work_sums(used))
        .with_columns(first=pl.coalesce("first_op", "first_call"))
        .with_columns(il_ns=pl.col("last") - pl.col("first"))
        .with_columns(il_ns=pl.when(pl.col("il_ns") > 0).then("il_ns"))
    )
    frame = frame.with_columns(
        gpu_idle_ns=_idle(trace, used, frame), cpu_busy_ns=_cpu_busy(host, frame)
    )
    return conform(_derive(frame), SUMMARY)


def own_work(trace: Trace) -> pl.DataFrame:
    """Work with the step in which it was launched; in a trace that is one step, all of it."""
    if _is_one_step(trace):
        return trace.work.with_columns(step=pl.lit(ALL))
    row = rows_of(trace.launches["id"], trace.work["launch"])
    return trace.work.with_columns(step=link_to_row(trace.launches["step"], row))


def _is_one_step(trace: Trace) -> bool:
    return trace.window is None and is_one_step(trace.steps)


def _steps(trace: Trace, by: str) -> Numbered:
    """As the step of `own_work`, in numbers; of all work the same by ``trace``."""
    if by == "trace" or _is_one_step(trace):
        return Numbered(np.zeros(len(trace.work), np.int64), pl.Series([ALL], dtype=pl.String))
    steps = step_names(trace)
    row = rows_of(trace.launches["id"], trace.work["launch"])
    return steps._replace(numbers=steps.at(row))


def _extent(trace: Trace) -> tuple[int, int]:
    if trace.window:
        return trace.window[0], trace.window[1] - trace.window[0]
    host = pl.concat(
        [
            trace.ops.select("start_ns", "dur_ns"),
            trace.calls.select("start_ns", "dur_ns"),
            trace.work.select("start_ns", "dur_ns"),
        ]
    )
    start = int(host["start_ns"].min() or 0)  # type: ignore[arg-type]
    end = int((host["start_ns"] + host["dur_ns"]).max() or 0)  # type: ignore[arg-type]
    return start, end - start


def _join(steps: pl.DataFrame, figures: pl.DataFrame) -> pl.DataFrame:
    return steps.join(figures, on="step", how="left", maintain_order="left")


def _first_start(frame: pl.DataFrame, step: pl.Expr, what: str) -> pl.DataFrame:
    runs = frame.select("start_ns", step=step)
    name = runs["step"]
    # Neighbours mostly share a step: one row for such a run leaves little to group.
    begins = np.flatnonzero(name.ne_missing(name.shift(1)).to_numpy() | (np.arange(len(name)) == 0))
    least = np.minimum.reduceat(runs["start_ns"].to_numpy(), begins) if len(begins) else begins
    return (
        pl.DataFrame({"step": name[begins], "start_ns": least})
        .group_by("step")
        .agg(pl.col("start_ns").min().alias(f"first_{what}"))
    )


def _launch_sums(launches: pl.DataFrame, step: pl.Expr) -> pl.DataFrame:
    return launches.group_by(step=step).agg(
        pl.len().alias("launches"), pl.col("tklqt_ns", "launch_ns", "queue_ns").sum()
    )


def _by_step_and_device(work: pl.DataFrame, steps: Numbered) -> pl.DataFrame:
    """For each step and device of works: sums over them, when the last ends, and their union."""
    device, start, dur = (work[c].to_numpy() for c in ("device", "start_ns", "dur_ns"))
    groups = thread_rows(steps.numbers, device, start)
    order = np.concatenate([EMPTY[0], *groups.values()])
    bounds = np.cumsum([0, *map(len, groups.values())])
    begins = bounds[:-1]
    start, dur, is_kernel = start[order], dur[order], (work["kind"] == "kernel").to_numpy()[order]
    end = start + dur
    reach = np.empty_like(end)
    for low, high in pairwise(bounds.tolist()):
        np.maximum.accumulate(end[low:high], out=reach[low:high])
    # What each work adds to the union of those before it.
    before = np.append(start[:1], reach[:-1])[: len(end)]
    before[begins] = start[begins]
    fresh = np.maximum(end - np.maximum(start, before), 0)
    step, on = np.array([*groups], np.int64).reshape(-1, 2).T
    return pl.DataFrame(
        {
            "step": steps.named(step),
            "device": on,
            "works": np.diff(bounds),
            "kernels": np.add.reduceat(is_kernel.astype(np.int64), begins),
            "kernel_ns": np.add.reduceat(np.where(is_kernel, dur, 0), begins),
            "busy_ns": np.add.reduceat(fresh, begins),
            "last": np.maximum.reduceat(end, begins),
        }
    )


def _work_sums(used: pl.DataFrame) -> pl.DataFrame:
    sums = pl.col("works", "kernels", "kernel_ns", "busy_ns").sum()
    return used.group_by("step").agg(sums, pl.col("last").max(), devices=pl.len())


def in_start_order(work: pl.DataFrame) -> pl.DataFrame:
    """Rows by start, then id; for work, which stands nearly so, numpy's is the faster sort."""
    return work[np.lexsort((work["id"].to_numpy(), work["start_ns"].to_numpy()))]


def _idle(trace: Trace, used: pl.DataFrame, frame: pl.DataFrame) -> pl.Series:
    """Per step, summed over its devices: the part of IL in which the device had no work at all."""
    low = frame["first"].fill_null(0).to_numpy()
    high = low + frame["il_ns"].fill_null(0).to_numpy()
    idle = np.zeros(len(frame), np.int64)
    for device in used["device"].unique().to_list():
        steps = used["step"].filter(used["device"] == device)
        here = frame["step"].is_in(steps.implode()).to_numpy()
        busy = device_busy(trace, device)
        idle += np.where(here, (high - low) - overlap(busy, low, high), 0)
    return where(frame["il_ns"].is_not_null().to_numpy(), pl.Series(idle))


def device_busy(trace: Trace, device: int) -> Intervals:
    """When a device had any work, own or background."""
    work = trace.whole.work
    rows = np.flatnonzero(work["device"].to_numpy() == device)
    start, dur = (work[c].to_numpy()[rows] for c in ("start_ns", "dur_ns"))
    return union(start, start + dur)


def lead_ns(trace: Trace, steps: pl.DataFrame) -> int:
    """Idle time of steps before their first own work, on the device where that ran.

    `steps` is the result of `summary`.
    """
    first = in_start_order(own_work(trace)).unique("step", keep="first", maintain_order=True)
    led = steps.filter(pl.col("il_ns").is_not_null()).join(
        first.select("step", "device", work_ns="start_ns"), on="step"
    )
    total = 0
    for (device,), group in led.group_by("device"):
        low, high = group["start_ns"].to_numpy(), group["work_ns"].to_numpy()
        busy = overlap(device_busy(trace, int(device)), low, high)
        total += int((np.maximum(high - low, 0) - busy).sum())
    return total


def median_step(steps: pl.DataFrame, latency: str = "il_ns") -> pl.DataFrame:
    """The step with the median latency, the lower of an even count; no row where none has one."""
    known = steps.filter(pl.col(latency).is_not_null()).sort(latency, maintain_order=True)
    return known.slice((len(known) - 1) // 2, 1)


def _cpu_busy(host: Host, frame: pl.DataFrame) -> pl.Series:
    """Per step: operators and calls of the launching threads of its process, less waits."""
    low = frame["first"].fill_null(0).to_numpy()
    high = low + frame["il_ns"].fill_null(0).to_numpy()
    by_process: dict[int, list[Intervals]] = {}
    blocked = thread_intervals(pl.concat([host.waits, host.copies]), host.threads)
    for thread, inside in host.inside.items():
        by_process.setdefault(thread[0], []).append(subtract(inside, blocked[thread]))
    everyone = merge(*(s for sets in by_process.values() for s in sets), EMPTY)
    busy: Ints = overlap(everyone, low, high)
    if len(by_process) > 1:
        for pid, sets in by_process.items():
            here = (frame["pid"] == pid).fill_null(value=False).to_numpy()
            busy = np.where(here, overlap(merge(*sets), low, high), busy)
    return where(frame["il_ns"].is_not_null().to_numpy(), pl.Series(busy))


def _derive(frame: pl.DataFrame) -> pl.DataFrame:
    counts = (
        "launches",
        "kernels",
        "works",
        "devices",
        "tklqt_ns",
        "launch_ns",
        "queue_ns",
        "kernel_ns",
        "busy_ns",
    )
    il, kernel = pl.col("il_ns"), pl.col("kernel_ns")
    both = kernel + pl.col("cpu_busy_ns")
    return frame.with_columns(pl.col(counts).cast(pl.Int64).fill_null(0)).with_columns(
        start_ns=pl.when(il.is_not_null()).then("first").otherwise("start_ns"),
        akd_ns=mean_of(kernel, pl.col("kernels")),
        gpu_idle_paper_ns=il * pl.col("devices") - kernel,
        busy_share=1 - pl.col("gpu_idle_ns") / (il * pl.col("devices")),
        cpu_idle_ns=il - pl.col("cpu_busy_ns"),
        hdbi_share=share_of(kernel, both),
        outlier=(il > OUTLIER * il.median()).fill_null(value=False),
    )
