"""Every error the library raises: what is wrong, where, and what to do about it."""

from skiptrace.errors.archives import ArchiveError, WorkerError
from skiptrace.errors.base import MissingDependencyError, SkiptraceError, TraceWarning
from skiptrace.errors.files import ReadError, SaveError
from skiptrace.errors.frames import FramesError
from skiptrace.errors.questions import (
    FloorError,
    NoTraceError,
    RulesError,
    StepError,
    UnknownKeyError,
)
from skiptrace.errors.several import RanksError, SweepError

__all__ = [
    "ArchiveError",
    "FloorError",
    "FramesError",
    "MissingDependencyError",
    "NoTraceError",
    "RanksError",
    "ReadError",
    "RulesError",
    "SaveError",
    "SkiptraceError",
    "StepError",
    "SweepError",
    "TraceWarning",
    "UnknownKeyError",
    "WorkerError",
]

for _public in __all__:  # where people find them, which is what a traceback should say
    globals()[_public].__module__ = __name__
