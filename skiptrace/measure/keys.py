"""Grouping: which columns a `by` means, and the order of the rows of a grouping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import Bools, Ints
from skiptrace.lookup import filled, link_to_row, nothing, occurring, where
from skiptrace.model.once import once
from skiptrace.model.trace import Trace, Whole
from skiptrace.read.rows import Codes


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


class Numbered(NamedTuple):
    """Values as numbers that sort as they do, null last."""

    numbers: Ints
    different: pl.Series
    """The different values by number."""

    def at(self, row: Ints) -> Ints:
        """Numbers at the given rows, that of null where the row is -1."""
        none = len(self.different)
        if not len(self.numbers):
            return np.full(len(row), none)
        return np.where(row >= 0, self.numbers[row], none)

    def named(self, numbers: Ints) -> pl.Series:
        """The values of numbers."""
        return link_to_row(self.different, np.where(numbers < len(self.different), numbers, -1))

    def fit(self, pattern: str) -> Bools:
        """Whether each value, a name, fits a pattern; looks at each different name once."""
        found = self.different.str.contains(pattern).to_numpy()
        return np.append(found, False)[self.numbers]


def numbered(values: pl.Series) -> Numbered:
    """Values as numbers, and what they are."""
    different = values.drop_nulls().unique().sort()
    if values.dtype == pl.String:
        numbers = values.cast(pl.Enum(different)).to_physical().cast(pl.Int64)
    elif len(different):
        place = different.search_sorted(values).cast(pl.Int64)
        numbers = where(values.is_not_null().to_numpy(), place)
    else:
        numbers = nothing(len(values), pl.Int64())
    return Numbered(filled(numbers, len(different)), different)


def of_codes(texts: pl.Series, codes: Codes | Ints) -> Numbered:
    """As `numbered` of the different texts at the codes (-1, or their number: null).

    Looks at each text only once.
    """
    found = occurring(codes, len(texts))
    different = texts[found].alias("name")
    order = different.arg_sort().to_numpy()
    numbers = np.full(len(texts) + 1, len(found))
    numbers[found[order]] = np.arange(len(found))
    return Numbered(numbers[codes], different[order])


@once
def op_names(whole: Whole) -> Numbered:
    """The names of a recording's operators."""
    names = whole.names
    return of_codes(names.texts, names.ops) if names else numbered(whole.ops["name"])


@once
def call_names(whole: Whole) -> Numbered:
    """The names of a recording's calls."""
    names = whole.names
    return of_codes(names.texts, names.calls) if names else numbered(whole.calls["name"])


@once
def work_names(of: Trace | Whole) -> Numbered:
    """The names of work."""
    names = of.names if isinstance(of, Whole) else None
    return of_codes(names.texts, names.work) if names else numbered(of.work["name"])


@once
def step_names(trace: Trace) -> Numbered:
    """The steps of launches."""
    return numbered(trace.launches["step"])


def largest_first(frame: pl.DataFrame, keys: Sequence[str], amount: str) -> pl.DataFrame:
    """Rows by falling amount, then key; rows whose keys are all null last."""
    nowhere = pl.all_horizontal(pl.col(k).is_null() for k in keys)
    return frame.sort(nowhere, -pl.col(amount), *keys, nulls_last=True)


def in_time_order(frame: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Rows by the time order of their step, the null row last."""
    place = steps.select(step="name").with_row_index("_place")
    return frame.join(place, on="step", how="left").sort("_place", nulls_last=True).drop("_place")
