"""What bounds each kernel, arithmetic or memory, from the shapes of its operator's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from skiptrace.measure.known_ops import holders, known_ops
from skiptrace.measure.peaks import PEAKS
from skiptrace.model.trace import Trace
from skiptrace.predict.replay_model import Recorded

Floats = NDArray[np.float64]
RATIOS = ("flops", "bandwidth")
"""What of another device is given as a ratio: arithmetic a second, and memory traffic a second."""
NEAR_PEAK = 0.8
"""A kernel that comes so near to the best rate that its trace shows is bound by it."""
BEST = 0.9
"""The best rate is that which all but the fastest tenth of the time stays below: a few kernels read
much less than the shapes of their inputs say."""
LEAST_BALANCE = min(
    rate / peak.bytes_per_s
    for peak in PEAKS.values()
    if peak.bytes_per_s
    for rate in peak.flops_per_s.values()
)
"""Operations in the time of a byte, of the device and type that can do fewest: work of fewer is
never bound by arithmetic."""


@dataclass(frozen=True, eq=False)
class Rooflines:
    """Of each work of a model: how near it comes to the best rates that the trace shows."""

    flops: Floats
    """Its arithmetic a second over the best, 0 where there is none or it is not known."""
    traffic: Floats
    """Its bytes a second over the best; 1 where they are not known: taken to be memory-bound."""
    known: bool
    """Whether there is an operator at all whose arithmetic is known."""
    assumed: float
    """Share of kernel time that is taken to be memory-bound, since its work is not known."""

    def factors(self, ratios: Mapping[str, float]) -> Floats:
        """Factors on durations where the peak rates are so many times what they were."""
        if not self.known:
            return np.ones(len(self.flops))
        faster, wider = (float(ratios.get(name, 1.0)) for name in RATIOS)
        bound = np.where(self.flops > self.traffic, 1 / faster, 1 / wider)
        # What is bound by neither gets no faster, and slower only where a peak falls below it.
        free = np.maximum(1.0, np.maximum(self.flops / faster, self.traffic / wider))
        found: Floats = np.where(np.maximum(self.flops, self.traffic) >= NEAR_PEAK, bound, free)
        return found

    def words(self, ratios: Mapping[str, float]) -> str:
        """What it takes for granted."""
        given = " and ".join(
            f"{ratios[name]:g} times the {name}" for name in RATIOS if name in ratios
        )
        return (
            f"a device of {given}: kernels within {1 - NEAR_PEAK:.0%} of the best rate seen scale "
            "by what bounds them, others stay; bytes are those of shapes, counted once; "
            f"{self.assumed:.0%} of kernel time is in no operator of known arithmetic and is taken "
            "to be memory-bound"
        )


def rooflines(trace: Trace, made: Recorded) -> Rooflines:
    """Rates of each operator's works against the best of the recording.

    Parameters
    ----------
    trace
        A trace or a window of one. The source is read again.
    made
        Its model.

    References
    ----------
    Williams, Waterman, Patterson, "Roofline", 2009.
    """
    works = made.lanes.works
    written = pl.col("recorded_flops")
    ops = (
        known_ops(trace)
        .with_columns(flops=pl.when(written > 0).then(written).otherwise(pl.col("flops")))
        .filter(pl.col("flops").is_not_null())
    )
    row = holders(trace, ops["id"], works["launch"])
    held, dur = row >= 0, works["dur_ns"].to_numpy()
    took = np.bincount(row[held], dur[held], minlength=len(ops)).clip(1)
    done, moved = (
        np.append(ops[name].fill_null(np.nan).to_numpy() / took, np.nan)[row]
        for name in ("flops", "bytes")
    )
    flops = _of_best(np.where(done < LEAST_BALANCE * moved, 0.0, done), dur, held)
    # What is near the best arithmetic does not tell what memory can do.
    traffic = _of_best(moved, dur, ~(flops >= NEAR_PEAK))
    copies = (works["kind"] == "memcpy").to_numpy()
    flops = np.where(copies | np.isnan(flops), 0.0, flops)
    unknown = np.isnan(traffic) & (flops < NEAR_PEAK) & ~copies
    traffic = np.where(unknown, 1.0, np.where(copies | np.isnan(traffic), 0.0, traffic))
    assumed = float(dur[unknown].sum() / max(dur[~copies].sum(), 1))
    return Rooflines(flops, traffic, bool(held.any()), assumed)


def _of_best(rate: Floats, dur: NDArray[np.int64], among: NDArray[np.bool_]) -> Floats:
    """Each rate over the best among some, at most 1; 0 of all known where none of them has one."""
    seen = np.flatnonzero(among & (rate > 0))
    if not len(seen):
        return 0 * rate
    order = seen[np.argsort(rate[seen], kind="stable")]
    done = np.cumsum(dur[order])
    best = rate[order[np.searchsorted(done, BEST * done[-1])]]
    found: Floats = np.minimum(rate / best, 1.0)
    return found
