"""Files that cannot be read as traces, and folders that cannot be written."""

from __future__ import annotations

from skiptrace.errors.base import SkiptraceError

MANIFEST = "skiptrace.json"
"""The file that makes a folder a saved trace."""


class ReadError(SkiptraceError):
    """The bytes of a trace could not be read as a trace."""

    @classmethod
    def empty(cls, source: str) -> ReadError:
        """A file of no bytes."""
        return cls(f"{source}: the file is empty (0 bytes). Was the profiler's export finished?")

    @classmethod
    def truncated(cls, source: str, how: str) -> ReadError:
        """A compressed stream that stops before its end."""
        return cls(
            f"{source}: the {how} stream is cut off or damaged. "
            "Copy the file again, or export it again."
        )

    @classmethod
    def bomb(cls, source: str, unpacked: int, packed: int) -> ReadError:
        """A small file that unpacks without end."""
        return cls(
            f"{source}: {packed} packed bytes unpack to more than {unpacked}, which no trace does. "
            "If it is one, unpack it first and load the result."
        )

    @classmethod
    def fault(cls, source: str, kind: str, offset: int, excerpt: str) -> ReadError:
        """The first fault of a file that is not to be repaired."""
        return cls(
            f"{source}: {kind} at byte {offset}: {excerpt!r}. "
            "load(..., repair=True), the default, reads such files and counts what it repaired."
        )

    @classmethod
    def not_json(cls, source: str, offset: int, reason: str) -> ReadError:
        """Bytes that are not JSON from `offset` on."""
        return cls(
            f"{source}: not valid JSON at byte {offset}: {reason}. A trace cut off by a crash ends "
            "like this; Nsight (.nsys-rep) and Perfetto protobuf files are not Chrome JSON."
        )

    @classmethod
    def no_events(cls, source: str, found: str) -> ReadError:
        """JSON that is not a trace."""
        return cls(
            f"{source}: JSON without trace events: expected an object with a 'traceEvents' list, "
            f"or a bare list of events, and found {found}."
        )

    @classmethod
    def not_found(cls, source: str, reason: str) -> ReadError:
        """A path that cannot be opened."""
        return cls(f"{source}: cannot be read: {reason}.")

    @classmethod
    def unsupported(cls, kind: str) -> ReadError:
        """An object that `load` does not take."""
        return cls(
            f"load() does not take a {kind}: give a path, bytes, a binary file object, "
            "or the decoded dict or list of a Chrome trace."
        )

    @classmethod
    def no_iterable(cls, kind: str) -> ReadError:
        """Something else where events are wanted."""
        return cls(
            f"from_events() takes an iterable of events, each a dict, and got a {kind}: a whole "
            "document, a path or bytes is what load() takes."
        )

    @classmethod
    def too_large(cls, source: str, size: int, most: int) -> ReadError:
        """A file that whoever asked does not want to be read."""
        return cls(f"{source}: {size:,} bytes, and a trace may have {most:,}. Raise max_bytes.")

    @classmethod
    def changing(cls, source: str) -> ReadError:
        """A file that somebody writes while it is read."""
        return cls(f"{source}: the file changed while it was measured. Scan again when it is done.")

    @classmethod
    def source_changed(cls, source: str, reason: str) -> ReadError:
        """Arguments asked for, and the file is no longer the one that was loaded."""
        return cls(
            f"{source}: {reason} since it was loaded, so its arguments cannot be read now. "
            "Load the trace again."
        )

    @classmethod
    def not_saved(cls, folder: str) -> ReadError:
        """A folder that `Trace.save` did not write, or not to its end."""
        return cls(
            f"{folder}: not a saved trace: no {MANIFEST} in it that skiptrace wrote. "
            "load() takes a folder only if trace.save() wrote it; give it the trace file itself."
        )

    @classmethod
    def other_format(cls, folder: str, version: object, known: int) -> ReadError:
        """A folder whose format is not the one that this version reads."""
        return cls(
            f"{folder}: saved in format {version}, and this skiptrace reads format {known}. Load "
            "it with the version that saved it, or load the trace file and save it again."
        )

    @classmethod
    def damaged(cls, folder: str, file: str, reason: str) -> ReadError:
        """A file of a saved trace that is not what was saved."""
        return cls(
            f"{folder}: {file} {reason}, so the saved trace is incomplete or has changed. "
            "Load the folder again, copy it again, or save the trace again."
        )

    @classmethod
    def without(cls, folder: str, categories: object) -> ReadError:
        """`without=` for a folder, whose frames are read only where they are asked for."""
        return cls(
            f"without={categories!r}: the saved trace {folder} has what it was saved with; each "
            "frame is read when it is first used, so one that is not costs nothing."
        )


class SaveError(SkiptraceError):
    """A trace that cannot be saved there, or at all."""

    @classmethod
    def occupied(cls, path: str, found: str) -> SaveError:
        """Something else is there, which saving would destroy."""
        return cls(
            f"{path}: not saved: it holds {found}, which no trace.save() wrote. Give a path that "
            "does not exist, an empty folder, or the folder of a saved trace."
        )

    @classmethod
    def cannot_write(cls, path: str, reason: str) -> SaveError:
        """The file system refuses."""
        return cls(
            f"{path}: cannot be written: {reason}. Give a folder that may be written to, on a disk "
            "with room for it."
        )

    @classmethod
    def not_json(cls, what: str, reason: str) -> SaveError:
        """A value of a decoded trace that no JSON file could hold."""
        return cls(f"{what} cannot be saved: {reason}. A trace holds what JSON can hold.")

    @classmethod
    def own_source(cls, path: str) -> SaveError:
        """The file that is being read."""
        return cls(f"{path}: not written: it is the trace itself. Give another path.")

    @classmethod
    def no_source(cls, folder: str) -> SaveError:
        """A saved trace has frames, not its file's text."""
        return cls(
            f"{folder}: a trace that was saved or made of frames has no text to write again. Load "
            "the trace file itself, and annotate that."
        )

    @classmethod
    def damaged_source(cls, source: str) -> SaveError:
        """A text that skiptrace had to repair, or that does not close what it opens."""
        return cls(
            f"{source}: the file is damaged (see trace.health), so it cannot be written again "
            "unchanged with more behind it."
        )
