"""`sm_efficiency`: use of a device in each step, by its kernels' blocks and occupancy."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import Ints, overlap, union
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.recorded import OCCUPANCY, numbers, recorded
from skiptrace.measure.step_time import step_extents
from skiptrace.model.schema.breakdowns import SM_EFFICIENCY
from skiptrace.model.schema.column import conform
from skiptrace.model.trace import Trace

BLOCKS = "blocks per SM"


@over_ranks
def sm_efficiency(trace: Trace) -> pl.DataFrame:
    """Utilisation, estimated SM efficiency and estimated occupancy, a row a step and device.

    Parameters
    ----------
    trace
        A trace or a window of one, of which each step is a whole one. The source
        is read again for what was recorded of kernels.

    Returns
    -------
    polars.DataFrame
        Columns as listed under "sm_efficiency" in the docs. ``sm_share`` and ``occupancy_share``
        are null where no kernel has the argument (``blocks per SM`` and ``est. achieved occupancy
        %``, of CUDA alone).

    Raises
    ------
    ReadError
        The source has changed or is gone since it was loaded.

    References
    ----------
    ``gpu_metrics_parser.py`` of PyTorch's TensorBoard plugin (pytorch/kineto, ``tb_plugin``).
    """
    warn_of_doubts(trace, "sm_efficiency")
    work = trace.whole.work.filter(pl.col("kind") == "kernel")
    found = recorded(trace, work["id"], (BLOCKS, OCCUPANCY), marked="grid")
    work = work.select("device", "start_ns", "dur_ns").with_columns(
        blocks=numbers(found[BLOCKS]), occupancy=numbers(found[OCCUPANCY]) / 100
    )
    steps = step_extents(trace)
    devices = work["device"].unique().sort().to_list()
    frames = [_of_device(steps, work.filter(device=device), device) for device in devices]
    nothing = steps.clear().with_columns(
        pl.lit(None).alias(c.name) for c in SM_EFFICIENCY if c.name not in steps.columns
    )
    frame = pl.concat([conform(f, SM_EFFICIENCY) for f in (nothing, *frames)])
    place = steps.select("step").with_row_index("place")
    return frame.join(place, on="step").sort("place", "device").drop("place")


def _of_device(steps: pl.DataFrame, work: pl.DataFrame, device: int) -> pl.DataFrame:
    low = steps["start_ns"].to_numpy()
    wall = steps["wall_ns"].to_numpy()
    start = work["start_ns"].to_numpy()
    busy = overlap(union(start, start + work["dur_ns"].to_numpy()), low, low + wall)
    of_wall = np.where(wall > 0, wall, 1)
    measured = work.filter(pl.col("blocks") > 0)
    weighed = work.filter(pl.col("occupancy") >= 0)
    mean, time = _weighted(weighed, low, low + wall)
    shares = {
        "utilization_share": np.where(wall > 0, busy / of_wall, np.nan),
        "sm_share": np.where(
            (wall > 0) & (len(measured) > 0), _filled(measured, low, low + wall) / of_wall, np.nan
        ),
        "occupancy_share": np.where(time > 0, mean / np.where(time > 0, time, 1), np.nan),
    }
    return steps.with_columns(
        pl.lit(device).alias("device"),
        *(pl.Series(name, values).fill_nan(None) for name, values in shares.items()),
    )


def _filled(work: pl.DataFrame, lows: Ints, highs: Ints) -> np.ndarray:
    """Integral over each window of min(1, blocks per SM of all kernels that run)."""
    start, dur = work["start_ns"].to_numpy(), work["dur_ns"].to_numpy()
    blocks = work["blocks"].to_numpy()
    times = np.concatenate((start, start + dur))
    order = np.argsort(times, kind="stable")
    times = times[order]
    running = np.cumsum(np.concatenate((blocks, -blocks))[order])
    # Sums of fractions leave dust; a kernel's blocks are never so few.
    level = np.where(running > 1e-9, np.minimum(running, 1.0), 0.0)
    if not len(times):
        return np.zeros(len(lows))
    done = np.concatenate(([0.0], np.cumsum(level[:-1] * np.diff(times))))

    def until(moment: Ints) -> np.ndarray:
        at = np.searchsorted(times, moment, side="right") - 1
        known = np.maximum(at, 0)
        inside = level[known] * (moment - times[known])
        return np.asarray(np.where(at >= 0, done[known] + inside, 0.0))

    return np.asarray(until(highs) - until(lows))


def _weighted(work: pl.DataFrame, lows: Ints, highs: Ints) -> tuple[np.ndarray, np.ndarray]:
    """Per window the sum of occupancy x time of its kernels, and of that time."""
    start, dur = work["start_ns"].to_numpy(), work["dur_ns"].to_numpy()
    value = work["occupancy"].to_numpy()

    def before(moment: Ints) -> tuple[np.ndarray, np.ndarray]:
        edges = np.concatenate((start, start + dur))
        slope = np.concatenate((value, -value))
        count = np.repeat((1.0, -1.0), len(start))
        order = np.argsort(edges, kind="stable")
        edges = edges[order]
        at = np.searchsorted(edges, moment, side="right")
        both = []
        for change in (slope[order], count[order]):
            total = np.concatenate(([0.0], np.cumsum(change)))
            first = np.concatenate(([0.0], np.cumsum(change * (edges - origin))))
            both.append(total[at] * (moment - origin) - first[at])
        return both[0], both[1]

    origin = int(start.min()) if len(start) else 0
    (high, time), (low, earlier) = before(highs), before(lows)
    return high - low, time - earlier
