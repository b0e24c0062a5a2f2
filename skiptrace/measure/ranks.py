"""`load_ranks` and `Ranks`: the traces of several ranks as one set, on which verbs work."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from types import MappingProxyType
from typing import Concatenate, ParamSpec, TypeAlias, cast

import polars as pl

from skiptrace.errors import NoTraceError, RanksError, TraceWarning, UnknownKeyError
from skiptrace.errors.files import MANIFEST
from skiptrace.measure import comms
from skiptrace.model.later import later
from skiptrace.model.load import load
from skiptrace.model.steps import Steps
from skiptrace.model.trace import Trace
from skiptrace.thresholds import CLOCK_SPREAD

P = ParamSpec("P")
Verb: TypeAlias = Callable[Concatenate[Trace, P], pl.DataFrame]
RankSource: TypeAlias = str | os.PathLike[str] | Trace

_RANK = re.compile(r"rank[-_ .]?(\d+)", re.IGNORECASE)
_TRACES = re.compile(r"\.json(\.gz|\.zst)?$", re.IGNORECASE)


@dataclass(frozen=True, eq=False, repr=False)
class Ranks:
    """Traces of the ranks of one run, by rank; made by `load_ranks`, immutable.

    Verbs that return a frame take it in place of a trace: ``sk.summary(ranks)`` has the rows of
    every rank, the column ``rank`` first. The traces keep their own times.
    """

    traces: Mapping[int, Trace]
    """Rank -> trace, in order of rank."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "traces", MappingProxyType(dict(self.traces)))

    def __reduce__(self) -> tuple[type[Ranks], tuple[dict[int, Trace]]]:
        return Ranks, (dict(self.traces),)

    def __repr__(self) -> str:
        inside = "\n".join(f"  {rank}: {trace!r}" for rank, trace in self.traces.items())
        return f"<Ranks of {len(self.traces)}:\n{inside}>"

    def _repr_html_(self) -> str:
        return str(later("show.notebook").ranks_html(self))

    def __getitem__(self, rank: int) -> Trace:
        """The trace of a rank."""
        if rank not in self.traces:
            raise UnknownKeyError.of("rank", rank, map(str, self.traces))
        return self.traces[rank]

    def __len__(self) -> int:
        return len(self.traces)

    def map(
        self, verb: Callable[Concatenate[Trace, P], pl.DataFrame], *args: P.args, **kwargs: P.kwargs
    ) -> pl.DataFrame:
        """The frames of a verb for every rank under one another, the column ``rank`` first.

        Parameters
        ----------
        verb
            Any function of a trace that returns a frame, such as ``sk.summary``, or
            ``lambda trace: sk.critical_path(trace).shares``.
        *args, **kwargs
            Its other arguments.

        Raises
        ------
        RanksError
            The verb returned no frame.
        """
        frames = []
        for rank, trace in self.traces.items():
            frame: object = verb(trace, *args, **kwargs)
            if not isinstance(frame, pl.DataFrame):
                raise RanksError.no_frame(getattr(verb, "__name__", repr(verb)), frame)
            number = pl.lit(rank, pl.Int64).alias("rank")
            frames.append(frame.select(number, pl.exclude("rank")))
        return pl.concat(frames)

    @cached_property
    def matched(self) -> pl.DataFrame:
        """The communication kernels of all ranks, those of one collective with one ``match``."""
        return comms.match(self.traces)

    @cached_property
    def clocks(self) -> pl.DataFrame:
        """Per rank what to add to its times to be on the axis of the lowest rank.

        ``offset_ns`` is the median difference of the ends of collectives that both ranks have,
        ``spread_ns`` from its 5th to its 95th percentile, ``collectives`` how many there are.
        """
        return comms.clocks(self.traces, self.matched)


def clocks_agree(ranks: Ranks, verb: str) -> bool:
    """Whether collectives of the ranks line up; a warning where they do not.

    They do not where the files are of different runs, or their collectives were matched wrongly.
    """
    if not isinstance(ranks, Ranks):
        raise NoTraceError.of(verb, ranks, "Ranks")
    spreads = ranks.clocks["spread_ns"].drop_nulls().to_list()
    steps = pl.concat(trace.steps["dur_ns"] for trace in ranks.traces.values())
    spread, step = max(spreads, default=0), float(steps.median() or 0)  # type: ignore[arg-type]
    if spread <= CLOCK_SPREAD * step:
        return True
    warnings.warn(
        f"collectives of these ranks do not line up: the clocks' difference spreads over "
        f"{spread:,} ns, against a median step of {step:,.0f} ns. Are the files of one run? "
        f"Figures of {verb} may be wrong: see ranks.clocks.",
        TraceWarning,
        stacklevel=3,
    )
    return False


def over_ranks(verb: Verb[P]) -> Callable[Concatenate[Trace | Ranks, P], pl.DataFrame]:
    """Let a verb take `Ranks` too: the rows of every rank, with a column ``rank``."""

    @wraps(verb)
    def either(trace: Trace | Ranks, *args: P.args, **kwargs: P.kwargs) -> pl.DataFrame:
        if isinstance(trace, Ranks):
            return trace.map(verb, *args, **kwargs)
        return verb(trace, *args, **kwargs)

    return cast("Callable[Concatenate[Trace | Ranks, P], pl.DataFrame]", either)


def load_ranks(
    source: str | os.PathLike[str] | Iterable[RankSource] | Mapping[int, RankSource],
    *,
    steps: Steps | None = None,
    without: Collection[str] = (),
    window: tuple[int, int] | None = None,
    repair: bool = True,
) -> Ranks:
    """Load the traces of several ranks of one run as one set.

    Parameters
    ----------
    source
        A folder: every ``.json``, ``.json.gz`` and ``.json.zst`` and every saved trace in it; or
        paths and traces; or a mapping rank -> path or trace.
    steps, without, window, repair
        As for `load`, of every path; traces that are given stay as they are.

    Returns
    -------
    Ranks
        The traces by rank. The rank of a trace that is not given one is that of its header
        (``distributedInfo``), else the number behind the last ``rank`` in its file's name.

    Raises
    ------
    RanksError
        No trace at all, one whose rank is not to be told, two of one rank, or traces whose headers
        disagree on the number of ranks.
    ReadError, StepError
        As `load`.
    """

    def loading(one: RankSource) -> Trace:
        if isinstance(one, Trace):
            return one
        return load(one, steps=steps, without=without, window=window, repair=repair)

    loaded = _given(source, loading)
    worlds = {
        rank: trace.meta.world_size
        for rank, trace in loaded.items()
        if trace.meta.world_size is not None
    }
    if len(set(worlds.values())) > 1:
        raise RanksError.worlds(worlds)
    return Ranks(dict(sorted(loaded.items())))


def _given(
    source: str | os.PathLike[str] | Iterable[RankSource] | Mapping[int, RankSource],
    loading: Callable[[RankSource], Trace],
) -> dict[int, Trace]:
    if isinstance(source, Mapping):
        if not source:
            raise RanksError.empty(source)
        for rank in source:
            number: object = rank  # whatever the caller really gave
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise RanksError.no_number(rank)
        return {rank: loading(one) for rank, one in source.items()}
    paths = _inside(Path(source)) if isinstance(source, (str, os.PathLike)) else list(source)
    if not paths:
        raise RanksError.empty(source)
    loaded: dict[int, Trace] = {}
    for one in paths:
        trace = loading(one)
        rank = rank_of(trace)
        if rank is None:
            raise RanksError.no_rank(trace.meta.source)
        if rank in loaded:
            raise RanksError.repeated(rank, [loaded[rank].meta.source, trace.meta.source])
        loaded[rank] = trace
    return loaded


def _inside(folder: Path) -> list[RankSource]:
    if not folder.is_dir():
        raise RanksError.no_folder(str(folder))
    return [
        path
        for path in sorted(folder.iterdir())
        if (path / MANIFEST).is_file() or (path.is_file() and _TRACES.search(path.name))
    ]


def rank_of(trace: Trace) -> int | None:
    """The rank of its header, else the number behind the last ``rank`` in its file's name."""
    if trace.meta.rank is not None:
        return trace.meta.rank
    named = _RANK.findall(Path(trace.meta.source).name)
    return int(named[-1]) if named else None
