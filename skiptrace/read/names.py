"""Strings where they stand in a text: each distinct one is decoded once."""

from __future__ import annotations

import numpy as np
import orjson

from skiptrace.intervals import Ints
from skiptrace.read.digits import Words

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, made odd: multiplying by it spreads bits."""
_EIGHT = np.uint64(2**64 - 1)


def strings_at(text: bytes, words: Words, start: Ints, length: Ints) -> tuple[Ints, list[str]]:
    """The strings that start at these places of a JSON text: by number, and the distinct ones."""
    if not len(start):
        return start, []
    head = words[start] & (_EIGHT >> (np.maximum(8 - length, 0).astype(np.uint64) << np.uint64(3)))
    tail = np.where(length > 8, words[start + np.maximum(length - 8, 0)], np.uint64(0))
    mixed = (head * _ODD) ^ ((tail + length.astype(np.uint64)) * _ODD >> np.uint64(7))
    long = np.flatnonzero(length > 16)
    middle, count, within = _middle(words, start[long], length[long])
    if len(long):
        weight = (within.astype(np.uint64) * np.uint64(2) + np.uint64(3)) * _ODD
        begins = np.cumsum(count) - count
        mixed[long] ^= np.add.reduceat(middle * weight, begins)
    _, first, code = np.unique(mixed, return_index=True, return_inverse=True)
    same = first[code]
    equal = (head == head[same]) & (tail == tail[same]) & (length == length[same])
    if len(long) and equal.all():
        place = np.zeros(len(start), np.int64)
        place[long] = begins
        theirs = np.repeat(place[same[long]], count) + within
        equal[long] = np.logical_and.reduceat(middle == middle[theirs], begins)
    if not equal.all():  # two strings of one hash: no shortcut then
        first, code = np.arange(len(start)), np.arange(len(start))
    begin, end = start[first].tolist(), (start + length)[first].tolist()
    return code, [_decode(text[a:b]) for a, b in zip(begin, end, strict=True)]


def _middle(words: Words, start: Ints, length: Ints) -> tuple[Words, Ints, Ints]:
    """The eights of long strings between the first and the last, how many, and their numbers."""
    count = (length - 9) // 8
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return words[np.repeat(start + 8, count) + 8 * within], count, within


def _decode(inside: bytes) -> str:
    return str(orjson.loads(b'"' + inside + b'"')) if b"\\" in inside else inside.decode()
