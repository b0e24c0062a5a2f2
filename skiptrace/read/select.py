"""Loading a part of a trace: events of some categories, or far from a window, are passed over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from skiptrace.intervals import Bools, Ints
from skiptrace.read.chunks import Chunk, Kept, padded
from skiptrace.read.digits import nanoseconds, words_of
from skiptrace.read.layout import Layout, literally
from skiptrace.read.rows import INT64, Part

_QUOTE = ord('"')
_COMPLETE = ord("X")


@dataclass(frozen=True)
class Selection:
    """Which events are wanted. The others are counted, and are no rows."""

    without: frozenset[str] = frozenset()
    """Categories, as the file writes them, that are not."""
    window: tuple[int, int] | None = None
    """Only what touches these moments (ns) is."""
    anywhere: frozenset[str] = frozenset()
    """Categories that the window does not concern."""
    met: set[str] = field(default_factory=set, compare=False)
    """Those of `without` that some event has, noted as they are found."""

    times: list[tuple[int, int]] = field(default_factory=list, compare=False)
    """Where a window is asked for, from when to when each part that was read goes (ns)."""

    @property
    def span(self) -> tuple[int, int] | None:
        """From when to when all that was read goes; None where it has no times."""
        if not self.times:
            return None
        return min(low for low, _ in self.times), max(high for _, high in self.times)

    def _note(self, start: Ints, dur: Ints) -> None:
        """Note the times of events."""
        if len(start):
            self.times.append((int(start.min()), int((start + dur).max())))

    def __bool__(self) -> bool:
        return bool(self.without) or self.window is not None

    def rows(self, part: Part) -> Part:
        """The part without the rows that are not wanted, which are counted."""
        wanted = np.ones(len(part.ids), np.bool_)
        cat = part.codes.get("cat")
        if cat is not None and self.without:
            unwanted = _is_any(part.texts, self.without)
            self.met.update(part.texts[i] for i in np.unique(cat[unwanted[cat]]).tolist())
            wanted &= ~unwanted[cat]
        if self.window is not None and "start_ns" in part.numbers:
            start, known = part.numbers["start_ns"]
            dur, _ = part.numbers.get("dur_ns", (np.zeros_like(start), known))
            far = known & (part.phase == _COMPLETE) & self._far(start, dur)
            self._note(start[known], np.clip(dur[known], 0, INT64[1] - np.maximum(start[known], 0)))
            # What has no category may be another writer's device work.
            far &= False if cat is None else (cat >= 0) & ~_is_any(part.texts, self.anywhere)[cat]
            wanted &= ~far
        if not wanted.all():
            part.left_out += int((~wanted).sum())
            part.keep(wanted)
        return part

    def thinned(self, chunk: Chunk, layout: Layout) -> Chunk:
        """The chunk without most of what is not wanted, found before anything else is."""
        text, length = chunk.text, chunk.size
        words, codes = words_of(text), np.frombuffer(text, np.uint8)
        at = layout.likely(text, length)
        wanted = np.ones(1 + len(at), np.bool_)
        for category in self.without:
            literal = layout.head + category.encode() + b'"'
            has = literally(text, at, b"}" + layout.between + literal)
            has = np.append(text.startswith(literal), has)
            if has.any():
                self.met.add(category)
            wanted &= ~has
        # What is left out has a separator before it; of the rest it is asked.
        starts = np.ones(len(wanted), np.bool_)
        rest = np.flatnonzero(wanted[1:])
        starts[1 + rest] = literally(text, at[rest], layout.separator)
        start = np.append(0, at + 1 + len(layout.between))[starts]
        wanted = wanted[starts]
        if self.window is not None:
            is_quote = codes[:length] == _QUOTE
            times = []
            for key in (b'ts"', b'dur"'):
                quotes = np.flatnonzero(is_quote[: -len(key)] & is_quote[len(key) :])
                at = quotes[literally(text, quotes + 1, key + layout.colon[1:])]
                owner = np.searchsorted(start, at, side="right") - 1
                ns, known = nanoseconds(text, words, codes, at + len(key) + len(layout.colon))
                value = np.full(len(start), -1, np.int64)
                value[owner[known]] = ns[known]
                # Of an event whose arguments have the key too, or twice, it is unknown.
                value[owner[np.bincount(owner, minlength=len(start))[owner] > 1]] = -1
                times.append(value)
            near = ~self._far(*times) | (times[0] < 0) | (times[1] < 0)
            self._note(*(one[(times[0] >= 0) & (times[1] >= 0)] for one in times))
            near |= ~literally(text, start, layout.head)
            for category in self.anywhere:
                near |= literally(text, start, layout.head + category.encode() + b'"')
            wanted &= near
        kept = np.flatnonzero(wanted)
        border = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
        end = np.append(start[1:] - len(layout.between), length)
        runs = zip(start[border[::2]].tolist(), end[border[1::2] - 1].tolist(), strict=True)
        left = padded(layout.between.join(text[a:b] for a, b in runs), chunk.at)
        return left._replace(kept=Kept(kept, len(start)))

    def _far(self, start: Ints, dur: Ints) -> Bools:
        low, high = self.window or INT64
        end = start + np.minimum(np.maximum(dur, 0), INT64[1] - np.maximum(start, 0))
        far: Bools = (start >= high) | ((start < low) & (end <= low))
        return far


def _is_any(texts: list[str], wanted: frozenset[str]) -> Bools:
    """Which texts are among those; of the code -1, no text, never."""
    return np.array([*(text in wanted for text in texts), False])
