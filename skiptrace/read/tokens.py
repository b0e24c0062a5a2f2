"""Where the keys of a regular text's events stand, found over all of its quotes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skiptrace.intervals import Bools, Ints
from skiptrace.read.digits import MARGIN, Bytes, Words, words_of
from skiptrace.read.layout import Layout

ARGS = "args"
OUTER = ("ph", "cat", "name", "pid", "tid", "ts", "dur")
"""Keys of an event."""
INNER = (
    "correlation",
    "External id",
    "external id",
    "device",
    "stream",
    "cuda_sync_kind",
    "Collective name",
)
"""Keys of its arguments."""
_KEYS = (ARGS, *OUTER, *INNER)

_QUOTE, _BRACE, _BACKSLASH = b'"{\\'


def _literals() -> tuple[Bytes, Words, Words]:
    """By a key's first two bytes its number, from 1; by number its first bytes and their mask."""
    number = np.zeros(2**16, np.uint8)
    start, mask = (np.zeros(len(_KEYS) + 1, np.uint64) for _ in range(2))
    for i, key in enumerate(_KEYS, 1):
        literal = _closed(key)
        number[int.from_bytes(literal[:2], "little")] = i
        start[i] = int.from_bytes(literal[:8], "little")
        mask[i] = 2 ** (8 * min(len(literal), 8)) - 1
    return number, start, mask


def _closed(key: str) -> bytes:
    return key.encode() + b'":'


_NUMBER, _START, _MASK = _literals()


@dataclass
class Tokens:
    """The strings of a text and the events that they lie in."""

    text: bytes
    """With a margin behind it."""
    size: int
    """Without the margin."""
    words: Words
    codes: Bytes
    start: Ints
    """Per event where its brace stands."""
    opens: Ints
    """Per string where its first quote stands."""
    closes: Ints
    """Per string where its last one stands."""
    place: dict[str, Ints]
    """Key -> per event the string that is that key, -1 where it has none; keys of no event lack."""
    colon: int
    """Bytes from a key's last quote, included, to its value."""

    def values(self, key: str, events: Ints) -> Values | None:
        """The values of a key, of those events that have it; None where none has."""
        if key not in self.place:
            return None
        token = self.place[key][events]
        there = np.flatnonzero(token >= 0)
        if len(there) < len(token):
            token = token[there]
        at = self.closes[token] + self.colon
        after = np.minimum(token + 1, len(self.opens) - 1)
        is_text = self.opens[after] == at
        return Values(there, at, is_text, self.closes[after] - at - 1)


class Values(NamedTuple):
    """The values of one key."""

    events: Ints
    """Places of the events that have it, among those asked for."""
    at: Ints
    """Where the value starts."""
    is_text: Bools
    """Whether it is a string."""
    length: Ints
    """Bytes inside the quotes of those that are."""


def tokenize(chunk: bytes, layout: Layout) -> Tokens:
    """Find the events and their keys in a text for which `Layout.is_regular` holds.

    Of a key that stands twice in one object the last counts, as in JSON.
    """
    text = chunk + b" " * MARGIN
    words, codes = words_of(text), np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    if b"\\" in chunk:
        quotes = quotes[~_escaped(codes, quotes)]
    start, first = _events(words, codes, quotes, layout)
    opens, closes = quotes[::2], quotes[1::2]
    tokens = Tokens(text, len(chunk), words, codes, start, opens, closes, {}, len(layout.colon))
    found, kind = _keys(codes, words, opens)
    owner = np.repeat(np.arange(len(start)), np.diff(first, append=len(opens)))[found]
    args = np.full(len(start), len(opens), np.int64)
    is_args = kind == 1
    args[owner[is_args]] = found[is_args]
    inner = found > args[owner]
    for i, key in enumerate(_KEYS[1:], 2):
        mine = np.flatnonzero((kind == i) & (inner if key in INNER else ~inner))
        if len(mine):
            place = np.full(len(start), -1, np.int64)
            place[owner[mine]] = found[mine]
            tokens.place[key] = place
    return tokens


def _escaped(codes: Bytes, quotes: Ints) -> Bools:
    """Which quotes an odd number of backslashes stands before."""
    slashes = np.flatnonzero(codes == _BACKSLASH)
    begins = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
    length = np.diff(np.append(begins, len(slashes)))
    behind = slashes[begins] + length
    escaped: Bools = np.isin(quotes, behind[length % 2 == 1], assume_unique=True)
    return escaped


def _events(words: Words, codes: Bytes, quotes: Ints, layout: Layout) -> tuple[Ints, Ints]:
    """Where each event's brace stands, and which string is its first."""
    braces = event_braces(words, codes, layout)
    first = np.searchsorted(quotes, braces)
    opening = first % 2 == 0  # else inside a string, which the separator's quote closes
    return braces[opening], first[opening] // 2


def event_braces(words: Words, codes: Bytes, layout: Layout) -> Ints:
    """Where the first brace stands, and those behind what separates events."""
    braces = np.flatnonzero(codes == _BRACE)[1:]
    before = layout.separator[: len(layout.between) + 1]
    braces = braces[braces >= len(before)]
    braces = braces[are(words, braces, layout.opening)]
    braces = braces[are(words, braces - len(before), before)]
    return np.concatenate(([0], braces))


def are(words: Words, places: Ints, literal: bytes) -> Bools:
    """Where the text holds a literal that does not end in spaces, as the margin does."""
    result = np.ones(len(places), np.bool_)
    for at in sorted({*range(0, len(literal) - 8, 8), max(len(literal) - 8, 0)}):
        part = literal[at : at + 8]
        mask = np.uint64(2 ** (8 * len(part)) - 1)
        result &= (words.take(places + at, mode="clip") & mask) == np.uint64(
            int.from_bytes(part, "little")
        )
    return result


def _keys(codes: Bytes, words: Words, opens: Ints) -> tuple[Ints, Bytes]:
    """The strings that are keys of interest, and which of them."""
    inside = opens + 1
    # By their first two bytes: single ones are several times faster to pick than longer words.
    pair = codes.take(inside).astype(np.uint16)
    pair |= codes.take(inside + 1).astype(np.uint16) << np.uint16(8)
    kind = _NUMBER.take(pair)
    found = np.flatnonzero(kind)
    kind, inside = kind[found], inside[found]
    same = (words[inside] & _MASK[kind]) == _START[kind]
    for i, key in enumerate(_KEYS, 1):
        if len(_closed(key)) > 8:
            longer = np.flatnonzero(same & (kind == i))
            same[longer] = are(words, inside[longer], _closed(key))
    return found[same], kind[same]
