"""What the breakdowns of any trace must satisfy, and plain counts of them, moment by moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import polars as pl

import skiptrace as sk
from skiptrace.model.categories import COLLECTIVES
from skiptrace.model.schema import breakdowns as schema
from skiptrace.model.schema.column import Column

Row = dict[str, Any]
PARTS = ("compute_only_ns", "overlap_ns", "exposed_ns", "copy_only_ns", "other_ns", "idle_ns")
CATEGORIES = (
    "kernel_ns", "memcpy_ns", "memset_ns", "communication_ns", "runtime_ns", "dataloader_ns",
    "cpu_ns", "other_ns",
)  # fmt: skip
KERNELS_BY = ("trace", "name", "class", "op", "root_op", "module", "step", "stream", "device")
OPS_BY: tuple[str | list[str], ...] = (
    "trace",
    "name",
    "module",
    "step",
    "thread",
    ["step", "name"],
)


def assert_breakdowns(trace: sk.Trace) -> None:
    """The schema of every breakdown, and what adds up whatever the trace or window."""
    assert_device_time(trace)
    assert_kernels(trace)
    assert_ops(trace)
    queue = sk.queue_depth(trace)
    conforms(queue.frame, *schema.QUEUE_DEPTH)
    conforms(queue.streams, *schema.QUEUE_STREAMS)
    assert (queue.frame["depth"] >= 0).all()
    assert queue.streams["unlinked"].sum() == trace.work["launch"].null_count()
    assert (queue.streams["empty_ns"] <= queue.streams["span_ns"]).all()
    copies = sk.copy_bandwidth(trace)
    conforms(copies.frame, *schema.COPY_BANDWIDTH)
    conforms(copies.directions, *schema.COPY_DIRECTIONS)
    assert copies.directions["copies"].sum() == len(trace.work.filter(pl.col("kind") != "kernel"))
    conforms(sk.launch_outliers(trace), *schema.LAUNCH_OUTLIERS)


def conforms(frame: pl.DataFrame, *columns: Column) -> None:
    assert frame.schema == pl.Schema({c.name: c.dtype for c in columns})
    for column in columns:
        if column.name.endswith("_share"):
            assert frame[column.name].drop_nulls().is_between(0, 1 + 1e-12).all(), column.name


def assert_device_time(trace: sk.Trace) -> None:
    """Parts sum to the span, categories to the wall time; idle is what the gaps say."""
    for by in ("step", "trace"):
        frame = sk.breakdown(trace, by)
        conforms(frame, *schema.BREAKDOWN)
        assert (frame.select(pl.min_horizontal(PARTS) >= 0).to_series()).all()
        assert (frame.select(pl.sum_horizontal(PARTS) == pl.col("span_ns")).to_series()).all()
    gaps = sk.idle_gaps(trace).group_by("device").agg(pl.col("dur_ns").sum())
    idle = dict(frame.filter(pl.col("idle_ns") > 0).select("device", "idle_ns").rows())
    assert idle == dict(gaps.rows())
    steps = sk.step_time(trace)
    conforms(steps, *schema.STEP_TIME)
    assert steps["step"].to_list() == trace.steps["name"].to_list()
    assert (steps.select(pl.min_horizontal(CATEGORIES) >= 0).to_series()).all()
    assert (steps.select(pl.sum_horizontal(CATEGORIES) == pl.col("wall_ns")).to_series()).all()


def assert_kernels(trace: sk.Trace) -> None:
    """Every grouping adds up to the kernels, what belongs nowhere in the last row."""
    kernels = trace.work.filter(pl.col("kind") == "kernel")
    whole = (len(kernels), kernels["dur_ns"].sum())
    for by in KERNELS_BY:
        frame, keys = sk.kernels(trace, by), schema.KERNEL_KEYS[by]
        conforms(frame, *keys, *schema.KERNELS)
        assert (frame["count"].sum(), frame["kernel_ns"].sum()) == whole, by
        assert frame["time_share"].null_count() == (0 if whole[1] else len(frame))
        assert_null_last(frame, keys)


def assert_ops(trace: sk.Trace) -> None:
    """Self times of every grouping are the same in all, and so are launches and device times."""
    busy = sum(len(covered(rows)) for rows in by_thread(trace.ops).values()) if small(trace) else 0
    sums = set()
    for by in OPS_BY:
        names = [by] if isinstance(by, str) else by
        frame, keys = sk.ops(trace, by), [c for n in names for c in schema.OP_KEYS[n]]
        conforms(frame, *keys, *schema.OPS)
        assert_null_last(frame, keys)
        sums.add(frame.select(pl.col("count", "self_ns", "launches", "device_ns").sum()).row(0))
        assert (frame["self_ns"] <= frame["total_ns"]).all() or trace.window is not None
        if small(trace) and trace.window is None:
            assert frame["self_ns"].sum() == busy
    ((count, _, launches, device),) = sums
    assert (count, launches, device) == (
        len(trace.ops), len(trace.launches), trace.work["dur_ns"].sum(),
    )  # fmt: skip
    tree = sk.tree(trace, min_share=0).frame
    conforms(tree, *schema.TREE)
    assert tree["device_ns"].sum() == device
    assert tree["launches"].sum() == launches
    roots = tree.filter(pl.col("parent").is_null())
    assert roots["device_total_ns"].sum() == device


def assert_null_last(frame: pl.DataFrame, keys: Iterable[Column]) -> None:
    nowhere = frame.select(pl.all_horizontal(pl.col(c.name).is_null() for c in keys)).to_series()
    assert not nowhere[:-1].any()


def small(trace: sk.Trace) -> bool:
    """Whether moments can be counted one by one: literal and random traces."""
    frames = [trace.whole.ops, trace.whole.work, trace.whole.steps]
    ends = [f.select(pl.col("start_ns") + pl.col("dur_ns")).to_series().max() or 0 for f in frames]
    return max(map(int, ends)) < 100_000  # type: ignore[arg-type]


# --- plain counts ---------------------------------------------------------------------------------


def moments(row: Row) -> range:
    return range(row["start_ns"], row["start_ns"] + row["dur_ns"])


def covered(rows: Iterable[Row]) -> set[int]:
    return {moment for row in rows for moment in moments(row)}


def by_thread(frame: pl.DataFrame) -> dict[tuple[int, int], list[Row]]:
    found = defaultdict(list)
    for row in frame.to_dicts():
        found[row["pid"], row["tid"]].append(row)
    return found


def role(trace: sk.Trace, row: Row) -> str:
    import re

    if row["kind"] != "kernel":
        return "copy"
    named = re.search(COLLECTIVES, row["name"] or "")
    return "comm" if named or row["id"] in trace.whole.collectives.to_list() else "compute"


def plain_breakdown(trace: sk.Trace, own: list[Row]) -> list[Row]:
    """The row of each device, counted moment by moment."""
    rows = []
    for device in sorted({row["device"] for row in own}):
        mine = [row for row in own if row["device"] == device]
        low = min(row["start_ns"] for row in mine)
        high = max(row["start_ns"] + row["dur_ns"] for row in mine)
        sets = {r: covered(w for w in mine if role(trace, w) == r)
                for r in ("compute", "comm", "copy")}  # fmt: skip
        others = covered(w for w in trace.whole.work.to_dicts() if w["device"] == device)
        count: Counter[str] = Counter(dict.fromkeys(PARTS, 0))
        for moment in range(low, high):
            compute, comm, copy = (moment in sets[r] for r in ("compute", "comm", "copy"))
            if compute:
                count["overlap_ns" if comm else "compute_only_ns"] += 1
            elif comm:
                count["exposed_ns"] += 1
            elif copy:
                count["copy_only_ns"] += 1
            else:
                count["other_ns" if moment in others else "idle_ns"] += 1
        rows.append({"device": device, **count, "copy_ns": len(sets["copy"])})
    return rows


def plain_self(ops: pl.DataFrame) -> Counter[str]:
    """Per name the moments in which one of that name is the innermost of its thread."""
    found: Counter[str] = Counter()
    for rows in by_thread(ops).values():
        ordered = sorted(rows, key=lambda r: (r["start_ns"], -r["dur_ns"], r["id"]))
        for moment in covered(rows):
            inside = [row for row in ordered if moment in moments(row)]
            found[inside[-1]["name"]] += 1
    return found


def plain_total(ops: pl.DataFrame) -> Counter[str]:
    """Per name the moments inside one of that name, added over threads."""
    found: Counter[str] = Counter()
    for rows in by_thread(ops).values():
        for name in {row["name"] for row in rows}:
            found[name] += len(covered(row for row in rows if row["name"] == name))
    return found


def plain_under(trace: sk.Trace) -> Counter[str]:
    """Per name the durations of the work launched under any operator of it, each once."""
    ops = {row["id"]: row for row in trace.ops.to_dicts()}
    launches = {row["id"]: row for row in trace.launches.to_dicts()}
    found: Counter[str] = Counter()
    for work in trace.work.to_dicts():
        op = launches[work["launch"]]["op"] if work["launch"] is not None else None
        names = set()
        while op is not None:
            names.add(ops[op]["name"])
            op = ops[op]["parent"]
        found.update(dict.fromkeys(names, work["dur_ns"]))
    return found


def plain_queue(trace: sk.Trace) -> dict[tuple[int, int], int]:
    """Per stream the sum of depth x time: of each launch the time until its last work there."""
    launches = {row["id"]: row for row in trace.launches.to_dicts()}
    ends: dict[tuple[int, int, int], int] = {}
    for work in trace.work.to_dicts():
        if work["launch"] is not None:
            key = (work["device"], work["stream"], work["launch"])
            ends[key] = max(ends.get(key, 0), work["start_ns"] + work["dur_ns"])
    found: Counter[tuple[int, int]] = Counter()
    for (device, stream, launch), end in ends.items():
        found[device, stream] += max(end - launches[launch]["start_ns"], 0)
    return found
