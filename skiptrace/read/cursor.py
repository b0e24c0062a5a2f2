"""A place in broken JSON, and the texts and keys that can be read from there."""

from __future__ import annotations

import json
from typing import Any

from skiptrace.read.faults import Faults
from skiptrace.read.grammar import (
    BORDER,
    COLON,
    FITS,
    JUNK,
    NEXT_MEMBER,
    PAST_BRACE,
    PLAIN_KEY,
    SPACE,
    TO_QUOTE,
    WEAK,
)
from skiptrace.read.texts import text as meant_text

SHORT = 1 << 16
DECODER = json.JSONDecoder()


class Cursor:
    """A place in a text; faults found on the way go to `faults`."""

    def __init__(self, data: bytes, faults: Faults) -> None:
        self.data = data
        self.end = len(data)
        self.pos = 0
        self.cut = False
        """Whether the last value ended early: at the end of the text, or where an event starts."""
        self.faults = faults
        self._border = -1
        self._spare = 4 * len(data) + (1 << 20)  # bytes that may be searched in vain

    def space(self) -> None:
        """Skip white space, comments and control characters."""
        while found := SPACE.match(self.data, self.pos):
            first, end = self.data[self.pos], found.end()
            if first == 0x2F:
                self.faults.add("comment", self.pos)
                end = min(end, self.border(self.pos))  # no comment holds an event
            elif first not in b" \t\r\n":
                self.faults.add("control_character", self.pos)
            self.pos = end

    def key(self) -> str | None:
        """The key that starts here, and its colon; None, and nothing read, where there is none."""
        found = PLAIN_KEY.match(self.data, self.pos)
        if found is None:
            return None
        self.pos = found.end()
        return self.text(found[1], found.start(1))

    def border(self, start: int) -> int:
        """Where the next event seems to start, or the text ends."""
        if self._border < start:
            found = BORDER.search(self.data, max(start - 1, 0))
            while found and found.start(found.lastindex or 0) < start:
                found = BORDER.search(self.data, found.end())
            self._border = found.start(found.lastindex or 0) if found else self.end
        return self._border

    def sound_end(self) -> int | None:
        """Where the object that starts here ends, if it is short, sound, and followed as it should.

        What is decoded is a copy: of bounded length, so that all of them together are linear.
        """
        at = self.pos
        text = self.data[at : min(self.border(at + 1), at + SHORT)].decode(errors="replace")
        try:
            _, length = DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            return None
        end = at + len(text[:length].encode())
        return end if PAST_BRACE.match(self.data, end - 1) else None

    def stop(self, kind: str, at: int | None = None) -> None:
        """End the value early."""
        self.faults.add(kind, self.pos if at is None else at)
        self.cut = True

    def junk(self) -> None:
        """Skip bytes that nothing can be made of, up to the next that may mean something."""
        self.faults.add("junk", self.pos)
        found = JUNK.match(self.data, self.pos + 1)
        self.pos = found.end() if found else self.end

    def quoted_key(self) -> str | None:
        """A key in quotes that is broken or lacks its colon."""
        data, at = self.data, self.pos + 1
        limit = min(self.border(at), at + 4096)
        first = None
        while (found := TO_QUOTE.match(data, at, limit)) and found[1][-1:] == b'"':
            if found[1] == b'"':
                first = first or found
                if colon := COLON.match(data, found.end()):
                    raw, start = data[self.pos + 1 : found.start(1)], self.pos + 1
                    self.pos = colon.end()
                    return self.text(raw, start)
            at = found.end()
        if first is None:
            self.stop("truncated_json" if limit == self.end else "unclosed_string")
            self.pos = limit
            return None
        raw, start = data[self.pos + 1 : first.start(1)], self.pos + 1
        self.faults.add("junk", self.pos)  # a key without its colon
        self.pos = first.end()
        return self.text(raw, start)

    def quoted(self, where: type) -> tuple[bool, Any]:
        """The text whose opening quote is here, its end where what follows fits best."""
        data, start = self.data, self.pos + 1
        fits, limit = FITS[where], self.border(start)
        at, weak, plain = start, -1, -1
        while (found := TO_QUOTE.match(data, at, limit)) and found[1][-1:] == b'"':
            at = found.end()
            if fits.match(data, at):
                return self._ended(start, at - 1)
            if found[1] == b'"':
                before = data[max(at - 513, start) : at - 1].rstrip()
                if before.endswith(b",") and NEXT_MEMBER.match(data, at):
                    self.faults.add("unclosed_string", start - 1)
                    quote = at - 1
                    self.pos = data.rindex(b",", start, quote)
                    return True, self.text(data[start : self.pos], start)
                plain = at - 1 if plain < 0 else plain
                weak = at - 1 if weak < 0 and WEAK.match(data, at) else weak
            if self._spare < 0 and plain >= 0:
                break
        self._spare -= at - start
        close = weak if weak >= 0 else plain
        if close >= 0:
            return self._ended(start, close)
        self.stop("truncated_json" if limit == self.end else "unclosed_string", start - 1)
        self.pos = limit
        return False, None

    def _ended(self, start: int, close: int) -> tuple[bool, Any]:
        self.pos = close + 1
        return True, self.text(self.data[start:close], start)

    def text(self, raw: bytes, at: int) -> str:
        """The text of these bytes between quotes."""
        return meant_text(raw, self.faults, at)
