"""Fit what the profiler adds per recorded event, from small loops timed with and without it.

The first file maps ``loop/options`` to nanoseconds an iteration: ``unprofiled_ns`` and
``profiled_ns``, each with ``min`` and ``median``. Loops: ``views`` (one operator), ``launches``
(one operator with one launch), ``nested`` (operators and calls as counted in the trace of the
second file), ``python_calls`` (frames alone); options: ``default``, ``shapes``, ``stack``,
``memory``. Prints nanoseconds an event, from the medians and from the shortest iterations: the
table in ``skiptrace.predict.profiler_cost`` holds such figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import skiptrace as sk

NESTED = (12, 2)
"""Operators and calls of one iteration of ``nested``, where there is no trace to count them in."""
ITERATIONS = 400


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measured", type=Path, help="loops timed with and without the profiler")
    parser.add_argument("nested", nargs="?", type=Path, help="trace of the loop `nested`")
    given = parser.parse_args()
    measured = json.loads(given.measured.read_text(encoding="utf-8"))
    ops, calls = NESTED
    if given.nested:
        trace = sk.load(given.nested)
        ops, calls = (round(len(frame) / ITERATIONS) for frame in (trace.ops, trace.calls))

    def added(loop: str, options: str, figure: str) -> float:
        one = measured[f"{loop}/{options}"]
        return float(one["profiled_ns"][figure] - one["unprofiled_ns"][figure])

    for figure in ("median", "min"):
        events = np.array([[1, 0], [ops, calls], [1, 1]], float)
        took = np.array(
            [added(loop, "default", figure) for loop in ("views", "nested", "launches")]
        )
        weight = 1 / took  # relative errors count, not those of the longest loop alone
        op, call = np.linalg.lstsq(events * weight[:, None], took * weight, rcond=None)[0]
        more = {
            option: [
                (added("views", option, figure) - added("views", "default", figure)),
                (added("nested", option, figure) - added("nested", "default", figure)) / ops,
            ]
            for option in ("shapes", "memory", "stack")
        }
        print(f"{figure}: operator {op:.0f}, call {call:.0f} ns; more an operator, fitted twice:")
        for option, values in more.items():
            print(f"  {option}: " + ", ".join(f"{value:.0f}" for value in values) + " ns")
        frames = added("python_calls", "stack", figure) - added("python_calls", "default", figure)
        print(f"  an iteration of python_calls: {frames:.0f} ns for its frames")


if __name__ == "__main__":
    main()
