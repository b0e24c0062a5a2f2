"""Warnings of what makes a replay doubtful: health, work without a launch, a replay that misses."""

from __future__ import annotations

import numpy as np

from skiptrace.measure.doubt import warn_of_doubts, warn_once
from skiptrace.model.trace import Trace
from skiptrace.predict.replayed import recorded, same_run, steps_of
from skiptrace.thresholds import DOUBT_SHARE, REPLAY_ERROR


def warn_of_replay(trace: Trace, verb: str) -> None:
    """Warn of what may make wrong what a verb takes from a replay.

    Warns
    -----
    TraceWarning
        Once a recording and kind: what health found (as other verbs warn of); work that runs in the
        steps and whose launch is not recorded, so that it stays where it was; a step whose latency
        the replay with nothing changed misses by more than `REPLAY_ERROR`.
    """
    warn_of_doubts(trace, verb)
    steps = steps_of(trace)
    if not steps.names:
        return
    if (share := unlinked_share(trace)) >= DOUBT_SHARE:
        warn_once(
            trace,
            "replay_unlinked",
            f"{share:.0%} of the device time in the steps is of work whose launch is not recorded: "
            f"{verb} takes it to run when it ran. Record from before the first launch.",
        )
    error = np.abs(same_run(trace).il - steps.il) / np.maximum(steps.il, 1)
    worst = int(error.argmax())
    if error[worst] > REPLAY_ERROR:
        warn_once(
            trace,
            "replay_error",
            f"the replay with nothing changed misses {steps.names[worst]} by {error[worst]:.0%}: "
            f"figures of {verb} are off by at least as much.",
        )


def unlinked_share(trace: Trace) -> float:
    """The share of the device time in the steps that is of work whose launch is not recorded."""
    made, steps = recorded(trace), steps_of(trace)
    model = made.model
    end = model.start + model.dur
    runs = np.zeros(len(end), np.bool_)
    for start, il in zip(steps.start.tolist(), steps.il.tolist(), strict=True):
        runs |= (model.start < start + il) & (end > start)
    return float(model.dur[runs & ~made.lanes.linked].sum() / max(int(model.dur[runs].sum()), 1))
