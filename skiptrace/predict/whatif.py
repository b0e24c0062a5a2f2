"""`whatif`: what a change would bring, before anyone makes it, from a replay of the trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.schema.predicted import WHATIF
from skiptrace.model.trace import Trace
from skiptrace.predict import changes
from skiptrace.predict.boundedness import side_sums, verdict_of
from skiptrace.predict.profiler_cost import DEFAULT, per_point
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
from skiptrace.predict.spans import (
    spans_of_chains,
    spans_of_modules,
    spans_of_ops,
    spans_of_steps,
)

PIECES = ("step", "op", "module")
"""What can be one graph."""
MOST = 1e6
"""No factor is larger."""
_RANGE = {"low": 0.6, "likely": 1.0, "high": 2.0}
"""What is taken for the gaps inside a graph, as a part of the likely."""


@dataclass(frozen=True, eq=False)
class WhatIf:
    """Result of `whatif`."""

    frame: pl.DataFrame
    """A row a step: what it would take, the range, and which side would hold it."""
    assumptions: tuple[str, ...]
    """What the prediction takes for granted, in words."""
    changed: bool
    """Whether the trace has anything that the change applies to."""


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
    unprofiled: bool = False,
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
        Factor by kind (``kernel``, ``memcpy``, ``memset``) or by a pattern in the name, as
        ``{"gemm": 0.5}``; the first that fits counts.
    unprofiled
        Without what the profiler adds to the host's time.

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

    Notes
    -----
    A prediction is never below the longest stream's device time after the change, nor below the
    host time that is kept: both are paths of the replay.
    """
    wanted = _Wanted(cuda_graph, fuse, remove_syncs, host, launch_floor_ns, device, kernels or {})
    wanted.check()
    made, steps = recorded(trace), steps_of(trace)
    if not steps.names:
        return WhatIf(empty(WHATIF), (), changed=False)
    cost = per_point(trace, made.model)
    words = list(wanted.words(made))
    if unprofiled:
        words.append(
            f"without the profiler's own host time: {DEFAULT.op.likely} ns an operator and "
            f"{DEFAULT.call.likely} ns a call, and more with shapes or stacks"
        )
    runs: dict[str, Run] = {}
    for name in ("low", "likely", "high"):
        gaps = _RANGE[name]
        less = cost[{"low": "high", "likely": "likely", "high": "low"}[name]]
        model = wanted.applied(trace, made, steps, changes.without(made.model, less), gaps)
        runs[name] = run_model(made, steps, model)
    before, same = bare_run(trace), same_run(trace)
    kept = runs["likely"] if unprofiled else run_model(
        made, steps, wanted.applied(trace, made, steps, made.model, 1.0)
    )  # fmt: skip
    frame = _frame(made, steps, kept, runs, before, same)
    return WhatIf(frame, tuple(words), changed=bool(wanted) or unprofiled)


@dataclass(frozen=True)
class _Wanted:
    """The changes that were asked for."""

    cuda_graph: bool | str
    fuse: int | Sequence[Sequence[str]] | None
    remove_syncs: bool | str | Sequence[str]
    host: float
    launch_floor_ns: int | None
    device: float
    kernels: Mapping[str, float]

    def __bool__(self) -> bool:
        asked = (self.cuda_graph, self.fuse is not None, self.remove_syncs, self.kernels)
        return any(asked) or (self.host, self.launch_floor_ns, self.device) != (1, None, 1)

    def check(self) -> None:
        """Raise unless every value is one that its option has."""
        if self.cuda_graph not in (True, False, *PIECES):
            raise UnknownKeyError.of("cuda_graph", self.cuda_graph, ["True", "False", *PIECES])
        factors = {"host": self.host, "device": self.device, **self.kernels}
        for name, factor in factors.items():
            number: object = factor  # whatever the caller really gave
            real = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not real or not 0 <= factor < MOST:
                raise UnknownKeyError.of(f"factor for {name}", factor, ["a number from 0 on"])
        floor: object = self.launch_floor_ns
        if floor is not None and not (isinstance(floor, int) and floor >= 0):
            raise UnknownKeyError.of("launch_floor_ns", floor, ["nanoseconds from 0 on"])

    def applied(
        self, trace: Trace, made: Recorded, steps: Steps, model: Model, gaps: float
    ) -> Model:
        """The model with all of them."""
        if self.host != 1:
            model = changes.scaled_host(model, self.host)
        if self.launch_floor_ns is not None:
            floor = max(trace.whole.floors.ns["kernel"], 1)
            model = changes.scaled_launches(made, model, self.launch_floor_ns / floor)
        if self.device != 1:
            model = changes.scaled_device(made, model, {"": self.device})
        if self.kernels:
            model = changes.scaled_device(made, model, self.kernels)
        if self.remove_syncs:
            points, _ = changes.waits_inside(trace, made, self._sync_ops())
            model = changes.without_waits(model, points)
        if self.fuse is not None:
            model = changes.bundled(made, model, spans_of_chains(trace, self.fuse), 0, None)
        if self.cuda_graph:
            spans = (
                spans_of_ops(trace)
                if self.cuda_graph == "op"
                else spans_of_modules(trace)
                if self.cuda_graph == "module"
                else spans_of_steps(trace, made, steps)
            )
            gap = round(graph_gap(made) * gaps)
            model = changes.bundled(made, model, spans, gap, trace.whole.floors.ns["kernel"])
        return model

    def _sync_ops(self) -> tuple[str, ...] | None:
        given = self.remove_syncs
        if given is True:
            return None
        return (given,) if isinstance(given, str) else tuple(given)  # type: ignore[arg-type]

    def words(self, made: Recorded) -> list[str]:
        """What each takes for granted."""
        found = []
        if self.host != 1:
            found.append(f"all host time times {self.host:g}, but for waking up from waits")
        if self.launch_floor_ns is not None:
            found.append(
                f"launch calls and launch latency scaled to a floor of {self.launch_floor_ns} ns"
            )
        if self.device != 1 or self.kernels:
            found.append("durations of works scaled; the gaps between them stay")
        if self.remove_syncs:
            found.append(
                "waits before a later launch of their step are gone, with the time of their calls; "
                "what is done with the value that was waited for still works"
            )
        if self.fuse is not None:
            found.append(
                "a fused kernel takes as long as its parts, and one launch; no traffic saved"
            )
        if self.cuda_graph:
            found.append(
                f"everything captured: no host time but one launch, {graph_gap(made)} ns between "
                f"works, and {changes.COLD_NS} ns less for kernels that had started on an idle "
                "device; input copies and waits inside are not counted"
            )
        return found


def graph_gap(made: Recorded) -> int:
    """Between two kernels inside a graph: as in the trace's own graphs, else as known."""
    lanes = made.lanes
    inside = ~lanes.head & lanes.linked & ~made.model.pinned
    found = (lanes.start - lanes.before)[inside]
    found = found[found >= 0]
    return round(float(np.median(found))) if len(found) else changes.GRAPH_GAP_NS


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
