"""Ranks and differences as sentences and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from skiptrace.measure.collectives import collectives
from skiptrace.measure.diff import CHANGES, Diff
from skiptrace.measure.ranks import Ranks
from skiptrace.measure.stragglers import stragglers
from skiptrace.measure.summary import summary
from skiptrace.model.duration import duration
from skiptrace.predict.boundedness import boundedness
from skiptrace.show.text import percent

if TYPE_CHECKING:
    from rich.console import Console


def sentence(ranks: Ranks, waits: pl.DataFrame) -> str:
    """Who makes whom wait, and what that rank did most."""
    if len(ranks) < 2:
        return "One rank alone was loaded: whom it waits for is in the files of the others."
    if ranks.matched.is_empty():
        return "No collective was recorded: nothing to compare the ranks by."
    if waits.is_empty():
        return "No rank waited for another at a collective."
    late = waits.group_by("rank").agg(pl.col("wait_ns", "wait_share").sum())
    rank, waited, share = late.sort("wait_ns", "rank", descending=[True, False]).row(0)
    doing = waits.filter(rank=rank).group_by("activity").agg(pl.col("wait_ns").sum())
    activity, most = doing.sort("wait_ns", "activity", descending=[True, False]).row(0)
    return (
        f"Rank {rank} makes the others wait: {duration(waited)}, {percent(share)} of all waiting "
        f"at collectives; {percent(most / waited)} of that time it was in '{activity}'."
    )


def print_ranks(ranks: Ranks, console: Console) -> None:
    """The sentence, the steps of each rank, the collectives by type, and the waits."""
    from rich.text import Text

    from skiptrace.show.frames import print_frame

    waits = stragglers(ranks)
    console.print(Text(sentence(ranks, waits)))
    steps = summary(ranks).join(
        boundedness(ranks).select("rank", "step", "verdict"), on=["rank", "step"], how="left"
    )
    shown = steps.select(
        "rank", "step", "verdict", "il_ns", "launches", "busy_share", "cpu_busy_ns", "kernel_ns"
    )
    print_frame(console, "Steps of each rank", shown)
    print_frame(console, "Clocks, against the lowest rank", ranks.clocks)
    every = collectives(ranks)
    kinds = every.group_by("type", "group", maintain_order=True).agg(
        pl.len().alias("count"),
        (pl.col("missing") > 0).sum().alias("unmatched"),
        pl.col("bytes").sum(),
        pl.col("skew_ns").sum(),
        pl.col("transfer_ns").sum(),
        pl.col("bus_gb_s").median().alias("median bus GB/s"),
    )
    print_frame(console, "Collectives", kinds)
    if len(waits):
        print_frame(console, "Who makes whom wait, and what it did meanwhile", waits, rows=12)


def print_diff(found: Diff, console: Console) -> None:
    """The verdict, the two steps, the latency's change by operator, and what changed most."""
    from rich.text import Text

    from skiptrace.show.frames import print_frame

    console.print(Text(found.verdict[0].upper() + found.verdict[1:] + "."))
    print_frame(console, "Before and after", found.steps)
    split = found.split.drop("works_before", "works_after")
    print_frame(console, "The change of latency, by operator around the launches", split, rows=12)
    for title, frame in (("Operators", found.ops), ("Works", found.works)):
        changed = frame.filter(pl.col("change") != CHANGES[-1]).drop("path", "match")
        if len(changed):
            changed = changed.select(pl.exclude("before", "after", "name_before"))
            print_frame(console, f"{title} that changed", changed, rows=12)
