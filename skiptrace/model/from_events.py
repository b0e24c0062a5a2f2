"""`from_events`: a trace of Chrome trace events that a profiler has in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from skiptrace.errors import ReadError
from skiptrace.model.load import load
from skiptrace.model.steps import Steps
from skiptrace.model.trace import Trace


def from_events(
    events: Iterable[dict[str, Any]],
    *,
    header: Mapping[str, Any] | None = None,
    steps: Steps | None = None,
    without: Collection[str] = (),
    window: tuple[int, int] | None = None,
) -> Trace:
    """Make a trace of events as they would stand in a file.

    Parameters
    ----------
    events
        Any iterable, a generator among them, of Chrome trace events: ``ph``, ``cat``, ``name``,
        ``ts`` and ``dur`` (microseconds), ``pid``, ``tid``, ``args``. They are kept, not copied.
    header
        The other fields of the file, such as ``{"baseTimeNanoseconds": ...}``.
    steps, without, window
        As for `skiptrace.load`.

    Returns
    -------
    Trace
        The same as that of a file with these events.

    Raises
    ------
    ReadError
        It is no iterable of events, such as a whole document, which `skiptrace.load` takes.
    StepError
        `steps` matches nothing, or a window does not end after it starts.
    """
    if isinstance(events, (Mapping, str, bytes)) or not isinstance(events, Iterable):
        raise ReadError.no_iterable(type(events).__name__)
    document = {**(header or {}), "traceEvents": list(events)}
    return load(document, steps=steps, without=without, window=window)
