"""`sweep`: the paper's curves over batch size or any other parameter, and where they turn."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from os import PathLike, cpu_count
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from skiptrace.errors import SweepError
from skiptrace.measure.summary import summary
from skiptrace.model.launches import Floor
from skiptrace.model.load import load
from skiptrace.model.rounding import mean_of
from skiptrace.model.schema import SWEEP, conform
from skiptrace.model.trace import Trace
from skiptrace.predict.boundedness import boundedness
from skiptrace.predict.transition import DEVICE_SHARE, KNEE, Transition, find_transition

Points: TypeAlias = Mapping[Any, "Trace | str | PathLike[str]"]

POOL_BYTES = 40_000_000
"""Below this many bytes of files, starting processes costs more than it saves."""


@dataclass(frozen=True)
class Transitions:
    """Where the sweep turns, by each definition."""

    tklqt: Transition
    """The paper's: TKLQT per launch leaves its plateau."""
    device: Transition
    """The device holds at least half of the latency."""


@dataclass(frozen=True)
class Sweep:
    """A row of figures a parameter, and the transitions."""

    frame: pl.DataFrame
    """One row a parameter, ascending: the step with the median IL, all figures from that step."""
    transition: Transitions
    name: str
    """Name of the parameter."""


def sweep(
    traces: Points | str,
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
        A mapping parameter -> trace or path; or a path pattern with the parameter in braces,
        ``"runs/gpt2_b{batch}_s512.json.gz"`` (other wildcards as in `glob`; the parameter is a
        whole number; a single ``*`` and no braces means the parameter).
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

    Notes
    -----
    ``tklqt``: the first parameter from which on TKLQT per launch stays at or above twice its
    minimum over the sweep. ``device``: the first from which on ``busy_share`` stays at or above
    one half.

    References
    ----------
    The transition by TKLQT: arXiv 2504.11750.
    """
    points, label = _matched(traces) if isinstance(traces, str) else (dict(traces), "parameter")
    if not points:
        raise SweepError.empty(traces)
    try:
        ordered = sorted(points)
    except TypeError as error:
        raise SweepError.unordered(points) from error
    if any(isinstance(p, float) and math.isnan(p) for p in ordered):
        raise SweepError.unordered(points)
    rows = []
    for row in _rows([points[p] for p in ordered], floor, workers):
        rows.append(row)
        if progress:
            progress(len(rows), len(ordered))
    frame = pl.concat(rows).with_columns(pl.Series("parameter", ordered, strict=False))
    schema = tuple(c for c in SWEEP if c.name != "parameter")
    frame = pl.concat([frame.select("parameter"), conform(frame, schema)], how="horizontal")
    return Sweep(frame, _transitions(frame), name or label)


def _matched(pattern: str) -> tuple[dict[Any, Path], str]:
    """Paths that fit a pattern with one ``{parameter}``, by its number."""
    braces = re.findall(r"\{\w*\}", pattern)
    if not braces and pattern.count("*") == 1:
        braces = ["*"]
    if len(braces) != 1:
        raise SweepError.pattern(pattern)
    before, after = pattern.split(braces[0])
    fits = re.compile(f"{_regex(before)}(\\d+){_regex(after)}$")
    found: dict[Any, Path] = {}
    for path in sorted(glob.glob(f"{before}*{after}", recursive=True)):  # noqa: PTH207
        if hit := fits.match(path):
            parameter = int(hit.group(1))
            if parameter in found:
                raise SweepError.repeated(parameter, [str(found[parameter]), path])
            found[parameter] = Path(path)
    if not found:
        raise SweepError.no_match(pattern)
    return found, braces[0].strip("{}*") or "parameter"


def _regex(part: str) -> str:
    """A glob's part as a regular expression; its wildcards do not cross folders."""
    return "".join(
        {"*": r"[^/\\]*", "?": r"[^/\\]"}.get(c, re.escape(c)) for c in part.replace("**", "*")
    )


def _rows(
    given: list[Trace | str | PathLike[str]], floor: Floor | None, workers: int | None
) -> Iterable[pl.DataFrame]:
    paths = [p for p in given if not isinstance(p, Trace)]
    if workers is None:
        size = sum(Path(p).stat().st_size for p in paths if Path(p).is_file())
        workers = min(cpu_count() or 1, len(paths)) if size >= POOL_BYTES else 1
    if workers <= 1 or len(paths) < len(given):
        return (point(p, floor) for p in given)
    return _pooled(paths, floor, workers)


def _pooled(
    paths: list[str | PathLike[str]], floor: Floor | None, workers: int
) -> Iterable[pl.DataFrame]:
    # Spawned, not forked: polars' threads do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(point, paths, [floor] * len(paths))


def point(source: Trace | str | PathLike[str], floor: Floor | None) -> pl.DataFrame:
    """The one row of a trace: its median step, and the spread of all its steps."""
    trace = source if isinstance(source, Trace) else load(source)
    steps = summary(trace, floor=floor).join(
        boundedness(trace, floor=floor).select("step", "verdict", "floor_ns"), on="step"
    )
    judged = steps.filter(pl.col("il_ns").is_not_null()).sort("il_ns", maintain_order=True)
    spread = judged.select(
        steps=pl.len(), il_min_ns=pl.col("il_ns").min(), il_max_ns=pl.col("il_ns").max()
    )
    row = judged[(len(judged) - 1) // 2] if len(judged) else steps.head(1)
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
        find_transition("busy_share", parameters, frame["busy_share"].to_list(), DEVICE_SHARE),
    )
