"""Verbs leave their input as it was, print nothing, and answer the same."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, fields
from functools import partial
from typing import Any

import networkx as nx
import polars as pl
import pytest
from helpers import (
    Event,
    annotation,
    call,
    event,
    fixture_paths,
    kernel,
    memcpy,
    op,
    python,
    step,
)

import skiptrace as sk
from skiptrace.model.schema.measured import IDLE_KEYS, TKLQT_KEYS

Verb = Callable[[sk.Trace], Any]
VERBS: dict[str, Verb] = {
    **{f"tklqt-{by}": partial(sk.tklqt, by=by) for by in TKLQT_KEYS},
    **{f"idle_causes-{by}": partial(sk.idle_causes, by=by) for by in IDLE_KEYS},
    **{f"summary-{by}": partial(sk.summary, by=by) for by in ("step", "trace")},
    **{f"boundedness-{by}": partial(sk.boundedness, by=by) for by in ("step", "trace")},
    "counterfactual": partial(sk.idle_causes, counterfactual=True),
    "critical_path": lambda trace: sk.critical_path(trace).frame,
    "whatif": lambda trace: sk.whatif(trace, host=0.5, remove_syncs=True).frame,
    "advise": sk.advise,
    "tklqt-floor": partial(sk.tklqt, floor={"kernel": 5}),
    "idle_gaps": sk.idle_gaps,
    "top_kernels": sk.top_kernels,
    "launch_floor": sk.launch_floor,
    "collectives": lambda trace: sk.collectives(sk.load_ranks({0: trace})),
    "stragglers": lambda trace: sk.stragglers(sk.load_ranks({0: trace})),
    "diff": lambda trace: sk.diff(trace, loaded()).works,
    "graph": sk.graph,
    "breakdown": sk.breakdown,
    "step_time": sk.step_time,
    "sm_efficiency": sk.sm_efficiency,
    "kernels": partial(sk.kernels, by=["class", "module", "shape"], geometry=True),
    "ops": partial(sk.ops, by=["name", "shape"]),
    "tree": lambda trace: sk.tree(trace).frame,
    "launch_outliers": sk.launch_outliers,
    "queue_depth": lambda trace: sk.queue_depth(trace).frame,
    "copy_bandwidth": lambda trace: sk.copy_bandwidth(trace).frame,
    "efficiency": sk.efficiency,
    "memory": lambda trace: sk.memory(trace).live,
}


def events() -> Iterator[Event]:
    """Two steps on two threads with some of everything."""
    for n in range(2):
        at = 1000 * n
        yield step(n, at, 900)
        yield annotation("DataLoader", at + 1, 10)
        yield python("main", at, 900)
        yield op("aten::mm", at + 20, 300)
        yield call("cudaDeviceSynchronize", at + 500, 100)
        yield event("overhead", "Buffer Flush", at + 550, 5)
        for i in range(20):
            corr = 100 * n + i + 1
            yield call("cudaLaunchKernel", at + 20 + 10 * i, 2, corr, tid=1 + i % 2)
            yield kernel(at + 30 + 13 * i, 9, corr, f"k{i % 3}", stream=i % 4)
        yield memcpy(at + 700, 9)


def loaded() -> sk.Trace:
    return sk.load(list(events()))


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, pl.DataFrame):
        return a.equals(b) and a.schema == b.schema
    if isinstance(a, nx.DiGraph):
        return bool(nx.utils.graphs_equal(a, b))
    return bool(a == b)


def frames(trace: sk.Trace) -> dict[str, pl.DataFrame]:
    """Every frame of a trace and of the recording behind it."""
    found = {}
    for part in (trace, trace.whole):
        for field in fields(part):
            value = getattr(part, field.name)
            if isinstance(value, pl.DataFrame):
                found[f"{type(part).__name__}.{field.name}"] = value
    return found


@pytest.mark.parametrize("window", [False, True], ids=["trace", "step"])
@pytest.mark.parametrize("name", VERBS)
def test_a_verb_changes_nothing_prints_nothing_and_repeats_itself(
    name: str, window: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = loaded().step(1) if window else loaded()
    before = {key: frame.clone() for key, frame in frames(trace).items()}
    first, second = VERBS[name](trace), VERBS[name](trace)
    assert equal(first, second)
    assert capsys.readouterr() == ("", "")
    assert all(equal(frame, before[key]) for key, frame in frames(trace).items())
    assert equal(VERBS[name](loaded().step(1) if window else loaded()), first)


def test_load_leaves_decoded_events_as_they_were() -> None:
    given = list(events())
    sk.load(given)
    assert given == list(events())


def test_a_trace_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        loaded().ops = pl.DataFrame()  # type: ignore[misc]


def test_changing_a_result_does_not_change_the_trace() -> None:
    trace = loaded()
    graph = sk.graph(trace)
    graph.clear()
    assert len(sk.graph(trace)) > 0


def test_what_a_verb_returns_can_be_changed_without_changing_what_it_finds_next() -> None:
    trace = sk.load(fixture_paths()[0])
    for verb in (sk.summary, sk.boundedness, sk.idle_gaps, sk.idle_causes, sk.tklqt):
        first = verb(trace)
        before = first.clone()
        first.replace_column(0, pl.Series("spoiled", [None] * len(first)))
        assert verb(trace).equals(before)


def test_what_was_found_once_is_not_pickled() -> None:
    trace = sk.load(fixture_paths()[0])
    before = len(pickle.dumps(trace))
    sk.idle_gaps(trace)
    sk.summary(trace)
    assert trace.kept
    assert trace.whole.kept
    assert len(pickle.dumps(trace)) == before
