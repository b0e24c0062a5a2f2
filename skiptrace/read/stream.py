"""A source to its events: read and unpacked in blocks, cut at events, parsed beside the reading.

What is wanted of the events is a `Way`: columns for a trace, the decoded events for arguments.
Both go the same way through a damaged file too, so that an event has one index.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import orjson

from skiptrace.errors import ReadError
from skiptrace.read.chunks import (
    BLOCK,
    Chunk,
    from_blocks,
    from_parts,
    keep_freed,
    padded,
    together,
)
from skiptrace.read.columns import Columns
from skiptrace.read.decode import events_and_header, fault_of, is_list, loads, no_gc
from skiptrace.read.faults import Fault
from skiptrace.read.layout import Layout, find_layout, first_event
from skiptrace.read.regular import Reader
from skiptrace.read.repair import repair as mend
from skiptrace.read.rows import Part, from_decoded
from skiptrace.read.select import Selection
from skiptrace.read.source import Progress, Source

_LIST_END = re.compile(rb"}\s*]")
"""What a list of objects ends in, though not only that."""

_PIECE = 1 << 16
"""Bytes of events looked at together where nothing is made of them."""

EVERYTHING = Selection()

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
V = TypeVar("V")


class Held(Protocol[T_contra]):
    """What takes up the parts of a source, in their order."""

    def append(self, part: T_contra, /) -> None:
        """Take up the next."""


H = TypeVar("H", bound=Held[Any])


class UnfitError(Exception):
    """The bytes are not laid out so; they are decoded whole."""


class UnlikeError(Exception):
    """Not every event of a chunk stands apart as most do: what is left of it holds others."""


class _JoinedError(Exception):
    """What is left of several chunks is damaged, or unlike: all of each chunk has to be read."""


@dataclass
class Read(Generic[H]):
    """What a source holds."""

    events: H
    """What was made of its events."""
    header: dict[str, Any]
    """The other members of the document."""
    faults: list[Fault]
    """What had to be repaired, by kind."""


class Way(NamedTuple, Generic[T, H]):
    """What is made of events."""

    hold: Callable[[], H]
    """What takes up the parts."""
    of_layout: Callable[[Layout], Callable[[Chunk], T]]
    """Of a chunk; raises `orjson.JSONDecodeError` where it is no JSON, `UnlikeError`."""
    of_events: Callable[[list[Any]], T]
    """Of decoded events."""
    thinned: Callable[[Chunk, Layout], Chunk] | None = None
    """The chunk without events that are passed over, whatever they are."""


def read_parts(
    source: Source,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
    *,
    repair: bool = True,
    block: int | None = None,
) -> Read[Columns]:
    """The events of a source as columns.

    The fast reader takes what is laid out regularly, the general one the rest: a chunk that is
    not, the last events with what follows them, or the whole. Damaged parts are repaired, or with
    ``repair=False`` an error.
    """

    def of_layout(layout: Layout) -> Callable[[Chunk], Part]:
        reader = Reader(layout)

        def read(chunk: Chunk) -> Part:
            part = reader.read(chunk.text, chunk.size) if chunk.size else from_decoded([])
            if chunk.kept:
                if part.events != len(chunk.kept.which):
                    raise UnlikeError
                part.among(*chunk.kept)
            return selection.rows(part)

        return read

    def of_events(events: list[Any]) -> Part:
        with no_gc():
            return selection.rows(from_decoded(events))

    way = Way(Columns, of_layout, of_events, selection.thinned if selection else None)
    return _read(source, way, progress, block or BLOCK, repair=repair)


def read_events(source: Source, take: Callable[[Any], V | None]) -> list[tuple[int, V]]:
    """What is taken of each decoded event, with the indices that `read_parts` gives them.

    ``take`` tells what to keep of an event, None for nothing. No more than that stays in memory.
    """

    def taken(events: list[Any]) -> tuple[int, list[tuple[int, V]]]:
        with no_gc():
            kept = [(i, found) for i, e in enumerate(events) if (found := take(e)) is not None]
        return len(events), kept

    hold: Callable[[], list[tuple[int, list[tuple[int, V]]]]] = list
    way = Way(hold, lambda _: lambda chunk: taken(loads(b"[" + chunk.events + b"]")), taken)
    rows: list[tuple[int, V]] = []
    before = 0
    for count, kept in _read(source, way, None, BLOCK, repair=True).events:
        rows += [(before + i, found) for i, found in kept]
        before += count
    return rows


def _read(
    source: Source, way: Way[T, H], progress: Progress | None, block: int, *, repair: bool
) -> Read[H]:
    if source.is_decoded:
        events, header = events_and_header(source.origin, source.name)
        return Read(_held(way, events), header, [])
    for joined in (True, False):
        try:
            return _in_blocks(source, way, progress, block, repair=repair, joined=joined)
        except _JoinedError:
            continue
        except UnfitError:
            break
    return _whole(source, way, repair=repair)


def _held(way: Way[T, H], events: list[Any]) -> H:
    held = way.hold()
    held.append(way.of_events(events))
    return held


def _whole(source: Source, way: Way[T, H], *, repair: bool) -> Read[H]:
    faults: list[Fault] = []
    data = source.read(faults if repair else None)
    try:
        events, header = events_and_header(loads(data), source.name)
    except orjson.JSONDecodeError:
        if not data.strip():
            raise ReadError.empty(source.name) from None
        mended = mend(data)
        if not mended.events:
            raise ReadError.not_json(source.name, *fault_of(data)) from None
        if not repair and mended.faults:
            first = mended.faults[0]
            raise ReadError.fault(source.name, first.kind, first.offset, first.excerpt) from None
        events, header = mended.events, mended.header
        faults += mended.faults
    return Read(_held(way, events), header, faults)


def _in_blocks(
    source: Source,
    way: Way[T, H],
    progress: Progress | None,
    block: int,
    *,
    repair: bool,
    joined: bool,
) -> Read[H]:
    faults: list[Fault] = []
    keep_freed()
    note, tell = _relay(progress)
    with source.opened() as parts, ThreadPoolExecutor(1) as reader:
        if parts:
            texts, chunks_of = from_parts(parts, block, note, reader)
        else:
            blocks = source.blocks(block, note, faults if repair else None)
            texts, chunks_of = from_blocks(blocks, reader)
        data, first, layout = _opening(texts)
        parser = _Parser(way, layout, repair=repair)
        held = way.hold()
        rest = padded(b"", first)
        chunks = map(tell, chunks_of(data, first, layout))
        for chunk in parser.thinly(chunks) if joined else chunks:
            if chunk.is_last:
                rest = chunk
            else:
                part, found = parser.parse(chunk)
                held.append(part)
                faults.extend(found)
            del chunk  # the next but one is read into its memory
    if size := parser.before_last(rest):
        with suppress(orjson.JSONDecodeError):  # left to what closes the document, then
            held.append(parser.made(rest._replace(size=size)))
            rest = rest.behind(size, layout)
    # What is left closes the document that the first bytes opened.
    document = data[:first] + rest.events
    try:
        events, header = events_and_header(loads(document), source.name)
    except orjson.JSONDecodeError:
        if not repair:
            raise UnfitError from None
        mended = mend(document)
        events, header = mended.events, mended.header
        faults += _moved(mended.faults, first, rest.at)
    held.append(way.of_events(events))
    return Read(held, header, faults)


def _opening(texts: Iterator[bytes]) -> tuple[bytes, int, Layout]:
    """The first text that tells where its first event is, and how events are laid out."""
    for text in texts:
        first = first_event(text)
        layout = None if first is None else find_layout(text, first)
        if first is not None and layout is not None:
            return text, first, layout
    raise UnfitError


class _Parser(Generic[T]):
    """Makes of chunks of one layout what is wanted of them."""

    def __init__(self, way: Way[T, Any], layout: Layout, *, repair: bool) -> None:
        self.layout = layout
        self.thinned = way.thinned if layout.head else None
        self._of_chunk, self._of_events = way.of_layout(layout), way.of_events
        self._mendable = repair and layout.is_clear

    def made(self, chunk: Chunk) -> T:
        """What is made of a chunk; raises where it is no JSON."""
        if self.thinned and chunk.kept is None:
            with suppress(UnlikeError):
                return self._of_chunk(self.thinned(chunk, self.layout))
        return self._of_chunk(chunk)

    def parse(self, chunk: Chunk) -> tuple[T, list[Fault]]:
        """What is made of a chunk, mended where need be and that can be done."""
        try:
            return self.made(chunk), []
        except UnlikeError:
            raise _JoinedError from None
        except orjson.JSONDecodeError:
            if not self._mendable:
                raise UnfitError from None
        if chunk.kept is not None:
            raise _JoinedError
        if _has_ended(chunk.events):
            raise UnfitError
        mended = mend(chunk.events, chunk.at, is_run=True)
        return self._of_events(mended.events), mended.faults

    def before_last(self, rest: Chunk) -> int:
        """Bytes of all remaining events but the last.

        0 where some may be of another list, which can have the same between its objects: they are
        left to what closes the document. What skips events would see neither that nor damage.
        """
        end = rest.text.rfind(self.layout.separator, 0, rest.size) + 1
        doubtful = self.thinned or _LIST_END.search(rest.text, 0, end)
        return 0 if doubtful and not self._is_list(rest.text, end) else end

    def _is_list(self, text: bytes, size: int) -> bool:
        """Whether so many bytes are what stands in a JSON list.

        Piece by piece, since what they hold together would be much memory, and new.
        """
        at = 0
        while at < size:
            end = size
            if size - at > _PIECE:
                end = text.rfind(self.layout.separator, at, at + _PIECE) + 1 or size
            if not is_list(text[at:end]):
                return False
            at = end + len(self.layout.between)
        return True

    def thinly(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """The chunks without what is passed over, little ones together; the last is what closes."""
        return together(self._thinly(chunks), self.layout) if self.thinned else chunks

    def _thinly(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            size = self.before_last(chunk) if chunk.is_last else chunk.size
            if size and self.thinned:
                yield self.thinned(chunk._replace(size=size, is_last=False), self.layout)
            if chunk.is_last:
                yield chunk.behind(size, self.layout) if size else chunk
            del chunk


def _relay(progress: Progress | None) -> tuple[Progress, Callable[[Chunk], Chunk]]:
    """A callback for the thread that reads, and what hands its calls on with a chunk."""
    told: deque[tuple[str, float]] = deque()

    def tell(chunk: Chunk) -> Chunk:
        while progress and told:
            progress(*told.popleft())
        return chunk

    return lambda stage, share: told.append((stage, share)), tell


def _moved(faults: list[Fault], cut: int, to: int) -> list[Fault]:
    """Faults of a document in which what was at `to` stands at `cut`."""
    for fault in faults:
        fault.offset += to - cut if fault.offset >= cut else 0
    return faults


def _has_ended(chunk: bytes) -> bool:
    """Whether the list of events ends within the chunk, which is no damage."""
    try:
        orjson.loads(text := b"[" + chunk + b"]")
    except orjson.JSONDecodeError as error:
        before = text.decode("utf-8", "replace")[: error.pos].rstrip()
        return before.endswith("]") and is_list(before[1:-1].encode())
    return False
