"""The fast reader: a part from whole events of one layout, over their bytes as arrays.

Events that match a template are read by it, the rest by the general reader.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from skiptrace.read.decode import is_list, loads, no_gc
from skiptrace.read.layout import Layout
from skiptrace.read.rows import ASKED_FOR, TIMED, Part, from_decoded, merged
from skiptrace.read.templates import Match, Templates

_IS_TIMED = np.zeros(256, np.bool_)
_IS_TIMED[[ord(phase) for phase in TIMED]] = True


class Reader:
    """Reads whole events of one layout, and learns as it reads."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._templates = Templates()

    def read(self, text: bytes, size: int) -> Part:
        """A part from whole events: so many bytes of a text, with `MARGIN` more behind them.

        Raises
        ------
        orjson.JSONDecodeError
            They are no JSON.
        """
        borders = self.layout.borders(text, size)
        start, end = borders.start, borders.end
        matches, left = self._templates.match(text, borders)
        if len(left) == len(start):
            return _general(text[:size])
        part = _matched(len(start), matches)
        if len(left):
            spans = zip(start[left].tolist(), end[left].tolist(), strict=True)
            pieces = [text[a:b] for a, b in spans]
            # Else what looks like a border may be inside an event, and these no events at all.
            if not self.layout.is_clear and not all(map(is_list, pieces)):
                return _general(text[:size])
            others = _general(self.layout.between.join(pieces))
            if others.events != len(left):
                return _general(text[:size])
            return merged(part, others, left)
        return part


def _general(events: bytes) -> Part:
    with no_gc():
        return from_decoded(loads(b"[" + events + b"]"))


def _matched(events: int, matches: list[Match]) -> Part:
    """The rows of matched events."""
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
    codes = {c: np.full(len(ids), -1, np.int64) for m in timed for c in m.texts}
    texts: dict[str, dict[str, int]] = {column: {} for column in codes}
    for match in timed:
        rows = slot[match.events]
        if match.template.cat is not None:
            cat[rows] = cats.index(match.template.cat)
        fixed = {column: np.int64(value) for column, value in match.template.fixed}
        for column, values in (match.numbers | fixed).items():
            filled, valid = part.numbers.setdefault(
                column, (np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_))
            )
            filled[rows], valid[rows] = values, True
        for column, (code, found) in match.texts.items():
            known = texts[column]
            places = np.array([known.setdefault(text, len(known)) for text in found], np.int64)
            codes[column][rows] = places[code]
    part.put_text("cat", cat, cats)
    for column, places in codes.items():
        part.put_text(column, places, texts[column])
    part.mentions = _mentions(matches) | ASKED_FOR.intersection(part.texts)
    return part


def _mentions(matches: list[Match]) -> set[str]:
    found: set[str] = set()
    for template in (match.template for match in matches):
        found |= template.mentions
        if template.rest is not None:
            found |= template.rest.mentions
    return found
