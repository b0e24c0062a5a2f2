"""The report on several traces: which is fastest and why, side by side, and each one's verdict."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import polars as pl

from skiptrace.measure.diff import CHANGES, Diff, diff
from skiptrace.model.launches import Floor
from skiptrace.model.schema import measured, predicted, several
from skiptrace.model.schema.column import STR, Column
from skiptrace.model.trace import Trace
from skiptrace.show import plots
from skiptrace.show.page import figures, head
from skiptrace.show.page.head import capital
from skiptrace.show.page.markup import Markup, Part, element, join, name
from skiptrace.show.page.one import Parts, gather
from skiptrace.show.page.shell import Section, document
from skiptrace.show.page.table import Table, definitions, draw

_NAME = Column("name", STR, "", "what the trace was called")
_SPEED = Column("speedup", pl.Float64, "", "latency of the first trace over this one's")
_LABELS = {
    "path": "within", "dur_before_ns": "before", "dur_after_ns": "after",
    "il_change_ns": "of latency",
}  # fmt: skip
_SHOWN = (
    "name", "speedup", "verdict", "il_ns", "busy_share", "gpu_idle_ns", "cpu_busy_ns", "launches",
    "tklqt_ns", "queue_share", "akd_ns", "step",
)  # fmt: skip


def several_page(traces: Mapping[str, Trace], floor: Floor | None) -> str:
    """The page of a set of traces; the first is what the others are compared with."""
    parts = {called: gather(trace, floor) for called, trace in traces.items()}
    first = next(iter(traces))
    others = {
        called: diff(traces[first], trace) for called, trace in islice(traces.items(), 1, None)
    }
    medians = [_median(called, one.step, parts[first].step) for called, one in parts.items()]
    tables = [_side_by_side(medians)]
    changed: list[Section] = []
    for number, (called, found) in enumerate(others.items(), 1):
        mine = _difference(number, first, called, found)
        tables += mine
        changed.append(_changed(number, first, called, found, mine))
    answer, why = _answer(medians, first, others)
    top = join(
        element("p", f"skiptrace report on {len(traces)} traces, compared with ",
                element("b", name(first)), class_="what"),
        element("h1", answer, class_="verdict several"),
        element("p", why, class_="because") if why else None,
        *(_hint(traces)),
    )  # fmt: skip
    return document(
        answer,
        top,
        [
            ("figures", "Side by side", join(figures.missing(), draw(tables[0]))),
            *changed,
            ("each", "Each by itself", join(*(_each(c, one) for c, one in parts.items()))),
            ("definitions", "How each figure is defined",
             join(*(definitions(table) for table in _distinct(tables)))),
        ],
    )  # fmt: skip


def _median(
    called: str, step: dict[str, Any] | None, base: dict[str, Any] | None
) -> dict[str, Any]:
    """The figures of a trace's median step, by name."""
    known = step or {}
    return {
        "name": called, "speedup": base["il_ns"] / step["il_ns"] if base and step else None,
        **{c: known.get(c) for c in _SHOWN[2:]},
    }  # fmt: skip


def _side_by_side(medians: list[dict[str, Any]]) -> Table:
    defined = (_NAME, _SPEED, *predicted.BOUNDEDNESS, *measured.SUMMARY)
    dtypes = {c.name: c.dtype for c in defined}
    frame = pl.DataFrame(medians, schema={c: dtypes[c] for c in _SHOWN})
    return Table(
        "side", "The median step of each", frame, defined, _SHOWN, "sk.summary(trace)",
        labels={"name": "trace", "speedup": "times as fast"},
    )  # fmt: skip


def _answer(
    medians: list[dict[str, Any]], first: str, others: Mapping[str, Diff]
) -> tuple[str, str]:
    """Which is fastest, and the change that makes it so."""
    base, rest = medians[0], [m for m in medians[1:] if m["il_ns"] is not None]
    if base["il_ns"] is None or not rest:
        return "Nothing to compare", f"{first} or all others have no step with a latency."
    best = min(rest, key=lambda m: int(m["il_ns"]))
    other, times = best["name"], base["il_ns"] / best["il_ns"]
    why = f"From {first} to {other}: {others[other].verdict}."
    if times == 1:
        return f"{other} is as fast as {first}", why
    faster, slower = (other, first) if times > 1 else (first, other)
    return f"{faster} is {max(times, 1 / times):.2f} times as fast as {slower}", why


def _hint(traces: Mapping[str, Trace]) -> list[Part]:
    """Where the set is one that another verb knows more of."""
    ranks = {trace.meta.rank for trace in traces.values()}
    if None not in ranks and len(ranks) == len(traces):
        return [
            element("p", "These are ranks of a run: ", element("code", "skiptrace ranks"),
                    " tells who makes whom wait.", class_="note")
        ]  # fmt: skip
    if len(traces) > 2:
        return [
            element("p", "Over a parameter, such as the batch size, ",
                    element("code", "skiptrace sweep"), " tells where the limit turns from host "
                    "to device.", class_="note")
        ]  # fmt: skip
    return []


def _difference(number: int, first: str, called: str, found: Diff) -> list[Table]:
    """The tables of one difference."""
    call = f"sk.diff({first}, {called})"
    made = [
        Table(f"split-{number}", "The change of latency, by operator around the launches",
              found.split, several.DIFF_SPLIT,
              ("root_op", "op", "change_ns", "busy_change_ns", "idle_change_ns",
               "behind_change_ns", "before_ns", "after_ns", "works_before", "works_after"),
              f"{call}.split")
    ]  # fmt: skip
    for key, title, frame, defined, more in (
        ("ops", "Operators that changed", found.ops, several.DIFF_OPS, ("self_change_ns",)),
        ("works", "Kernels and copies that changed", found.works, several.DIFF_WORKS,
         ("il_change_ns",)),
    ):  # fmt: skip
        columns = ("change", "name", "path", "dur_before_ns", "dur_after_ns", "change_ns", *more)
        changed = frame.filter(pl.col("change") != CHANGES[-1])
        made.append(Table(f"{key}-{number}", title, changed, defined, columns, f"{call}.{key}",
                          labels=_LABELS))  # fmt: skip
    return made


def _changed(number: int, first: str, called: str, found: Diff, tables: list[Table]) -> Section:
    verdict = element("p", f"{capital(found.verdict)}.", class_="because")
    bars = None if found.change_ns is None else figures.plot(
        f"plot-diff-{number}", f"From the latency of {first} to that of {called}",
        lambda width: plots.diff(found, width=width),
    )  # fmt: skip
    body = join(verdict, bars, *(draw(table) for table in tables))
    return f"diff-{number}", f"From {first} to {called}", body


def _each(called: str, parts: Parts) -> Markup:
    return element(
        "section", element("p", name(called), class_="what"), *head.answer(parts.report, "h3"),
        head.grade(parts.report),
        element("p", parts.report.advice) if parts.report.advice else None,
        head.changes(parts.report.changes, "h4"), class_="each",
    )  # fmt: skip


def _distinct(tables: list[Table]) -> list[Table]:
    """One table of each title: what a column means is said once."""
    return list({table.title: table for table in reversed(tables)}.values())[::-1]
