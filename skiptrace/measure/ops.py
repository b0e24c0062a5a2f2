"""`ops`: host time of operators, self and total, and the device time that they launched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.doubt import warn_of_doubts, warn_of_unrecorded
from skiptrace.measure.keys import check_keys, in_time_order, largest_first, numbered
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.recorded import shapes
from skiptrace.measure.summary import own_work
from skiptrace.measure.tklqt import names_of
from skiptrace.model.modules import modules_at
from skiptrace.model.nesting import Nest
from skiptrace.model.rounding import share_of
from skiptrace.model.schema.breakdowns import OP_KEYS, OPS
from skiptrace.model.schema.column import conform
from skiptrace.model.steps import ALL
from skiptrace.model.trace import Trace

_SUMS = ("count", "self_ns", "total_ns", "launches", "device_ns", "device_total_ns")


@over_ranks
def ops(trace: Trace, by: str | Sequence[str] = "name") -> pl.DataFrame:
    """Host self and total time of operators, and the device time under them.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``trace``, ``name``, ``module``, ``shape``, ``step``, ``thread``, or a list of them.
        ``shape`` reads the source again.

    Returns
    -------
    polars.DataFrame
        The key columns, ``count``, ``self_ns``, ``total_ns``, ``launches``, ``device_ns``,
        ``device_total_ns``, ``self_share``, ``device_share``; times in ns. Steps in time order,
        all else by falling self time. Self times of every grouping sum to the time inside any
        operator, added over threads; a last row of null keys holds the launches and the work
        outside every operator, so that ``device_ns`` sums to that of all work.

    Raises
    ------
    UnknownKeyError
        `by` is none of those.
    ReadError
        The source has changed or is gone, and has to be read again.
    """
    keys = check_keys(by, OP_KEYS)
    warn_of_doubts(trace, "ops")
    for key in ("module", "shape"):
        if key in keys:
            warn_of_unrecorded(trace, key)
    columns = list(dict.fromkeys(c for key in keys for c in OP_KEYS[key]))
    names = [c.name for c in columns]
    if "thread" in keys:  # a number is a thread's in its process alone
        keys, names = [*keys, "pid"], [*names, "pid"]
    rows = pl.concat(
        [
            _host(trace, keys).group_by(names).agg(pl.col(_SUMS).sum()),
            _launched(trace, keys).group_by(names).agg(pl.col(_SUMS).sum()),
        ]
    )
    found = rows.group_by(names).agg(pl.col(_SUMS).sum())
    found = found.with_columns(
        self_share=share_of(pl.col("self_ns"), pl.col("self_ns").sum()),
        device_share=share_of(pl.col("device_ns"), pl.col("device_ns").sum()),
    )
    if keys == ["step"]:
        found = in_time_order(found, trace.steps)
    else:
        found = largest_first(found, names, "self_ns")
    return conform(found, (*columns, *OPS))


def _host(trace: Trace, keys: list[str]) -> pl.DataFrame:
    """A row an operator, with its keys and what it adds to their sums."""
    near = _near(trace)
    nest = Nest(near)
    whole = near is trace.ops
    own = np.arange(len(near)) if whole else rows_of(near["id"], trace.ops["id"])
    frame = trace.ops
    for key in keys:
        own_key = frame["name"] if key == "name" else _key(trace, frame, frame["id"], key)
        frame = frame.with_columns(own_key.alias(key))
    place = np.empty(len(near), np.int64)
    place[nest.order] = np.arange(len(near))
    fresh, top = _union_parts(frame, keys, np.argsort(place[own]))
    under = subtree(
        rows_of(near["id"], near["parent"]), near["depth"].to_numpy(), _launched_by(trace, near)
    )
    return _sums(
        frame.select(keys),
        count=np.ones(len(frame), np.int64),
        self_ns=self_times(nest, len(near))[own],
        total_ns=fresh,
        device_total_ns=np.where(top, under[own], 0),
    )


def _launched(trace: Trace, keys: list[str]) -> pl.DataFrame:
    """A row a launch and a row a work, with the keys of the launch's operator."""
    launches, work = trace.launches, own_work(trace)
    for key in keys:
        launches = launches.with_columns(_key(trace, launches, launches["op"], key))
    row = rows_of(launches["id"], work["launch"])
    for key in keys:
        given = work["step"] if key == "step" else link_to_row(launches[key], row)
        if key == "trace":
            given = pl.repeat(ALL, len(work), dtype=pl.String, eager=True)
        work = work.with_columns(given.alias(key))
    ones = np.ones(len(launches), np.int64)
    return pl.concat(
        [
            _sums(launches.select(keys), launches=ones),
            _sums(work.select(keys), device_ns=work["dur_ns"].to_numpy()),
        ]
    )


def _sums(keys: pl.DataFrame, **given: Ints) -> pl.DataFrame:
    nothing = np.zeros(len(keys), np.int64)
    return keys.with_columns(pl.Series(name, given.get(name, nothing)) for name in _SUMS)


def _key(trace: Trace, frame: pl.DataFrame, op: pl.Series, key: str) -> pl.Series:
    match key:
        case "trace":
            column = pl.repeat(ALL, len(frame), dtype=pl.String, eager=True)
        case "name":
            column = names_of(trace.whole.ops, op)
        case "module":
            column = modules_at(trace, frame)
        case "shape":
            column = shapes(trace, op)
        case "thread":
            column = frame["tid"]
        case _:  # step and pid are columns already
            column = frame[key]
    return column.alias(key)


def _near(trace: Trace) -> pl.DataFrame:
    """The trace's operators and all that start inside them, in the window or after it."""
    if trace.window is None or trace.ops.is_empty():
        return trace.ops
    end = trace.ops["start_ns"] + trace.ops["dur_ns"]
    low, high = int(trace.ops["start_ns"].min()), int(end.max())  # type: ignore[arg-type]
    return trace.whole.index.ops.between(low, high + 1)


def self_times(nest: Nest, rows: int) -> Ints:
    """For each row the time in which it is the innermost of its thread."""
    result = np.zeros(rows, np.int64)
    for thread in nest.threads():
        bounds, innermost = nest.timeline(*thread)
        inside = np.flatnonzero(innermost[:-1] >= 0)
        np.add.at(result, innermost[inside], bounds[inside + 1] - bounds[inside])
    return result


def _launched_by(trace: Trace, near: pl.DataFrame) -> Ints:
    """For each operator the durations of the work that it launched itself, in window or not."""
    result = np.zeros(len(near), np.int64)
    launches, work = trace.launches, trace.work
    if trace.window is not None and len(near):
        end = near["start_ns"] + near["dur_ns"]
        low, high = int(near["start_ns"].min()), int(end.max())  # type: ignore[arg-type]
        launches = trace.whole.index.launches.between(low, high + 1)
        work = trace.whole.index.work.equal_to(launches["id"].to_numpy())
    launch = rows_of(launches["id"], work["launch"])
    op = np.append(rows_of(near["id"], launches["op"]), -1)[launch]
    known = np.flatnonzero(op >= 0)
    np.add.at(result, op[known], work["dur_ns"].to_numpy()[known])
    return result


def subtree(parent: Ints, depth: Ints, own: Ints) -> Ints:
    """Sums of what rows have themselves over all that are under each, level by level.

    `parent` are rows, -1 where none.
    """
    total = own.copy()
    order = np.argsort(depth, kind="stable")
    cuts = np.flatnonzero(np.diff(depth[order])) + 1
    for rows in reversed(np.split(order, cuts)):
        below = rows[parent[rows] >= 0]
        np.add.at(total, parent[below], total[below])
    return total


def _union_parts(frame: pl.DataFrame, keys: list[str], order: Ints) -> tuple[Ints, Bools]:
    """What each row adds to the union of its group's on its thread; whether none holds it.

    `order` has the rows by thread, then by start, the longer first.
    """
    code = np.zeros(len(frame), np.int64)
    for key in keys:
        # Numbered anew after each key, so that no product of many keys overflows.
        numbers, different = numbered(frame[key])
        code, _ = numbered(pl.Series(code * (len(different) + 1) + numbers))
    small = code.astype(np.uint16) if code.max(initial=0) < 1 << 16 else code  # sorted by digits
    order = order[np.argsort(small[order], kind="stable")]
    pid, tid, start, dur = (frame[c].to_numpy() for c in ("pid", "tid", "start_ns", "dur_ns"))
    code, pid, tid, start = code[order], pid[order], tid[order], start[order]
    end = start + dur[order]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (code[1:] != code[:-1]) | (pid[1:] != pid[:-1]) | (tid[1:] != tid[:-1])
    reach = (
        pl.DataFrame({"end": end, "run": np.cumsum(begins)})
        .select(pl.col("end").cum_max().shift(1).over("run").fill_null(np.iinfo(np.int64).min))
        .to_series()
        .to_numpy()
    )
    fresh, top = np.empty(len(order), np.int64), np.empty(len(order), np.bool_)
    fresh[order] = np.maximum(end - np.maximum(start, reach), 0)
    top[order] = reach <= start
    return fresh, top
