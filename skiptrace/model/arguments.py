"""Arguments of events that no frame holds, from whichever source a trace was loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import orjson
import polars as pl

from skiptrace.errors import FramesError

if TYPE_CHECKING:  # readers are imported when they are wanted
    from skiptrace.read.source import Source

Rows: TypeAlias = list[tuple[int, Any]]
"""Ids of events, each with one of its arguments, or with all of them as a dict."""


@runtime_checkable
class SavedArguments(Protocol):
    """Arguments that came with the frames: saved with them, or given."""

    def arguments(self, own: pl.Series, key: str | None) -> Rows:
        """As `find_arguments`."""
        ...


@dataclass(frozen=True, eq=False)
class GivenArguments:
    """Arguments that a caller has in memory."""

    frame: pl.DataFrame
    """``id`` and ``value``, which is JSON."""

    def arguments(self, own: pl.Series, key: str | None) -> Rows:
        """As `find_arguments`."""
        frame = self.frame.filter(pl.col("id").is_in(own.implode())).sort("id", maintain_order=True)
        found: dict[str, dict[str, Any]] = {}
        rows: Rows = []
        for number, text in frame.iter_rows():
            if text not in found:
                found[text] = _object(number, text)
            args = found[text]
            if key is None or key in args:
                rows.append((number, args if key is None else args[key]))
        return rows


def _object(number: int, text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "")  # integers beyond 64 bits, and NaN, as other sources may
    except ValueError as error:
        raise FramesError.json(number, str(error)) from error
    if not isinstance(value, dict):
        raise FramesError.json(number, f"a {type(value).__name__}")
    return value


def find_arguments(source: Source | SavedArguments, own: pl.Series, key: str | None) -> Rows:
    """One argument of each event of `own` (ids in order) that has it; of None: all, as a dict."""
    if isinstance(source, SavedArguments):
        return source.arguments(own, key)
    from skiptrace.read.stream import read_events

    if key is None:
        rows: Rows = read_events(source, _arguments)
    else:
        found = read_events(source, lambda event: _argument(event, key))
        rows = [(i, value) for i, (value,) in found]
    asked = set(own.to_list())
    return [row for row in rows if row[0] in asked]


def _arguments(event: Any) -> dict[str, Any] | None:  # noqa: ANN401  whatever JSON holds
    args = event.get("args") if isinstance(event, dict) else None
    return args if isinstance(args, dict) else None


def _argument(event: Any, key: str) -> tuple[Any] | None:  # noqa: ANN401
    args = _arguments(event)
    return (args[key],) if args is not None and key in args else None  # a null is a value


def arguments_frame(rows: Rows, *, as_json: bool) -> pl.DataFrame:
    """``id`` and ``value``: in its own type where all agree on one, else JSON text."""
    values = [value for _, value in rows]
    ids = pl.Series("id", [i for i, _ in rows], dtype=pl.Int64)
    return pl.DataFrame([ids, _as_json(values) if as_json else _typed(values)])


def _typed(values: list[Any]) -> pl.Series:
    kinds = {type(v) for v in values if v is not None}
    if len(kinds) == 1 and kinds <= {int, float, bool, str, list}:
        try:
            series = pl.Series("value", values, strict=True)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            return _as_json(values)
        if series.dtype.base_type() is not pl.Object and series.to_list() == values:
            return series
    return _as_json(values)


def _as_json(values: list[Any]) -> pl.Series:
    return pl.Series("value", [orjson.dumps(v).decode() for v in values], dtype=pl.String)
