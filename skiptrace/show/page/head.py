"""What a report begins with: the verdict, what makes it doubtful, and what would pay."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

import polars as pl

from skiptrace.model.duration import duration
from skiptrace.model.meta import Meta
from skiptrace.model.schema.column import Column
from skiptrace.model.schema.measured import SUMMARY
from skiptrace.model.schema.predicted import BOUNDEDNESS
from skiptrace.show.advice import change_in_words
from skiptrace.show.page.markup import Markup, Part, bar, element, join, name
from skiptrace.show.page.table import LABELS
from skiptrace.show.report import Report
from skiptrace.show.text import cell, label, percent

TOP = 3
"""Changes that stand in the head; the others are in their table."""
_LEADS = {
    "fuse": ", beginning with ", "cuda_graph": "; most host time is in ",
    "remove_syncs": ", within ",
}  # fmt: skip
"""What stands between a change and its place, where "at" would not tell."""
_FIGURES = (
    "il_ns", "busy_share", "gpu_idle_ns", "launches", "tklqt_ns", "tklqt_per_launch_ns", "floor_ns",
    "akd_ns",
)  # fmt: skip


def head(report: Report, meta: Meta, step: dict[str, Any] | None) -> Markup:
    """The head of the report on one trace; `step` is its median step."""
    return join(
        element("p", "skiptrace report on ", element("b", source_name(meta)), class_="what"),
        *answer(report, "h1"),
        grade(report, element("a", "health", href="#health")),
        element("p", report.advice, class_="advice") if report.advice else None,
        changes(report.changes),
        tiles(step) if step else None,
    )


def answer(report: Report, tag: str) -> list[Part]:
    """The verdict, large, what it rests on, and what makes it doubtful."""
    verdict, _, because = report.sentence.partition(": ")
    side = report.verdict["verdict"].item() or "none"
    parts: list[Part] = [
        element(tag, verdict, class_=f"verdict {side}"),
        element("p", capital(because), class_="because"),
    ]
    if report.caution:
        parts.append(element("p", element("b", "Caution. "), report.caution, class_="caution"))
    return parts


def grade(report: Report, more: Part = None) -> Markup | None:
    """How far to trust the figures, where no caution says it, and where `more` is said."""
    if report.grade == "good" or report.caution:
        return None
    see = join(" See ", more, ".") if more else None
    return element("p", f"Trace {report.grade}.", see, class_="grade")


def changes(found: pl.DataFrame, tag: str = "h2") -> Markup | None:
    """The changes that would pay most, with their gain and what to do."""
    if found.is_empty():
        return None
    items = []
    for row in found.head(TOP).iter_rows(named=True):
        gain = element("span", f"{percent(row['gain_share'])} shorter", class_="gain")
        to = f"{duration(row['before_ns'])} → {duration(row['latency_ns'])}"
        items.append(
            element(
                "li",
                element("div", gain, bar(row["gain_share"]), element("span", to), class_="by"),
                element("div", *_words(row)),
                element("div", f"{capital(row['advice'])}.", class_="do"),
            )
        )
    note = (
        "Each weighed by itself, in a replay of the median step without the profiler's own time; "
        "gains do not add up."
    )
    return element(
        "section", element(tag, "What would pay most"), element("ol", *items),
        element("p", note, class_="note"), class_="changes",
    )  # fmt: skip


def _words(row: dict[str, Any]) -> list[Part]:
    """A change in words, and where it is to be made."""
    words, op = change_in_words(row["change"]), row["op"]
    this = re.split("this (?:operator|kernel)", words)
    what = element("b", "With ", this[0], *([name(op or "?", 60), this[1]] if this[1:] else []))
    waits = row["change"].startswith("remove_syncs='")  # which names the operator
    first = None if this[1:] else row["root_op"] if waits else op
    found = [name(place, 60) for place in (first, row["module"], row["python"]) if place]
    lead = next(
        (words for start, words in _LEADS.items() if row["change"].startswith(start)), ", at "
    )
    places = [join(", " if n else lead, place) for n, place in enumerate(found)]
    return [what, *places]


def capital(sentence: str) -> str:
    """The sentence with a capital at its head."""
    return sentence[:1].upper() + sentence[1:]


def tiles(step: dict[str, Any]) -> Markup:
    """The figures of the median step."""
    known = {column.name: column for column in (*BOUNDEDNESS, *SUMMARY)}
    shown = [known[c] for c in _FIGURES if step.get(c) is not None]
    return element(
        "section", element("h2", "The median step, ", name(step["step"], 40)),
        element("dl", *(_tile(column, step) for column in shown)), class_="tiles",
    )  # fmt: skip


def _tile(column: Column, step: dict[str, Any]) -> Markup:
    heading = LABELS.get(column.name) or label(column.name)
    value = element("dd", cell(column.name, step[column.name], 0))
    return element("div", element("dt", heading), value, title=column.meaning)


def source_name(meta: Meta) -> str:
    """The file's own name: where it lies is of no use to who is sent the report."""
    return PurePath(meta.source).name or meta.source


def about(meta: Meta) -> Markup:
    """What the file says of itself, in a line each."""
    devices = sorted(set(meta.devices.values()))
    listed = len(meta.devices)
    versions = ", ".join(f"{k.removesuffix('_version')} {v}" for k, v in meta.versions.items())
    options = ", ".join(k for k, on in meta.options.items() if on)
    rank = None if meta.rank is None else f"{meta.rank} of {meta.world_size or '?'}"
    facts = {
        "events": f"{meta.events:,}",
        "devices": ", ".join(devices) + (f" ({listed} listed)" if listed > 1 else ""),
        "rank": rank,
        "versions": versions,
        "recorded beside times": options,
    }
    rows = [join(element("dt", k), element("dd", name(v, 200))) for k, v in facts.items() if v]
    return element("dl", *rows, class_="facts")
