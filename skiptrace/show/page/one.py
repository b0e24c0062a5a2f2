"""The report on one trace: which sections there are, and what stands in each."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import polars as pl

from skiptrace.errors import TraceWarning
from skiptrace.measure.ops import ops
from skiptrace.measure.summary import median_step
from skiptrace.measure.top_kernels import ranked
from skiptrace.model.launches import Floor
from skiptrace.model.schema import breakdowns, measured, predicted, recorded
from skiptrace.model.schema.column import Column
from skiptrace.model.trace import Trace
from skiptrace.predict.whatif import WhatIf, whatif
from skiptrace.show import plots
from skiptrace.show.advice import ADVICE, change_in_words
from skiptrace.show.page import figures, head
from skiptrace.show.page.markup import Markup, element, join
from skiptrace.show.page.shell import Section, document
from skiptrace.show.page.table import Table, definitions, draw
from skiptrace.show.report import Report, build_report

QUESTIONS: dict[str, dict[str, Any]] = {
    "each step as one CUDA graph": {"cuda_graph": True},
    "no waits inside steps": {"remove_syncs": True},
    "a host twice as fast": {"host": 0.5},
    "a device twice as fast": {"device": 0.5},
    "both twice as fast": {"host": 0.5, "device": 0.5},
}
"""What the report asks `whatif` of every trace."""
_TO_DO = Column("advice", pl.String, "", "what to do about that cause")


@dataclass(frozen=True, eq=False)
class Parts:
    """What a report on one trace is made of."""

    trace: Trace
    report: Report
    tables: dict[str, Table]
    step: dict[str, Any] | None
    """The step with the median latency, the lower of an even count, as in `sweep`."""
    answers: dict[str, WhatIf]
    floor: Floor | None


def one_page(trace: Trace, floor: Floor | None) -> str:
    """The page of a trace."""
    parts = gather(trace, floor)
    title = f"{parts.report.sentence.partition(': ')[0]}: {head.source_name(trace.meta)}"
    return document(title, head.head(parts.report, trace.meta, parts.step), sections(parts))


def gather(trace: Trace, floor: Floor | None) -> Parts:
    """Run the verbs."""
    report = build_report(trace, floor=floor)
    judged = report.boundedness.select(
        "step", "verdict", "host_share", "device_share", "queue_share", "tklqt_per_launch_ns",
        "floor_ns",
    )  # fmt: skip
    steps = report.steps.join(judged, on="step", how="left", maintain_order="left")
    step = next(median_step(steps).iter_rows(named=True), None)
    answers = _answers(trace)
    return Parts(trace, report, _tables(trace, report, steps, answers), step, answers, floor)


def _answers(trace: Trace) -> dict[str, WhatIf]:
    with warnings.catch_warnings():  # a question that does not apply is left out
        warnings.filterwarnings("ignore", "nothing changes", TraceWarning)
        found = {words: whatif(trace, **options) for words, options in QUESTIONS.items()}
    return {words: answer for words, answer in found.items() if answer.changed}


def sections(parts: Parts) -> list[Section]:
    """The parts of the page in the order in which they answer."""
    tables, trace = parts.tables, parts.trace
    shown = {key: draw(table) for key, table in tables.items()}
    drawn = _plots(parts)
    return [
        ("timeline", "Timeline and steps",
         join(figures.missing(), drawn.get("timeline"), shown["steps"])),
        ("idle", "Why the device idles",
         join(drawn.get("idle"), shown["causes"], shown["behind"], shown["activities"])),
        ("launch", "What launches cost",
         join(drawn.get("split"), shown["tklqt"], drawn.get("queue"))),
        ("kernels", "Kernels", shown["top"]),
        ("operators", "Operators", shown["ops"]),
        ("whatif", "What if", join(
            drawn.get("whatif"), shown["answers"], shown["changes"], drawn.get("fusion"))),
        ("health", "Health of the trace",
         join(element("p", f"Grade: {trace.grade}."), head.about(trace.meta), shown["found"])),
        ("definitions", "How each figure is defined", join(
            *(definitions(table) for table in tables.values()))),
    ]  # fmt: skip


def _tables(
    trace: Trace, report: Report, steps: pl.DataFrame, answers: dict[str, WhatIf]
) -> dict[str, Table]:
    order = pl.col("change").map_elements(change_in_words, pl.String)
    idle = report.idle.with_columns(advice=pl.col("cause").replace_strict(ADVICE, default=None))
    inside = trace.in_steps()
    kernels = ranked(inside, len(inside.work), "kernel_ns")
    every = ops(inside).filter(pl.col("name").is_not_null())
    made = [
        Table("steps", "Steps", steps, (*measured.SUMMARY, *predicted.BOUNDEDNESS),
              ("step", "verdict", "il_ns", "launches", "tklqt_ns", "queue_share", "akd_ns",
               "busy_share", "gpu_idle_ns", "cpu_busy_ns", "hdbi_share", "outlier"),
              "sk.summary(trace), sk.boundedness(trace)"),
        Table("causes", "Idle time between works, by cause", idle,
              (measured.IDLE_KEYS["cause"], *measured.IDLE_CAUSES, _TO_DO),
              ("cause", "idle_share", "idle_ns", "gaps", "advice"),
              "sk.idle_causes(trace, by='cause')", labels={"advice": "what to do"}),
        Table("behind", "Behind it: where the host was", report.behind, measured.BLAME,
              ("cause", "root_op", "op", "python", "call", "next_op", "idle_ns", "gaps"),
              "sk.idle_gaps(trace)"),
        Table("activities", "What the host did meanwhile", report.activities,
              (measured.IDLE_KEYS["activity"], *measured.IDLE_CAUSES),
              ("activity", "idle_share", "idle_ns"), "sk.idle_causes(trace, by='activity')"),
        Table("tklqt", "Time from launch to start, by outermost operator", report.tklqt,
              (*measured.TKLQT_KEYS["root_op"], *measured.TKLQT),
              ("root_op", "launches", "tklqt_ns", "launch_ns", "queue_ns", "median_ns", "p95_ns",
               "max_ns"), "sk.tklqt(trace, by='root_op')", labels={"root_op": "operator"}),
        Table("top", "Kernels that took most", kernels, measured.TOP_KERNELS,
              ("kernel", "time_share", "kernel_ns", "count", "mean_ns", "min_ns", "max_ns"),
              "sk.top_kernels(trace), sk.kernels(trace)"),
        Table("ops", "Operators by the host's own time in them", every,
              (*breakdowns.OP_KEYS["name"], *breakdowns.OPS),
              ("name", "self_share", "self_ns", "total_ns", "count", "launches", "device_ns",
               "device_total_ns"), "sk.ops(trace)", labels={"name": "operator"}),
        Table("answers", "The median step, replayed with one thing changed", _medians(answers),
              (*predicted.ADVISE[:1], *predicted.WHATIF),
              ("change", "speedup", "latency_ns", "latency_low_ns", "latency_high_ns", "before_ns",
               "verdict", "host_share", "device_share", "error"),
              "sk.whatif(trace, cuda_graph=True)"),
        Table("changes", "Every change that would pay", report.changes.with_columns(order),
              predicted.ADVISE, ("change", "gain_share", "gain_ns", "op", "root_op",
              "module", "python", "advice"), "sk.advise(trace)", labels={"op": "where"}),
        Table("found", "What was missing, repaired or odd", report.health, recorded.HEALTH,
              ("severity", "count", "share", "kind", "meaning", "affects"), "trace.health"),
    ]  # fmt: skip
    return {table.key: table for table in made}


def _medians(answers: dict[str, WhatIf]) -> pl.DataFrame:
    """The median step of each answer."""
    rows = [
        median_step(found.frame, "latency_ns").with_columns(change=pl.lit(words))
        for words, found in answers.items()
    ]
    return pl.concat(rows) if rows else pl.DataFrame()


def _plots(parts: Parts) -> dict[str, Markup | None]:
    """The plots by key; None where they cannot be drawn, or there is nothing to draw."""
    trace, step = parts.trace, parts.step
    if step is None or figures.missing() is not None:
        return {}
    inside = trace.in_steps()
    window = (step["start_ns"], step["start_ns"] + step["il_ns"])
    draw = figures.plot
    return {
        "timeline": draw(
            "plot-timeline", f"The median step, {step['step']}",
            lambda width: plots.timeline(trace, window, width=width), sizes=figures.ONE),
        "idle": draw(
            "plot-idle", "The causes", lambda width: plots.idle(inside, width=width)),
        "split": draw(
            "plot-split", "Launching and queueing",
            lambda width: plots.split(inside, by="root_op", width=width),
        ) if parts.floor is None else None,  # its parts are those of the trace's own floor
        "queue": draw(
            "plot-queue", "Launches under way",
            lambda width: plots.queue_depth(inside, width=width)),
        "whatif": draw(
            "plot-whatif", "The median step with one thing changed",
            lambda width: plots.whatif(parts.answers, width=width),
        ) if parts.answers else None,
        "fusion": draw(
            "plot-fusion", "Launches if chains of kernels were fused",
            lambda width: plots.fusion(inside, width=width)),
    }  # fmt: skip
