"""A writer's regular layout: what stands between two events.

A writer puts the same bytes between any two events. They hold an unescaped quote that opens a
string, so wherever they stand outside a string, they are the border of two objects of one list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skiptrace.intervals import Bools, Ints
from skiptrace.read.digits import MARGIN

_BETWEEN = re.compile(rb'\s*,\s*(?=\{(\s*)")')
_COLON = re.compile(rb':[ \t]*(?=")')
_HEAD = re.compile(rb'\{\s*"ph":\s*"X",\s*"cat":\s*"')
_PIECE = 1 << 18
"""Bytes looked at together, so that what is found of them stays in the cache."""
_FIRST_EVENT = re.compile(rb'(?:"traceEvents"\s*:|\A\s*)\s*\[\s*(?=\{)')


@dataclass(frozen=True)
class Layout:
    """How a file's events are laid out."""

    between: bytes
    """From the brace that closes an event to that which opens the next, both left out."""
    opening: bytes
    """From that brace, included, to the first quote, included."""
    colon: bytes
    """From the quote that closes a key to its value, the quote included."""
    head: bytes
    """From that brace, included, to the category of a complete event; empty if that is not the
    second thing there, or if it could stand in a string."""

    @property
    def separator(self) -> bytes:
        """All that stands between two events, with a brace and a quote at the ends."""
        return b"}" + self.between + self.opening

    @property
    def is_clear(self) -> bool:
        """Whether a separator stands inside no event, however damaged.

        In a string there is no line break; but where events are not indented and their members
        are on lines of their own, it may stand between objects inside them too.
        """
        is_flat = b"\n" in self.opening and self.between.endswith(b"\n")
        return b"\n" in self.separator and not is_flat

    def likely(self, text: bytes, size: int) -> Ints:
        """Where separators with a line break may be: both that and the brace of the next are there.

        Other line breaks, most of a text's, are not looked at twice.
        """
        line, brace = self.separator.index(b"\n"), 1 + len(self.between)
        low, high = sorted((line, brace))
        codes = np.frombuffer(text, np.uint8, size)
        one, other = codes[: low - high], codes[high - low :]

        def mark(piece: slice, here: Bools) -> None:
            np.equal(one[piece], self.separator[low], out=here)
            here &= other[piece] == self.separator[high]

        at = _places(len(one), mark, _seldom) - low
        return at[np.searchsorted(at, 0) :]

    def borders(self, text: bytes, size: int) -> Borders:
        """The borders of the events of a text of that size, which begins with one."""
        codes = np.frombuffer(text, np.uint8, size)
        # A brace there always is. Line breaks are the better mark: the next one is near, too.
        mark = b"\n" if b"\n" in self.between else b"{"
        marks = _places(size, lambda piece, out: np.equal(codes[piece], ord(mark), out=out))
        before = self.separator.index(mark)
        distance = self.separator.find(mark, before + 1) - before
        found = np.arange(len(marks))
        if distance > 0:
            found = np.flatnonzero(np.diff(marks) == distance)
        at = marks - before
        found = found[at[found] >= 0]
        found = found[literally(text, at[found], self.separator)]
        end = at[found] + 1
        start = np.concatenate(([0], end + len(self.between)))
        if mark == b"{":
            return Borders(start, np.append(end, size), marks[:0], marks[:0])
        first = np.concatenate(([0], found + self.between.count(mark)))
        return Borders(start, np.append(end, size), marks, first)


class Borders(NamedTuple):
    """Where the events of a text are."""

    start: Ints
    end: Ints
    breaks: Ints
    """Where the text has line breaks; none where there are none between events."""
    first_break: Ints
    """Per event the place in `breaks` of the first behind its start."""


def _places(
    size: int,
    mark: Callable[[slice, Bools], object],
    found: Callable[[Bools], Ints] = np.flatnonzero,
) -> Ints:
    """Where something is in so many bytes: `mark` marks it in a piece, `found` finds the marks."""
    marked = np.empty(_PIECE, np.bool_)
    places = [np.empty(0, np.int64)]
    for begin in range(0, size, _PIECE):
        here = marked[: size - begin]
        mark(slice(begin, begin + len(here)), here)
        places.append(found(here) + begin)
    return np.concatenate(places)


def _seldom(marked: Bools) -> Ints:
    """Where a mask is true, for one that is so seldom: looked for by words."""
    if len(marked) % 8 == 0:
        words = marked.view("<u8")
        at = np.flatnonzero(words != 0)
        left = words[at]
        if not (left & (left - np.uint64(1))).any():  # one a word, as where events are
            return at * 8 + (np.bitwise_count(left - np.uint64(1)) >> np.uint8(3))
    return np.flatnonzero(marked)


def literally(text: bytes, at: Ints, literal: bytes) -> Bools:
    """Where the text holds a literal: compared eight bytes at a time, over all places at once."""
    differs = np.zeros(len(at), np.uint64)
    for begin in range(0, len(literal), MARGIN):
        piece = literal[begin : begin + MARGIN]
        # Of all sizes so many are copied fastest.
        size = MARGIN if len(piece) > MARGIN // 2 else -(-len(piece) // 8) * 8
        wanted = np.frombuffer(piece.ljust(size, b"\0"), "<u8")
        strings = np.ndarray((len(text) - size + 1,), f"V{size}", text, 0, (1,))
        seen = strings[np.minimum(at + begin, len(strings) - 1)].view("<u8").reshape(-1, size // 8)
        for column, word in enumerate(wanted[: -(-len(piece) // 8)]):
            difference = seen[:, column] ^ word
            if (over := 8 * (column + 1) - len(piece)) > 0:
                difference <<= np.uint64(8 * over)
            differs |= difference
    return np.asarray(differs == 0)


def first_event(data: bytes) -> int | None:
    """Where the first event starts."""
    found = _FIRST_EVENT.search(data)
    return found.end() if found else None


def find_layout(data: bytes, start: int) -> Layout | None:
    """The layout of the events, learned from what follows the one at `start`."""
    text = data[start : start + 262_144].decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    between = _BETWEEN.match(data, start + len(text[:end].encode()))
    colon = _COLON.search(data, start)
    if between is None or colon is None:
        return None
    head = _HEAD.match(data, start)
    opening = b"{" + between.group(1) + b'"'
    fixed = head.group() if head and b"\n" in between.group() + opening else b""
    fixed = fixed if fixed.startswith(opening) else b""
    return Layout(between.group(), opening, b'"' + colon.group(), fixed)
