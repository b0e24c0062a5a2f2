"""Loading a trace file and the folder that `Trace.save` wrote of it, in turns, and their sizes.

Usage: python benchmarks/save_and_load.py TRACE [ROUNDS]

Each round loads the unpacked file, and the folder twice: until `load` returns, and until every
frame was read. Each in a process of its own, after the import; figures are medians over the
rounds. CPU seconds are beside wall seconds, since those of a shared machine vary less.
"""

from __future__ import annotations

import gzip
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import skiptrace as sk

LOAD = """
import sys, time
import skiptrace as sk
wall, cpu = time.perf_counter(), time.process_time()
trace = sk.load(sys.argv[1])
"""
EVERY_FRAME = """
from dataclasses import fields
kept = [getattr(part, f.name) for part in (trace, trace.whole) for f in fields(part)]
"""
DONE = "print(time.perf_counter() - wall, time.process_time() - cpu)"


def run(code: str, path: Path) -> tuple[float, ...]:
    """Wall and CPU seconds of one load in a fresh process."""
    out = subprocess.run(
        [sys.executable, "-c", code + DONE, str(path)], check=True, capture_output=True, text=True
    )
    return tuple(float(seconds) for seconds in out.stdout.split())


def main(source: Path, rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as place:
        raw, folder = Path(place) / "trace.json", Path(place) / "saved"
        packed = source.read_bytes()
        raw.write_bytes(gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed)
        sk.load(raw).save(folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{raw.stat().st_size:>13,} bytes of JSON\n{len(packed):>13,} bytes as given")
        print(f"{size:>13,} bytes saved")
        cases = {
            "the file": (LOAD, raw),
            "the folder": (LOAD, folder),
            "the folder, every frame": (LOAD + EVERY_FRAME, folder),
        }
        taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, case in cases.items():
                taken[name].append(run(*case))
        median = {
            name: [statistics.median(column) for column in zip(*rows, strict=True)]
            for name, rows in taken.items()
        }
        for name, (wall, cpu) in median.items():
            file_wall, file_cpu = median["the file"]
            ratios = f"{file_wall / wall:6.1f} x {file_cpu / cpu:6.1f} x"
            print(f"{name:<24} {wall:8.4f} s {cpu:8.4f} s CPU {ratios}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
