"""Chunks of whole events: a source's blocks cut at events, and put together again where small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from skiptrace.intervals import Ints
from skiptrace.read.digits import MARGIN
from skiptrace.read.layout import Layout

BLOCK = 1 << 22
"""Bytes read, cut and parsed at a time: work enough to outweigh that of calling for it."""
LONG = 1 << 28
"""Behind so many bytes chunks are larger, since the columns held by then are far larger still."""
_LARGE = 1 << 24
"""Such chunks are parsed by two threads: in smaller ones they hand Python's lock to and fro."""
_MOST_KEPT = 31 << 20
"""More than 32 MB glibc always gives back."""
_PADDING = b" " * MARGIN
"""Stands behind a text, so that it can be looked at eight bytes at a time."""
_SMALL = 1 << 20
"""Less than so many bytes left of chunks are parsed together."""


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

    @property
    def events(self) -> bytes:
        """The bytes of the events."""
        return self.text[: self.size]

    def behind(self, size: int, layout: Layout) -> Chunk:
        """What follows events of so many bytes."""
        skipped = size + len(layout.between)
        return Chunk(self.text[skipped:], self.size - skipped, self.at + skipped)


def padded(text: bytes, at: int) -> Chunk:
    """All of a text as a chunk."""
    return Chunk(text + _PADDING, len(text), at)


def cut(
    data: bytes, at: int, blocks: Iterator[bytes], layout: Layout
) -> Iterator[tuple[Chunk, bool]]:
    """Chunks without what separates them, and whether it is the last, which is all that remains."""
    separator, between = layout.separator, len(layout.between)
    less = len(separator) - 1
    least = 0  # bytes of a chunk
    waiting: list[bytes] = []  # what is in no chunk yet, without a separator
    edge = b""  # where that ends: a separator may lie across the border
    for more in blocks:
        if at >= LONG and not least:
            least = _LARGE
            keep_freed(_LARGE)
        more_wanted = sum(map(len, waiting)) + len(data) < least
        end = -1 if more_wanted else data.rfind(separator)
        if end < 0 and not more_wanted and separator in edge + data[:less]:
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
            yield Chunk(text, size, at), False
            at += size + between
            waiting = [rest[between:]]
            edge = waiting[0][-less:]
        data = more
    yield padded(b"".join((*waiting, data)), at), True


def keep_freed(size: int) -> None:
    """Have glibc keep what is freed in the size of chunks, as it does once more was freed.

    Else it goes back to the system, and comes again page by page: 8 % of the CPU time of 50 MB.
    """
    np.empty(min(2 * size, _MOST_KEPT), np.uint8)


def together(chunks: Iterable[Chunk], layout: Layout) -> Iterator[Chunk]:
    """The chunks; of those of which little is left, neighbours as one."""
    some: list[Chunk] = []
    for chunk in chunks:
        some.append(chunk)
        if sum(one.size for one in some) >= _SMALL:
            yield _joined(some, layout)
            some = []
    if some:
        yield _joined(some, layout)


def _joined(chunks: list[Chunk], layout: Layout) -> Chunk:
    text = layout.between.join(chunk.events for chunk in chunks if chunk.size)
    which, events = [], 0
    for kept in (chunk.kept for chunk in chunks if chunk.kept):
        which.append(kept.which + events)
        events += kept.events
    kept = Kept(np.concatenate(which), events)
    return padded(text, chunks[0].at)._replace(kept=kept)
