"""Warnings of results that a trace's health makes doubtful, once a trace and kind."""

from __future__ import annotations

from skiptrace.errors import NoTraceError, TraceWarning
from skiptrace.model.health import DOUBTFUL, weighty
from skiptrace.model.modules import all_modules
from skiptrace.model.trace import Trace

DIMS = "Input Dims"
"""Argument of operators with the shapes of their inputs."""
UNRECORDED = {
    "python": ("Python frames", "with_stack=True"),
    "module": ("modules", "with_modules=True or with_stack=True"),
    "shape": ("shapes of inputs", "record_shapes=True"),
}
"""Key -> what it goes by, and the option of PyTorch's profiler that records it."""


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
    TraceWarning.issue(f"{trace.meta.source}: {message}")


def warn_of_unrecorded(trace: Trace, key: str) -> None:
    """Warn where what a key or verb goes by was not recorded, and say how to record it."""
    whole = trace.whole
    if key == "python":
        recorded = not whole.python.is_empty()
    elif key == "module":
        recorded = not all_modules(whole).is_empty()
    else:
        recorded = DIMS in whole.mentioned
    if not recorded and not (whole.ops.is_empty() and whole.work.is_empty()):
        what, option = UNRECORDED[key]
        warn_once(
            trace,
            f"no_{key}",
            f"no {what} in the trace, so nothing is told by {key}: record with {option} in "
            "torch.profiler.profile, and leave none of it out of the load.",
        )
