"""Limits on a trace: what is held to what, what breaks, and the exit code that a gate goes by."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from helpers import fixture_path, kernel, op
from sweeps import steps_at

import skiptrace as sk
from skiptrace import cli
from skiptrace.errors import UnknownKeyError
from skiptrace.show.check import LIMITS, check, check_dict


def trace() -> sk.Trace:
    """Three steps, the middle one with the median latency."""
    return sk.load(steps_at(1, [20, 25, 30]))


def figures(loaded: sk.Trace) -> dict[str, float | str]:
    """What each limit is held against, from the verbs."""
    steps, verdict = sk.summary(loaded), sk.boundedness(loaded, by="trace").row(0, named=True)
    ordered = steps.sort("il_ns")
    median = ordered.row((len(ordered) - 1) // 2, named=True)
    return {
        "verdict": verdict["verdict"],
        "max_idle_share": sum(steps["gpu_idle_ns"]) / sum(steps["il_ns"] * steps["devices"]),
        "max_host_share": verdict["host_share"],
        "max_il_ms": median["il_ns"] / 1e6,
        "max_tklqt_us": verdict["tklqt_per_launch_ns"] / 1e3,
        "max_launches": median["launches"],
        "grade": loaded.grade.partition(":")[0],
    }


@pytest.mark.parametrize("loaded", [trace(), sk.load(fixture_path("sync"))], ids=["steps", "real"])
def test_every_limit_is_held_against_its_figure(loaded: sk.Trace) -> None:
    wanted = figures(loaded)
    assert list(wanted) == list(LIMITS)
    found = check(loaded, {"grade": "good"} | wanted)
    assert [one.limit for one in found] == list(LIMITS)
    assert {one.limit: one.value for one in found} == pytest.approx(wanted)
    assert all(one.held for one in found)


@pytest.mark.parametrize("name", [n for n, limit in LIMITS.items() if not limit.choices])
def test_a_figure_is_held_at_its_bound_and_broken_below_it(name: str) -> None:
    value = float(figures(trace())[name])
    (at,) = check(trace(), {name: value})
    (below,) = check(trace(), {name: value * (1 - 1e-9)})
    assert (at.held, below.held) == (True, False)
    assert "at most" in at.sentence
    assert "more than" in below.sentence
    assert LIMITS[name].what in below.sentence


def test_verdicts_grades_and_large_numbers() -> None:
    loaded = trace()
    assert check(loaded, {"max_launches": 1234567})[0].sentence.endswith("at most 1,234,567")
    assert [check(loaded, {"verdict": v})[0].held for v in ("cpu", "gpu", "balanced")] == [
        True, False, False,
    ]  # fmt: skip
    (broken,) = check(loaded, {"verdict": "gpu"})
    assert broken.sentence == "the verdict on the trace is cpu, and not gpu"
    usable = sk.load([*steps_at(1, [20]), kernel(1, 1), *[op("x", 1, 1)] * 2])
    assert usable.grade.startswith("usable")
    grades = [check(usable, {"grade": grade})[0] for grade in ("usable", "good")]
    assert [one.held for one in grades] == [True, False]
    assert grades[1].sentence == "the grade of the trace is usable, and not good or better"


def test_what_a_trace_has_not_keeps_to_no_limit() -> None:
    limits: dict[str, Any] = {n: limit.choices[0] if limit.choices else 1
                              for n, limit in LIMITS.items()}  # fmt: skip
    found = check(sk.load([]), limits)
    assert [one.held for one in found] == [False] * len(LIMITS)
    assert found[0].sentence == "the verdict on the trace cannot be told: nothing ran on a device"


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({}, "none is given. Give one or more of --verdict, --max-idle-share, "),
        ({"max_idle": 1}, "Did you mean 'max_idle_share'"),
        ({"max_idle_share": 30}, "--max-idle-share 30 is no limit. Valid: from 0 to 1 (0.3"),
        ({"max_il_ms": -1}, "0 or more"),
        ({"max_il_ms": float("nan")}, "0 or more"),
        ({"max_il_ms": "5"}, "0 or more"),
        ({"verdict": "GPU"}, "cpu, gpu, balanced"),
        ({"grade": "doubtful"}, "usable, good"),
    ],
)
def test_what_is_no_limit_is_told(limits: Any, told: str) -> None:
    with pytest.raises(UnknownKeyError, match=re.escape(told)):
        check(trace(), limits)


# --- the command ----------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    try:
        return cli.main(["check", str(fixture_path("sync")), *map(str, arguments)])
    except SystemExit as leave:  # argparse
        return int(str(leave.code))


def test_a_gate_says_what_was_held_in_a_line_or_each_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--max-idle-share", 0.4, "--verdict", "gpu") == 0
    assert capsys.readouterr().out == (
        "held: the verdict on the trace is gpu, as asked; the share of the latency in which the "
        "device idles is 36.6861 %, at most 40 %\n"
    )
    assert run("--max-idle-share", 0.3, "--verdict", "cpu", "--max-il-ms", 5) == 1
    assert capsys.readouterr().out.splitlines() == [
        "broken: the verdict on the trace is gpu, and not cpu",
        "broken: the share of the latency in which the device idles is 36.6861 %, more than 30 %",
    ]


def test_json_has_every_limit_and_the_same_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--max-idle-share", 0.3, "--verdict", "gpu", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    loaded = sk.load(fixture_path("sync"))
    assert found == check_dict(
        loaded.meta.source, check(loaded, {"max_idle_share": 0.3, "verdict": "gpu"})
    )
    assert (found["schema"], found["held"]) == ("skiptrace.check/1", False)
    assert [one["held"] for one in found["limits"]] == [True, False]


@pytest.mark.parametrize(
    "arguments",
    [(), ("--max-idle-share", 30), ("--verdict", "fast"), ("--step", 99, "--max-il-ms", 1)],
)
def test_an_error_is_neither(arguments: tuple[object, ...]) -> None:
    assert run(*arguments) == 2
