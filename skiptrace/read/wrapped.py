"""Events inside lists, texts of JSON or objects of their own, where events alone should stand."""

from __future__ import annotations

from typing import Any

import orjson

from skiptrace.read.times import keep_digits

_DEPTH = 3
"""How far inside to look."""


def holds_events(item: object, depth: int = _DEPTH) -> bool:
    """Whether what stands among the events is no event, but a list, text or document of some."""
    if isinstance(item, dict):
        return isinstance(item.get("traceEvents"), list) and "ph" not in item
    if isinstance(item, list) and depth:
        return any(type(one) is dict or holds_events(one, depth - 1) for one in item)
    return isinstance(item, str) and item.lstrip()[:1] == "{"


def are_wrapped(document: object) -> bool:
    """Whether events of a document, or all of it, stand inside something else."""
    if isinstance(document, dict):
        found = document.get("traceEvents")
        if not isinstance(found, list):
            return _inner(document) is not None
        document = found
    if not isinstance(document, list):
        return isinstance(document, str) and document.lstrip()[:1] in ("{", "[")
    if set(map(type, document)) <= {dict}:
        return any("traceEvents" in event and holds_events(event) for event in document)
    return any(map(holds_events, document))


def events_in(item: object, depth: int = _DEPTH) -> list[Any]:
    """The events that stand in the place of one, or the thing itself."""
    if not depth or not holds_events(item, depth):
        return [item]
    if isinstance(item, str):
        try:
            return events_in(orjson.loads(keep_digits(item.encode())), depth - 1)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return [item]
    inner: list[Any] = item["traceEvents"] if isinstance(item, dict) else item  # type: ignore[assignment]
    return [event for one in inner for event in events_in(one, depth - 1)]


def unwrapped(document: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """A decoded document with its events where they belong; itself if they are."""
    if not are_wrapped(document) or isinstance(document, str):
        return document
    if isinstance(document, list):
        return events_in(document) if holds_events(document) else document
    inner = _inner(document)
    header = document | (inner or {})
    return header | {"traceEvents": events_in(header["traceEvents"])}


def found_inside(data: bytes) -> tuple[list[Any], dict[str, Any]] | None:
    """Events and header of sound JSON whose events stand inside something else; None of other."""
    try:
        document = orjson.loads(keep_digits(data))
        if isinstance(document, str):
            document = orjson.loads(keep_digits(document.encode()))
        elif not are_wrapped(document):
            return None
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return None
    document = unwrapped(document)
    if isinstance(document, list):
        return document, {}
    if not isinstance(document, dict):
        return None
    events = document.pop("traceEvents", None)
    return (events, document) if isinstance(events, list) else None


def _inner(document: dict[str, Any]) -> dict[str, Any] | None:
    """A document that is a member of another, which has no events itself."""
    if "traceEvents" in document:
        return None
    members = document.values()
    return next((one for one in members if isinstance(one, dict) and holds_events(one)), None)
