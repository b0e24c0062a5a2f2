"""Redo the tables of the SKIP paper (arXiv 2504.11750) from folders of traces, as Markdown.

    python examples/reproduce_paper.py traces/h100 traces/h200 --suffix s512_eager --out paper.md

A folder is a platform. In it a sweep is what `capture_sweep.py` writes, a model and the rest of the
name with several batches: `MODEL_bBATCH_SUFFIX.json.gz`. `null_kernel*.json.gz` give the launch
floor, and a `latency.json` there, or one folder up, adds the latencies without a profiler.
`--figures FOLDER` draws the curves as SVG.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import skiptrace as sk
from skiptrace.errors import SkiptraceError, SweepError

NAME = re.compile(r"(?P<model>.+?)_b(?P<batch>\d+)_(?P<suffix>.+)\.json(\.gz|\.zst)?")


@dataclass(frozen=True)
class Case:
    """A sweep of one model on one platform."""

    platform: str
    model: str
    suffix: str
    paths: dict[int, Path]
    sweep: sk.Sweep
    latency_us: dict[int, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables; returns the exit code."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--suffix", help="only sweeps with this suffix")
    parser.add_argument("--out", type=Path, help="file to write (default: standard output)")
    parser.add_argument("--figures", type=Path, help="folder to draw curves into, as SVG")
    options = parser.parse_args(argv)
    try:
        cases = [case for folder in options.folders for case in cases_of(folder, options.suffix)]
        if not cases:
            print("no sweep: nothing named MODEL_bBATCH_SUFFIX.json.gz", file=sys.stderr)
            return 2
        text = "\n".join(document(cases, options.folders)) + "\n"
    except SkiptraceError as error:
        print(f"reproduce_paper.py: {error}", file=sys.stderr)
        return 2
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    if options.figures:
        options.figures.mkdir(parents=True, exist_ok=True)
        for path, drawing in drawings(cases):
            (options.figures / path).write_text(drawing, encoding="utf-8")
    return 0


def cases_of(folder: Path, suffix: str | None) -> Iterator[Case]:
    """The sweeps of a folder, in the order of their names."""
    found: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for path in sorted(folder.glob("*_b*_*.json*")):
        if hit := NAME.fullmatch(path.name):
            found[hit["model"], hit["suffix"]][int(hit["batch"])] = path
    for (model, rest), paths in sorted(found.items()):
        if len(paths) > 1 and suffix in (None, rest):
            latency = latencies(folder, f"{model}/b(\\d+)/{rest.rpartition('_')[2]}")
            yield Case(folder.name, model, rest, paths, sk.sweep(paths, name="batch"), latency)


def latencies(folder: Path, key: str) -> dict[int, float]:
    """Batch -> median latency in µs without a profiler, where it was recorded."""
    for path in (folder / "latency.json", folder.parent / "latency.json"):
        if path.is_file():
            platforms = json.loads(path.read_text(encoding="utf-8"))
            mine = platforms.get(folder.name) or (
                next(iter(platforms.values())) if len(platforms) == 1 else {}
            )
            hits = ((re.fullmatch(key, k), v) for k, v in mine.get("latency_us", {}).items())
            return {int(hit[1]): v["median"] for hit, v in hits if hit and "median" in v}
    return {}


# --- the document ---------------------------------------------------------------------------------


def document(cases: list[Case], folders: Iterable[Path]) -> Iterator[str]:
    """All sections."""
    yield from section("Transition from CPU- to GPU-bound", transitions(cases))
    yield from section("One inference over batch size", curves(cases))
    yield from section("GPU idle time at the smallest batch", idle(cases))
    yield from section("Kernel fusion at the smallest batch", fusions(cases))
    yield from section("Launch floor of a null kernel", floors(folders))
    yield from section("Platforms", platforms(cases))


def section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """A heading with what it heads; nothing where there is nothing."""
    body = list(lines)
    if body:
        yield from (f"## {title}", "", *body)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table and an empty line."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(shown(cell) for cell in row)} |"
    yield ""


def shown(cell: object) -> str:
    """A cell: three significant digits, a dash for nothing."""
    if cell is None:
        return "-"
    if not isinstance(cell, float):
        return str(cell).replace("|", "\\|")
    digits = 0 if cell == 0 else max(0, 2 - math.floor(math.log10(abs(cell))))
    return f"{cell:,.{digits}f}"


def label(case: Case) -> str:
    """What a sweep is called."""
    return f"{case.model} on {case.platform} ({case.suffix})"


def transitions(cases: list[Case]) -> Iterator[str]:
    """Both definitions, and the prediction from the sweep's two ends."""
    rows = []
    for case in cases:
        found = case.sweep.transition
        rows.append(
            (
                case.model, case.platform, bracket(found.tklqt), found.tklqt.interpolated,
                bracket(found.device), found.device.interpolated, predicted(case),
            )
        )  # fmt: skip
    headings = (
        "model", "platform", "TKLQT: last CPU-bound to first GPU-bound", "interpolated",
        "device: the same", "interpolated", "predicted from the two ends",
    )  # fmt: skip
    yield from table(headings, rows)


def predicted(case: Case) -> float | None:
    """The `device` transition as the first and the last trace alone have it."""
    first, last = min(case.paths), max(case.paths)
    try:
        return sk.predict_transition((first, case.paths[first]), (last, case.paths[last])).parameter
    except SweepError:  # no kernels, say
        return None


def bracket(found: sk.Transition) -> str:
    """Between which batches it turns."""
    if found.parameter is None:
        return found.reason.partition(":")[0]
    return f"{found.last_cpu_bound} to {found.parameter}"


def curves(cases: list[Case]) -> Iterator[str]:
    """Latency, TKLQT, kernels and idle time of the median step of each batch."""
    for case in cases:
        frame = case.sweep.frame
        least = min((ns for ns in frame["tklqt_per_launch_ns"].to_list() if ns), default=None)
        rows = []
        for row in frame.iter_rows(named=True):
            per_launch = row["tklqt_per_launch_ns"]
            without = case.latency_us.get(row["parameter"])
            rows.append(
                (
                    row["parameter"], ms(row["il_ns"]), without and without / 1000,
                    row["launches"], per_launch and per_launch / 1000,
                    per_launch and least and per_launch / least,
                    row["akd_ns"] and row["akd_ns"] / 1000, ms(row["gpu_idle_paper_ns"]),
                    ms(row["gpu_idle_ns"]), percent(row["busy_share"]), ms(row["cpu_busy_ns"]),
                    row["verdict"],
                )
            )  # fmt: skip
        yield from (f"### {label(case)}", "")
        yield from table(
            (
                "batch", "IL, ms", "latency without profiler, ms", "launches",
                "TKLQT a launch, µs", "x least", "AKD, µs", "GPU idle as in the paper, ms",
                "GPU idle, ms", "GPU busy", "CPU busy, ms", "verdict",
            ),
            rows,
        )  # fmt: skip


def ms(ns: int | None) -> float | None:
    """Milliseconds."""
    return None if ns is None else ns / 1e6


def percent(share: float | None) -> str | None:
    """A share as a percentage."""
    return None if share is None else f"{100 * share:.0f} %"


def idle(cases: list[Case]) -> Iterator[str]:
    """How long the device waits where the host is the limit."""
    rows = []
    for case in cases:
        row = case.sweep.frame.row(0, named=True)
        if row["il_ns"]:
            rows.append(
                (
                    case.model, case.platform, row["parameter"], ms(row["il_ns"]),
                    ms(row["gpu_idle_ns"]), percent(row["gpu_idle_ns"] / row["il_ns"]),
                )
            )  # fmt: skip
    if rows:
        yield from table(("model", "platform", "batch", "IL, ms", "idle, ms", "of IL"), rows)


def fusions(cases: list[Case]) -> Iterator[str]:
    """Candidates and ideal speed-up by chain length, within and across synchronisations."""
    for case in cases:
        trace = sk.load(case.paths[min(case.paths)])
        inside, across = (sk.fusion(trace, across_sync=a).savings for a in (False, True))
        rows = [
            (
                a["length"], a["unique_chains"], a["candidates"], a["kernels_eager"],
                a["kernels_fused"], a["ideal_speedup"], b["candidates"], b["ideal_speedup"],
            )
            for a, b in zip(inside.to_dicts(), across.to_dicts(), strict=True)
        ]  # fmt: skip
        yield from (f"### {label(case)}", "")
        yield from table(
            (
                "chain length", "unique chains", "with PS = 1", "K eager", "K fused",
                "ideal speed-up", "with PS = 1, across waits", "ideal speed-up, across waits",
            ),
            rows,
        )  # fmt: skip


def floors(folders: Iterable[Path]) -> Iterator[str]:
    """What launching an empty kernel takes."""
    rows = []
    for folder in folders:
        for path in sorted(folder.glob("null_kernel*.json*")):
            f = sk.launch_floor(sk.load(path))
            us = [ns / 1000 for ns in (f.median_ns, f.p5_ns, f.p95_ns, f.kernel_median_ns)]
            rows.append((folder.name, path.name.partition(".")[0], *us, f.launches, f.source))
    if rows:
        yield from table(
            (
                "platform", "trace", "launch, median µs", "p5", "p95", "kernel, median µs",
                "launches", "which",
            ),
            rows,
        )  # fmt: skip


def platforms(cases: list[Case]) -> Iterator[str]:
    """The same sweep on several platforms, against the first."""
    alike: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        alike[case.model, case.suffix].append(case)
    for (model, suffix), group in alike.items():
        sweeps = {case.platform: case.sweep for case in group}
        if len(sweeps) > 1:
            found = sk.compare_sweeps(sweeps)
            yield from (f"### {model} ({suffix})", "", found.sentence, "")
            columns = ["il_ratio", "tklqt_ratio", "floor_ratio", "host_ratio", "device_ratio"]
            rows = found.frame.select("parameter", "platform", *columns).rows()
            yield from table(("batch", "platform", *(c[:-6] for c in columns)), rows)
            for name, after, at in found.crossovers.rows():
                yield f"Which is faster changes between batch {after} and {at} ({name})."
                yield ""


# --- figures --------------------------------------------------------------------------------------

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
WIDTH, HEIGHT, MARGIN = 640, 400, 60


def drawings(cases: list[Case]) -> Iterator[tuple[str, str]]:
    """TKLQT a launch and the share that the GPU is busy, over the batch."""
    for column, title, logarithmic in (
        ("tklqt_per_launch_ns", "TKLQT per launch, ns", True),
        ("busy_share", "Share of the latency in which the GPU is busy", False),
    ):
        curves = {
            f"{case.model}, {case.platform}": [
                (float(x), float(y))
                for x, y in case.sweep.frame.select("parameter", column).rows()
                if x > 0 and y is not None and (y > 0 or not logarithmic)
            ]
            for case in cases
        }
        points = {name: points for name, points in curves.items() if points}
        if points:
            yield f"{column}.svg", svg(title, points, logarithmic=logarithmic)


def svg(title: str, curves: dict[str, list[tuple[float, float]]], *, logarithmic: bool) -> str:
    """Lines over a logarithmic batch size."""
    every = [point for points in curves.values() for point in points]
    xs = [math.log2(x) for x, _ in every]
    ys = [math.log10(y) if logarithmic else y for _, y in every]
    low_x, high_x = min(xs), max(*xs, min(xs) + 1)
    low_y, high_y = (math.floor(min(ys)), math.ceil(max(ys))) if logarithmic else (0, 1)

    def at(x: float, y: float) -> tuple[float, float]:
        """Where a point of the transformed axes lies."""
        across = (x - low_x) / (high_x - low_x) * (WIDTH - 2 * MARGIN)
        up = (y - low_y) / max(high_y - low_y, 1) * (HEIGHT - 2 * MARGIN)
        return MARGIN + across, HEIGHT - MARGIN - up

    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        "<style>text {font: 12px sans-serif}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="24">{escape(title)}</text>',
        f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 16}" text-anchor="middle">batch</text>',
    ]
    for n in range(math.ceil(low_x), math.floor(high_x) + 1):
        x, y = at(n, low_y)
        made.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{2**n:g}</text>')
    steps: Sequence[float] = range(low_y, high_y + 1) if logarithmic else (0, 0.25, 0.5, 0.75, 1)
    for step in steps:
        (left, y), (right, _) = at(low_x, step), at(high_x, step)
        made.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" stroke="#ddd"/>')
        text = f"{10**step:,}" if logarithmic else f"{step:g}"
        made.append(f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for i, (name, points) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        places = [at(math.log2(x), math.log10(y) if logarithmic else y) for x, y in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        made.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        made += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        made.append(
            f'<text x="{MARGIN + 12}" y="{MARGIN + 16 * i}" fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join([*made, "</svg>", ""])


def escape(text: str) -> str:
    """Text that may stand in XML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    sys.exit(main())
