"""What all errors and warnings of the library have in common."""

from __future__ import annotations


class SkiptraceError(Exception):
    """Base of all errors of skiptrace."""


class TraceWarning(UserWarning):
    """A result that the trace's health makes doubtful; issued through `warnings`."""


class MissingDependencyError(SkiptraceError, ImportError):
    """An optional package is needed and not installed."""

    @classmethod
    def needs(cls, what: str, package: str, extra: str) -> MissingDependencyError:
        """`what` needs `package`, which the extra `extra` installs."""
        return cls(f"{what} needs the package '{package}': pip install 'skiptrace[{extra}]'.")
