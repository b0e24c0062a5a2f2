"""A source to parts: read and unpacked in blocks, cut at events, parsed beside the reading."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import cpu_count
from typing import Any

import orjson

from skiptrace.read.decode import decode, events_and_header, loads, no_gc
from skiptrace.read.layout import find_layout, first_event
from skiptrace.read.regular import Reader
from skiptrace.read.rows import Part, from_decoded
from skiptrace.read.select import Selection
from skiptrace.read.source import Progress, Source

BLOCK = 1 << 22
"""Bytes read, cut and parsed at a time: work enough to outweigh that of calling for it."""
EVERYTHING = Selection()


class UnfitError(Exception):
    """The bytes are not laid out so; the general reader takes them."""


def read_parts(
    source: Source,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
    block: int | None = None,
) -> tuple[list[Part], dict[str, Any]]:
    """The events of a source in parts, in file order, and its header.

    The fast reader takes what is laid out regularly, the general one the rest: a chunk that is
    not, the last events with what follows them, or the whole.
    """
    if not source.is_decoded:
        try:
            return _regular(source, progress, selection, block or BLOCK)
        except UnfitError:
            pass
    events, header = decode(source)
    with no_gc():
        return [selection.rows(from_decoded(events))], header


def _regular(
    source: Source, progress: Progress | None, selection: Selection, block: int
) -> tuple[list[Part], dict[str, Any]]:
    blocks = source.blocks(block, progress)
    data = next(blocks, b"")
    first = first_event(data)
    layout = find_layout(data, first) if first is not None else None
    if first is None or layout is None:
        raise UnfitError
    reader = Reader(layout)
    workers = cpu_count() or 1
    parts: list[Part] = []
    waiting: deque[Future[Part]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        rest = b""
        for chunk, is_last in _chunks(data[first:], blocks, layout.separator):
            whole = chunk
            if is_last:
                cut = chunk.rfind(layout.separator) + 1
                # Behind the events there may be other lists, with the same between their objects.
                if not cut or not layout.is_regular(chunk[:cut]):
                    rest = chunk
                    break
                whole, rest = chunk[:cut], chunk[cut + len(layout.between) :]
            waiting.append(pool.submit(_parse_chunk, whole, reader, selection))
            if len(waiting) > 2 * workers:  # bounds how much is in memory
                parts.append(waiting.popleft().result())
        parts.extend(future.result() for future in waiting)
    # What is left closes the document that the first bytes opened.
    document = _closed(data[:first] + rest)
    events, header = events_and_header(document, source.name)
    with no_gc():
        parts.append(selection.rows(from_decoded(events)))
    return parts, header


def _chunks(data: bytes, blocks: Iterator[bytes], separator: bytes) -> Iterator[tuple[bytes, bool]]:
    """Whole events without what separates the chunks; last, and marked so, what remains."""
    waiting: list[bytes] = []  # blocks without a separator, joined once one is found
    for more in blocks:
        cut = data.rfind(separator)
        if cut < 0:
            keep = max(len(data) - len(separator), 0)  # a separator may lie across the border
            waiting.append(data[:keep])
            data = data[keep:] + more
            continue
        yield b"".join((*waiting, data[: cut + 1])), False
        waiting.clear()
        data = data[cut + separator.rindex(b"{") :] + more
    yield b"".join((*waiting, data)), True


def _parse_chunk(chunk: bytes, reader: Reader, selection: Selection) -> Part:
    try:
        if selection and reader.layout.head:
            text, kept, events = selection.thinned(chunk, reader.layout)
            if text:
                return selection.rows(reader.read(text).among(kept, events))
        return selection.rows(reader.read(chunk))
    except orjson.JSONDecodeError as error:
        raise UnfitError from error


def _closed(data: bytes) -> Any:  # noqa: ANN401  whatever JSON holds
    try:
        return loads(data)
    except orjson.JSONDecodeError as error:
        raise UnfitError from error
