"""Scanning a thousand real traces: rate, memory, kills and corrupt files, for docs/scaling.md.

Usage: python benchmarks/scan_archive.py [--traces FOLDER] [--count 1000] [--workers 2]
           [--place FOLDER] [--only rate,memory,kills,corrupt,dask] [--out docs/scaling.md]

The traces are those of FOLDER (../shared/traces) and of the fixtures that have at most 3 MB packed,
repeated under other names, each with a metadata event of its own: no two have the same content.
Loading one by one is one process that loads and measures every trace, without an archive.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
from page import write

import skiptrace as sk

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 3_000_000
MEASURES = ["summary", "tklqt", "idle_causes", "top_kernels"]
CORRUPT = 20
"""One of so many is damaged, where that is asked."""

DRIVER = """
import sys, resource
import skiptrace as sk
done = sk.scan(
    sys.argv[1] + "/*.json.gz", sys.argv[4].split(","), out=sys.argv[2], executor=int(sys.argv[3])
)
whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
peaks = [resource.getrusage(who).ru_maxrss for who in whose]
print(done.measured, done.kept, done.failed, *peaks)
"""
ONE_BY_ONE = """
import sys, glob, resource
import skiptrace as sk
for path in sorted(glob.glob(sys.argv[1] + "/*.json.gz")):
    trace = sk.load(path)
    for name in sys.argv[4].split(","):
        getattr(sk, name)(trace)
print(0, 0, 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0)
"""


class Made:
    """The traces that are scanned."""

    def __init__(self, place: Path, sources: list[Path], count: int) -> None:
        self.folder = place / "traces"
        self.count = count
        self.json = 0
        self.packed = 0
        self.folder.mkdir(parents=True)
        for number in range(count):
            source = sources[number % len(sources)]
            text = distinct(gzip.decompress(source.read_bytes()), number)
            packed = gzip.compress(text, compresslevel=6, mtime=0)
            (self.folder / f"{number:05}_{source.name}").write_bytes(packed)
            self.json += len(text)
            self.packed += len(packed)

    def part(self, place: Path, count: int) -> Path:
        """A folder of the first so many, as links."""
        folder = place / f"first_{count}"
        folder.mkdir()
        for path in sorted(self.folder.iterdir())[:count]:
            (folder / path.name).hardlink_to(path)
        return folder


def distinct(text: bytes, number: int) -> bytes:
    """The same trace with one more metadata event, which no figure rests on."""
    own = b'{"ph": "M", "name": "benchmark", "pid": 0, "tid": 0, "args": {"number": %d}}' % number
    opened = re.search(rb'"traceEvents"\s*:\s*\[|\A\s*\[', text)
    if opened is None:
        raise SystemExit("a trace without a list of events")
    after = text[opened.end() :].lstrip()
    comma = b"" if after.startswith(b"]") else b","
    return text[: opened.end()] + own + comma + after


def run(code: str, folder: Path, out: Path, workers: int) -> tuple[float, float, list[int]]:
    """Wall and CPU seconds (of all its processes) of a program, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(out), str(workers), ",".join(MEASURES)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, [int(word) for word in done.stdout.split()]


def contents(out: Path) -> dict[str, pl.DataFrame]:
    """Every table, in an order that does not depend on how it came about."""
    archive = sk.open_archive(out)
    tables = {**archive.tables, "traces": archive.traces, "failures": archive.failures}
    return {name: frame.collect().sort(pl.all()) for name, frame in tables.items()}


def files(out: Path) -> dict[str, bytes]:
    """Every file of an archive that is finished."""
    paths = (p for p in sorted(out.rglob("*")) if p.is_file() and ".partial" not in p.parts)
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def same(one: Path, other: Path) -> str:
    """Whether two archives have equal tables, and equal bytes."""
    a, b = contents(one), contents(other)
    tables = a.keys() == b.keys() and all(a[name].equals(b[name]) for name in a)
    found = "tables equal" if tables else "**tables differ**"
    return f"{found}, {'files' if files(one) == files(other) else 'not all files'} byte-equal"


# --- what is measured ----------------------------------------------------------------------------


def rate(made: Made, place: Path, workers: int) -> Iterator[str]:
    """Traces and MB a second, beside loading one by one."""
    yield "| | seconds | CPU seconds | traces/s | MB/s of JSON | MB/s of files |"
    yield "|---|--:|--:|--:|--:|--:|"
    walls = {}
    for name, code in {
        "one by one, one process, no archive": ONE_BY_ONE,
        f"`sk.scan`, {workers} workers": DRIVER,
        "the same again: nothing to do": DRIVER,
    }.items():
        wall, cpu, _ = run(code, made.folder, place / "undisturbed", workers)
        walls[name] = wall
        speeds = [made.count, made.json / 1e6, made.packed / 1e6]
        yield f"| {name} | {wall:.1f} | {cpu:.1f} | " + " | ".join(
            f"{amount / wall:.1f}" for amount in speeds
        ) + " |"  # fmt: skip
    alone, scanned, _ = walls.values()
    yield ""
    sizes = f"{made.json / 1e6:,.0f} MB of JSON in {made.packed / 1e6:,.0f} MB of files"
    yield (
        f"{made.count:,} traces, {sizes}; {', '.join(MEASURES)}. The scan takes "
        f"{scanned / alone:.2f} of the time of loading and measuring them one by one."
    )
    began = time.process_time()
    archive = sk.open_archive(place / "undisturbed")
    opened = time.process_time() - began
    archive["summary"].collect()
    read = time.process_time() - began - opened
    yield (
        f"Opening the archive took {opened:.2f} s of CPU time, collecting `summary` {read:.2f} s."
    )


def memory(made: Made, place: Path, workers: int) -> Iterator[str]:
    """Peaks at three sizes."""
    yield "| traces | peak RSS of the driver, MB | of the largest worker, MB |"
    yield "|--:|--:|--:|"
    for count in sorted({made.count // 10, made.count * 3 // 10, made.count}):
        folder = made.part(place, count)
        _, _, said = run(DRIVER, folder, place / f"out_{count}", workers)
        driver, worker = (kb / 1000 for kb in said[3:])
        yield f"| {count:,} | {driver:,.0f} | {worker:,.0f} |"


def undisturbed(made: Made, place: Path, workers: int) -> Path:
    """An archive that nothing happened to."""
    out = place / "undisturbed"
    if not out.exists():
        run(DRIVER, made.folder, out, workers)
    return out


def kills(made: Made, place: Path, workers: int) -> Iterator[str]:
    """The driver killed three times at random moments, and begun again."""
    whole, out = undisturbed(made, place, workers), place / "killed"
    command = [
        sys.executable, "-c", DRIVER, str(made.folder), str(out), str(workers), ",".join(MEASURES)
    ]  # fmt: skip
    done = []
    for least in (0.1, 0.35, 0.6):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as driver:
            wanted = made.count * (least + 0.2 * random.random())
            while records(out) < wanted and driver.poll() is None:
                time.sleep(random.random() * 0.02)
            driver.send_signal(signal.SIGKILL)
        done.append(records(out))
    _, _, (measured, kept, failed, *_) = run(DRIVER, made.folder, out, workers)
    yield (
        f"Killed with SIGKILL after {', '.join(map(str, done))} of {made.count:,} traces and begun "
        f"again: {kept:,} kept, {measured:,} measured, {failed} failed; against an undisturbed run "
        f"{same(whole, out)}."
    )


def records(out: Path) -> int:
    """Traces that are done."""
    folder = out / "traces"
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def corrupt(made: Made, place: Path, workers: int) -> Iterator[str]:
    """One in twenty files cut off, overwritten or emptied."""
    folder = place / "corrupt"
    shutil.copytree(made.folder, folder)
    damaged = 0
    for number, path in enumerate(sorted(folder.iterdir())):
        if number % CORRUPT == 0:
            damaged += 1
            path.write_bytes([b"", b"no trace at all", random.randbytes(5000)][damaged % 3])
    out = place / "corrupt_out"
    _, _, (measured, _, failed, *_) = run(DRIVER, folder, out, workers)
    rows = sk.open_archive(out).failures.collect()
    kinds = ", ".join(f"{n} {kind}" for kind, n in rows["error"].value_counts(sort=True).rows())
    yield (
        f"{damaged} of {made.count:,} files corrupt: {failed} failed, {measured:,} measured, "
        f"{len(rows)} rows of failures ({kinds})."
    )


def dask(made: Made, place: Path, workers: int) -> Iterator[str]:
    """The same through a Dask cluster, one of whose worker processes is killed half-way."""
    import distributed

    whole, out = undisturbed(made, place, workers), place / "dask"
    cluster = distributed.LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster) as client:  # type: ignore[no-untyped-call]
        killed: list[int] = []
        first = min(client.run(os.getpid).values())

        def kill(done: int, of: int) -> None:
            if done >= of // 2 and not killed:
                killed.append(done)
                os.kill(first, signal.SIGKILL)

        began = time.perf_counter()
        with client.get_executor() as executor:
            found = sk.scan(
                f"{made.folder}/*.json.gz", MEASURES, out=out, executor=executor, progress=kill
            )
        wall = time.perf_counter() - began
    yield (
        f"Dask, two worker processes, one killed after {killed[0]:,} traces: {found.measured:,} "
        f"measured, {found.kept} kept, {found.failed} failed in {wall:.1f} s; against an "
        f"undisturbed run {same(whole, out)}."
    )


PARTS: dict[str, Callable[[Made, Path, int], Iterator[str]]] = {
    "rate": rate, "memory": memory, "kills": kills, "corrupt": corrupt, "dask": dask,
}  # fmt: skip


def sources(folder: Path) -> list[Path]:
    """The traces to repeat, in falling order of size, so that any part has large ones."""
    found = [*folder.glob("*/*.json.gz"), *(ROOT / "tests" / "fixtures").glob("*.json.gz")]
    kept = [(path.stat().st_size, path) for path in found]
    return [path for size, path in sorted(kept, reverse=True) if size <= LARGEST]


def main() -> None:
    """Measure what is asked for, and print it or write it into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--traces", type=Path, default=ROOT.parent / "shared" / "traces")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--place", type=Path, help="where the traces and archives are put")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, help="page to write the tables into")
    given = parser.parse_args()
    random.seed(given.count)
    with tempfile.TemporaryDirectory(dir=given.place) as folder:
        place = Path(folder)
        made = Made(place, sources(given.traces), given.count)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        versions = f"Python {platform.python_version()}, polars {pl.__version__}"
        lines = [f"Measured on {cores} cores, {versions}."]
        for name in given.only.split(","):
            print(f"{name} ...", file=sys.stderr, flush=True)
            lines += ["", *PARTS[name](made, place, given.workers)]
    text = "\n".join(lines)
    if given.out:
        write(given.out, text)
    print(text)


if __name__ == "__main__":
    main()
