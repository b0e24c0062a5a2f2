"""Make a recorded trace larger or smaller: copies one after another in time, or its last part.

Usage: python benchmarks/tile.py TRACE SIZE OUT [--rank], with a size such as 50MB, 4GB or 3x

A copy is later by the length of the recording, its ids are its own and its steps are numbered on,
so that n copies are n times the events and no link joins two of them. The text is rewritten in
place, a block at a time: layout, digits and everything else stay as the writer left them, and no
size needs memory. What a trace has once (the names of processes, the profiler's own span, the end
of the recording) stays once, at the end, where Kineto puts it.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

BLOCK = 1 << 22

# A key with its quotes cannot stand inside a JSON string, whose quotes are escaped.
_TIMES = re.compile(rb'"ts": (-?\d+)[^,\s]*(?:, "dur": (\d+))?')
_IDS = (
    b"correlation|wait_on_cuda_event_record_corr_id|id|[Ee]xternal id|Record function id|Ev Idx"
    b"|Sequence number|Python id|Python parent id"
)
_ID = re.compile(rb'"(?:' + _IDS + rb')": (\d+)')
_STEP = re.compile(rb'"name": "ProfilerStep#(\d+)"')
_MOVED = re.compile(
    rb'("(?:(ts)|(Ev Idx|Sequence number|Python(?: parent)? id)|(?:' + _IDS + rb"))\": )(-?\d+)"
    rb'|("name": "ProfilerStep#)(\d+)'
)
_ONCE = re.compile(rb'"ph": "M"|"cat": "Trace"|"name": "(?:Iteration Start: |Record Window End)')
_RANK = b'"distributedInfo": {"rank": 0},'


class LayoutError(ValueError):
    """The events do not stand in the file as Kineto writes them."""


@dataclass
class Layout:
    """How a file is laid out, and what of it a copy has to add."""

    header: bytes = b""
    gap: bytes = b""
    """What stands before the brace of every event."""
    footer: bytes = b""
    first_us: int = 0
    last_us: int = 0
    ids: int = 0
    """More than any id."""
    steps: list[int] = field(default_factory=list)
    ends: array[int] = field(default_factory=lambda: array("q"))
    """When each event ends, in microseconds."""
    sizes: array[int] = field(default_factory=lambda: array("q"))
    """Bytes of each event."""

    @property
    def separator(self) -> bytes:
        """The bytes between two events."""
        return self.gap + b"}," + self.gap + b"{"

    @property
    def span_us(self) -> int:
        """By how much a copy is later than the one before: a millisecond lies between them."""
        return self.last_us - self.first_us + 1000


def opened(path: Path) -> BinaryIO:
    """A trace's JSON, unpacked if it is packed."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("BinaryIO", gzip.open(path) if packed else path.open("rb"))


def blocks(path: Path, layout: Layout) -> Iterator[bytes]:
    """Whole events, joined by the separator; fills in header, gap and footer on the way."""
    with opened(path) as file:
        data = file.read(BLOCK)
        start = re.search(rb'"traceEvents": \[(\s*)\{', data)
        if start is None:
            raise LayoutError(f"{path}: no events laid out as Kineto writes them")
        layout.gap, layout.header = start[1], data[: start.start(1)]
        data = data[start.end() :]
        while more := file.read(BLOCK):
            data += more
            cut = data.rfind(layout.separator)
            if cut >= 0:
                yield data[:cut]
                data = data[cut + len(layout.separator) :]
    close = data.rfind(layout.gap + b"}" + layout.gap + b"]")
    if not layout.gap or close < 0:
        raise LayoutError(f"{path}: the events do not end as Kineto writes them")
    yield data[:close]
    layout.footer = data[close + len(layout.gap) + 1 :]


def survey(path: Path) -> Layout:
    """One pass over a file for all that copies need to know."""
    layout = Layout()
    starts = array("q")
    steps: set[int] = set()
    for block in blocks(path, layout):
        repeated = []
        for event in block.split(layout.separator):
            times = _TIMES.search(event)
            if times and not _ONCE.search(event):
                starts.append(int(times[1]))
                layout.ends.append(_end_us(times))
                layout.sizes.append(len(event) + len(layout.separator))
                repeated.append(event)
        text = layout.separator.join(repeated)
        layout.ids = max([layout.ids, *(int(n) + 1 for n in _ID.findall(text))])
        steps.update(int(n) for n in _STEP.findall(text))
    if not starts:
        raise LayoutError(f"{path}: no event has a time")
    layout.first_us = min(starts)
    layout.last_us = max(layout.ends)
    layout.steps = sorted(steps)
    return layout


def _end_us(times: re.Match[bytes]) -> int:
    return int(times[1]) + int(times[2] or 0) + 1


def mover(layout: Layout, copy: int) -> Callable[[re.Match[bytes]], bytes]:
    """What to put in place of a time, an id or the number of a step in a copy."""
    late, ids = copy * layout.span_us, copy * layout.ids
    steps = copy * (layout.steps[-1] - layout.steps[0] + 1) if layout.steps else 0

    def moved(found: re.Match[bytes]) -> bytes:
        key, is_time, from_zero, number, step, n = found.groups()
        if step:
            return step + b"%d" % (int(n) + steps)
        value = int(number)
        if is_time:
            return key + b"%d" % (value + late)
        # 0 and -1 are no id, but where a count begins at 0.
        return key + b"%d" % (value + ids if value > 0 or (from_zero and not value) else value)

    return moved


def tile(source: Path, out: Path, copies: int, *, rank: bool = False) -> None:
    """Write `copies` of a trace one after another in time.

    Parameters
    ----------
    source
        A trace as Kineto writes it, packed or not.
    out
        Where to write, unpacked.
    copies
        How many; with 1 the trace is as it was.
    rank
        Add a rank to the header, which some tools want, if it has none.

    Raises
    ------
    LayoutError
        The file is not laid out as Kineto writes it.
    """
    layout = survey(source)
    with out.open("wb") as file:
        file.write(_ranked(layout.header) if rank else layout.header)
        before = layout.gap + b"{"
        for copy in range(copies):
            for block in blocks(source, layout):
                text = _copied(block, layout, copy, last=copy == copies - 1)
                if text:
                    file.write(before + text)
                    before = layout.separator
        file.write(layout.gap + b"}" + layout.footer)


def _copied(block: bytes, layout: Layout, copy: int, *, last: bool) -> bytes:
    moved = mover(layout, copy)
    if not _ONCE.search(block):
        return _MOVED.sub(moved, block) if copy else block
    events = []
    for event in block.split(layout.separator):
        once = _ONCE.search(event)
        if not once or (last and b"Window End" in once[0]):
            events.append(_MOVED.sub(moved, event))
        elif last:
            events.append(event)
    return layout.separator.join(events)


def _ranked(header: bytes) -> bytes:
    if b'"distributedInfo"' in header:
        return header
    return re.sub(rb'(\s*)"schemaVersion": \d+,', rb"\g<0>\1" + _RANK, header, count=1)


def cut(source: Path, out: Path, size: int) -> None:
    """Write the last part of a trace, of about `size` bytes: what ends after some moment.

    What began before and lasts, such as a step, is kept whole; work whose launch was before is
    kept without it, as in a recording that begins there.
    """
    layout = survey(source)
    ends, sizes = np.array(layout.ends), np.array(layout.sizes)
    latest = np.argsort(-ends)
    kept = min(int(np.searchsorted(np.cumsum(sizes[latest]), size)), len(ends) - 1)
    moment = ends[latest[kept]]
    with out.open("wb") as file:
        file.write(layout.header)
        before = layout.gap + b"{"
        for block in blocks(source, layout):
            for event in block.split(layout.separator):
                times = _TIMES.search(event)
                if not times or _end_us(times) >= moment or _ONCE.search(event):
                    file.write(before + event)
                    before = layout.separator
        file.write(layout.gap + b"}" + layout.footer)


def main(argv: Sequence[str] | None = None) -> int:
    """Tile or cut as the command line says."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], allow_abbrev=False
    )
    parser.add_argument("trace", type=Path, help="as Kineto writes it, packed or not")
    parser.add_argument("size", help="50MB or 4GB, to whole copies, or a number of them: 3x")
    parser.add_argument("out", type=Path, help="where to write, unpacked")
    parser.add_argument("--rank", action="store_true", help="add a rank to the header")
    given = parser.parse_args(argv)
    size = re.fullmatch(r"(\d+)(MB|GB|x)", given.size)
    if size is None:
        parser.error(f"no size: {given.size!r}")
    amount = int(size[1])
    if size[2] == "x":
        tile(given.trace, given.out, amount, rank=given.rank)
        return 0
    wanted = amount * (10**6 if size[2] == "MB" else 10**9)
    whole = sum(survey(given.trace).sizes)
    if wanted < whole:
        cut(given.trace, given.out, wanted)
    else:
        tile(given.trace, given.out, round(wanted / whole), rank=given.rank)
    return 0


if __name__ == "__main__":
    sys.exit(main())
