"""The replay: against a plain evaluation of the same model, and against a machine that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import Event, call, fixture_paths, kernel, memcpy, op, step
from machine import Machine, program
from plain_replay import assert_plain

import skiptrace as sk
from skiptrace.predict.replay import replay
from skiptrace.predict.replayed import recorded, run_model, steps_of


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.removesuffix(".json.gz"))
def test_every_time_is_that_of_a_plain_evaluation(path: Path) -> None:
    model = recorded(sk.load(path)).model
    assert_plain(model)
    rng = np.random.default_rng(1)
    factor = rng.uniform(0, 2, len(model.dur))
    assert_plain(replace(model, dur=np.rint(model.dur * factor).astype(np.int64)))
    factor = rng.uniform(0, 2, len(model.delta))
    assert_plain(replace(model, delta=np.rint(model.delta * factor).astype(np.int64)))
    assert_plain(replace(model, waits=()))


@pytest.mark.parametrize("streams", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_random_traces_are_replayed_as_a_plain_evaluation_has_them(seed: int, streams: int) -> None:
    machine = Machine()
    machine.run(program(seed, streams))
    assert_plain(recorded(sk.load(machine.events)).model)


def il_ns(events: list[Event]) -> int:
    trace = sk.load(events)
    made = recorded(trace)
    return int(run_model(made, steps_of(trace), made.model).il[0])


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_a_recorded_machine_is_replayed_to_the_nanosecond(seed: int, streams: int) -> None:
    machine = Machine()
    il = machine.run(program(seed, streams))
    assert il_ns(machine.events) == 1000 * il


def test_a_blocking_copy_ends_its_call() -> None:
    events = [step(1, 0, 200), op("a", 0, 200)]
    for i in range(3):
        at = 60 * i
        events += [call("cudaMemcpy", at + 10, 40, i + 1), memcpy(at + 20, 25, i + 1)]
    made = recorded(sk.load(events))
    assert made.counts["blocking_copies"] == 3
    assert_plain(made.model)
    doubled = replay(replace(made.model, dur=2 * made.model.dur))
    assert (doubled.point - made.model.time)[[1, 3, 5]].tolist() == [25_000, 50_000, 75_000]


@pytest.mark.parametrize("start", [1, 11.5, 12])
def test_a_copy_that_its_call_waited_for_was_not_launched_at_the_return(start: float) -> None:
    # However little it ended before the return, and however wrong its clock is.
    made = recorded(sk.load([call("cudaMemcpy", 2, 10, 1), memcpy(start, 0, 1)]))
    assert made.counts["blocking_copies"] == 1
    assert made.model.point.tolist() == [0]
    assert_plain(made.model)


def test_works_launched_before_the_recording_start_when_they_did() -> None:
    events = [kernel(5, 10), kernel(40, 10), op("a", 0, 9), call("cudaLaunchKernel", 1, 2, 1)]
    made = recorded(sk.load([*events, kernel(20, 5, 1)]))
    assert made.counts["unlinked"] == 2
    assert replay(made.model).start.tolist() == [5_000, 20_000, 40_000]


def test_a_thread_that_is_quiet_waits_for_the_other() -> None:
    events = [op("forward", 0, 50), call("cudaLaunchKernel", 10, 5, 1), kernel(20, 5, 1)]
    events += [op("backward", 150, 350, tid=2), call("cudaLaunchKernel", 450, 5, 2, tid=2)]
    events += [kernel(460, 5, 2), op("step", 520, 50), call("cudaLaunchKernel", 530, 5, 3)]
    made = recorded(sk.load([*events, kernel(540, 5, 3)]))
    assert made.counts["handoffs"] == 1
    later = made.model.delta.copy()
    later[made.model.time == 450_000] += 1_000_000
    times = replay(replace(made.model, delta=later))
    assert times.start[-1] == 540_000 + 1_000_000


def test_a_launch_into_a_full_queue_returns_when_a_work_has_started() -> None:
    events: list[Event] = [step(1, 0, 10_000), op("a", 0, 9_000)]
    starts = [5 + 21 * i for i in range(1300)]
    now = 0
    for i, start in enumerate(starts):
        depth = i - sum(begun <= now for begun in starts[:i])
        took = 1 if depth < 1000 else starts[i - 999] + 1 - now
        events += [call("cudaLaunchKernel", now, took, i + 1), kernel(start, 20, i + 1)]
        now += took + 1
    made = recorded(sk.load(events))
    blocked = made.counts["queue_full"]
    assert blocked > 90
    il = run_model(made, steps_of(sk.load(events)), made.model).il[0]
    assert il == pytest.approx(1000 * (starts[-1] + 20), rel=1e-3)
    slower = replay(replace(made.model, dur=2 * made.model.dur))
    delay = int(slower.point[-1] - made.model.time[-1])
    assert delay == pytest.approx(20_000 * (1300 - 1000), rel=0.05)
