"""`tklqt`: total kernel launch and queue time, split exactly, by any grouping."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import check_keys, in_time_order, largest_first
from skiptrace.measure.ranks import over_ranks
from skiptrace.model.launches import Floor, given_floors, split
from skiptrace.model.nesting import Nest
from skiptrace.model.rounding import median, ordered, p95
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.measured import TKLQT, TKLQT_KEYS
from skiptrace.model.trace import Trace


@over_ranks
def tklqt(
    trace: Trace, by: str | Sequence[str] = "step", *, floor: Floor | None = None
) -> pl.DataFrame:
    """TKLQT and its split into launch and queue time.

    For a launch ``l`` with first kernel ``w1``, ``t_l = start(w1) - start(l)``; TKLQT is the sum of
    ``t_l`` over kernel launches, and ``t_l = launch_ns + queue_ns`` exactly.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``trace``, ``step``, ``op``, ``root_op``, ``kernel``, ``stream``, ``device``, ``thread``,
        ``kind``, ``annotation``, ``launch``, or a list of them.
    floor
        What a launch costs with nothing in its way, in ns for kernel launches, or a mapping
        kind -> ns, or the result of `launch_floor`; by default the trace's own.

    Returns
    -------
    polars.DataFrame
        The key columns, ``launches``, ``kernels``, ``tklqt_ns``, ``launch_ns``, ``queue_ns``,
        ``median_ns``, ``p95_ns``, ``max_ns``. Steps in time order, all else by falling TKLQT; a
        last row of null keys holds what belongs nowhere, so that every grouping adds up.

    Raises
    ------
    UnknownKeyError
        `by` is none of those.
    FloorError
        `floor` is negative, no integer, or names an unknown kind.

    References
    ----------
    Vellaisamy et al., "Characterizing and Optimizing LLM Inference Workloads on CPU-GPU Coupled
    Architectures", ISPASS 2025, arXiv 2504.11750. The split and its floor are skiptrace's own.
    """
    keys = check_keys(by, TKLQT_KEYS)
    warn_of_doubts(trace, "tklqt")
    return launch_times(trace, keys, floor)


def launch_times(trace: Trace, keys: list[str], floor: Floor | None) -> pl.DataFrame:
    """The rows of `tklqt`."""
    keyed = trace.launches
    for key in keys:
        keyed = _with_key(trace, keyed, key)
    columns = list(dict.fromkeys(c.name for key in keys for c in TKLQT_KEYS[key]))
    groups = [*columns, "pid"] if "thread" in keys else columns
    launches = kernel_launches(trace, keyed, groups, floor)
    frame = launches.group_by(groups).agg(*_figures())
    if keys == ["trace"] and frame.is_empty():
        frame = launches.select(*_figures()).with_columns(trace=pl.lit("all"))
    if keys == ["step"]:
        busy = set(frame["step"])
        idle = [name for name in trace.steps["name"] if name not in busy]
        if idle:
            none = launches.clear().select(*_figures())
            rows = pl.DataFrame({"step": idle}).join(none, how="cross")
            frame = pl.concat([frame, rows.select(frame.columns)])
        frame = in_time_order(frame, trace.steps)
    elif keys == ["launch"]:
        frame = frame.join(keyed.select("launch", "start_ns"), on="launch").sort(
            "start_ns", "launch"
        )
    else:
        frame = largest_first(frame, groups, "tklqt_ns")
    times = pl.col("times")
    frame = frame.with_columns(median_ns=median(times), p95_ns=p95(times))
    schema = {c.name: c for key in keys for c in TKLQT_KEYS[key]}
    return conform(frame, (*schema.values(), *TKLQT))


def kernel_launches(
    trace: Trace, launches: pl.DataFrame, keys: Sequence[str], floor: Floor | None
) -> pl.DataFrame:
    """Of launches those with a kernel, split by the caller's floor where given.

    Of their columns the keys and ``kernels``, ``tklqt_ns``, ``launch_ns``, ``queue_ns``.
    """
    if floor is not None:
        launches = split(launches, given_floors(trace.whole.floors, floor))
    columns = list(dict.fromkeys((*keys, "kernels", "tklqt_ns", "launch_ns", "queue_ns")))
    return launches.select(columns).filter(pl.col("kernels") > 0)


def _figures() -> list[pl.Expr]:
    return [
        pl.len().cast(pl.Int64).alias("launches"),
        pl.col("kernels").sum(),
        pl.col("launch_ns").sum(),
        pl.col("queue_ns").sum(),
        ordered("tklqt_ns").alias("times"),
        pl.col("tklqt_ns").max().alias("max_ns"),
        pl.col("tklqt_ns").sum(),
    ]


def _with_key(trace: Trace, launches: pl.DataFrame, key: str) -> pl.DataFrame:
    whole = trace.whole
    match key:
        case "trace":
            column = pl.repeat("all", len(launches), dtype=pl.String, eager=True)
        case "thread":
            column = launches["tid"]
        case "launch":
            column = launches["id"]
        case "op" | "root_op":
            column = names_of(whole.ops, launches[key])
        case "kernel":
            column = names_of(whole.work, launches["first_work"])
        case "annotation":
            row = Nest(whole.annotations).at(
                *(launches[c].to_numpy() for c in ("pid", "tid", "start_ns"))
            )
            column = link_to_row(whole.annotations["name"], row)
        case _:  # step, stream, device and kind are columns already
            column = launches[key]
    return launches.with_columns(column.alias(key))


def names_of(frame: pl.DataFrame, ids: pl.Series) -> pl.Series:
    """Names of the rows of a frame with the given ids, null where an id is null."""
    return link_to_row(frame["name"], rows_of(frame["id"], ids))
