"""What tests of archives share: small traces in files, and what an archive holds."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from helpers import Event, call, kernel, op, step

import skiptrace as sk

CORRUPT = b"no trace at all"


def events(scale: int = 1, name: str = "aten::mm") -> list[Event]:
    """Three steps of two launches each; the device's time grows with the scale."""
    made: list[Event] = []
    for n in range(3):
        at = 1000 * n
        made.append(step(n, at, 900))
        for i in range(2):
            corr = 10 * n + i + 1
            made.append(op(name, at + 100 * i + 10, 80))
            made.append(call("cudaLaunchKernel", at + 100 * i + 20, 5, corr))
            made.append(kernel(at + 100 * i + 30, 20 * scale + n, corr))
    return made


def write(path: Path, made: list[Event], **header: Any) -> Path:
    """A file of these events."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = orjson.dumps({**header, "traceEvents": made})
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def folder_of(place: Path, count: int) -> Path:
    """A folder of that many different traces, ``gpt_b{batch}_x.json``."""
    for batch in range(1, count + 1):
        write(place / f"gpt_b{batch}_x.json", events(batch), label=str(batch))
    return place


def contents(out: str | Path) -> dict[str, pl.DataFrame]:
    """Every table of an archive, in an order that does not depend on how it came about."""
    archive = sk.open_archive(out)
    tables = {**archive.tables, "traces": archive.traces, "failures": archive.failures}
    return {name: frame.collect().sort(pl.all()) for name, frame in tables.items()}


def files(out: Path) -> dict[str, bytes]:
    """Every file of an archive, but for what is not finished."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".partial" not in path.parts
    }


def kernel_sum(trace: sk.Trace) -> pl.DataFrame:
    """A measure of one's own."""
    return trace.work.select(kernels=pl.len().cast(pl.Int64), kernel_ns=pl.col("dur_ns").sum())


def slowly(trace: sk.Trace) -> pl.DataFrame:
    """As `kernel_sum`, but not before somebody could have killed it."""
    time.sleep(0.05)
    return kernel_sum(trace)
