"""Predictions beside measurements, as a page of the docs.

Usage: python benchmarks/validate_predictions.py TRACES [docs/validation.md]

TRACES holds folders of traces, and ``latency.json``: latencies of the same runs without a profiler.
Prints the page, or writes it where a path is given.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import skiptrace as sk
from skiptrace.predict.replayed import fidelity

HEAD = """# How far predictions are off

Made by `benchmarks/validate_predictions.py` from real traces, and latencies measured without a
profiler in runs of their own. No constant of the model comes from the runs of the first table.
"""


def main() -> None:
    """Make the page."""
    traces = Path(sys.argv[1])
    text = "\n".join([HEAD, *graphs(traces), *unprofiled(traces), *replays(traces)]) + "\n"
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(text, encoding="utf-8")
    else:
        print(text)


def latencies(traces: Path) -> dict[str, dict[str, Any]]:
    """Platform -> run -> its un-profiled latency."""
    found = json.loads((traces / "latency.json").read_text(encoding="utf-8"))
    return {platform: one["latency_us"] for platform, one in found.items()}


def graphs(traces: Path) -> Iterator[str]:
    """CUDA graphs, predicted from traces of the same model launched op by op."""
    yield "\n## A step as one CUDA graph\n"
    yield "Predicted from the trace of the model launched op by op, median step, milliseconds.\n"
    yield "| run | op by op | predicted | range | measured | error |"
    yield "|---|---|---|---|---|---|"
    errors = []
    for platform, measured in latencies(traces).items():
        for path in sorted((traces / platform).glob("*_mask4d.json.gz")):
            model, batch = path.name.split("_")[:2]
            real = measured[f"{model}/{batch}/mask4d-cudagraph"]["median"] / 1e3
            frame = sk.whatif(sk.load(path), cuda_graph=True).frame
            row = frame.sort("latency_ns")[(len(frame) - 1) // 2].row(0, named=True)
            before, found, low, high = (
                row[c] / 1e6
                for c in ("before_ns", "latency_ns", "latency_low_ns", "latency_high_ns")
            )
            errors.append(found / real - 1)
            yield (
                f"| {platform} {model} {batch} | {before:.2f} | {found:.3f} "
                f"| {low:.2f} to {high:.2f} | {real:.3f} | {errors[-1]:+.1%} |"
            )
    yield from summed(errors)


def unprofiled(traces: Path) -> Iterator[str]:
    """Latencies without the profiler, predicted from the profiled run."""
    yield "\n## The same run without a profiler\n"
    yield (
        "`before_ns` of the median step beside the latency measured in another run. Hosts are\n"
        "shared virtual machines, whose time varies up to twofold between runs: where the host\n"
        "holds a step, the measurements themselves differ that much.\n"
    )
    yield "| run | verdict | profiled IL | predicted | measured | error |"
    yield "|---|---|---|---|---|---|"
    errors: dict[str, list[float]] = {}
    for platform, measured in latencies(traces).items():
        for path in sorted((traces / platform).glob("*_s512_*.json.gz")):
            model, batch, _, variant = path.name.removesuffix(".json.gz").split("_")[:4]
            key = f"{model}/{batch}/{variant}"
            if key not in measured or variant not in ("eager", "mask4d"):
                continue
            frame = sk.whatif(sk.load(path)).frame.sort("before_ns")
            row = frame[(len(frame) - 1) // 2].row(0, named=True)
            found, real = row["before_ns"] / 1e6, measured[key]["median"] / 1e3
            errors.setdefault(row["verdict"], []).append(found / real - 1)
            yield (
                f"| {platform} {key} | {row['verdict']} | {row['recorded_ns'] / 1e6:.2f} "
                f"| {found:.2f} | {real:.2f} | {found / real - 1:+.1%} |"
            )
    for verdict, found in sorted(errors.items()):
        yield f"\n`{verdict}`:"
        yield from summed(found)


def summed(errors: list[float]) -> Iterator[str]:
    """The median and the worst of some errors."""
    size = [abs(error) for error in errors]
    yield f"\nMedian error {statistics.median(size):.1%}, worst {max(size):.1%}, of {len(size)}."


def replays(traces: Path) -> Iterator[str]:
    """Replays with nothing changed, beside the recording."""
    yield "\n## Nothing changed\n"
    yield (
        "Each trace replayed as it is. `worst`: the largest error of a step's IL. `near`: the\n"
        "works that start within 1 µs of when they did, counted from the start of their step.\n"
        "`pinned`: the worst error where each work keeps its own way to what it came behind,\n"
        "instead of the trace's usual one.\n"
    )
    yield "| trace | steps | worst | near | pinned |"
    yield "|---|---|---|---|---|"
    every: list[float] = []
    for path in sorted(traces.glob("*/*.json.gz")):
        trace = sk.load(path)
        frame = fidelity(trace)
        if frame.is_empty():
            continue
        every += frame["error"].to_list()
        name = f"{path.parent.name}/{path.name.removesuffix('.json.gz')}"
        worst, near = frame.select(pl.col("error").max(), pl.col("near_share").mean()).row(0)
        pinned = fidelity(trace, pinned=True)["error"].to_numpy().max()
        yield f"| {name} | {len(frame)} | {worst:.2%} | {near:.0%} | {pinned:.2%} |"
    errors = np.array(every)
    yield (
        f"\n{len(errors)} steps: {np.mean(errors <= 0.01):.1%} within 1 %, worst "
        f"{errors.max():.2%}, median {np.median(errors):.3%}."
    )


if __name__ == "__main__":
    main()
