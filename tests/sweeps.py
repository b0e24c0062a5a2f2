"""Literal traces of a sweep: a host that launches at a fixed pace, kernels that grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from helpers import Event, call, kernel, op, step, traces_folder

import skiptrace as sk

LAUNCHES = 12
PACE = 20
"""Microseconds from one launch to the next."""


def events_at(
    batch: float, kernel_us: float = 4, host_us: float = PACE, begin: float = 0, name: str = "gemm"
) -> list[Event]:
    """A step of a dozen operators, a kernel each, whose length grows with the batch."""
    events: list[Event] = []
    free = begin
    for i in range(LAUNCHES):
        at = begin + host_us * i
        start = max(at + 10, free)
        free = start + kernel_us * batch
        corr = int(begin * 100) + i + 1
        events += [
            op("aten::mm", at, host_us - 2),
            call("cudaLaunchKernel", at + 2, 5, corr),
            kernel(start, kernel_us * batch, corr, name),
        ]
    return events


def trace_at(batch: float, **options: Any) -> sk.Trace:
    """The same, loaded."""
    return sk.load(events_at(batch, **options))


def steps_at(batch: float, paces: list[float]) -> list[Event]:
    """Steps whose hosts launch at these paces."""
    events: list[Event] = []
    for i, pace in enumerate(paces):
        begin = 10_000 * i
        events += [step(i, begin, 9_000), *events_at(batch, host_us=pace, begin=begin)]
    return events


def on(device: str, batch: float) -> sk.Trace:
    """A trace whose header names its device."""
    listed = [{"id": 0, "name": device}, {"id": 1, "name": "idle one"}]
    return sk.load({"deviceProperties": listed, "traceEvents": events_at(batch)})


def write(path: Path, events: list[Event]) -> Path:
    """A trace in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps({"traceEvents": events}))
    return path


def pattern(platform: str, model: str) -> str:
    """The pattern of a recorded sweep."""
    return str(traces_folder() / platform / f"{model}_b{{batch}}_s512_eager.json.gz")
