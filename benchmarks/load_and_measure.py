"""Seconds and peak memory of loading and of every verb, beside `orjson.loads` alone.

Usage: python benchmarks/load_and_measure.py TRACE [ROUNDS]

Each round runs both in turns, each in a process of its own, on the unpacked bytes of the trace;
figures are medians over the rounds, memory is the peak RSS of the whole process. Times differ from
machine to machine and minute to minute; the ratios are what to look at.
"""

from __future__ import annotations

import gzip
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CLOCK = """
import gc, json, resource, sys, time
took = {}
def timed(name, run):
    start = time.perf_counter()
    result = run()
    took[name] = time.perf_counter() - start
    return result
def done():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took["peak_mb"] = peak / (1e6 if sys.platform == "darwin" else 1e3)
    print(json.dumps(took))
"""
ORJSON = """
import orjson
gc.disable()
data = open(sys.argv[1], "rb").read()
kept = timed("orjson.loads", lambda: orjson.loads(data))
"""
SKIPTRACE = """
import skiptrace as sk
trace = timed("load", lambda: sk.load(sys.argv[1]))
kept = [
    timed("tklqt", lambda: sk.tklqt(trace, "root_op")),
    timed("summary", lambda: sk.summary(trace)),
    timed("idle_gaps", lambda: sk.idle_gaps(trace)),
    timed("idle_causes", lambda: sk.idle_causes(trace)),
    timed("idle_causes by op", lambda: sk.idle_causes(trace, "op")),
    timed("boundedness", lambda: sk.boundedness(trace)),
    timed("top_kernels", lambda: sk.top_kernels(trace)),
    timed("graph", lambda: sk.graph(trace)),
]
"""


def run(body: str, path: Path) -> dict[str, float]:
    """One measurement in a fresh process."""
    script = CLOCK + body + "done()\n"
    out = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True
    )
    result: dict[str, float] = json.loads(out.stdout)
    return result


def main() -> None:
    """Measure and print a table."""
    source, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        raw = source.read_bytes()
        path.write_bytes(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        size = path.stat().st_size / 1e6
        pairs = [(run(ORJSON, path), run(SKIPTRACE, path)) for _ in range(rounds)]
    base = statistics.median(p[0]["orjson.loads"] for p in pairs)
    print(f"{source.name}: {size:.0f} MB, medians of {rounds}\n")
    print(f"{'what':20} {'seconds':>8} {'x orjson':>9}")
    for side in (0, 1):
        for name in pairs[0][side]:
            value = statistics.median(p[side][name] for p in pairs)
            if name != "peak_mb":
                print(f"{name:20} {value:8.2f} {value / base:9.2f}")
            else:
                print(f"{'  peak RSS, MB':20} {value:8.0f} {value / size:8.2f}x the file\n")


if __name__ == "__main__":
    main()
