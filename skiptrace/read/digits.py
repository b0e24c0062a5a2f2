"""Numbers where they stand in a text: eight digits at a time, over all events at once."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.read.times import text_to_ns

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Words: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
"""The eight bytes from each place of a text on, as one integer, the first byte the lowest."""

MARGIN = 64
"""So many bytes behind a text can be read."""

_NUMBER = re.compile(rb"[-+.0-9eE]+")
_POWERS = 10 ** np.arange(19, dtype=np.int64)
MOST_DIGITS = 18
"""Digits that always fit 64 bits."""
MOST_COUNTED = 24
_ZEROS = np.uint64(0x3030303030303030)
MOST_US = 15
"""Digits of microseconds whose nanoseconds do."""
_MINUS, _POINT, _E = b"-.e"


def words_of(text: bytes) -> Words:
    """Every eight bytes of a text that ends in a margin, without copying it."""
    return np.ndarray((len(text) - 7,), np.dtype("<u8"), text, 0, (1,))


def _eight(word: Words) -> tuple[Ints, Ints]:
    """Value and number of the digits that eight bytes begin with."""
    u64 = np.uint64
    digit = word ^ _ZEROS
    count = _counted(digit)
    # Leading zeros for what follows the digits; then pairs, fours and all eight together.
    digit <<= ((np.uint8(8) - count) << np.uint8(3)).astype(u64)
    digit = ((digit * u64(2561)) >> u64(8)) & u64(0x00FF00FF00FF00FF)
    digit = ((digit * u64(6553601)) >> u64(16)) & u64(0x0000FFFF0000FFFF)
    digit = (digit * u64(42949672960001)) >> u64(32)
    return digit.view(np.int64), count.astype(np.int64)


def _counted(digit: Words) -> Bytes:
    """How many digits eight bytes begin with, of which "0" was taken."""
    # The high bit of each byte that is no digit; behind the first of them it may be wrong.
    other = ((digit + np.uint64(0x7676767676767676)) | digit) & np.uint64(0x8080808080808080)
    return np.bitwise_count((other & -other) - np.uint64(1)) >> np.uint8(3)


def count_digits(words: Words, start: Ints) -> Ints:
    """How many digits there are from each place on; more than 24 are not counted."""
    count = _counted(words[start] ^ _ZEROS).astype(np.int64)
    longer, done = np.flatnonzero(count == 8), 8
    while len(longer) and done < MOST_COUNTED:
        found = _counted(words[start[longer] + done] ^ _ZEROS)
        count[longer] += found
        longer, done = longer[found == 8], done + 8
    return count


def count_before(words: Words, end: Ints) -> Ints:
    """How many digits there are before each place; more than 24 are not counted."""
    count = np.zeros(len(end), np.int64)
    left, done = np.flatnonzero(end >= 8), 8
    while len(left) and done <= MOST_COUNTED:
        found = _counted(words[end[left] - done].byteswap() ^ _ZEROS)
        count[left] += found
        left = left[(found == 8) & (end[left] >= done + 8)]
        done += 8
    return count


def digits(words: Words, start: Ints) -> tuple[Ints, Ints]:
    """The digits from each place on: their value, and how many.

    Of more than 18 the value is not to be used; more than 24 are not counted.
    """
    value, count = _eight(words[start])
    longer, done = np.flatnonzero(count == 8), 8
    while len(longer) and done < MOST_COUNTED:
        every = len(longer) == len(start)  # as all times of a file are: nothing to pick
        more, found = _eight(words[(start if every else start[longer]) + done])
        if every:
            value = value * _POWERS[found] + more
            count += found
        else:
            value[longer] = value[longer] * _POWERS[found] + more
            count[longer] += found
        longer, done = longer[found == 8], done + 8
    return value, count


def thousandths(part: Ints, places: Ints) -> Ints:
    """Decimals, read as an integer of so many places, to thousands; half to even."""
    if (places == 3).all():  # as most writers have it
        return part
    scale = _POWERS[np.maximum(places - 3, 0)]
    ns, rest = np.divmod(part * _POWERS[np.maximum(3 - places, 0)], scale)
    up = (2 * rest > scale) | ((2 * rest == scale) & (ns % 2 == 1))
    return np.asarray(ns + up)


def nanoseconds(text: bytes, words: Words, codes: Bytes, start: Ints) -> tuple[Ints, Bools]:
    """Microseconds at each place, to the nearest nanosecond, and whether there is such a number.

    Half to even, from the digits as written, whatever their number.
    """
    negative = codes[start] == _MINUS
    whole_at = start + negative
    value, count = digits(words, whole_at)
    after = whole_at + count
    plain = (count > 0) & (count <= MOST_US)
    value *= 1000
    broken = np.flatnonzero(plain & (codes[after] == _POINT))
    if len(broken):
        part, places = digits(words, after[broken] + 1)
        after[broken] += places + 1
        plain[broken] = (places > 0) & (places <= MOST_DIGITS)
        places = np.minimum(places, MOST_DIGITS)
        value[broken] += thousandths(part, places)
    plain &= (codes[after] | 0x20) != _E
    value = np.where(negative, -value, value)
    odd = np.flatnonzero(~plain)
    if len(odd):  # exponents and the like; text that is no number stays none
        found = (_NUMBER.match(text, place) for place in start[odd].tolist())
        value[odd], plain[odd] = text_to_ns(
            pl.Series([m and m.group().decode() for m in found], dtype=pl.String)
        )
    return value, plain
