"""What a newcomer asks for in vain is told: no frames, no such category, an empty window ..."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Event, call, fixture_path, kernel, op, python, step

import skiptrace as sk
from skiptrace.errors import StepError, UnknownKeyError
from skiptrace.model.health import Findings
from skiptrace.read.faults import Fault
from skiptrace.show.report import build_report

PLAIN: list[Event] = [
    step(1, 0, 200),
    op("a", 0, 100),
    *(call("c", 10 * i, 1, i + 1) for i in range(12)),
    *(kernel(10 * i + 4, 2, i + 1) for i in range(12)),
]
FULL: list[Event] = [
    *PLAIN,
    python("nn.Module: Net_0", 0, 150),
    op("b", 120, 5, **{"Input Dims": [[1]]}),
]


def told(run: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
    assert {Path(found.filename) for found in caught} <= {Path(__file__)}
    assert {found.category for found in caught} <= {sk.TraceWarning}
    return [str(found.message) for found in caught]


@pytest.mark.parametrize(
    ("ask", "option"),
    [
        (lambda trace: sk.idle_causes(trace, by="python"), "with_stack=True"),
        (lambda trace: sk.ops(trace, by=["module", "name"]), "with_modules=True or with_stack"),
        (lambda trace: sk.kernels(trace, by="module"), "with_modules=True or with_stack"),
        (lambda trace: sk.ops(trace, by="shape"), "record_shapes=True"),
        (lambda trace: sk.kernels(trace, by="shape"), "record_shapes=True"),
        (sk.efficiency, "record_shapes=True"),
    ],
    ids=[
        "python",
        "ops by module",
        "kernels by module",
        "ops by shape",
        "kernels by shape",
        "rates",
    ],
)
def test_what_was_not_recorded_is_told_once_with_the_option_that_records_it(
    ask: Callable[[sk.Trace], Any], option: str
) -> None:
    trace = sk.load(PLAIN)
    (message,) = told(lambda: ask(trace))
    assert message.startswith("<decoded>: no ")
    assert f"record with {option}" in message
    assert not told(lambda: [ask(trace), ask(trace.step(1))])
    assert not told(lambda: ask(sk.load(FULL)))
    assert not told(lambda: ask(sk.load([])))


def test_a_category_to_leave_out_that_no_event_has_is_told_with_the_nearest() -> None:
    path = fixture_path("eager_step")
    (message,) = told(lambda: sk.load(path, without=["cpu_opp", "kernel"]))
    assert "without='cpu_opp' leaves nothing out" in message
    assert "Did you mean 'cpu_op'?" in message
    assert "cuda_runtime" in message
    assert "kernel," in message  # also what was left out itself
    assert not told(lambda: sk.load(path, without=["cpu_op"]))
    (message,) = told(lambda: sk.load([], without=["x"]))
    assert message.endswith("It has none.")


@pytest.mark.parametrize("source", ["file", "decoded", "saved"])
def test_a_window_beside_the_trace_is_told_with_the_times_there_are(
    source: str, tmp_path: Path
) -> None:
    given: Any = fixture_path("eager_step") if source == "file" else PLAIN
    trace = sk.load(given)
    if source == "saved":
        trace.save(given := tmp_path / "saved")
    frames = (trace.ops, trace.calls, trace.work, trace.annotations, trace.python)
    low = min(int(f["start_ns"].min()) for f in frames if len(f))  # type: ignore[arg-type]
    high = max(int((f["start_ns"] + f["dur_ns"]).max()) for f in frames if len(f))  # type: ignore[arg-type]
    (message,) = told(lambda: sk.load(given, window=(high + 1, high + 2)))
    assert f"starts in the window [{high + 1}, {high + 2}) ns; its times go from " in message
    first, _, last = message.rpartition(" from ")[2].removesuffix(" ns.").partition(" to ")
    # Events that are in no frame have times too.
    assert int(first) <= low
    assert int(last) >= high
    assert not told(lambda: sk.load(given, window=(low, high)))


def test_a_window_of_a_trace_without_times_is_told() -> None:
    (message,) = told(lambda: sk.load([], window=(0, 5)))
    assert message.endswith("it has no times.")


def test_a_data_type_that_no_peak_has_is_an_error_with_those_there_are() -> None:
    with pytest.raises(UnknownKeyError, match=r"'half'.*float16"):
        sk.Peak(flops_per_s={"half": 1e12})


def test_steps_that_are_not_there_name_operators_where_there_are_no_annotations() -> None:
    with pytest.raises(StepError, match="it has, for example: ProfilerStep#1"):
        sk.load(PLAIN, steps="nope")
    with pytest.raises(StepError, match="it has, for example: a, b"):
        sk.load([op("a", 0, 1), op("b", 1, 1)], steps="nope")
    with pytest.raises(StepError, match="which has none"):
        sk.load([kernel(0, 1)], steps="nope")


def test_categories_that_figures_need_are_told_where_they_were_left_out() -> None:
    assert sk.load(FULL, without=["python_function"]).grade == sk.load(PLAIN).grade == "good"
    trace = sk.load(PLAIN, without=["cpu_op"])
    assert trace.grade == "usable: needed_left_out (1)"
    (row,) = trace.health.filter(kind="needed_left_out").iter_rows(named=True)
    assert row["meaning"].endswith("(cpu_op)")
    assert row["affects"].startswith("idle causes")
    caution = build_report(trace).caution
    assert caution.startswith("Verdict and advice rest on a doubtful trace: 1 needed_left_out")
    assert "cpu_op" in caution


@pytest.mark.parametrize(("lost", "share"), [(0, ""), (1, "8.3"), (9, "75")])
def test_a_verdict_on_work_without_launches_says_so(lost: int, share: str) -> None:
    report = build_report(sk.load([*PLAIN[:2], *PLAIN[2 + lost :]]))
    said = f"Verdict and advice rest on a cut trace: {share} % of the device time"
    assert report.caution.startswith(said) if share else not report.caution


def test_a_verdict_on_launches_without_work_says_so() -> None:
    launches = [call("cudaLaunchKernel", 120 + i, 1, 50 + i) for i in range(4)]
    assert not build_report(sk.load([*PLAIN, launches[0]])).caution
    assert "4 launch_without_work" in build_report(sk.load([*PLAIN, *launches])).caution


def test_threads_of_two_processes_that_share_a_number_have_a_row_each() -> None:
    events = [op("a", 0, 5, pid=1), op("b", 0, 3, pid=2), op("c", 9, 1, pid=2),
              call("c", 1, 1, 1, pid=2), kernel(2, 7, 1)]  # fmt: skip
    frame = sk.ops(sk.load(events), by="thread")
    columns = ("thread", "count", "self_ns", "launches", "device_ns")
    assert frame.select(columns).rows() == [(1, 1, 5000, 0, 0), (1, 2, 4000, 1, 7000)]


def test_findings_of_one_kind_are_one_row() -> None:
    findings = Findings()
    findings.add("stray_end", 2, 10, 7, "first")
    findings.add_faults([Fault("too_deep", 50, "x"), Fault("too_deep", 9, "y")])
    findings.add("stray_end", 1, 10, 3)
    findings.add_faults([Fault("too_deep", 5, "z")])
    frame = findings.frame()
    columns = ("kind", "count", "share", "example", "byte", "excerpt")
    assert frame.select(columns).rows() == [
        ("stray_end", 3, pytest.approx(0.3), 3, None, None), ("too_deep", 3, None, None, 5, "z"),
    ]  # fmt: skip
