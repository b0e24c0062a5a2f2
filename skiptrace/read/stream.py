"""A source to its events: read and unpacked in blocks, cut at events, parsed beside the reading.

What is wanted of the events is a `Way`: columns for a trace, the decoded events for arguments.
Both go the same way through a damaged file too, so that an event has one index.
"""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import orjson

from skiptrace.errors import ReadError
from skiptrace.read.columns import Columns
from skiptrace.read.decode import events_and_header, fault_of, is_list, loads, no_gc
from skiptrace.read.digits import MARGIN
from skiptrace.read.faults import Fault
from skiptrace.read.layout import Layout, find_layout, first_event
from skiptrace.read.regular import Reader
from skiptrace.read.repair import repair as mend
from skiptrace.read.rows import Part, from_decoded
from skiptrace.read.select import Selection
from skiptrace.read.source import Progress, Source

BLOCK = 1 << 22
"""Bytes read, cut and parsed at a time: work enough to outweigh that of calling for it."""
_LONG = 1 << 28
"""Behind so many bytes blocks are larger, since the columns held by then are far larger still."""
_LARGE = 1 << 24
"""Such blocks are parsed by two threads: in smaller ones they hand Python's lock to and fro."""

_LIST_END = re.compile(rb"}\s*]")
"""What a list of objects ends in, though not only that."""
PADDING = b" " * MARGIN
"""Stands behind the events of a chunk, so that they can be looked at eight bytes at a time."""

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
    of_layout: Callable[[Layout], Callable[[bytes], T]]
    """Of the bytes of whole events and `PADDING`; raises `orjson.JSONDecodeError` where these are
    no JSON."""
    of_events: Callable[[list[Any]], T]
    """Of decoded events."""
    skips: bool = False
    """Whether what is made of bytes passes over some of them, whatever they are."""


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

    def of_layout(layout: Layout) -> Callable[[bytes], Part]:
        reader = Reader(layout)

        def read(chunk: bytes) -> Part:
            if selection and layout.head:
                text, kept, events = selection.thinned(chunk, layout)
                part = reader.read(text + PADDING) if text else from_decoded([])
                return selection.rows(part.among(kept, events))
            return selection.rows(reader.read(chunk))

        return read

    def of_events(events: list[Any]) -> Part:
        with no_gc():
            return selection.rows(from_decoded(events))

    way = Way(Columns, of_layout, of_events, skips=bool(selection))
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
    way = Way(hold, lambda _: lambda chunk: taken(loads(b"[" + chunk + b"]")), taken)
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
    try:
        return _in_blocks(source, way, progress, block, repair=repair)
    except UnfitError:
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
    source: Source, way: Way[T, H], progress: Progress | None, block: int, *, repair: bool
) -> Read[H]:
    faults: list[Fault] = []
    _keep_freed()
    note, tell = _relay(progress)
    blocks = source.blocks(block, note, faults if repair else None)
    data = next(blocks, b"")
    tell()
    first = first_event(data)
    layout = find_layout(data, first) if first is not None else None
    if first is None or layout is None:
        raise UnfitError
    of_bytes, mendable = way.of_layout(layout), repair and layout.is_clear
    rest, rest_at = b"", first
    held = way.hold()

    def chunks(reader: ThreadPoolExecutor) -> Iterator[tuple[bytes, int]]:
        nonlocal rest, rest_at
        for chunk, at, is_last in _ahead(_chunks(data[first:], first, blocks, layout), reader):
            tell()
            if is_last:
                rest, rest_at = chunk, at
            else:
                yield chunk, at

    def parse(chunk: bytes, at: int) -> tuple[T, list[Fault]]:
        return _one(way, of_bytes, chunk, at, mendable=mendable)

    with ThreadPoolExecutor(1) as reader:
        for part, found in _parsed(chunks(reader), parse):
            held.append(part)
            faults.extend(found)
    most, cut = _before_last(of_bytes, rest, layout, skips=way.skips)
    if most is not None:
        held.append(most)
        rest, rest_at = rest[cut:], rest_at + cut
    # What is left closes the document that the first bytes opened.
    document = data[:first] + rest
    try:
        events, header = events_and_header(loads(document), source.name)
    except orjson.JSONDecodeError:
        if not repair:
            raise UnfitError from None
        mended = mend(document)
        events, header = mended.events, mended.header
        faults += _moved(mended.faults, first, rest_at)
    held.append(way.of_events(events))
    return Read(held, header, faults)


def _keep_freed() -> None:
    """Have glibc keep what is freed in the size of blocks, as it does once so much was freed.

    Else it goes back to the system, and comes again page by page: 8 % of the CPU time of 50 MB.
    """
    np.empty(2 * BLOCK, np.uint8)


def _before_last(
    of_bytes: Callable[[bytes], T], rest: bytes, layout: Layout, *, skips: bool
) -> tuple[T | None, int]:
    """What is made of all remaining events but the last, and where that one begins.

    None where they are damaged, or where some may be of another list, which can have the same
    between its objects: they are left to what closes the document. What skips events sees neither.
    """
    cut = rest.rfind(layout.separator) + 1
    doubtful = skips or _LIST_END.search(rest, 0, cut)
    if not cut or (doubtful and not is_list(rest[:cut])):
        return None, 0
    try:
        return of_bytes(rest[:cut] + PADDING), cut + len(layout.between)
    except orjson.JSONDecodeError:
        return None, 0


def _relay(progress: Progress | None) -> tuple[Progress, Callable[[], None]]:
    """A callback for the thread that reads, and what hands its calls on in the caller's."""
    told: deque[tuple[str, float]] = deque()

    def tell() -> None:
        while progress and told:
            progress(*told.popleft())

    return lambda stage, share: told.append((stage, share)), tell


def _moved(faults: list[Fault], cut: int, to: int) -> list[Fault]:
    """Faults of a document in which what was at `to` stands at `cut`."""
    for fault in faults:
        fault.offset += to - cut if fault.offset >= cut else 0
    return faults


def _ahead(items: Iterator[V], reader: ThreadPoolExecutor) -> Iterator[V]:
    """The items, of which the next is made by the reader meanwhile."""
    coming = reader.submit(next, items, None)
    while (item := coming.result()) is not None:
        coming = reader.submit(next, items, None)
        yield item


def _parsed(chunks: Iterator[tuple[bytes, int]], parse: Callable[[bytes, int], V]) -> Iterator[V]:
    """Each chunk parsed, in their order: by this thread, or several where that pays.

    Small ones, or more than two at a time, would hand Python's lock to and fro. Without such a
    lock a core each.
    """
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    threads = os.cpu_count() or 1
    if has_lock:
        threads = min(threads, 2)
    waiting: deque[Future[V]] = deque()
    with ThreadPoolExecutor(threads) as parsers:
        for chunk, at in chunks:
            if has_lock and at < _LONG:
                yield parse(chunk, at)
                continue
            waiting.append(parsers.submit(parse, chunk, at))
            if len(waiting) > threads:  # bounds how much is in memory
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _one(
    way: Way[T, H],
    of_bytes: Callable[[bytes], T],
    chunk: bytes,
    at: int,
    *,
    mendable: bool,
) -> tuple[T, list[Fault]]:
    try:
        return of_bytes(chunk), []
    except orjson.JSONDecodeError:
        if not mendable:
            raise UnfitError from None
    chunk = chunk[:-MARGIN]
    if _has_ended(chunk):
        raise UnfitError
    mended = mend(chunk, at, is_run=True)
    return way.of_events(mended.events), mended.faults


def _has_ended(chunk: bytes) -> bool:
    """Whether the list of events ends within the chunk, which is no damage."""
    try:
        orjson.loads(text := b"[" + chunk + b"]")
    except orjson.JSONDecodeError as error:
        before = text.decode("utf-8", "replace")[: error.pos].rstrip()
        return before.endswith("]") and is_list(before[1:-1].encode())
    return False


def _chunks(
    data: bytes, at: int, blocks: Iterator[bytes], layout: Layout
) -> Iterator[tuple[bytes, int, bool]]:
    """Whole events without what separates the chunks, and where they start; last what remains.

    Behind the events of a chunk there is `PADDING`: each is copied once. Chunks behind `_LONG`
    are larger.
    """
    separator, between = layout.separator, len(layout.between)
    less = len(separator) - 1
    waiting: list[bytes] = []  # what is in no chunk yet, without a separator
    edge = b""  # where that ends: a separator may lie across the border
    for more in blocks:
        more_wanted = sum(map(len, waiting)) + len(data) < (_LARGE if at >= _LONG else 0)
        cut = -1 if more_wanted else data.rfind(separator)
        if cut < 0 and not more_wanted and separator in edge + data[:less]:
            data = b"".join((*waiting, data))
            waiting, cut = [], data.rfind(separator)
        if cut < 0:
            waiting.append(data)
            edge = (edge + data)[-less:]
        else:
            chunk = b"".join((*waiting, memoryview(data)[: cut + 1], PADDING))
            yield chunk, at, False
            at += len(chunk) - MARGIN + between
            waiting = [data[cut + 1 + between :]]
            edge = waiting[0][-less:]
        data = more
    yield b"".join((*waiting, data)), at, True
