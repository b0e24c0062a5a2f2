"""`whatif`: what a change would bring, before anyone makes it, from a replay of the trace."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from skiptrace.errors import TraceWarning, UnknownKeyError
from skiptrace.measure.summary import median_step
from skiptrace.model.later import later
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.schema.predicted import WHATIF
from skiptrace.model.trace import Trace
from skiptrace.predict import changes
from skiptrace.predict.boundedness import side_sums, verdict_of
from skiptrace.predict.doubts import warn_of_replay
from skiptrace.predict.profiler_cost import DEFAULT, ProfilerCost, per_point
from skiptrace.predict.replay import Model
from skiptrace.predict.replay_model import Recorded
from skiptrace.predict.replayed import (
    Run,
    Steps,
    bare_run,
    recorded,
    run_model,
    same_run,
    steps_of,
    wake_ns,
)
from skiptrace.predict.wanted import Wanted

_RANGE = {"low": 0.6, "high": 2.0}
"""What is taken for the gaps inside a graph, as a part of the likely."""


@dataclass(frozen=True, eq=False)
class WhatIf:
    """Result of `whatif`."""

    frame: pl.DataFrame
    """A row a step: what it would take, the range, and which side would hold it."""
    assumptions: tuple[str, ...]
    """What the prediction takes for granted, in words."""
    changed: bool
    """Whether the trace has anything that the changes apply to."""

    @property
    def middle(self) -> pl.DataFrame:
        """The row of the step with the median IL as recorded, as in `sweep`; none where no step."""
        return median_step(self.frame, "recorded_ns")

    def plot(self, *, width: int = 600) -> Any:  # noqa: ANN401  a chart of altair
        """A chart of it: `skiptrace.plot.whatif`."""
        return later("show.plots").whatif(self, width=width)

    def _repr_html_(self) -> str:
        return str(later("show.notebook").whatif_html(self))


def whatif(  # noqa: PLR0913  one keyword for each change
    trace: Trace,
    *,
    cuda_graph: bool | str = False,
    fuse: int | Sequence[Sequence[str]] | None = None,
    remove_syncs: bool | str | Sequence[str] = False,
    host: float = 1.0,
    launch_floor_ns: int | None = None,
    device: float = 1.0,
    kernels: Mapping[str, float] | None = None,
    gpu: Mapping[str, float] | None = None,
    unprofiled: bool = False,
    profiler: ProfilerCost = DEFAULT,
) -> WhatIf:
    """What a step would take with something changed; any mix of changes.

    The recording is replayed (see "Replay" in the docs) with other numbers: durations scaled, waits
    taken out, launches merged. What waited for what stays as recorded.

    Parameters
    ----------
    trace
        A trace or a window of one.
    cuda_graph
        True: each step as one graph launch; ``"op"``: each outermost operator with several launches
        as one; ``"module"``: each module that the outermost ``nn.Module`` calls, where modules were
        recorded.
    fuse
        Chains of kernel names (from `fusion`), each to become one kernel; or a length: all
        candidates of that length.
    remove_syncs
        True: no call waits before the last launch of its step; or the names of operators whose
        waits go.
    host
        Factor on the host's time: 0.5 is a CPU of twice the speed.
    launch_floor_ns
        What a kernel launch costs with nothing in its way, instead of the trace's floor.
    device
        Factor on the duration of all works.
    kernels
        Factor by kind (``kernel``, ``memcpy``, ``memset``) or by a part of the name, as it stands
        or as a regular expression, as ``{"gemm": 0.5}``; the first that fits counts.
    gpu
        Another GPU by the ratios of its peak rates to this one's, as
        ``{"flops": 2.0, "bandwidth": 1.4}``: each kernel gets faster by the ratio of what bounds
        it, where shapes were recorded.
    unprofiled
        Without what the profiler adds to the host's time.
    profiler
        What recording an event costs on the host of the trace, where that is known: fitted by
        ``examples/fit_profiler_cost.py``. ``before_ns``, ``latency_ns`` and its range rest on it.

    Returns
    -------
    WhatIf
        ``.frame``, a row a step: ``il_ns`` as this profiler would record it (with ``unprofiled``,
        as none would), ``latency_ns`` as a clock would measure it without a profiler, from before
        the first launch to the return of a final wait, its range, ``speedup`` of that against the
        same without the change, the shares of the new critical path, the verdict, and ``error``,
        how far the replay with nothing changed is from the recording. ``.assumptions`` in words.

    Raises
    ------
    UnknownKeyError
        A value that the option does not have.

    Warns
    -----
    TraceWarning
        Nothing of what was asked for changes anything; or health makes the prediction doubtful.

    Notes
    -----
    A prediction is never below the longest stream's device time after the change, nor below the
    host time that is kept: both are paths of the replay.
    """
    wanted = Wanted(
        cuda_graph, fuse, remove_syncs, host, launch_floor_ns, device, kernels or {}, gpu or {}
    )
    wanted.check()
    if not isinstance(profiler, ProfilerCost):
        raise UnknownKeyError.of("profiler", profiler, ["a skiptrace.ProfilerCost"])
    warn_of_replay(trace, "whatif")
    made, steps = recorded(trace), steps_of(trace)
    if not steps.names:
        return WhatIf(empty(WHATIF), (), changed=False)
    parts = wanted.parts(trace, made, steps)
    words = [part.words for part in parts]
    if parts and not any(part.applies for part in parts):
        warnings.warn(f"nothing changes: {'; '.join(words)}", TraceWarning, stacklevel=2)
    if unprofiled:
        words.append(
            f"without the profiler's own host time: {profiler.op.likely} ns an operator and "
            f"{profiler.call.likely} ns a call, and more with shapes or stacks"
        )

    def run(model: Model, gaps: float) -> Run:
        for part in parts:
            model = part.apply(model, gaps) if part.applies else model
        return run_model(made, steps, model)

    cost, before = per_point(trace, made.model, profiler), bare_run(trace, cost=profiler)
    runs = {"likely": run(before.model, 1.0)}
    for name, other in (("low", "high"), ("high", "low")):
        runs[name] = run(changes.without(made.model, cost[other]), _RANGE[name])
    kept = runs["likely"] if unprofiled else run(made.model, 1.0)
    frame = _frame(made, steps, kept, runs, before, same_run(trace))
    changed = unprofiled or any(part.applies for part in parts)
    return WhatIf(frame, tuple(words), changed)


def _frame(
    made: Recorded, steps: Steps, kept: Run, runs: Mapping[str, Run], before: Run, same: Run
) -> pl.DataFrame:
    wake = wake_ns(made)
    sides = [side_sums(pieces) for pieces in kept.pieces()]
    error = np.abs(same.il - steps.il) / np.maximum(steps.il, 1)
    latency = {name: run.il + wake for name, run in runs.items()}
    columns: dict[str, Any] = {
        "step": pl.Series(steps.names, dtype=pl.String),
        "recorded_ns": steps.il,
        "il_ns": kept.il,
        "latency_ns": latency["likely"],
        "latency_low_ns": np.floor(np.minimum(latency["low"], latency["likely"]) * (1 - error)),
        "latency_high_ns": np.ceil(np.maximum(latency["high"], latency["likely"]) * (1 + error)),
        "before_ns": before.il + wake,
        "speedup": (before.il + wake) / np.maximum(latency["likely"], 1),
        **{
            side.replace("_ns", "_share"): [s[side] / max(sum(s.values()), 1) for s in sides]
            for side in ("host_ns", "device_ns", "latency_ns")
        },
        "error": error,
    }
    frame = pl.DataFrame(columns).with_columns(
        verdict=verdict_of(pl.col("host_share"), pl.col("device_share"))
    )
    return conform(frame, WHATIF)
