"""Bytes where they stand in a text, by number: each distinct run of them is looked at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skiptrace.intervals import Ints
from skiptrace.read.digits import Words

_SHORT, _LONG = 32, 128
"""Bytes looked at together, of texts that are shorter than the larger, and of the others."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, made odd: multiplying by it spreads bits."""
_WEIGHTS = _ODD * np.arange(1, _LONG // 4, 2, dtype=np.uint64)
_TABLE_BITS = 13
_MASKS = (np.tri(_SHORT + 1, _SHORT, -1, dtype=np.uint8) * np.uint8(255)).view("<u8")
"""Of so many bytes, those that count."""


def distinct_at(text: bytes, start: Ints, length: Ints) -> tuple[Ints, list[bytes]]:
    """The bytes that start at these places, so many: by number, and the distinct ones.

    They are told apart by a hash, and those of one hash are compared.
    """
    if not len(start):
        return start, []
    mixed = length.astype(np.uint64) * _ODD
    pieces: list[tuple[Ints, Words]] = []
    is_long = length >= _LONG
    for size, rows in ((_SHORT, np.flatnonzero(~is_long)), (_LONG, np.flatnonzero(is_long))):
        for some, words in _pieces(text, start[rows], length[rows], rows, size):
            pieces.append((some, words))
            hashed = _hashed(words)
            # The high bits of a product depend on all bits, its low ones on few.
            hashed ^= hashed >> np.uint64(32)
            mixed[some] = (mixed[some] ^ hashed) * _ODD
    first, code = _distinct(mixed)
    same, place = first[code], np.arange(len(start))
    equal = np.array_equal(length, length[same])
    for rows, words in pieces if equal else []:
        place[rows] = np.arange(len(rows))
        equal = equal and np.array_equal(words, words[place[same[rows]]])
    if not equal:  # two strings of one hash: no shortcut then
        first, code = np.arange(len(start)), np.arange(len(start))
    begin, end = start[first].tolist(), (start + length)[first].tolist()
    return code, [text[a:b] for a, b in zip(begin, end, strict=True)]


def _pieces(
    text: bytes, at: Ints, left: Ints, rows: Ints, size: int
) -> Iterator[tuple[Ints, Words]]:
    """So many bytes after so many, of those rows that have more left: the last reach back."""
    while len(rows):
        strings = np.ndarray((len(text) - size + 1,), f"V{size}", text, 0, (1,))
        words = strings[at].view("<u8").reshape(len(at), -1)
        if left.min() < size:  # only of the first
            words &= _MASKS[np.minimum(left, size)]
        yield rows, words
        longer = np.flatnonzero(left > size)
        rows, left = rows[longer], left[longer] - size
        at = at[longer] + np.minimum(left, size)
        left = np.maximum(left, size)


def _hashed(words: Words) -> Words:
    """Of each row a hash. Few columns are faster taken one by one."""
    count = words.shape[1]
    if count > _SHORT // 8:
        return np.asarray(words @ _WEIGHTS[:count])
    hashed = words[:, 0] * _WEIGHTS[0]
    for i in range(1, count):
        hashed ^= words[:, i] * _WEIGHTS[i]
    return np.asarray(hashed)


def _distinct(mixed: Words) -> tuple[Ints, Ints]:
    """Where each distinct value stands, and which of them each is.

    Most are told apart by a table of some of their bits, which is cheaper than sorting them all.
    """
    slot = (mixed >> np.uint64(64 - _TABLE_BITS)).astype(np.int64)
    table = np.full(1 << _TABLE_BITS, -1, np.int64)
    table[slot] = np.arange(len(mixed))
    used = np.flatnonzero(table >= 0)
    first = table[used]
    table[used] = np.arange(len(used))
    code = table[slot]
    others = np.flatnonzero(mixed[first[code]] != mixed)  # two values in one place
    if len(others):
        _, again, theirs = np.unique(mixed[others], return_index=True, return_inverse=True)
        code[others] = len(first) + theirs
        first = np.concatenate((first, others[again]))
    return first, code
