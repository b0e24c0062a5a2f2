"""Trace: the frames of a recording, or of a window of it, on which every verb works."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from skiptrace.errors import StepError
from skiptrace.model.arguments import SavedArguments, arguments_frame, find_arguments
from skiptrace.model.launches import Floors
from skiptrace.model.meta import Meta
from skiptrace.model.steps import ALL, check_window, is_one_step
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
        name = self._step_name(key)
        if name == ALL:
            return self
        row = self.steps.filter(pl.col("name") == name)
        start = row["start_ns"].item()
        in_step = pl.col("step") == name
        inside = pl.col("start_ns").is_between(start, start + row["dur_ns"].item(), closed="left")
        if row["pid"].item() is not None:
            inside &= pl.col("pid") == row["pid"].item()
        window = (start, start + row["dur_ns"].item())
        return self._select(in_step, inside, row, window)

    def _step_name(self, key: int | str) -> str:
        names: list[str] = self.steps["name"].to_list()
        if isinstance(key, str) and key not in names and key.removeprefix("-").isdecimal():
            key = int(key)
        if isinstance(key, str):
            found = [key] if key in names else []
        else:
            numbered = re.compile(rf"ProfilerStep#{key}(?:$| \(|#)")
            found = [name for name in names if numbered.match(name)]
            # A place in the order, where no step has a number, or from the end.
            counted = key < 0 or not any(name.startswith("ProfilerStep#") for name in names)
            if not found and counted and -len(names) <= key < len(names):
                found = [names[key]]
        if len(found) != 1:
            raise StepError.unknown(key, found or names)
        return found[0]

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
        inside = pl.col("start_ns").is_between(start_ns, end_ns, closed="left")
        end = pl.col("start_ns") + pl.col("dur_ns")
        steps = self.steps.filter(
            ((pl.col("start_ns") < end_ns) & (end > start_ns)) | (pl.col("name") == ALL)
        )
        return self._select(inside, inside, steps, (start_ns, end_ns))

    def in_steps(self) -> Trace:
        """What lies in any step, as a trace; all of it in a trace that is one step."""
        if is_one_step(self.steps):
            return self
        start = int(self.steps["start_ns"].min())  # type: ignore[arg-type]
        end = int((self.steps["start_ns"] + self.steps["dur_ns"]).max())  # type: ignore[arg-type]
        inside = pl.col("start_ns").is_between(start, end, closed="left")
        return self._select(pl.col("step").is_not_null(), inside, self.steps, (start, end))

    def _select(
        self, linked: pl.Expr, inside: pl.Expr, steps: pl.DataFrame, window: tuple[int, int]
    ) -> Trace:
        launches = self.launches.filter(linked)
        return replace(
            self,
            ops=self.ops.filter(linked),
            calls=self.calls.filter(linked),
            launches=launches,
            work=self.work.filter(pl.col("launch").is_in(launches["id"].implode())),
            annotations=self.annotations.filter(inside),
            python=self.python.filter(inside),
            steps=steps,
            window=window,
        )

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

    if TYPE_CHECKING:  # bound in skiptrace/__init__.py, since what writes folders comes later

        def save(self, path: str | os.PathLike[str]) -> None:
            """Write the trace to a folder, which `skiptrace.load` reads back."""
