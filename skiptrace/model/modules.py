"""Modules of the model: which `nn.Module` encloses a moment of a thread."""

from __future__ import annotations

import polars as pl

from skiptrace.model.nesting import Nest, link_to_row
from skiptrace.model.trace import Trace

MARK = "nn.Module: "
"""What the name of the Python frame of a module begins with; the module's own name follows."""


def module_frames(trace: Trace) -> pl.DataFrame:
    """The Python frames of modules, over the whole recording, without the mark in their names."""
    frames = trace.whole.python
    if frames.is_empty():
        return frames
    names = frames["name"].unique()
    modules = names.filter(names.str.starts_with(MARK))
    return frames.filter(pl.col("name").is_in(modules.implode())).with_columns(
        pl.col("name").str.strip_prefix(MARK)
    )


def modules_at(trace: Trace, where: pl.DataFrame) -> pl.Series:
    """Name of the innermost module at each ``pid``, ``tid``, ``start_ns``; null where none."""
    frames = module_frames(trace)
    row = Nest(frames).at(*(where[c].to_numpy() for c in ("pid", "tid", "start_ns")))
    return link_to_row(frames["name"], row)
