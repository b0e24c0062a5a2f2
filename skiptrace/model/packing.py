"""Columns made small before they are stored, exactly: constants, differences, narrow integers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import polars as pl

Recipe: TypeAlias = dict[str, Any]
"""How a column comes back: ``how`` it was packed, its ``dtype``, and the value of a constant."""

DTYPES: dict[str, type[pl.DataType]] = {
    str(t()): t for t in (pl.Int64, pl.Float64, pl.Boolean, pl.String, pl.Null)
}
"""Dtypes of columns that can be packed, by the name that a recipe gives them."""

_NARROW = {
    pl.UInt8: (0, 2**8 - 1), pl.Int8: (-(2**7), 2**7 - 1),
    pl.UInt16: (0, 2**16 - 1), pl.Int16: (-(2**15), 2**15 - 1),
    pl.UInt32: (0, 2**32 - 1), pl.Int32: (-(2**31), 2**31 - 1),
}  # fmt: skip


def pack(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Recipe]]:
    """The columns to store, and how every column of the frame comes back from them.

    An integer column is stored as it is (``plain``), as differences from the row before
    (``steps``) or as differences from the first column (``from_first``), most often the ``id``
    that others follow: whichever has the fewest different values, in the narrowest type that
    holds them. Differences wrap at 64 bits, so they are exact whatever the integers. What is the
    ``same`` as the first column, or ``constant``, is not stored.
    """
    stored: list[pl.Series] = []
    recipes: dict[str, Recipe] = {}
    for column in frame:
        recipe: Recipe = {"how": "plain", "dtype": str(column.dtype)}
        if stored and column.n_unique() == 1:
            recipe |= {"how": "constant", "value": column[0]}
        elif column.dtype == pl.Int64:
            recipe["how"], packed = _pack_integers(column, frame.to_series(0) if stored else None)
            if recipe["how"] != "same":
                stored.append(packed)
        else:
            stored.append(column)
        recipes[column.name] = recipe
    return pl.DataFrame(stored), recipes


def unpack(stored: pl.DataFrame, recipes: dict[str, Recipe]) -> pl.DataFrame:
    """The frame that `pack` was given, or its first column and those others that are left."""
    if stored.width == 0:
        return stored
    first = stored.columns[0]
    whole = _integers(stored, recipes)
    return stored.with_columns(whole.values()).select(
        pl.col(name) if name in whole else _unpacked(name, recipe, first)
        for name, recipe in recipes.items()
    )


def _integers(stored: pl.DataFrame, recipes: dict[str, Recipe]) -> dict[str, pl.Series]:
    """Integer columns without nulls, unpacked in one block: fresh memory is most of their cost."""
    names = [
        column.name
        for column in stored
        if recipes[column.name]["dtype"] == "Int64" and not column.null_count()
    ]
    block = np.empty((len(names), len(stored)), np.int64)
    for name, values in zip(names, block, strict=True):
        values[:] = stored[name].to_numpy()
        if recipes[name]["how"] == "steps":
            np.cumsum(values, out=values)
        elif recipes[name]["how"] == "from_first":
            np.add(values, block[0], out=values)
    return {name: pl.Series(name, values) for name, values in zip(names, block, strict=True)}


def _unpacked(name: str, recipe: Recipe, first: str) -> pl.Expr:
    dtype = DTYPES[recipe["dtype"]]
    match recipe["how"]:
        case "constant":
            return pl.lit(recipe["value"], dtype=dtype).alias(name)
        case "same":
            return pl.col(first).alias(name)
        case "steps":  # of a column with nulls, which a running sum passes over
            return pl.col(name).cast(dtype).cum_sum()
        case "from_first":
            return pl.col(name).cast(dtype) + pl.col(first)
    return pl.col(name).cast(dtype)


def _pack_integers(column: pl.Series, first: pl.Series | None) -> tuple[str, pl.Series]:
    if first is None or first.dtype != pl.Int64 or first.null_count():
        first = None
    elif column.equals(first):
        return "same", column
    ways = {"plain": column}
    known = column.drop_nulls()
    if len(known):
        ways["steps"] = _steps(column, known)
    if first is not None:
        ways["from_first"] = column - first
    how = min(ways, key=lambda way: ways[way].n_unique())
    return how, _narrow(ways[how])


def _steps(column: pl.Series, known: pl.Series) -> pl.Series:
    """Differences from the last value before that is not null; the first from 0."""
    steps = known.diff()
    steps[0] = known[0]
    if len(known) < len(column):
        is_known = column.is_not_null()
        place = pl.select(pl.max_horizontal(is_known.cast(pl.Int64).cum_sum() - 1, 0)).to_series()
        steps = pl.select(pl.when(is_known).then(steps.gather(place))).to_series()
    return steps.alias(column.name)


def _narrow(column: pl.Series) -> pl.Series:
    low, high = column.min(), column.max()
    for dtype, (least, most) in _NARROW.items():
        if low is not None and least <= low and high <= most:  # type: ignore[operator]
            return column.cast(dtype)
    return column
