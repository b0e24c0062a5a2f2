"""The replay of a trace, run once and kept; its steps on the replay's axis; how faithful it is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.lookup import rows_of
from skiptrace.measure.summary import figures, own_work
from skiptrace.model.once import once
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.schema.predicted import FIDELITY
from skiptrace.model.steps import ALL
from skiptrace.model.trace import Trace
from skiptrace.predict.changes import without
from skiptrace.predict.profiler_cost import DEFAULT, ProfilerCost, per_point
from skiptrace.predict.replay import NEVER, Model, Times, replay
from skiptrace.predict.replay_lanes import SLACK_NS
from skiptrace.predict.replay_model import Recorded, record
from skiptrace.predict.walk import Path, Pieces

WAKE_NS = 5_000
"""From the end of the last work to the return of a wait, where the trace shows none: as with an
empty kernel on an H100."""


def recorded(trace: Trace) -> Recorded:
    """The model of the recording that a trace is, or is a window of; made once."""
    return _recorded(trace.whole)


_recorded = once(record)


def as_recorded(made: Recorded) -> Times:
    """The times that were recorded, in the form of a replay's."""
    model = made.model
    return Times(model.time, model.start, model.start + model.dur)


@dataclass(frozen=True, eq=False)
class Steps:
    """The steps of a trace that have a latency, and which works are whose."""

    names: list[str]
    start: Ints
    """Start of the IL interval, as recorded."""
    il: Ints
    pid: Ints
    tid: Ints
    """The thread on which it starts."""
    step: Ints
    """Per work of the model the place of its step; -1 where it is in none."""
    last: Ints
    """Per step the work that ended last, as recorded."""


def steps_of(trace: Trace, by: str = "step", summed: pl.DataFrame | None = None) -> Steps:
    """The steps with an IL (``by="trace"``: the trace as one), as `summary` has them.

    Found once a trace. `summed` is the result of `summary`, where it is known already.
    """
    if (steps_of, by) not in trace.kept:
        trace.kept[steps_of, by] = _steps_of(trace, by, summed)
    found: Steps = trace.kept[steps_of, by]
    return found


def _steps_of(trace: Trace, by: str, summed: pl.DataFrame | None) -> Steps:
    rows = figures(trace, by, None) if summed is None else summed
    rows = rows.filter(pl.col("il_ns").is_not_null())
    own = own_work(trace) if by == "step" else trace.work.with_columns(step=pl.lit(ALL))
    begins = pl.col("start_ns").is_in(rows["start_ns"].implode())
    host = pl.concat(
        frame.filter(begins).select("start_ns", "pid", "tid", "step")
        for frame in (trace.ops, trace.calls)
    )
    if by == "trace":
        host = host.with_columns(step=pl.lit(ALL))
    threads = host.unique(["step", "start_ns"], keep="first", maintain_order=True)
    rows = rows.select("step", "start_ns", "il_ns").join(
        threads, on=["step", "start_ns"], how="left", maintain_order="left"
    )
    made = recorded(trace)
    names = rows["step"].to_list()
    places = {name: i for i, name in enumerate(names)}
    step = np.full(len(made.model.dur), -1, np.int64)
    at = rows_of(made.lanes.works["id"], own["id"])
    step[at] = (
        own["step"]
        .replace_strict(places, default=-1, return_dtype=pl.Int64)
        .fill_null(-1)
        .to_numpy()
    )
    order = np.lexsort((made.lanes.end, step))
    last = order[np.searchsorted(step[order], np.arange(len(names)), side="right") - 1]
    start, il, pid, tid = (
        rows[c].fill_null(-1).to_numpy() for c in ("start_ns", "il_ns", "pid", "tid")
    )
    return Steps(names, start, il, pid, tid, step, last)


def moved(made: Recorded, times: Times, pid: int, tid: int, when: int) -> int:
    """Where a recorded moment of a thread lies in a replay."""
    model = made.model
    if (pid, tid) not in model.threads:
        return when
    thread = model.threads.index((pid, tid))
    low, high = int(model.first_point[thread]), int(model.first_point[thread + 1])
    place = low + int(np.searchsorted(model.time[low:high], when))
    if place == high:
        return int(times.point[high - 1]) + when - int(model.time[high - 1])
    back = int(model.time[place]) - when
    # As far back as the stretch is now, of what it was; a wait may have grown behind the moment.
    was = int(model.time[place] - (model.time[place - 1] if place > low else model.begin[thread]))
    now = int(times.point[place] - (times.point[place - 1] if place > low else model.begin[thread]))
    if 0 <= now < was or (now > was > 0 and place not in model.waiting):
        back = round(back * now / was)
    return int(times.point[place]) - back


def replayed_ends(steps: Steps, times: Times) -> tuple[Ints, Ints]:
    """Per step when its last work ends in a replay, and which work that is."""
    inside = np.flatnonzero(steps.step >= 0)
    order = inside[np.lexsort((times.end[inside], steps.step[inside]))]
    count = len(steps.names)
    last = order[np.searchsorted(steps.step[order], np.arange(count), side="right") - 1]
    return times.end[last], last


@dataclass(frozen=True, eq=False)
class Run:
    """A replay, on the steps' axis."""

    model: Model
    times: Times
    start: Ints
    """When each step starts."""
    end: Ints
    """When its last work ends."""
    last: Ints
    """Which work that is."""

    @property
    def il(self) -> Ints:
        """Each step's latency."""
        return self.end - self.start

    def pieces(self) -> list[Pieces]:
        """Each step's critical path."""
        path = Path(self.model, self.times)
        ends = zip(self.last.tolist(), self.start.tolist(), strict=True)
        return [path.back(work, start) for work, start in ends]


def run_model(made: Recorded, steps: Steps, model: Model) -> Run:
    """Replay a model, and find each step in it."""
    times = replay(model)
    where = zip(steps.pid.tolist(), steps.tid.tolist(), steps.start.tolist(), strict=True)
    start = np.array([moved(made, times, *at) for at in where], np.int64)
    end, last = replayed_ends(steps, times)
    return Run(model, times, start, end, last)


@once
def same_run(trace: Trace) -> Run:
    """The replay with nothing changed, run once a trace."""
    made = recorded(trace)
    return run_model(made, steps_of(trace), made.model)


def bare_run(trace: Trace, by: str = "step", cost: ProfilerCost = DEFAULT) -> Run:
    """The replay without what the profiler is likely to have added, run once a trace."""
    if (bare_run, by, cost) not in trace.kept:
        made = recorded(trace)
        bare = without(made.model, per_point(trace, made.model, cost)["likely"])
        trace.kept[bare_run, by, cost] = run_model(made, steps_of(trace, by), bare)
    found: Run = trace.kept[bare_run, by, cost]
    return found


def wake_ns(made: Recorded) -> int:
    """The median way from the end of a work to the return of the call that waited for it."""
    model = made.model
    points = np.array([point for point, works, _ in model.waits if works], np.int64)
    own = model.delta[points]
    held = own < model.time[points] - model.time[points - 1]
    return round(float(np.median(own[held]))) if held.any() else WAKE_NS


def fidelity(trace: Trace, *, pinned: bool = False) -> pl.DataFrame:
    """How near the replay with nothing changed comes to the recording, a row a step.

    Parameters
    ----------
    trace
        A trace or a window of one.
    pinned
        With each work's own way instead of the usual one: what is left is the structure's error.
    """
    made, steps = recorded(trace), steps_of(trace)
    if not steps.names:
        return empty(FIDELITY)
    run = run_model(made, steps, as_pinned(made)) if pinned else same_run(trace)
    off = np.abs(
        (run.times.start - run.start[steps.step]) - (made.model.start - steps.start[steps.step])
    )
    inside = steps.step >= 0
    count = np.bincount(steps.step[inside], minlength=len(steps.names))
    near = np.bincount(steps.step[inside], off[inside] <= SLACK_NS, minlength=len(steps.names))
    frame = pl.DataFrame(
        {
            "step": pl.Series(steps.names, dtype=pl.String),
            "il_ns": steps.il,
            "replayed_ns": run.il,
            "error": np.abs(run.il - steps.il) / np.maximum(steps.il, 1),
            "near_share": near / np.maximum(count, 1),
        }
    )
    return conform(frame, FIDELITY)


def as_pinned(made: Recorded) -> Model:
    """The model with the recorded way of each work to what it came behind."""
    model = made.model
    path = Path(model, as_recorded(made))
    index = np.arange(len(model.dur))
    in_line, other = path.begun < index, path.behind_other
    launched = np.append(model.time, 0)[np.where(model.point < 0, len(model.time), model.point)]
    own = ~in_line & ~other & (model.latency != NEVER)
    latency = np.where(own, model.start - launched, model.latency)
    gap = np.where(in_line, model.start - np.roll(model.start + model.dur, 1), model.gap)
    return replace(model, latency=latency, gap=gap)
