"""`copy_bandwidth`: bytes per second of copies and fills, over time and direction."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.model.schema.breakdowns import COPY_BANDWIDTH, COPY_DIRECTIONS
from skiptrace.model.schema.column import conform
from skiptrace.model.trace import Trace

_SHORT = r"(?i)\b(?:memcpy)?\s*([HDPA](?:to|2)[HDPA])\b"
_LONG = r"(?i)(host|device|peer|array)To(host|device|peer|array)"


@dataclass(frozen=True, eq=False)
class CopyBandwidth:
    """The result of `copy_bandwidth`."""

    frame: pl.DataFrame
    """A row each time the rate of a direction changes, by device, direction and time."""
    directions: pl.DataFrame
    """A row a device and direction: copies, bytes, time and mean rate."""


def copy_bandwidth(trace: Trace) -> CopyBandwidth:
    """How fast copies and fills move bytes, as a time series and in total.

    Parameters
    ----------
    trace
        A trace or a window of one.

    Returns
    -------
    CopyBandwidth
        ``frame`` and ``directions``, columns as listed under "copy_bandwidth" in the docs; rates
        in bytes per second. A copy whose bytes were not recorded, or of no length, is counted as
        ``unmeasured`` and is in no rate.
    """
    warn_of_doubts(trace, "copy_bandwidth")
    copies = trace.work.filter(pl.col("kind") != "kernel")
    copies = copies.with_columns(
        _direction(copies),
        measured=pl.col("bytes").is_not_null() & (pl.col("bytes") >= 0) & (pl.col("dur_ns") > 0),
    )
    return CopyBandwidth(_series(copies.filter("measured")), _directions(copies))


def _direction(copies: pl.DataFrame) -> pl.Series:
    """`HtoD`, `DtoH`, `DtoD` ... by the name of a copy, each different name once; `fill`."""
    names = copies["name"].drop_nulls().unique()
    words = names.to_frame("name").select(
        pl.coalesce(
            pl.col("name").str.extract(_SHORT).str.to_uppercase().str.replace("TO|2", "to"),
            pl.concat_str(
                pl.col("name").str.extract(_LONG, 1).str.slice(0, 1).str.to_uppercase(),
                pl.lit("to"),
                pl.col("name").str.extract(_LONG, 2).str.slice(0, 1).str.to_uppercase(),
            ),
            pl.lit("other"),
        )
    ).to_series()  # fmt: skip
    found = copies["name"].replace_strict(names, words, default="other", return_dtype=pl.String)
    fill = pl.Series(["fill"], dtype=pl.String)
    return pl.select(
        pl.when(copies["kind"] == "memset").then(fill).otherwise(found).alias("direction")
    ).to_series()


def _series(copies: pl.DataFrame) -> pl.DataFrame:
    keys = ["device", "direction"]
    rate = pl.col("bytes") * 1e9 / pl.col("dur_ns")
    starts = copies.select(*keys, at="start_ns", running=pl.lit(1), rate=rate)
    ends = copies.select(
        *keys, at=pl.col("start_ns") + pl.col("dur_ns"), running=pl.lit(-1), rate=-rate
    )
    return conform(
        pl.concat([starts, ends])
        .group_by(*keys, "at")
        .agg(pl.col("running").sum(), pl.col("rate").sum())
        .sort(*keys, "at")
        .with_columns(
            copies=pl.col("running").cum_sum().over(keys),
            rate=pl.col("rate").cum_sum().over(keys),
            dur_ns=(pl.col("at").shift(-1).over(keys) - pl.col("at")).fill_null(0),
        )
        # Sums of fractions leave dust: where no copy runs the rate is 0.
        .with_columns(start_ns="at", bytes_per_s=pl.when(pl.col("copies") > 0)
                      .then(pl.col("rate").clip(0)).otherwise(0.0)),
        COPY_BANDWIDTH,
    )  # fmt: skip


def _directions(copies: pl.DataFrame) -> pl.DataFrame:
    measured = pl.col("measured")
    moved, took = pl.col("bytes").filter(measured).sum(), pl.col("dur_ns").filter(measured).sum()
    found = copies.group_by("device", "direction").agg(
        copies=pl.len(),
        unmeasured=(~measured).sum(),
        bytes=moved,
        copy_ns=pl.col("dur_ns").sum(),
        bytes_per_s=pl.when(took > 0).then(moved * 1e9 / took),
    )
    return conform(found.sort("device", "direction"), COPY_DIRECTIONS)
