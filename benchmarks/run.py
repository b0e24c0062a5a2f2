"""Measure what loading and measuring cost, and write the tables of docs/performance.md.

Usage: python benchmarks/run.py --out docs/performance.md [--rounds 5] [--only load,hta]

Inputs are made from two recorded traces; cases run in turns, each in a process of its own, so that
a slow minute of the machine meets them all. What they found stays in the cache: a group that is run
again replaces its own figures, and the tables are written from all that are there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import page
from cases import REPORT

HERE = Path(__file__).resolve().parent
TRACES = Path(os.environ.get("SKIPTRACE_TRACES") or HERE.parents[1] / "shared" / "traces")
HTA = "traceinsight==0.6.1"


@dataclass(frozen=True)
class Input:
    """A file to measure on: a recorded trace, or another input, and its size or copies."""

    source: str
    size: str


INPUTS = {
    "decode": Input("h100/llama_decode64.json.gz", "1x"),
    "decode 1 GB": Input("decode", "1GB"),
    "decode 4 GB": Input("decode", "4GB"),
    "part": Input("decode", "50MB"),
    "part x 4": Input("part", "4x"),
    "part x 20": Input("part", "20x"),
    "stacks": Input("h100/cause_python-stack_v0.json.gz", "200MB"),
}
PACKED = "decode, gzip"

GROUPS: dict[str, list[tuple[str, str]]] = {
    "load": [(f, c) for f in ("decode", "decode 1 GB") for c in ("orjson_loads", "load")],
    "memory": [("decode 4 GB", "load")],
    "growth": [(f, "load") for f in ("part", "part x 4", "part x 20")],
    "gzip": [("decode", "load"), (PACKED, "load")],
    "verbs": [("decode", c) for c in ("load", "verbs", "without_replay", "breakdowns", *REPORT)],
    "graph": [("decode", "bare_graph"), ("decode", "graph"), ("decode 1 GB", "graph_step")],
    "save": [("decode", c) for c in ("load", "save", "reload")],
    "leave out": [("stacks", c) for c in ("load", "no_python")],
    "hta": [("decode", "report"), ("decode", "hta")],
}
ONCE = {"memory"}
"""One round: what they count does not vary, and they take long."""


def prepared(name: str, cache: Path, traces: Path) -> Path:
    """An input, made on first use, by another process: a child's peak begins at its parent's."""
    if name == PACKED:
        source = prepared("decode", cache, traces)
        path = source.with_suffix(".json.gz")
    else:
        given, path = INPUTS[name], cache / f"{name.replace(' ', '_')}.json"
        made = given.source in INPUTS
        source = prepared(given.source, cache, traces) if made else traces / given.source
    if path.exists():
        return path
    print(f"making {path.name}", file=sys.stderr)
    part = path.with_suffix(".part")
    if name == PACKED:  # at gzip's default, as PyTorch packs
        with source.open("rb") as plain, gzip.open(part, "wb") as packed:
            shutil.copyfileobj(plain, packed)
    else:
        tiler = (sys.executable, HERE / "tile.py", source, given.size, part, "--rank")
        subprocess.run([*map(str, tiler)], check=True)
    return part.rename(path)


def hta_python(given: Path | None, cache: Path) -> Path:
    """An interpreter that has Holistic Trace Analysis: the given one, or one made here."""
    if given:
        return given
    folder = cache / "hta"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "complete").exists():
        print(f"installing {HTA} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", HTA], check=True)
        (folder / "complete").touch()
    return python


def measure(python: Path, case: str, path: Path) -> dict[str, Any]:
    """The figures of one case in a fresh process."""
    done = subprocess.run(
        [python, "-P", HERE / "cases.py", case, path], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{case} of {path.name} failed:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_group(name: str, rounds: int, cache: Path, traces: Path, hta: Path | None) -> None:
    """All rounds of a group, each case in turn, into the cache."""
    files = {file: prepared(file, cache, traces) for file, _ in GROUPS[name]}
    for path in files.values():  # no case is the first to read from disk
        with path.open("rb") as unread:
            while unread.read(1 << 20):
                pass
    out = cache / "results" / f"{name}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part")
    with part.open("w", encoding="utf-8") as lines:
        for n in range(1 if name in ONCE else rounds):
            for file, case in GROUPS[name]:
                python = hta_python(hta, cache) if case == "hta" else Path(sys.executable)
                found = measure(python, case, files[file])
                row = {"file": file, "case": case, "mb": files[file].stat().st_size / 1e6}
                lines.write(json.dumps(row | found | {"machine": machine()}) + "\n")
                took = found.get("missing", f"{found.get('seconds', 0):.3f} s")
                print(f"{name}, round {n + 1}: {case} of {file}: {took}", file=sys.stderr)
    part.replace(out)  # an interrupted group leaves the figures of its last whole run


def machine() -> str:
    """Processor, cores, memory and versions; nothing that names this machine."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        model = next((x.partition(": ")[2] for x in lines if x.startswith("model name")), model)
    memory = ""
    if hasattr(os, "sysconf"):
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    packages = ", ".join(
        f"{p} {version(p)}" for p in ("skiptrace", "polars", "numpy", "orjson", "networkx")
    )
    return (
        f"{model}, {os.cpu_count()} cores{memory}; {platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for, then write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="page whose tables are replaced; else printed")
    parser.add_argument("--rounds", type=int, default=5, help="times each case runs (5)")
    parser.add_argument("--only", help=f"some of {', '.join(GROUPS)}; 'none' only writes tables")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "skiptrace-benchmarks",
        help="folder of inputs (7 GB for all) and results",
    )  # fmt: skip
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of recorded traces")
    parser.add_argument("--hta", type=Path, help=f"interpreter that has {HTA}; else one is made")
    given = parser.parse_args(argv)
    names = list(GROUPS) if given.only is None else given.only.split(",")
    if unknown := set(names) - {*GROUPS, "none"}:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    given.cache.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name != "none":
            run_group(name, given.rounds, given.cache, given.traces, given.hta)
    text = page.tables(page.Results.of(given.cache / "results"))
    if given.out:
        page.write(given.out, text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
