"""`efficiency`: operations and bytes per second of operators, beside what the device can do."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.measure.doubt import warn_of_doubts, warn_of_unrecorded
from skiptrace.measure.known_ops import holders, known_ops
from skiptrace.measure.peaks import PEAKS, Peak
from skiptrace.measure.ranks import over_ranks
from skiptrace.model.schema.breakdowns import EFFICIENCY
from skiptrace.model.schema.column import conform
from skiptrace.model.trace import Trace


@over_ranks
def efficiency(trace: Trace, *, peak: Peak | None = None) -> pl.DataFrame:
    """Achieved operations and bytes per second by operator and shape, and the roofline side.

    Parameters
    ----------
    trace
        A trace recorded with ``record_shapes=True``, or a window of one. The source is read again.
    peak
        What the device can do; by default from `skiptrace.measure.peaks.PEAKS`, by its name.

    Returns
    -------
    polars.DataFrame
        A row an operator, shape and data type, columns as listed under "efficiency" in the docs,
        by falling device time; the last row of null keys holds the work under no operator whose
        operations are known, so that ``device_ns`` sums to that of all work. Null where something
        is not known: a shape, a size of a type, a peak.

    Raises
    ------
    UnknownKeyError
        `peak` is no `Peak`.
    ReadError
        The source has changed or is gone since it was loaded.
    """
    if peak is not None and not isinstance(peak, Peak):
        raise UnknownKeyError.of("peak", peak, ["a skiptrace.Peak"])
    warn_of_doubts(trace, "efficiency")
    warn_of_unrecorded(trace, "shape")
    ops = known_ops(trace).filter(pl.col("flops").is_not_null())
    work = trace.work.select("device", "dur_ns", "launch")
    row = holders(trace, ops["id"], work["launch"])
    sums = np.zeros(len(ops) + 1, np.int64)
    np.add.at(sums, row, work["dur_ns"].to_numpy())
    device = np.full(len(ops) + 1, -1)
    device[row] = work["device"].fill_null(-1).to_numpy()
    ran = np.bincount(row[row >= 0], minlength=len(ops)) > 0
    keys = ["name", "shape", "dtype", "device"]
    frame = ops.with_columns(device_ns=pl.Series(sums[:-1]), device=pl.Series(device[:-1]))
    frame = frame.filter(pl.Series(ran, dtype=pl.Boolean)).group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("count"),
        *(_sum_or_null(c) for c in ("flops", "recorded_flops", "bytes")),
        pl.col("device_ns").sum(),
    )  # fmt: skip
    found = _rates(frame, _peaks(trace, frame["device"], peak)).sort(
        -pl.col("device_ns"), *keys, nulls_last=True
    )
    columns = {c.name: c.dtype for c in EFFICIENCY}
    rest = pl.DataFrame({"device_ns": [int(sums[-1])]} if (row < 0).any() else {"device_ns": []})
    rest = rest.select(
        (pl.col(n) if n == "device_ns" else pl.lit(None)).cast(t).alias(n)
        for n, t in columns.items()
    )
    return pl.concat([conform(found, EFFICIENCY), rest])


def _sum_or_null(column: str) -> pl.Expr:
    """A sum; null unless all are known."""
    value = pl.col(column)
    return pl.when(value.is_not_null().all()).then(value.sum()).alias(column)


def _peaks(trace: Trace, devices: pl.Series, given: Peak | None) -> dict[int, Peak]:
    """Peak of each device, as far as one is known."""
    listed = trace.meta.devices
    found = {}
    for device in devices.unique().to_list():
        peak = given or next(
            (
                p
                for rule, p in PEAKS.items()
                if re.search(rf"\b(?:{rule})\b", listed.get(device, ""))
            ),
            None,
        )
        found[device] = peak or Peak()
    return found


def _flops_bound(peak: Peak, dtype: str, name: str) -> float | None:
    if dtype == "float32" and "conv" in name:
        dtype = "tf32" if "tf32" in peak.flops_per_s else dtype
    return peak.flops_per_s.get(dtype)


def _rates(frame: pl.DataFrame, peaks: dict[int, Peak]) -> pl.DataFrame:
    bounds = [
        (_flops_bound(peaks[device], dtype or "", name), peaks[device].bytes_per_s)
        for device, dtype, name in frame.select("device", "dtype", "name").iter_rows()
    ]
    frame = frame.with_columns(
        pl.DataFrame(
            bounds, schema={"peak_flops": pl.Float64, "peak_bytes": pl.Float64}, orient="row"
        )
    )
    took, flops, moved = pl.col("device_ns"), pl.col("flops"), pl.col("bytes")
    balance = pl.col("peak_flops") / pl.col("peak_bytes")
    return frame.with_columns(
        flops_per_s=pl.when(took > 0).then(flops * 1e9 / took),
        bytes_per_s=pl.when(took > 0).then(moved * 1e9 / took),
        intensity=pl.when(moved > 0).then(flops / moved),
    ).with_columns(
        of_peak_flops=pl.col("flops_per_s") / pl.col("peak_flops"),
        of_peak_bytes=pl.col("bytes_per_s") / pl.col("peak_bytes"),
        side=pl.when(pl.col("intensity") >= balance)
        .then(pl.lit("compute"))
        .when(pl.col("intensity") < balance)
        .then(pl.lit("memory")),
    )
