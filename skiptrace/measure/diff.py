"""`diff`: two traces side by side, and the change of latency split over what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.latency_split import split_latency
from skiptrace.measure.ops import self_times
from skiptrace.measure.pairing import Pairs, call_paths, pair
from skiptrace.measure.summary import median_step, summary
from skiptrace.measure.tklqt import names_of
from skiptrace.model.later import later
from skiptrace.model.nesting import Nest
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.several import (
    DIFF_LAUNCHES,
    DIFF_OPS,
    DIFF_SPLIT,
    DIFF_STEPS,
    DIFF_WORKS,
)
from skiptrace.model.trace import Trace
from skiptrace.thresholds import CHANGED

PARTS = ("busy", "behind", "idle")
"""What a step's latency consists of, by `split_latency`."""
CHANGES = ("added", "removed", "slower", "faster", "same")
_ROUNDS: dict[str, Sequence[str]] = {
    "path and name": ("path", "name"),
    "path": ("path", "kind"),
    "name": ("name",),
}


@dataclass(frozen=True, eq=False, repr=False)
class Diff:
    """Result of `diff`."""

    steps: pl.DataFrame
    """The two steps that are compared, their latencies and counts."""
    split: pl.DataFrame
    """The change of latency by operator; ``change_ns`` sums to it, to the nanosecond."""
    ops: pl.DataFrame
    """Operators: added, removed, slower, faster or the same."""
    launches: pl.DataFrame
    """Launches, with their time to the start of their work."""
    works: pl.DataFrame
    """Kernels, copies and fills, each with its part of the change of latency."""
    verdict: str
    """The change in a sentence."""

    def __repr__(self) -> str:
        return f"<Diff: {self.verdict}>"

    @property
    def change_ns(self) -> int | None:
        """Latency after less latency before; None where either has none."""
        before, after = self.steps["il_ns"]
        return None if before is None or after is None else int(after - before)

    def plot(self, *, width: int = 600) -> Any:  # noqa: ANN401  a chart of altair
        """A chart of it: `skiptrace.plot.diff`."""
        return later("show.plots").diff(self, width=width)

    def _repr_html_(self) -> str:
        return str(later("show.notebook").diff_html(self))


def diff(before: Trace, after: Trace) -> Diff:
    """What changed between two traces of one workload, and which part of the latency that is.

    Parameters
    ----------
    before, after
        Traces, or single steps. ``after - before`` is the same.

    Returns
    -------
    Diff
        Frames of what was added, removed, slower and faster, and a verdict in words. Each trace
        is represented by its step with the median IL, the lower of an even count.

    Notes
    -----
    Operators, launches and works are paired by their call path (the operators around them) and
    name, the n-th with the n-th; what is left, works and launches by path and kind, whatever
    their name; what is left of that, by name alone.
    """
    sides = [_side(trace) for trace in (before, after)]
    steps = conform(pl.concat(side.row for side in sides), DIFF_STEPS)
    one, two = sides
    ops = _compared(one.ops, two.ops, pair(one.ops, two.ops, _but_kind()), ["dur", "self"])
    launches = _compared(
        one.launches, two.launches, pair(one.launches, two.launches, _ROUNDS), ["tklqt"]
    )
    works = _compared(one.works, two.works, pair(one.works, two.works, _ROUNDS), ["dur", *PARTS])
    works = works.with_columns(
        il_change_ns=pl.sum_horizontal(f"{part}_change_ns" for part in PARTS)
    )
    split = _split(one.works, two.works)
    verdict = _verdict(steps, split, works)
    return Diff(
        steps,
        split,
        conform(_largest_first(ops, "change_ns"), DIFF_OPS),
        conform(_largest_first(launches, "change_ns"), DIFF_LAUNCHES),
        conform(_largest_first(works, "il_change_ns"), DIFF_WORKS),
        verdict,
    )


def subtract(after: Trace, before: object) -> Diff:
    """``after - before``: what `diff` says of them."""
    return diff(before, after) if isinstance(before, Trace) else NotImplemented


def _largest_first(frame: pl.DataFrame, change: str) -> pl.DataFrame:
    return frame.sort(-pl.col(change).abs(), "before", "after", nulls_last=True)


def _but_kind() -> dict[str, Sequence[str]]:
    return {name: keys for name, keys in _ROUNDS.items() if "kind" not in keys}


@dataclass(frozen=True, eq=False)
class _Side:
    """What is compared of one trace: its median step."""

    row: pl.DataFrame
    ops: pl.DataFrame
    launches: pl.DataFrame
    works: pl.DataFrame


def _side(trace: Trace) -> _Side:
    steps = summary(trace)
    chosen = middle = median_step(steps)
    if len(middle):
        trace = trace.step(chosen["step"].item())
    else:
        chosen = steps.head(1) if len(steps) else summary(trace, by="trace")
    ops = trace.ops.sort("start_ns", -pl.col("dur_ns"), "id")
    own = self_times(Nest(ops.drop("parent")), len(ops))  # parents may lie before the step
    ops = ops.with_columns(call_paths(ops), self_ns=pl.Series(own))
    around = ops.select("id", "path")

    def placed(frame: pl.DataFrame, op: pl.Series) -> pl.DataFrame:
        row = rows_of(around["id"], op)
        return frame.with_columns(
            link_to_row(around["path"], row).alias("path"),
            names_of(trace.whole.ops, op).alias("op"),
            names_of(trace.whole.ops, link_to_row(trace.whole.ops["root"],
                     rows_of(trace.whole.ops["id"], op))).alias("root_op"),
        )  # fmt: skip

    launches = trace.launches.sort("start_ns", "id")
    launches = placed(launches, launches["op"])
    if len(middle):
        works = split_latency(trace, *chosen.select("start_ns", "il_ns").row(0))
    else:
        works = trace.work.sort("start_ns", "id").with_columns(
            pl.lit(0, pl.Int64).alias(f"{part}_ns") for part in PARTS
        )
    whole = trace.whole.launches
    works = placed(works, link_to_row(whole["op"], rows_of(whole["id"], works["launch"])))
    row = chosen.with_columns(
        ops=pl.lit(len(ops), pl.Int64), source=pl.lit(trace.meta.source)
    )  # fmt: skip
    return _Side(row.select(c.name for c in DIFF_STEPS), ops, launches, works)


def _compared(
    before: pl.DataFrame, after: pl.DataFrame, pairs: Pairs, amounts: list[str]
) -> pl.DataFrame:
    """A row a pair: both ids and names, each amount before and after, and what became of it."""
    sides = {"before": (before, pairs.before), "after": (after, pairs.after)}
    # As it is after; of what was removed, as it was before.
    last = np.where(pairs.after >= 0, pairs.after, len(after) + pairs.before)
    columns: dict[str, pl.Series] = {
        name: pl.concat([after[name], before[name]]).gather(last)
        for name in ("name", "path", "kind")
        if name in before.columns
    }
    columns |= {"match": pairs.match, "name_before": link_to_row(before["name"], pairs.before)}
    for which, (frame, row) in sides.items():
        columns[which] = link_to_row(frame["id"], row)
        for name in amounts:
            columns[f"{name}_{which}_ns"] = link_to_row(frame[f"{name}_ns"], row)
    found = pl.DataFrame(list(columns.values()), schema=list(columns))
    one, two = (pl.col(f"{amounts[0]}_{which}_ns") for which in sides)
    change = two.fill_null(0) - one.fill_null(0)
    beyond = change.abs() > CHANGED * pl.max_horizontal(one, two)
    return found.with_columns(
        *(
            (
                pl.col(f"{name}_after_ns").fill_null(0) - pl.col(f"{name}_before_ns").fill_null(0)
            ).alias(f"{name}_change_ns")
            for name in amounts[1:]
        ),
        change_ns=change,
        change=pl.when(pl.col("before").is_null()).then(pl.lit("added"))
        .when(pl.col("after").is_null()).then(pl.lit("removed"))
        .when(beyond & (change > 0)).then(pl.lit("slower"))
        .when(beyond & (change < 0)).then(pl.lit("faster"))
        .otherwise(pl.lit("same")),
    )  # fmt: skip


def _split(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The change of latency by root operator and operator."""
    keys = ["root_op", "op"]
    sums = [
        side.group_by(keys)
        .agg(pl.len().alias("works"), *(pl.col(f"{part}_ns").sum().alias(part) for part in PARTS))
        .with_columns(il=pl.sum_horizontal(PARTS))
        for side in (before, after)
    ]
    joined = sums[0].join(sums[1], on=keys, how="full", coalesce=True, nulls_equal=True)
    parts = ("il", "works", *PARTS)
    joined = joined.with_columns(pl.col(parts).fill_null(0)).with_columns(
        pl.col(f"{part}_right").fill_null(0) for part in parts
    )
    change = {part: pl.col(f"{part}_right") - pl.col(part) for part in parts}
    found = joined.select(
        *keys,
        works_before="works",
        works_after="works_right",
        before_ns="il",
        after_ns="il_right",
        change_ns=change["il"],
        **{f"{part}_change_ns": change[part] for part in PARTS},
    )
    ordered = found.sort(-pl.col("change_ns").abs(), *keys, nulls_last=True)
    return conform(ordered, DIFF_SPLIT)


def _verdict(steps: pl.DataFrame, split: pl.DataFrame, works: pl.DataFrame) -> str:
    before, after = steps["il_ns"]
    became = dict(works["change"].value_counts().rows())
    counts = [
        f"{what} {one:,} to {two:,}"
        for what, (one, two) in (("launches", steps["launches"]), ("kernels", steps["kernels"]))
    ]
    if became.keys() - {CHANGES[-1]}:
        what = ", ".join(f"{became[c]:,} {c}" for c in CHANGES[:-1] if c in became)
        counts.append(f"of the kernels, copies and fills {what}")
    rest = "; ".join(counts)
    if before is None or after is None:
        which = "before" if before is None else "after"
        return f"no latency to compare: the trace {which} has no step with work; {rest}"
    change = after - before
    sentence = "as long as before"
    if change:
        word = "longer" if change > 0 else "shorter"
        share = 100 * abs(change) / before
        sentence = (
            f"{abs(change) / 1e6:,.3f} ms {word} ({share:.1f} %), from {before / 1e6:,.3f} to "
            f"{after / 1e6:,.3f} ms{_part(split)}"
        )
    return f"{sentence}; {rest}"


def _part(split: pl.DataFrame) -> str:
    """Which part of a latency changed most."""
    sums = {
        name: int(split[f"{part}_change_ns"].sum())
        for part, name in (
            ("busy", "work"),
            ("idle", "idle"),
            ("behind", "behind other steps' work"),
        )
    }
    name, most = max(sums.items(), key=lambda item: abs(item[1]))
    return f", {abs(most) / 1e6:,.3f} ms {'more' if most > 0 else 'less'} {name}" if most else ""
