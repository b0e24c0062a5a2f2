"""`memory`: memory over time, its peak, and who allocated what lives then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.model.arguments import SavedArguments
from skiptrace.model.modules import modules_at
from skiptrace.model.nesting import Nest
from skiptrace.model.schema.breakdowns import MEMORY_CURVE, MEMORY_LIVE, MEMORY_PEAKS
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.trace import Trace
from skiptrace.read.rows import as_int
from skiptrace.read.stream import read_events
from skiptrace.read.times import to_ns

EVENT = "[memory]"
"""Name of the instant events that `profile_memory=True` writes."""

DEVICE_TYPES = {0: "cpu", 1: "cuda", 6: "hip", 9: "xla", 12: "xpu", 13: "mps", 20: "privateuseone"}
"""`Device Type` of an event (PyTorch's c10::DeviceType) -> its name."""


@dataclass(frozen=True, eq=False)
class Memory:
    """The result of `memory`."""

    curve: pl.DataFrame
    """A row an allocation or free, in time order."""
    peaks: pl.DataFrame
    """A row a device: the most that was allocated and reserved, and when."""
    live: pl.DataFrame
    """Who allocated what was allocated at the peak, a row a device and place; sums to the peak."""
    reason: str
    """Why there is nothing; empty where there is something."""


def memory(trace: Trace) -> Memory:
    """Memory of each device over time, and who allocated what lives at the peak.

    Parameters
    ----------
    trace
        A trace recorded with ``profile_memory=True``, or a window of one. The source is read
        again.

    Returns
    -------
    Memory
        Frames with the columns listed under "memory" in the docs; times in ns, sizes in bytes.
        Empty, with a ``reason``, where nothing was recorded.

    Raises
    ------
    ReadError
        The source has changed or is gone since it was loaded.
    """
    warn_of_doubts(trace, "memory")
    events, reason = _events(trace)
    if reason:
        return Memory(empty(MEMORY_CURVE), empty(MEMORY_PEAKS), empty(MEMORY_LIVE), reason)
    curve = _placed(trace, events)
    peaks = _peaks(curve)
    return Memory(
        conform(curve, MEMORY_CURVE),
        conform(peaks, MEMORY_PEAKS),
        conform(_live(curve, peaks), MEMORY_LIVE),
        "",
    )


def _events(trace: Trace) -> tuple[pl.DataFrame, str]:
    """The memory events by time, with totals the writer left out, and why there are none."""
    whole, none = trace.whole, pl.DataFrame()
    if isinstance(whole.source, SavedArguments):
        return (
            none,
            "saved folders and given frames hold no memory events: load the trace file",
        )
    if EVENT not in whole.mentioned:
        return none, "no memory events recorded: record with profile_memory=True"
    found = read_events(whole.source, _memory_event)
    times, known = to_ns([event.get("ts") for _, event in found])
    args = [a if isinstance(a := event.get("args"), dict) else {} for _, event in found]
    frame = pl.DataFrame(
        {
            "id": [i for i, _ in found],
            "at_ns": times,
            "pid": [as_int(event.get("pid")) for _, event in found],
            "tid": [as_int(event.get("tid")) for _, event in found],
            **{name: _ints(args, key) for name, key in _ARGUMENTS.items()},
        },
        schema_overrides={"id": pl.Int64, "pid": pl.Int64, "tid": pl.Int64},
    ).filter(pl.Series(known, dtype=pl.Boolean) & pl.col("bytes").is_not_null())
    frame = frame.sort("at_ns", "id", maintain_order=True)
    so_far = pl.col("bytes").cum_sum().over("device_type", "device")
    frame = frame.with_columns(allocated=pl.coalesce("allocated", so_far))
    if trace.window is not None:
        low, high = trace.window
        frame = frame.filter((pl.col("at_ns") >= low) & (pl.col("at_ns") < high))
    return frame, "" if len(frame) else "no memory events in this window"


def _memory_event(event: Any) -> dict[str, Any] | None:  # noqa: ANN401  whatever JSON holds
    return event if isinstance(event, dict) and event.get("name") == EVENT else None


_ARGUMENTS = {
    "device_type": "Device Type", "device": "Device Id", "address": "Addr", "bytes": "Bytes",
    "allocated": "Total Allocated", "reserved": "Total Reserved",
}  # fmt: skip


def _ints(args: list[dict[str, Any]], key: str) -> pl.Series:
    return pl.Series([as_int(a.get(key)) for a in args], dtype=pl.Int64)


def _placed(trace: Trace, events: pl.DataFrame) -> pl.DataFrame:
    """Add who did it, and the name of the device."""
    whole = trace.whole
    known = events.with_columns(
        start_ns="at_ns", pid=pl.col("pid").fill_null(-1), tid=pl.col("tid").fill_null(-1)
    )
    where = tuple(known[c].to_numpy() for c in ("pid", "tid", "start_ns"))
    ops, frames = whole.ops, whole.python
    row = Nest(ops).at(*where)
    root = rows_of(ops["id"], link_to_row(ops["root"], row))
    return events.with_columns(
        link_to_row(ops["name"], row).alias("op"),
        link_to_row(ops["name"], root).alias("root_op"),
        link_to_row(frames["name"], Nest(frames).at(*where)).alias("python"),
        modules_at(trace, known).alias("module"),
        device_kind=pl.col("device_type").replace_strict(
            DEVICE_TYPES, default=None, return_dtype=pl.String
        ),
    )


def _peaks(curve: pl.DataFrame) -> pl.DataFrame:
    device = ["device_type", "device", "device_kind"]
    first = pl.col("allocated").arg_max()
    return (
        curve.with_row_index("row")
        .group_by(device)
        .agg(
            pl.col("row").get(first),
            peak_ns=pl.col("at_ns").get(first),
            peak=pl.col("allocated").max(),
            reserved=pl.col("reserved").max(),
            allocations=(pl.col("bytes") > 0).sum(),
            frees=(pl.col("bytes") < 0).sum(),
            op=pl.col("op").get(first),
            module=pl.col("module").get(first),
            python=pl.col("python").get(first),
        )
        .sort(device, nulls_last=True)
    )


def _live(curve: pl.DataFrame, peaks: pl.DataFrame) -> pl.DataFrame:
    """By place what was allocated up to a device's peak and not freed; the rest in a null row.

    The last event of an address up to the peak says whether it is live there.
    """
    device = ["device_type", "device"]
    places = ["op", "root_op", "module", "python"]
    until = curve.with_row_index("row").join(
        peaks.select(*device, "peak", last="row"), on=device, nulls_equal=True
    ).filter(pl.col("row") <= pl.col("last"))  # fmt: skip
    live = (
        until.filter(pl.col("address").is_not_null())
        .sort("row")
        .unique([*device, "address"], keep="last", maintain_order=True)
        .filter(pl.col("bytes") > 0)
    )
    named = live.group_by(*device, *places).agg(
        allocations=pl.len().cast(pl.Int64), bytes=pl.col("bytes").sum()
    )
    rest = (
        peaks.select(*device, "peak")
        .join(named.group_by(device).agg(known=pl.col("bytes").sum()), on=device, how="left",
              nulls_equal=True)
        .select(*device, allocations=pl.lit(None, pl.Int64),
                bytes=pl.col("peak") - pl.col("known").fill_null(0))
        .filter(pl.col("bytes") != 0)
        .with_columns(pl.lit(None, pl.String).alias(p) for p in places)
        .select(named.columns)
    )  # fmt: skip
    return (
        pl.concat([named, rest])
        .join(peaks.select(*device, "peak", "device_kind"), on=device, nulls_equal=True)
        .with_columns(peak_share=pl.when((pl.col("peak") > 0) & (pl.col("bytes") >= 0))
                      .then((pl.col("bytes") / pl.col("peak")).clip(0, 1)))
        .sort(*device, pl.col("allocations").is_null(), -pl.col("bytes"), *places, nulls_last=True)
    )  # fmt: skip
