"""The walk back from the end of a step: what each moment of its latency was waited for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skiptrace.intervals import Ints
from skiptrace.predict.replay import NEVER, Model, Times

DEVICE, GAP, DEPENDENCY, LATENCY, HOST, WAKE = range(6)
"""Kinds of piece: a work; between two works of a lane; behind one of another lane; from a launch to
its work; a thread's own time; its time from the end of what it waited for to its call's return."""

HELD_NS = 1_000_000
"""A work that starts so long after its launch, for no recorded reason, was held by work before the
recording: that is no launch latency."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of a path, latest first; they meet, so that they sum to its length."""

    start: Ints
    end: Ints
    kind: Ints
    work: Ints
    """The work that ran, or that the piece ends with; -1 for host time."""
    thread: Ints
    """Which of the model's threads, for host time; else -1."""


class Path:
    """What each work and wait came behind, by a model and its times."""

    def __init__(self, model: Model, times: Times) -> None:
        self.model, self.times = model, times
        none = len(model.delta)
        point = np.where(model.point < 0, none, model.point)
        ready = np.append(times.point, 0)[point] + model.latency
        ready = np.where(model.latency == NEVER, NEVER, ready)
        first = np.zeros(len(ready), np.bool_)
        first[model.first_work[:-1]] = len(ready) > 0
        before = np.where(first, NEVER, np.roll(times.end, 1) + model.gap) if len(ready) else ready
        other = np.where(model.after >= 0, times.end[model.after] + model.after_ns, NEVER)
        in_line = ~first & (before >= ready) & (before >= other)
        self.behind_other = ~in_line & (other > ready)
        # The work of its lane with which the run that each is in began.
        index = np.arange(len(ready))
        self.begun = np.maximum.accumulate(np.where(in_line, 0, index))
        self._set_waits()

    def _set_waits(self) -> None:
        """The waits that held their thread: the moment they ended, and by what."""
        model, times = self.model, self.times
        held: list[tuple[int, int, int, int]] = []
        firsts = set(model.first_point.tolist())
        for point, works, others in model.waits:
            ended = max(((int(times.end[n - 1]), n - 1) for _, n in works), default=(NEVER, -1))
            came = max(((int(times.point[p]), p) for p in others), default=(NEVER, -1))
            release = max(ended[0], came[0])
            if point in firsts or release > int(times.point[point - 1]):
                source = (ended[1], -1) if ended[0] >= came[0] else (-1, came[1])
                held.append((point, release, *source))
        held.sort()
        self.held = np.array(held, np.int64).reshape(-1, 4)

    def back(self, work: int, since: int) -> Pieces:
        """The pieces of a path from the end of a work back to a moment."""
        model, times, found = self.model, self.times, _Found()
        now = int(times.end[work])
        while now > since:
            first = int(self.begun[work])
            now = found.run(times, first, work, now)
            if now <= since:
                break
            if self.behind_other[first]:
                work = int(model.after[first])
                now = found.add(int(times.end[work]), now, DEPENDENCY, first)
                continue
            point = int(model.point[first])
            if point < 0:  # launched before the recording: what held it is not known
                now = found.add(since, now, DEPENDENCY, first)
                break
            launched = int(times.point[point])
            held = model.pinned[first] and now - launched > HELD_NS
            now = found.add(launched, now, DEPENDENCY if held else LATENCY, first)
            work, now = self._host(point, now, since, found)
        return found.pieces(since)

    def _host(self, point: int, now: int, since: int, found: _Found) -> tuple[int, int]:
        """Follow threads back to the end of a work that one waited for, or to the beginning."""
        model, times = self.model, self.times
        while True:
            thread = int(np.searchsorted(model.first_point, point, side="right")) - 1
            place = int(np.searchsorted(self.held[:, 0], point, side="right")) - 1
            if place < 0 or self.held[place, 0] < model.first_point[thread]:
                return -1, found.add(since, now, HOST, -1, thread)
            at, release, work, other = self.held[place].tolist()
            now = found.add(int(times.point[at]), now, HOST, -1, thread)
            now = found.add(release, now, WAKE if work >= 0 else HOST, -1, thread)
            if work >= 0 or now <= since:
                return work, now
            point = other


class _Found:
    """Pieces, as they are found: from the end backwards."""

    def __init__(self) -> None:
        self.parts: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []

    def add(self, start: int, end: int, kind: int, work: int, thread: int = -1) -> int:
        """One piece, if it has a length; returns where it starts."""
        start = min(start, end)
        if start < end:
            row = (start, end, kind, work, thread)
            self.parts.append(tuple(np.array([x], np.int64) for x in row))  # type: ignore[arg-type]
        return start

    def run(self, times: Times, first: int, last: int, now: int) -> int:
        """The works of a lane from `first` to `last`, and what lies between them."""
        start = times.start[first : last + 1]
        start = np.minimum(start, now)
        follow = np.append(start[1:], now)
        end = np.minimum(times.end[first : last + 1], follow)
        work = np.arange(first, last + 1)
        start = np.minimum(start, end)
        lows = np.stack((start, end), axis=1).ravel()[::-1]
        highs = np.stack((end, follow), axis=1).ravel()[::-1]
        kind = np.tile(np.array([GAP, DEVICE]), len(work))
        which = np.stack((work, np.append(work[1:], last)), axis=1).ravel()[::-1]
        keep = highs > lows
        none = np.full(int(keep.sum()), -1)
        self.parts.append((lows[keep], highs[keep], kind[keep], which[keep], none))
        return int(start[0])

    def pieces(self, since: int) -> Pieces:
        """All of them, cut at `since`."""
        empty = np.empty((5, 0), np.int64)
        columns = [np.concatenate((empty[i], *(p[i] for p in self.parts))) for i in range(5)]
        start, end = np.maximum(columns[0], since), columns[1]
        keep = end > start
        return Pieces(start[keep], end[keep], *(c[keep] for c in columns[2:]))
