"""JSON to a list of events and a header, with the garbage collector out of the way."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import orjson

from skiptrace.errors import ReadError
from skiptrace.read.times import keep_digits
from skiptrace.read.wrapped import are_wrapped

_LIST = re.compile(rb'"traceEvents"\s*:\s*\[')


class _Paused:
    """How many ask for no garbage collection, in any thread, and whether it was on before."""

    lock = Lock()
    count = 0
    was_enabled = False


@contextmanager
def no_gc() -> Iterator[None]:
    """Pause garbage collection: it walks millions of fresh, reachable dicts for nothing."""
    with _Paused.lock:
        if not _Paused.count:
            _Paused.was_enabled = gc.isenabled()
            gc.disable()
        _Paused.count += 1
    try:
        yield
    finally:
        with _Paused.lock:
            _Paused.count -= 1
            if not _Paused.count and _Paused.was_enabled:
                gc.enable()


def events_and_header(document: object, name: str) -> tuple[list[Any], dict[str, Any]]:
    """Take a decoded document apart; an error says what it is instead of a trace."""
    if isinstance(document, list):
        if are_wrapped(document):
            raise orjson.JSONDecodeError("events that are not where they belong", "", 0)
        return document, {}
    if not isinstance(document, dict):
        raise ReadError.no_events(name, f"a {type(document).__name__}")
    events = document.get("traceEvents")
    if not isinstance(events, list):
        found = (
            "'traceEvents' that is no list"
            if "traceEvents" in document
            else (
                "an object with the keys " + (", ".join(map(repr, list(document)[:6])) or "(none)")
            )
        )
        raise ReadError.no_events(name, found)
    return events, {key: value for key, value in document.items() if key != "traceEvents"}


def loads(data: bytes) -> Any:  # noqa: ANN401  whatever JSON holds
    """Decode JSON, the digits of its times kept.

    A document of which events would be lost is left to whoever repairs: of two lists of events a
    decoder keeps the last, and some wrap events in lists or texts of their own.
    """
    with no_gc():
        document = orjson.loads(keep_digits(data))
    if isinstance(document, list):  # events cut out of a document, most often
        return document
    if are_wrapped(document) or len(_LIST.findall(data)) > 1:
        raise orjson.JSONDecodeError("events that are not where they belong", "", 0)
    return document


def is_list(items: bytes) -> bool:
    """Whether the bytes are what stands in a JSON list."""
    try:
        orjson.loads(b"[" + items + b"]")
    except orjson.JSONDecodeError:
        return False
    return True


def fault_of(data: bytes) -> tuple[int, str]:
    """The byte at which the text is no JSON, and why."""
    try:
        text = data.decode()
        orjson.loads(data)  # again, since quoted digits shift what follows them
    except UnicodeDecodeError as error:
        return error.start, "not UTF-8 text"
    except orjson.JSONDecodeError as error:
        # The decoder counts characters; people seek by bytes.
        return len(text[: error.pos].encode()), error.msg
    return 0, "a time is no number"
