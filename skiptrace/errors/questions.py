"""Questions that a trace cannot answer: keys, steps, floors and rules that there are not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from skiptrace.errors.base import SkiptraceError


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

    @classmethod
    def no_limits(cls, names: Iterable[str]) -> UnknownKeyError:
        """A check without anything to hold the trace to."""
        options = ", ".join(_option(name) for name in names)
        return cls(f"check needs a limit, and none is given. Give one or more of {options}.")

    @classmethod
    def bound(cls, name: str, given: object, valid: str) -> UnknownKeyError:
        """A bound that is none."""
        return cls(f"{_option(name)} {given!s:.80} is no limit. Valid: {valid}.")

    @classmethod
    def without_output(cls, traces: int) -> UnknownKeyError:
        """Several traces for a report in the terminal."""
        return cls(
            f"a report of {traces} traces compares them in a file: give one, -o report.html. "
            "In the terminal skiptrace diff compares two."
        )


def _option(name: str) -> str:
    """A limit as the command has it."""
    return f"--{name.replace('_', '-')}"


class NoTraceError(SkiptraceError, TypeError):
    """Something else where a trace, or a set of ranks, is wanted."""

    @classmethod
    def of(cls, verb: str, given: object, wanted: str = "Trace") -> NoTraceError:
        """What a verb was given, and how to come by what it takes."""
        kind = type(given).__name__
        hint = {
            "Ranks": f"it takes one: ranks[0], or ranks.map(lambda trace: {verb}(trace).frame)",
            "Trace": "sk.load_ranks([...]) makes a set of traces",
        }.get(kind, "sk.load(path) makes one" if wanted == "Trace" else "sk.load_ranks(folder)")
        return cls(f"{verb} takes a {wanted}, got a {kind}: {hint}.")

    @classmethod
    def no_result(cls, given: object, names: Iterable[str]) -> NoTraceError:
        """What `to_dict` was given that has no dictionary."""
        kind = type(given).__name__
        hint = " (its own to_dicts() makes rows of it)" if kind == "DataFrame" else ""
        return cls(f"to_dict takes one of {', '.join(names)}, got a {kind}{hint}.")


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
            + (f"; it has, for example: {shown}." if shown else ", which has none.")
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
