"""Tracks for a timeline viewer: steps, critical path, idle gaps, queue depth, missing arrows."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.idle_gaps import idle_gaps
from skiptrace.measure.queue_depth import queue_depth
from skiptrace.measure.summary import summary
from skiptrace.model.categories import OWN
from skiptrace.model.schema.column import ACTIVITIES
from skiptrace.model.trace import Trace
from skiptrace.predict.boundedness import boundedness
from skiptrace.predict.critical_path import critical_path

TRACKS = ("steps", "critical path", "idle gaps", "queue depth")
"""Processes that are added, each under a pid of its own."""

CAUSE_COLOURS = {
    "profiler": "grey", "sync": "terrible", "alloc": "bad", "copy": "rail_load",
    "launch": "yellow", "dataloader": "olive", "operator": "thread_state_running",
    "python": "thread_state_iowait", "device": "good", "dependency": "rail_response",
    "unknown": "generic_work",
}  # fmt: skip
"""Cause of a gap -> one of the names of colours that trace viewers know."""
_AT_ONCE = 50_000
"""Events that are text at a time."""
_SIDE_COLOURS = {"host": "thread_state_running", "device": "good", "latency": "yellow"}
_VERDICT_COLOURS = {"cpu": "thread_state_running", "gpu": "good", "balanced": "yellow"}


def tracks(trace: Trace, *, has_arrows: bool) -> Iterator[bytes]:
    """The events of every track as JSON, some at a time, without a comma at either end."""
    whole = trace.whole
    known = [int(frame["pid"].max() or 0) for frame in (  # type: ignore[arg-type]
        whole.ops, whole.calls, whole.work, whole.annotations, whole.python)]  # fmt: skip
    known += [pid for pid, _ in trace.meta.threads if isinstance(pid, int)]
    first = max(known, default=0) + 1
    pids = {name: first + place for place, name in enumerate(TRACKS)}
    made = [
        _steps(trace, pids["steps"]),
        _path(trace, pids["critical path"]),
        _gaps(trace, pids["idle gaps"]),
        _depth(trace, pids["queue depth"]),
        _arrows(trace, has_arrows=has_arrows),
    ]
    yield _lines(_names(pids, made))
    yield from (_lines(part) for frame in made for part in frame.iter_slices(_AT_ONCE) if len(part))


def _lines(frame: pl.DataFrame) -> bytes:
    """Events of one kind: times from nanoseconds to microseconds, digit by digit."""
    times = [c for c in ("ts", "dur") if c in frame.columns]
    rest = frame.select(pl.struct(pl.exclude(times)).struct.json_encode()).to_series()
    parts = [
        pl.format('"{}":{}{}.{},', pl.lit(c), pl.when(pl.col(c) < 0).then(pl.lit("-"))
                  .otherwise(pl.lit("")), pl.col(c).abs() // 1000,
                  (pl.col(c).abs() % 1000).cast(pl.String).str.zfill(3))
        for c in times
    ]  # fmt: skip
    lines = frame.select(pl.concat_str(pl.lit("{"), *parts, rest.str.slice(1)))
    return ",\n".join(lines.to_series().to_list()).encode()


def _event(phase: str, pid: int | pl.Expr, **more: pl.Expr) -> list[pl.Expr]:
    where = pid if isinstance(pid, pl.Expr) else pl.lit(pid)
    fixed = {"ph": pl.lit(phase), "cat": pl.lit(OWN), "pid": where}
    return [value.alias(key) for key, value in (fixed | more).items()]


def _names(pids: dict[str, int], made: list[pl.DataFrame]) -> pl.DataFrame:
    """Names of processes, of the devices of gaps, and where they stand: behind all others."""
    rows: list[tuple[str, int, int, str]] = [
        ("process_name", pid, 0, f"{OWN}: {name}") for name, pid in pids.items()
    ]
    gaps = made[TRACKS.index("idle gaps")]
    for tid in gaps["tid"].unique().sort() if len(gaps) else ():
        rows.append(("thread_name", pids["idle gaps"], tid, f"device {tid}, by cause"))  # noqa: PERF401
    frame = pl.DataFrame(rows, schema=["name", "pid", "tid", "label"], orient="row")
    return frame.select("name", "pid", "tid", ph=pl.lit("M"), args=pl.struct(name="label"))


def _steps(trace: Trace, pid: int) -> pl.DataFrame:
    steps = summary(trace).filter(pl.col("il_ns").is_not_null())
    rows = steps.join(
        boundedness(trace).select("step", "verdict", "because"), on="step", maintain_order="left"
    )
    verdict = pl.col("verdict").fill_null("unknown")
    return rows.with_columns(lane=_lanes(rows["start_ns"], rows["il_ns"])).select(
        _event(
            "X", pid, tid=pl.col("lane"), ts=pl.col("start_ns"), dur=pl.col("il_ns"),
            name=pl.format("{}: {}-bound", "step", verdict),
            cname=verdict.replace_strict(_VERDICT_COLOURS, default="generic_work"),
            args=pl.struct("because", "busy_share", "il_ns", "tklqt_ns", "launches"),
        )
    )  # fmt: skip


def _lanes(start: pl.Series, dur: pl.Series) -> pl.Series:
    """For each span the first lane that is free when it starts."""
    ends: list[int] = []
    lanes = []
    for begin, length in zip(start.to_list(), dur.to_list(), strict=True):
        lane = next((i for i, end in enumerate(ends) if end <= begin), len(ends))
        ends[lane : lane + 1] = [begin + length]
        lanes.append(lane)
    return pl.Series("lane", lanes, dtype=pl.Int64)


def _path(trace: Trace, pid: int) -> pl.DataFrame:
    # Pieces that differ in the Python frame alone are one: there may be a million of them.
    one = ("step", "kind", "side", "op", "kernel", "work")
    pieces = (
        critical_path(trace)
        .frame.filter(pl.col("dur_ns") > 0)
        .group_by(pl.struct(one).rle_id().alias("run"), maintain_order=True)
        .agg(pl.col("start_ns", *one).first(), pl.col("dur_ns").sum())
    )
    steps = pieces.group_by("step", maintain_order=True).agg(
        pl.col("start_ns").first(), pl.col("dur_ns").sum()
    )
    steps = steps.with_columns(lane=_lanes(steps["start_ns"], steps["dur_ns"]))
    return pieces.join(
        steps.select("step", "lane"), on="step", maintain_order="left"
    ).select(
        _event(
            "X", pid, tid=pl.col("lane"), ts=pl.col("start_ns"), dur=pl.col("dur_ns"),
            name=pl.coalesce("kernel", "op", "kind"),
            cname=pl.col("side").replace_strict(_SIDE_COLOURS, return_dtype=pl.String),
            args=pl.struct("kind", "op", "step", "work"),
        )
    )  # fmt: skip


def _gaps(trace: Trace, pid: int) -> pl.DataFrame:
    return idle_gaps(trace).select(
        _event(
            "X", pid, tid=pl.col("device"), ts=pl.col("start_ns"), dur=pl.col("dur_ns"),
            name=pl.col("cause"),
            cname=pl.col("cause").replace_strict(CAUSE_COLOURS, return_dtype=pl.String),
            args=pl.struct(
                "host_op", "host_python", "step", "next_work", *(f"{a}_ns" for a in ACTIVITIES)
            ),
        )
    )  # fmt: skip


def _depth(trace: Trace, pid: int) -> pl.DataFrame:
    return queue_depth(trace).frame.select(
        _event(
            "C", pid, ts=pl.col("start_ns"),
            name=pl.format("device {} stream {}", "device", "stream"),
            args=pl.struct(launches="depth"),
        )
    )  # fmt: skip


def _arrows(trace: Trace, *, has_arrows: bool) -> pl.DataFrame:
    """From launches to their works, where the writer has none: all, or of a graph all but one."""
    work = trace.work.filter(pl.col("launch").is_not_null()).sort("launch", "start_ns", "id")
    if has_arrows:
        work = work.filter(~pl.col("launch").is_first_distinct())
    launches = trace.whole.launches
    row = rows_of(launches["id"], work["launch"])
    pairs = work.select(
        "pid", "tid", "start_ns",
        *(link_to_row(launches[c], row).alias(f"from_{c}") for c in ("pid", "tid", "start_ns")),
    ).with_row_index("number")  # fmt: skip
    # What has a name in the file for a number cannot be pointed at by a number.
    pairs = pairs.filter(pl.min_horizontal("pid", "tid", "from_pid", "from_tid") >= 0)
    both = []
    for phase, prefix in (("s", "from_"), ("f", "")):
        both.append(
            pairs.select(
                _event(
                    phase, pl.col(f"{prefix}pid"), tid=pl.col(f"{prefix}tid"),
                    ts=pl.col(f"{prefix}start_ns"), id=pl.col("number"), name=pl.lit("launch"),
                    bp=pl.lit("e"),
                )
            )
        )  # fmt: skip
    return pl.concat(both)
