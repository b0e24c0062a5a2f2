"""`idle_gaps`: when each device had nothing to do, and what the host did meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import polars as pl

from skiptrace.beside import beside
from skiptrace.intervals import Bools, Ints, contains, gaps_between, overlay
from skiptrace.lookup import filled, link_to_row, nothing, rows_of
from skiptrace.measure.activity import thread_activities
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import Numbered, call_names, numbered, op_names, work_names
from skiptrace.measure.ranks import over_ranks
from skiptrace.model import categories as cats
from skiptrace.model.nesting import Nest, Thread, thread_rows
from skiptrace.model.once import once
from skiptrace.model.schema.column import ACTIVITIES, conform, empty
from skiptrace.model.schema.measured import IDLE_GAPS
from skiptrace.model.steps import ALL, is_one_step
from skiptrace.model.trace import Trace, Whole
from skiptrace.thresholds import SYNC_SLACK

_TOGETHER = 1 << 14
"""Gaps cut at a time: what they are cut into is several times as much, and stays small."""


@over_ranks
def idle_gaps(trace: Trace) -> pl.DataFrame:
    """Every moment in which a device had no work at all, and what the host did in it.

    A gap is a maximal interval with no work on any stream of a device, between the device's first
    and last work; gaps + busy = that span, to the nanosecond. A gap belongs to the work that ends
    it, and is read on the thread that launched this work: before the launch, by what the thread
    was in; then ``launch`` until the call returns; then ``device`` or ``dependency``.

    Parameters
    ----------
    trace
        A trace or a window of one; gaps of a window lie between its own first and last work.

    Returns
    -------
    polars.DataFrame
        Columns as listed under "idle_gaps" in the docs, by device and time. The eleven activity
        columns sum to ``dur_ns``.

    Notes
    -----
    ``cause`` is ``sync`` if a waiting call of the launching thread covers the gap's start, before
    the launch, and python, dataloader, alloc and copy make at most half of the gap; else the
    largest activity.
    """
    warn_of_doubts(trace, "idle_gaps")
    gaps = find_gaps(trace)
    if gaps.is_empty():
        return empty(IDLE_GAPS)
    held = _Holders(trace, gaps)
    other = beside(held.find)
    causes = gap_causes(trace)
    held.help()  # done first: what is left is shared
    other.result()
    return conform(causes.with_columns(held.columns()), IDLE_GAPS)


def holders(trace: Trace, gaps: pl.DataFrame) -> list[pl.Series]:
    """``host_op`` and ``host_python``: what held most of each gap."""
    held = _Holders(trace, gaps)
    held.find()
    return held.columns()


@once
def gap_causes(trace: Trace) -> pl.DataFrame:
    """The gaps of `find_gaps`, with their activities and cause."""
    gaps = find_gaps(trace)
    amounts, waited = _activities(trace, gaps)
    return gaps.with_columns(
        *(pl.Series(f"{name}_ns", amounts[name]) for name in ACTIVITIES),
        _causes(amounts, waited, gaps["dur_ns"].to_numpy()).alias("cause"),
    )


@once
def find_gaps(trace: Trace) -> pl.DataFrame:
    """The gaps, with the work that ends each and that work's launch.

    Columns ``gap``, ``device``, ``start_ns``, ``end_ns``, ``dur_ns``, ``next_work``, ``stream``,
    and of the launch (null where unlinked) ``launch``, ``call_ns`` (its start), ``return_ns``,
    ``pid``, ``tid``, ``op``, ``step``.
    """
    launches = trace.whole.launches.select(
        "pid",
        "tid",
        "op",
        "step",
        call_ns="start_ns",
        return_ns=pl.col("start_ns") + pl.col("dur_ns"),
    )
    work = _work_around(trace)
    row = rows_of(trace.whole.launches["id"], work["launch"])
    call = filled(link_to_row(launches["call_ns"], row), np.iinfo(np.int64).max)
    ids, device, start, dur = (work[c].to_numpy() for c in ("id", "device", "start_ns", "dur_ns"))
    order = np.lexsort((ids, call, start, device))
    parts = []
    for group in np.split(order, np.flatnonzero(np.diff(device[order])) + 1):
        low, high, after = gaps_between(start[group], start[group] + dur[group])
        parts.append((low, high, group[after]))
    low, high, ending = (np.concatenate(part) for part in zip(*parts, strict=True))
    row = row[ending]
    gaps = work.select("device", "stream", "launch", next_work="id")[ending].with_columns(
        *(link_to_row(column, row).alias(column.name) for column in launches),
        start_ns=pl.Series(low),
        end_ns=pl.Series(high),
        dur_ns=pl.Series(high - low),
    )
    if is_one_step(trace.whole.steps):  # then unlinked work has that step too
        gaps = gaps.with_columns(step=pl.lit(ALL))
    return gaps.with_row_index("gap")


def _work_around(trace: Trace) -> pl.DataFrame:
    """All work, own or background, between each device's first and last own work."""
    if trace.window is None:
        return trace.work
    end = pl.col("start_ns") + pl.col("dur_ns")
    spans = trace.work.group_by("device").agg(low=pl.col("start_ns").min(), high=end.max())
    inside = (
        (pl.col("device") == device) & (pl.col("start_ns") <= high) & (end >= low)
        for device, low, high in spans.iter_rows()
    )
    return trace.whole.work.filter(pl.any_horizontal(pl.lit(value=False), *inside))


def _activities(trace: Trace, gaps: pl.DataFrame) -> tuple[dict[str, Ints], Bools]:
    """Per gap the time of each activity, and whether a wait covers its start."""
    low, high = gaps["start_ns"].to_numpy(), gaps["end_ns"].to_numpy()
    linked = gaps["launch"].is_not_null().to_numpy()
    call = np.clip(filled(gaps["call_ns"], 0), low, high)
    back = np.clip(filled(gaps["return_ns"], 0), call, high)
    amounts = {name: np.zeros(len(gaps), np.int64) for name in ACTIVITIES}
    amounts["unknown"] = np.where(linked, 0, high - low)
    waited = np.zeros(len(gaps), np.bool_)
    threads = thread_activities(trace)
    for thread, rows in _by_thread(gaps).items():
        for name, amount in threads[thread].amounts(low[rows], call[rows]).items():
            amounts[name][rows] = amount
        # A wait that began after the launch delayed nothing: what it covers had been launched.
        waited[rows] = contains(threads[thread].waits, low[rows]) & (low < call)[rows]
    amounts["launch"] += np.where(linked, back - call, 0)
    depends = _depends(trace, gaps)
    amounts["dependency"] = np.where(linked & depends, high - back, 0)
    amounts["device"] = np.where(linked & ~depends, high - back, 0)
    inside = _inside_graph(trace, gaps)
    if inside.any():
        for name in ACTIVITIES:  # inside a graph the device is on its own
            amounts[name][inside] = (high - low)[inside] if name == "device" else 0
    return amounts, waited


def _by_thread(gaps: pl.DataFrame) -> dict[Thread, Ints]:
    """The rows of linked gaps by launching thread."""
    rows = np.flatnonzero(gaps["launch"].is_not_null().to_numpy())
    where = (filled(gaps[c], 0)[rows] for c in ("pid", "tid", "start_ns"))
    return {thread: rows[part] for thread, part in thread_rows(*where).items()}


def _inside_graph(trace: Trace, gaps: pl.DataFrame) -> Bools:
    """Whether the work that ends a gap is not the first of its launch on its device."""
    several = trace.whole.launches.filter(pl.col("works") > 1)["id"]
    if several.is_empty():
        return np.zeros(len(gaps), np.bool_)
    later = (
        trace.whole.work.filter(pl.col("launch").is_in(several.implode()))
        .sort("start_ns", "id")
        .filter(~pl.struct("launch", "device").is_first_distinct())["id"]
    )
    return gaps["next_work"].is_in(later.implode()).to_numpy()


def _depends(trace: Trace, gaps: pl.DataFrame) -> Bools:
    """Whether the work that ends a gap had something else to wait for on the device.

    Its stream was told to wait since its last work was launched, or it is a collective, whose
    peers may be late.
    """
    whole = trace.whole
    row = rows_of(whole.work["id"], gaps["next_work"])
    is_kernel = (whole.work["kind"] == "kernel").to_numpy()
    collective = work_names(whole).fit(cats.COLLECTIVES) & is_kernel
    if len(whole.collectives):
        collective |= whole.work["id"].is_in(whole.collectives.implode()).to_numpy()
    depends: Bools = collective[row]
    recorded = whole.syncs.filter(pl.col("sync_kind").str.contains(cats.STREAM_WAIT_RECORD))
    told = whole.calls[np.flatnonzero(call_names(whole).fit(cats.STREAM_WAITS))]
    if recorded.is_empty() and told.is_empty():
        return depends
    gaps = gaps.with_columns(since=pl.Series(_previous_launch(whole)[row]))
    where = recorded.filter(pl.col("correlation").is_not_null()).select(
        "device", "stream", "correlation"
    )
    return (
        depends
        | _any_between(recorded, gaps, ["device", "stream"])
        # A call says when and who; only a record of it says which stream.
        | _any_between(told.join(where, on="correlation"), gaps, ["device", "stream", "pid", "tid"])
        | _any_between(told.join(where, on="correlation", how="anti"), gaps, ["pid", "tid"])
    )


def _previous_launch(whole: Whole) -> Ints:
    """For each work, when the one before it on its stream was launched; long ago where none."""
    work = whole.work
    row = rows_of(whole.launches["id"], work["launch"])
    start = work["start_ns"]
    # What has no launch was launched by its start at latest.
    launched = link_to_row(whole.launches["start_ns"], row).fill_null(start).to_numpy()
    device, stream = work["device"].to_numpy(), work["stream"].to_numpy()
    order = np.lexsort((work["id"].to_numpy(), start.to_numpy(), stream, device))
    before, after = order[:-1], order[1:]
    same = (device[before] == device[after]) & (stream[before] == stream[after])
    previous = np.full(len(work), np.iinfo(np.int64).min)
    previous[after[same]] = launched[before[same]]
    return previous


def _any_between(marks: pl.DataFrame, gaps: pl.DataFrame, keys: list[str]) -> Bools:
    """Whether a mark with the gap's keys lies in ``(since, call_ns)``."""
    latest = (
        gaps.select("gap", "since", *keys, at=pl.col("call_ns"))
        .filter(pl.col("at").is_not_null())
        .sort("at")
        .join_asof(
            marks.select(*keys, mark="start_ns").sort("mark"),
            left_on="at",
            right_on="mark",
            by=keys,
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("mark") > pl.col("since"))
    )
    found = np.zeros(len(gaps), np.bool_)
    found[latest["gap"].to_numpy()] = True
    return found


def _causes(amounts: dict[str, Ints], waited: Bools, length: Ints) -> pl.Series:
    cause, most = np.zeros(len(length), np.int64), np.zeros(len(length), np.int64)
    for number, name in enumerate(ACTIVITIES):
        more = amounts[name] > most  # the first of equal ones
        np.copyto(cause, number, where=more)
        np.maximum(most, amounts[name], out=most)
    busy = sum(amounts[name] for name in ("python", "dataloader", "alloc", "copy"))
    cause = np.where(waited & (busy <= SYNC_SLACK * length), ACTIVITIES.index("sync"), cause)
    return pl.Series(ACTIVITIES, dtype=pl.String)[cause]


class Pieces(NamedTuple):
    """Gaps cut by what held them: row of the gap, row of the holder (-1: none), nanoseconds."""

    gap: Ints
    row: Ints
    ns: Ints


Cuts: TypeAlias = deque[Callable[[], Pieces]]
"""What cuts some gaps each, in any thread."""


def op_pieces(trace: Trace, gaps: pl.DataFrame) -> tuple[Numbered, Cuts]:
    """Each gap cut by the innermost operator; after the launch, the launch's operator.

    The names of the holders by row, and the pieces.
    """
    ops, names = trace.whole.ops, op_names(trace.whole)
    if trace.window is not None and len(gaps):
        low, high = gaps["start_ns"].min(), gaps["end_ns"].max()
        during = (pl.col("start_ns") < high) & (pl.col("start_ns") + pl.col("dur_ns") > low)
        near = ops.select(during | pl.col("id").is_in(gaps["op"].implode())).to_series()
        if 2 * near.sum() < len(ops):  # of most operators the known parents are worth more
            ops = ops.drop("parent").filter(near)
            names = names._replace(numbers=names.numbers[near.to_numpy()])
    return names, _pieces(Nest(ops), gaps, rows_of(ops["id"], gaps["op"]))


def python_pieces(trace: Trace, gaps: pl.DataFrame) -> tuple[Numbered, Cuts]:
    """Each gap cut by the deepest Python frame; after the launch, the frame around the launch."""
    nest = Nest(trace.whole.python)
    around = np.full(len(gaps), -1)
    linked = gaps["launch"].is_not_null().to_numpy()
    around[linked] = nest.at(
        *(gaps[c].filter(linked).to_numpy() for c in ("pid", "tid", "call_ns"))
    )
    return numbered(trace.whole.python["name"]), _pieces(nest, gaps, around)


def _pieces(nest: Nest, gaps: pl.DataFrame, around: Ints) -> Cuts:
    """Pieces before the launch by the thread's timeline, then one of the row `around` it."""
    low, high = gaps["start_ns"].to_numpy(), gaps["end_ns"].to_numpy()
    linked = gaps["launch"].is_not_null().to_numpy()
    until = np.clip(np.where(linked, filled(gaps["call_ns"], 0), low), low, high)

    def alone() -> Pieces:
        rows = np.flatnonzero(~linked)
        return Pieces(rows, np.full(len(rows), -1), (high - low)[rows])

    def cut(thread: Thread, rows: Ints) -> Pieces:
        during = int(low[rows[0]]), int(until[rows].max())
        bounds, innermost = nest.timeline(*thread, during)
        after = rows[high[rows] > until[rows]]
        which, segment, length = overlay(low[rows], until[rows], bounds)
        row = np.where(segment >= 0, innermost[segment], -1) if len(bounds) else segment
        return Pieces(
            np.concatenate((after, rows[which])),
            np.concatenate((around[after], row)),
            np.concatenate(((high - until)[after], length)),
        )

    cuts: Cuts = deque([alone])
    for thread, rows in _by_thread(gaps).items():
        for first in range(0, len(rows), _TOGETHER):
            cuts.append(partial(cut, thread, rows[first : first + _TOGETHER]))
    return cuts


class _Holders:
    """Which operator and Python frame held most of each gap; threads may look for it together."""

    def __init__(self, trace: Trace, gaps: pl.DataFrame) -> None:
        self._trace, self._gaps = trace, gaps
        self._found: list[tuple[Numbered, Cuts, Ints]] = []
        """Names, what is not cut yet, and per gap the number of a name."""

    def find(self) -> None:
        """Look at all gaps."""
        pieces = [op_pieces(self._trace, self._gaps)]
        if len(self._trace.whole.python):  # mostly there is none
            pieces.append(python_pieces(self._trace, self._gaps))
        self._found = [
            (names, cuts, np.full(len(self._gaps), len(names.different))) for names, cuts in pieces
        ]
        self.help()

    def help(self) -> None:
        """Look at the gaps that no other thread has taken."""
        for names, cuts, most in self._found:
            while True:
                try:
                    cut = cuts.popleft()
                except IndexError:
                    break
                _note_main(cut(), names, most)

    def columns(self) -> list[pl.Series]:
        """Null where most was in no operator or frame."""
        nobody = nothing(len(self._gaps), pl.String())
        found = [names.named(most) for names, _, most in self._found]
        both = zip(("host_op", "host_python"), [*found, nobody], strict=False)
        return [names.alias(column) for column, names in both]


def _note_main(part: Pieces, names: Numbered, most: Ints) -> None:
    """Per gap of the pieces the name that held most of it."""
    name = names.at(part.row)
    key = part.gap * (len(names.different) + 1) + name
    order = np.argsort(key, kind="stable")  # much faster of what stands nearly in order
    first = _begins(key[order])
    held = np.add.reduceat(part.ns[order], first)
    gap, holder = part.gap[order[first]], name[order[first]]
    start = _begins(gap)
    longest = np.repeat(np.maximum.reduceat(held, start), np.diff(start, append=len(gap)))
    found = np.flatnonzero(held == longest)[::-1]
    most[gap[found]] = holder[found]  # the first is written last, as they sort


def _begins(values: Ints) -> Ints:
    """Where runs of equal values begin."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
