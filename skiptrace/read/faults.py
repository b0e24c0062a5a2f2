"""What was wrong in a damaged file: the kinds of fault, and where each came first."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

FAULTS: dict[str, str] = {
    "truncated_json": "the text stops before its end: what was complete is kept",
    "lost_event": "damaged events of which too little is left: left out",
    "control_character": "raw control characters: kept in a string, skipped outside",
    "invalid_utf8": "bytes that are no UTF-8: each taken as U+FFFD",
    "lone_surrogate": "half of a surrogate pair: taken as U+FFFD",
    "invalid_escape": "backslashes that begin no escape: taken as they are",
    "unescaped_quote": "quotes inside a text: taken as part of it",
    "unclosed_string": "a text without its closing quote: its value is left out",
    "single_quotes": "texts in single quotes: taken as in double ones",
    "unquoted_word": "words without quotes: taken as text",
    "not_a_number": "NaN or Infinity: taken as null",
    "no_value": "N/A, None or nothing at all in the place of a value: taken as null",
    "python_word": "True or False: taken as true or false",
    "odd_number": "numbers JSON does not allow (007, +5, .5, 5., 1e999): taken as what they mean",
    "extra_comma": "commas with nothing between or after them: skipped",
    "missing_comma": "no comma between two values: added",
    "missing_bracket": "a bracket or brace that is not closed: closed where the next thing starts",
    "stray_bracket": "a bracket or brace that closes nothing: skipped",
    "comment": "comments: skipped",
    "too_deep": "values nested deeper than the limit: taken as null",
    "junk": "bytes that are no JSON: skipped",
    "byte_order_mark": "a byte order mark: skipped",
    "utf16_or_utf32": "text in UTF-16 or UTF-32: read as such; offsets are those of its UTF-8",
    "concatenated_document": "further documents in the same file: their events are added",
    "duplicate_document": "documents that repeat an earlier one byte for byte: left out",
    "repeated_list": "further lists of events in one document: their events are added",
    "wrapped_events": "events inside lists, texts or objects of their own: taken out of them",
    "other_files": "further files of an archive: only its first trace is read",
    "truncated_stream": "packed data that is cut off: what could be unpacked is kept",
    "damaged_stream": "packed data that is damaged: what came before is kept",
    "bad_checksum": "packed data whose checksum or length is wrong: kept, and may be wrong",
}
"""Kind -> what it is and what was made of it."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa1-\ud7ff\uf900-\ufffc]")


@dataclass
class Fault:
    """One kind of fault: where it came first, and how often."""

    kind: str
    """A key of `FAULTS`."""
    offset: int
    """Byte in the unpacked document at which the first one is."""
    excerpt: str
    """At most 80 printable characters around it."""
    count: int = 1


@dataclass
class Repaired:
    """What a damaged document holds."""

    events: list[Any]
    """Events as decoded, in their order."""
    header: dict[str, Any]
    """The other members of the document, or of several: of equal keys the last."""
    faults: list[Fault] = field(default_factory=list)
    """One a kind, in the order of their first bytes; empty for valid JSON."""


def excerpt(data: bytes, at: int) -> str:
    """At most 80 characters around a byte; what cannot be printed is a middle dot."""
    start = max(at - 24, 0)
    text = data[start : max(at, 0) + 48].decode("utf-8", "replace")
    return _UNPRINTABLE.sub("\u00b7", text)[:80]


class Faults:
    """The faults of one text, by kind: memory does not grow with their number."""

    def __init__(self, data: bytes, base: int) -> None:
        self._data = data
        self._base = base
        self._by_kind: dict[str, Fault] = {}

    def add(self, kind: str, at: int, count: int = 1) -> None:
        """Note `count` faults of a kind, the first of them at byte `at` of the text."""
        known = self._by_kind.get(kind)
        if known is not None:
            known.count += count
        elif count:
            self._by_kind[kind] = Fault(kind, self._base + at, excerpt(self._data, at), count)

    def has(self, kind: str) -> bool:
        """Whether there is one of this kind."""
        return kind in self._by_kind

    def total(self) -> int:
        """How many there are."""
        return sum(fault.count for fault in self._by_kind.values())

    def sorted(self) -> list[Fault]:
        """One of each kind, in the order of the text."""
        return sorted(self._by_kind.values(), key=lambda fault: fault.offset)


def as_list(stretch: bytes, separator: bytes) -> bytes:
    """Events with what stands between them as a JSON list: commas where there are none."""
    if b"," not in separator:
        stretch = stretch.replace(separator, b"}," + separator[1:])
    return b"[" + stretch + b"]"


def fault_at(stretch: bytes, separator: bytes) -> int:
    """The first byte of a stretch of events that is no JSON."""
    data = as_list(stretch, separator)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
    else:
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError as error:
            before = text[: error.pos].encode()
        else:
            return 0
    commas = 0 if b"," in separator else before.count(b"}," + separator[1:])
    return max(len(before) - 1 - commas, 0)
