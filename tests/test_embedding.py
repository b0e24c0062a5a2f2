"""Inside another program: from several threads, pickled, imported without a trace of it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import polars as pl
import pytest
from helpers import fixture_path
from results import NAMES, results
from test_verbs_pure import VERBS, equal, loaded

import skiptrace as sk

THREADS = 4
ONCE = {n: verb for n, verb in VERBS.items() if "-" not in n or n.endswith(("-step", "-op"))}
"""Every verb, with few of its keys."""


def same(a: Any, b: Any) -> bool:
    """Whether two results, traces or parts of them are alike, to the last value."""
    if isinstance(a, (pl.DataFrame, pl.Series)):
        return a.equals(b) and a.dtype == b.dtype if isinstance(a, pl.Series) else equal(a, b)
    if is_dataclass(a) and not isinstance(a, type):
        # What a trace reads its arguments from is alike if it is of the same kind.
        parts = [f.name for f in fields(a) if f.name != "source"]
        return type(a) is type(b) and all(same(getattr(a, n), getattr(b, n)) for n in parts)
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return bool(a == b)


# --- pickle ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_result_comes_back_from_pickle(name: str) -> None:
    assert same(pickle.loads(pickle.dumps(results()[name])), results()[name])


def made() -> sk.Trace:
    trace = loaded()
    return sk.from_frames(ops=trace.ops, calls=trace.calls, work=trace.work, args=trace.args())


@pytest.mark.parametrize("make", [loaded, made, lambda: loaded().step(1)])
def test_a_trace_comes_back_from_pickle_and_gives_the_same(make: Any) -> None:
    trace = make()
    again = pickle.loads(pickle.dumps(trace))
    assert same(again, trace)
    assert again.args().equals(trace.args())
    assert sk.summary(again).equals(sk.summary(trace))


# --- threads --------------------------------------------------------------------------------------


def at_once(trace: sk.Trace) -> list[list[Any]]:
    """The results of every verb from each thread, all starting together, each elsewhere."""
    start, verbs = Barrier(THREADS), list(ONCE.values())

    def run(number: int) -> list[Any]:
        start.wait()
        first = number * len(verbs) // THREADS
        turned = {i: verbs[i](trace) for i in [*range(first, len(verbs)), *range(first)]}
        return [turned[i] for i in range(len(verbs))]

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_threads_on_one_trace_get_what_one_gets(tmp_path: Path) -> None:
    trace = loaded()
    alone = [verb(trace) for verb in ONCE.values()]
    trace.save(tmp_path / "saved")
    for fresh in (loaded(), sk.load(tmp_path / "saved")):
        for found in at_once(fresh):
            assert all(equal(a, b) for a, b in zip(found, alone, strict=True))


def test_what_is_kept_is_one_for_all_threads(tmp_path: Path) -> None:
    loaded().save(tmp_path / "saved")
    for _ in range(20):
        trace, start = sk.load(tmp_path / "saved"), Barrier(THREADS)

        def look(_: int, trace: sk.Trace = trace, start: Barrier = start) -> list[int]:
            start.wait()
            return [id(part) for part in (trace.kept, trace.whole.kept, trace.ops)]

        with ThreadPoolExecutor(THREADS) as pool:
            assert len({tuple(ids) for ids in pool.map(look, range(THREADS))}) == 1
        assert trace.ops is trace.whole.ops


# --- import ---------------------------------------------------------------------------------------

_LOOK = """
import logging, os, signal, sys, threading, warnings
import networkx, numpy, orjson, polars, concurrent.futures.thread, multiprocessing
def state():
    return (
        threading.enumerate(), sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else 0,
        os.listdir("."), dict(os.environ), list(logging.root.handlers), logging.root.level,
        list(warnings.filters), warnings.showwarning, sys.excepthook, signal.getsignal(2),
        polars.Config.state(), sys.getrecursionlimit(),
    )
before = state()
import skiptrace
names = ("threads", "files", "folder", "environment", "handlers", "level", "filters", "warnings",
         "hook", "signal", "polars", "recursion")
print(*[name for name, a, b in zip(names, before, state()) if a != b], logging.lastResort is None)
"""


def test_importing_changes_nothing_of_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOOK], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


# --- Arrow ----------------------------------------------------------------------------------------


def test_a_result_is_an_arrow_stream() -> None:
    frame = sk.summary(sk.load(fixture_path("eager_step")))

    class Table:
        """What another library sees: the stream, and nothing of polars."""

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return frame.__arrow_c_stream__(requested_schema)

    assert pl.DataFrame(Table()).equals(frame)
