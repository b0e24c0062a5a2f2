"""Changes of a model: what would be different, as the same arrays with other numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from skiptrace.intervals import Bools, Intervals, Ints, overlap, union
from skiptrace.model import categories as cats
from skiptrace.model.trace import Trace
from skiptrace.predict.replay import NEVER, Model
from skiptrace.predict.replay_model import Recorded

GRAPH_GAP_NS = 450
"""Between two kernels inside a CUDA graph, where a trace has no graph of its own: the median of the
recorded graphs of compiled models on an H100, 448 ns."""
COLD_NS = 150
"""By so much longer a kernel takes that starts on an idle device than the same one inside a graph:
the mean over the kernels of compiled models, launched one by one and as a graph, on an H100."""
COLD_PART = 0.25
"""No more than this part of a kernel's duration is taken for a cold start."""
LEAST = 0.1
"""No stretch of host time gets shorter than this part of it by taking off what was recorded."""


def scaled_host(model: Model, factor: float) -> Model:
    """Every thread's own time times `factor`; waking up from a wait takes as long as before."""
    wakes = np.zeros(len(model.delta), np.bool_)
    wakes[[point for point, works, _ in model.waits if works]] = True
    return replace(model, delta=np.where(wakes, model.delta, _times(model.delta, factor)))


def scaled_launches(made: Recorded, model: Model, factor: float) -> Model:
    """Launch calls and the way from there to the device times `factor`."""
    launched = np.unique(made.lanes.call[made.lanes.call >= 0])
    delta = model.delta.copy()
    returns = 2 * launched + 1
    returns = returns[~np.isin(returns, list(model.waiting))]
    delta[returns] = _times(delta[returns], factor)
    free = (model.latency == NEVER) | model.pinned
    scaled = _times(np.where(free, 0, model.latency), factor)
    return replace(model, delta=delta, latency=np.where(free, model.latency, scaled))


def scaled_device(made: Recorded, model: Model, factors: Mapping[str, float]) -> Model:
    """Durations of works times a factor, by kind or a part of the name; the first that fits."""
    names = _names(made)
    distinct = names.unique()
    factor = [
        next((f for p, f in factors.items() if _fits(p, name, kind)), 1.0)
        for name, kind in distinct.rows()
    ]
    table = distinct.with_columns(pl.Series("factor", factor, dtype=pl.Float64))
    of_work = names.join(table, on=["name", "kind"], how="left", maintain_order="left")
    return scaled_works(model, of_work["factor"].to_numpy())


def unmatched(made: Recorded, patterns: Iterable[str]) -> list[str]:
    """Those that fit no work of the recording."""
    distinct = _names(made).unique().rows()
    return [p for p in patterns if not any(_fits(p, name, kind) for name, kind in distinct)]


def _names(made: Recorded) -> pl.DataFrame:
    """Name and kind of each work; a damaged trace may have works without a name."""
    return made.lanes.works.select(pl.col("name").fill_null(""), "kind")


def _fits(pattern: str, name: str, kind: str) -> bool:
    """Whether it is a work's kind, or is found in its name, as it stands or as an expression."""
    if pattern == kind or pattern.lower() in name.lower():
        return True
    try:
        return bool(re.search(pattern, name, re.IGNORECASE))
    except re.error:  # a name with brackets in it, that is none of these
        return False


def scaled_works(model: Model, factor: NDArray[np.float64]) -> Model:
    """Durations of works, each times its factor."""
    return replace(model, dur=_times(model.dur, factor))


def without(model: Model, amount: Ints) -> Model:
    """Host time less so much before each point; at least `LEAST` of each stretch stays."""
    least = np.minimum(_times(model.delta, LEAST), model.delta)
    return replace(model, delta=np.maximum(model.delta - amount, least))


def without_host(model: Model, sets: Mapping[tuple[int, int], Intervals]) -> Model:
    """Host time less what lies in a set of intervals of each thread."""
    delta = model.delta.copy()
    for number, thread in enumerate(model.threads):
        if thread not in sets:
            continue
        part = slice(int(model.first_point[number]), int(model.first_point[number + 1]))
        time = model.time[part]
        delta[part] -= overlap(sets[thread], time - np.maximum(model.delta[part], 0), time)
    return replace(model, delta=np.maximum(delta, np.minimum(model.delta, 0)))


def without_waits(model: Model, points: Ints) -> Model:
    """Calls that no longer wait, nor take any time."""
    gone = set(points.tolist())
    delta = model.delta.copy()
    delta[points] = 0
    return replace(model, delta=delta, waits=tuple(w for w in model.waits if w[0] not in gone))


def bundled(
    made: Recorded,
    model: Model,
    spans: pl.DataFrame,
    gap: int,
    latency: int | None,
    *,
    longest: bool = False,
) -> Model:
    """Works launched in each span as one launch: a graph, or one fused kernel.

    Parameters
    ----------
    made
        What the model was made of.
    model
        The model, perhaps changed before.
    spans
        ``span`` (number), ``pid``, ``tid``, ``start_ns``, ``end_ns``: host time that goes away but
        for one launch, a row for each thread of a span; spans of a thread do not overlap.
    gap
        Between works of a span, in ns.
    latency
        From the start of the one launch to the first work, in ns; None for as before.
    longest
        The works of a span together take as long as the longest of them: one that reads and writes
        memory once, say.
    """
    lanes = made.lanes
    delta, dur, gaps = model.delta.copy(), model.dur.copy(), model.gap.copy()
    point, ways = model.point.copy(), model.latency.copy()
    span = np.full(len(dur), -1, np.int64)
    inside = np.zeros(len(delta), np.bool_)
    call_thread = np.searchsorted(model.first_point, 2 * lanes.call, side="right") - 1
    for (pid, tid), group in spans.sort("start_ns").group_by("pid", "tid", maintain_order=True):
        if (pid, tid) not in model.threads:
            continue
        number = model.threads.index((int(pid), int(tid)))
        part = slice(int(model.first_point[number]), int(model.first_point[number + 1]))
        time, start, end = (
            model.time[part],
            group["start_ns"].to_numpy(),
            group["end_ns"].to_numpy(),
        )
        delta[part] -= overlap(union(start, end), time - np.maximum(delta[part], 0), time)
        place = np.searchsorted(start, time, side="right") - 1
        here = (
            (place >= 0)
            & (time > start[np.maximum(place, 0)])
            & (time <= end[np.maximum(place, 0)])
        )
        inside[part] |= here
        mine = (lanes.call >= 0) & (call_thread == number)
        at = np.searchsorted(start, lanes.began[mine], side="right") - 1
        fits = (at >= 0) & (lanes.began[mine] < end[np.maximum(at, 0)])
        span[mine] = np.where(fits, group["span"].cast(pl.Int64).to_numpy()[np.maximum(at, 0)], -1)
    works = np.flatnonzero(span >= 0)
    if not len(works):
        return model
    # One launch a span: that which was first. It takes what it took, and the first works of each
    # lane follow it; all others follow within.
    order = works[np.lexsort((works, lanes.began[works], span[works]))]
    first = order[np.concatenate(([True], span[order][1:] != span[order][:-1]))]
    launch = np.full(int(span.max()) + 1, -1, np.int64)
    launch[span[first]] = 2 * lanes.call[first]
    of = launch[span[works]]
    delta = np.maximum(delta, np.minimum(model.delta, 0))
    delta[np.unique(of) + 1] = model.delta[np.unique(of) + 1]
    same = np.append(
        False,
        (span[works][1:] == span[works][:-1])
        & (lanes.lane[works][1:] == lanes.lane[works][:-1])
        & (np.diff(works) == 1),
    )
    head, rest = works[~same], works[same]
    point[works] = of if latency is not None else np.minimum(of + 1, len(delta) - 1)
    ways[head] = latency if latency is not None else made.latencies["kernel"]
    ways[rest] = NEVER
    gaps[rest] = gap
    isolated = rest[(lanes.start[rest] - lanes.before[rest]) > 2 * gap + 1_000]
    if latency is not None:
        dur[isolated] -= np.minimum(COLD_NS, (COLD_PART * dur[isolated]).astype(np.int64))
    if longest:
        by_length = works[np.lexsort((dur[works], span[works]))]
        dur[by_length[:-1][np.diff(span[by_length]) == 0]] = 0
    gone = inside.copy()
    waits = tuple(w for w in model.waits if not gone[w[0]])
    pinned = model.pinned.copy()
    pinned[works] = False
    return replace(
        model, delta=delta, dur=dur, gap=gaps, point=point, latency=ways, pinned=pinned, waits=waits
    )


def waits_inside(
    trace: Trace, made: Recorded, ops: tuple[str, ...] | None = None, *, alloc: bool = False
) -> tuple[Ints, pl.DataFrame]:
    """Points of calls that wait before a later launch of their step, and those calls.

    A wait behind the last launch of its step ends the step, and stays. `ops`: only those inside
    operators of such names. `alloc`: those that free memory and so wait, instead of all others.
    """
    last = trace.launches.group_by("step").agg(last=pl.col("start_ns").max())
    rows = [point // 2 for point, works, _ in made.model.waits if works]
    calls = made.calls.with_row_index("row")[np.array(sorted(rows), np.int64)]
    calls = calls.join(last, on="step", how="left", maintain_order="left").filter(
        pl.col("start_ns") < pl.col("last"),
        pl.col("name").str.contains(cats.ALLOCATES) == pl.lit(alloc),
    )
    if ops is not None:
        calls = calls.filter(pl.Series(_within(trace, calls["op"], ops)))
    return 2 * calls["row"].cast(pl.Int64).to_numpy() + 1, calls


def _within(trace: Trace, op: pl.Series, names: tuple[str, ...]) -> Bools:
    """Whether an operator, or one above it, has one of the names."""
    table = trace.whole.ops.select("name", "parent", op="id")
    found = np.zeros(len(op), np.bool_)
    while op.count():
        row = pl.DataFrame({"op": op}).join(table, on="op", how="left", maintain_order="left")
        found |= row["name"].is_in(list(names)).fill_null(value=False).to_numpy()
        op = row["parent"]
    return found


def _times(values: Ints, factor: float | NDArray[np.float64]) -> Ints:
    found: Ints = np.rint(values * factor).astype(np.int64)
    return found
