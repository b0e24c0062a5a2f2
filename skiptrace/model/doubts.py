"""What a trace that reads well may still lack or distort: launches, graphs, steps, the profiler."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from skiptrace.intervals import overlap, union
from skiptrace.lookup import rows_of, shared
from skiptrace.model import categories as cats
from skiptrace.model.events import Events
from skiptrace.model.health import Findings
from skiptrace.model.links import ids_of, valid_id
from skiptrace.model.meta import Meta

Frames = dict[str, pl.DataFrame]

_END = pl.col("start_ns") + pl.col("dur_ns")


def note_doubts(findings: Findings, frames: Frames, events: Events, meta: Meta) -> None:
    """Add to the findings what the finished frames of a recording show."""
    calls, work, launches = (frames[name] for name in ("calls", "work", "launches"))
    _note_categories(findings, frames, events, meta)
    timed = [frames[name] for name in ("ops", "calls", "work")]
    instant = [frame["id"].to_numpy()[frame["dur_ns"].to_numpy() == 0] for frame in timed]
    findings.add_ids("zero_duration", np.concatenate(instant), sum(map(len, timed)))
    _note_clocks(findings, launches, work)
    _note_ids(findings, calls, work)
    names = calls["name"].unique().drop_nulls()  # few: they are looked at instead of every call's
    kernel, graph = (
        [name for name in names if re.search(pattern, name)]
        for pattern in (cats.LAUNCH_KERNEL, cats.LAUNCH_GRAPH)
    )
    lost = _without_work(_named(calls, kernel), work)
    findings.add_rows("launch_without_work", lost, len(lost) + len(launches))
    graphs = _named(calls, graph)
    without = graphs["id"].to_numpy()[rows_of(launches["id"], graphs["id"]) < 0]
    findings.add_ids("graph_without_work", without, len(graphs))
    graphs = _named(launches, graph)
    findings.add_rows("graph_incomplete", _short_graphs(graphs, work), len(graphs))
    _note_steps(findings, frames, events, lost)
    _note_profiler(findings, frames, events, meta)


def _note_categories(findings: Findings, frames: Frames, events: Events, meta: Meta) -> None:
    named = {name: len(frames[name]) for name in ("ops", "calls", "work", "annotations", "python")}
    named |= {"overhead": len(events.overhead), "syncs": len(events.syncs)}
    named["in no frame"] = meta.events - sum(named.values())
    detail = ", ".join(f"{name}: {count:,}" for name, count in named.items() if count)
    findings.add("events", meta.events, detail=detail)


def _note_clocks(findings: Findings, launches: pl.DataFrame, work: pl.DataFrame) -> None:
    """Work that starts before its launch: the clocks differ by the most of it, at least."""
    zero = np.flatnonzero(launches["tklqt_ns"].to_numpy() == 0)
    if not len(zero):
        return
    begin = work["start_ns"].to_numpy()[rows_of(work["id"], launches["first_work"][zero])]
    skew = launches["start_ns"].to_numpy()[zero] - begin
    early = skew > 0
    if early.any():
        detail = f"the device's clock is {int(skew.max()):,} ns behind the host's, or more"
        example = int(launches["id"].to_numpy()[zero[early]].min())
        findings.add("negative_launch_time", int(early.sum()), len(launches), example, detail)


def _note_ids(findings: Findings, calls: pl.DataFrame, work: pl.DataFrame) -> None:
    """Work whose call is missing among those recorded, and ids of calls apart from each other."""
    if work["launch"].null_count():
        # Writers count correlations up: a work with an earlier one is from before the recording.
        earliest = calls.select(pl.col("correlation").filter(valid_id()).min()).item()
        lost = work.filter(
            valid_id()
            & pl.col("launch").is_null()
            & (pl.col("correlation") >= pl.lit(earliest, pl.Int64))
        )
        findings.add_rows("call_missing", lost, len(work))
    ids = ids_of(calls)
    rows = shared(ids)
    rows = rows[ids[rows] != 0]
    if not len(rows):
        return
    several = calls[rows].sort("start_ns", -pl.col("dur_ns"), "id")
    outermost = pl.col("correlation").is_first_distinct()
    findings.add_rows("shared_correlation", several.filter(~outermost), len(calls))
    first = several.filter(outermost)
    apart = several.join(
        first.select("correlation", "pid", "tid", first_end=_END), on="correlation", suffix="_first"
    ).filter(
        (pl.col("pid") != pl.col("pid_first"))
        | (pl.col("tid") != pl.col("tid_first"))
        | (pl.col("first_end") < _END)
    )
    doubtful = work.filter(pl.col("correlation").is_in(apart["correlation"].unique().implode()))
    findings.add_rows("ambiguous_correlation", doubtful, len(work))


def _named(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Rows that have one of these names."""
    return frame.filter(pl.col("name").is_in(names)) if names else frame.clear()


def _without_work(launching: pl.DataFrame, work: pl.DataFrame) -> pl.DataFrame:
    """Calls with a correlation that no work has."""
    asked = ids_of(launching)
    row = rows_of(pl.Series(ids_of(work)), pl.Series(asked))
    return launching[np.flatnonzero((row < 0) & (asked != 0))]


def _short_graphs(graphs: pl.DataFrame, work: pl.DataFrame) -> pl.DataFrame:
    """Graph launches that stop short of another of their graph.

    Which graph was launched is not recorded: one whose works, by name and in order, are the
    beginning of another's is taken to be a part of that graph.
    """
    if graphs["works"].n_unique() < 2:
        return graphs.clear()
    works = (
        work.select("launch", "name", "device", "start_ns", "id")
        .join(graphs.select(launch="id", count="works"), on="launch")
        .sort("launch", "start_ns", "id")
        .with_columns(place=pl.int_range(pl.len()).over("launch"))
        .with_columns(begin=pl.col("name").first().over("launch"))
    )
    longest = works.sort("count", "launch", descending=[True, False]).unique(
        ["device", "begin", "place"], keep="first", maintain_order=True
    )
    alike = (
        works.join(longest, on=["device", "begin", "place"], how="left", suffix="_longest")
        .group_by("launch")
        .agg(
            short=pl.col("name").eq_missing(pl.col("name_longest")).all()
            & (pl.col("count") < pl.col("count_longest")).all()
        )
        .filter("short")
    )
    return graphs.filter(pl.col("id").is_in(alike["launch"].implode()))


def _note_steps(findings: Findings, frames: Frames, events: Events, lost: pl.DataFrame) -> None:
    """Steps that reach beyond the recording, or whose last kernel launches have no work."""
    steps, (first, last) = frames["steps"], events.span
    lacking = _lacking(frames["launches"], lost) if len(lost) else []
    start, dur = steps["start_ns"].to_numpy(), steps["dur_ns"].to_numpy()
    beyond = (start < first) | (last < start + dur)
    names = zip(steps["name"], beyond.tolist(), strict=True)
    cut = [name for name, is_beyond in names if is_beyond or name in lacking]
    findings.add("step_cut", len(cut), len(steps), None, ", ".join(cut[:4]))


def _lacking(launches: pl.DataFrame, lost: pl.DataFrame) -> list[str]:
    """Steps with a launch that has no work behind the last kernel launch that has."""
    tail = lost.group_by("step").agg(tail=pl.col("start_ns").max())
    kernels = launches.filter(pl.col("kernels") > 0)
    worked = kernels.group_by("step").agg(worked=pl.col("start_ns").max())
    lacking = tail.join(worked, on="step", how="left").filter(
        pl.col("tail") > pl.col("worked").fill_null(pl.col("tail") - 1)
    )
    return lacking["step"].drop_nulls().to_list()


def _note_profiler(findings: Findings, frames: Frames, events: Events, meta: Meta) -> None:
    overhead, launches = events.overhead, frames["launches"]
    findings.add_rows("profiler_overhead", overhead, meta.events)
    if len(overhead):
        start, begin = (frame["start_ns"].to_numpy() for frame in (overhead, launches))
        when = union(start, start + overhead["dur_ns"].to_numpy())
        hit = overlap(when, begin, begin + launches["dur_ns"].to_numpy()) > 0
        findings.add_rows("disturbed_launch", launches.filter(pl.Series(hit)), len(launches))
    options = [name for name, on in meta.options.items() if on]
    if len(frames["python"]) and "with_stack" not in options:
        options.append("with_stack")
    findings.add("profiler_options", len(options), detail=", ".join(options))
