"""Archives that cannot be made, continued or opened."""

from __future__ import annotations

from collections.abc import Iterable

from skiptrace.errors.base import SkiptraceError

ARCHIVE = "skiptrace-archive.json"
"""The file that makes a folder an archive."""


class ArchiveError(SkiptraceError, ValueError):
    """A scan that cannot begin or go on, or a folder that is no archive."""

    @classmethod
    def nothing(cls, given: object) -> ArchiveError:
        """No source at all."""
        return cls(
            f"scan() found no trace in {given!r:.120}. Give paths, globs, URLs, or folders that "
            "hold .json, .json.gz or .json.zst files."
        )

    @classmethod
    def bad_source(cls, given: object) -> ArchiveError:
        """Something that is no path."""
        return cls(
            f"scan() takes paths, globs, folders and URLs, got a {type(given).__name__}: "
            "a trace in memory is measured by calling the verb."
        )

    @classmethod
    def labels(cls, pattern: object, reason: str) -> ArchiveError:
        """A pattern that gives no labels."""
        return cls(
            f"labels={pattern!r}: {reason}. Give a path pattern with a name in braces for each "
            "label: '{model}_b{batch}_*.json.gz'."
        )

    @classmethod
    def taken(cls, names: Iterable[str], measure: str) -> ArchiveError:
        """A label with the name of a column."""
        return cls(
            f"labels: {', '.join(sorted(names))} is a column of {measure} already. "
            "Give the label another name."
        )

    @classmethod
    def measures(cls, given: object, reason: str) -> ArchiveError:
        """Measures that are none."""
        return cls(f"measures={given!r:.120}: {reason}.")

    @classmethod
    def options(cls, name: str, given: object, wanted: str) -> ArchiveError:
        """An option that has no such value."""
        return cls(f"{name}={given!r:.80}: {wanted}.")

    @classmethod
    def cannot_send(cls, reason: str) -> ArchiveError:
        """A measure that another process cannot be given."""
        return cls(
            f"a measure cannot be sent to a worker process: {reason}. Define it in a module, or "
            "install 'cloudpickle', or give executor=concurrent.futures.ThreadPoolExecutor(1)."
        )

    @classmethod
    def no_worker(cls) -> ArchiveError:
        """Processes that end before they were asked anything."""
        return cls(
            "a worker process ended before it had begun: what it wrote to stderr says why. Is "
            "there memory for one, and does 'import skiptrace' work in a new Python?"
        )

    @classmethod
    def broken(cls, reason: str) -> ArchiveError:
        """An executor that takes no more work, and cannot be made again."""
        return cls(
            f"the executor broke ({reason}). What was measured is kept: scan again to go on. Given "
            "a function that makes an executor instead of an executor, scan() goes on by itself."
        )

    @classmethod
    def unwritable(cls, out: str, reason: str) -> ArchiveError:
        """No result can be written any more."""
        return cls(
            f"{out}: results cannot be written: {reason}. What was measured is kept: "
            "see to it that one may write there and there is room, and scan again to go on."
        )

    @classmethod
    def occupied(cls, out: str, found: str) -> ArchiveError:
        """A folder with something else in it."""
        return cls(
            f"{out}: not used: it holds {found}, which no scan() wrote. Give a folder that does "
            "not exist, an empty one, or an archive."
        )

    @classmethod
    def none_here(cls, out: str) -> ArchiveError:
        """A folder without an archive."""
        return cls(f"{out}: no archive: it has no {ARCHIVE}, which sk.scan(..., out=...) writes.")

    @classmethod
    def other_format(cls, out: str, version: object, known: int) -> ArchiveError:
        """An archive in a format of another version."""
        return cls(
            f"{out}: an archive of format {version}, and this skiptrace reads format {known}. "
            "Scan into another folder."
        )

    @classmethod
    def no_table(cls, name: object, names: Iterable[str]) -> ArchiveError:
        """A table that the archive lacks."""
        return cls(
            f"the archive has no table {name!r}. It has: {', '.join(sorted(names)) or 'none'}. "
            "sk.scan() with that measure adds it."
        )

    @classmethod
    def no_baseline(cls, given: object, reason: str) -> ArchiveError:
        """Nothing to compare runs with."""
        return cls(
            f"baseline={given!s:.120}: {reason}. Give a mapping of labels ({{'commit': 'abc'}}), a "
            "pattern of sources ('nightly/*'), or an expression over the columns of archive.traces."
        )


class WorkerError(SkiptraceError, RuntimeError):
    """A process that ended while it measured a trace."""

    @classmethod
    def lost(cls) -> WorkerError:
        """Nobody said why."""
        return cls(
            "the process that measured it ended: it was killed, or ran out of memory. Scan again "
            "with retry=True, on a machine with more of it where that was the reason."
        )

    @classmethod
    def late(cls, seconds: float) -> WorkerError:
        """It was ended."""
        return cls(
            f"it took longer than the {seconds:g} s that a trace may take. Scan again with a "
            "longer timeout and retry=True."
        )
