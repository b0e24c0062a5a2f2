"""What all errors and warnings of the library have in common."""

from __future__ import annotations

import inspect
import warnings

_OWN = __name__.partition(".")[0]


class SkiptraceError(Exception):
    """Base of all errors of skiptrace."""


class TraceWarning(UserWarning):
    """A result that the trace's health makes doubtful; issued through `warnings`."""

    @classmethod
    def issue(cls, message: str) -> None:
        """Warn the caller outside the package."""
        frame, level = inspect.currentframe(), 0
        while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _OWN:
            frame, level = frame.f_back, level + 1
        warnings.warn(message, cls, stacklevel=level + 1)


class MissingDependencyError(SkiptraceError, ImportError):
    """An optional package is needed and not installed."""

    @classmethod
    def needs(cls, what: str, package: str, extra: str) -> MissingDependencyError:
        """`what` needs `package`, which the extra `extra` installs."""
        return cls(f"{what} needs the package '{package}': pip install 'skiptrace[{extra}]'.")
