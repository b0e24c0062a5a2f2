"""Events of one shape, matched whole: what stands fixed in them, and the numbers and texts between.

A writer makes each kind of event with the same keys in the same order. A template is learned from
one such event, and holds its bytes up to the values that differ. Where an event matches a template
to its last byte it is JSON of that very shape, and its values are where the template says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import orjson

from skiptrace.intervals import Bools, Ints
from skiptrace.read.digits import (
    MARGIN,
    MOST_COUNTED,
    MOST_DIGITS,
    MOST_US,
    Bytes,
    Words,
    count_digits,
    digits,
    thousandths,
    words_of,
)
from skiptrace.read.rows import PHASES, TIMED

_COLUMNS = {"ts": "start_ns", "dur": "dur_ns", "pid": "pid", "tid": "tid", "name": "name"}
_ARGUMENTS = {
    "correlation": "correlation",
    "External id": "external_id",
    "external id": "external_id",
    "device": "device",
    "stream": "stream",
    "cuda_sync_kind": "sync_kind",
    "Collective name": "collective",
    "correlation_id": "correlation_id",
}
_KINDS = {
    "start_ns": "time",
    "dur_ns": "duration",
    "name": "text",
    "sync_kind": "text",
    "collective": "text",
    "correlation_id": "text",
}
"""Columns that are not integers."""
_TOKEN = re.compile(
    rb'(?P<space>[ \t\r\n]+)|(?P<text>"[ !#-\[\]-~]*")|(?P<number>-?[0-9][0-9.]*)'
    rb"|(?P<word>true|false|null)|(?P<mark>[{}\[\]:,])"
)
_LONGEST_TEXT = 4096
"""Longer texts are left to the other readers."""
_LONGEST_EVENT = 1 << 14
"""And so are longer events."""
_FEW = 8
"""So few events, or a fiftieth of a block, are not worth a template."""
_TRIES = 8
"""Templates tried on a block at most."""
_IN_VAIN = 16
"""After so many tries in vain a file is not learned from any more."""
_U64 = np.uint64
_ONES, _HIGH = _U64(0x0101010101010101), _U64(0x8080808080808080)


class Field(NamedTuple):
    """A value that differs from event to event."""

    kind: str
    """``integer``, ``time``, ``duration``, ``text``, or ``number``: one of no interest."""
    column: str | None
    """Where it goes; None where it is of no interest."""


@dataclass(frozen=True)
class Template:
    """The shape of an event."""

    parts: tuple[bytes | Field, ...]
    """Literals and fields, as they follow each other."""
    phase: int
    cat: str | None
    """Its category; None where it has none, or is no row."""


@dataclass
class Match:
    """The events of one template, and their values."""

    template: Template
    events: Ints
    numbers: dict[str, Ints]
    texts: dict[str, tuple[Ints, Ints]]
    """Column -> where they start, and how long they are."""


def learn(event: bytes) -> Template | None:
    """The template of an event; None where it holds what a template cannot."""
    if len(event) > _LONGEST_EVENT:
        return None
    try:
        decoded = orjson.loads(event)
    except orjson.JSONDecodeError:
        return None
    phase, cat = decoded.get("ph"), decoded.get("cat")
    if not isinstance(phase, str) or phase not in PHASES - {"M"}:
        return None
    timed = phase in TIMED
    parts = _parts(event, timed=timed)
    columns = [p.column for p in parts or () if isinstance(p, Field) and p.column]
    if parts is None or (timed and not {"pid", "tid", "start_ns"} <= set(columns)):
        return None
    if len(columns) > len(set(columns)) or not isinstance(cat, str | None):
        return None
    return Template(tuple(parts), ord(phase), cat if timed else None)


def _parts(event: bytes, *, timed: bool) -> list[bytes | Field] | None:
    """Literals and fields of an event that is JSON; None where it has what no template has."""
    parts: list[bytes | Field] = []
    literal, at, shape = b"", 0, _Shape(timed=timed)
    while at < len(event):
        token = _TOKEN.match(event, at)
        if token is None:
            return None
        at, text = token.end(), token.group()
        try:
            field = shape.meet(text, token.lastgroup or "")
        except _NoTemplateError:
            return None
        if field is not None:
            quote = b'"' if token.lastgroup == "text" else b""
            parts += [literal + quote, field]
            literal, text = b"", quote
        literal += text
    return [*parts, literal]


class _NoTemplateError(Exception):
    """An event that holds what no template has."""


class _Shape:
    """Where in an event a token stands."""

    def __init__(self, *, timed: bool) -> None:
        self.timed = timed
        self.key: str | None = None
        self.open: list[set[str] | None] = []
        """Of each object that is open its keys so far, of each list None."""

    def meet(self, text: bytes, kind: str) -> Field | None:
        """Take the next token; the field that it is, None if it is none."""
        if kind in ("space", "mark"):
            self._mark(text)
            return None
        keys = self.open[-1]
        if keys is not None and self.key is None:
            self.key = text[1:-1].decode()
            if self.key in keys:
                raise _NoTemplateError  # of a key that stands twice the last counts
            keys.add(self.key)
            return None
        outer = len([keys for keys in self.open if keys is not None]) == 1
        columns = _COLUMNS if outer else _ARGUMENTS
        column = columns.get(self.key or "") if self.timed else None
        if column and keys is None:
            raise _NoTemplateError  # a list where a value should stand
        if kind == "word" or (outer and self.key in ("ph", "cat") and kind == "text"):
            if column and text != b"null":
                raise _NoTemplateError
            return None  # of a null there is nothing to tell
        if kind == "text" and not self.timed:
            return None  # flows and counters of one kind have one name
        wanted = _KINDS.get(column, "integer") if column else kind
        if (wanted == "text") != (kind == "text"):
            raise _NoTemplateError
        return Field(wanted, column)

    def _mark(self, text: bytes) -> None:
        if text == b"{":
            if self.open and (len(self.open) > 1 or self.key != "args"):
                raise _NoTemplateError
            self.open.append(set())
            self.key = None
        elif text == b"[":
            self.open.append(None)
        elif text in (b"}", b"]"):
            self.open.pop()
        elif text == b"," and self.open[-1] is not None:
            self.key = None


class Templates:
    """The templates of a file, learned as they are met."""

    def __init__(self) -> None:
        self._known: list[Template] = []
        self._in_vain = 0

    def match(self, text: bytes, start: Ints, end: Ints) -> tuple[list[Match], Ints]:
        """Events of the text by template, and those of none.

        Parameters
        ----------
        text
            With a margin.
        start, end
            Where its events start, and where they end.
        """
        matches: list[Match] = []
        left = np.arange(len(start))
        page = _Page(text, start, end)
        for template in tuple(self._known):
            left = page.take(template, left, matches)
        few, tries = max(_FEW, len(start) // 50), 0
        while len(left) > few and tries < _TRIES and self._in_vain < _IN_VAIN:
            tries += 1
            event = left[tries * len(left) // (_TRIES + 1)]
            learned = learn(text[start[event] : end[event]])
            before = len(left)
            if learned is not None and learned not in self._known:
                left = page.take(learned, left, matches)
            if before - len(left) > few and learned is not None:
                self._known.append(learned)
            else:
                self._in_vain += 1
        return matches, left


class _Page:
    """A text, and where its events and quotes are."""

    def __init__(self, text: bytes, start: Ints, end: Ints) -> None:
        self.text, self.start, self.end = text, start, end
        self.words, self.codes = words_of(text), np.frombuffer(text, np.uint8)
        plain = b"\\" not in text and text.isascii()
        self.quotes = np.flatnonzero(self.codes == ord('"')) if plain else None

    def take(self, template: Template, left: Ints, matches: list[Match]) -> Ints:
        """Match what is left with a template; what is left then."""
        if len(left) <= _FEW:
            return left
        match = self.match(template, left)
        if not len(match.events):
            return left
        matches.append(match)
        taken = np.zeros(len(self.start), np.bool_)
        taken[match.events] = True
        return left[~taken[left]]

    def match(self, template: Template, events: Ints) -> Match:
        """Those of the events that the template fits, with their values."""
        found = Match(template, events, {}, {})
        at = self.start[events]
        for part in template.parts:
            if isinstance(part, bytes):
                good = literally(self.text, at, part)
                at = at + len(part)
            elif part.kind == "text":
                length, good = self._text(at, part.column)
                if part.column is not None:
                    found.texts[part.column] = at, length
                at = at + length
            elif part.column is None:
                at, good = _skip(self.words, self.codes, at)
            else:
                value, at, good = _number(self.words, self.codes, at, part.kind)
                found.numbers[part.column] = value
            if not good.all():
                at = at[good]
                _keep(found, good)
            if not len(at):
                return found
        good = at == self.end[found.events]
        if not good.all():
            _keep(found, good)
        return found

    def _text(self, at: Ints, column: str | None) -> tuple[Ints, Bools]:
        """Bytes up to the next quote, and where they are all of a string.

        Of texts that become a column line breaks are found later, in the distinct ones.
        """
        if column is None or self.quotes is None or not len(self.quotes):
            return _text(self.words, at)
        place = np.searchsorted(self.quotes, at)
        length = self.quotes.take(place, mode="clip") - at
        return length, length >= 0


def _keep(found: Match, good: Bools) -> None:
    found.events = found.events[good]
    found.numbers = {column: values[good] for column, values in found.numbers.items()}
    found.texts = {column: (at[good], n[good]) for column, (at, n) in found.texts.items()}


def literally(text: bytes, at: Ints, literal: bytes) -> Bools:
    """Where the text holds a literal: as strings of its length, compared a string at a time."""
    good = np.ones(len(at), np.bool_)
    for begin in range(0, len(literal), MARGIN):
        piece = literal[begin : begin + MARGIN]
        size = len(piece)
        strings = np.ndarray((len(text) - size + 1,), f"S{size}", text, 0, (1,))
        good &= strings[np.minimum(at + begin, len(strings) - 1)] == piece
    return good


def _number(words: Words, codes: Bytes, at: Ints, kind: str) -> tuple[Ints, Ints, Bools]:
    """The numbers at these places, where they end, and which are written as JSON has them.

    Of an exponent behind them the next literal knows nothing.
    """
    first = codes[at]
    negative = first == ord("-")
    signed = negative.any()
    if signed:
        at = at + negative
        first = codes[at]
    value, count = digits(words, at)
    good = (count > 0) & (count <= (MOST_DIGITS if kind == "integer" else MOST_US))
    good &= (first != ord("0")) | (count == 1)
    at = at + count
    if kind != "integer":
        value *= 1000
        broken = np.flatnonzero(codes[at] == ord("."))
        if len(broken):
            part, places = digits(words, at[broken] + 1)
            at[broken] += places + 1
            good[broken] &= (places > 0) & (places <= MOST_DIGITS)
            if kind == "duration":  # the general reader has a double, which holds so many digits
                good[broken] &= count[broken] + places <= 15
            value[broken] += thousandths(part, np.minimum(places, MOST_DIGITS))
    return np.where(negative, -value, value) if signed else value, at, good


def _skip(words: Words, codes: Bytes, at: Ints) -> tuple[Ints, Bools]:
    """Where the numbers at these places end, and which are written as JSON has them."""
    first = codes[at]
    negative = first == ord("-")
    if negative.any():
        at = at + negative
        first = codes[at]
    count = count_digits(words, at)
    good = (count > 0) & (count < MOST_COUNTED) & ((first != ord("0")) | (count == 1))
    at = at + count
    broken = np.flatnonzero(codes[at] == ord("."))
    if len(broken):
        places = count_digits(words, at[broken] + 1)
        at[broken] += places + 1
        good[broken] &= (places > 0) & (places < MOST_COUNTED)
    return at, good


def _text(words: Words, at: Ints) -> tuple[Ints, Bools]:
    """Bytes up to the next quote, and where there is nothing but plain ASCII before it."""
    length, good = np.zeros(len(at), np.int64), np.zeros(len(at), np.bool_)
    left = np.arange(len(at))
    for done in range(0, _LONGEST_TEXT, 8):
        word = words[at[left] + done]
        mark, slash = word ^ (_ONES * _U64(0x22)), word ^ (_ONES * _U64(0x5C))
        # The lowest high bit set is right; those above it may be carried over from it.
        quote = (mark - _ONES) & ~mark & _HIGH
        other = ((slash - _ONES) & ~slash) | ((word - _ONES * _U64(0x20)) & ~word) | word
        stop = quote | (other & _HIGH)
        first = stop & -stop
        ended = stop != 0
        good[left] = (first & quote) != 0
        length[left] = done + (np.bitwise_count(first - _U64(1)) >> np.uint8(3)).astype(np.int64)
        left = left[~ended]
        left = left[at[left] + done + 8 < len(words)]
        if not len(left):
            break
    return length, good
