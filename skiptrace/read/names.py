"""Bytes where they stand in a text, by number: each distinct run of them is looked at once."""

from __future__ import annotations

import numpy as np

from skiptrace.intervals import Ints
from skiptrace.read.digits import Words

_SIZE = 32
"""Bytes looked at together."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, made odd: multiplying by it spreads bits."""
_WEIGHTS = _ODD * np.arange(1, _SIZE // 4, 2, dtype=np.uint64)
_TABLE_BITS = 13
_MASKS = (np.tri(_SIZE + 1, _SIZE, -1, dtype=np.uint8) * np.uint8(255)).view("<u8")
"""Of so many bytes, those that count."""


def distinct_at(text: bytes, start: Ints, length: Ints) -> tuple[Ints, list[bytes]]:
    """The bytes that start at these places, so many: by number, and the distinct ones.

    They are told apart by a hash, and those of one hash are compared.
    """
    if not len(start):
        return start, []
    strings = np.ndarray((len(text) - _SIZE + 1,), f"V{_SIZE}", text, 0, (1,))
    mixed = length.astype(np.uint64) * _ODD
    pieces: list[tuple[Ints | slice, list[Words]]] = []
    rows: Ints | slice = slice(None)
    at, left = start, length
    while len(at):
        piece = strings[at].view("<u8").reshape(len(at), -1)
        words = [np.ascontiguousarray(column) for column in piece.T]
        short = np.flatnonzero(left < _SIZE)
        if len(short):  # only of the first piece: later ones reach back
            masks = _MASKS[left[short]]
            for i, word in enumerate(words):
                word[short] &= masks[:, i]
        pieces.append((rows, words))
        hashed = words[0] * _WEIGHTS[0]
        for word, weight in zip(words[1:], _WEIGHTS[1:], strict=True):
            hashed ^= word * weight
        # The high bits of a product depend on all bits, its low ones on few.
        hashed ^= hashed >> np.uint64(32)
        mixed[rows] = (mixed[rows] ^ hashed) * _ODD
        longer = np.flatnonzero(left > _SIZE)
        rows = longer if isinstance(rows, slice) else rows[longer]
        left = left[longer] - _SIZE
        at = at[longer] + np.minimum(left, _SIZE)
        left = np.maximum(left, _SIZE)
    first, code = _distinct(mixed)
    same = first[code]
    equal = length == length[same]
    place = np.arange(len(start))
    for rows, words in pieces if equal.all() else []:
        theirs = same
        if not isinstance(rows, slice):
            place[rows] = np.arange(len(rows))
            theirs = place[same[rows]]
        differs = words[0] ^ words[0][theirs]
        for word in words[1:]:
            differs |= word ^ word[theirs]
        equal[rows] &= differs == 0
    if not equal.all():  # two strings of one hash: no shortcut then
        first, code = np.arange(len(start)), np.arange(len(start))
    begin, end = start[first].tolist(), (start + length)[first].tolist()
    return code, [text[a:b] for a, b in zip(begin, end, strict=True)]


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
