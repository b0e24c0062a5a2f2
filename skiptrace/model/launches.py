"""The launches frame: each call that has work, its first work, and the split of its t_l."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import polars as pl

from skiptrace.errors import FloorError
from skiptrace.intervals import Ints
from skiptrace.lookup import where
from skiptrace.model.rounding import median_of
from skiptrace.model.schema.column import KINDS
from skiptrace.thresholds import MIN_IDLE_LAUNCHES

_NONE = np.iinfo(np.int64).min
"""Stands for no end."""


@runtime_checkable
class HasFloor(Protocol):
    """The result of `sk.launch_floor`, or anything like it."""

    @property
    def median_ns(self) -> int: ...  # noqa: D102


Floor: TypeAlias = int | Mapping[str, int] | HasFloor
"""Nanoseconds for kernel launches, or per kind, or a measured floor."""


class Floors(NamedTuple):
    """What a launch costs with nothing in its way, per kind, and where that came from."""

    ns: dict[str, int]
    source: dict[str, str]
    """``median`` of launches onto an idle device, ``smallest``, ``kernel``, ``none``, ``given``."""


def build_launches(calls: pl.DataFrame, work: pl.DataFrame) -> tuple[pl.DataFrame, Floors]:
    """The launches in time order, and their floors.

    Parameters
    ----------
    calls, work
        In file order; work with ``launch``.

    Returns
    -------
    (columns of `LAUNCHES` but ``op``, ``root_op`` and ``step``, floors)
    """
    start = work["start_ns"].to_numpy()
    linked = np.flatnonzero(work["launch"].is_not_null().to_numpy())
    owner = work["launch"][linked].to_numpy()
    order = np.lexsort((start[linked], owner))  # of one start, in file order
    linked, owner = linked[order], owner[order]
    begins = np.flatnonzero(np.diff(owner, prepend=-1) != 0)
    works = np.diff(begins, append=len(owner))
    is_kernel = (work["kind"] == "kernel").to_numpy()[linked]
    kernels = np.add.reduceat(is_kernel.astype(np.int64), begins)
    kernel = np.minimum.reduceat(np.where(is_kernel, np.arange(len(owner)), len(owner)), begins)
    first = linked[np.where(kernels > 0, kernel, begins)]

    row = np.searchsorted(calls["id"].to_numpy(), owner[begins])
    in_time = np.lexsort((row, calls["start_ns"].to_numpy()[row]))
    rank = np.empty(len(row), np.int64)
    rank[in_time] = np.arange(len(row))
    of = np.repeat(rank, works)
    row, first = row[in_time], first[in_time]
    stream_end, device_end = (
        _earlier_end(work, first, linked, of, group) for group in (["device", "stream"], ["device"])
    )
    host = calls[["id", "name", "start_ns", "dur_ns", "pid", "tid"]][row]
    head = work[["id", "device", "stream", "kind"]][first]
    begin, works = host["start_ns"].to_numpy(), works[in_time]
    launches = host.with_columns(
        head["device"],
        head["stream"],
        pl.Series("works", works),
        pl.Series("kernels", kernels[in_time]),
        call=host["id"],
        first_work=head["id"],
        kind=head["kind"].zip_with(pl.Series(works == 1), pl.Series(["graph"])),
        tklqt_ns=pl.Series(np.maximum(start[first] - begin, 0)),
        ahead_ns=where(stream_end != _NONE, pl.Series(stream_end - begin)),
        found_idle=pl.Series((device_end != _NONE) & (device_end <= begin)),
    )
    floors = find_floors(launches)
    return split(launches, floors), floors


def _earlier_end(work: pl.DataFrame, first: Ints, linked: Ints, of: Ints, group: list[str]) -> Ints:
    """Latest end of work not of the launch that started before its first work, in its group.

    `_NONE` where there is none. A running maximum of ends over works in start order answers it,
    unless works of the launch itself came first (a graph that begins with a fill): then the
    stretches between those are looked at apart.

    Parameters
    ----------
    work
        All work, in file order.
    first
        Per launch the row of its first work.
    linked, of
        Rows of linked work, and the launch of each.
    """
    start, dur = work["start_ns"].to_numpy(), work["dur_ns"].to_numpy()
    keys = [work[key].to_numpy() for key in group]
    order = np.lexsort((start, *keys))  # of one start, in file order
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    start, ends = start[order], (start + dur)[order]
    begins = np.zeros(len(order), np.bool_)
    begins[:1] = True
    for key in keys:
        begins[1:] |= np.diff(key[order]) != 0
    # Works of one start are simultaneous: none of them started before another.
    later = begins.copy()
    later[1:] |= np.diff(start) != 0
    low, until = (np.maximum.accumulate(np.where(m, np.arange(len(m)), 0)) for m in (begins, later))
    reach = np.empty_like(ends)
    for a, b in pairwise([*np.flatnonzero(begins).tolist(), len(ends)]):
        np.maximum.accumulate(ends[a:b], out=reach[a:b])

    low, until = low[place[first]], until[place[first]]
    result = np.full(len(first), _NONE)
    some = until > low
    result[some] = reach[until[some] - 1]
    own = place[linked]
    before = (own >= low[of]) & (own < until[of])
    if before.any():
        _without_own(result, ends, low, until, own[before], of[before])
    return result


def _without_own(result: Ints, ends: Ints, low: Ints, until: Ints, own: Ints, owner: Ints) -> None:
    """Recompute `result` for launches whose own works (places `own`) lie in [low, until)."""
    order = np.lexsort((own, owner))
    own, owner = own[order], owner[order]
    launches, first = np.unique(owner, return_index=True)
    # The stretches between own works: from the group's start or behind one, to the next or `until`.
    starts = np.insert(own + 1, first, low[launches])
    stops = np.insert(own, np.append(first[1:], len(own)), until[launches])
    which = np.insert(owner, first, launches)
    reach = _range_max(ends, starts, stops)
    result[launches] = _NONE
    np.maximum.at(result, which, reach)


def _range_max(values: Ints, starts: Ints, stops: Ints) -> Ints:
    """Maximum of ``values[start:stop]`` for each pair, from a table of power-of-two ranges."""
    length = np.maximum(stops - starts, 0)
    result = np.full(len(starts), _NONE, np.int64)
    level, table = 0, values
    while (length >> level).any():
        here = (length >> level) == 1
        result[here] = np.maximum(table[starts[here]], table[stops[here] - (1 << level)])
        level += 1
        half = 1 << (level - 1)
        table = np.maximum(table[:-half], table[half:]) if len(table) > half else table
    return result


def find_floors(launches: pl.DataFrame) -> Floors:
    """The floor per kind: what launches onto an idle device took in the median."""
    ns: dict[str, int] = {}
    source: dict[str, str] = {}
    tklqt, found_idle = (launches[c].to_numpy() for c in ("tklqt_ns", "found_idle"))
    for kind in KINDS:
        is_kind = launches["kind"].eq_missing(kind).to_numpy()
        idle = tklqt[is_kind & found_idle]
        if len(idle) >= MIN_IDLE_LAUNCHES:
            ns[kind], source[kind] = median_of(idle), "median"
        elif kind == "kernel" and is_kind.any():
            ns[kind], source[kind] = int(tklqt[is_kind].min()), "smallest"
        elif kind == "kernel":
            ns[kind], source[kind] = 0, "none"
        else:
            ns[kind] = ns["kernel"]
            source[kind] = "none" if source["kernel"] == "none" else "kernel"
    return Floors(ns, source)


def given_floors(floors: Floors, given: Floor | None) -> Floors:
    """The trace's floors, with the caller's instead where given."""
    if given is None:
        return floors
    if isinstance(given, Mapping):
        mapping = dict(given)
    elif isinstance(given, HasFloor):
        mapping = {"kernel": given.median_ns}
    else:
        mapping = {"kernel": given}
    for kind, value in mapping.items():
        number: object = value  # whatever the caller really gave
        is_ns = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if kind not in KINDS or not is_ns or not 0 <= value < 2**62:
            raise FloorError.bad(given)
    ns, source = dict(floors.ns), dict(floors.source)
    for kind in KINDS:
        if kind in mapping:
            ns[kind], source[kind] = int(mapping[kind]), "given"
        elif source[kind] in ("kernel", "none") and "kernel" in mapping:
            ns[kind], source[kind] = int(mapping["kernel"]), "given"
    return Floors(ns, source)


def split(launches: pl.DataFrame, floors: Floors) -> pl.DataFrame:
    """Split t_l exactly: ``queue = clamp(prev_end - (start + floor), 0, t_l)``, launch the rest."""
    floor = pl.col("kind").replace_strict(floors.ns, return_dtype=pl.Int64)
    behind = pl.max_horizontal(pl.col("ahead_ns") - floor, 0)  # 0 where there is nothing ahead
    queue = pl.min_horizontal(behind, "tklqt_ns")
    return launches.with_columns(queue_ns=queue).with_columns(
        launch_ns=pl.col("tklqt_ns") - pl.col("queue_ns")
    )
