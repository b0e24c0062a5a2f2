"""Steps: found by name or given by the caller, and which step a moment belongs to."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, pairwise
from typing import TypeAlias

import numpy as np
import polars as pl

from skiptrace.errors import StepError
from skiptrace.intervals import Ints, last_above
from skiptrace.lookup import link_to_row
from skiptrace.model.categories import STEP_NAME
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.schema.recorded import STEPS

Window: TypeAlias = tuple[int, int] | tuple[str, int, int]
Steps: TypeAlias = str | Sequence[str | Window] | Mapping[str, tuple[int, int]]
"""A name pattern, several, or windows ``(start_ns, end_ns)`` or ``(name, start_ns, end_ns)``."""

ALL = "all"
"""Name of the one step of a trace without steps."""

_NUMBERED = re.compile(r"ProfilerStep#(-?\d+)(?:$| \(|#)")


def find_steps(events: pl.DataFrame, wanted: Steps | None, labels: pl.Series) -> pl.DataFrame:
    """The steps of a trace, in time order, with unique names.

    Parameters
    ----------
    events
        Host events that can be steps: annotations, operators and step events.
    wanted
        What the caller asked for; None means ``ProfilerStep#N``.
    labels
        Names of annotations or operators, for the error where nothing is found.
    """
    if wanted is None:
        found = _outermost(events.filter(pl.col("name").str.contains(STEP_NAME)))
        return _unique_names(found) if len(found) else found
    patterns, windows = _split(wanted)
    frames = []
    if not patterns and not windows:
        raise StepError.no_steps(wanted)
    if patterns:
        names = events["name"].drop_nulls().unique().to_list()
        wanted_names = set()
        for pattern in patterns:
            fit = {n for n in names if n == pattern or fnmatch.fnmatchcase(n, pattern)}
            if not fit:
                raise StepError.no_match(pattern, labels.drop_nulls().unique().to_list())
            wanted_names |= fit
        hits = events.filter(pl.col("name").is_in(list(wanted_names)))
        frames.append(_outermost(hits))
    if windows:
        frames.append(_windows(windows))
    return _unique_names(pl.concat(frames).sort("start_ns", -pl.col("dur_ns"), "id"))


def given_steps(steps: pl.DataFrame) -> pl.DataFrame:
    """Steps that came as a frame, in time order, with unique names; of equal starts in its own."""
    if is_one_step(steps):
        return conform(steps, STEPS)
    return _unique_names(conform(steps, STEPS).sort("start_ns", maintain_order=True))


def one_step(start: int, end: int) -> pl.DataFrame:
    """The one step of a trace without steps."""
    return pl.DataFrame(
        [(None, ALL, start, end - start, None)],
        schema={c.name: c.dtype for c in STEPS},
        orient="row",
    )


def is_one_step(steps: pl.DataFrame) -> bool:
    """Whether these are the steps of a trace that is one step."""
    return len(steps) == 1 and steps["name"].item() == ALL


class StepIndex:
    """The steps of a trace, found by name, number or time without reading all of them."""

    def __init__(self, steps: pl.DataFrame) -> None:
        self._steps = steps
        names = steps["name"].to_list()
        self._rows = {name: row for row, name in enumerate(names)}
        self._numbered = defaultdict[str, list[str]](list)
        for name in names:
            if number := _NUMBERED.match(name):
                self._numbered[number[1]].append(name)
        self._named = any(name.startswith("ProfilerStep#") for name in names)
        self._starts = steps["start_ns"].to_numpy()
        ends = (steps["start_ns"] + steps["dur_ns"]).to_numpy()
        self._reach = np.maximum.accumulate(ends)

    def find(self, key: int | str) -> pl.DataFrame:
        """The row of one step, by its name, its number or its place.

        Raises
        ------
        StepError
            No such step, or several of that number.
        """
        if isinstance(key, str) and key not in self._rows and key.removeprefix("-").isdecimal():
            key = int(key)
        if isinstance(key, str):
            found = [self._rows[key]] if key in self._rows else []
        else:
            found = [self._rows[name] for name in self._numbered.get(str(key), ())]
            # A place in the order, where no step has a number, or from the end.
            count = len(self._steps)
            if not found and (key < 0 or not self._named) and -count <= key < count:
                found = [key % count]
        if len(found) != 1:
            names = self._steps["name"]
            raise StepError.unknown(key, (names.gather(found) if found else names).to_list())
        return self._steps.slice(found[0], 1)

    def touching(self, start: int, end: int) -> pl.DataFrame:
        """The steps that have a moment in ``[start, end)``; the one step of a trace always."""
        if is_one_step(self._steps):
            return self._steps
        first = np.searchsorted(self._reach, start, side="right")
        last = np.searchsorted(self._starts, end, side="left")
        near = self._steps.slice(int(first), max(int(last - first), 0))
        return near.filter(pl.col("start_ns") + pl.col("dur_ns") > start)


def _split(wanted: Steps) -> tuple[list[str], list[Window]]:
    if isinstance(wanted, str):
        return [wanted], []
    if not isinstance(wanted, Iterable):
        raise StepError.no_steps(wanted)
    items: Iterable[str | Window] = (
        [(name, *window) for name, window in wanted.items()]
        if isinstance(wanted, Mapping)
        else wanted
    )
    patterns, windows = [], []
    for item in items:
        if isinstance(item, str):
            patterns.append(item)
        else:
            windows.append(item)
    return patterns, windows


def _windows(windows: list[Window]) -> pl.DataFrame:
    rows = []
    for window in windows:
        given: object = window  # whatever the caller really gave
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise StepError.no_steps(given)
        name, start, end = window if len(window) == 3 else ("window", *window)
        check_window(start, end)
        if not isinstance(name, str):
            raise StepError.no_steps(window)
        rows.append((None, name, int(start), int(end) - int(start), None))
    return pl.DataFrame(rows, schema={c.name: c.dtype for c in STEPS}, orient="row").sort(
        "start_ns"
    )


def check_window(start: object, end: object) -> None:
    """Raise unless start and end are integers and start < end."""
    numbers = isinstance(start, (int, np.integer)) and isinstance(end, (int, np.integer))
    if not numbers or not -(2**62) < start < end < 2**62:  # type: ignore[operator]
        raise StepError.bad_window(start, end)


def _outermost(hits: pl.DataFrame) -> pl.DataFrame:
    """Drop matches that lie inside another of the same process."""
    if hits.is_empty():
        return empty(STEPS)
    ids, pid, start, dur = (hits[c].to_numpy() for c in ("id", "pid", "start_ns", "dur_ns"))
    order = np.lexsort((ids, -dur, start, pid))
    end, kept = (start + dur)[order], np.ones(len(order), np.bool_)
    firsts = np.flatnonzero(np.diff(pid[order])) + 1
    for a, b in pairwise([0, *firsts.tolist(), len(order)]):
        kept[a + 1 : b] = end[a + 1 : b] > np.maximum.accumulate(end[a : b - 1])
    rows = order[kept]
    return conform(hits[rows[np.lexsort((ids[rows], start[rows]))]], STEPS)


def _unique_names(steps: pl.DataFrame) -> pl.DataFrame:
    """Number repeated names in time order; those of several processes carry the process."""
    processes = defaultdict[str, set[int | None]](set)
    for name, pid in zip(steps["name"], steps["pid"], strict=True):
        processes[name].add(pid)
    wanted = [
        f"{name} (pid {pid})" if len(processes[name]) > 1 and pid is not None else name
        for name, pid in zip(steps["name"], steps["pid"], strict=True)
    ]
    often = Counter(wanted)
    taken = {name for name in wanted if often[name] == 1} - {ALL}
    names, numbers = [], defaultdict[str, Iterator[int]](count)
    for given in wanted:
        unique = given
        # `all` is the name of the whole trace, so no step of the caller's has it.
        while (often[given] > 1 or given == ALL) and (unique == given or unique in taken):
            unique = f"{given}#{next(numbers[given])}"
        taken.add(unique)
        names.append(unique)
    return steps.with_columns(pl.Series("name", names, dtype=pl.String))


def step_of(steps: pl.DataFrame, pid: Ints, times: Ints) -> pl.Series:
    """Name of the step in which each moment of a process lies, or null.

    Of steps that overlap, the one that started last; of equal starts the shorter.
    """
    if is_one_step(steps):
        return pl.Series([ALL]).new_from_index(0, len(times))
    index = np.full(len(times), -1, np.int64)
    start, dur = steps["start_ns"].to_numpy(), steps["dur_ns"].to_numpy()
    processes = steps["pid"].to_list()
    for process in dict.fromkeys(processes):
        rows = np.array([row for row, other in enumerate(processes) if other == process])
        starts, ends = start[rows], (start + dur)[rows]
        place = last_above(ends, np.searchsorted(starts, times, side="right") - 1, times)
        inside = place >= 0
        if process is not None:
            inside &= pid == process
        index = np.where(inside, rows[place], index)
    return link_to_row(steps["name"], index)
