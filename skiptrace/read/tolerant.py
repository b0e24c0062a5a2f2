"""A parser that makes the best of broken JSON, one value at a time, without recursion.

It reads what is meant: a quote that nothing fitting follows is text, a word without quotes is a
word, what is not closed ends where the next event starts. Every look ahead is bounded, so its time
is linear in the text.
"""

from __future__ import annotations

import re
from typing import Any

from skiptrace.read.cursor import Cursor
from skiptrace.read.faults import Faults
from skiptrace.read.grammar import (
    BRACKETS,
    DOCUMENT_ENDS,
    GAP,
    GOES_ON,
    HEAD,
    LITERALS,
    MEMBER,
    PLAIN,
    PLAIN_KEY,
    SINGLE,
    SINGLE_KEY,
    SPACE,
    WEAK,
    WORD,
    WORD_KEY,
)
from skiptrace.read.texts import meant, number

DEPTH = 512
"""Values nested deeper than this become null (`orjson` refuses 1024)."""


class Parser(Cursor):
    """Reads values of a text from `pos` on."""

    def __init__(self, data: bytes, faults: Faults) -> None:
        super().__init__(data, faults)
        self._stack: list[Any] = [[]]
        self._fresh = True

    def value(self) -> Any:  # noqa: ANN401  whatever JSON holds
        """The value that starts here; what of it is complete where `cut`."""
        self.cut = False
        root: list[Any] = []
        self._stack = [root]
        self._put(root, None)
        while len(self._stack) > 1 and not self.cut:
            top = self._stack[-1]
            if type(top) is dict and (found := MEMBER[self._fresh].match(self.data, self.pos)):
                self._put_plain(top, found)
            elif self._separated(top):
                if type(top) is list:
                    self._put(top, None)
                elif (key := self.key()) is not None or (key := self._odd_key()) is not None:
                    self._put(top, key)
        return root[0] if root else None

    # --- between values -------------------------------------------------------------------------

    def _separated(self, top: Any) -> bool:  # noqa: ANN401
        """Pass the comma or the bracket before the next entry; whether there is one."""
        found = GAP.match(self.data, self.pos)
        if found is None:  # it matches nothing at all, too
            return False
        comma, bracket = found[1], found[2]
        if comma and (self._fresh or bracket):
            self.faults.add("extra_comma", found.start(1))
        fresh, self._fresh = self._fresh, False
        self.pos = found.end()
        if bracket:
            self._close(bracket, found.start(2))
            return False
        if self.pos >= self.end:
            self.stop("truncated_json")
            return False
        if not comma and not fresh and not self._no_comma(top):
            return False
        return self._starts_no_event(top)

    def _no_comma(self, top: Any) -> bool:  # noqa: ANN401
        """Whether an entry follows although no comma does; else what is here is skipped."""
        data, at = self.data, self.pos
        self.space()
        if self.pos > at:
            return False
        if data[at] in b'"{[' or (type(top) is list and WORD.match(data, at)):
            if type(top) is list and self._is_key(at):
                self._stack.pop()
                self.faults.add("missing_bracket", at)
                self._fresh = True
                return False
            self.faults.add("missing_comma", at)
            return True
        if type(top) is dict and WORD_KEY.match(data, at):
            self.faults.add("missing_comma", at)
            return True
        self.junk()
        return False

    def _is_key(self, at: int) -> bool:
        return PLAIN_KEY.match(self.data, at) is not None and len(self._stack) > 2

    def _starts_no_event(self, top: Any) -> bool:  # noqa: ANN401
        """Whether no event starts where an entry should: else all that is open is closed."""
        data, at = self.data, self.pos
        if type(top) is list:
            if data[at] == 0x22 and self._is_key(at):  # a member of the object around the list
                self.faults.add("missing_bracket", at)
                self._stack.pop()
                self._fresh = True
                return False
            if not (data[at] == 0x7B and len(self._stack) > 2 and HEAD.match(data, at)):
                return True
        elif data[at] != 0x7B:
            return True
        self.faults.add("missing_bracket", at)
        while len(self._stack) > 1:
            gone = self._stack.pop()
            if type(gone) is dict and len(self._stack) > 1 and type(self._stack[-1]) is list:
                self._fresh = True  # the next object of the same list
                return False
        self.cut = True
        return False

    def _close(self, bracket: bytes, at: int) -> None:
        stack = self._stack
        kind: type = dict if bracket == b"}" else list
        if type(stack[-1]) is kind:
            stack.pop()
        elif any(type(open_) is kind for open_ in stack[1:]):
            self.faults.add("missing_bracket", at)
            while type(stack[-1]) is not kind:
                stack.pop()
            stack.pop()
        elif kind is list and GOES_ON.match(self.data, at) and len(stack) == 2:
            self.faults.add("stray_bracket", at)
        elif kind is list and (len(stack) == 2 or DOCUMENT_ENDS.match(self.data, at)):
            self.faults.add("missing_bracket", at)  # the end of the list of events
            self.pos, self.cut = at, True
        else:
            self.faults.add("stray_bracket", at)
            if kind is list:  # in the place of a brace
                stack.pop()

    # --- keys and values ------------------------------------------------------------------------

    def _odd_key(self) -> str | None:
        """A key that is not written as one; None where something was skipped instead."""
        data, at = self.data, self.pos
        first = data[at]
        if first == 0x2C:
            self.faults.add("extra_comma", at)
            self.pos += 1
            self._fresh = True
        elif SPACE.match(data, at):
            self.space()
            self._fresh = True
        elif first == 0x22:
            return self.quoted_key()
        elif found := SINGLE_KEY.match(data, at):
            self.faults.add("single_quotes", at)
            self.pos = found.end()
            return self.text(found[1], at + 1)
        elif found := WORD_KEY.match(data, at):
            self.faults.add("unquoted_word", at)
            self.pos = found.end()
            return self.text(found[1].strip(), at)
        else:
            self.junk()
            self._fresh = True
        return None

    def _put(self, top: Any, key: str | None) -> None:  # noqa: ANN401
        """Read one value into a list or, by its key, into an object."""
        found = PLAIN[type(top)].match(self.data, self.pos)
        if found is None:
            known, value = self._odd_value(top, key)
            if not known:
                return
        elif (group := found.lastindex) == 1:
            self.pos = found.end()
            value = self.text(found[1], found.start(1))
        elif group == 2:
            self.pos = found.end()
            value = number(found[2], key, self.faults, found.start())
        elif group == 3:
            self.pos = found.end()
            value = LITERALS[found[3]]
        elif self._is_next_event():
            return
        else:
            value = self._opened(found[4])
        if type(top) is list:
            top.append(value)
        else:
            top[key] = value

    def _put_plain(self, top: dict[str, Any], found: re.Match[bytes]) -> None:
        raw, string, digits, literal = found.groups()
        try:
            key = raw.decode()
            if string is not None:
                top[key] = string.decode()
            elif digits is not None:
                top[key] = number(digits, key, self.faults, found.start(3))
            else:
                top[key] = LITERALS[literal]
        except UnicodeDecodeError:
            key = self.text(raw, found.start(1))
            if string is not None:
                top[key] = self.text(string, found.start(2))
        self.pos, self._fresh = found.end(), False

    def _is_next_event(self) -> bool:
        """Whether an event starts where a value should: the one being read ends."""
        if len(self._stack) > 1 and HEAD.match(self.data, self.pos):
            self.stop("missing_bracket")
        return self.cut

    def _opened(self, bracket: bytes) -> Any:  # noqa: ANN401
        if len(self._stack) > DEPTH:
            self._skip_nested()
            return None
        self.pos += 1
        value: Any = {} if bracket == b"{" else []
        self._stack.append(value)
        self._fresh = True
        return value

    def _skip_nested(self) -> None:
        self.faults.add("too_deep", self.pos)
        depth, limit = 0, self.border(self.pos + 1)
        for found in BRACKETS.finditer(self.data, self.pos, limit):
            if found[1]:
                depth += len(found[1])
            elif found[2]:
                depth -= len(found[2])
                if depth <= 0:
                    self.pos = found.end() + depth
                    return
        self.pos, self.cut = limit, True

    def _odd_value(self, top: Any, key: str | None) -> tuple[bool, Any]:  # noqa: ANN401
        """Whether there is a value, and which, where none is written as JSON."""
        self.space()
        data, at = self.data, self.pos
        first = data[at : at + 1]
        if first in b",}]":  # or the end
            in_dict = type(top) is dict and bool(first)
            kind = "no_value" if in_dict else "extra_comma"
            self.faults.add(kind if first else "truncated_json", at)
            self.cut = self.cut or not first
            return in_dict, None
        if first == b'"':
            return self.quoted(type(top))
        if (found := SINGLE.match(data, at, self.border(at))) and WEAK.match(data, found.end()):
            self.faults.add("single_quotes", at)
            self.pos = found.end()
            return True, self.text(found[1].replace(b"\\'", b"'"), at + 1)
        if first in b"[{" and not self._is_next_event():
            return True, self._opened(first)
        return (False, None) if self.cut else self._word(key)

    def _word(self, key: str | None) -> tuple[bool, Any]:
        at = self.pos
        word = WORD.match(self.data, at)
        if word is None:
            self.junk()
        elif word.end() == self.end:
            self.stop("truncated_json", at)
            self.pos = self.end
        else:
            self.pos = word.end()
            return True, meant(word[0], key, self.faults, at)
        return False, None
