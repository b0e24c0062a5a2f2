"""Modules of the model: which `nn.Module` encloses a moment of a thread."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.model.arguments import find_arguments
from skiptrace.model.nesting import Nest
from skiptrace.model.once import once
from skiptrace.model.trace import Trace, Whole

MARK = "nn.Module: "
"""What the name of the Python frame of a module begins with; the module's own name follows."""
HIERARCHY = "Module Hierarchy"
"""Argument of operators that a TorchScript model ran: the modules around each, and their
functions, as ``TOP(Net)::forward.conv(Conv2d)::forward.``"""
_ELEMENT = re.compile(r"(?P<module>[^()]*?(?:\([^()]*\))?)::[^.]*(?:\.|$)")
_NO_MODULE = re.compile(r"SELF\(|CALL_FUNCTION|.*\(\)$|$")
"""The module before it, a free function, and what belongs to no class."""
_COLUMNS = ("id", "name", "start_ns", "dur_ns", "pid", "tid")


@once
def all_modules(whole: Whole) -> pl.DataFrame:
    """Calls of modules over the recording: ``id``, ``name``, times, thread, and ``event``.

    They are the Python frames of modules, without the mark in their names. In a recording that has
    none they are made of the operators' `HIERARCHY`: operators of one parent that follow each other
    in the same module and step are one call of it, from the start of the first to the last end.
    ``event`` is the id of the frame, or of the first operator.
    """
    frames = whole.python
    if not frames.is_empty():
        names = frames["name"].unique()
        modules = names.filter(names.str.starts_with(MARK))
        frames = frames.filter(pl.col("name").is_in(modules.implode()))
    if frames.is_empty() and HIERARCHY in whole.mentioned:
        return _of_operators(whole)
    name = pl.col("name").str.strip_prefix(MARK)
    return frames.select(_COLUMNS).with_columns(name=name, event=pl.col("id"))


def module_frames(trace: Trace) -> pl.DataFrame:
    """Those of `all_modules` that start in a trace or a window."""
    found = all_modules(trace.whole)
    if trace.window is None:
        return found
    own = pl.concat([trace.python["id"], trace.ops["id"]])
    return found.filter(pl.col("event").is_in(own.implode()))


def modules_at(trace: Trace, where: pl.DataFrame) -> pl.Series:
    """Name of the innermost module at each ``pid``, ``tid``, ``start_ns``; null where none."""
    frames = all_modules(trace.whole)
    row = Nest(frames).at(*(where[c].to_numpy() for c in ("pid", "tid", "start_ns")))
    return link_to_row(frames["name"], row)


def module_path(hierarchy: str) -> tuple[str, ...]:
    """The modules of a `HIERARCHY`, outermost first, each by its path of instances and classes."""
    found = [match["module"] for match in _ELEMENT.finditer(hierarchy)]
    modules = [module for module in found if not _NO_MODULE.match(module)]
    return tuple(".".join(modules[: n + 1]) for n in range(len(modules)))


def _of_operators(whole: Whole) -> pl.DataFrame:
    """Calls of modules, made of what operators say is around them."""
    paths, own = _module_paths(whole)
    names = sorted({name for path in paths for name in path})
    number = {name: place for place, name in enumerate(names)}
    levels = max(map(len, paths))
    table = np.full((len(paths), levels), -1)
    for row, path in enumerate(paths):
        table[row, : len(path)] = [number[name] for name in path]
    ops = whole.ops
    above = np.append(own, 0)[rows_of(ops["id"], ops["parent"])]
    along = Nest(ops).order
    same = ("pid", "tid", "parent", "step", "module")
    columns = ("pid", "tid", "start_ns", "module", "end", "event", "level")
    calls = [pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))]
    for level in range(levels):
        module, around = (pl.Series(table[of, level]) for of in (own, above))
        calls.append(
            ops.with_columns(module=module, entered=(module >= 0) & (module != around))[along]
            .sort("pid", "tid", "parent", maintain_order=True)
            .with_columns(call=pl.struct(same).rle_id(), end=pl.col("start_ns") + pl.col("dur_ns"))
            .filter("entered")
            .group_by("call", maintain_order=True)
            .agg(pl.col("pid", "tid", "start_ns", "module").first(), pl.col("end").max(),
                 event=pl.col("id").first())
            .select(*columns[:-1], level=pl.lit(level, pl.Int64))
        )  # fmt: skip
    found = pl.concat(calls).sort("level", maintain_order=True)
    return found.select(
        id=pl.int_range(pl.len()) - pl.len(),  # before operators: those as long are inside
        name=pl.Series(names, dtype=pl.String).gather(found["module"]),
        start_ns="start_ns", dur_ns=pl.col("end") - pl.col("start_ns"),
        pid="pid", tid="tid", event="event",
    )  # fmt: skip


def _module_paths(whole: Whole) -> tuple[list[tuple[str, ...]], Ints]:
    """The different paths, the first of no module, and which each operator has.

    An operator without a path has that of the operator it started in.
    """
    ops = whole.ops
    number: dict[tuple[str, ...], int] = {(): 0}
    of_text: dict[str, int] = {}
    own = np.full(len(ops), -1)
    rows = find_arguments(whole.source, ops["id"].sort(), HIERARCHY)
    given = [(i, text) for i, text in rows if isinstance(text, str)]
    for text in {text for _, text in given}:
        of_text[text] = number.setdefault(module_path(text), len(number))
    has = rows_of(ops["id"], pl.Series([i for i, _ in given], dtype=pl.Int64))
    own[has] = [of_text[text] for _, text in given]
    parent = rows_of(ops["id"], ops["parent"])
    up = parent.copy()
    while len(open_ := np.flatnonzero((own < 0) & (up >= 0))):  # a round a level
        own[open_], up[open_] = own[up[open_]], up[up[open_]]
    return list(number), np.maximum(own, 0)
