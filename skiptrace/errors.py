"""Every error the library raises: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

MANIFEST = "skiptrace.json"
"""The file that makes a folder a saved trace."""


class SkiptraceError(Exception):
    """Base of all errors of skiptrace."""


class TraceWarning(UserWarning):
    """A result that the trace's health makes doubtful; issued through `warnings`."""


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
            f"{folder}: a saved trace has no text to write again. Load the trace file itself, and "
            "annotate that."
        )

    @classmethod
    def damaged_source(cls, source: str) -> SaveError:
        """A text that skiptrace had to repair, or that does not close what it opens."""
        return cls(
            f"{source}: the file is damaged (see trace.health), so it cannot be written again "
            "unchanged with more behind it."
        )


class MissingDependencyError(SkiptraceError, ImportError):
    """An optional package is needed and not installed."""

    @classmethod
    def needs(cls, what: str, package: str, extra: str) -> MissingDependencyError:
        """`what` needs `package`, which the extra `extra` installs."""
        return cls(f"{what} needs the package '{package}': pip install 'skiptrace[{extra}]'.")


class UnknownKeyError(SkiptraceError, ValueError):
    """A `by=` key, a step or an option value that does not exist."""

    @classmethod
    def of(cls, what: str, given: object, valid: Iterable[str]) -> UnknownKeyError:
        """`given` is no `what`; names the valid ones and the nearest."""
        names = list(valid)
        starts = [name for name in names if name and str(given).startswith(name)]
        close = get_close_matches(str(given), names, n=1) or starts
        hint = f" Did you mean {close[0]!r}?" if close else ""
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        return cls(f"unknown {what} {given!r}.{hint} Valid: {shown or 'none'}.")


class RulesError(SkiptraceError, ValueError):
    """Rules that sort kernels into classes, and cannot."""

    @classmethod
    def no_mapping(cls, given: object) -> RulesError:
        """Something that maps no class to a pattern."""
        return cls(
            f"classes= takes a mapping class -> regular expression, such as "
            f"{{'gemm': 'gemm|nvjet'}}, got {given!r:.80}"
        )

    @classmethod
    def bad(cls, name: object, pattern: object, reason: str) -> RulesError:
        """A pattern that is none."""
        return cls(f"classes={{{name!r}: {pattern!r}}}: no regular expression: {reason}")


class StepError(SkiptraceError, LookupError):
    """A step or window that the trace does not have."""

    @classmethod
    def unknown(cls, given: object, names: Iterable[str]) -> StepError:
        """`given` names no step of the trace."""
        return cls(str(UnknownKeyError.of("step", given, names)))

    @classmethod
    def saved(cls, folder: str, wanted: object) -> StepError:
        """`steps=` for a folder, whose steps were found when it was saved."""
        return cls(
            f"steps={wanted!r}: the saved trace {folder} has the steps that it was saved with. "
            "Load the trace file itself with steps=, and save that."
        )

    @classmethod
    def no_match(cls, pattern: object, examples: Iterable[str]) -> StepError:
        """`steps=` matched nothing."""
        shown = ", ".join(sorted(set(examples))[:8])
        return cls(
            f"steps={pattern!r} matches no annotation or operator of the trace"
            + (f"; its annotations are, for example: {shown}." if shown else ", which has none.")
        )

    @classmethod
    def no_steps(cls, given: object) -> StepError:
        """Neither a pattern nor a window."""
        return cls(
            f"steps= takes a name or pattern, a list of those, or a list of windows (start_ns, "
            f"end_ns) or (name, start_ns, end_ns), and {given!r} is none of these"
        )

    @classmethod
    def bad_window(cls, start: object, end: object) -> StepError:
        """A window that does not end after it starts."""
        return cls(
            f"a window needs integer nanoseconds with start < end, got start={start!r}, end={end!r}"
        )


class FloorError(SkiptraceError, ValueError):
    """A launch floor that cannot be used."""

    @classmethod
    def bad(cls, floor: object) -> FloorError:
        """Neither nanoseconds nor a mapping kind -> nanoseconds."""
        return cls(
            f"floor={floor!r}: give nanoseconds (0 or more) for kernel launches, a mapping "
            "{'kernel' | 'graph' | 'memcpy' | 'memset': ns}, or the result of sk.launch_floor()."
        )

    @classmethod
    def no_launches(cls, source: str) -> FloorError:
        """A trace without kernel launches has no launch latency."""
        return cls(f"{source}: no kernel launch in the trace, so no floor. Record a null kernel.")


class SweepError(SkiptraceError, ValueError):
    """Traces that do not make a sweep."""

    @classmethod
    def empty(cls, given: object) -> SweepError:
        """Nothing to sweep over."""
        return cls(f"a sweep needs at least one trace, got {given!r}")

    @classmethod
    def no_sweep(cls, name: object, given: object) -> SweepError:
        """A trace, say, where sweeps are compared."""
        return cls(
            f"{name!r} is a {type(given).__name__}, not a sweep: sk.compare_sweeps takes platform "
            "-> result of sk.sweep. Two traces are compared as the points of one sweep: "
            "sk.sweep({1: first, 64: second})"
        )

    @classmethod
    def no_points(cls, given: object) -> SweepError:
        """Something that maps no parameter to a trace."""
        return cls(
            f"a sweep takes a mapping parameter -> trace or path, or a path pattern such as "
            f"'gpt2_b{{batch}}.json.gz', got {given!r:.80}"
        )

    @classmethod
    def unordered(cls, parameters: Iterable[object]) -> SweepError:
        """Parameters of which neither is the larger."""
        shown = ", ".join(repr(p) for p in list(parameters)[:6])
        return cls(f"the parameters of a sweep must be ordered (all numbers, say), got {shown}")

    @classmethod
    def repeated(cls, parameter: object, where: Iterable[str]) -> SweepError:
        """Two traces for one parameter."""
        return cls(f"parameter {parameter!r} has several traces: {', '.join(where)}")

    @classmethod
    def pattern(cls, pattern: str) -> SweepError:
        """A pattern without exactly one parameter."""
        return cls(f"{pattern!r}: put the parameter in braces, once: 'gpt2_b{{batch}}.json.gz'")

    @classmethod
    def no_match(cls, pattern: str) -> SweepError:
        """A pattern that fits no file."""
        return cls(f"{pattern!r} matches no file whose parameter is a whole number")

    @classmethod
    def no_device_time(cls, which: str) -> SweepError:
        """A trace without kernels, where device time is needed."""
        return cls(f"the {which} trace has no step with kernels: there is no device time to fit")

    @classmethod
    def not_rising(cls, small: object, large: object) -> SweepError:
        """Two points that are not apart."""
        return cls(
            f"the two traces need numeric parameters, small < large, got {small!r}, {large!r}: "
            "give them as parameters=(1, 64), say"
        )

    @classmethod
    def not_an_end(cls, given: object) -> SweepError:
        """Neither a trace nor a trace with its parameter."""
        return cls(
            "a trace of a sweep is given as a trace or path, as (parameter, trace) or as "
            f"{{parameter: trace}}, got {given!r:.80}"
        )

    @classmethod
    def repeated_name(cls, names: list[str]) -> SweepError:
        """Two sweeps of one name."""
        twice = next(name for name in names if names.count(name) > 1)
        return cls(f"the sweep {twice!r} is given twice: each needs a name of its own")

    @classmethod
    def too_few(cls, given: Iterable[str]) -> SweepError:
        """Nothing to compare with."""
        return cls(f"comparing needs at least two sweeps, got {', '.join(given) or 'none'}")

    @classmethod
    def nothing_shared(cls, one: str, other: str) -> SweepError:
        """Sweeps without a parameter in common."""
        return cls(f"the sweeps {one!r} and {other!r} have no parameter in common")


class RanksError(SkiptraceError, ValueError):
    """Traces that do not make a set of ranks."""

    @classmethod
    def empty(cls, given: object) -> RanksError:
        """No trace at all."""
        return cls(
            f"load_ranks needs at least one trace, and there is none in {given!r:.80}. Give a "
            "folder of .json, .json.gz or .json.zst traces, a list of paths, or a mapping."
        )

    @classmethod
    def no_folder(cls, path: str) -> RanksError:
        """A path that is no folder."""
        return cls(f"{path}: no folder. Give a folder, a list of paths, or a mapping rank -> path.")

    @classmethod
    def no_rank(cls, source: str) -> RanksError:
        """Neither the header nor the name of a file tells its rank."""
        return cls(
            f"{source}: which rank it is stands neither in its header (distributedInfo) nor in its "
            "name (as 'rank3'). Give a mapping: load_ranks({0: path, 1: path})."
        )

    @classmethod
    def no_number(cls, given: object) -> RanksError:
        """A rank that is no rank."""
        return cls(f"a rank is a whole number from 0 on, got {given!r}")

    @classmethod
    def repeated(cls, rank: int, where: Iterable[str]) -> RanksError:
        """Two traces of one rank."""
        return cls(
            f"rank {rank} has several traces: {', '.join(where)}. Give those of one run alone, or "
            "a mapping rank -> path."
        )

    @classmethod
    def worlds(cls, sizes: Mapping[int, int]) -> RanksError:
        """Headers that disagree on how many ranks there are."""
        shown = ", ".join(f"rank {rank}: {size}" for rank, size in list(sizes.items())[:6])
        return cls(f"the traces are of runs of different sizes ({shown}): give those of one run")

    @classmethod
    def no_frame(cls, verb: str, found: object) -> RanksError:
        """A verb whose result has no rows to put a rank on."""
        return cls(
            f"{verb} returns a {type(found).__name__}, and only frames are put together: take one "
            "of its frames, ranks.map(lambda trace: verb(trace).frame)."
        )
