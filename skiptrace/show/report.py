"""The report on a trace as plain data: what the CLI prints and what `--json` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from skiptrace.measure.blame import blame
from skiptrace.measure.idle_causes import idle_causes
from skiptrace.measure.summary import summary
from skiptrace.measure.tklqt import tklqt
from skiptrace.measure.top_kernels import top_kernels
from skiptrace.model.launches import Floor
from skiptrace.model.trace import Trace
from skiptrace.predict.boundedness import boundedness
from skiptrace.show.text import duration, percent, shorten

SCHEMA = "skiptrace.report/1"

ADVICE = {
    "profiler": "the profiler itself: record less, or fewer steps",
    "sync": "the host waits for the device, then starts from an empty queue: read values back less "
    "often (.item(), .cpu(), printing a tensor), or later",
    "alloc": "device memory is allocated or freed in the loop: keep and reuse it",
    "copy": "copies block the host: pin the memory and copy with non_blocking=True",
    "launch": "launching itself is too slow: fewer launches (a CUDA graph, torch.compile, fusion)",
    "dataloader": "input is not ready: more workers, prefetch, or do less per sample",
    "operator": "the host's operators are slower than the device: fewer and larger ones (a CUDA "
    "graph, torch.compile, a larger batch)",
    "python": "Python between operators: move it out of the loop, or let the host run ahead",
    "device": "the device's own start-up of work: a CUDA graph, or larger kernels",
    "dependency": "work waits for another stream or for its peers",
    "unknown": "launched outside the recording: record a longer window",
}
"""Cause of idle time -> what to do about it."""

_VERDICTS = {"cpu": "CPU-bound", "gpu": "GPU-bound", "balanced": "Balanced"}


@dataclass(frozen=True)
class Report:
    """Everything a report shows; each frame is a verb's result."""

    source: str
    sentence: str
    """The verdict, in one sentence."""
    advice: str
    """What to do about the limit: the device, or where most idle time comes from."""
    verdict: pl.DataFrame
    steps: pl.DataFrame
    boundedness: pl.DataFrame
    tklqt: pl.DataFrame
    idle: pl.DataFrame
    activities: pl.DataFrame
    behind: pl.DataFrame
    kernels: pl.DataFrame
    health: pl.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types; times are integers in nanoseconds, columns end in ``_ns``."""
        frames = {
            name: value.to_dicts()
            for name, value in vars(self).items()
            if isinstance(value, pl.DataFrame)
        }
        texts = {"source": self.source, "sentence": self.sentence, "advice": self.advice}
        return {"schema": SCHEMA, **texts, **frames}


def build_report(trace: Trace, *, floor: Floor | None = None) -> Report:
    """Run every verb of the report over a trace."""
    by_step = boundedness(trace, floor=floor)
    verdict = boundedness(trace, "trace", floor=floor)
    idle = idle_causes(trace)
    behind = blame(trace)
    kernels = top_kernels(trace)
    return Report(
        source=trace.meta.source,
        sentence=_sentence(verdict, by_step),
        advice=_limit(kernels) if verdict["verdict"].item() == "gpu" else _advice(idle, behind),
        verdict=verdict,
        steps=summary(trace, floor=floor),
        boundedness=by_step,
        tklqt=tklqt(trace, "root_op", floor=floor),
        idle=idle,
        activities=idle_causes(trace, "activity"),
        behind=behind,
        kernels=kernels,
        health=trace.health,
    )


def _sentence(verdict: pl.DataFrame, by_step: pl.DataFrame) -> str:
    row = verdict.row(0, named=True)
    if row["verdict"] is None:
        return f"No verdict: {row['because']}."
    judged = by_step.filter(pl.col("verdict").is_not_null())
    agree = judged.filter(pl.col("verdict") == row["verdict"])
    steps = f" ({len(agree)} of {len(judged)} steps)" if len(judged) > 1 else ""
    return f"{_VERDICTS[row['verdict']]}{steps}: {row['because']}."


def _limit(kernels: pl.DataFrame) -> str:
    if kernels.is_empty():
        return ""
    top = kernels.row(0, named=True)
    return (
        f"The device is the limit: {percent(top['time_share'])} of its kernel time is "
        f"{shorten(top['kernel'], 80)}. What to do: faster or fewer kernels, or a faster device; "
        "idle time is not what holds it back."
    )


def _advice(idle: pl.DataFrame, behind: pl.DataFrame) -> str:
    if idle.is_empty():
        return ""
    top = idle.row(0, named=True)
    places = behind.filter(pl.col("cause") == top["cause"])
    first = places.row(0, named=True)
    parts = (first["root_op"], first["op"], first["python"])
    where = list(dict.fromkeys(part for part in parts if part))
    named = f", most of it at {' > '.join(where)}" if where else ""
    named = f", most of it before {first['next_op']}" if first["next_op"] else named
    call = f" ({first['call']})" if first["call"] else ""
    return (
        f"{percent(top['idle_share'])} of the {duration(int(idle['idle_ns'].sum()))} in which the "
        f"device idled between works has the cause '{top['cause']}'{named}{call}. "
        f"What to do: {ADVICE[top['cause']]}."
    )
