"""`sweep`: the paper's curves over batch size or any other parameter, and where they turn."""

from __future__ import annotations

import glob
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, cpu_count
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import polars as pl

from skiptrace.errors import SweepError, TraceWarning
from skiptrace.measure.summary import median_step, summary
from skiptrace.model.later import later
from skiptrace.model.launches import Floor
from skiptrace.model.load import load
from skiptrace.model.rounding import mean_of
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.predicted import SWEEP
from skiptrace.model.trace import Trace
from skiptrace.predict.boundedness import boundedness
from skiptrace.predict.pool import map_processes
from skiptrace.predict.transition import Transition, find_transition
from skiptrace.read.patterns import glob_regex
from skiptrace.thresholds import DEVICE_SHARE, KNEE

Source: TypeAlias = Trace | str | PathLike[str]
Points: TypeAlias = Mapping[Any, Source] | Iterable[tuple[Any, Source]]

POOL_BYTES = 40_000_000
"""Below this many bytes of files, starting processes costs more than it saves."""


@dataclass(frozen=True)
class Transitions:
    """Where the sweep turns, by each definition."""

    tklqt: Transition
    """The paper's: TKLQT per launch leaves its plateau."""
    device: Transition
    """At least half of the critical path lies on the device."""


@dataclass(frozen=True)
class Sweep:
    """A row of figures a parameter, and the transitions."""

    frame: pl.DataFrame
    """One row a parameter, ascending: the step with the median IL, all figures from that step."""
    transition: Transitions
    name: str
    """Name of the parameter."""

    def plot(self, value: str = "tklqt", *, width: int = 600) -> Any:  # noqa: ANN401  a chart of altair
        """A chart of it: `skiptrace.plot.sweep`."""
        return later("show.plots").sweep(self, value, width=width)

    def _repr_html_(self) -> str:
        return str(later("show.notebook").sweep_html(self))


def sweep(
    traces: Points | str | PathLike[str],
    *,
    name: str | None = None,
    floor: Floor | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Figures over a parameter, such as the batch size.

    Parameters
    ----------
    traces
        A mapping parameter -> trace or path, or pairs of them; or a path pattern with the parameter
        in braces, ``"runs/gpt2_b{batch}_s512.json.gz"`` (other wildcards as in `glob`; the
        parameter is a whole number; a single ``*`` and no braces means the parameter).
    name
        Name of the parameter; by default that in the braces, else ``parameter``.
    floor
        As in `tklqt`.
    workers
        Processes that load paths; by default as many as cores where the files are large.
    progress
        Called with how many traces are done, and how many there are.

    Returns
    -------
    Sweep
        ``.frame``, a row a parameter in ascending order: the figures of its median step (by IL,
        the lower of an even count) and ``steps``, ``il_min_ns``, ``il_max_ns`` beside them;
        ``.transition.tklqt`` and ``.transition.device``.

    Raises
    ------
    SweepError
        No traces, parameters that cannot be ordered or repeat, a pattern that matches nothing.
    ReadError
        A path that cannot be read as a trace; the message names it.

    Warns
    -----
    TraceWarning
        The traces ran on devices of different names: compare those with `compare_sweeps`.

    Notes
    -----
    ``tklqt``: the first parameter from which on TKLQT per launch stays at or above twice its
    minimum over the sweep. ``device``: the first from which on at least half of the critical path
    lies on the device.

    References
    ----------
    The transition by TKLQT: arXiv 2504.11750.
    """
    points, label = _points(traces)
    try:
        ordered = sorted(points)
    except TypeError as error:
        raise SweepError.unordered(points) from error
    if any(isinstance(p, float) and math.isnan(p) for p in ordered):
        raise SweepError.unordered(points)
    found = []
    for measured in _measured([points[p] for p in ordered], floor, workers):
        found.append(measured)
        if progress:
            progress(len(found), len(ordered))
    _warn_if_mixed(ordered, [m.devices for m in found])
    frame = pl.concat([m.row for m in found]).with_columns(
        pl.Series("parameter", ordered, strict=False)
    )
    schema = tuple(c for c in SWEEP if c.name != "parameter")
    frame = pl.concat([frame.select("parameter"), conform(frame, schema)], how="horizontal")
    return Sweep(frame, _transitions(frame), name or label)


def _points(traces: Points | str | PathLike[str]) -> tuple[dict[Any, Source], str]:
    """Parameter -> trace, and the name of the parameter."""
    if isinstance(traces, (str, PathLike)):
        return _matched(str(traces))
    try:
        pairs = [(p, t) for p, t in (traces.items() if isinstance(traces, Mapping) else traces)]
        points = dict(pairs)
    except (TypeError, ValueError) as error:
        raise SweepError.no_points(traces) from error
    for parameter in points:
        same = [str(trace) for p, trace in pairs if p == parameter]
        if len(same) > 1:
            raise SweepError.repeated(parameter, same)
    if not points:
        raise SweepError.empty(traces)
    return points, "parameter"


def _warn_if_mixed(parameters: Sequence[Any], devices: Sequence[frozenset[str]]) -> None:
    """A sweep over a parameter in which the machine changes too tells neither apart."""
    kinds = {names: p for p, names in zip(reversed(parameters), reversed(devices), strict=True)}
    kinds.pop(frozenset(), None)
    if len(kinds) > 1:
        shown = "; ".join(
            f"{' and '.join(sorted(names))} from {p!r} on"
            for names, p in sorted(kinds.items(), key=lambda kind: parameters.index(kind[1]))
        )
        warnings.warn(
            f"the traces of this sweep ran on different devices ({shown}), so that its curve and "
            "transitions mix them: sweep each apart, and compare with sk.compare_sweeps()",
            TraceWarning,
            stacklevel=3,
        )


def _matched(pattern: str) -> tuple[dict[Any, Source], str]:
    """Paths that fit a pattern with one ``{parameter}``, by its number."""
    braces = re.findall(r"\{\w*\}", pattern)
    if not braces and pattern.count("*") == 1:
        braces = ["*"]
    if len(braces) != 1:
        raise SweepError.pattern(pattern)
    before, after = pattern.split(braces[0])
    fits = re.compile(f"{glob_regex(before)}(\\d+){glob_regex(after)}$")
    found: dict[Any, Source] = {}
    for path in sorted(glob.glob(f"{before}*{after}", recursive=True)):  # noqa: PTH207
        if hit := fits.match(path):
            parameter = int(hit.group(1))
            if parameter in found:
                raise SweepError.repeated(parameter, [str(found[parameter]), path])
            found[parameter] = Path(path)
    if not found:
        raise SweepError.no_match(pattern)
    return found, braces[0].strip("{}*") or "parameter"


class Measured(NamedTuple):
    """A point of a sweep."""

    row: pl.DataFrame
    """The row of the frame, its parameter null."""
    devices: frozenset[str]
    """Names of the devices that worked, where the file has them."""


def _measured(given: list[Source], floor: Floor | None, workers: int | None) -> Iterable[Measured]:
    paths = [p for p in given if isinstance(p, (str, PathLike))]
    if workers is None:
        size = sum(Path(p).stat().st_size for p in paths if Path(p).is_file())
        workers = min(cpu_count() or 1, len(paths)) if size >= POOL_BYTES else 1
    if workers <= 1 or len(paths) < len(given):
        return (measure(p, floor) for p in given)
    return map_processes(measure, [(str(path), floor) for path in paths], workers)


def measure(source: Source, floor: Floor | None) -> Measured:
    """One point: the figures of a trace's median step, and the devices it ran on."""
    trace = source if isinstance(source, Trace) else load(source)
    used = trace.work["device"].unique()
    names = {name for device, name in trace.meta.devices.items() if device in used and name}
    return Measured(point(trace, floor), frozenset(names))


def point(trace: Trace, floor: Floor | None) -> pl.DataFrame:
    """The one row of a trace: its median step, and the spread of all its steps."""
    steps = summary(trace, floor=floor).join(
        boundedness(trace, floor=floor).select(
            "step", "verdict", "floor_ns", "host_share", "device_share", "latency_share"
        ),
        on="step",
    )
    judged = steps.filter(pl.col("il_ns").is_not_null())
    spread = judged.select(
        steps=pl.len(), il_min_ns=pl.col("il_ns").min(), il_max_ns=pl.col("il_ns").max()
    )
    row = median_step(steps) if len(judged) else steps.head(1)
    row = row.with_columns(
        tklqt_per_launch_ns=mean_of(pl.col("tklqt_ns"), pl.col("launches")),
        parameter=pl.lit(None),
    )
    return conform(pl.concat([row, spread], how="horizontal"), SWEEP)


def _transitions(frame: pl.DataFrame) -> Transitions:
    parameters = frame["parameter"].to_list()
    per_launch = frame["tklqt_per_launch_ns"].to_list()
    least = min((value for value in per_launch if value is not None), default=0)
    return Transitions(
        find_transition("TKLQT per launch (ns)", parameters, per_launch, KNEE * max(least, 1)),
        find_transition("device_share", parameters, frame["device_share"].to_list(), DEVICE_SHARE),
    )
