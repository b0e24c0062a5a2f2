"""Commands that call one verb and print its frame: which, with what keys, and which columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from skiptrace.measure.breakdown import breakdown
from skiptrace.measure.kernels import kernels
from skiptrace.measure.ops import ops
from skiptrace.measure.tree import tree
from skiptrace.model.schema.breakdowns import KERNEL_KEYS, OP_KEYS
from skiptrace.model.trace import Trace

if TYPE_CHECKING:
    from rich.console import Console


class Listing(NamedTuple):
    """A command."""

    what: str
    """What it tells, for its help."""
    run: Callable[..., pl.DataFrame]
    """Called with the trace, and with ``by`` where it has keys."""
    keys: tuple[str, ...] = ()
    """Keys that `--by` takes, the default first; several may be given, with commas."""
    hidden: tuple[str, ...] = ()
    """Columns that the table leaves out and `--json` has."""


def _tree(trace: Trace) -> pl.DataFrame:
    frame = tree(trace).frame
    indent = pl.lit("  ").repeat_by("depth").list.join("")
    return frame.with_columns(shown=indent + pl.col("name").fill_null("(outside)"))


def _first(keys: Mapping[str, object], default: str) -> tuple[str, ...]:
    return (default, *(key for key in keys if key != default))


LISTINGS: dict[str, Listing] = {
    "breakdown": Listing(
        "device time as compute, communication, copies and idle time", breakdown,
        ("step", "trace"),
        ("compute_ns", "communication_ns", "copy_ns", "overlap_share", "idle_share"),
    ),
    "kernels": Listing(
        "counts and durations of kernels, by name, class, operator ...", kernels,
        _first(KERNEL_KEYS, "name"), ("min_ns", "median_ns"),
    ),
    "ops": Listing(
        "host and device time of operators, by name, shape, module ...", ops,
        _first(OP_KEYS, "name"),
    ),
    "tree": Listing(
        "the call tree of modules and operators, with host and device time", _tree,
        hidden=("node", "parent", "depth", "name", "kind", "self_ns"),
    ),
}  # fmt: skip


def listing_dict(name: str, frame: pl.DataFrame) -> dict[str, Any]:
    """The frame as JSON types; times in ns."""
    rows = frame.drop("shown", strict=False).to_dicts()
    return {"schema": f"skiptrace.{name}/1", "rows": rows}


def print_listing(name: str, frame: pl.DataFrame, rows: int, console: Console) -> None:
    """The frame as a table, under what it tells."""
    from skiptrace.show.frames import print_frame

    listing = LISTINGS[name]
    shown = frame.drop(listing.hidden)
    if "shown" in shown.columns:
        shown = shown.select(pl.col("shown").alias("name"), pl.exclude("shown"))
    print_frame(console, listing.what.capitalize(), shown, rows)
