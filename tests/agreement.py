"""What every trace must satisfy: the schema, the identities, and the oracle's figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from operator import itemgetter
from typing import Any

import polars as pl
from breakdowns import assert_breakdowns
from oracle import Oracle, length, union

import skiptrace as sk
from skiptrace.model import schema

IDLE_BY = tuple(schema.measured.IDLE_KEYS)
TKLQT_BY = tuple(schema.measured.TKLQT_KEYS)
FRAMES = ("ops", "calls", "work", "launches", "annotations", "python", "steps", "health")
SUMS = ["launches", "kernels", "tklqt_ns", "launch_ns", "queue_ns"]


def assert_conforms(frame: pl.DataFrame, *columns: schema.column.Column) -> None:
    """A frame has the declared columns and dtypes; times are integers, shares in [0, 1]."""
    assert frame.schema == pl.Schema({c.name: c.dtype for c in columns})
    for column in columns:
        if column.name.endswith("_ns"):
            assert column.dtype == pl.Int64
        if column.name.endswith("_share"):
            assert column.dtype == pl.Float64
            assert frame[column.name].drop_nulls().is_between(0, 1 + 1e-12).all(), column.name


def assert_schema(trace: sk.Trace) -> None:
    """Every frame and every verb's result is as the schema module declares it."""
    for name in FRAMES:
        assert_conforms(getattr(trace, name), *schema.FRAMES[name])
    for key, columns in schema.measured.TKLQT_KEYS.items():
        assert_conforms(sk.tklqt(trace, key), *columns, *schema.measured.TKLQT)
    for key, column in schema.measured.IDLE_KEYS.items():
        assert_conforms(sk.idle_causes(trace, key), column, *schema.measured.IDLE_CAUSES)
    for by in ("step", "trace"):
        assert_conforms(sk.summary(trace, by), *schema.measured.SUMMARY)
        assert_conforms(sk.boundedness(trace, by), *schema.predicted.BOUNDEDNESS)
    assert_conforms(sk.idle_gaps(trace), *schema.measured.IDLE_GAPS)
    assert_conforms(sk.top_kernels(trace), *schema.measured.TOP_KERNELS)


def assert_identities(trace: sk.Trace) -> None:
    """What holds to the nanosecond, whatever the trace or window."""
    assert_tklqt_adds_up(trace)
    assert_gaps_add_up(trace)
    assert_breakdowns(trace)
    steps = sk.summary(trace)
    known = steps.filter(pl.col("il_ns").is_not_null())
    assert (known["cpu_busy_ns"] + known["cpu_idle_ns"]).equals(known["il_ns"], check_names=False)
    assert (known["gpu_idle_ns"] <= known["il_ns"] * known["devices"]).all()
    assert (steps["tklqt_ns"] == steps["launch_ns"] + steps["queue_ns"]).all()
    assert sk.boundedness(trace)["because"].str.len_chars().min() != 0
    top = sk.top_kernels(trace, len(trace.work) + 1)
    kernels = trace.work.filter(pl.col("kind") == "kernel")
    assert (top["count"].sum(), top["kernel_ns"].sum()) == (len(kernels), kernels["dur_ns"].sum())


def assert_tklqt_adds_up(trace: sk.Trace) -> None:
    """launch + queue = TKLQT in every row, and every grouping adds up to the launches."""
    launches = trace.launches.filter(pl.col("kernels") > 0)
    assert (trace.launches["tklqt_ns"] >= 0).all()
    assert (trace.launches["queue_ns"] >= 0).all()
    assert (trace.launches["launch_ns"] >= 0).all()
    whole = [len(launches), *launches.select(SUMS[1:]).sum().row(0)]
    for by in (*TKLQT_BY, ["step", "kernel"], ["thread", "op", "stream"]):
        rows = sk.tklqt(trace, by)
        assert (rows["tklqt_ns"] == rows["launch_ns"] + rows["queue_ns"]).all(), by
        assert list(rows.select(SUMS).sum().row(0)) == whole, by
    assert trace.work["id"].is_unique().all()
    assert trace.launches["works"].sum() == trace.work["launch"].count()


def assert_gaps_add_up(trace: sk.Trace) -> None:
    """Gaps + busy = the span of each device; activities sum to the gap, every `by` to the total."""
    gaps = sk.idle_gaps(trace)
    activities = gaps.select(
        pl.sum_horizontal(f"{a}_ns" for a in schema.column.ACTIVITIES)
    ).to_series()
    assert activities.equals(gaps["dur_ns"], check_names=False)
    assert (gaps["dur_ns"] > 0).all()
    assert (gaps["end_ns"] - gaps["start_ns"]).equals(gaps["dur_ns"], check_names=False)
    for device, low, high in _spans(trace):
        mine = trace.whole.work.filter(pl.col("device") == device)
        ends = (mine["start_ns"] + mine["dur_ns"]).to_list()
        busy = [
            (max(a, low), min(b, high))
            for a, b in zip(mine["start_ns"].to_list(), ends, strict=True)
        ]
        idle = int(gaps.filter(pl.col("device") == device)["dur_ns"].sum())
        assert length(union(busy)) + idle == high - low
    for by in IDLE_BY:
        causes = sk.idle_causes(trace, by)
        assert causes["idle_ns"].sum() == gaps["dur_ns"].sum(), by
        assert causes[by].is_unique().all()
        named = causes.filter(pl.col(by).is_not_null())["idle_ns"]
        assert named.is_sorted(descending=True)
        assert causes[by].null_count() == 0 or causes[by][-1] is None


def _spans(trace: sk.Trace) -> list[tuple[Any, ...]]:
    end = pl.col("start_ns") + pl.col("dur_ns")
    return trace.work.group_by("device").agg(pl.col("start_ns").min(), end.max().alias("e")).rows()


def assert_oracle(trace: sk.Trace, oracle: Oracle) -> None:
    """Every figure of every verb is the oracle's."""
    assert_links(trace, oracle)
    for by in TKLQT_BY:
        assert tklqt_rows(trace, by) == oracle_tklqt(oracle, by), by
    for by in ("step", "trace"):
        theirs_by_step = sorted(oracle.summary(by), key=itemgetter("step"))
        mine_by_step = sk.summary(trace, by).sort("step").to_dicts()
        for mine, theirs in zip(mine_by_step, theirs_by_step, strict=True):
            assert_summary_row(mine, theirs, by)
    assert_gaps(trace, oracle)
    for by in IDLE_BY:
        idle = dict(sk.idle_causes(trace, by).select(by, "idle_ns").rows())
        assert {k: v for k, v in idle.items() if v} == oracle.idle_by(by), by


def assert_links(trace: sk.Trace, oracle: Oracle) -> None:
    """Nesting, links, steps, floors and the split of each t_l."""

    def rows(frame: pl.DataFrame, *columns: str) -> set[tuple[Any, ...]]:
        return set(frame.select("id", *columns).rows())

    assert rows(trace.ops, "parent", "depth", "root", "step") == {
        (o.id, o.parent, o.depth, o.root, o.step) for o in oracle.ops
    }
    assert rows(trace.calls, "op", "step") == {(c.id, c.op, c.step) for c in oracle.calls}
    assert rows(trace.work, "launch", "kind", "device", "stream") == {
        (w.id, w.launch, w.kind, w.device, w.stream) for w in oracle.works
    }
    assert trace.whole.floors.ns == oracle.floors
    split = ("tklqt_ns", "launch_ns", "queue_ns", "ahead_ns", "found_idle")
    links = ("op", "root_op", "step", "first_work", "kind", "kernels", "works")
    assert rows(trace.launches, *split, *links) == {
        (
            *(x.call, x.t, x.launch_ns, x.queue_ns, x.ahead, x.found_idle),
            *(x.op, x.root_op, x.step, x.first_work.id, x.kind, x.kernels, x.works),
        )
        for x in oracle.launches
    }


def tklqt_rows(trace: sk.Trace, by: str) -> Counter[Hashable]:
    """Rows of `tklqt` that have launches, as (key, figures)."""
    keys = [c.name for c in schema.measured.TKLQT_KEYS[by]]
    rows = sk.tklqt(trace, by).filter((pl.col("launches") > 0) | (by == "trace"))
    return _countable(
        by,
        (
            (row[0] if len(keys) == 1 else row[: len(keys)], row[len(keys) :])
            for row in rows.iter_rows()
        ),
    )


def oracle_tklqt(oracle: Oracle, by: str) -> Counter[Hashable]:
    """The same from the oracle."""
    names = [c.name for c in schema.measured.TKLQT]
    rows = ((key, tuple(row[n] for n in names)) for key, row in oracle.tklqt(by).items())
    if by == "trace":
        rows = (("all", row) for _, row in rows)
    if by == "thread":
        rows = ((tid, row) for (_, tid), row in rows)
    return _countable(by, rows)


def _countable(by: str, rows: Iterable[tuple[Any, tuple[Any, ...]]]) -> Counter[Hashable]:
    if by == "annotation":  # a step is an annotation to the library where it was recorded as one
        rows = ((k, row) for k, row in rows if k and not k.startswith("ProfilerStep#"))
    return Counter(rows)


def assert_summary_row(mine: dict[str, Any], theirs: dict[str, Any], by: str) -> None:
    """Equal in all columns; where there is no latency, the start is the step's own."""
    skip = {"step"} if by == "trace" else set()
    if theirs["il_ns"] is None:
        skip.add("start_ns")
    for column in schema.measured.SUMMARY:
        if column.name not in skip:
            a, b = mine[column.name], theirs[column.name]
            close = isinstance(a, float) and isinstance(b, float) and abs(a - b) < 1e-12
            assert a == b or close, (column.name, a, b)


def assert_gaps(trace: sk.Trace, oracle: Oracle) -> None:
    """Every gap: where, what ended it, its step, its cause, its activities."""
    columns = ["device", "start_ns", "end_ns", "next_work", "step", "cause"]
    activities = [f"{a}_ns" for a in schema.column.ACTIVITIES]
    mine = set(sk.idle_gaps(trace).select(*columns, *activities).rows())
    theirs = {
        (
            *(g["device"], g["start"], g["end"], g["next_work"], g["step"], g["cause"]),
            *(g["activities"][a] for a in schema.column.ACTIVITIES),
        )
        for g in oracle.gaps()
    }
    assert mine == theirs
