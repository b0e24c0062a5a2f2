"""`efficiency`: operations and bytes per second of operators, beside what the device can do."""

from __future__ import annotations

import re

import numpy as np
import orjson
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import Ints
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.flops import FORMULAS, bytes_of, dtype_of, work_of
from skiptrace.measure.peaks import PEAKS, Peak
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.recorded import DIMS, numbers, recorded
from skiptrace.model.nesting import rows_of
from skiptrace.model.schema.breakdowns import EFFICIENCY
from skiptrace.model.schema.column import conform
from skiptrace.model.trace import Trace

_TYPES, _VALUES, _FLOPS = "Input type", "Concrete Inputs", "flops"


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
    ops = _known_ops(trace)
    holder = _holders(trace, ops["id"])
    work = trace.work.select("device", "dur_ns", "launch")
    row = holder[rows_of(trace.launches["id"], work["launch"])] if len(holder) else np.full(
        len(work), -1)  # fmt: skip
    row = np.where(work["launch"].is_not_null().to_numpy(), row, -1)
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


def _known_ops(trace: Trace) -> pl.DataFrame:
    """Operators with a formula that fits: ``id``, ``name``, ``shape``, ``dtype``, and what they do.

    Formulas are worked out once for each different call.
    """
    whole = trace.whole
    ops = whole.ops.select("id", "name")
    names = ops["name"].drop_nulls().unique()
    with_formula = names.filter(names.is_in(list(FORMULAS)))
    if DIMS not in whole.mentioned:  # then no formula has anything to go by
        with_formula = with_formula.clear()
    ops = ops.filter(pl.col("name").is_in(with_formula.implode()))
    found = recorded(trace, ops["id"], (DIMS, _TYPES, _VALUES, _FLOPS), marked=DIMS)
    ops = ops.with_columns(
        pl.Series(key, [orjson.dumps(v).decode() for v in found[key]], dtype=pl.String)
        for key in (DIMS, _TYPES, _VALUES)
    ).with_columns(recorded_flops=numbers(found[_FLOPS]))
    calls = ops.select("name", DIMS, _TYPES, _VALUES).unique()
    rows = []
    for name, *texts in calls.iter_rows():
        dims, types, values = map(orjson.loads, texts)
        done = work_of(name, dims, values)
        moved = None if done is None else bytes_of(name, dims, types, done.output)
        rows.append((None if done is None else done.flops, moved, dtype_of(types)))
    table = pl.DataFrame(
        rows, schema={"flops": pl.Float64, "bytes": pl.Float64, "dtype": pl.String}, orient="row"
    )
    known = ops.join(
        calls.with_columns(table), on=["name", DIMS, _TYPES, _VALUES], maintain_order="left"
    )
    return known.filter(pl.col("flops").is_not_null()).rename({DIMS: "shape"})


def _holders(trace: Trace, known: pl.Series) -> Ints:
    """For each launch the row, among the known operators, of the innermost around it; else -1."""
    ops = trace.whole.ops
    row = rows_of(ops["id"], trace.launches["op"])
    parent = np.append(rows_of(ops["id"], ops["parent"]), -1)
    place = np.append(rows_of(known, ops["id"]), -1)
    while len(open_ := np.flatnonzero((row >= 0) & (place[row] < 0))):  # a round a level
        row[open_] = parent[row[open_]]
    return np.where(row >= 0, place[row], -1)


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
