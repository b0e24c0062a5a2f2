"""Malformed files as they are met: every intact event comes out, or there is none to keep."""

from __future__ import annotations

import gzip
import json

import pytest
from helpers import Event, assembled, op

import skiptrace as sk
from skiptrace.read import stream
from skiptrace.read.rows import NUMBERS, TEXTS, from_decoded
from skiptrace.read.source import Source

EVENTS: list[Event] = [op(f"op{i}", 1000.5 * i, 5.25, i=i, shape=[[i, 2], []]) for i in range(24)]
WRITTEN = list(map(json.dumps, EVENTS))
NAMES = {event["name"] for event in EVENTS}
HEAD, TAIL = '{"schemaVersion": 1, "traceEvents": [', '], "displayTimeUnit": "ms"}'
DOCUMENT = HEAD + ", ".join(WRITTEN) + TAIL
HALF = len(DOCUMENT) // 2


def changed(old: str, new: str, number: int = 5) -> str:
    """The document with something else in one event."""
    assert WRITTEN[number].count(old) == 1
    return DOCUMENT.replace(WRITTEN[number], WRITTEN[number].replace(old, new))


def cut(before: str, behind: bytes = b"") -> bytes:
    return DOCUMENT[: DOCUMENT.index(before)].encode() + behind


LATER = {f"op{i}" for i in range(15, 24)}
# File -> names of the events that cannot be asked for.
FILES: dict[str, tuple[str | bytes, set[str]]] = {
    "cut in an escape": (cut("op15", b"a\\u00"), LATER),
    "cut in a character": (cut("op15", "é".encode()[:1]), LATER),
    "a log in front": ("INFO: [x] started {y}\n" + DOCUMENT, set()),
    "a log between two": (DOCUMENT + "\n-- {x} --\n" + '{"traceEvents": []}', set()),
    "other members behind": (HEAD + ", ".join(WRITTEN) + '], "props": [{"name": "H100"}]}', set()),
    "two lists": (HEAD + ", ".join(WRITTEN[:9]) + '], "x": 1, "traceEvents": ['
                  + ", ".join(WRITTEN[9:]) + TAIL, set()),
    "an empty list first": (HEAD + '], "traceEvents": [' + ", ".join(WRITTEN) + TAIL, set()),
    "an empty list last": (HEAD + ", ".join(WRITTEN) + '], "traceEvents": []}', set()),
    "lists of events": (f"[[{', '.join(WRITTEN[:9])}], [{', '.join(WRITTEN[9:])}]]", set()),
    "texts of events": (json.dumps({"traceEvents": WRITTEN}), set()),
    "a text of it all": (json.dumps(DOCUMENT), set()),
    "documents in a list": (json.dumps([{"traceEvents": EVENTS[:9]}, {"traceEvents": EVENTS[9:]}]),
                            set()),
    "in an object": (json.dumps({"data": {"traceEvents": EVENTS}}), set()),
    "a document each line": ("\n".join(json.dumps({"traceEvents": [e]}) for e in EVENTS), set()),
    "a broken line": ("\n".join([*WRITTEN[:5], WRITTEN[5][:40], *WRITTEN[6:]]), {"op5"}),
    "no commas": (HEAD + "".join(WRITTEN) + TAIL, set()),
    "semicolons": (HEAD + ";".join(WRITTEN) + TAIL, set()),
    "single quotes": (DOCUMENT.replace('"', "'"), set()),
    "a Python dict": (repr({"traceEvents": [{**e, "a": True, "b": None} for e in EVENTS]}), set()),
    "keys without quotes": (DOCUMENT.replace('"ph"', "ph").replace('"ts"', "ts"), set()),
    "comments": (HEAD + " // end, of {event}\n, ".join(WRITTEN) + TAIL, set()),
    "wide without a mark": (("\n" + DOCUMENT).encode("utf-16-be"), set()),
    "no time": (changed('"ts": 5002.5', '"ts": null'), {"op5"}),
    "hexadecimal": (changed('"ts": 5002.5', '"ts": 0x138b'), {"op5"}),
    "a unit": (changed('"ts": 5002.5', '"ts": "5002.5us"'), {"op5"}),
    "beyond a double": (changed("5002.5", "1e400"), {"op5"}),
    "text for arguments": (changed('{"i": 5, "shape": [[5, 2], []]}', '"x=1, {y}"'), set()),
    "deep arguments": (changed('"i": 5', '"i": ' + "[" * 3000 + "]" * 3000), set()),
    "an open bomb": (changed('"i": 5', '"i": ' + '{"a":' * 3000), {"op5"}),
    "a dict in quotes": (changed('"i": 5', '"i": "{"a": {"b": [1, "c"]}}"'), set()),
    "zeros over an event": (DOCUMENT.replace(WRITTEN[5], "\0" * len(WRITTEN[5])), {"op5"}),
    "zeros between": (DOCUMENT.replace(WRITTEN[5], "\0" * 4096 + WRITTEN[5]), set()),
    "an event in a name": (changed('"op5"', f'"{WRITTEN[6]}"'), {"op5"}),
    "half a key": (changed('"name": ', '"name" '), {"op5"}),
    "only carriage returns": (HEAD + ",\r".join(WRITTEN) + TAIL, set()),
    "brackets behind": (DOCUMENT + "}}}]]]", set()),
    "JavaScript": ("var trace = " + DOCUMENT + ";", set()),
    "a fence": ("```json\n" + DOCUMENT + "\n```\n", set()),
    "packed twice": (gzip.compress(gzip.compress(DOCUMENT.encode(), mtime=0)), set()),
    "without its trailer": (gzip.compress(DOCUMENT.encode(), mtime=0)[:-8], set()),
    "a member and junk": (gzip.compress(DOCUMENT[:HALF].encode())
                          + gzip.compress(DOCUMENT[HALF:].encode()) + b"junk", set()),
}  # fmt: skip


@pytest.mark.parametrize(("data", "lost"), FILES.values(), ids=FILES)
def test_every_intact_event_comes_out_whichever_way_it_is_read(
    data: str | bytes, lost: set[str]
) -> None:
    data = data.encode() if isinstance(data, str) else data
    trace = sk.load(data)
    assert set(trace.ops["name"]) >= NAMES - lost
    assert trace.grade != "good"
    read = stream.read_parts(Source.of(data), block=600)
    decoded = [event for _, (event,) in stream.read_events(Source.of(data), lambda e: (e,))]
    fast, slow = read.events.assembled(), assembled(from_decoded(decoded))
    assert fast.frame([*NUMBERS, *TEXTS]).equals(slow.frame([*NUMBERS, *TEXTS]))


NOTHING = [
    b" \n\t ", b"\xef\xbb\xbf", b"[", b"{", b"null", b"123", b'"text"', b'{"traceEvents": null}',
    b'{"error": {"code": 404}}', b"<!DOCTYPE html><script>var x = {\"a\": [1]};</script>404 {x}",
    b"<a ph=\"1\" name='x'>{found: [\"ph\": 1]}</a>",
    gzip.compress(b"x", mtime=0)[:10], b"PK\x03\x04",
]  # fmt: skip


@pytest.mark.parametrize("data", NOTHING, ids=repr)
def test_where_nothing_is_to_be_kept_an_error_says_so(data: bytes) -> None:
    with pytest.raises(sk.errors.ReadError):
        sk.load(data)
    with pytest.raises(sk.errors.ReadError):
        sk.load(data, repair=False)


def test_decoded_events_are_taken_out_of_what_they_are_wrapped_in() -> None:
    for given in (
        [EVENTS[:9], EVENTS[9:]],
        [{"traceEvents": EVENTS}],
        {"data": {"traceEvents": EVENTS}},
        {"traceEvents": WRITTEN},
    ):
        assert set(sk.load(given).ops["name"]) == NAMES
