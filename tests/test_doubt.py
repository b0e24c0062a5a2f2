"""Verbs warn of what makes their figures doubtful: once a trace and kind, and of nothing else."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Event, call, kernel, op, trace_paths
from rich.console import Console

import skiptrace as sk
from skiptrace.model.health import DOUBTFUL
from skiptrace.show.report import build_report
from skiptrace.show.terminal import print_report

SOUND: list[Event] = [
    op("a", 0, 100, **{"Input Dims": [[1]]}),
    *(call("c", 10 * i, 1, i + 1) for i in range(12)),
    *(kernel(10 * i + 4, 2, i + 1) for i in range(12)),
]
LOST = op("lost", "soon", 1)
SKEWED = [call("c", 300, 1, 99), kernel(297.5, 2, 99)]
EMPTY = [call("cudaGraphLaunch", 200, 1, 50)]

VERBS: dict[str, Callable[[sk.Trace], Any]] = {
    verb: getattr(sk, verb) for verbs in DOUBTFUL.values() for verb in verbs
}


def warned(run: Callable[[], object]) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    return caught


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_warns_once_of_what_is_lost_and_says_where(verb: str) -> None:
    trace = sk.load([*SOUND, LOST])
    (found,) = warned(lambda: VERBS[verb](trace))
    assert found.category is sk.TraceWarning
    message = str(found.message)
    assert message.startswith("<decoded>: 1 unparsed_time: events without a usable time")
    assert message.endswith(f"Figures of {verb} may be wrong: see trace.health.")
    assert Path(found.filename) == Path(__file__)
    assert not warned(lambda: [verb(trace) for verb in VERBS.values()])
    assert not warned(lambda: [verb(trace.between(0, 50_000)) for verb in VERBS.values()])


@pytest.mark.parametrize("verb", VERBS)
def test_a_sound_trace_gives_no_warning(verb: str) -> None:
    assert not warned(lambda: VERBS[verb](sk.load(SOUND)))


def test_each_kind_is_warned_of_apart_and_each_trace() -> None:
    trace = sk.load([*SOUND, *EMPTY, LOST])
    assert len(warned(lambda: sk.idle_gaps(trace))) == 2
    assert not warned(lambda: sk.tklqt(trace))
    assert len(warned(lambda: sk.tklqt(pickle.loads(pickle.dumps(trace))))) == 2


def test_clocks_that_disagree_are_warned_of_where_host_and_device_meet() -> None:
    trace = sk.load([*SOUND, *SKEWED])
    assert not warned(lambda: [sk.fusion(trace), sk.top_kernels(trace)])
    (found,) = warned(lambda: [sk.tklqt(trace), sk.summary(trace), sk.idle_gaps(trace)])
    assert "1 negative_launch_time: launches whose work starts before them" in str(found.message)
    assert "the device's clock is 2,500 ns behind the host's, or more" in str(found.message)


def test_what_is_rare_is_no_reason_to_warn() -> None:
    many = [call("cudaGraphLaunch", 300 + i, 1, 100 + i) for i in range(100)]
    many += [kernel(900 + i, 1, 100 + i) for i in range(100)]
    assert not warned(lambda: sk.tklqt(sk.load([*many, *EMPTY])))


def test_a_saved_trace_warns_too(tmp_path: Path) -> None:
    sk.load([*SOUND, LOST]).save(tmp_path / "saved")
    saved = sk.load(tmp_path / "saved")
    assert len(warned(lambda: sk.tklqt(saved))) == 1
    assert not warned(lambda: sk.tklqt(saved))


def test_the_report_says_it_and_does_not_warn() -> None:
    trace = sk.load([*SOUND, LOST])
    report = build_report(trace)
    assert report.grade == trace.grade == "doubtful: unparsed_time (1)"
    assert report.to_dict()["grade"] == report.grade


TIMELESS = "1 unparsed_time (events without a usable time: left out)"
CLOCKS = (
    "1 negative_launch_time (launches whose work starts before them (clocks disagree): t_l taken "
    "as 0 (the device's clock is 2,500 ns behind the host's, or more))"
)


@pytest.mark.parametrize(
    ("events", "caution"),
    [
        (SOUND, ""),
        ([*SOUND, LOST], f"Verdict and advice rest on a damaged trace: {TIMELESS}."),
        ([*SOUND, *SKEWED], f"Verdict and advice rest on a doubtful trace: {CLOCKS}."),
        (
            [*SOUND, *SKEWED, LOST],
            f"Verdict and advice rest on a damaged trace: {TIMELESS}; also 1 negative_launch_time.",
        ),
        ([op("a", 0, 1), LOST], f"The trace is damaged: {TIMELESS}."),
        ([op("a", 0, 1)], ""),
    ],
    ids=["sound", "damaged", "clocks", "both", "no verdict", "no device"],
)
def test_the_head_of_the_report_says_what_the_verdict_rests_on(
    events: list[Event], caution: str
) -> None:
    report = build_report(sk.load(events))
    assert report.caution == report.to_dict()["caution"] == caution
    console = Console(file=io.StringIO(), width=1000)
    print_report(report, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert (lines[1] == caution) == bool(caution)


@pytest.mark.parametrize("path", trace_paths(), ids=lambda path: "/".join(path.parts[-2:]))
def test_real_traces_do_not_warn(path: Path) -> None:
    if path.stat().st_size > 2_000_000:
        pytest.skip("large")
    trace = sk.load(path)
    kinds = set(trace.health["kind"]) & set(DOUBTFUL)
    assert not kinds, trace.grade


@pytest.mark.parametrize("verb", ["critical_path", "whatif", "advise"])
def test_a_replay_of_work_without_launches_warns_once(verb: str) -> None:
    trace = sk.load([*SOUND, kernel(50, 40, stream=9)])
    (found,) = warned(lambda: VERBS[verb](trace))
    assert "of the device time in the steps is of work whose launch is not recorded" in str(
        found.message
    )
    assert verb in str(found.message)
    assert Path(found.filename) == Path(__file__)
    assert not warned(lambda: [sk.critical_path(trace), sk.whatif(trace), sk.advise(trace)])


def test_a_replay_that_misses_a_step_warns() -> None:
    # Each work waits for something that the recording does not show, and by chance ever longer.
    late = [kernel(20 * i + 4 + i * i, 2, i + 1) for i in range(12)]
    events = [op("a", 0, 300), *(call("c", 20 * i, 1, i + 1) for i in range(12)), *late]
    (found,) = warned(lambda: sk.whatif(sk.load(events)))
    assert "the replay with nothing changed misses all by" in str(found.message)
