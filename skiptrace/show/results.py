"""Sweeps, comparisons, predictions and fusion as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from skiptrace.measure.fusion import Fusion
from skiptrace.measure.summary import median_step
from skiptrace.predict.compare_sweeps import Comparison
from skiptrace.predict.sweep import Sweep
from skiptrace.predict.whatif import WhatIf
from skiptrace.show.text import duration, shorten

if TYPE_CHECKING:
    from rich.console import Console


END_WIDTH = 32
"""Characters of the names of a chain's first and last kernel."""


def whatif_sentence(found: WhatIf) -> str:
    """What the change brings in the median step."""
    if found.frame.is_empty():
        return "No step has a latency to predict."
    row = median_step(found.frame, "latency_ns").row(0, named=True)
    low, high = (duration(row[f"latency_{end}_ns"]) for end in ("low", "high"))
    then = {"cpu": "CPU-bound", "gpu": "GPU-bound"}.get(row["verdict"], "balanced")
    return (
        f"{row['speedup']:.2f} times as fast: {duration(row['latency_ns'])} ({low} to {high}) "
        f"instead of {duration(row['before_ns'])} without a profiler, and {then}."
    )


def turn_sentences(sweep: Sweep) -> list[str]:
    """Where a sweep turns, by each definition, and why."""
    both = (("device", sweep.transition.device), ("TKLQT", sweep.transition.tklqt))
    return [f"{_turn(sweep.name, found.parameter)} ({by}): {found.reason}." for by, found in both]


def print_whatif(found: WhatIf, console: Console) -> None:
    """The median step in a sentence, what it takes for granted, then all steps."""
    from rich.text import Text

    from skiptrace.show.frames import print_frame

    console.print(Text(whatif_sentence(found)))
    if found.frame.is_empty():
        return
    if not found.changed:
        why = "; ".join(found.assumptions) or "no change was asked for"
        console.print(Text(f"Nothing changes: {why}."))
    else:
        for line in found.assumptions:
            console.print(Text(f"Assumed: {line}."))
    print_frame(console, "Each step", found.frame, rows=20)


def print_sweep(sweep: Sweep, console: Console) -> None:
    """Where it turns, then the curve."""
    from rich.text import Text

    from skiptrace.show.frames import print_frame

    for sentence in turn_sentences(sweep):
        console.print(Text(sentence))
    shown = sweep.frame.select(
        "parameter", "verdict", "il_ns", "tklqt_per_launch_ns", "launches", "akd_ns",
        "device_share", "busy_share", "gpu_idle_ns", "cpu_busy_ns", "hdbi_share", "steps",
    )  # fmt: skip
    if shown["parameter"].dtype.is_float():
        shown = shown.with_columns(pl.col("parameter").cast(pl.String))
    if sweep.name not in shown.columns:
        shown = shown.rename({"parameter": sweep.name})
    print_frame(console, f"Median step of each trace, by {sweep.name}", shown, rows=50)


def _turn(name: str, parameter: object) -> str:
    return f"Turns at {name} {parameter}" if parameter is not None else "No turn within the sweep"


def print_comparison(comparison: Comparison, console: Console) -> None:
    """The sentence, then the ratios."""
    from rich.text import Text

    from skiptrace.show.frames import print_frame

    console.print(Text(comparison.sentence))
    print_frame(console, "Over the baseline (below 1 is faster)", comparison.frame, rows=50)
    print_frame(console, "Where the faster platform changes", comparison.crossovers)
    print_frame(console, "How much later it turns", comparison.later)


def print_fusion(fusion: Fusion, console: Console) -> None:
    """What to fuse first, then what each chain length would save."""
    from rich.text import Text

    from skiptrace.show.frames import print_frame

    if fusion.ranking.is_empty():
        console.print("No chain of kernels always repeats: nothing to fuse for certain.")
    else:
        ends = {
            end: [shorten(chain[at], END_WIDTH) for chain in fusion.ranking["chain"]]
            for end, at in (("from", 0), ("to", -1))
        }
        ranked = fusion.ranking.select("length", "count", "launches_saved", "host_ns", "kernel_ns")
        ranked = ranked.with_columns(pl.Series(end, names) for end, names in ends.items())
        best = ranked.row(0, named=True)
        console.print(
            Text(
                f"{best['length']} kernels always follow each other, {best['count']} times: fused, "
                f"they would save {best['launches_saved']:,} launches and up to "
                f"{duration(best['host_ns'])} of host time (worth it where the host is the limit)."
            )
        )
        print_frame(console, "Chains to fuse, by the host time between their launches", ranked, 12)
    print_frame(console, "If all chains of one length were fused", fusion.savings)
