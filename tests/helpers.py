"""What tests share: literal events in a line each, and where fixtures and real traces are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import skiptrace as sk
from skiptrace.read.columns import Columns, RawEvents
from skiptrace.read.rows import Part

Event = dict[str, Any]
_HERE = Path(__file__).resolve().parent
FIXTURES = _HERE / "fixtures"
_TRACES = "SKIPTRACE_TRACES"


# --- literal events: times in microseconds, so 1 is 1000 ns -------------------------------------


def event(
    cat: str | None, name: str, ts: Any, dur: Any, pid: Any = 1, tid: Any = 1, **args: Any
) -> Event:
    """A complete event of any category; `args` may hold keys that are no identifiers by `**{}`."""
    made: Event = {"ph": "X", "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur}
    return made | ({} if cat is None else {"cat": cat}) | ({"args": args} if args else {})


def op(name: str, ts: Any, dur: Any, tid: Any = 1, pid: Any = 1, **args: Any) -> Event:
    """An operator."""
    return event("cpu_op", name, ts, dur, pid, tid, **args)


def call(
    name: str,
    ts: Any,
    dur: Any,
    corr: Any = None,
    tid: Any = 1,
    pid: Any = 1,
    cat: Any = "cuda_runtime",
    **args: Any,
) -> Event:
    """A call of a runtime or driver API."""
    return event(cat, name, ts, dur, pid, tid, **_correlated(corr), **args)


def kernel(
    ts: Any,
    dur: Any,
    corr: Any = None,
    name: Any = "k",
    device: Any = 0,
    stream: Any = 7,
    cat: Any = "kernel",
    **args: Any,
) -> Event:
    """A kernel; like Kineto, its process is the device and its thread the stream."""
    where = {"device": device, "stream": stream}
    return event(cat, name, ts, dur, device, stream, **where, **_correlated(corr), **args)


def memcpy(ts: Any, dur: Any, corr: Any = None, name: str = "Memcpy HtoD", **more: Any) -> Event:
    """A copy on the device; `more` as for `kernel`."""
    return kernel(ts, dur, corr, name, **{"cat": "gpu_memcpy"} | more)


def memset(
    ts: Any, dur: Any, corr: Any = None, name: str = "Memset (Device)", **more: Any
) -> Event:
    """A fill on the device; `more` as for `kernel`."""
    return kernel(ts, dur, corr, name, **{"cat": "gpu_memset"} | more)


def annotation(name: str, ts: Any, dur: Any, tid: Any = 1, pid: Any = 1) -> Event:
    """A `record_function` label."""
    return event("user_annotation", name, ts, dur, pid, tid)


def python(name: str, ts: Any, dur: Any, tid: Any = 1, pid: Any = 1) -> Event:
    """A Python frame."""
    return event("python_function", name, ts, dur, pid, tid)


def step(n: int, ts: Any, dur: Any, pid: Any = 1, tid: Any = 1) -> Event:
    """`ProfilerStep#n`."""
    return annotation(f"ProfilerStep#{n}", ts, dur, tid, pid)


def _correlated(corr: Any) -> Event:
    return {} if corr is None else {"correlation": corr}


# --- what tests ask of a trace ------------------------------------------------------------------


def health(trace: sk.Trace) -> dict[str, int]:
    """Kind -> count of what load found."""
    return dict(trace.health.select("kind", "count").rows())


# --- fixtures, and the real traces where they are at hand ---------------------------------------


def fixture_path(name: str) -> Path:
    """A small real trace kept with the tests, by the name that tests/make_fixtures.py gives it."""
    return FIXTURES / f"{name}.json.gz"


def fixture_paths() -> list[Path]:
    """All of them."""
    return sorted(FIXTURES.glob("*.json.gz"))


def traces_folder() -> Path:
    """The folder of real traces: `SKIPTRACE_TRACES`, else ../shared/traces beside the checkout."""
    return Path(os.environ.get(_TRACES) or _HERE.parent.parent / "shared" / "traces")


def trace_path(name: str) -> Path:
    """A real trace such as `h100/gpt2_b1_s512_eager`; the test is skipped where it is not there."""
    path = traces_folder() / f"{name}.json.gz"
    if not path.is_file():
        pytest.skip(f"real trace {name!r} not found under {traces_folder()} (set {_TRACES})")
    return path


def trace_paths() -> list[Path]:
    """All real traces, in a fixed order; empty where there is no folder of them."""
    return sorted(traces_folder().glob("*/*.json.gz"))


# --- the reader ----------------------------------------------------------------------------------


def assembled(*parts: Part) -> RawEvents:
    """The events of parts as columns."""
    columns = Columns()
    for part in parts:
        columns.append(part)
    return columns.assembled()
