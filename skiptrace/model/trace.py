"""Trace: the frames of a recording, or of a window of it, on which every verb works."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from skiptrace.model.arguments import (
    SavedArguments,
    arguments_frame,
    find_arguments,
)
from skiptrace.model.events import NameCodes
from skiptrace.model.health import grade_of
from skiptrace.model.later import later
from skiptrace.model.launches import Floors
from skiptrace.model.meta import Meta
from skiptrace.model.steps import ALL, StepIndex, check_window, is_one_step
from skiptrace.model.window import Index, Sorted
from skiptrace.read.rows import ASKED_FOR

if TYPE_CHECKING:  # readers are imported when they are wanted
    from skiptrace.read.source import Source


@dataclass(frozen=True, eq=False)
class Whole:
    """The frames of the whole recording, which windows keep as context and background."""

    ops: pl.DataFrame
    calls: pl.DataFrame
    work: pl.DataFrame
    launches: pl.DataFrame
    annotations: pl.DataFrame
    python: pl.DataFrame
    steps: pl.DataFrame
    overhead: pl.DataFrame
    syncs: pl.DataFrame
    """``cuda_sync`` records: ``id``, ``start_ns``, device, stream, correlation, ``sync_kind``."""
    collectives: pl.Series
    """Ids of work that is a collective by its arguments."""
    floors: Floors
    source: Source | SavedArguments
    mentioned: frozenset[str] = ASKED_FOR
    """Those of `ASKED_FOR` that the source has: for others no verb reads it again."""
    names: NameCodes | None = None
    """The names of operators, calls and work in numbers, if read so; None of a saved folder."""

    @cached_property
    def index(self) -> Index:
        """Finds rows of the recording in time that depends on what is found alone."""
        return _build_index(self)

    @property
    def kept(self) -> dict[Any, Any]:
        """What verbs found of the recording once."""
        return _own(self, "_kept")

    @property
    def warned(self) -> dict[str, object]:
        """Kinds of health that a verb has warned of already, in the recording or a window."""
        return _own(self, "_warned")

    def __getstate__(self) -> dict[str, Any]:
        return _own_fields(self)


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """A recording, or a window of one, as polars frames.

    Made by `skiptrace.load`, `Trace.step` and `Trace.between`; immutable. Times are integer
    nanoseconds on the file's own axis. The columns of each frame are listed in the docs under
    "Frames".

    Attributes
    ----------
    ops, calls, work, launches, annotations, python, steps : polars.DataFrame
        Operators, API calls, device work, launches (calls that have work), annotations, Python
        frames and steps.
    meta : Meta
        What the file says of itself.
    health : polars.DataFrame
        What is missing, repaired or odd: kinds, counts, examples and the figures affected.
    window : tuple of int or None
        Start and end (ns) of the window, None for the whole recording.
    """

    ops: pl.DataFrame
    calls: pl.DataFrame
    work: pl.DataFrame
    launches: pl.DataFrame
    annotations: pl.DataFrame
    python: pl.DataFrame
    steps: pl.DataFrame
    meta: Meta
    health: pl.DataFrame
    window: tuple[int, int] | None
    whole: Whole

    def __repr__(self) -> str:
        window = f", window={self.window}" if self.window else ""
        return (
            f"<Trace {self.meta.source}: {len(self.ops):,} ops, {len(self.calls):,} calls, "
            f"{len(self.launches):,} launches, {len(self.work):,} works, "
            f"{len(self.steps):,} steps{window}>"
        )

    @property
    def grade(self) -> str:
        """Health in a line: how far to trust the figures, and the worst findings with their counts.

        ``doubtful``: health has an error; ``usable``: it has a warning, of at least 1 % of what
        could show it; ``good``: neither.
        """
        return grade_of(self.health)

    def step(self, key: int | str) -> Trace:
        """One step as a trace.

        Parameters
        ----------
        key
            A step's name; or a number ``k``: ``ProfilerStep#k``, or the k-th in time order where
            steps have no such names; negative from the end.

        Returns
        -------
        Trace
            What starts on the host in the step, in the step's process, and the work launched
            there, whenever it runs. Every figure equals the step's row of ``by="step"``.

        Raises
        ------
        StepError
            No such step, or several processes have one of that number.
        """
        row = self._step_index.find(key)
        name, start, length, pid = row.select("name", "start_ns", "dur_ns", "pid").row(0)
        if name == ALL:
            return self
        inside = None if pid is None else pl.col("pid") == pid
        return self._select((start, start + length), row, pl.col("step") == name, inside)

    def between(self, start_ns: int, end_ns: int) -> Trace:
        """A window of the host's time as a trace.

        Parameters
        ----------
        start_ns, end_ns
            Nanoseconds on the axis of ``start_ns`` columns; half-open.

        Returns
        -------
        Trace
            What starts on the host in ``[start_ns, end_ns)`` and the work launched there, whenever
            it runs. Links, steps and the split of t_l stay as they were at load; operators that
            are open at the start and work of other launches stay as context and background:
            they explain and keep the device busy, but are in no sum.

        Raises
        ------
        StepError
            Not integers, or ``start_ns >= end_ns``.
        """
        check_window(start_ns, end_ns)
        steps = self._step_index.touching(start_ns, end_ns)
        return self._select((start_ns, end_ns), steps)

    def in_steps(self) -> Trace:
        """What lies in any step, as a trace; all of it in one that is one step, or touches none."""
        if is_one_step(self.steps) or self.steps.is_empty():
            return self
        start = int(self.steps["start_ns"].min())  # type: ignore[arg-type]
        end = int((self.steps["start_ns"] + self.steps["dur_ns"]).max())  # type: ignore[arg-type]
        return self._select((start, end), self.steps, pl.col("step").is_not_null())

    def _select(
        self,
        window: tuple[int, int],
        steps: pl.DataFrame,
        linked: pl.Expr | None = None,
        inside: pl.Expr | None = None,
    ) -> Trace:
        """What starts in the window; of that what is `linked`, and of the rest what is `inside`."""
        index = self._index

        def rows(frame: Sorted, wanted: pl.Expr | None) -> pl.DataFrame:
            found = frame.between(*window)
            return found if wanted is None else found.filter(wanted)

        launches = rows(index.launches, linked)
        return replace(
            self,
            ops=rows(index.ops, linked),
            calls=rows(index.calls, linked),
            launches=launches,
            work=index.work.equal_to(launches["id"].to_numpy()),
            annotations=rows(index.annotations, inside),
            python=rows(index.python, inside),
            steps=steps,
            window=window,
        )

    @cached_property
    def _index(self) -> Index:
        """The recording's, as long as the frames are; a window's own where one is taken of it."""
        shared = all(getattr(self, f.name) is getattr(self.whole, f.name) for f in fields(Index))
        return self.whole.index if shared else _build_index(self)

    @property
    def kept(self) -> dict[Any, Any]:
        """What verbs found of the trace once."""
        return _own(self, "_kept")

    @cached_property
    def _step_index(self) -> StepIndex:
        return StepIndex(self.steps)

    def __getstate__(self) -> dict[str, Any]:
        return _own_fields(self)

    def args(self, key: str | None = None) -> pl.DataFrame:
        """Arguments that no frame holds, read again from the source or the saved folder.

        Parameters
        ----------
        key
            Name of one argument, such as ``"Input Dims"``; None for all arguments as JSON.

        Returns
        -------
        polars.DataFrame
            ``id`` and ``value``, a row for each event of the trace's frames that has the argument.
            ``value`` has the argument's own type where all events agree on one, else it is JSON
            text.

        Raises
        ------
        ReadError
            The file or folder has changed or is gone since it was loaded.
        """
        rows = find_arguments(self.whole.source, self.own_ids(), key)
        return arguments_frame(rows, as_json=key is None)

    def own_ids(self) -> pl.Series:
        """Ids of the events of the trace's frames, in order."""
        frames = (self.ops, self.calls, self.work, self.annotations, self.python)
        return pl.concat([f["id"] for f in frames]).sort()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to a folder, from which `skiptrace.load` reads it back, equal.

        The folder holds every frame, the arguments of the trace's events, health and meta, and for
        a window also the recording around it. It needs the original file no longer.

        Parameters
        ----------
        path
            A folder that does not exist yet, is empty, or holds a saved trace, which is replaced.

        Returns
        -------
        None
            The folder is complete when the call returns; if it raises, the path is as it was.

        Raises
        ------
        SaveError
            Something else is at the path, it cannot be written, or the trace was given as decoded
            objects that JSON cannot hold.
        ReadError
            The source, which the arguments are read from, has changed or is gone since the load.
        """
        later("archive.save").save(self, path)

    def __sub__(self, before: Trace) -> Any:  # noqa: ANN401  a Diff, which comes later
        """What changed from another trace to this one: `skiptrace.diff`."""
        return later("measure.diff").subtract(self, before)

    def _repr_html_(self) -> str:
        return str(later("show.notebook").trace_html(self))


def _build_index(frames: Trace | Whole) -> Index:
    return Index(
        ops=Sorted(frames.ops, "start_ns"),
        calls=Sorted(frames.calls, "start_ns"),
        launches=Sorted(frames.launches, "start_ns"),
        annotations=Sorted(frames.annotations, "start_ns"),
        python=Sorted(frames.python, "start_ns"),
        work=Sorted(frames.work, "launch"),
    )


def _own(part: Trace | Whole, name: str) -> dict[Any, Any]:
    """A dict of that name, the same one for all threads, whichever asks first."""
    kept: dict[Any, Any] = part.__dict__.setdefault(name, {})
    return kept


def _own_fields(part: Trace | Whole) -> dict[str, Any]:
    """What to pickle: an index is made again where it is wanted."""
    return {f.name: getattr(part, f.name) for f in fields(part)}
