"""The report on several traces: which is fastest and why, or which rank is late, and each one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

import polars as pl

from skiptrace.measure.diff import CHANGES, Diff, diff
from skiptrace.measure.ranks import Ranks
from skiptrace.measure.stragglers import stragglers
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
from skiptrace.show.page.table import ROWS, Table, definitions, draw
from skiptrace.show.several import sentence

NAMES = 4
"""Traces that the head names."""
LEAST = 20
"""Rows of each table, however many differences share the page's."""
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
    """The page of a set of traces."""
    parts = {called: gather(trace, floor) for called, trace in traces.items()}
    base = next(iter(parts.values())).step
    medians = [_median(called, one.step, base) for called, one in parts.items()]
    side = _side_by_side(medians)
    ranks = _ranks_of(traces)
    if ranks is not None:
        top, middle, tables = _waits(ranks)
    else:
        top, middle, tables = _differences(traces, medians)
    beside = ("figures", "Side by side", join(figures.missing(), draw(side)))
    each = join(*(_each(called, one) for called, one in parts.items()))
    defined = join(*(definitions(table) for table in _distinct([side, *tables])))
    heading, *rest = top
    head_ = join(
        element("p", f"skiptrace report on {len(traces)} traces: ", join(*_names(traces)),
                class_="what"),
        element("h1", heading, class_="verdict several"),
        *rest,
    )  # fmt: skip
    return document(
        heading,
        head_,
        [
            *(middle if ranks else ()),
            beside,
            *(() if ranks else middle),
            ("each", "Each by itself", each),
            ("definitions", "How each figure is defined", defined),
        ],
    )


def _names(traces: Mapping[str, Trace]) -> list[Part]:
    """What the traces are called, or the first of many."""
    named = [join(", " if n else None, element("b", name(t))) for n, t in enumerate(traces)]
    return [*named[:NAMES], f" and {len(named) - NAMES} more" if len(named) > NAMES else None]


_Told = tuple[list[str | Markup], list[Section], list[Table]]
"""The heading and what follows it in the head, the sections that are of it, their tables."""


def _differences(traces: Mapping[str, Trace], medians: list[dict[str, Any]]) -> _Told:
    """The first trace against each of the others."""
    first = next(iter(traces))
    others = {
        called: diff(traces[first], trace) for called, trace in islice(traces.items(), 1, None)
    }
    tables: list[Table] = []
    changed: list[Section] = []
    for number, (called, found) in enumerate(others.items(), 1):
        mine = _difference(number, first, called, found, max(LEAST, ROWS // len(others)))
        tables += mine
        changed.append(_changed(number, first, called, found, mine))
    answer, why = _answer(medians, first, others)
    top: list[str | Markup] = [answer, element("p", why, class_="because")]
    if len(traces) > 2:
        sweep = element("code", "skiptrace sweep")
        top.append(
            element("p", "Over a parameter, such as the batch size, ", sweep,
                    " tells where the limit turns from host to device.", class_="note")
        )  # fmt: skip
    return top, changed, tables


def _ranks_of(traces: Mapping[str, Trace]) -> Ranks | None:
    """The traces as ranks of one run, if they are, and were recorded with collectives."""
    by_rank = {trace.meta.rank: trace for trace in traces.values()}
    sizes = {trace.meta.world_size for trace in traces.values()}
    if None in by_rank or len(by_rank) < len(traces) or len(sizes) > 1:
        return None
    ranks = Ranks({rank: by_rank[rank] for rank in sorted(r for r in by_rank if r is not None)})
    return None if ranks.matched.is_empty() else ranks


def _waits(ranks: Ranks) -> _Told:
    """Who makes whom wait."""
    waits = stragglers(ranks)
    heading, _, rest = sentence(ranks, waits).partition(": ")
    table = Table(
        "waits", "Who makes whom wait, and what it did meanwhile", waits, several.STRAGGLERS,
        ("rank", "waiting", "wait_share", "wait_ns", "collectives", "activity", "op", "kernel"),
        "sk.stragglers(sk.load_ranks(...))", labels={"rank": "late rank", "wait_share": "share"},
    )  # fmt: skip
    map_ = figures.plot("plot-ranks", "Ranks", lambda width: plots.ranks(ranks, width=width))
    section: Section = ("late", "Who waits for whom", join(map_, draw(table)))
    top: list[str | Markup] = [heading.rstrip(".")]
    return (
        [*top, element("p", capital(rest), class_="because")] if rest else top,
        [section],
        [table],
    )


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


def _difference(number: int, first: str, called: str, found: Diff, rows: int) -> list[Table]:
    """The tables of one difference."""
    call = f"sk.diff({_variable(first)}, {_variable(called)})"
    made = [
        Table(f"split-{number}", "The change of latency, by operator around the launches",
              found.split, several.DIFF_SPLIT,
              ("root_op", "op", "change_ns", "busy_change_ns", "idle_change_ns",
               "behind_change_ns", "before_ns", "after_ns"),
              f"{call}.split", rows=rows)
    ]  # fmt: skip
    for key, title, frame, defined, more in (
        ("ops", "Operators that changed", found.ops, several.DIFF_OPS, ("self_change_ns",)),
        ("works", "Kernels and copies that changed", found.works, several.DIFF_WORKS,
         ("il_change_ns",)),
    ):  # fmt: skip
        columns = ("change", "name", "path", "dur_before_ns", "dur_after_ns", "change_ns", *more)
        changed = frame.filter(pl.col("change") != CHANGES[-1])
        made.append(Table(f"{key}-{number}", title, changed, defined, columns, f"{call}.{key}",
                          rows=rows, labels=_LABELS))  # fmt: skip
    return made


def _variable(called: str) -> str:
    """A name that Python takes, for a trace that may be called anything."""
    return re.sub(r"\W|^(?=\d)", "_", called)


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
