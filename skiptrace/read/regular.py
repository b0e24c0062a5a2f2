"""The fast reader: a part from a text of one layout, over its bytes as arrays.

What has a value of another type than the usual is left to the general reader, event by event.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import orjson

from skiptrace.intervals import Bools, Ints
from skiptrace.read.digits import Bytes, integers, nanoseconds
from skiptrace.read.layout import Layout
from skiptrace.read.names import strings_at
from skiptrace.read.rows import PHASES, TIMED, Part, from_decoded, merged
from skiptrace.read.tokens import Tokens, tokenize

_KNOWN = np.zeros(256, np.bool_)
_KNOWN[[ord(phase) for phase in PHASES - {"M"}]] = True
_IS_TIMED = np.zeros(256, np.bool_)
_IS_TIMED[[ord(phase) for phase in TIMED]] = True

_TEXTS = {
    "cat": "cat",
    "name": "name",
    "cuda_sync_kind": "sync_kind",
    "Collective name": "collective",
}
_NUMBERS = {
    "pid": "pid",
    "tid": "tid",
    "correlation": "correlation",
    "external id": "external_id",
    "External id": "external_id",  # where an event has both, this one
    "device": "device",
    "stream": "stream",
}
_TIMES = {"ts": "start_ns", "dur": "dur_ns"}


def from_text(chunk: bytes, layout: Layout) -> Part:
    """A part from a text for which `Layout.is_regular` holds."""
    tokens = tokenize(chunk, layout)
    count = len(tokens.start)
    phase = np.zeros(count, np.uint8)
    if (value := tokens.values("ph", np.arange(count))) is not None:
        single = value.is_text & (value.length == 1)
        phase[value.events[single]] = tokens.codes[value.at[single] + 1]
    timed = np.flatnonzero(_IS_TIMED[phase])
    rows, unusual = _rows(tokens, timed, phase)
    others = np.bincount(phase, minlength=256)
    odd = ~_KNOWN[phase]
    odd[timed[unusual]] = True
    rows.phases = Counter({p: n for p in PHASES - {*TIMED, "M"} if (n := int(others[ord(p)]))})
    if odd.any():
        return merged(rows, ~unusual, _general(tokens, layout, odd), np.flatnonzero(odd))
    return rows


def _rows(tokens: Tokens, timed: Ints, phase: Bytes) -> tuple[Part, Bools]:
    """The timed events as rows, and which of these have a value that is not as usual."""
    part = Part(len(tokens.start), timed, phase[timed])
    unusual = np.zeros(len(timed), np.bool_)
    for key, column in _TEXTS.items():
        if (value := tokens.values(key, timed)) is None:
            continue
        unusual[value.events] |= ~value.is_text
        text = np.flatnonzero(value.is_text)
        codes, texts = strings_at(tokens.text, tokens.words, value.at[text] + 1, value.length[text])
        filled = np.full(len(timed), -1, np.int64)
        filled[value.events[text]] = codes
        part.put_text(column, filled, texts)
    for key, column in (_NUMBERS | _TIMES).items():
        if (value := tokens.values(key, timed)) is None:
            continue
        if key in _TIMES:
            numbers, fits = nanoseconds(tokens.text, tokens.words, tokens.codes, value.at)
        else:
            numbers, fits = integers(tokens.words, tokens.codes, value.at)
        unusual[value.events] |= ~fits
        if len(value.events) == len(timed) and column not in part.numbers:
            part.numbers[column] = numbers, fits
            continue
        filled, valid = part.numbers.setdefault(
            column, (np.zeros(len(timed), np.int64), np.zeros(len(timed), np.bool_))
        )
        filled[value.events] = numbers
        valid[value.events] = fits
    for what in ("pid", "tid"):
        unusual |= ~part.numbers[what][1] if what in part.numbers else True
    return part, unusual


def _general(tokens: Tokens, layout: Layout, odd: Bools) -> Part:
    """These events by the general reader."""
    begins = tokens.start
    ends = np.append(begins[1:] - len(layout.between), tokens.size)
    spans = zip(begins[odd].tolist(), ends[odd].tolist(), strict=True)
    events = b",".join(tokens.text[begin:end] for begin, end in spans)
    return from_decoded(orjson.loads(b"[" + events + b"]"))
