"""`kernels`: counts and times of kernels by name, class, operator, module or shape."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from skiptrace.intervals import Ints
from skiptrace.lookup import link_to_row, rows_of, where
from skiptrace.measure.doubt import warn_of_doubts, warn_of_unrecorded
from skiptrace.measure.keys import check_keys, in_time_order, largest_first
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.recorded import OCCUPANCY, numbers, recorded, shapes, triples
from skiptrace.measure.summary import own_work
from skiptrace.measure.tklqt import names_of
from skiptrace.model.kernel_classes import COMMUNICATION, Classes, classes_of
from skiptrace.model.modules import modules_at
from skiptrace.model.rounding import mean_of, median, ordered, p95, share_of
from skiptrace.model.schema.breakdowns import KERNEL_GEOMETRY, KERNEL_KEYS, KERNELS
from skiptrace.model.schema.column import Column, conform
from skiptrace.model.steps import ALL
from skiptrace.model.trace import Trace


@over_ranks
def kernels(
    trace: Trace,
    by: str | Sequence[str] = "name",
    *,
    classes: Classes | None = None,
    geometry: bool = False,
) -> pl.DataFrame:
    """Counts and durations of kernels, by any grouping.

    Parameters
    ----------
    trace
        A trace or a window of one.
    by
        ``trace``, ``name``, ``class``, ``op``, ``root_op``, ``module``, ``shape``, ``step``,
        ``stream``, ``device``, or a list of them. ``shape`` reads the source again.
    classes
        Rules class -> regular expression for ``class``, the first that fits counts; by default
        `skiptrace.model.kernel_classes.CLASSES`.
    geometry
        Add the occupancy, grid and block that were recorded; reads the source again.

    Returns
    -------
    polars.DataFrame
        The key columns, ``count``, ``kernel_ns``, ``mean_ns``, ``min_ns``, ``median_ns``,
        ``p95_ns``, ``max_ns``, ``time_share``, ``short``; times in ns. Steps in time order, all
        else by falling time; a last row of null keys holds what belongs nowhere, so that every
        grouping adds up. Unlinked kernels are included.

    Raises
    ------
    UnknownKeyError
        `by` is none of those.
    RulesError
        `classes` is no mapping of names to regular expressions.
    ReadError
        The source has changed or is gone, and has to be read again.
    """
    keys = check_keys(by, KERNEL_KEYS)
    warn_of_doubts(trace, "kernels")
    for key in ("module", "shape"):
        if key in keys:
            warn_of_unrecorded(trace, key)
    frame = own_work(trace).filter(pl.col("kind") == "kernel")
    row = rows_of(trace.whole.launches["id"], frame["launch"])
    frame = frame.with_columns(short=_short(trace, frame, row))
    for key in keys:
        frame = frame.with_columns(_key(trace, frame, row, key, classes))
    columns = list(dict.fromkeys(c for key in keys for c in KERNEL_KEYS[key]))
    figures = _figures()
    schema: tuple[Column, ...] = KERNELS
    if geometry:
        frame, more = _with_geometry(trace, frame)
        figures, schema = figures + more, (*KERNELS, *KERNEL_GEOMETRY)
    names = [c.name for c in columns]
    found = frame.group_by(names).agg(figures)
    if keys == ["trace"] and found.is_empty():
        found = frame.select(figures).with_columns(trace=pl.lit("all"))
    found = found.with_columns(
        median_ns=median(pl.col("times")),
        p95_ns=p95(pl.col("times")),
        mean_ns=mean_of(pl.col("kernel_ns"), pl.col("count")),
        time_share=share_of(pl.col("kernel_ns"), pl.col("kernel_ns").sum()),
    )
    if keys == ["step"]:
        found = in_time_order(found, trace.steps)
    else:
        found = largest_first(found, names, "kernel_ns")
    return conform(found, (*columns, *schema))


def _figures() -> list[pl.Expr]:
    dur = pl.col("dur_ns")
    return [
        pl.len().cast(pl.Int64).alias("count"),
        dur.sum().alias("kernel_ns"),
        dur.min().alias("min_ns"),
        ordered("dur_ns").alias("times"),
        dur.max().alias("max_ns"),
        pl.col("short").sum().cast(pl.Int64),
    ]


def _short(trace: Trace, frame: pl.DataFrame, row: Ints) -> pl.Series:
    """Whether each ran for less time than its launch's call, which launched nothing else."""
    launches = trace.whole.launches
    alone = where((launches["works"] == 1).to_numpy(), launches["dur_ns"])
    return (frame["dur_ns"] < link_to_row(alone, row)).fill_null(value=False)


def _key(
    trace: Trace, frame: pl.DataFrame, row: Ints, key: str, classes: Classes | None
) -> pl.Series:
    whole = trace.whole
    match key:
        case "trace":
            column = pl.repeat(ALL, len(frame), dtype=pl.String, eager=True)
        case "class":
            column = classes_of(frame["name"], classes)
            collectives = trace.whole.collectives
            if not len(collectives):
                return column.alias(key)
            column = pl.select(
                pl.when(frame["id"].is_in(collectives.implode()))
                .then(pl.lit(COMMUNICATION)).otherwise(column)
            ).to_series()  # fmt: skip
        case "op" | "root_op":
            column = names_of(whole.ops, link_to_row(whole.launches[key], row))
        case "shape":
            ops = link_to_row(whole.launches["op"], row)
            column = shapes(trace, ops)
        case "module":
            column = link_to_row(modules_at(trace, whole.launches), row)
        case _:  # name, step, device and stream are columns already
            column = frame[key]
    return column.alias(key)


def _with_geometry(trace: Trace, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[pl.Expr]]:
    """What was recorded of each kernel, and how a group's is made of it."""
    keys = (OCCUPANCY, "grid", "block")
    found = recorded(trace, frame["id"], keys, marked="grid")
    frame = frame.with_columns(
        occupancy=numbers(found[OCCUPANCY]) / 100, grid=triples(found["grid"]),
        block=triples(found["block"]),
    )  # fmt: skip
    dur, known = pl.col("dur_ns"), pl.col("occupancy").is_not_null()
    weight = dur.filter(known).sum()
    mean = (pl.col("occupancy") * dur).sum() / weight
    longest = dur.arg_max()
    return frame, [
        pl.when(weight > 0).then(mean).alias("occupancy_share"),
        pl.col("grid").get(longest),
        pl.col("block").get(longest),
    ]
