"""`summary`: latency, TKLQT, busy and idle of each step, and of the whole trace."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.beside import beside
from skiptrace.intervals import EMPTY, Intervals, Ints, merge, overlap, subtract, union
from skiptrace.lookup import link_to_row, rows_of, where
from skiptrace.measure.behaviour import Host, host_of, thread_intervals
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import Numbered, check_key, numbered, step_names
from skiptrace.measure.ranks import over_ranks
from skiptrace.model.launches import Floor, given_floors, split
from skiptrace.model.nesting import thread_rows
from skiptrace.model.once import once
from skiptrace.model.rounding import mean_of, share_of
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.measured import SUMMARY
from skiptrace.model.steps import ALL, is_one_step
from skiptrace.model.trace import Trace
from skiptrace.thresholds import OUTLIER

_NEVER = np.iinfo(np.int64).max
"""Stands for no time."""


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
    return figures(trace, by, floor)


def figures(trace: Trace, by: str, floor: Floor | None) -> pl.DataFrame:
    """The rows of `summary`, without a word of what makes them doubtful."""
    if by == "step" and floor is None:
        return _by_step(trace).clone()  # a frame can be changed by who gets it
    return _rows(trace, by, floor)


@once
def _by_step(trace: Trace) -> pl.DataFrame:
    return _rows(trace, "step", None)


def _rows(trace: Trace, by: str, floor: Floor | None) -> pl.DataFrame:
    host = beside(lambda: host_of(trace))  # nothing but the last column needs it
    if by == "trace":
        steps = pl.DataFrame(
            [(ALL, *_extent(trace), None)],
            schema={"name": pl.String, "start_ns": pl.Int64, "dur_ns": pl.Int64, "pid": pl.Int64},
            orient="row",
        )
        launched = Numbered(np.zeros(len(trace.launches), np.int64), steps["name"])
    else:
        steps, launched = trace.steps, step_names(trace)
    names = steps["name"].to_list()
    launches = trace.launches
    if floor is not None:
        launches = split(launches, given_floors(trace.whole.floors, floor))
    used = _by_device(trace.work, _steps(trace, by), names)
    op, call = (_first_start(frame, by, names) for frame in (trace.ops, trace.calls))
    first, last = np.where(op < _NEVER, op, call), used.last
    # Before the subtraction: where either is missing it would overflow.
    known = (first < _NEVER) & (used.works > 0)
    il = np.where(known, last - first, 0)
    known &= il > 0
    il[~known] = 0
    low = np.where(first < _NEVER, first, 0)
    idle = _idle(trace, used, low, il)
    busy = _cpu_busy(host.result(), steps, low, il)
    frame = pl.DataFrame(
        {
            "step": steps["name"],
            "dur_ns": steps["dur_ns"],
            "start_ns": np.where(known, first, steps["start_ns"].to_numpy()),
            "pid": steps["pid"],
            **_launch_sums(launches, _places(launched, names), len(names)),
            "works": used.works,
            "kernels": used.kernels,
            "kernel_ns": used.kernel_ns,
            "busy_ns": used.busy_ns,
            "devices": used.devices,
            "il_ns": where(known, pl.Series(il)),
            "gpu_idle_ns": where(known, pl.Series(idle)),
            "cpu_busy_ns": where(known, pl.Series(busy)),
        }
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


def _places(steps: Numbered, names: list[str]) -> Ints:
    """Per row the place of its step among the names; -1 where it is none of them."""
    place = {name: i for i, name in enumerate(names)}
    of = [*(place.get(name, -1) for name in steps.different), -1]
    return np.array(of, np.int64)[steps.numbers]


def _first_start(frame: pl.DataFrame, by: str, names: list[str]) -> Ints:
    """When the first row of each step starts; `_NEVER` where it has none."""
    start = frame["start_ns"].to_numpy()
    first = np.full(len(names), _NEVER)
    if by == "trace":
        first[:] = start.min(initial=_NEVER)
    elif len(frame):
        # Neighbours mostly share a step: one row for such a run leaves little to look up.
        runs = frame["step"].rle().struct.unnest()
        length = runs["len"].to_numpy().astype(np.int64)
        least = np.minimum.reduceat(start, np.cumsum(length) - length)
        step = _places(numbered(runs["value"]), names)
        np.minimum.at(first, step[step >= 0], least[step >= 0])
    return first


def _launch_sums(launches: pl.DataFrame, step: Ints, steps: int) -> dict[str, Ints]:
    """Of the launches with a kernel how many each step has, and sums over them."""
    rows = np.flatnonzero((launches["kernels"].to_numpy() > 0) & (step >= 0))
    sums = {"launches": np.bincount(step[rows], minlength=steps)}
    for column in ("tklqt_ns", "launch_ns", "queue_ns"):
        sums[column] = np.zeros(steps, np.int64)
        np.add.at(sums[column], step[rows], launches[column].to_numpy()[rows])
    return sums


class _Used(NamedTuple):
    """What the work of steps adds up to, a value a step."""

    works: Ints
    kernels: Ints
    kernel_ns: Ints
    busy_ns: Ints
    """Union of works, added over devices."""
    devices: Ints
    last: Ints
    """When the last work ends."""
    on: dict[int, Ints]
    """Device -> the steps that used it."""


def _by_device(work: pl.DataFrame, steps: Numbered, names: list[str]) -> _Used:
    """Sums over the works of each step."""
    device, start, dur = (work[c].to_numpy() for c in ("device", "start_ns", "dur_ns"))
    groups = thread_rows(_places(steps, names), device, start)
    groups = {key: rows for key, rows in groups.items() if key[0] >= 0}
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

    def sums(values: Ints) -> Ints:
        result = np.zeros(len(names), np.int64)
        np.add.at(result, step, values)
        return result

    last = np.zeros(len(names), np.int64)
    last[step] = np.iinfo(np.int64).min
    np.maximum.at(last, step, np.maximum.reduceat(end, begins))
    return _Used(
        sums(np.diff(bounds)),
        sums(np.add.reduceat(is_kernel.astype(np.int64), begins)),
        sums(np.add.reduceat(np.where(is_kernel, dur, 0), begins)),
        sums(np.add.reduceat(fresh, begins)),
        np.bincount(step, minlength=len(names)),
        last,
        {device: step[on == device] for device in dict.fromkeys(on.tolist())},
    )


def in_start_order(work: pl.DataFrame) -> pl.DataFrame:
    """Rows by start, then id; for work, which stands nearly so, numpy's is the faster sort."""
    return work[np.lexsort((work["id"].to_numpy(), work["start_ns"].to_numpy()))]


def _idle(trace: Trace, used: _Used, low: Ints, il: Ints) -> Ints:
    """Per step, summed over its devices: the part of IL in which the device had no work at all."""
    idle = np.zeros(len(low), np.int64)
    for device, steps in used.on.items():
        low_here, il_here = low[steps], il[steps]
        busy = overlap(device_busy(trace, device), low_here, low_here + il_here)
        idle[steps] += il_here - busy
    return idle


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


def _cpu_busy(host: Host, steps: pl.DataFrame, low: Ints, il: Ints) -> Ints:
    """Per step: operators and calls of the launching threads of its process, less waits."""
    high = low + il
    by_process: dict[int, list[Intervals]] = {}
    blocked = thread_intervals(pl.concat([host.waits, host.copies]), host.threads)
    for thread, inside in host.inside.items():
        by_process.setdefault(thread[0], []).append(subtract(inside, blocked[thread]))
    everyone = merge(*(s for sets in by_process.values() for s in sets), EMPTY)
    busy: Ints = overlap(everyone, low, high)
    if len(by_process) > 1:
        for pid, sets in by_process.items():
            here = (steps["pid"] == pid).fill_null(value=False).to_numpy()
            busy = np.where(here, overlap(merge(*sets), low, high), busy)
    return busy


def _derive(frame: pl.DataFrame) -> pl.DataFrame:
    il, kernel = pl.col("il_ns"), pl.col("kernel_ns")
    both = kernel + pl.col("cpu_busy_ns")
    return frame.with_columns(
        akd_ns=mean_of(kernel, pl.col("kernels")),
        gpu_idle_paper_ns=il * pl.col("devices") - kernel,
        busy_share=1 - pl.col("gpu_idle_ns") / (il * pl.col("devices")),
        cpu_idle_ns=il - pl.col("cpu_busy_ns"),
        hdbi_share=share_of(kernel, both),
        outlier=(il > OUTLIER * il.median()).fill_null(value=False),
    )
