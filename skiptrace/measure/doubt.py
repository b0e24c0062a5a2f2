"""Warnings of results that a trace's health makes doubtful, once a trace and kind."""

from __future__ import annotations

import inspect
import warnings

from skiptrace.errors import NoTraceError, TraceWarning
from skiptrace.model.health import DOUBTFUL, weighty
from skiptrace.model.trace import Trace

_OWN = __name__.partition(".")[0]


def warn_of_doubts(trace: Trace, verb: str) -> None:
    """Warn of what health found that may make the figures of a verb wrong.

    Raises
    ------
    NoTraceError
        It is no trace.

    Warns
    -----
    TraceWarning
        For each kind of `DOUBTFUL` that names the verb and weighs, if none came before of that
        kind and recording; it points to the caller outside the package.
    """
    check_trace(trace, verb)
    for row in weighty(trace.health).iter_rows(named=True):
        if verb in DOUBTFUL.get(row["kind"], ()):
            what = f"{row['count']:,} {row['kind']}: {row['meaning']}"
            warn_once(
                trace, row["kind"], f"{what}. Figures of {verb} may be wrong: see trace.health."
            )


def check_trace(trace: object, verb: str) -> None:
    """Raise `NoTraceError` for what is no trace."""
    if not isinstance(trace, Trace):
        raise NoTraceError.of(verb, trace)


def warn_once(trace: Trace, kind: str, message: str) -> None:
    """Warn of a kind of doubt, if no verb has yet warned of it in this recording."""
    mine = object()
    if trace.whole.warned.setdefault(kind, mine) is not mine:  # of threads, one is first
        return
    warnings.warn(f"{trace.meta.source}: {message}", TraceWarning, stacklevel=_levels_out())


def _levels_out() -> int:
    """How many frames above `warn_of_doubts` the caller outside the package is."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _OWN:
        frame, level = frame.f_back, level + 1
    return level
