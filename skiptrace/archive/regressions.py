"""`regressions`: which runs of an archive are slower than a baseline beyond noise, and in what."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import polars as pl

from skiptrace.archive.open_archive import Archive, open_archive
from skiptrace.archive.record import Record
from skiptrace.archive.sources import content_of, load_source
from skiptrace.errors import (
    ArchiveError,
    ReadError,
    SkiptraceError,
    TraceWarning,
    UnknownKeyError,
)
from skiptrace.measure.diff import diff
from skiptrace.model.health import is_doubtful
from skiptrace.model.schema.archived import REGRESSIONS
from skiptrace.model.schema.column import conform
from skiptrace.read.patterns import glob_regex
from skiptrace.thresholds import LEAST_CHANGE, NOISE, REPEATS, STUDENT_99

Baseline: TypeAlias = Mapping[str, Any] | str | pl.Expr

FIGURES = (
    "il_ns", "busy_ns", "gpu_idle_ns", "cpu_busy_ns", "kernel_ns", "tklqt_ns", "launch_ns",
    "queue_ns",
)  # fmt: skip
"""Figures of `summary` that are compared: more of any of them is worse."""

_LINES = 3
"""Operators named beside the verdict of a diff, and runs in a message."""
_FAILED = "failed: "


@dataclass(frozen=True, eq=False, repr=False)
class Regressions:
    """Result of `regressions`."""

    frame: pl.DataFrame
    """A row a run and figure; labels stand behind ``source``."""
    reasons: Mapping[str, tuple[str, ...]]
    """Slower run -> the first lines of `diff` against the nearest run of its baseline."""
    left_out: Mapping[str, str]
    """Run of the archive that is in neither side -> why: it is doubtful, or has no figures."""

    @property
    def slower(self) -> pl.DataFrame:
        """The rows that are slower beyond noise, the largest change first."""
        rows = self.frame.filter(change="slower")
        return rows.sort("change_ns", "source", "figure", descending=[True, False, False])

    def __repr__(self) -> str:
        runs = self.frame["source"].n_unique()
        slower = self.slower
        latency = slower.filter(figure="il_ns").height
        unknown = self.frame.filter(change="unknown")["source"].n_unique()
        alone = f", {unknown} without a baseline" if unknown else ""
        left = f"; {len(self.left_out)} left out, see .left_out" if self.left_out else ""
        return (
            f"<Regressions: {latency} of {runs} runs slower in latency, "
            f"{slower['source'].n_unique()} in some figure{alone}{left}>"
        )


def regressions(
    archive: Archive | str | os.PathLike[str],
    baseline: Baseline,
    *,
    by: Sequence[str] | None = None,
    diffs: int = 3,
    doubtful: bool = False,
) -> Regressions:
    """Compare runs of an archive with those of a baseline, figure by figure.

    Parameters
    ----------
    archive
        An archive with the table ``summary``, or its folder or URL.
    baseline
        Which runs to compare with: labels and their values, ``{"commit": "abc"}``; a pattern of
        the end of their sources, ``"nightly/*_base_*"``; or an expression over the columns of
        ``archive.traces``. All other runs are compared.
    by
        Columns of ``archive.traces`` that a run shares with its baseline; by default the rank and
        all labels that `baseline` does not name.
    diffs
        For so many of the slower runs, those whose latency grew most, both traces are loaded
        again and compared with `diff`; 0 for none.
    doubtful
        Also compare runs, and with runs, whose ``grade`` is doubtful: a trace that was cut short
        is faster than the run it is of.

    Returns
    -------
    Regressions
        ``.frame``, ``.slower``, the rows that count, ``.reasons``, lines of `diff`, and
        ``.left_out``, the runs that are in neither side.

    Raises
    ------
    ArchiveError
        No table ``summary``, or no run of the baseline that can be compared with.
    UnknownKeyError
        A column that the archive does not have.

    Warns
    -----
    TraceWarning
        Runs are left out that did not fail.

    Notes
    -----
    A run's figures are those of its step of median latency, the lower of an even count. Of ``n``
    runs of the baseline with mean ``m`` and standard deviation ``s``, a new run of the same kind
    is, with a probability of 99 %, at most ``m + t(n - 1) s sqrt(1 + 1/n)``: beyond that it is
    slower. With fewer than 3 runs the noise is 10 % of ``m`` instead; never is it less than 1 %
    of the latency.

    References
    ----------
    The prediction interval for one further observation of a normal distribution.
    """
    archive = archive if isinstance(archive, Archive) else open_archive(archive)
    traces = archive.traces.collect()
    chosen = _chosen(baseline, traces)
    keys = _keys(by, baseline, archive, traces)
    medians = _median_steps(archive["summary"])
    left_out = _left_out(archive, set(medians["source"]), doubtful=doubtful)
    runs = medians.filter(~pl.col("source").is_in(list(left_out))).join(
        traces.with_columns(_base=chosen).select("source", "_base", *keys),
        on="source",
        maintain_order="left",
    )
    base = runs.filter("_base")
    bases = set(traces.filter(chosen)["source"])
    if base.is_empty():
        lost = {source: why for source, why in left_out.items() if source in bases}
        what = f"all of it is left out: {_listed(lost)}" if lost else "no run of the archive is it"
        raise ArchiveError.no_baseline(baseline, what)
    # Of those that failed the scan has told.
    told = {run: why for run, why in left_out.items() if not why.startswith(_FAILED)}
    if told:
        TraceWarning.issue(
            f"{len(told)} of {len(traces)} runs are left out, {len(bases & {*told})} of "
            f"them of the baseline: {_listed(told)}."
        )
    long = _long(runs.filter(~pl.col("_base")), keys)
    center = _centers(_long(base, keys), keys)
    nearest = _nearest(base, center, keys)
    frame = (
        long.join(center, on=[*keys, "figure"], how="left", nulls_equal=True, maintain_order="left")
        .join(nearest, on=keys or None, how="left" if keys else "cross", **_matching(keys))
        .with_columns(change_ns=pl.col("value_ns") - pl.col("baseline_ns"))
        .with_columns(
            change=pl.when(pl.col("change_ns") > pl.col("noise_ns"))
            .then(pl.lit("slower"))
            .when(pl.col("change_ns") < -pl.col("noise_ns"))
            .then(pl.lit("faster"))
            .when(pl.col("change_ns").is_null())
            .then(pl.lit("unknown"))
            .otherwise(pl.lit("same")),
            ratio=pl.when(pl.col("baseline_ns") > 0).then(
                pl.col("value_ns") / pl.col("baseline_ns")
            ),
        )
    )
    labels = traces.select(pl.col("source"), *archive.labels)
    columns = [c.name for c in REGRESSIONS[1:]]
    named = frame.select("source").join(labels, on="source", how="left", maintain_order="left")
    frame = pl.concat([named, conform(frame, REGRESSIONS).select(columns)], how="horizontal")
    return Regressions(frame, _reasons(archive, frame, diffs), left_out)


def _left_out(archive: Archive, measured: set[str], *, doubtful: bool) -> dict[str, str]:
    """Runs that are not compared, and why."""
    found = {}
    for record in archive.records:
        if is_doubtful(record.grade) and not doubtful:
            found[record.source] = str(record.grade)
        elif record.source not in measured:
            said = [f.message for f in record.failures if f.measure in {None, "summary"}]
            reason = _FAILED + said[0].removeprefix(f"{record.source}: ") if said else ""
            found[record.source] = reason or "no step has a latency"
    return found


def _listed(left_out: Mapping[str, str]) -> str:
    """The first few in a line."""
    shown = [f"{source} ({why})" for source, why in list(left_out.items())[:_LINES]]
    more = len(left_out) - len(shown)
    keep = any(is_doubtful(why) for why in left_out.values())
    return (
        ", ".join(shown)
        + (f" and {more} more" if more else "")
        + ("; doubtful=True keeps doubtful ones" if keep else "")
    )


def _chosen(baseline: Baseline, traces: pl.DataFrame) -> pl.Series:
    """Which rows of the traces are the baseline."""
    if isinstance(baseline, str):
        fits = re.compile(rf"(?:.*[/\\])?{glob_regex(baseline)}\Z", re.DOTALL)
        return pl.Series(
            [bool(fits.match(source)) for source in traces["source"]], dtype=pl.Boolean
        )
    if isinstance(baseline, Mapping):
        if not baseline:
            raise ArchiveError.no_baseline(baseline, "it names no label")
        for name, value in baseline.items():
            _known(name, traces)
            number = traces.schema[name].is_numeric()
            if value is not None and not isinstance(value, Real if number else str):
                holds = "whole numbers" if number else "text"
                raise ArchiveError.no_baseline(baseline, f"{name} holds {holds}, not {value!r:.40}")
        wanted = [pl.col(name).eq_missing(pl.lit(value)) for name, value in baseline.items()]
        expression = pl.all_horizontal(pl.lit(True), *wanted)
    elif isinstance(baseline, pl.Expr):
        expression = baseline
    else:
        raise ArchiveError.no_baseline(baseline, f"a {type(baseline).__name__} names no runs")
    try:
        return traces.select(base=expression.fill_null(False))["base"].cast(pl.Boolean)  # noqa: FBT003
    except pl.exceptions.PolarsError as error:
        # What follows the first paragraph is the plan of the query.
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise ArchiveError.no_baseline(baseline, reason) from error


def _keys(
    by: Sequence[str] | None, baseline: Baseline, archive: Archive, traces: pl.DataFrame
) -> list[str]:
    if by is not None:
        keys = [by] if isinstance(by, str) else list(by)
        for name in keys:
            _known(name, traces)
        return keys
    named = set(baseline) if isinstance(baseline, Mapping) else set()
    if isinstance(baseline, pl.Expr):
        named = set(baseline.meta.root_names())
    return [name for name in ("rank", *archive.labels) if name not in named]


def _known(name: str, traces: pl.DataFrame) -> None:
    if name not in traces.columns:
        raise UnknownKeyError.of("column of archive.traces", name, traces.columns)


def _median_steps(summary: pl.LazyFrame) -> pl.DataFrame:
    """The step of median latency of each run."""
    steps = summary.filter(pl.col("il_ns").is_not_null()).select("source", "start_ns", *FIGURES)
    place = pl.int_range(pl.len()).over("source")
    ordered = steps.sort("source", "il_ns", "start_ns").with_columns(
        place=place, steps=pl.len().over("source")
    )
    return ordered.filter(place=(pl.col("steps") - 1) // 2).select("source", *FIGURES).collect()


def _long(runs: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """A row a run and figure, with the latency beside it."""
    order = pl.Enum(FIGURES)
    return (
        runs.with_columns(_latency=pl.col("il_ns"))
        .unpivot(FIGURES, index=["source", "_latency", *keys], variable_name="figure",
                 value_name="value_ns")
        .with_columns(pl.col("figure").cast(order))
        .sort("source", "figure")
    )  # fmt: skip


def _centers(long: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Mean and noise of each figure over the baseline's runs of one kind."""
    found = long.group_by(*keys, "figure", maintain_order=True).agg(
        repeats=pl.len().cast(pl.Int64),
        _mean=pl.col("value_ns").mean(),
        _spread=pl.col("value_ns").std(),
        _latency=pl.col("_latency").mean(),
    )
    n = pl.col("repeats")
    quantiles = pl.Series(STUDENT_99)
    t = quantiles.gather((found["repeats"] - 2).clip(0, len(STUDENT_99) - 1).cast(pl.UInt32))
    measured = t * pl.col("_spread") * (1 + 1 / n).sqrt()
    noise = pl.when(n >= REPEATS).then(measured).otherwise(NOISE * pl.col("_mean"))
    return found.select(
        *keys,
        "figure",
        "repeats",
        baseline_ns=pl.col("_mean").round().cast(pl.Int64),
        noise_ns=pl.max_horizontal(noise, LEAST_CHANGE * pl.col("_latency")).round().cast(pl.Int64),
    )


def _nearest(base: pl.DataFrame, center: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Of the baseline's runs of one kind the one closest to their mean latency."""
    means = center.filter(pl.col("figure") == "il_ns").select(*keys, "baseline_ns")
    joined = base.join(means, on=keys or None, how="inner" if keys else "cross", **_matching(keys))
    away = (pl.col("il_ns") - pl.col("baseline_ns")).abs()
    ordered = joined.with_columns(_away=away).sort("_away", "source")
    if not keys:
        return ordered.head(1).select(nearest="source")
    return ordered.group_by(keys, maintain_order=True).agg(nearest=pl.col("source").first())


def _matching(keys: list[str]) -> dict[str, Any]:
    return {"nulls_equal": True, "maintain_order": "left"} if keys else {"maintain_order": "left"}


def _reasons(archive: Archive, frame: pl.DataFrame, most: int) -> dict[str, tuple[str, ...]]:
    """Lines of `diff` for the runs whose latency grew most."""
    records = {record.source: record for record in archive.records}
    slower = frame.filter(pl.col("figure") == "il_ns", change="slower")
    rows = slower.sort("change_ns", descending=True, maintain_order=True).head(max(most, 0))
    return {
        source: _compared(records[nearest], records[source])
        for source, nearest in rows.select("source", "nearest").rows()
    }


def _compared(before: Record, after: Record) -> tuple[str, ...]:
    """The verdict of their diff, and where most of the change of latency is."""
    try:
        found = diff(_loaded(before), _loaded(after))
    except (SkiptraceError, OSError) as error:
        return (f"not compared with {before.source}: {' '.join(str(error).split())}",)
    lines = [f"{found.verdict} (against {before.source})"]
    for root, op, change in found.split.select("root_op", "op", "change_ns").rows()[:_LINES]:
        where = " > ".join(dict.fromkeys(name or "outside operators" for name in (root, op)))
        lines.append(f"{where}: {change / 1e6:+.3f} ms")
    return tuple(lines)


def _loaded(record: Record) -> Any:  # noqa: ANN401  a Trace
    """The trace of a record, if it is still the one that was measured."""
    content = content_of(record.source, None, keep=True)
    if content.digest != record.content_hash:
        raise ReadError.changing(record.source)
    options = dict(record.load)
    if isinstance(options.get("window"), list):
        options["window"] = tuple(options["window"])
    if isinstance(steps := options.get("steps"), list):
        options["steps"] = [tuple(one) if isinstance(one, list) else one for one in steps]
    return load_source(record.source, content, options)
