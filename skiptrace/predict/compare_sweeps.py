"""`compare_sweeps`: the same sweep on several platforms, and which side makes the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from skiptrace.errors import SweepError
from skiptrace.predict.sweep import Sweep, Transitions

_RATIOS = {
    "il_ratio": "il_ns",
    "tklqt_ratio": "tklqt_ns",
    "floor_ratio": "floor_ns",
    "host_ratio": "cpu_busy_ns",
    "device_ratio": "kernel_ns",
}
"""Ratio -> the figure of the sweep it divides."""

EVEN = 0.005
"""Logs of ratios this near to each other round to the same figure: the sides are even."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Platforms side by side; the first is the baseline."""

    frame: pl.DataFrame
    """A row a parameter and platform: each figure over the baseline's; below 1 is faster."""
    crossovers: pl.DataFrame
    """``platform``, ``after``, ``parameter``: between which points the faster one changes."""
    transitions: Mapping[str, Transitions]
    later: pl.DataFrame
    """``platform``, ``definition``, ``ratio``: its interpolated transition over the baseline's."""
    sentence: str


def compare_sweeps(sweeps: Mapping[str, Sweep]) -> Comparison:
    """Compare sweeps of the same workload on several platforms.

    Parameters
    ----------
    sweeps
        Platform -> its sweep; the first is the baseline.

    Returns
    -------
    Comparison
        ``il_ratio``, ``tklqt_ratio``, ``floor_ratio`` (launch floor), ``host_ratio`` (CPU busy)
        and ``device_ratio`` (kernel time) for each parameter that both have; crossovers; how much
        later each platform turns; and a sentence on the side that makes the difference.

    Raises
    ------
    SweepError
        Fewer than two sweeps, something that is none, or no parameter in common.
    """
    if len(sweeps) < 2:
        raise SweepError.too_few(list(sweeps))
    for name, given in sweeps.items():
        if not isinstance(given, Sweep):
            raise SweepError.no_sweep(name, given)
    (base, baseline), *others = sweeps.items()
    frames = {name: _ratios(base, baseline, name, other) for name, other in others}
    transitions = {name: s.transition for name, s in sweeps.items()}
    return Comparison(
        pl.concat(frames.values(), how="vertical_relaxed"),
        pl.concat([_crossovers(n, f) for n, f in frames.items()], how="vertical_relaxed"),
        transitions,
        _later(transitions, base),
        " ".join(_sentence(base, name, frame) for name, frame in frames.items()),
    )


def _ratios(base: str, baseline: Sweep, name: str, other: Sweep) -> pl.DataFrame:
    frames = [baseline.frame, other.frame]
    kinds = {frame["parameter"].dtype for frame in frames}
    if len(kinds) > 1:
        if not all(kind.is_numeric() for kind in kinds):
            raise SweepError.nothing_shared(base, name)
        # Whole numbers in one sweep may be fractions in the other.
        frames = [frame.with_columns(pl.col("parameter").cast(pl.Float64)) for frame in frames]
    both = frames[0].join(frames[1], on="parameter", suffix="_other").sort("parameter")
    if both.is_empty():
        raise SweepError.nothing_shared(base, name)
    return both.select(
        "parameter",
        pl.lit(name).alias("platform"),
        *(
            pl.when(pl.col(figure) > 0)
            .then(pl.col(f"{figure}_other") / pl.col(figure))
            .alias(ratio)
            for ratio, figure in _RATIOS.items()
        ),
        baseline_verdict="verdict",
        verdict="verdict_other",
    )


def _crossovers(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    faster = pl.col("il_ratio") < 1
    # A tie changes nothing: the platform that was faster before it may be so after it.
    before = frame.filter(pl.col("il_ratio") != 1).with_columns(
        after=pl.col("parameter").shift(1), changed=faster != faster.shift(1)
    )
    return before.filter(pl.col("changed").fill_null(value=False)).select(
        pl.lit(name).alias("platform"), "after", "parameter"
    )


def _later(transitions: Mapping[str, Transitions], base: str) -> pl.DataFrame:
    rows = []
    for name, found in transitions.items():
        for definition in ("tklqt", "device"):
            here: Any = getattr(found, definition).interpolated
            there: Any = getattr(transitions[base], definition).interpolated
            if name != base:
                rows.append((name, definition, here / there if here and there else None))
    schema = {"platform": pl.String, "definition": pl.String, "ratio": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _mean(values: pl.Series) -> float:
    """Geometric mean of ratios."""
    logs = [math.log(v) for v in values.drop_nulls().to_list() if v > 0]
    return math.exp(sum(logs) / len(logs)) if logs else 1.0


def _sentence(base: str, name: str, frame: pl.DataFrame) -> str:
    """What the difference is where the host is the limit on both, and where the device is."""
    parts = []
    for verdict, side, ratio in (("cpu", "host", "host_ratio"), ("gpu", "device", "device_ratio")):
        both = frame.filter(
            (pl.col("verdict") == verdict) & (pl.col("baseline_verdict") == verdict)
        )
        if len(both):
            parts.append(
                f"where the {side} is the limit on both ({_span(both)}) it takes "
                f"{_mean(both['il_ratio']):.2f} x the latency, its {side} {_mean(both[ratio]):.2f} "
                f"x the time"
            )
    host, device = (frame[name] for name in ("host_ratio", "device_ratio"))
    apart = _spread(host) - _spread(device)
    larger = "neither makes a"
    if abs(apart) > EVEN:
        larger = f"the {'host' if apart > 0 else 'device'} makes the"
    parts.append(
        f"point by point its host takes {_range(host)} x the CPU time and its device "
        f"{_range(device)} x the kernel time, so {larger} larger difference"
    )
    return f"{name} against {base}: {'; '.join(parts)}."


def _spread(ratios: pl.Series) -> float:
    """Mean distance from 1, in either direction, as a log."""
    logs = [abs(math.log(v)) for v in ratios.drop_nulls().to_list() if v > 0]
    return sum(logs) / len(logs) if logs else 0.0


def _range(ratios: pl.Series) -> str:
    known = ratios.drop_nulls().to_list()
    return f"{min(known):.2f} to {max(known):.2f}" if known else "no known"


def _span(frame: pl.DataFrame) -> str:
    first, last = frame["parameter"][0], frame["parameter"][-1]
    return f"{first}" if first == last else f"{first} to {last}"
