"""The bytes of a trace copied as they are, with more events put behind its last."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from skiptrace.intervals import Bools, Ints
from skiptrace.read.digits import Bytes
from skiptrace.read.source import Source

_QUOTE, _SLASH, _LIST, _LIST_END = b'"\\[]'
_MARKS = np.zeros(256, np.bool_)
_MARKS[list(b'"{}[]')] = True
_LEVEL = np.zeros(256, np.int64)
_LEVEL[list(b"{[")], _LEVEL[list(b"}]")] = 1, -1
_KEY = re.compile(rb'"traceEvents"\s*:\s*\Z')
_ARROW = re.compile(rb'"ph"\s*:\s*"s"')
_LAUNCHES = re.compile(rb'"cat"\s*:\s*"(?:ac2g|async\w*|skiptrace)"')
"""Kineto's arrows from launches by their categories, of 2021 too, and those of `annotate`; not
those from forward to backward (`fwdbwd`)."""
_BEHIND = 1024
"""Bytes before a bracket that are looked at for the key in front of it, and of an event that the
border of two blocks cuts."""


class Ending(NamedTuple):
    """Where the list of events ends."""

    at: int
    """Byte of the bracket that closes it, in the unpacked text."""
    has_arrows: bool
    """Whether anything in the text begins an arrow (a flow event) from a launch."""


def find_ending(source: Source) -> Ending | None:
    """Where the events of a text end; None where not all that it opens is closed."""
    scan = _Scan()
    for block in source.blocks(faults=[]):
        scan.take(block)
    closed = scan.end is not None and not scan.depth and not scan.in_string
    return Ending(scan.end or 0, scan.has_arrows) if closed else None


class _Scan:
    """Brackets outside of strings, block by block: which list is that of events, and its end."""

    def __init__(self) -> None:
        self.end: int | None = None
        self.has_arrows = False
        self.depth, self.in_string = 0, False
        self._done, self._brackets = 0, 0
        self._level: int | None = None
        """How deep the list of events is, while it is open."""
        self._tail = b""
        """The end of what came before, at least as far back as any run of backslashes."""

    def take(self, block: bytes) -> None:
        """Read the next block."""
        codes = np.frombuffer(block, np.uint8)
        marks = np.flatnonzero(_MARKS[codes])
        is_quote = codes[marks] == _QUOTE
        counts = is_quote.copy()
        counts[is_quote] = ~self._escaped(codes, marks[is_quote])
        inside = (np.cumsum(counts) + self.in_string) % 2 == 1
        at = marks[~is_quote & ~inside]
        kind = codes[at]
        depth = self.depth + np.cumsum(_LEVEL[kind])
        # Brackets of lists that stand in the document itself, or are it.
        outer = ((kind == _LIST) & (depth <= 2)) | ((kind == _LIST_END) & (depth <= 1))
        for i in np.flatnonzero(outer).tolist():
            self._meet(block, int(at[i]), int(depth[i]), is_first=not self._brackets and not i)
        text = self._tail + block
        self.has_arrows = self.has_arrows or _has_arrow(text)
        self.in_string ^= bool(counts.sum() % 2)
        self.depth = int(depth[-1]) if len(depth) else self.depth
        self._brackets += len(at)
        self._done += len(block)
        run = len(block) - len(block.rstrip(b"\\"))
        self._tail = text[-max(_BEHIND, run + 1) :]

    def _escaped(self, codes: Bytes, quotes: Ints) -> Bools:
        """Which quotes have an odd number of backslashes before them."""
        before: Bools = codes[np.maximum(quotes - 1, 0)] == _SLASH
        if len(quotes) and quotes[0] == 0:
            before[0] = self._tail.endswith(b"\\")
        for i in np.flatnonzero(before).tolist():
            at = place = int(quotes[i])
            while place and codes[place - 1] == _SLASH:
                place -= 1
            run = at - place
            if not place:
                run += len(self._tail) - len(self._tail.rstrip(b"\\"))
            before[i] = run % 2 == 1
        return before

    def _meet(self, block: bytes, at: int, depth: int, *, is_first: bool) -> None:
        if block[at] == _LIST_END:
            if depth + 1 == self._level:
                self.end, self._level = self._done + at, None
            return
        before = block[max(at - _BEHIND, 0) : at]
        if at < _BEHIND:
            before = self._tail + before
        if is_first or (depth == 2 and _KEY.search(before)):
            self._level = depth


def _has_arrow(text: bytes) -> bool:
    """Whether an event begins an arrow from a launch; flow events hold no other brackets."""
    for found in _ARROW.finditer(text):
        first = text.rfind(b"{", 0, found.start()) + 1
        last = text.find(b"}", found.end())
        if _LAUNCHES.search(text, first, last if last >= 0 else len(text)):
            return True
    return False


def with_more(source: Source, end: int, more: Iterable[bytes]) -> Iterator[bytes]:
    """The text of a trace, with further events before the bracket at `end`."""
    done, last = 0, b""
    for block in source.blocks(faults=[]):
        if not done <= end < done + len(block):
            done += len(block)
            last = block.rstrip()[-1:] or last
            yield block
            continue
        yield block[: end - done]
        last = block[: end - done].rstrip()[-1:] or last
        between = b"\n" if last == b"[" else b",\n"
        for piece in more:
            yield between + piece
            between = b",\n"
        yield b"\n" + block[end - done :]
        done += len(block)
