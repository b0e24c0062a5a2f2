"""Warnings of results that a trace's health makes doubtful, once a trace and kind."""

from __future__ import annotations

import inspect
import warnings

from skiptrace.errors import TraceWarning
from skiptrace.model.health import DOUBTFUL, weighty
from skiptrace.model.trace import Trace

_OWN = __name__.partition(".")[0]


def warn_of_doubts(trace: Trace, verb: str) -> None:
    """Warn of what health found that may make the figures of a verb wrong.

    Warns
    -----
    TraceWarning
        For each kind of `DOUBTFUL` that names the verb and weighs, if none came before of that
        kind and recording; it points to the caller outside the package.
    """
    warned = trace.whole.warned
    for row in weighty(trace.health).iter_rows(named=True):
        kind = row["kind"]
        if kind in warned or verb not in DOUBTFUL.get(kind, ()):
            continue
        warned.add(kind)
        warnings.warn(
            f"{trace.meta.source}: {row['count']:,} {kind}: {row['meaning']}. "
            f"Figures of {verb} may be wrong: see trace.health.",
            TraceWarning,
            stacklevel=_levels_out(),
        )


def _levels_out() -> int:
    """How many frames above `warn_of_doubts` the caller outside the package is."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _OWN:
        frame, level = frame.f_back, level + 1
    return level
