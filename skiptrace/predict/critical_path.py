"""`critical_path`: the chain of calls, launches and works that a step's latency consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import Intervals, Ints, clip, distinct, overlay
from skiptrace.lookup import link_to_row
from skiptrace.measure.activity import thread_activities
from skiptrace.measure.tklqt import names_of
from skiptrace.model.nesting import Nest
from skiptrace.model.schema.column import PATH_KINDS, conform, empty
from skiptrace.model.schema.predicted import CRITICAL_PATH, CRITICAL_SHARES
from skiptrace.model.trace import Trace
from skiptrace.predict.doubts import warn_of_replay
from skiptrace.predict.replay_model import Recorded
from skiptrace.predict.replayed import Steps, as_recorded, recorded, steps_of
from skiptrace.predict.walk import DEPENDENCY, DEVICE, GAP, HOST, LATENCY, WAKE, Path, Pieces

if TYPE_CHECKING:
    import networkx as nx

_OF_PIECE = {GAP: "stream gap", DEPENDENCY: "dependency", LATENCY: "latency"}
_OF_ACTIVITY = {"copy": "sync"}
"""What a blocking copy does before it copies and after it has is waiting."""
_KINDS = tuple(PATH_KINDS)
_ROW = {"place": pl.Int64} | {
    c.name: c.dtype for c in CRITICAL_PATH if c.name not in ("step", "side", "dur_ns")
}
"""Columns of a piece before its step is named."""
SIDES = ("host", "device", "latency")
_KEYS = ("kind", "side", "op", "python", "kernel", "step")


@dataclass(frozen=True, eq=False)
class CriticalPath:
    """Result of `critical_path`."""

    frame: pl.DataFrame
    """The pieces, in time order; those of a step meet, and sum to its IL."""
    shares: pl.DataFrame
    """A row a step: the shares of host, device and launch latency, and its IL by kind."""

    launches: pl.Series
    """Ids of the launches that lie on the path."""

    def mark(self, graph: nx.DiGraph[int]) -> None:
        """Set ``critical`` on the edges of a `graph` that the path goes along.

        Those are its ``stream``, ``runs`` and ``thread`` edges between works and launches on it.
        """
        ran = self.frame.filter(pl.col("kind").is_in(["device", "copy", "earlier step"]))
        on_path = {*ran["work"].to_list(), *self.launches.to_list()}
        for before, after, edge in graph.edges(data=True):
            along = edge["kind"] in ("stream", "runs", "thread")
            edge["critical"] = along and before in on_path and after in on_path

    def by(self, key: str) -> pl.DataFrame:
        """The path's time by ``kind``, ``side``, ``op``, ``python``, ``kernel`` or ``step``."""
        if key not in _KEYS:
            raise UnknownKeyError.of("by", key, _KEYS)
        return grouped(self.frame, key)


def critical_path(trace: Trace, step: int | str | None = None) -> CriticalPath:
    """What each moment of a step's latency was waited for, on host and device.

    The path is followed back from the end of the step's last work: a work started behind the one
    before it on its stream, behind one of another stream, or behind its launch, whichever came
    last; a launch came behind its thread's time back to the last call that had to wait, and that
    behind the work that it waited for.

    Parameters
    ----------
    trace
        A trace or a window of one.
    step
        One step, by its name or number as in `Trace.step`; None for all.

    Returns
    -------
    CriticalPath
        ``.frame``, a row a piece; ``.shares``, a row a step; ``.by("op")``. The pieces of a step
        sum to its ``il_ns`` of `summary`, to the nanosecond.

    Raises
    ------
    StepError
        No such step.

    Warns
    -----
    TraceWarning
        Health makes the path doubtful, work in the steps has no launch, or the replay misses a
        step's latency by more than 5 %.

    Notes
    -----
    Host time is python, operator, launch, alloc, dataloader, profiler and sync: the time from the
    end of what a call waited for to its return. Time waited in a call is that of the device. From
    a launch call's return to its work is ``latency``. Device time is work, what lies between works
    of a stream or a graph, and waits between streams; ``earlier step`` is device time of work that
    earlier steps launched.

    References
    ----------
    The critical path method: Kelley and Walker, 1959; over a trace of a host and its accelerator:
    the critical path analysis of Holistic Trace Analysis.
    """
    if step is not None:
        trace = trace.step(step)
    warn_of_replay(trace, "critical_path")
    steps = steps_of(trace)
    if not steps.names:
        none = pl.Series("id", [], dtype=pl.Int64)
        return CriticalPath(empty(CRITICAL_PATH), empty(CRITICAL_SHARES), none)
    frame = path_frame(trace, steps, range(len(steps.names)))
    return CriticalPath(frame, _shares(frame), _launches(trace, frame))


def grouped(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """The time of some pieces by a key, longest first; what has no key last."""
    return (
        frame.group_by(key)
        .agg(pieces=pl.len().cast(pl.Int64), path_ns=pl.col("dur_ns").sum())
        .with_columns(path_share=pl.col("path_ns") / pl.col("path_ns").sum())
        .sort(pl.col(key).is_null(), -pl.col("path_ns"), key)
    )


def path_frame(trace: Trace, steps: Steps, places: Sequence[int]) -> pl.DataFrame:
    """The paths of some steps, as `CriticalPath.frame`."""
    made = recorded(trace)
    every, place = _joined(path_pieces(made, steps, places), places)
    rows = [_device_rows(trace, made, steps, every, place), _host_rows(trace, made, every, place)]
    frame = pl.concat(rows)
    # No two pieces of a step begin at once; both sorts of rows stand in order, so this merges.
    frame = frame[np.lexsort((frame["start_ns"].to_numpy(), frame["place"].to_numpy()))]
    return conform(
        frame.with_columns(
            dur_ns=pl.col("end_ns") - pl.col("start_ns"),
            side=pl.col("kind").replace_strict(PATH_KINDS, return_dtype=pl.String),
            step=pl.Series(steps.names, dtype=pl.String).gather(frame["place"]),
        ),
        CRITICAL_PATH,
    )


def path_pieces(made: Recorded, steps: Steps, places: Sequence[int]) -> list[Pieces]:
    """The paths of some steps, on the times that were recorded."""
    path = Path(made.model, as_recorded(made))
    return [path.back(int(steps.last[i]), int(steps.start[i])) for i in places]


def _joined(pieces: list[Pieces], places: Sequence[int]) -> tuple[Pieces, Ints]:
    """All pieces in one, step by step, earliest first; and which step each is of."""
    parts = [(p.start[::-1], p.end[::-1], p.kind[::-1], p.work[::-1], p.thread[::-1])
             for p in pieces]  # fmt: skip
    place = np.repeat(np.array(places, np.int64), [len(p.start) for p in pieces])
    return Pieces(*(np.concatenate(columns) for columns in zip(*parts, strict=True))), place


def _device_rows(
    trace: Trace, made: Recorded, steps: Steps, every: Pieces, place: Ints
) -> pl.DataFrame:
    """Pieces that are not a thread's: works, what lies between them, and launch latency."""
    of_device = ~np.isin(every.kind, (HOST, WAKE))
    work, piece, place = (x[of_device] for x in (every.work, every.kind, place))
    launches = trace.whole.launches.select("op", "pid", "tid", launch="id", call_ns="start_ns")
    works = made.lanes.works.select("kind", "device", "stream", "launch", work="id", kernel="name")
    rows = (
        works[work]
        .with_columns(
            place=pl.Series(place),
            start_ns=pl.Series(every.start[of_device]),
            end_ns=pl.Series(every.end[of_device]),
            piece=pl.Series(piece),
            earlier=pl.Series((steps.step[work] != place) & (piece != LATENCY)),
        )
        .join(launches, on="launch", how="left", maintain_order="left")
    )
    named = pl.col("piece").replace_strict(_OF_PIECE, default="device", return_dtype=pl.String)
    copy = (pl.col("piece") == DEVICE) & (pl.col("kind") == "memcpy")
    around = (rows[c].fill_null(-1).to_numpy() for c in ("pid", "tid", "call_ns"))
    frames = trace.whole.python
    return _rows(
        rows.with_columns(
            kind=pl.when("earlier").then(pl.lit("earlier step"))
            .when(copy).then(pl.lit("copy")).otherwise(named),
            tid=pl.lit(None, pl.Int64),
            op=names_of(trace.whole.ops, rows["op"]),
            python=link_to_row(frames["name"], Nest(frames).at(*around)),
        ),
    )  # fmt: skip


def _host_rows(trace: Trace, made: Recorded, every: Pieces, place: Ints) -> pl.DataFrame:
    """Threads' pieces, cut by what the thread does and the operator and frame that it is in."""
    activities = thread_activities(trace)
    frames = (trace.whole.ops, trace.whole.python)
    nests = [Nest(frame) for frame in frames]
    of_host = np.flatnonzero(np.isin(every.kind, (HOST, WAKE)))
    of_host = of_host[np.argsort(every.thread[of_host], kind="stable")]
    cuts = np.flatnonzero(np.diff(every.thread[of_host])) + 1
    parts = [(np.empty(0, np.int64),) * 7]
    for here in np.split(of_host, cuts) if len(of_host) else []:
        pid, tid = made.model.threads[int(every.thread[here[0]])]
        low, high = every.start[here], every.end[here]
        sets = activities[pid, tid].sets if (pid, tid) in activities else {}
        lines = [nest.timeline(pid, tid) for nest in nests]
        bounds = [bounds for bounds, _ in lines] + [edges for one in sets.values() for edges in one]
        begin, end = low.min(), high.max()
        inside = np.concatenate([one[(one > begin) & (one < end)] for one in bounds])
        edges = distinct(np.append(inside, begin))
        which, segment, length = overlay(low, high, edges)
        start = np.maximum(low[which], edges[segment])
        # What holds at a bound holds up to the next.
        op, frame = (_row_at(line, edges)[segment] for line in lines)
        kind = _activity_from(edges, int(end), sets)[segment]
        kind[(kind == _KINDS.index("python")) & (op >= 0)] = _KINDS.index("operator")
        parts.append(
            (place[here][which], start, start + length, kind, op, frame, np.full(len(which), tid))
        )
    place, start, end, kind, op, frame, thread = map(np.concatenate, zip(*parts, strict=True))
    rows = pl.DataFrame(
        {
            "place": place,
            "start_ns": start,
            "end_ns": end,
            "kind": pl.Series(_KINDS).gather(kind),
            "op": link_to_row(frames[0]["name"], op),
            "python": link_to_row(frames[1]["name"], frame),
            "tid": thread,
        }
    )
    return _rows(rows.with_columns(pl.lit(None).alias(c) for c in _ROW.keys() - set(rows.columns)))


def _row_at(line: tuple[Ints, Ints], times: Ints) -> Ints:
    """The row of a timeline at each of some moments; -1 where it has none."""
    bounds, row = line
    return np.append(row, -1)[np.searchsorted(bounds, times, side="right") - 1]


def _activity_from(edges: Ints, end: int, sets: Mapping[str, Intervals]) -> Ints:
    """Which of `_KINDS` a thread's activity is from each bound to the next; ``python`` in none.

    The sets share no moment, and change at bounds alone.
    """
    kind = np.full(len(edges), -1)
    kind[0] = _KINDS.index("python")
    clipped = {name: clip(one, int(edges[0]), end) for name, one in sets.items()}
    for _, ends in clipped.values():
        kind[np.searchsorted(edges, ends[ends < end])] = _KINDS.index("python")
    for name, (starts, _) in clipped.items():
        kind[np.searchsorted(edges, starts)] = _KINDS.index(_OF_ACTIVITY.get(name, name))
    last: Ints = np.maximum.accumulate(np.where(kind >= 0, np.arange(len(kind)), 0))
    return kind[last]


def _rows(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that both sorts of rows have."""
    return rows.select(pl.col(name).cast(dtype) for name, dtype in _ROW.items())


def _launches(trace: Trace, frame: pl.DataFrame) -> pl.Series:
    """Launches that start in a piece of their thread's time, or are followed by latency."""
    host = frame.filter(pl.col("tid").is_not_null()).select("tid", "start_ns", "end_ns")
    begun = (
        trace.launches.select("id", "tid", at="start_ns")
        .sort("at")
        .join_asof(host.sort("start_ns"), left_on="at", right_on="start_ns", by="tid",
                   check_sortedness=False)
        .filter(pl.col("at") < pl.col("end_ns"))
    )  # fmt: skip
    late = frame.filter(pl.col("kind") == "latency").select(id="work")
    led = trace.work.join(late, on="id", how="semi")["launch"]
    return pl.concat([begun["id"], led.rename("id")]).unique().sort()


def _shares(frame: pl.DataFrame) -> pl.DataFrame:
    """The path of each step by side and kind."""
    il = pl.col("dur_ns").sum()
    amount = pl.col("dur_ns").filter
    found = frame.group_by("step", maintain_order=True).agg(
        il.alias("il_ns"),
        *((amount(pl.col("side") == side).sum() / il).alias(f"{side}_share") for side in SIDES),
        *(
            amount(pl.col("kind") == kind).sum().alias(f"{kind.replace(' ', '_')}_ns")
            for kind in PATH_KINDS
        ),
    )
    return conform(found, CRITICAL_SHARES)
