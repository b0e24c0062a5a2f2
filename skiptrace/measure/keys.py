"""Grouping: which columns a `by` means, and the order of the rows of a grouping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import Ints


def check_key(what: str, given: object, valid: Iterable[str]) -> str:
    """The key, if it is one of `valid`; else an error that names them."""
    names = list(valid)
    if not isinstance(given, str) or given not in names:
        raise UnknownKeyError.of(what, given, names)
    return given


def check_keys(given: str | Sequence[str], valid: Mapping[str, object]) -> list[str]:
    """One key or a list of them, checked; repeated keys count once."""
    asked: object = given  # whatever the caller really gave
    several = isinstance(asked, Sequence) and not isinstance(asked, str)
    keys = list(given) if several else [asked]
    if not keys:
        raise UnknownKeyError.of("by", given, valid)
    return list(dict.fromkeys(check_key("by", key, valid) for key in keys))


def numbered(values: pl.Series) -> tuple[Ints, pl.Series]:
    """Values as numbers that sort as they do, null last, and the different values by number."""
    different = values.drop_nulls().unique().sort()
    if values.dtype == pl.String:
        numbers = values.cast(pl.Enum(different)).to_physical().cast(pl.Int64)
    elif len(different):
        numbers = (
            pl.select(pl.when(values.is_not_null()).then(different.search_sorted(values)))
            .to_series()
            .cast(pl.Int64)
        )
    else:
        numbers = pl.repeat(None, len(values), dtype=pl.Int64, eager=True)
    return numbers.fill_null(len(different)).to_numpy(), different


def largest_first(frame: pl.DataFrame, keys: Sequence[str], amount: str) -> pl.DataFrame:
    """Rows by falling amount, then key; rows whose keys are all null last."""
    nowhere = pl.all_horizontal(pl.col(k).is_null() for k in keys)
    return frame.sort(nowhere, -pl.col(amount), *keys, nulls_last=True)


def in_time_order(frame: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Rows by the time order of their step, the null row last."""
    place = steps.select(step="name").with_row_index("_place")
    return frame.join(place, on="step", how="left").sort("_place", nulls_last=True).drop("_place")
