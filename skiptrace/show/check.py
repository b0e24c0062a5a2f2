"""Whether a trace keeps to limits: the decision behind `skiptrace check`, and its reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.summary import figures, median_step
from skiptrace.model.trace import Trace
from skiptrace.predict.boundedness import verdicts
from skiptrace.show.text import printable

VERDICTS = ("cpu", "gpu", "balanced")
GRADES = ("doubtful", "usable", "good")
"""Worst first."""
LEAST_GRADE = "usable"
"""What a trace is held to where no grade is asked for: figures of a damaged one prove nothing."""


class Figures(NamedTuple):
    """What limits are held against."""

    steps: pl.DataFrame
    """The steps that have a latency, as `summary` has them."""
    verdict: dict[str, Any]
    """The row of `boundedness` by trace."""
    grade: str
    """With what it rests on, as `Trace.grade` has it."""


@dataclass(frozen=True)
class Limit:
    """A figure, and how a bound is set on it."""

    what: str
    """The figure, in words."""
    unit: str
    """Of the bound: ``share``, ``us``, ``ms`` or nothing; times are found in ns."""
    find: Callable[[Figures], float | str | None]
    choices: tuple[str, ...] = ()
    """What the bound may be, where it is no number: it must be met, or be a grade at least."""


def _median(name: str) -> Callable[[Figures], float | None]:
    """A figure of the median step by latency, the lower of an even count, as in a sweep."""

    def find(found: Figures) -> float | None:
        return next(iter(median_step(found.steps)[name]), None)

    return find


def _idle_share(found: Figures) -> float | None:
    whole = int((found.steps["il_ns"] * found.steps["devices"]).sum())
    return int(found.steps["gpu_idle_ns"].sum()) / whole if whole else None


LIMITS: dict[str, Limit] = {
    "verdict": Limit(
        "the verdict on the trace", "", lambda found: found.verdict["verdict"], VERDICTS
    ),
    "max_idle_share": Limit(
        "the share of the latency in which the device idles", "share", _idle_share
    ),
    "max_host_share": Limit(
        "the share of the critical path on the host", "share",
        lambda found: found.verdict["host_share"],
    ),
    "max_il_ms": Limit("the latency of the median step", "ms", _median("il_ns")),
    "max_tklqt_us": Limit(
        "the mean time from a kernel launch to its kernel", "us",
        lambda found: found.verdict["tklqt_per_launch_ns"],
    ),
    "max_launches": Limit(
        "the number of kernel launches of the median step", "", _median("launches")
    ),
    "grade": Limit(
        "the grade of the trace, or better", "",
        lambda found: found.grade.partition(":")[0], GRADES,
    ),
}  # fmt: skip
"""Name of a limit -> what it bounds. The options of the command are made of these."""

_ALLOWED = f"--grade {GRADES[0]} allows it"
_NS = {"us": 1e3, "ms": 1e6}


class Held(NamedTuple):
    """A limit, and whether the trace keeps to it."""

    limit: str
    bound: float | str
    value: float | str | None
    """In the unit of the bound; None where the trace has no such figure: it keeps to no limit."""
    held: bool
    sentence: str


def check(trace: Trace, limits: Mapping[str, float | str]) -> list[Held]:
    """Hold a trace to limits.

    Parameters
    ----------
    trace
        A trace or a window of one.
    limits
        Name of `LIMITS` -> bound, in its unit. Without ``grade``, a ``doubtful`` trace breaks it.

    Returns
    -------
    list of Held
        One a limit, in the order of `LIMITS`; the grade, where not asked for, only if it is broken.

    Raises
    ------
    UnknownKeyError
        No limit, an unknown one, or a bound that is none.
    """
    check_limits(limits)
    warn_of_doubts(trace, "boundedness")
    steps = figures(trace, "step", None)
    verdict = verdicts(trace, steps, "trace", None).row(0, named=True)
    known = steps.filter(pl.col("il_ns").is_not_null())
    found = Figures(known, verdict, trace.grade)
    bounds = {"grade": LEAST_GRADE} | dict(limits)
    held = [_held(name, LIMITS[name], bounds[name], found) for name in LIMITS if name in bounds]
    return [
        one if one.limit in limits else one._replace(sentence=f"{one.sentence} ({_ALLOWED})")
        for one in held
        if one.limit in limits or not one.held
    ]


def check_limits(limits: Mapping[str, float | str]) -> None:
    """Raise `UnknownKeyError` for what is no limit, before any trace is loaded."""
    if not limits:
        raise UnknownKeyError.no_limits(LIMITS)
    for name, bound in limits.items():
        if name not in LIMITS:
            raise UnknownKeyError.of("limit", name, LIMITS)
        choices = LIMITS[name].choices
        if choices and bound not in choices:
            raise UnknownKeyError.bound(name, bound, ", ".join(choices))
        most = 1 if LIMITS[name].unit == "share" else float("inf")
        if not choices and not (isinstance(bound, (int, float)) and 0 <= bound <= most):
            valid = "from 0 to 1 (0.3 is 30 %)" if most == 1 else "0 or more"
            raise UnknownKeyError.bound(name, bound, valid)


def _held(name: str, limit: Limit, bound: float | str, found: Figures) -> Held:
    value = limit.find(found)
    if value is None:
        why = found.verdict["because"]
        return Held(name, bound, None, held=False, sentence=f"{limit.what} cannot be told: {why}")
    if isinstance(value, str) or isinstance(bound, str):
        wanted = GRADES[GRADES.index(str(bound)) :] if name == "grade" else (bound,)
        shown = found.grade if name == "grade" else value
        kept = value in wanted
        what, better = limit.what.partition(", ")[::2]
        asked = f"{bound} {better}".rstrip()
        text = f"{what} is {shown}, {'as asked' if kept else f'and not {asked}'}"
        return Held(name, bound, value, held=kept, sentence=text)
    value = value / _NS[limit.unit] if limit.unit in _NS else value
    kept = value <= bound
    now, most = (_shown(v, limit.unit) for v in (value, bound))
    text = f"{limit.what} is {now}, " + (f"at most {most}" if kept else f"more than {most}")
    return Held(name, bound, value, held=kept, sentence=text)


def _shown(value: float, unit: str) -> str:
    if unit == "share":
        return f"{100 * value:.6g} %"
    return f"{value:,.6g} {unit.replace('us', 'µs')}" if unit else f"{value:,.12g}"


def check_line(source: str, found: list[Held]) -> str:
    """The decision on a trace in a line: all that was held to, or each limit that was broken."""
    broken = [one.sentence for one in found if not one.held]
    told = broken or [one.sentence for one in found]
    return f"{printable(source)}: {'broken' if broken else 'held'}: {'; '.join(told)}"


def check_dict(found: Mapping[str, list[Held]]) -> dict[str, Any]:
    """The decisions by source as JSON types; bounds and values in the units of their limits."""
    traces = [
        {
            "source": source,
            "held": all(one.held for one in held),
            "limits": [one._asdict() for one in held],
        }
        for source, held in found.items()
    ]
    return {
        "schema": "skiptrace.check/1",
        "held": all(one["held"] for one in traces),
        "traces": traces,
    }
