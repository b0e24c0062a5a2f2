"""Chunks of whole events: a source's blocks cut at events, and put together again where small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from functools import partial
from itertools import repeat
from typing import NamedTuple, TypeAlias

import numpy as np

from skiptrace.beside import ahead
from skiptrace.intervals import Ints
from skiptrace.read.digits import MARGIN
from skiptrace.read.layout import Layout
from skiptrace.read.source import READING, Parts, Progress

BLOCK = 3 << 20
"""Bytes read, cut and parsed at a time: work enough to outweigh that of calling for it."""
_KEPT = 1 << 23
"""More than the arrays that a chunk takes."""
_OPENING = 1 << 18
"""So many bytes mostly tell how a source is laid out."""
_NEXT = 1 << 14
"""Bytes in which the next border is looked for first."""
_PADDING = b" " * MARGIN
"""Stands behind a text, so that it can be looked at eight bytes at a time."""


class Kept(NamedTuple):
    """Which events of a chunk are in its text."""

    which: Ints
    events: int
    """How many it has."""


class Chunk(NamedTuple):
    """Some whole events, and what stands between them."""

    text: bytes
    """They, and `MARGIN` bytes or more, whatever these are."""
    size: int
    """Bytes of the events."""
    at: int
    """Where the first one starts in the source."""
    kept: Kept | None = None
    """None for all."""
    is_last: bool = False
    """Whether it is all that remains of the source."""

    @property
    def events(self) -> bytes:
        """The bytes of the events."""
        return self.text[: self.size]

    def behind(self, size: int, layout: Layout) -> Chunk:
        """What follows events of so many bytes."""
        skipped = size + len(layout.between)
        text = self.text[skipped:]
        return self._replace(text=text, size=self.size - skipped, at=self.at + skipped)


def padded(text: bytes, at: int) -> Chunk:
    """All of a text as a chunk."""
    return Chunk(text + _PADDING, len(text), at)


ChunksOf: TypeAlias = Callable[[bytes, int, Layout], Iterator[Chunk]]
"""A source's chunks, from the first bytes, where in them the first event is, and the layout."""


def from_parts(
    parts: Parts, size: int, note: Progress, reader: Executor
) -> tuple[Iterator[bytes], ChunksOf]:
    """First bytes of a source, as few as mostly tell how it is laid out, then more; its chunks.

    The next chunk is read meanwhile.
    """

    def read(span: tuple[int, int]) -> Chunk:
        at, end = span
        # As many bytes as of any other chunk, so that it fits where one was.
        text = parts.read(at, -(-(end - at + MARGIN) // _NEXT) * _NEXT)
        note("read", READING * end / parts.size)
        if len(text) >= end - at + MARGIN:
            return Chunk(text, end - at, at)
        return padded(text[: end - at], at)._replace(is_last=end == parts.size)

    def chunks(_: bytes, first: int, layout: Layout) -> Iterator[Chunk]:
        return ahead(_spans(parts, first, size, layout), read, reader)

    return (parts.read(0, few) for few in (min(_OPENING, size), size)), chunks


def _spans(parts: Parts, at: int, size: int, layout: Layout) -> Iterator[tuple[int, int]]:
    """Where chunks of that size, or a little more, begin and end, the first with an event."""
    separator = layout.separator
    place, look = at + size, _NEXT
    while place < parts.size:
        found = parts.read(place, look + len(separator)).find(separator)
        if found < 0:
            place, look = place + look, 2 * look
        else:
            end = place + found + 1
            yield at, end
            at = end + len(layout.between)
            place, look = at + size, _NEXT
    yield at, parts.size


def from_blocks(blocks: Iterator[bytes], reader: Executor) -> tuple[Iterator[bytes], ChunksOf]:
    """The first of the blocks; chunks of them all, of which the next is cut meanwhile."""

    def chunks(data: bytes, first: int, layout: Layout) -> Iterator[Chunk]:
        left = repeat(_cut(data[first:], first, blocks, layout))
        return iter(partial(next, ahead(left, lambda cut: next(cut, None), reader)), None)

    return (next(blocks, b"") for _ in range(1)), chunks


def _cut(data: bytes, at: int, blocks: Iterator[bytes], layout: Layout) -> Iterator[Chunk]:
    separator, between = layout.separator, len(layout.between)
    less = len(separator) - 1
    waiting: list[bytes] = []  # what is in no chunk yet, without a separator
    edge = b""  # where that ends: a separator may lie across the border
    for more in blocks:
        end = data.rfind(separator)
        if end < 0 and separator in edge + data[:less]:
            data = b"".join((*waiting, data))
            waiting, end = [], data.rfind(separator)
        if end < 0:
            waiting.append(data)
            edge = (edge + data)[-less:]
        else:
            rest = data[end + 1 :]
            # What follows the events is copied too: of whole texts that needs no Python lock.
            text = b"".join((*waiting, data, _PADDING))
            size = len(text) - MARGIN - len(rest)
            yield Chunk(text, size, at)
            at += size + between
            waiting = [rest[between:]]
            edge = waiting[0][-less:]
        data = more
    yield padded(b"".join((*waiting, data)), at)._replace(is_last=True)


def keep_freed() -> None:
    """Have glibc keep what is freed in the size of chunks, as it does once more was freed.

    Else it goes back to the system, and comes again page by page: 8 % of the CPU time of 50 MB.
    """
    np.empty(_KEPT, np.uint8)


def together(chunks: Iterable[Chunk], layout: Layout) -> Iterator[Chunk]:
    """The chunks; of those of which little is left, neighbours as one."""
    some: list[Chunk] = []
    for chunk in chunks:
        if not chunk.is_last:
            some.append(chunk)
        if some and (chunk.is_last or sum(one.size for one in some) >= BLOCK):
            yield _joined(some, layout)
            some = []
        if chunk.is_last:
            yield chunk


def _joined(chunks: list[Chunk], layout: Layout) -> Chunk:
    text = layout.between.join(chunk.events for chunk in chunks if chunk.size)
    which, events = [], 0
    for kept in (chunk.kept for chunk in chunks if chunk.kept):
        which.append(kept.which + events)
        events += kept.events
    kept = Kept(np.concatenate(which), events)
    return padded(text, chunks[0].at)._replace(kept=kept)
