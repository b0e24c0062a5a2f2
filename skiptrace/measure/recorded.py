"""Arguments of many events at once, each column in one type: read from the source when asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import polars as pl

from skiptrace.lookup import link_to_row, rows_of
from skiptrace.measure.doubt import DIMS
from skiptrace.model.arguments import find_arguments
from skiptrace.model.trace import Trace

OCCUPANCY = "est. achieved occupancy %"


def recorded(
    trace: Trace, ids: pl.Series, keys: Sequence[str], *, marked: str
) -> dict[str, list[Any]]:
    """Argument -> its value for each of some events, None where it has none.

    The source is read again, once for all arguments, and only if it mentions `marked`, one of
    `ASKED_FOR`, which all events have that have any of the arguments.
    """
    found: dict[int, dict[str, Any]] = {}
    if marked in trace.whole.mentioned:
        own = ids.drop_nulls().unique().sort()
        found = dict(find_arguments(trace.whole.source, own, None))
    rows = [found.get(i, {}) for i in ids.to_list()]
    return {key: [row.get(key) for row in rows] for key in keys}


def numbers(values: list[Any]) -> pl.Series:
    """Values as floats, null where one is no number."""
    return pl.Series([_number(v) for v in values], dtype=pl.Float64)


def _number(value: Any) -> float | None:  # noqa: ANN401  whatever JSON holds
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, (int, float)) else None


def triples(values: list[Any]) -> pl.Series:
    """Values as lists of integers, null where one is none."""
    return pl.Series(
        [v if isinstance(v, list) and all(type(n) is int for n in v) else None for v in values],
        dtype=pl.List(pl.Int64),
    )


def shapes(trace: Trace, ops: pl.Series) -> pl.Series:
    """``Input Dims`` of each operator as JSON text, null where there is none."""
    ids = ops.drop_nulls().unique().sort()
    values = recorded(trace, ids, (DIMS,), marked=DIMS)[DIMS]
    texts = [None if v is None else orjson.dumps(v).decode() for v in values]
    return link_to_row(pl.Series(texts, dtype=pl.String), rows_of(ids, ops))
