"""Operators whose arithmetic and bytes are known, and which of them each work belongs to."""

from __future__ import annotations

import numpy as np
import orjson
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.doubt import DIMS
from skiptrace.measure.flops import FORMULAS, bytes_of, dtype_of, work_of
from skiptrace.measure.recorded import numbers, recorded
from skiptrace.model.trace import Trace

_TYPES, _VALUES, _STRIDES, _FLOPS = "Input type", "Concrete Inputs", "Input Strides", "flops"
_CALL = ["name", DIMS, _TYPES, _VALUES, _STRIDES]


def known_ops(trace: Trace) -> pl.DataFrame:
    """Operators that have a formula: ``id``, ``name``, ``shape``, ``dtype``, and what they do.

    ``flops`` and ``bytes`` are null where the formula does not fit what was recorded,
    ``recorded_flops`` where the profiler wrote none. The source is read again; formulas are worked
    out once for each different call.

    Raises
    ------
    ReadError
        The source has changed or is gone since it was loaded.
    """
    whole = trace.whole
    ops = whole.ops.select("id", "name")
    names = ops["name"].drop_nulls().unique()
    with_formula = names.filter(names.is_in(list(FORMULAS)))
    if DIMS not in whole.mentioned:  # then no formula has anything to go by
        with_formula = with_formula.clear()
    ops = ops.filter(pl.col("name").is_in(with_formula.implode()))
    found = recorded(trace, ops["id"], (*_CALL[1:], _FLOPS), marked=DIMS)
    ops = ops.with_columns(
        pl.Series(key, [orjson.dumps(v).decode() for v in found[key]], dtype=pl.String)
        for key in _CALL[1:]
    ).with_columns(recorded_flops=numbers(found[_FLOPS]))
    calls = ops.select(_CALL).unique()
    rows = []
    for name, *texts in calls.iter_rows():
        dims, types, values, strides = map(orjson.loads, texts)
        done = work_of(name, dims, values)
        moved = None if done is None else bytes_of(name, dims, types, done.output, strides)
        rows.append((None if done is None else done.flops, moved, dtype_of(types)))
    table = pl.DataFrame(
        rows, schema={"flops": pl.Float64, "bytes": pl.Float64, "dtype": pl.String}, orient="row"
    )
    known = ops.join(calls.with_columns(table), on=_CALL, maintain_order="left")
    return known.rename({DIMS: "shape"})


def holders(trace: Trace, known: pl.Series, launches: pl.Series) -> Ints:
    """For each launch the row, among the known operators, of the innermost around it; else -1.

    Parameters
    ----------
    trace
        A trace or a window of one: operators and launches are those of the whole.
    known
        Ids of operators.
    launches
        Ids of launches, null where there is none.
    """
    whole = trace.whole
    ops = whole.ops
    op = link_to_row(whole.launches["op"], rows_of(whole.launches["id"], launches))
    row = rows_of(ops["id"], op)
    parent = np.append(rows_of(ops["id"], ops["parent"]), -1)
    place = np.append(rows_of(known, ops["id"]), -1)
    while len(open_ := np.flatnonzero((row >= 0) & (place[row] < 0))):  # a round a level
        row[open_] = parent[row[open_]]
    return np.where(row >= 0, place[row], -1)
