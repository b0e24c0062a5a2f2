"""The fast reader: a part from a text of one layout, over its bytes as arrays.

Events that match a template are read by it; the rest of a regular text by its tokens; and what has
a value of another type than the usual by the general reader, event by event.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import orjson

from skiptrace.intervals import Bools, Ints
from skiptrace.read.decode import loads, no_gc
from skiptrace.read.digits import MARGIN, Bytes, integers, nanoseconds, words_of
from skiptrace.read.layout import Layout
from skiptrace.read.names import strings_at
from skiptrace.read.rows import PHASES, TIMED, Part, from_decoded, merged
from skiptrace.read.templates import Match, Templates
from skiptrace.read.tokens import Tokens, event_braces, tokenize

_KNOWN = np.zeros(256, np.bool_)
_KNOWN[[ord(phase) for phase in PHASES - {"M"}]] = True
_IS_TIMED = np.zeros(256, np.bool_)
_IS_TIMED[[ord(phase) for phase in TIMED]] = True

_TEXTS = {
    "cat": "cat",
    "name": "name",
    "cuda_sync_kind": "sync_kind",
    "Collective name": "collective",
}
_NUMBERS = {
    "pid": "pid",
    "tid": "tid",
    "correlation": "correlation",
    "external id": "external_id",
    "External id": "external_id",  # where an event has both, this one
    "device": "device",
    "stream": "stream",
}
_TIMES = {"ts": "start_ns", "dur": "dur_ns"}


class Reader:
    """Reads whole events of one layout; it learns as it reads, and any thread may use it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._templates = Templates()

    def read(self, chunk: bytes) -> Part:
        """A part from the bytes of whole events.

        Raises
        ------
        orjson.JSONDecodeError
            They are no JSON.
        """
        text, layout = chunk + b" " * MARGIN, self.layout
        start = event_braces(words_of(text), np.frombuffer(text, np.uint8), layout)
        end = np.append(start[1:] - len(layout.between), len(chunk))
        matches, left = self._templates.match(text, start, end)
        part = _matched(text, len(start), matches)
        if part is None or len(left) == len(start):
            return self._any(chunk)
        if len(left):
            spans = zip(start[left].tolist(), end[left].tolist(), strict=True)
            others = self._each([text[a:b] for a, b in spans])
            if others is None or others.events != len(left):
                return self._any(chunk)  # what looked like a border was inside an event
            return merged(part, np.ones(len(part.ids), np.bool_), others, left)
        return part

    def _each(self, events: list[bytes]) -> Part | None:
        """A part from what should be one event each; None where that cannot be told.

        Of a regular text all borders are known; else each must be JSON by itself, since pieces of
        one event may happen to be as many as the events of another piece.
        """
        joined = self.layout.between.join(events)
        if self.layout.is_regular(joined):
            return from_text(joined, self.layout)
        try:
            with no_gc():
                return from_decoded([loads(event) for event in events])
        except orjson.JSONDecodeError:
            return None

    def _any(self, chunk: bytes) -> Part:
        if self.layout.is_regular(chunk):
            return from_text(chunk, self.layout)
        with no_gc():
            return from_decoded(loads(b"[" + chunk + b"]"))


def _matched(text: bytes, events: int, matches: list[Match]) -> Part | None:
    """The rows of matched events; None where a text holds what JSON does not allow."""
    slot = np.full(events, -1, np.int64)
    phases = np.zeros(events, np.uint8)
    counts: Counter[str] = Counter()
    timed = []
    for match in matches:
        phase = match.template.phase
        phases[match.events] = phase
        if _IS_TIMED[phase]:
            slot[match.events] = 0
            timed.append(match)
        else:
            counts[chr(phase)] += len(match.events)
    ids = np.flatnonzero(slot >= 0)
    slot[ids] = np.arange(len(ids))
    part = Part(events, ids, phases[ids], phases=counts)
    cats = list(dict.fromkeys(m.template.cat for m in timed if m.template.cat is not None))
    cat = np.full(len(ids), -1, np.int64)
    at, length = (
        {c: np.full(len(ids), -1, np.int64) for m in timed for c in m.texts} for _ in range(2)
    )
    for match in timed:
        rows = slot[match.events]
        if match.template.cat is not None:
            cat[rows] = cats.index(match.template.cat)
        for column, values in match.numbers.items():
            filled, valid = part.numbers.setdefault(
                column, (np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_))
            )
            filled[rows], valid[rows] = values, True
        for column, (start, size) in match.texts.items():
            at[column][rows], length[column][rows] = start, size
    part.put_text("cat", cat, cats)
    for column, start in at.items():
        there = np.flatnonzero(start >= 0)
        codes, texts = strings_at(text, words_of(text), start[there], length[column][there])
        if any(min(string, default=" ") < " " for string in texts):
            return None
        filled = np.full(len(ids), -1, np.int64)
        filled[there] = codes
        part.put_text(column, filled, texts)
    return part


def from_text(chunk: bytes, layout: Layout) -> Part:
    """A part from a text for which `Layout.is_regular` holds."""
    tokens = tokenize(chunk, layout)
    count = len(tokens.start)
    phase = np.zeros(count, np.uint8)
    if (value := tokens.values("ph", np.arange(count))) is not None:
        single = value.is_text & (value.length == 1)
        phase[value.events[single]] = tokens.codes[value.at[single] + 1]
    timed = np.flatnonzero(_IS_TIMED[phase])
    rows, unusual = _rows(tokens, timed, phase)
    others = np.bincount(phase, minlength=256)
    odd = ~_KNOWN[phase]
    odd[timed[unusual]] = True
    rows.phases = Counter({p: n for p in PHASES - {*TIMED, "M"} if (n := int(others[ord(p)]))})
    if odd.any():
        return merged(rows, ~unusual, _general(tokens, layout, odd), np.flatnonzero(odd))
    return rows


def _rows(tokens: Tokens, timed: Ints, phase: Bytes) -> tuple[Part, Bools]:
    """The timed events as rows, and which of these have a value that is not as usual."""
    part = Part(len(tokens.start), timed, phase[timed])
    unusual = np.zeros(len(timed), np.bool_)
    for key, column in _TEXTS.items():
        if (value := tokens.values(key, timed)) is None:
            continue
        unusual[value.events] |= ~value.is_text
        text = np.flatnonzero(value.is_text)
        codes, texts = strings_at(tokens.text, tokens.words, value.at[text] + 1, value.length[text])
        filled = np.full(len(timed), -1, np.int64)
        filled[value.events[text]] = codes
        part.put_text(column, filled, texts)
    for key, column in (_NUMBERS | _TIMES).items():
        if (value := tokens.values(key, timed)) is None:
            continue
        if key in _TIMES:
            numbers, fits = nanoseconds(tokens.text, tokens.words, tokens.codes, value.at)
        else:
            numbers, fits = integers(tokens.words, tokens.codes, value.at)
        unusual[value.events] |= ~fits
        if len(value.events) == len(timed) and column not in part.numbers:
            part.numbers[column] = numbers, fits
            continue
        filled, valid = part.numbers.setdefault(
            column, (np.zeros(len(timed), np.int64), np.zeros(len(timed), np.bool_))
        )
        filled[value.events] = numbers
        valid[value.events] = fits
    for what in ("pid", "tid"):
        unusual |= ~part.numbers[what][1] if what in part.numbers else True
    return part, unusual


def _general(tokens: Tokens, layout: Layout, odd: Bools) -> Part:
    """These events by the general reader."""
    begins = tokens.start
    ends = np.append(begins[1:] - len(layout.between), tokens.size)
    spans = zip(begins[odd].tolist(), ends[odd].tolist(), strict=True)
    events = b",".join(tokens.text[begin:end] for begin, end in spans)
    return from_decoded(loads(b"[" + events + b"]"))
