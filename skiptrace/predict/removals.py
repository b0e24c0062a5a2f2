"""Each cause of idle time taken out of a model by itself: what the counterfactuals rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from skiptrace.intervals import Intervals, Ints, complement
from skiptrace.measure.activity import ThreadActivity
from skiptrace.model.nesting import Thread
from skiptrace.model.trace import Trace
from skiptrace.predict import changes
from skiptrace.predict.replay import Model
from skiptrace.predict.replay_model import Recorded

Change: TypeAlias = Callable[[Model], Model]
STRETCHES = ("profiler", "alloc", "dataloader", "operator", "python")
"""Causes that are stretches of a thread's time."""


def removals(
    trace: Trace, made: Recorded, activities: Mapping[Thread, ThreadActivity]
) -> dict[str, Change]:
    """For each cause what takes it out of a model: its time, or what is waited for.

    ``sync``: no call waits before a later launch of its step. ``copy``: no copy blocks.
    ``launch``: launch calls and latency take no time. ``dependency``: no work waits for another
    lane. The others: the thread's time in that activity.
    """
    waits, calls = changes.waits_inside(trace, made)
    frees, _ = changes.waits_inside(trace, made, alloc=True)
    copies = calls["id"].is_in(trace.whole.launches["id"].implode()).to_numpy()
    found: dict[str, Change] = {
        "sync": lambda model: changes.without_waits(model, waits[~copies]),
        "copy": lambda model: unblocked(made, model, waits[copies]),
        "launch": lambda model: changes.scaled_launches(made, model, 0.0),
        "dependency": independent,
    }
    for cause in STRETCHES:
        sets = {
            thread: stretches(activity, cause, made.model)
            for thread, activity in activities.items()
        }
        found[cause] = _without(sets)
    alloc = found["alloc"]
    found["alloc"] = lambda model: changes.without_waits(alloc(model), frees)
    return found


def stretches(activity: ThreadActivity, cause: str, model: Model) -> Intervals:
    """When a thread is in an activity; ``python`` is what is in none."""
    if cause != "python":
        return activity.sets[cause]
    low, high = int(model.time.min()), int(model.time.max())
    return complement(activity.any, low, high)


def unblocked(made: Recorded, model: Model, points: Ints) -> Model:
    """Copies from pinned memory that no longer block: launched like any other work."""
    gone = set(points.tolist())
    copied = np.isin(2 * made.lanes.call + 1, points)
    latency = np.where(copied, np.minimum(model.latency, made.latencies["kernel"]), model.latency)
    kept = tuple(wait for wait in model.waits if wait[0] not in gone)
    return replace(model, waits=kept, latency=latency)


def independent(model: Model) -> Model:
    """No work waits for one of another lane."""
    return replace(model, after=np.full_like(model.after, -1))


def _without(sets: Mapping[tuple[int, int], Intervals]) -> Change:
    return lambda model: changes.without_host(model, sets)
