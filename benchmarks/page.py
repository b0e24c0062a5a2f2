"""Figures to tables: goals with what was measured beside them, then everything by group."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cases import CASES, REPORT

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PROPORTIONAL = 1.15
"""What is to be proportional may be this much more: the tolerance that the goal of growth has."""


class Results:
    """What runs have left in the cache, by group."""

    def __init__(self, groups: dict[str, list[dict[str, Any]]]) -> None:
        self.groups = groups

    @classmethod
    def of(cls, folder: Path) -> Results:
        """All groups that have run to their end."""
        return cls(
            {
                path.stem: [json.loads(x) for x in path.read_text(encoding="utf-8").splitlines()]
                for path in sorted(folder.glob("*.jsonl"))
            }
        )

    def values(self, group: str, file: str, case: str, key: str) -> list[float]:
        """A figure of every round.

        Raises
        ------
        LookupError
            The group has not run, or the case found nothing to measure: says so.
        """
        rows = [
            row for row in self.groups.get(group, []) if (row["file"], row["case"]) == (file, case)
        ]
        if not rows:
            raise LookupError("not measured")
        if "missing" in rows[0]:
            raise LookupError(rows[0]["missing"])
        return [row[key] for row in rows]

    def median(self, group: str, file: str, case: str, key: str = "seconds") -> float:
        """Over the rounds."""
        return median(self.values(group, file, case, key))

    def ratio(self, group: str, of: tuple[str, ...], to: tuple[str, ...]) -> float:
        """Of two medians of one group: (file, case) or (file, case, key)."""
        return self.median(group, *of) / self.median(group, *to)


@dataclass(frozen=True)
class Goal:
    """A line of the first table."""

    what: str
    figure: Callable[[Results], float]
    limit: float
    said: str
    """The goal in words."""
    shown: str = "{:.2f} ×"
    at_least: bool = False
    beyond: float | None = None
    """What to reach for."""

    def row(self, results: Results) -> str:
        """What was measured, and whether that is what was wanted."""
        try:
            found = self.figure(results)
        except LookupError as error:
            return f"| {self.what} | {error.args[0]} | {self.said} | - |"
        sign = -1 if self.at_least else 1
        met = "yes" if sign * found <= sign * self.limit else "**no**"
        if self.beyond is not None and sign * found <= sign * self.beyond:
            met = "yes, and the further aim"
        return f"| {self.what} | {self.shown.format(found)} | {self.said} | {met} |"


def _loads(file: str, said: str) -> Goal:
    return Goal(
        f"`sk.load`, {said}, against `orjson.loads` alone",
        lambda r: r.ratio("load", (file, "load"), (file, "orjson_loads")),
        0.8, "at most 0.8 × (reach for 0.5 ×)", beyond=0.5,
    )  # fmt: skip


def _peak(group: str, file: str, said: str, limit: float) -> Goal:
    return Goal(
        f"peak RSS of that, {said}, against the file",
        lambda r: r.ratio(group, (file, "load", "peak_mb"), (file, "load", "mb")),
        limit, f"at most {limit} ×",
    )  # fmt: skip


def growth(results: Results) -> float:
    """By how much the CPU time a MB differs over the sizes."""
    files = ("part", "part x 4", "part x 20")
    per_mb = [results.ratio("growth", (f, "load", "cpu"), (f, "load", "mb")) for f in files]
    return max(per_mb) / min(per_mb) - 1


def step_against_whole(results: Results) -> float:
    """Seconds a node and edge: of a step of a large trace, against a whole smaller trace."""

    def each(file: str, case: str) -> float:
        found = [results.median("graph", file, case, k) for k in ("seconds", "nodes", "edges")]
        return found[0] / (found[1] + found[2])

    return each("decode 1 GB", "graph_step") / each("decode", "graph")


def left_out_against_saved(results: Results) -> float:
    """Share of the events that are left out over the share of the time which that saves."""

    def less(*what: str) -> float:
        return 1 - results.ratio(
            "leave out", ("stacks", "no_python", *what), ("stacks", "load", *what)
        )

    return less("events") / less()


GOALS = (
    _loads("decode", "189 MB"),
    _loads("decode 1 GB", "1 GB"),
    _peak("load", "decode", "189 MB", 1.4),
    _peak("load", "decode 1 GB", "1 GB", 1.0),
    _peak("memory", "decode 4 GB", "4 GB", 0.75),
    Goal(
        "CPU time a MB over 50 MB, 200 MB, 1 GB: the largest over the smallest",
        growth, 0.15, "within 15 %", "{:+.0%}",
    ),
    Goal(
        "`.json.gz` against unpacked",
        lambda r: r.ratio("gzip", ("decode, gzip", "load"), ("decode", "load")),
        1.25, "at most 1.25 ×",
    ),
    Goal(
        "all verbs of a report together, against the load, without the replay in `boundedness`",
        lambda r: r.ratio("verbs", ("decode", "without_replay"), ("decode", "load")),
        0.25, "at most 0.25 ×",
    ),
    Goal(
        "faster than Holistic Trace Analysis: load, launch statistics, idle breakdown",
        lambda r: r.ratio("hta", ("decode", "hta"), ("decode", "report")),
        15, "at least 15 × (reach for 25 ×)", "{:.1f} ×", at_least=True, beyond=25,
    ),
    Goal(
        "peak RSS of that, against its",
        lambda r: r.ratio("hta", ("decode", "report", "peak_mb"), ("decode", "hta", "peak_mb")),
        1 / 3, "under 0.33 ×",
    ),
    Goal(
        "saved trace: faster to load than its JSON",
        lambda r: r.ratio("save", ("decode", "load"), ("decode", "reload")),
        20, "at least 20 ×", "{:.1f} ×", at_least=True,
    ),
    Goal(
        "saved trace: bytes on disk against its `.json.gz`",
        lambda r: r.median("save", "decode", "save", "bytes")
        / (1e6 * r.median("gzip", "decode, gzip", "load", "mb")),
        1, "at most 1 ×",
    ),
    Goal(
        "without Python frames: share of the events left out over share of the time saved",
        left_out_against_saved,
        PROPORTIONAL, "proportionally faster (within 15 %)",
    ),
    Goal(
        "`sk.graph` against bare `add_nodes_from` and `add_edges_from`",
        lambda r: r.ratio("graph", ("decode", "graph"), ("decode", "bare_graph")),
        1.5, "at most 1.5 ×",
    ),
    Goal(
        "`sk.graph` of a step of 1 GB: time a node and edge, against a whole trace of 189 MB",
        step_against_whole, PROPORTIONAL, "in proportion (within 15 %)",
    ),
)  # fmt: skip


def tables(results: Results) -> str:
    """Everything between the marks of the page."""
    machines = sorted({row["machine"] for rows in results.groups.values() for row in rows})
    lines = [f"Measured on: {machine}." for machine in machines]
    lines += ["", "| what | measured | goal | met |", "|---|---|---|---|"]
    lines += [goal.row(results) for goal in GOALS]
    lines += [
        "",
        "| file | MB | what | seconds (range) | CPU seconds | CPU ms a MB | peak RSS, MB |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for group, rows in results.groups.items():
        for file, case in dict.fromkeys((row["file"], row["case"]) for row in rows):
            lines += _detail(results, group, file, case)
    return "\n".join(lines)


def _detail(results: Results, group: str, file: str, case: str) -> list[str]:
    try:
        seconds = results.values(group, file, case, "seconds")
    except LookupError:
        return []
    cpu, mb, peak = (results.median(group, file, case, k) for k in ("cpu", "mb", "peak_mb"))
    what = f"`sk.{case}`" if case in REPORT else (CASES[case].__doc__ or "").partition("\n")[0]
    spread = f" ({min(seconds):.3g} to {max(seconds):.3g})" if len(seconds) > 1 else ""
    cells = (file, f"{mb:,.0f}", what.rstrip("."), f"{median(seconds):.3g}{spread}")
    numbers = (f"{cpu:.3g}", f"{1000 * cpu / mb:.2f}", f"{peak:,.0f}")
    return ["| " + " | ".join(cells + numbers) + " |"]


def write(path: Path, text: str) -> None:
    """Put the tables between the marks of a page; the rest of it stays."""
    page = path.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path} lacks the marks {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
