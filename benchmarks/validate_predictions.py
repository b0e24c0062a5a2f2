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
from skiptrace.predict.replayed import fidelity, recorded, steps_of
from skiptrace.predict.roofline import rooflines

HEAD = """# How far predictions are off

Made by `benchmarks/validate_predictions.py` from real traces, and latencies measured without a
profiler in runs of their own. No constant of the model comes from the runs of the first table.
"""

MEASURED = """`examples/measure_whatif.py` records a 12-layer transformer (width 768, 128 tokens,
half precision), predicts a change, makes it, and measures both without a profiler, in turns;
`again` is the same measurement after the recordings, in the same process. Microseconds. On
the H200 the process was pinned to one core; its second run had the steadiest host.
By the measurements themselves the host's speed differs up to {drift:.1f} times within
a run, and with it every time that the host holds; where the device holds the changed step
(`cuda_graph`) an error is the prediction's. Speed-ups are of one recording where predicted,
and of models timed in turns where measured, so that the host's speed cancels.
"""
MEASURED_NOTES = """
`fuse` is nine elementwise kernels made one. Where the host holds the step, that is the
launches saved; at batch 64 it is the traffic saved, which the likely value leaves out and
says so. Since the H100's runs the low end of its range is a kernel as long as the longest
of its parts. `remove_syncs` takes out the waits, and leaves the copy of the value and its
operators, which the changed program has not either: its speed-up is predicted too low."""
OTHER_GPU = """GPT-2 on an H200, which has the H100's arithmetic and 4.8 / 3.35 times its memory
bandwidth, predicted from traces of an H100: `gpu={'flops': 1, 'bandwidth': 4.8 / 3.35}`.
Milliseconds of the median step: `device` is the sum of kernel durations. The hosts are
not the same machine, so that only the device's side is a prediction where the host holds
the step. Only traces with shapes can be predicted from; without, nothing is.
"""
VARYING_NOTES = """
The traces differ as much: GPT-2's `mask4d` steps have the same launches at every batch,
and those of batch 4 were recorded at half the speed of those of 1, 2 and 8. So the worst
errors are those runs. What is left is one-sided: of the `eager` runs most are predicted
too long, by 10 to 25 %. The costs of recording come from small loops on a pinned core,
whose code and data stay in the caches; that an event costs more in a whole model is the
likely reason. They are not fitted to these runs, which are for checking."""


def main() -> None:
    """Make the page."""
    traces = Path(sys.argv[1])
    parts = (graphs(traces), end_to_end(), other_gpus(traces), unprofiled(traces), replays(traces))
    text = "\n".join([HEAD, *(line for part in parts for line in part)]) + "\n"
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


def end_to_end() -> Iterator[str]:
    """Changes that were predicted, made and measured on one machine."""
    yield "\n## Measured end to end\n"
    yield MEASURED.format(drift=drift())
    yield (
        "| run | batch | change | before: predicted | measured | again | after: predicted | range "
        "| measured | again | error | speed-up: predicted | measured |"
    )
    yield "|" + "---|" * 13
    errors: dict[str, list[float]] = {}
    for run, row in measured():
        found, real, again = row["predicted_us"], row["measured_us"], row["again_us"]
        speed = row["speedup"]
        errors.setdefault(f"{row['change']}: latency", []).append(row["error"])
        if speed["measured"] != 1:
            ratio = speed["predicted"] / speed["measured"] - 1
            errors.setdefault(f"{row['change']}: speed-up", []).append(ratio)
        yield (
            f"| {run} | {row['batch']} | `{row['change']}` | {found['before']:,.0f} "
            f"| {real['before']:,.0f} | {again['before']:,.0f} | {found['after']:,.0f} "
            f"| {found['low']:,.0f} to {found['high']:,.0f} | {real['after']:,.0f} "
            f"| {again['after']:,.0f} | {row['error']:+.1%} | {speed['predicted']:.2f} "
            f"| {speed['measured']:.2f} |"
        )
    for change, some in errors.items():
        yield f"\n`{change}`:"
        yield from summed(some)
    yield MEASURED_NOTES


def drift() -> float:
    """The largest ratio of two measurements of one model in one process."""
    pairs = [(row["measured_us"]["before"], row["again_us"]["before"]) for _, row in measured()]
    return float(max(max(pair) / min(pair) for pair in pairs))


def measured() -> list[tuple[str, dict[str, Any]]]:
    """Run, and row, of each measurement that is kept beside this script."""
    rows = []
    for path in sorted(Path(__file__).parent.glob("measured_*.json")):
        _, gpu, number = path.stem.split("_")
        text = json.loads(path.read_text(encoding="utf-8"))
        rows += [(f"{gpu.upper()}, {number}", row) for row in text["rows"]]
    return rows


def other_gpus(traces: Path) -> Iterator[str]:
    """The H200, with the H100's arithmetic and 4.8 / 3.35 of its bandwidth, from H100 traces."""
    yield "\n## Another GPU\n"
    yield OTHER_GPU
    yield "| trace | device: H100 | predicted | H200 | error | IL: H100 | predicted | H200 | off |"
    yield "|" + "---|" * 9
    ratios = {"flops": 1.0, "bandwidth": 4.8 / 3.35}
    for batch in (1, 64):
        trace = sk.load(traces / "h100" / f"gpt2_b{batch}_shapes_flops.json.gz")
        other = sk.summary(sk.load(traces / "h200" / f"gpt2_b{batch}_s512_eager.json.gz"))
        made = recorded(trace)
        took = made.model.dur * rooflines(trace, made).factors(ratios)
        inside = made.lanes.works["kind"].eq("kernel").to_numpy() & (steps_of(trace).step >= 0)
        steps = len(steps_of(trace).names)
        now, then = made.model.dur[inside].sum() / steps, took[inside].sum() / steps
        real = float(other["kernel_ns"].to_numpy().mean())
        frame = sk.whatif(trace, gpu=ratios).frame
        il = [float(np.median(x.to_numpy())) for x in (frame["recorded_ns"], frame["il_ns"])]
        il.append(float(np.median(other["il_ns"].to_numpy())))
        yield (
            f"| h100/gpt2_b{batch}_shapes_flops | {now / 1e6:.2f} | {then / 1e6:.2f} "
            f"| {real / 1e6:.2f} | {then / real - 1:+.1%} | {il[0] / 1e6:.2f} | {il[1] / 1e6:.2f} "
            f"| {il[2] / 1e6:.2f} | {il[1] / il[2] - 1:+.1%} |"
        )


def varying(traces: Path) -> Iterator[str]:
    """How far the measurements themselves differ where the host holds a step."""
    spread: dict[str, list[float]] = {"cpu": [], "gpu": []}
    for platform, measured_here in latencies(traces).items():
        for key, one in measured_here.items():
            model, batch, variant = key.split("/")
            path = traces / platform / f"{model}_{batch}_s512_{variant}.json.gz"
            if len(one.get("all", ())) > 1 and path.is_file() and variant == "mask4d":
                verdict = sk.boundedness(sk.load(path), "trace")["verdict"].item()
                middle = one["median"]
                spread[verdict] += [max(x / middle, middle / x) - 1 for x in one["all"]]
    yield "\n### How much of that is the host\n"
    yield (
        "Runs that were measured several times, one measurement against the median of its own\n"
        "run (as a factor, less 1): no prediction from another run can be nearer than that.\n"
    )
    for verdict, found in spread.items():
        yield f"\n`{verdict}`:"
        yield from summed(found)
    yield VARYING_NOTES


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
    yield from varying(traces)


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
    exact: list[float] = []
    nearby: list[float] = []
    for path in sorted(traces.glob("*/*.json.gz")):
        trace = sk.load(path)
        frame = fidelity(trace)
        if frame.is_empty():
            continue
        every += frame["error"].to_list()
        name = f"{path.parent.name}/{path.name.removesuffix('.json.gz')}"
        worst, near = frame.select(pl.col("error").max(), pl.col("near_share").mean()).row(0)
        pinned = fidelity(trace, pinned=True)["error"].to_numpy().max()
        exact += fidelity(trace, pinned=True)["error"].to_list()
        nearby += frame["near_share"].to_list()
        yield f"| {name} | {len(frame)} | {worst:.2%} | {near:.0%} | {pinned:.2%} |"
    errors = np.array(every)
    yield (
        f"\n{len(errors)} steps: {np.mean(errors <= 0.01):.1%} within 1 %, worst "
        f"{errors.max():.2%}, median {np.median(errors):.3%}.\nPinned: worst {max(exact):.2%}. "
        f"Of a step's works {np.mean(nearby):.0%} start within 1 µs of when they did\n"
        "(mean of the steps): where works queue, one that is a little later moves all behind it."
    )


if __name__ == "__main__":
    main()
