"""The report on a trace as plain data: what the CLI prints and what `--json` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from skiptrace.measure.blame import blame
from skiptrace.measure.idle_gaps import gap_causes
from skiptrace.measure.idle_sums import by_activity, by_cause
from skiptrace.measure.summary import figures, lead_ns
from skiptrace.measure.tklqt import launch_times
from skiptrace.measure.top_kernels import ranked
from skiptrace.model.launches import Floor
from skiptrace.model.steps import is_one_step
from skiptrace.model.trace import Trace
from skiptrace.predict.advise import weighed
from skiptrace.predict.boundedness import verdicts
from skiptrace.predict.doubts import unlinked_share
from skiptrace.show.advice import advice_sentences, caution_sentence, verdict_sentence

SCHEMA = "skiptrace.report/1"


@dataclass(frozen=True, eq=False)
class Report:
    """Everything a report shows; each frame is a verb's result."""

    source: str
    sentence: str
    """The verdict, in one sentence."""
    caution: str
    """Why it may be wrong, where the trace is damaged or its clocks disagree; else empty."""
    advice: str
    """What to do about the limit: the device, or where most idle time comes from."""
    grade: str
    """How far to trust the figures, in one line."""
    verdict: pl.DataFrame
    steps: pl.DataFrame
    boundedness: pl.DataFrame
    tklqt: pl.DataFrame
    idle: pl.DataFrame
    activities: pl.DataFrame
    behind: pl.DataFrame
    kernels: pl.DataFrame
    changes: pl.DataFrame
    """What would pay, largest gain first."""
    health: pl.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types; times are integers in nanoseconds, columns end in ``_ns``."""
        frames = {
            name: value.to_dicts()
            for name, value in vars(self).items()
            if isinstance(value, pl.DataFrame)
        }
        texts = {name: value for name, value in vars(self).items() if isinstance(value, str)}
        return {"schema": SCHEMA, **texts, **frames}


def build_report(trace: Trace, *, floor: Floor | None = None) -> Report:
    """Run every verb of the report over the steps of a trace; what is outside them is left out."""
    inside = trace.in_steps()
    steps = figures(trace, "step", floor)
    by_step, verdict = (verdicts(trace, steps, by, floor) for by in ("step", "trace"))
    gaps = gap_causes(inside)
    if not is_one_step(trace.steps):
        gaps = gaps.filter(pl.col("step").is_not_null())
    idle, behind, kernels = by_cause(gaps), blame(inside, gaps), ranked(inside, 10, "kernel_ns")
    return Report(
        source=trace.meta.source,
        sentence=verdict_sentence(verdict, by_step, trace.health),
        caution=caution_sentence(verdict["verdict"].item(), trace.health, unlinked_share(trace)),
        advice=advice_sentences(
            verdict["verdict"].item(), steps, idle, behind, kernels, lead_ns(trace, steps)
        ),
        grade=trace.grade,
        verdict=verdict,
        steps=steps,
        boundedness=by_step,
        tklqt=launch_times(inside, ["root_op"], floor),
        idle=idle,
        activities=by_activity(gaps),
        behind=behind,
        kernels=kernels,
        changes=weighed(trace),
        health=trace.health,
    )
