"""Where Holistic Trace Analysis computes the same: both on every trace, and why they differ.

Usage: python benchmarks/agree_with_hta.py TRACES HTA_PYTHON [--out docs/agreement_hta.md]

TRACES is a folder of traces, HTA_PYTHON the interpreter of an environment with HTA (the package
`traceinsight`). HTA runs twice on each trace, as it is, and with `HTA_DISABLE_NS_ROUNDING=1`: it
otherwise rounds starts up and ends down to microseconds. Traces of more than 10 MB, packed, are
left out without `--limit`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import polars as pl

import skiptrace as sk
from skiptrace.intervals import Intervals, intersect, total, union
from skiptrace.model.kernel_classes import is_communication

LARGE = 10_000_000
QUANTITIES = ("span", "busy", "compute", "overlap", "kernels", "calls", "delays", "queue", "idle")

HTA = """
import json, logging, sys, warnings
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
from hta.trace_analysis import TraceAnalysis
def ask(name, run):
    try:
        found[name] = run()
    except Exception as error:
        failed[name] = type(error).__name__
def temporal():
    row = analysis.get_temporal_breakdown(visualize=False).iloc[0]
    return {k: float(row[f"{k}_time(us)"]) for k in ("idle", "compute", "kernel")}
def overlap():
    return float(analysis.get_comm_comp_overlap(visualize=False)["comp_comm_overlap_pctg"].iloc[0])
def kernels():
    _, frame = analysis.get_gpu_kernel_breakdown(
        visualize=False, duration_ratio=1.0, num_kernels=10**9, include_memory_kernels=True)
    return {n: float(s) for n, s in frame.groupby("name")["sum (us)"].sum().items()}
def launches():
    frame = analysis.get_cuda_kernel_launch_stats(visualize=False, include_memory_events=True)[0]
    keys = ["correlation", "cpu_duration", "launch_delay"]
    return [[float(v) for v in row] for row in frame[keys].itertuples(index=False)]
def queue():
    frame = analysis.get_queue_length_time_series()[0]
    area = 0.0
    for _, one in frame.groupby("stream"):
        area += float((one["queue_length"] * (one["ts"].shift(-1) - one["ts"])).sum())
    return area
def idle():
    frame = analysis.get_idle_time_breakdown(visualize=False)[0]
    return {int(s): float(t) for s, t in frame.groupby("stream")["idle_time"].sum().items()}
out, sys.stdout = sys.stdout, sys.stderr  # what HTA prints is no answer
for line in sys.stdin:
    found, failed = {}, {}
    try:
        analysis = TraceAnalysis({0: line.strip()}, include_last_profiler_step=True)
        for one in (temporal, overlap, kernels, launches, queue, idle):
            ask(one.__name__, one)
        answer = [found, failed]
    except Exception:
        answer = None
    print(json.dumps(answer), file=out, flush=True)
"""


class Answer(NamedTuple):
    """What HTA found of a trace, and what it failed at."""

    found: dict[str, Any]
    failed: dict[str, str]


class Hta:
    """A process that answers for one trace after another, in HTA's microseconds."""

    def __init__(self, python: str, *, rounds: bool) -> None:
        environment = os.environ | {"HTA_DISABLE_NS_ROUNDING": str(int(not rounds))}
        self._process = subprocess.Popen(
            [python, "-c", HTA], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip

    def ask(self, path: Path) -> None:
        """Begin with a trace."""
        assert self._process.stdin is not None
        print(path, file=self._process.stdin, flush=True)

    def answer(self) -> Answer | None:
        """What it found; None where it does not take the trace."""
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        return None if answer is None else Answer(*answer)

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def with_rank(path: Path, folder: Path) -> Path | None:
    """A copy whose header names a rank, which HTA asks for."""
    document = orjson.loads(gzip.decompress(path.read_bytes()))
    if not isinstance(document, dict) or "traceEvents" not in document:
        return None
    document.setdefault("distributedInfo", {"rank": 0})
    copy = folder / "trace.json"
    copy.write_bytes(orjson.dumps(document))
    return copy


def ours(trace: sk.Trace, work: pl.DataFrame) -> dict[str, Any]:
    """The same quantities by skiptrace's frames and verbs, over some of the work; in ns."""
    start = work["start_ns"].to_numpy()
    end = start + work["dur_ns"].to_numpy()
    communicates = pl.Series(is_communication(trace, work), dtype=pl.Boolean)
    compute = work.filter((work["kind"] == "kernel") & ~communicates)
    busy = total(union(start, end))
    launches = trace.launches.join(
        trace.work.select(first_work="id", work_ns="start_ns"), on="first_work"
    ).join(trace.calls.select("id", "correlation"), on="id")
    delays = {
        row["correlation"]: (
            row["dur_ns"],
            max(row["work_ns"] - row["start_ns"] - row["dur_ns"], 0),
        )
        for row in launches.to_dicts()
    }
    return {
        "span": int(end.max() - start.min()),
        "busy": busy,
        "compute": _union(compute),
        "overlap": _overlap(compute, work.filter(communicates)),
        "kernels": dict(work.group_by("name").agg(pl.col("dur_ns").sum()).rows()),
        "calls": {corr: call for corr, (call, _) in delays.items()},
        "delays": {corr: delay for corr, (_, delay) in delays.items()},
        "queue": int(trace.launches["tklqt_ns"].sum()),
        "idle": {
            int(stream): int((group["start_ns"] + group["dur_ns"]).max() - group["start_ns"].min())  # type: ignore[operator,arg-type]
            - _union(group)
            for (stream,), group in work.group_by("stream")
        },
    }


def _union(work: pl.DataFrame) -> int:
    return total(_intervals(work))


def _overlap(compute: pl.DataFrame, communication: pl.DataFrame) -> float | None:
    both = total(intersect(*(_intervals(work) for work in (compute, communication))))
    whole = _union(communication)
    return both / whole if whole else None


def _intervals(work: pl.DataFrame) -> Intervals:
    start = work["start_ns"].to_numpy()
    return union(start, start + work["dur_ns"].to_numpy())


def theirs(answer: Answer) -> dict[str, Any]:
    """HTA's figures under the names of `ours`; in ns."""
    found, result = answer.found, dict.fromkeys(QUANTITIES)
    if temporal := found.get("temporal"):
        result |= {
            "span": 1000 * temporal["kernel"],
            "busy": 1000 * (temporal["kernel"] - temporal["idle"]),
            "compute": 1000 * temporal["compute"],
        }
    share = found.get("overlap")
    result["overlap"] = None if share is None or isnan(share) else share / 100
    if "kernels" in found:
        result["kernels"] = {name: 1000 * ns for name, ns in found["kernels"].items()}
    if "launches" in found:
        result["calls"] = {int(row[0]): 1000 * row[1] for row in found["launches"]}
        result["delays"] = {int(row[0]): 1000 * row[2] for row in found["launches"]}
    if "queue" in found:
        result["queue"] = 1000 * found["queue"]
    if "idle" in found:
        result["idle"] = {int(stream): 1000 * ns for stream, ns in found["idle"].items()}
    return result


def same(name: str, mine: Any, other: Any, works: int) -> bool:
    """Equal but for the nanosecond a summand that floating-point microseconds may lose."""
    if isinstance(mine, dict) and isinstance(other, dict):
        keys = other if name in ("calls", "delays") else {*mine, *other}
        return all(
            key in mine and key in other and same(name, mine[key], other[key], works)
            for key in keys
        )
    if mine is None or other is None:
        return mine is None and other is None
    sums = 5 if name in ("calls", "delays") else 5 + 2 * works
    slack = 1e-4 if name == "overlap" else sums
    return bool(abs(mine - other) <= slack)


REASONS = {
    "rounding": "HTA rounds starts up and ends down to microseconds; without that it is equal",
    "linked": "HTA leaves out work whose call is not in the file; over the rest it is equal",
    "devices": "HTA takes all devices and equal stream numbers of a file together",
    "sync": "HTA counts `cuda_sync` records, which have a stream, as work",
    "graph": "HTA gives one work of a graph to its launch, or fails at several",
    "by name": "HTA knows launches by names (`cudaLaunchKernel` ...) and leaves others out",
    "order": "HTA takes the gap to the work before, negative where works of a stream overlap",
    "communication": "HTA knows communication by other names, such as `^hip`, and not by arguments",
    "last step": "HTA leaves out work launched after the end of the last step",
    "clocks": "work starts before its call: skiptrace takes 0 for the wait, HTA a negative queue",
    "fails": "HTA raises an error",
    "host": "HTA counts host operators named as a Triton kernel, which have a stream, as work",
    "floats": "HTA holds times as floats; microseconds from 1970 are then steps of 250 ns",
}


def why(trace: sk.Trace, name: str, answers: tuple[Answer, Answer]) -> str:
    """The reason of a difference: equal under HTA's own terms, or what it does otherwise."""
    exact = theirs(answers[1])
    if same(name, ours(trace, trace.work)[name], exact[name], len(trace.work)):
        return "rounding"
    linked = trace.work.filter(pl.col("launch").is_not_null())
    if len(linked) < len(trace.work) and len(linked) and same(
        name, ours(trace, linked)[name], exact[name], len(linked)
    ):  # fmt: skip
        return "linked"
    if ASKED[name] in answers[1].failed:
        several = name == "queue" and (trace.launches["works"] > 1).any()
        return "graph" if several else "fails"
    for reason, holds in (
        ("host", bool(trace.ops["name"].is_in(trace.work["name"].unique().implode()).any())),
        ("sync", len(trace.whole.syncs) > 0),
        ("graph", bool((trace.launches["works"] > 1).any())),
        ("floats", _is_coarse(trace.work["start_ns"])),
        ("devices", trace.work["device"].n_unique() > 1),
        ("clocks", name == "queue" and "negative_launch_time" in trace.health["kind"]),
        ("order", name == "idle" and "overlapping_work" in trace.health["kind"]),
        ("by name", name in ("queue", "calls", "delays") and _unnamed(trace)),
        ("last step", _after_steps(trace)),
        ("communication", name in ("compute", "overlap")),
    ):
        if holds:
            return reason
    return "not explained"


ASKED = {"span": "temporal", "busy": "temporal", "compute": "temporal", "overlap": "overlap",
         "kernels": "kernels", "calls": "launches", "delays": "launches", "queue": "queue",
         "idle": "idle"}  # fmt: skip
NAMED = (
    r"^(?:cudaLaunchKernel(?:ExC)?|cuLaunchKernel(?:Ex)?|(?:cuda|hip)Mem(?:cpy|set)Async"
    r"|hipLaunchKernel|hipExtModuleLaunchKernel|hipMemcpyWithStream)$"
)


def _is_coarse(starts: pl.Series) -> bool:
    """Fractions of microseconds that count from 1970: a float has steps of 250 ns there."""
    return bool((starts.abs() > 1000 * 2**50).any()) and bool((starts % 1000 != 0).any())


def _unnamed(trace: sk.Trace) -> bool:
    return not trace.launches["name"].str.contains(NAMED).all()


def _after_steps(trace: sk.Trace) -> bool:
    end = (trace.steps["start_ns"] + trace.steps["dur_ns"]).max()
    return bool((trace.launches["start_ns"] > end).any())


def rows(folder: Path, python: str, limit: int) -> Iterator[tuple[str, dict[str, str] | None]]:
    """Trace -> quantity -> `equal`, a reason, or `nothing` to compare; None where HTA fails."""
    tools = [Hta(python, rounds=rounds) for rounds in (True, False)]
    for path in sorted(folder.glob("*/*.json.gz")):
        if path.stat().st_size > limit:
            continue
        name = f"{path.parent.name}/{path.name.removesuffix('.json.gz')}"
        with tempfile.TemporaryDirectory() as scratch:
            copy = with_rank(path, Path(scratch))
            if copy is None:
                yield name, None
                continue
            for tool in tools:
                tool.ask(copy)
            trace = sk.load(path)
            first, second = (tool.answer() for tool in tools)
        if first is None or second is None or trace.work.is_empty():
            yield name, None
        else:
            yield name, verdicts(trace, (first, second))
    for tool in tools:
        tool.close()


def verdicts(trace: sk.Trace, answers: tuple[Answer, Answer]) -> dict[str, str]:
    """Quantity -> `equal`, a reason, or `nothing`."""
    mine, other, works = ours(trace, trace.work), theirs(answers[0]), len(trace.work)
    found = {}
    for one in QUANTITIES:
        if mine[one] is None and other[one] is None:
            found[one] = "nothing"
        elif same(one, mine[one], other[one], works):
            found[one] = "equal"
        else:
            found[one] = why(trace, one, answers)
    return found


MEANINGS = {
    "span": "`breakdown`: `span_ns` | temporal breakdown: kernel time",
    "busy": "union of all work | temporal breakdown: kernel time - idle time",
    "compute": "`breakdown`: `compute_ns` | temporal breakdown: compute time",
    "overlap": "`breakdown`: `overlap_share` | communication-computation overlap",
    "kernels": "`kernels`, copies and fills: sum by name | kernel breakdown: sum by name",
    "calls": "`launches`: `dur_ns` of each launch | launch statistics: CPU duration",
    "delays": "end of the call to the first work of each launch | launch statistics: launch delay",
    "queue": "`launches`: sum of `tklqt_ns` | queue length, integrated over time",
    "idle": "span - union of each stream | idle time by stream",
}


HEAD = """# Agreement with Holistic Trace Analysis

Where HTA 0.6.1 computes the same quantity, this page says on how many traces both agree, and why
not on the others. It takes {taken} of {all} traces; of the rest HTA makes nothing, or nothing ran
on a device. The page is made by

```bash
{command}
```

HTA runs as it is, and again with its own switch against rounding. A difference is explained by what
makes the two equal (rounding, work without a call), or by what HTA does otherwise, as read from its
source, where the trace has a case of it.

| quantity | skiptrace | HTA | equal | but for rounding | on linked work | otherwise |
|---|---|---|---|---|---|---|"""
TAIL = """
HTA counts a launch in its queue length until its work *starts*, so its integral is the sum of
begin-to-begin times over all launches; [`queue_depth`](verbs/queue_depth.md) counts until the work
ends. Its launch statistics have the launches whose calls it knows by name, and are compared on
those."""


def page(results: dict[str, dict[str, str] | None], command: str) -> str:
    """The page of the docs."""
    taken = {name: found for name, found in results.items() if found is not None}
    head = HEAD.format(taken=len(taken), all=len(results), command=command)
    lines = head.splitlines()
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for quantity, meaning in MEANINGS.items():
        count = Counter(found[quantity] for found in taken.values())
        rest = {r: n for r, n in count.items()
                if r not in ("equal", "rounding", "linked", "nothing")}  # fmt: skip
        for name, found in taken.items():
            if found[quantity] in rest:
                reasons[quantity, found[quantity]].append(name)
        lines.append(f"| {quantity} | {meaning} | {count['equal']} | {count['rounding']} "
                     f"| {count['linked']} | {sum(rest.values())} |")  # fmt: skip
    lines += ["", "## The others", "", "| quantity | reason | traces |", "|---|---|---|"]
    for (quantity, reason), names in reasons.items():
        shown = ", ".join(f"`{n}`" for n in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        lines.append(f"| {quantity} | {REASONS.get(reason, reason)} | {shown}{more} |")
    lines += TAIL.splitlines()
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run both on every trace, print the findings, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("traces", type=Path)
    parser.add_argument("hta", metavar="HTA_PYTHON")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--limit", type=int, default=LARGE, help="packed bytes of a trace at most")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    results = {}
    for name, found in rows(options.traces, options.hta, options.limit):
        results[name] = found
        print(name, found or "nothing", flush=True)
    command = "python benchmarks/agree_with_hta.py TRACES HTA_PYTHON --out docs/agreement_hta.md"
    text = page(results, command)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
