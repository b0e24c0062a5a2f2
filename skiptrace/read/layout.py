"""A writer's regular layout: what stands between two events, and whether a text is laid out so.

A writer puts the same bytes between any two events. They hold an unescaped quote that opens a
string, so wherever they stand outside a string, they are the border of two objects of one list;
and `is_regular` admits lists of objects nowhere but there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import polars as pl

_BETWEEN = re.compile(rb'\s*,\s*(?=\{(\s*)")')
_COLON = re.compile(rb':[ \t]*(?=")')
_HEAD = re.compile(rb'\{\s*"ph":\s*"X",\s*"cat":\s*"')
_FIRST_EVENT = re.compile(rb'(?:"traceEvents"\s*:|\A\s*)\s*\[\s*(?=\{)')

_SPACE = r"[ \t\r\n]*"
_STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
_KEY = rf'"[^"\\\x00-\x1f]*":{_SPACE}'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_SCALAR = f"(?:{_STRING}|{_NUMBER}|true|false|null)"
_LIST_DEPTH = 4


def _several(opening: str, item: str, closing: str) -> str:
    return rf"{opening}{_SPACE}(?:{item}{_SPACE}(?:,{_SPACE}{item}{_SPACE})*)?{closing}"


def _event() -> str:
    """An event whose arguments, if any, come last and hold scalars and lists, as a pattern."""
    value = _SCALAR
    for _ in range(_LIST_DEPTH):
        value = f"(?:{_SCALAR}|" + _several(r"\[", value, r"\]") + ")"
    args = rf'"args":{_SPACE}' + _several(r"\{", _KEY + value, r"\}")
    member = rf"{_KEY}{_SCALAR}{_SPACE}"
    return rf"\{{{_SPACE}{member}(?:,{_SPACE}{member})*(?:,{_SPACE}{args}{_SPACE})?\}}"


_EVENT = _event()


@dataclass(frozen=True)
class Layout:
    """How a file's events are laid out."""

    between: bytes
    """From the brace that closes an event to that which opens the next, both left out."""
    opening: bytes
    """From that brace, included, to the first quote, included."""
    colon: bytes
    """From the quote that closes a key to its value, the quote included."""
    head: bytes
    """From that brace, included, to the category of a complete event; empty if that is not the
    second thing there, or if it could stand in a string."""
    pattern: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the pattern of a text of whole events."""
        between = re.escape(self.between.decode())
        object.__setattr__(self, "pattern", rf"\A{_EVENT}(?:{between}{_EVENT})*\z")

    @property
    def separator(self) -> bytes:
        """All that stands between two events, with a brace and a quote at the ends."""
        return b"}" + self.between + self.opening

    def is_regular(self, chunk: bytes) -> bool:
        """Whether the bytes are whole events of this layout, and nothing in them is not JSON."""
        # Half of a surrogate pair is an escape, but no text.
        if b"\\ud" in chunk or b"\\uD" in chunk:
            return False
        try:
            text = pl.Series([chunk], dtype=pl.Binary).cast(pl.String)
        except pl.exceptions.PolarsError:  # not UTF-8
            return False
        return bool(text.str.contains(self.pattern).item())


def first_event(data: bytes) -> int | None:
    """Where the first event starts."""
    found = _FIRST_EVENT.search(data)
    return found.end() if found else None


def find_layout(data: bytes, start: int) -> Layout | None:
    """The layout of the events, learned from what follows the one at `start`."""
    text = data[start : start + 262_144].decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    between = _BETWEEN.match(data, start + len(text[:end].encode()))
    colon = _COLON.search(data, start)
    if between is None or colon is None:
        return None
    head = _HEAD.match(data, start)
    fixed = head.group() if head and b"\n" in between.group(0) + between.group(1) else b""
    return Layout(between.group(), b"{" + between.group(1) + b'"', b'"' + colon.group(), fixed)
