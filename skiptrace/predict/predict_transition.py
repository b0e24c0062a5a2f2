"""`predict_transition`: where a sweep will turn, from two of its traces."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from skiptrace.errors import SweepError, TraceWarning
from skiptrace.measure.tklqt import names_of
from skiptrace.model.load import load
from skiptrace.model.trace import Trace
from skiptrace.predict import changes
from skiptrace.predict.boundedness import side_sums
from skiptrace.predict.replayed import recorded, run_model, steps_of
from skiptrace.predict.sweep import Source, point
from skiptrace.thresholds import DEVICE_SHARE

FAR = 1e6
"""No transition is looked for beyond so many times the small parameter."""
HALVINGS = 30

End: TypeAlias = Source | tuple[float, Source] | Mapping[float, Source]


@dataclass(frozen=True, eq=False)
class PredictedTransition:
    """Where the device is expected to hold half of the critical path."""

    parameter: float | None
    """The parameter, between the two given or beyond; None where there is none above 0: device time
    does not grow, or its fixed part alone holds half of the path."""
    low: float | None
    """The same from the shortest recorded step of the small trace."""
    high: float | None
    """The same from the longest recorded step of the small trace."""
    host_ns: int
    """Host time of a step, from the small trace, scaled by the launches of the large one."""
    device: pl.DataFrame
    """``group`` (root operator), ``fixed_ns`` and ``per_unit_ns``: device time per step."""
    assumptions: str


def predict_transition(
    small: End, large: End, *, parameters: tuple[float, float] | None = None
) -> PredictedTransition:
    """Predict the ``device`` transition of a sweep from a CPU-bound and a GPU-bound trace.

    Host time per step is taken as constant but for the number of launches; device time as a
    straight line in the parameter, for each group of kernels (by root operator) through its two
    recorded sums. The small trace is replayed with these times; the transition is where the device
    comes to hold half of the critical path.

    Parameters
    ----------
    small, large
        Traces or paths at a small and a large parameter, each alone or as ``(parameter, trace)``
        or ``{parameter: trace}``.
    parameters
        The two parameters; by default those given with the traces, else the one number in which
        the names of the two files differ.

    Returns
    -------
    PredictedTransition
        In units of the parameter, with the range that the spread of the small trace's steps gives.

    Raises
    ------
    SweepError
        No parameters to be found, small not below large, or a trace without kernels.

    Warns
    -----
    TraceWarning
        The small trace is not CPU-bound, so that its latency does not tell the host's time.
    """
    (low, first), (high, last) = _with_parameters(small, large, parameters)
    ends = [t if isinstance(t, Trace) else load(t) for t in (first, last)]
    rows = [point(t, None).row(0, named=True) for t in ends]
    for row, which in zip(rows, ("small", "large"), strict=True):
        if not row["launches"] or row["il_ns"] is None:
            raise SweepError.no_device_time(which)
    if rows[0]["device_share"] >= DEVICE_SHARE:
        warnings.warn(
            f"the trace at {low:g} is not CPU-bound: its device worked "
            f"{100 * rows[0]['busy_share']:.0f} % of the latency, which so is not the host's time",
            TraceWarning,
            stacklevel=2,
        )
    sums = [_by_group(t, row["step"]) for t, row in zip(ends, rows, strict=True)]
    device = _lines(sums[0], sums[1], low, high)
    launches = rows[1]["launches"] / rows[0]["launches"]
    replayed = _Replayed(ends[0], rows[0]["step"], device)

    def crossing(il_ns: int) -> float | None:
        return replayed.crossing(launches * il_ns / rows[0]["il_ns"], low)

    return PredictedTransition(
        crossing(rows[0]["il_ns"]),
        crossing(rows[0]["il_min_ns"]),
        crossing(rows[0]["il_max_ns"]),
        round(rows[0]["il_ns"] * launches),
        device,
        f"host time per launch as at {low:g}, with the {rows[1]['launches']} launches of {high:g}; "
        "device time linear in the parameter for each root operator; the small trace is CPU-bound",
    )


class _Replayed:
    """The small trace's median step, replayed with the device times of other parameters."""

    def __init__(self, trace: Trace, step: str, device: pl.DataFrame) -> None:
        self.made, self.steps = recorded(trace), steps_of(trace)
        self.place = self.steps.names.index(step)
        works = self.made.lanes.works.join(
            trace.whole.launches.select("root_op", launch="id"),
            on="launch", how="left", maintain_order="left",
        )  # fmt: skip
        of_work = pl.DataFrame({"group": names_of(trace.whole.ops, works["root_op"])})
        mine = (self.steps.step == self.place) & (works["kind"] == "kernel").to_numpy()
        now = of_work.with_columns(dur=pl.Series(np.where(mine, self.made.model.dur, 0)))
        sums = now.group_by("group").agg(pl.col("dur").sum())
        lines = device.join(sums, on="group", how="left", nulls_equal=True)
        here = lines["dur"].fill_null(0).to_numpy()
        self.fixed, self.slope = (lines[c].to_numpy() for c in ("fixed_ns", "per_unit_ns"))
        self.here = here
        places = lines.select("group", place=pl.int_range(pl.len()))
        at = of_work.join(places, on="group", how="left", nulls_equal=True, maintain_order="left")
        self.group = at["place"].fill_null(-1).to_numpy()
        self.kernels = mine & (self.group >= 0)

    def share(self, host: float, parameter: float) -> float:
        """The device's share of the critical path at a parameter."""
        wanted = np.maximum(self.fixed + self.slope * parameter, 0.0)
        seen = self.here > 0
        # What only the large trace has is spread over what the small one has.
        more = wanted.sum() / max(wanted[seen].sum(), 1e-9)
        factor = np.where(seen, more * wanted / np.maximum(self.here, 1), 1.0)
        of_work = np.where(self.kernels, factor[self.group], 1.0)
        model = changes.scaled_works(changes.scaled_host(self.made.model, host), of_work)
        run = run_model(self.made, self.steps, model)
        sums = side_sums(run.pieces()[self.place])
        return sums["device_ns"] / max(sum(sums.values()), 1)

    def crossing(self, host: float, low: float) -> float | None:
        """The parameter from which on the device holds half of the path, or None."""
        if self.slope.sum() <= 0 or self.share(host, 0.0) >= DEVICE_SHARE:
            return None
        below, above = 0.0, abs(low) or 1.0
        while self.share(host, above) < DEVICE_SHARE:
            below, above = above, 2 * above
            if above > FAR * (abs(low) or 1.0):
                return None
        for _ in range(HALVINGS):
            middle = (below + above) / 2
            if self.share(host, middle) < DEVICE_SHARE:
                below = middle
            else:
                above = middle
        return above


def _by_group(trace: Trace, step: str) -> pl.DataFrame:
    """Kernel time of a step by root operator."""
    launches = trace.launches.filter(pl.col("step") == step).select("root_op", launch="id")
    kernels = trace.work.filter(pl.col("kind") == "kernel").join(launches, on="launch")
    return (
        kernels.with_columns(group=names_of(trace.whole.ops, kernels["root_op"]))
        .group_by("group")
        .agg(ns=pl.col("dur_ns").sum())
    )


def _lines(small: pl.DataFrame, large: pl.DataFrame, low: float, high: float) -> pl.DataFrame:
    """Through the two sums of each group a line that does not fall."""
    both = small.join(
        large, on="group", how="full", coalesce=True, suffix="_large", nulls_equal=True
    ).fill_null(0)
    rise = (pl.col("ns_large") - pl.col("ns")).clip(0) / (high - low)
    return both.select("group", fixed_ns=pl.col("ns") - rise * low, per_unit_ns=rise).sort(
        -pl.col("per_unit_ns"), "group"
    )


def _with_parameters(
    small: End, large: End, given: tuple[float, float] | None
) -> tuple[tuple[float, Source], tuple[float, Source]]:
    (low, first), (high, last) = _unpack(small), _unpack(large)
    if given is not None:
        low, high = given
    elif low is None or high is None:
        low, high = _from_names(first, last)
    numbers = isinstance(low, (int, float)) and isinstance(high, (int, float))
    if not numbers or not low < high:
        raise SweepError.not_rising(low, high)
    return (low, first), (high, last)


def _unpack(end: End) -> tuple[Any, Source]:
    if isinstance(end, Mapping) and len(end) == 1:
        end = next(iter(end.items()))
    if isinstance(end, tuple) and len(end) == 2:
        return end
    if not isinstance(end, (Trace, str, PathLike)):
        raise SweepError.not_an_end(end)
    return None, end


def _from_names(first: Source, last: Source) -> tuple[Any, Any]:
    """The one number in which two file names differ."""
    names = [Path(t.meta.source if isinstance(t, Trace) else t).name for t in (first, last)]
    numbers = [re.findall(r"\d+", name) for name in names]
    if re.sub(r"\d+", "#", names[0]) != re.sub(r"\d+", "#", names[1]):
        return None, None
    differ = [(int(a), int(b)) for a, b in zip(*numbers, strict=True) if a != b]
    return differ[0] if len(differ) == 1 else (None, None)
