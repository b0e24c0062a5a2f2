"""The shape of an event, learned from one: what stands fixed in it, and the values between.

A writer makes each kind of event with the same keys in the same order. A template holds the bytes
of one such event up to the values that differ. What comes behind the last value that is wanted is
the event's rest, and may be any JSON that holds no wanted key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import orjson

from skiptrace.read.digits import MOST_DIGITS
from skiptrace.read.rows import ASKED_FOR, PHASES, TIMED

_COLUMNS = {"ts": "start_ns", "dur": "dur_ns", "pid": "pid", "tid": "tid", "name": "name"}
_ARGUMENTS = {
    "correlation": "correlation",
    "External id": "external_id",
    "external id": "external_id",
    "device": "device",
    "stream": "stream",
    "bytes": "bytes",
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
_OFTEN_ALIKE = (None, "pid", "tid", "device", "stream")
"""Numbers of these columns, and of none, that two events share are taken as fixed."""
_TOKEN = re.compile(
    rb'(?P<space>[ \t\r\n]+)|(?P<text>"[ !#-\[\]-~]*")|(?P<number>-?[0-9][0-9.]*)'
    rb"|(?P<word>true|false|null)|(?P<mark>[{}\[\]:,])"
)
_VALUES = re.compile(rb"-?[0-9][0-9.]*"), re.compile(rb'[ !#-\[\]-~]*(?=")')
"""A number, and a text without its quotes."""
_LAST = re.compile(rb'(,[ \t\r\n]*"[^"\\]*":[ ]*)([0-9]+)([} \t\r\n]*)\Z')
_MANY = 5
"""So many numbers of no interest behind the last wanted value are taken as one rest."""
_COMPARED = 8
"""Events that one to be learned is compared with at most."""
_LONGEST_EVENT = 1 << 14
"""Longer events are left to the other readers."""
_REMEMBERED = 4096
"""Rests known to be JSON, at most."""


_Fixed: TypeAlias = tuple[tuple[str, int], ...]


class Field(NamedTuple):
    """A value that differs from event to event."""

    kind: str
    """``integer``, ``time``, ``duration``, ``text``, or ``number``: one of no interest."""
    column: str | None
    """Where it goes; None where it is of no interest."""


@dataclass(frozen=True)
class Rest:
    """What follows the last wanted value, up to the end of the event; many events share theirs."""

    in_args: bool
    """Whether it begins inside the arguments."""
    after_args: bool
    """Whether they stand before it."""
    before_last: bytes
    """What stands before its last value if that is a number, which then is not looked at."""
    end: bytes
    """What stands behind that."""
    mentions: set[str] = field(default_factory=set, compare=False)
    """Those of `ASKED_FOR` that rests so far have had."""
    _seen: dict[bytes, bool] = field(default_factory=dict, compare=False)

    def allows(self, middle: bytes) -> bool:
        """Whether an event may go on so: JSON without a key that is wanted."""
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        known = self._seen.get(middle)
        if known is None:
            known = self._seen[middle] = self._is_plain(middle)
        return known

    def _is_plain(self, middle: bytes) -> bool:
        if middle[:1] not in b",} \t\r\n":
            return False  # the number before it goes on
        last = self.before_last and self.before_last + b"0"
        opening = b'{"args":{"":0' if self.in_args else b'{"":0'
        try:
            outer = orjson.loads(opening + middle + last + self.end)
        except orjson.JSONDecodeError:
            return False
        args = outer.pop("args", None)
        keys = set(args) if isinstance(args, dict) else set()
        # Whether they stand there a second time.
        if self.in_args:
            again = next(iter(args), None) != "" if isinstance(args, dict) else True
        else:
            again = self.after_args and args is not None
        self.mentions.update(ASKED_FOR & keys)
        return not (again or keys & _ARGUMENTS.keys() or outer.keys() & {*_COLUMNS, "ph", "cat"})


@dataclass(frozen=True)
class Template:
    """The shape of an event."""

    parts: tuple[bytes | Field, ...]
    """Literals and fields, as they follow each other."""
    phase: int
    cat: str | None
    """Its category; None where it has none, or is no row."""
    fixed: _Fixed = ()
    """Columns whose number stands in a literal, and that number."""
    rest: Rest | None = None
    """What follows; None where the parts are all there is."""

    @cached_property
    def breaks(self) -> dict[int, tuple[int, int]]:
        """Of texts, by place, how many line breaks stand before them, and how far the next is.

        Only of those with a line break in what follows.
        """
        found, before = {}, 0
        for place, (part, then) in enumerate(pairwise(self.parts)):
            if isinstance(part, bytes):
                before += part.count(b"\n")
            elif isinstance(then, bytes) and part.kind == "text" and b"\n" in then:
                found[place] = before, then.index(b"\n")
        return found

    @cached_property
    def mentions(self) -> frozenset[str]:
        """Those of `ASKED_FOR` that stand in its literals; what rests have had comes on top."""
        literals = b"\0".join(part for part in self.parts if isinstance(part, bytes))
        return frozenset(key for key in ASKED_FOR if f'"{key}"'.encode() in literals)


def learn(event: bytes, others: Iterable[bytes] = ()) -> list[Template]:
    """The templates of an event, the narrowest first; none where it holds what no template can.

    Parameters
    ----------
    event
        Its bytes.
    others
        Other events: numbers that all of these that have the same shape share with it are taken as
        fixed, if they are of a kind that is often so.
    """
    phase, cat = _phase_and_cat(event)
    timed = phase in TIMED
    if phase is None:
        return []
    sketch = _Sketch(event, timed=timed)
    columns = [f.column for f in sketch.fields if f.column]
    is_useful = {"pid", "tid", "start_ns"} <= set(columns) if timed else sketch.is_whole
    if not is_useful or len(columns) > len(set(columns)):
        return []
    like = [other for other in others if other.startswith(sketch.literals[0])]
    found = [sketch.alike(other) for other in like[:: len(like) // _COMPARED + 1]]
    of_shape = [same for same in found if same is not None]
    alike = [all(same) for same in zip(*of_shape, strict=True)] or [False] * len(sketch.fields)
    rest = None
    if sketch.wanted and (not sketch.is_whole or alike[sketch.wanted :].count(False) >= _MANY):
        rest = sketch.cut_rest(event)
        if rest is None:
            return []
    elif not sketch.is_whole:
        return []
    made = []
    for same in (alike, [False] * len(alike)):
        parts, fixed = sketch.fixed(same)
        made.append(Template(parts, ord(phase), cat if timed else None, fixed, rest))
    return list(dict.fromkeys(made))


def _phase_and_cat(event: bytes) -> tuple[str | None, str | None]:
    """Phase and category of an event; no phase where no template is to be had of it."""
    if len(event) > _LONGEST_EVENT:
        return None, None
    try:
        decoded = orjson.loads(event)
    except orjson.JSONDecodeError:
        return None, None
    phase, cat = decoded.get("ph"), decoded.get("cat")
    is_known = isinstance(phase, str) and phase in PHASES - {"M"} and isinstance(cat, str | None)
    return (phase, cat) if is_known else (None, None)


class _Sketch:
    """An event taken apart as far as a template can follow it."""

    def __init__(self, event: bytes, *, timed: bool) -> None:
        self.literals: list[bytes] = []
        """What stands before each field, and behind the last."""
        self.fields: list[Field] = []
        self.texts: list[bytes] = []
        """What stands in each field, without quotes."""
        self.is_whole = False
        self.wanted = 0
        """Fields up to the last that is wanted; 0 if that is a text, or none is."""
        self._ends = (0, False, False)
        """Where that one ends, whether that is in the arguments, and whether behind them."""
        literal, at, shape = b"", 0, _Shape(timed=timed)
        while at < len(event):
            token = _TOKEN.match(event, at)
            if token is None:
                return
            at, text = token.end(), token.group()
            try:
                found = shape.meet(text, token.lastgroup or "")
            except _NoTemplateError:
                return
            if found is not None:
                quote = b'"' if token.lastgroup == "text" else b""
                self.literals.append(literal + quote)
                self.fields.append(found)
                self.texts.append(text.strip(b'"'))
                if found.column:
                    self.wanted = 0 if quote else len(self.fields)
                    self._ends = at, *shape.place
                literal, text = b"", quote
            literal += text
        self.literals.append(literal)
        self.is_whole = True

    def cut_rest(self, event: bytes) -> Rest | None:
        """Leave off what follows the last wanted value; None where that holds more of them."""
        at, in_args, after_args = self._ends
        for held in (self.literals, self.fields, self.texts):
            del held[self.wanted :]
        last = _LAST.search(event, at)
        before, end = (last.group(1), last.group(3)) if last else (b"", b"")
        rest = Rest(in_args, after_args, before, end)
        return rest if rest.allows(event[at : last.start() if last else None]) else None

    def alike(self, other: bytes) -> list[bool] | None:
        """Of each field, whether another event has the same; None if it has another shape."""
        same: list[bool] = []
        at = 0
        for literal, mine, text in zip(self.literals, self.fields, self.texts, strict=False):
            value = _VALUES[mine.kind == "text"].match(other, at + len(literal))
            if value is None or not other.startswith(literal, at):
                break
            same.append(value.group() == text)
            at = value.end()
        if len(same) < (self.wanted or len(self.fields)):
            return None
        return same + [False] * (len(self.fields) - len(same))

    def fixed(self, alike: list[bool]) -> tuple[tuple[bytes | Field, ...], _Fixed]:
        """Parts of a template with numbers that are alike as literals, and those of columns."""
        fixed: list[tuple[str, int]] = []
        parts: list[bytes | Field] = []
        before = b""
        for literal, value, text, same in zip(
            self.literals, self.fields, self.texts, alike, strict=False
        ):
            before += literal
            is_plain = value.kind in ("integer", "number") and text.isdigit()
            is_plain &= len(text) <= MOST_DIGITS
            if same and is_plain and value.column in _OFTEN_ALIKE:
                before += text
                if value.column:
                    fixed.append((value.column, int(text)))
            else:
                parts += [before, value]
                before = b""
        before += b"".join(self.literals[len(self.fields) :])
        return (*parts, before) if before else tuple(parts), tuple(fixed)


class _NoTemplateError(Exception):
    """An event that holds what no template has."""


class _Shape:
    """Where in an event a token stands."""

    def __init__(self, *, timed: bool) -> None:
        self.timed = timed
        self.key: str | None = None
        self.open: list[set[str] | None] = []
        """Of each object that is open its keys so far, of each list None."""

    @property
    def place(self) -> tuple[bool, bool]:
        """Whether this is inside the arguments, and whether it is behind them."""
        inside = len(self.open) > 1
        return inside, not inside and "args" in (self.open[0] or ())

    def meet(self, text: bytes, kind: str) -> Field | None:
        """Take the next token; the field that it is, None if it is none."""
        if not self.open and text != b"{" and kind != "space":
            raise _NoTemplateError  # what an event is compared with may be anything
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
