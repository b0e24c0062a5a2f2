"""Events matched by templates, all those of a block at once: their values as arrays.

Where an event matches a template to its last byte it is JSON of that very shape, and its values are
where the template says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from skiptrace.intervals import Bools, Ints
from skiptrace.read.digits import (
    MARGIN,
    MOST_COUNTED,
    MOST_DIGITS,
    MOST_US,
    Bytes,
    Words,
    count_before,
    count_digits,
    digits,
    thousandths,
    words_of,
)
from skiptrace.read.layout import Borders, literally
from skiptrace.read.names import distinct_at
from skiptrace.read.shapes import Field, Rest, Template, learn

_FEW = 8
"""So few events of a block are not worth a template."""
_SOME = 50
"""Less than one in so many events of a block are not worth learning one."""
_TRIES = 8
"""Templates tried on a block at most."""
_IN_VAIN = 16
"""After so many tries in vain a file is not learned from any more."""
_MOST = 0.75
"""Share of the events of a shape that its narrow template has to fit, to be worth trying first."""
_FEWER = 200
"""Less than one in so many events of a block are not worth trying one that is known."""
_OTHERS = 256
"""Events among which one to be learned is compared with those that begin alike."""
_QUOTE, _BACKSLASH, _SPACE, _TILDE = np.frombuffer(b'"\\ ~', np.uint8)
_ZERO, _NINE, _MINUS = np.frombuffer(b"09-", np.uint8)
_PLAIN = re.compile(rb"[ !#-\[\]-~]*")
"""A text without escapes, of ASCII characters."""
_WINDOWS = (32, 96, 384, 1536, 2048)
"""Bytes of a text looked at, one after another; longer texts are left to the other readers."""


_ALL = np.ones(1, np.bool_)


@dataclass
class Match:
    """The events of one template, and their values."""

    template: Template
    events: Ints
    numbers: dict[str, Ints]
    texts: dict[str, tuple[Ints, list[str]]]
    """Column -> places in a list, and the list."""


class Templates:
    """The templates of a file, learned as they are met."""

    def __init__(self) -> None:
        self._known: list[Template] = []
        self._hits: dict[Template, int] = {}
        """Events that fitted, in the last block."""
        self._in_vain = 0

    def match(self, text: bytes, borders: Borders) -> tuple[list[Match], Ints]:
        """Events of the text by template, and those of none; the text has a margin."""
        matches: list[Match] = []
        start, end = borders.start, borders.end
        left = np.arange(len(start))
        page = _Page(text, borders)
        # Neighbouring blocks are alike: what took most of the last may leave little to try.
        hits = self._hits
        for template in sorted(self._known, key=lambda known: -hits.get(known, 0)):
            left = page.take(template, left, matches)
        few, tries = max(_FEW, len(start) // _SOME), 0
        while len(left) > few and tries < _TRIES and self._in_vain < _IN_VAIN:
            tries += 1
            event = left[tries * len(left) // (_TRIES + 1)]
            others = left[np.linspace(0, len(left) - 1, _OTHERS).astype(np.int64)]
            learned = learn(
                text[start[event] : end[event]],
                [text[start[other] : end[other]] for other in others if other != event],
            )
            new = [template for template in learned if template not in self._known]
            sizes = [len(left)]
            for template in new:
                left = page.take(template, left, matches)
                sizes.append(len(left))
            taken = sizes[0] - len(left)
            if taken <= max(_FEW, len(start) // _FEWER):
                self._in_vain += 1
                continue
            if len(new) > 1 and sizes[0] - sizes[1] < taken * _MOST:
                del new[0]  # too narrow
            # Those with fewer parts are cheaper to try.
            self._known = sorted([*self._known, *new], key=lambda known: len(known.parts))
        self._hits = {match.template: len(match.events) for match in matches}
        return matches, left


class _Page:
    """A text, and where its events are."""

    def __init__(self, text: bytes, borders: Borders) -> None:
        self.text, self.borders = text, borders
        self.words, self.codes = words_of(text), np.frombuffer(text, np.uint8)

    def take(self, template: Template, left: Ints, matches: list[Match]) -> Ints:
        """Match what is left with a template; what is left then."""
        if len(left) <= max(_FEW, len(self.borders.start) // _FEWER):
            return left
        match = self.match(template, left)
        if not len(match.events):
            return left
        matches.append(match)
        taken = np.zeros(len(self.borders.start), np.bool_)
        taken[match.events] = True
        return left[~taken[left]]

    def match(self, template: Template, events: Ints) -> Match:
        """Those of the events that the template fits, with their values."""
        found = _Found(events, {}, {})
        at = self.borders.start[events]
        for place, part in enumerate(template.parts):
            if isinstance(part, bytes):
                # Behind the first literal events are of one shape, and hardly ever differ.
                every = place > 0 and _everywhere(self.text, at, part)
                good = _ALL if every else literally(self.text, at, part)
                at = at + len(part)
            elif part.kind == "text":
                length, good = self._text(found.events, at, part, template.breaks.get(place))
                if part.column is not None:
                    found.spans[part.column] = at, length
                at = at + length
            elif part.column is None:
                at, good = _skip(self.words, self.codes, at)
            else:
                value, at, good = _number(self.words, self.codes, at, part.kind)
                found.numbers[part.column] = value
            if not good.all():
                at = at[good]
                found.keep(good)
            if not len(at):
                break
        else:
            rest, end = template.rest, self.borders.end[found.events]
            good = at == end if rest is None else self._rests(at, end, rest)
            if not good.all():
                found.keep(good)
        return self._read(template, found)

    def _text(
        self, events: Ints, at: Ints, part: Field, line: tuple[int, int] | None
    ) -> tuple[Ints, Bools]:
        """How long the texts at these places are, and where one may be."""
        if line is None or part.column is None or not len(self.borders.breaks):
            return _up_to_quote(self.codes, at)
        # It ends where its line does, but for what follows it there: whether the bytes before
        # are a text at all, is asked of the distinct ones.
        breaks, behind = line
        places = self.borders.first_break[events] + breaks
        ends = self.borders.breaks[np.minimum(places, len(self.borders.breaks) - 1)]
        length = ends - behind - at
        return length, (length >= 0) & (length < sum(_WINDOWS))

    def _read(self, template: Template, found: _Found) -> Match:
        """The match with its distinct texts, and without what is no plain text."""
        texts = {}
        for column, (at, length) in found.spans.items():
            code, distinct = distinct_at(self.text, at, length)
            plain = [_PLAIN.fullmatch(text) is not None for text in distinct]
            if not all(plain):
                found.keep(np.array(plain, np.bool_)[code])
                return self._read(template, found)
            texts[column] = code, [text.decode("ascii") for text in distinct]
        return Match(template, found.events, found.numbers, texts)

    def _rests(self, at: Ints, end: Ints, rest: Rest) -> Bools:
        """Where the bytes up to the end are what a rest allows: each distinct one is parsed."""
        good = np.ones(len(at), np.bool_)
        if rest.before_last:
            end = end - len(rest.end)
            good = (end > at) & literally(self.text, np.maximum(end, 0), rest.end)
            count = count_before(self.words, np.where(good, end, MARGIN))
            end = end - count
            good &= (count > 0) & (count < MOST_COUNTED)
            good &= (count == 1) | (self.codes[np.maximum(end, 0)] != ord("0"))
            end -= len(rest.before_last)
            good &= literally(self.text, np.maximum(end, 0), rest.before_last)
        good &= end >= at
        there = np.flatnonzero(good)
        code, middles = distinct_at(self.text, at[there], (end - at)[there])
        good[there] = np.array([rest.allows(middle) for middle in middles], np.bool_)[code]
        return good


@dataclass
class _Found:
    """What fits a template so far."""

    events: Ints
    numbers: dict[str, Ints]
    spans: dict[str, tuple[Ints, Ints]]
    """Column of texts -> where they start, and how long they are."""

    def keep(self, good: Bools) -> None:
        self.events = self.events[good]
        self.numbers = {column: values[good] for column, values in self.numbers.items()}
        self.spans = {column: (at[good], n[good]) for column, (at, n) in self.spans.items()}


def _everywhere(text: bytes, at: Ints, literal: bytes) -> bool:
    """Whether the text holds a literal at all of these places; much faster than at which."""
    size = len(literal)
    if size > len(text):
        return False
    strings = np.ndarray((len(text) - size + 1,), f"V{size}", text, 0, (1,))
    return strings[np.minimum(at, len(strings) - 1)].tobytes() == literal * len(at)


def _number(words: Words, codes: Bytes, at: Ints, kind: str) -> tuple[Ints, Ints, Bools]:
    """The numbers at these places, where they end, and which are written as JSON has them.

    Of an exponent behind them the next literal knows nothing.
    """
    first = codes[at]
    is_plain = len(at) > 0 and first.min() > _ZERO and first.max() <= _NINE
    negative = first == _MINUS
    signed = not is_plain and negative.any()
    if signed:
        at = at + negative
        first = codes[at]
    value, count = digits(words, at)
    good = count <= (MOST_DIGITS if kind == "integer" else MOST_US)
    if not is_plain:
        good &= (count > 0) & ((first != _ZERO) | (count == 1))
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
    negative = first == _MINUS
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


def _up_to_quote(codes: Bytes, at: Ints) -> tuple[Ints, Bools]:
    """Bytes up to the next quote, and where there is nothing but plain ASCII before it."""
    length, good = np.zeros(len(at), np.int64), np.zeros(len(at), np.bool_)
    left, done = np.arange(len(at)), 0
    for size in _WINDOWS:
        left = left[at[left] + done + size <= len(codes)]
        if not len(left):
            break
        windows = np.ndarray((len(codes) - size + 1,), f"V{size}", codes, 0, (1,))
        seen = windows[at[left] + done].view(np.uint8).reshape(-1, size)
        first = _is_stop(seen).argmax(axis=1)
        stop = seen[np.arange(len(left)), first]
        good[left] = stop == _QUOTE
        length[left] = done + first
        left, done = left[~_is_stop(stop)], done + size
    return length, good


def _is_stop(codes: Bytes) -> Bools:
    """A quote, or what may stand in a text but is not one plain character."""
    return np.asarray(
        (codes == _QUOTE) | (codes == _BACKSLASH) | (codes - _SPACE > _TILDE - _SPACE)
    )
