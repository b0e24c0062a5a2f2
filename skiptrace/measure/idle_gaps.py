"""`idle_gaps`: when each device had nothing to do, and what the host did meanwhile."""

from __future__ import annotations

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints, contains, gaps_between, overlay
from skiptrace.measure.activity import ThreadActivity, thread_activities
from skiptrace.model import categories as cats
from skiptrace.model.nesting import Nest, link_to_row
from skiptrace.model.schema import ACTIVITIES, IDLE_GAPS, conform, empty
from skiptrace.model.steps import ALL, is_one_step
from skiptrace.model.trace import Trace
from skiptrace.thresholds import SYNC_SLACK


def idle_gaps(trace: Trace) -> pl.DataFrame:
    """Every moment in which a device had no work at all, and what the host did in it.

    A gap is a maximal interval with no work on any stream of a device, between the device's first
    and last work; gaps + busy = that span, to the nanosecond. A gap belongs to the work that ends
    it, and is read on the thread that launched this work: before the launch, by what the thread
    was in; then ``launch`` until the call returns; then ``device`` or ``dependency``.

    Parameters
    ----------
    trace
        A trace or a window of one; gaps of a window lie between its own first and last work.

    Returns
    -------
    polars.DataFrame
        Columns as listed under "idle_gaps" in the docs, by device and time. The eleven activity
        columns sum to ``dur_ns``.

    Notes
    -----
    ``cause`` is ``sync`` if a waiting call of the launching thread covers the gap's start, before
    the launch, and python, dataloader, alloc and copy make at most half of the gap; else the
    largest activity.
    """
    gaps = gap_causes(trace)
    if gaps.is_empty():
        return empty(IDLE_GAPS)
    return conform(with_holders(trace, gaps), IDLE_GAPS)


def with_holders(trace: Trace, gaps: pl.DataFrame) -> pl.DataFrame:
    """Add the operator and the Python frame that held most of each gap."""
    return gaps.with_columns(
        host_op=_main_holder(gaps, op_pieces(trace, gaps)),
        host_python=_main_holder(gaps, python_pieces(trace, gaps)),
    )


def gap_causes(trace: Trace) -> pl.DataFrame:
    """The gaps of `find_gaps`, with their activities and cause."""
    gaps = find_gaps(trace)
    amounts, waited = _activities(trace, gaps)
    return gaps.with_columns(
        *(pl.Series(f"{name}_ns", amounts[name]) for name in ACTIVITIES),
        _causes(amounts, waited, gaps["dur_ns"].to_numpy()).alias("cause"),
    )


def find_gaps(trace: Trace) -> pl.DataFrame:
    """The gaps, with the work that ends each and that work's launch.

    Columns ``gap``, ``device``, ``start_ns``, ``end_ns``, ``dur_ns``, ``next_work``, ``is_first``
    (of its launch), ``stream``, and of the launch (null where unlinked) ``launch``, ``call_ns``
    (its start), ``return_ns``, ``pid``, ``tid``, ``op``, ``step``.
    """
    launches = trace.whole.launches.select(
        "pid",
        "tid",
        "op",
        "step",
        launch="id",
        call_ns="start_ns",
        return_ns=pl.col("start_ns") + pl.col("dur_ns"),
    )
    end = pl.col("start_ns") + pl.col("dur_ns")
    spans = trace.work.group_by("device").agg(low=pl.col("start_ns").min(), high=end.max())
    works = (
        trace.whole.work.select("id", "start_ns", "dur_ns", "device", "stream", "launch")
        .join(spans, on="device")
        .filter((pl.col("start_ns") <= pl.col("high")) & (end >= pl.col("low")))
        .join(launches, on="launch", how="left")
        .sort("device", "start_ns", "call_ns", "id", nulls_last=True)
        .with_columns(end_ns=end)
    )
    parts = []
    for _, group in works.group_by("device", maintain_order=True):
        low, high, after = gaps_between(group["start_ns"].to_numpy(), group["end_ns"].to_numpy())
        parts.append(
            group[after].with_columns(
                start_ns=pl.Series(low), end_ns=pl.Series(high), next_work="id"
            )
        )
    gaps = pl.concat(parts) if parts else works.with_columns(next_work="id")
    if is_one_step(trace.whole.steps):  # then unlinked work has that step too
        gaps = gaps.with_columns(step=pl.lit(ALL))
    first = (
        trace.whole.work.filter(pl.col("launch").is_not_null())
        .sort("start_ns", "id")
        .unique(["launch", "device"], keep="first", maintain_order=True)["id"]
    )
    return gaps.select(
        "device",
        "start_ns",
        "end_ns",
        "next_work",
        "stream",
        "launch",
        "call_ns",
        "return_ns",
        "pid",
        "tid",
        "op",
        "step",
        dur_ns=pl.col("end_ns") - pl.col("start_ns"),
        is_first=pl.col("next_work").is_in(first.implode()),
    ).with_row_index("gap")


def _activities(trace: Trace, gaps: pl.DataFrame) -> tuple[dict[str, Ints], Bools]:
    """Per gap the time of each activity, and whether a wait covers its start."""
    low, high = gaps["start_ns"].to_numpy(), gaps["end_ns"].to_numpy()
    linked = gaps["launch"].is_not_null().to_numpy()
    call = np.clip(gaps["call_ns"].fill_null(0).to_numpy(), low, high)
    back = np.clip(gaps["return_ns"].fill_null(0).to_numpy(), call, high)
    amounts = {name: np.zeros(len(gaps), np.int64) for name in ACTIVITIES}
    amounts["unknown"] = np.where(linked, 0, high - low)
    waited = np.zeros(len(gaps), np.bool_)
    for rows, activity in by_thread(gaps, thread_activities(trace)):
        for name, amount in activity.amounts(low[rows], call[rows]).items():
            amounts[name][rows] = amount
        # A wait that began after the launch delayed nothing: what it covers had been launched.
        waited[rows] = contains(activity.waits, low[rows]) & (low < call)[rows]
    amounts["launch"] += np.where(linked, back - call, 0)
    depends = _depends(trace, gaps)
    amounts["dependency"] = np.where(linked & depends, high - back, 0)
    amounts["device"] = np.where(linked & ~depends, high - back, 0)
    inside = linked & ~gaps["is_first"].to_numpy()
    for name in ACTIVITIES:  # inside a graph the device is on its own
        amounts[name][inside] = (high - low)[inside] if name == "device" else 0
    return amounts, waited


def by_thread(
    gaps: pl.DataFrame, threads: dict[tuple[int, int], ThreadActivity]
) -> list[tuple[Ints, ThreadActivity]]:
    """The rows of linked gaps by launching thread."""
    rows = gaps.filter(pl.col("launch").is_not_null()).partition_by(
        "pid", "tid", as_dict=True, maintain_order=True
    )
    return [(group["gap"].to_numpy().astype(np.int64), threads[key]) for key, group in rows.items()]


def _depends(trace: Trace, gaps: pl.DataFrame) -> Bools:
    """Whether the work that ends a gap had something else to wait for on the device.

    Its stream was told to wait since its last work was launched, or it is a collective, whose
    peers may be late.
    """
    whole = trace.whole
    collective = whole.work.filter(
        pl.col("id").is_in(whole.collectives.implode())
        | (pl.col("name").str.contains(cats.COLLECTIVES) & (pl.col("kind") == "kernel"))
    )["id"]
    previous = (
        whole.work.sort("device", "stream", "start_ns", "id")
        .join(
            whole.launches.select(launch="id", call_ns="start_ns"),
            on="launch",
            how="left",
            maintain_order="left",
        )
        .with_columns(launched=pl.coalesce("call_ns", "start_ns"))  # unlinked: by then at latest
        .select(next_work="id", since=pl.col("launched").shift(1).over("device", "stream"))
    )
    gaps = gaps.join(previous, on="next_work", how="left", maintain_order="left").with_columns(
        since=pl.col("since").fill_null(np.iinfo(np.int64).min)
    )
    recorded = whole.syncs.filter(pl.col("sync_kind").str.contains(cats.STREAM_WAIT_RECORD))
    told = whole.calls.filter(pl.col("name").str.contains(cats.STREAM_WAITS))
    where = recorded.filter(pl.col("correlation").is_not_null()).select(
        "device", "stream", "correlation"
    )
    waits = (
        _any_between(recorded, gaps, ["device", "stream"])
        # A call says when and who; only a record of it says which stream.
        | _any_between(told.join(where, on="correlation"), gaps, ["device", "stream", "pid", "tid"])
        | _any_between(told.join(where, on="correlation", how="anti"), gaps, ["pid", "tid"])
    )
    is_collective = gaps["next_work"].is_in(collective.implode()).to_numpy()
    return np.asarray(waits | is_collective, np.bool_)


def _any_between(marks: pl.DataFrame, gaps: pl.DataFrame, keys: list[str]) -> Bools:
    """Whether a mark with the gap's keys lies in ``(since, call_ns)``."""
    latest = (
        gaps.select("gap", "since", *keys, at=pl.col("call_ns"))
        .filter(pl.col("at").is_not_null())
        .sort("at")
        .join_asof(
            marks.select(*keys, mark="start_ns").sort("mark"),
            left_on="at",
            right_on="mark",
            by=keys,
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("mark") > pl.col("since"))
    )
    found = np.zeros(len(gaps), np.bool_)
    found[latest["gap"].to_numpy()] = True
    return found


def _causes(amounts: dict[str, Ints], waited: Bools, length: Ints) -> pl.Series:
    table = np.stack([amounts[name] for name in ACTIVITIES])
    cause = np.argmax(table, axis=0)  # the first of equal ones
    busy = sum(amounts[name] for name in ("python", "dataloader", "alloc", "copy"))
    cause = np.where(waited & (busy <= SYNC_SLACK * length), ACTIVITIES.index("sync"), cause)
    return pl.Series(np.array(ACTIVITIES, dtype=object)[cause], dtype=pl.String)


def op_pieces(trace: Trace, gaps: pl.DataFrame) -> pl.DataFrame:
    """Each gap cut by the innermost operator: ``gap``, ``name`` (or null), ``ns``."""
    after = gaps.select("gap", id="op", ns=pl.col("end_ns") - _call()).filter(pl.col("ns") > 0)
    return _pieces(trace.whole.ops, gaps, after)


def python_pieces(trace: Trace, gaps: pl.DataFrame) -> pl.DataFrame:
    """Each gap cut by the deepest Python frame; after the launch, the frame around the launch."""
    frames = trace.whole.python
    linked = gaps.filter(pl.col("launch").is_not_null())
    row = Nest(frames).at(*(linked[c].to_numpy() for c in ("pid", "tid", "call_ns")))
    after = (
        linked.with_columns(link_to_row(frames["id"], row).alias("around"))
        .select("gap", id="around", ns=pl.col("end_ns") - _call())
        .filter(pl.col("ns") > 0)
    )
    after = pl.concat(
        [
            after,
            gaps.filter(pl.col("launch").is_null()).select(
                "gap", id=pl.lit(None, pl.Int64), ns="dur_ns"
            ),
        ]
    )
    return _pieces(frames, gaps, after)


def _call() -> pl.Expr:
    """The launch's start, moved into the gap; the gap's start where it has no launch."""
    return (
        pl.col("call_ns").clip(pl.col("start_ns"), pl.col("end_ns")).fill_null(pl.col("start_ns"))
    )


def _pieces(frame: pl.DataFrame, gaps: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Pieces before the launch by the thread's timeline over `frame`, then those `after` it."""
    nest = Nest(frame)
    before = gaps.filter(pl.col("launch").is_not_null()).with_columns(until=_call())
    parts = [after]
    for (pid, tid), group in before.group_by("pid", "tid", maintain_order=True):
        bounds, rows = nest.timeline(int(pid), int(tid))
        which, segment, length = overlay(
            group["start_ns"].to_numpy(), group["until"].to_numpy(), bounds
        )
        row = rows[segment] if len(rows) else np.full(len(which), -1)
        row = np.where(segment >= 0, row, -1)
        parts.append(
            pl.DataFrame(
                {
                    "gap": group["gap"].gather(which),
                    "id": link_to_row(frame["id"], row),
                    "ns": length,
                }
            )
        )
    return (
        pl.concat(parts)
        .join(frame.select("id", "name"), on="id", how="left", maintain_order="left")
        .select("gap", "name", "ns")
    )


def _main_holder(gaps: pl.DataFrame, pieces: pl.DataFrame) -> pl.Series:
    """Per gap the name that held most of it; null where most was in no operator or frame."""
    longest = (
        pieces.group_by("gap", "name")
        .agg(pl.col("ns").sum())
        .sort("gap", -pl.col("ns"), "name", nulls_last=True)
        .unique("gap", keep="first", maintain_order=True)
    )
    return gaps.join(longest, on="gap", how="left", maintain_order="left")["name"]
