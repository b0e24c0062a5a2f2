"""Events of a document that is no valid JSON: intact ones as they are, damaged ones as meant.

Stretches of intact events go to `orjson` whole, cut at what the writer puts between two events.
Only the events in which `orjson` finds a fault are read by the tolerant parser, one by one.
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import blake2b
from typing import Any

import orjson

from skiptrace.read.faults import Fault, Faults, Repaired, as_list, excerpt, fault_at
from skiptrace.read.times import keep_digits
from skiptrace.read.tolerant import Parser
from skiptrace.read.wrapped import found_inside

_MOST = 1 << 23
_LEAST = 1 << 12
"""Bytes decoded at once, at most and at least: halved at a fault, doubled after none."""
_USUAL = 8
"""After more damaged events in a row than this the next is not expected to be intact."""
_SAMPLE = 1 << 18
"""Bytes in which to look for what stands between two events."""

_BETWEEN = re.compile(rb'\}[ \t\r\n]{0,99}+,?+[ \t\r\n]{0,99}+\{[ \t\r\n]{0,99}+"[^"\\]{1,40}"')
_COMMAS = re.compile(rb"[ \t\r\n,]*+")
_MEMBER = re.compile(rb'"[^"\\\x00-\x1f]*+"[ \t\r\n]*+:')
_EVENT_KEYS = ("ph", "cat", "name", "pid", "tid", "ts", "dur", "args", "id", "bp", "s", "tts")
_EVENT = re.compile(rb'\{[ \t\r\n]*+"(?:' + "|".join(_EVENT_KEYS).encode() + rb')"')
_NEXT_THING = re.compile(rb"[{\[\]}]")
_STRAY = re.compile(rb"\}[} \t\r\n]*+|\][\] \t\r\n]*+")
_TRACE = re.compile(rb"""\A\s*[{[]|[{,\s]["']?ph["']?\s*:""")
_NEEDED = ("ph", "name", "pid", "tid", "ts")


def repair(data: bytes, base: int = 0, *, is_run: bool = False) -> Repaired:
    """Every event of a damaged document, or of a run of events cut out of one.

    Parameters
    ----------
    data
        The bytes: a document, several, or with `is_run` events with commas between them.
    base
        Byte in the document at which `data` starts; the faults' offsets count from there.
    is_run
        Whether `data` is ``{...},{...}`` from within a list of events.

    Returns
    -------
    Repaired
        Valid JSON comes out as `orjson` decodes it, large times as text with all of their digits,
        and with no faults. Time is linear in the length, whatever is damaged.

    Notes
    -----
    A fault costs at most the event it is in. An event that is cut off is kept if its phase, name,
    process, thread and time, and as a complete event its duration, are there.
    """
    if not is_run and (inside := found_inside(data)):
        return Repaired(*inside, [Fault("wrapped_events", base, excerpt(data, 0))])
    walk = _Walk(data, base, is_run=is_run)
    if data and not _TRACE.search(data.removeprefix(b"\xef\xbb\xbf")):
        walk.faults.add("junk", 0)  # another kind of file
    else:
        walk.run()
    return Repaired(walk.events, walk.header, walk.faults.sorted())


class _Walk:
    """One pass over a text: in the list of events, in the object around it, or outside both."""

    def __init__(self, data: bytes, base: int, *, is_run: bool) -> None:
        self.data = data
        self.faults = Faults(data, base)
        self.parser = Parser(data, self.faults)
        self.events: list[Any] = []
        self.header: dict[str, Any] = {}
        self._where = self._in_list if is_run else self._outside
        self._in_object = False
        self._has_list = False
        self._members: dict[str, Any] = {}  # of the object that is open
        self._after_member = False  # a comma has to come before the next
        self._comma: int | None = None  # where that one was, while nothing has come behind it
        self._is_bare = is_run  # events in no list: a run, or a line each
        self._is_first = True  # nothing in this list yet
        self._list_at = data.find(b'"traceEvents"')
        self._last_list_at = data.rfind(b'"traceEvents"')
        self._start, self._before = 0, 0  # of the document: its byte, the events before it
        self._documents: set[bytes] = set()
        self._step = _MOST
        self._in_a_row = 0
        self._separator: bytes | None = None
        self._looked = 0

    def run(self) -> None:
        """Read all of the text."""
        parser, end = self.parser, len(self.data)
        while True:
            parser.space()
            if parser.pos >= end:
                break
            at, where = parser.pos, self._where
            where()
            if parser.pos == at and self._where == where:
                self._skip()
        if self._where != self._outside and not self._is_bare:
            if self._documents:
                self.faults.add("concatenated_document", self._start)
            if not self.faults.has("truncated_json"):
                self.faults.add("truncated_json", end)
            self._merge()

    def _skip(self) -> None:
        """Pass what nothing can be made of."""
        parser, at = self.parser, self.parser.pos
        self.faults.add("junk", at)
        found = _NEXT_THING.search(self.data, at + 1)
        parser.pos = found.start() if found else len(self.data)
        if self._where == self._outside and at > self._list_at:
            event = parser.border(at + 1)  # the rest of an event holds objects too
            parser.pos = event if event < len(self.data) else parser.pos

    # --- outside every document -----------------------------------------------------------------

    def _outside(self) -> None:
        data, parser = self.data, self.parser
        at = parser.pos
        first = data[at]
        if data.startswith(b"\xef\xbb\xbf", at):
            self.faults.add("byte_order_mark", at)
            parser.pos += 3
        elif first == 0x2C:
            self.faults.add("extra_comma", at)
            parser.pos += 1
        elif first in b"]}":
            self._stray(at)
        elif first == 0x7B and _EVENT.match(data, at):
            self._where, self._is_bare, self._is_first = self._in_list, True, True
        elif first in b"{[":
            self._start, self._before, self._is_first = at, len(self.events), True
            self._in_object, self._is_bare = first == 0x7B, False
            self._has_list = not self._in_object
            self._members = {}
            self._after_member, self._comma = False, None
            self._where = self._in_head if self._in_object else self._in_list
            parser.pos += 1

    def _shut(self) -> None:
        """A document has ended here: one that repeats an earlier one is left out."""
        self._where = self._outside
        self._merge()
        data, stop = self.data, self.parser.pos
        if not self._has_list or (not self._documents and not data[stop : stop + 64].strip()):
            return  # no document, or most likely the only one
        digest = blake2b(memoryview(data)[self._start : stop]).digest()
        if digest in self._documents:
            self.faults.add("duplicate_document", self._start)
            del self.events[self._before :]
        elif self._documents:
            self.faults.add("concatenated_document", self._start)
        self._documents.add(digest)

    def _merge(self) -> None:
        """Take the members of a document; an object among ruins is none."""
        if self._has_list or not (self.events or self.faults.total()):
            self.header |= self._members

    # --- in the object around the list ----------------------------------------------------------

    def _in_head(self) -> None:
        data, parser = self.data, self.parser
        at = parser.pos
        first = data[at]
        if first in b",}":
            self._comma_or_end(at, first)
        elif first == 0x7B:  # an event: the list was left too early
            self._after_member, self._comma = True, None
            self._where = self._in_list
        elif first == 0x5D:
            self.faults.add("stray_bracket", at)
            parser.pos += 1
        elif (key := parser.key()) is not None:
            if self._after_member:
                self.faults.add("missing_comma", at)
            self._after_member, self._comma = True, None
            parser.space()
            if key == "traceEvents" and data[parser.pos : parser.pos + 1] == b"[":
                parser.pos += 1
                if self._has_list:
                    self.faults.add("repeated_list", parser.pos - 1)
                self._where, self._is_first, self._has_list = self._in_list, True, True
                return
            value = parser.value()
            if not (parser.cut and value is None):
                self._members[key] = value

    def _comma_or_end(self, at: int, first: int) -> None:
        self.parser.pos += 1
        if first == 0x7D:
            if self._comma is not None:
                self.faults.add("extra_comma", self._comma)
            self._shut()
        else:
            if not self._after_member:
                self.faults.add("extra_comma", at)
            self._comma = at if self._after_member else None
            self._after_member = False

    # --- in the list of events ------------------------------------------------------------------

    def _in_list(self) -> None:
        data, parser = self.data, self.parser
        at, commas = self._passed_commas()
        if at >= len(data):
            return
        first = data[at]
        if first == 0x5D:
            parser.pos += 1
            if self._in_object:
                self._where = self._in_head
            elif self._is_bare:
                self._stray(at)
            else:
                self._shut()
        elif first == 0x7D:
            self._brace(at)
        elif first == 0x22 and _MEMBER.match(data, at):
            self._member(at)
        elif first == 0x7B and self._is_document(at):
            self.faults.add("missing_bracket", at)
            self._where = self._outside
        else:
            if not commas and not self._is_first:
                self.faults.add("missing_comma", at)
            self._is_first = False
            if first != 0x7B or not (self._stretch(at) or self._intact(at)):
                self._one()

    def _passed_commas(self) -> tuple[int, int]:
        """Where the next thing starts, and how many commas were before it; one is usual."""
        data, start = self.data, self.parser.pos
        found = _COMMAS.match(data, start)
        at = self.parser.pos = found.end() if found else start
        commas = data.count(b",", start, at)
        is_inside = not self._is_first and at < len(data) and data[at] not in b"]}"
        if commas > is_inside and not (self._is_bare and commas == 1):
            self.faults.add("extra_comma", data.index(b",", start))
        return at, commas

    def _is_document(self, at: int) -> bool:
        """Whether a whole document starts where an event should."""
        data = self.data
        if at > self._last_list_at or _EVENT.match(data, at):
            return False
        return data.find(b'"traceEvents"', at, self.parser.border(at + 1)) >= 0

    def _brace(self, at: int) -> None:
        """A brace that closes no event: of the document, or too many."""
        rest = self.data[at + 1 : at + 1024].lstrip()
        if self._in_object and (not rest or rest[:1] == b"{"):
            self.faults.add("missing_bracket", at)
            self.parser.pos += 1
            self._shut()
        else:
            self._stray(at)

    def _stray(self, at: int) -> None:
        found = _STRAY.match(self.data, at)
        self.parser.pos = found.end() if found else at + 1
        self.faults.add("stray_bracket", at)

    def _member(self, at: int) -> None:
        """A key among the events: of the document, or of an event that was closed too early."""
        if self.parser.key() in _EVENT_KEYS:
            self.faults.add("junk", at)
            self.parser.value()
        else:
            self.faults.add("missing_bracket", at)
            self.parser.pos = at
            self._in_object, self._is_bare, self._where = True, False, self._in_head
            self._has_list, self._after_member, self._comma = True, False, None

    def _one(self) -> None:
        """Read one event with the tolerant parser, and keep it if there is enough of it."""
        parser, start, faults = self.parser, self.parser.pos, self.faults.total()
        event = parser.value()
        if parser.pos == start:
            self._skip()
            return
        if self.faults.total() == faults:
            self._step = min(self._step * 2, _MOST)
            self._in_a_row = 0
        else:
            self._in_a_row += 1
        if parser.cut and not _is_enough(event):
            self.faults.add("lost_event", start)
        else:
            self.events += self._unwrapped(event)

    def _stretch(self, at: int) -> bool:
        """Decode intact events from here on at once; whether there were any."""
        separator = self._between(at)
        if separator is None:
            return False
        if self._in_a_row > _USUAL:
            cut = self.data.find(separator, at, at + _LEAST)
            return cut >= 0 and self._take(at, cut + 1, separator)
        cut = self.data.rfind(separator, at, at + self._step)
        if cut < 0:
            self._separator = None
        elif self._take(at, cut + 1, separator):
            self._step = min(self._step * 2, _MOST)
            return True
        else:
            fault = fault_at(self.data[at : cut + 1], separator)
            cut = self.data.rfind(separator, at, at + fault)
        self._step = max(self._step // 2, _LEAST)
        return cut >= 0 and self._take(at, cut + 1, separator)

    def _intact(self, at: int) -> bool:
        """Decode the one event that starts here, where no stretch can be cut; whether it is one."""
        stop = self.parser.sound_end() if self._in_a_row <= _USUAL else None
        self._step = min(self._step * 2, _MOST) if stop else self._step
        return stop is not None and self._take(at, stop, b",")

    def _take(self, start: int, stop: int, separator: bytes) -> bool:
        """Take the events of a stretch, if they are intact."""
        stretch = self.data[start:stop]
        glued = 0 if b"," in separator else stretch.count(separator)
        try:
            events = orjson.loads(keep_digits(as_list(stretch, separator)))
        except orjson.JSONDecodeError:
            return False
        if b'"traceEvents"' in stretch:
            events = [inner for event in events for inner in self._unwrapped(event)]
        self.faults.add("missing_comma", start, glued)
        self.events += events
        self.parser.pos = stop
        self._in_a_row = 0
        return True

    def _between(self, at: int) -> bytes | None:
        """What stands between two events, most often, from here on."""
        if self._separator is None and at >= self._looked:
            self._looked = at + _SAMPLE
            seen = Counter(_BETWEEN.findall(self.data, at, self._looked))
            self._separator = seen.most_common(1)[0][0] if seen else None
        return self._separator

    def _unwrapped(self, event: Any) -> list[Any]:  # noqa: ANN401
        """The event, or those of a document that stands in its place."""
        if type(event) is not dict or type(event.get("traceEvents")) is not list or "ph" in event:
            return [event]
        self.faults.add("concatenated_document", self.parser.pos)
        self.header |= {key: value for key, value in event.items() if key != "traceEvents"}
        return list(event["traceEvents"])


def _is_enough(event: Any) -> bool:  # noqa: ANN401
    if type(event) is not dict or any(key not in event for key in _NEEDED):
        return False
    return event["ph"] != "X" or "dur" in event
