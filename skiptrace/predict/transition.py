"""Where a sweep turns from CPU- to GPU-bound: the crossing of a threshold, for good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Transition:
    """Where a curve crosses a threshold and stays beyond it."""

    parameter: Any
    """First GPU-bound parameter; None where there is no turn in the sweep."""
    last_cpu_bound: Any
    """The parameter before it; the last one of all where the sweep never turns."""
    interpolated: float | None
    """Where a line between the two, linear in the log of the parameter, crosses the threshold."""
    threshold: float
    evidence: tuple[tuple[Any, float | None], ...]
    """(parameter, value) for every point of the sweep."""
    reason: str
    """The finding in a sentence."""


def find_transition(
    what: str, parameters: Sequence[Any], values: Sequence[float | None], threshold: float
) -> Transition:
    """The first parameter from which on the value stays at or above the threshold.

    Parameters
    ----------
    what
        What the values are, for the sentence.
    parameters
        In ascending order.
    values
        One each; None (nothing to judge) counts as below.
    threshold
        What they have to reach.
    """
    evidence = tuple(zip(parameters, values, strict=True))
    first = len(parameters)
    while first > 0 and (value := values[first - 1]) is not None and value >= threshold:
        first -= 1
    if first == len(parameters):
        last = parameters[-1] if parameters else None
        shown = _shown(values[-1] if values else None)
        reason = (
            f"never turns: {what} is {shown} at {last}, the last of the sweep, and would have to "
            f"reach {_shown(threshold)}"
        )
        return Transition(None, last, None, threshold, evidence, reason)
    if first == 0:
        reason = (
            f"past the turn from the start: {what} is {_shown(values[0])} at {parameters[0]}, "
            f"at or above {_shown(threshold)}"
        )
        return Transition(None, None, None, threshold, evidence, reason)
    low, high = parameters[first - 1], parameters[first]
    return Transition(
        high,
        low,
        _cross(low, high, values[first - 1], values[first], threshold),
        threshold,
        evidence,
        f"{what} rises from {_shown(values[first - 1])} at {low} to {_shown(values[first])} at "
        f"{high} and stays at or above {_shown(threshold)}",
    )


def _shown(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _cross(
    low: object, high: object, below: float | None, above: float | None, at: float
) -> float | None:
    """Where the line crosses `at`, linear in the log of the parameter; None if that has no log."""
    if below is None or above is None or above <= below:
        return None
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > 0):
        return None
    share = (at - below) / (above - below)
    return float(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))
