"""Several traces that make no sweep, and no set of ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from skiptrace.errors.base import SkiptraceError


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
