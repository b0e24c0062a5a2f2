"""Columns of what is measured: TKLQT, summary, idle gaps, fusion."""

from __future__ import annotations

import polars as pl

from skiptrace.model.schema.column import ACTIVITIES, FLOAT, INT, SPLIT, STR, Column

_SHARE = Column("idle_share", FLOAT, "share", "of all idle time of the gaps")

TKLQT = (
    Column("launches", INT, "", "kernel launches"),
    Column("kernels", INT, "", "kernels they launched"),
    *SPLIT,
    Column("median_ns", INT, "ns", "median t_l of a launch"),
    Column("p95_ns", INT, "ns", "95th percentile of t_l, nearest rank"),
    Column("max_ns", INT, "ns", "largest t_l"),
)
TKLQT_KEYS = {
    "trace": (Column("trace", STR, "", "always 'all'"),),
    "step": (Column("step", STR, "", "name of the step"),),
    "op": (Column("op", STR, "", "name of the innermost operator around the launch"),),
    "root_op": (Column("root_op", STR, "", "name of the outermost operator around the launch"),),
    "kernel": (Column("kernel", STR, "", "name of the launch's first kernel"),),
    "stream": (Column("device", INT, "", "device index"), Column("stream", INT, "", "stream id")),
    "device": (Column("device", INT, "", "device index"),),
    "thread": (Column("thread", INT, "", "tid of the launching thread"),),
    "kind": (Column("kind", STR, "", "kernel or graph"),),
    "annotation": (Column("annotation", STR, "", "innermost annotation around the launch"),),
    "launch": (Column("launch", INT, "id", "the launch"),),
}
SUMMARY = (
    Column("step", STR, "", "name of the step; 'all' for the whole trace"),
    Column("start_ns", INT, "ns", "start of the IL interval; of the step where there is none"),
    Column("il_ns", INT, "ns", "inference latency: first operator's start to last work's end"),
    Column("launches", INT, "", "kernel launches"),
    Column("kernels", INT, "", "kernels"),
    Column("works", INT, "", "kernels, copies and fills"),
    *SPLIT,
    Column("akd_ns", INT, "ns", "average kernel duration"),
    Column("kernel_ns", INT, "ns", "sum of kernel durations"),
    Column("busy_ns", INT, "ns", "union of the step's own work, summed over devices"),
    Column("gpu_idle_ns", INT, "ns", "part of IL in which no work at all ran, summed over devices"),
    Column(
        "gpu_idle_paper_ns",
        INT,
        "ns",
        "il_ns * devices minus kernel durations, as the paper has "
        "it: wrong, even negative, with concurrent streams",
    ),
    Column("busy_share", FLOAT, "share", "1 - gpu_idle_ns / (il_ns * devices)"),
    Column("cpu_busy_ns", INT, "ns", "operators and calls of the launching threads, without waits"),
    Column("cpu_idle_ns", INT, "ns", "il_ns - cpu_busy_ns"),
    Column("hdbi_share", FLOAT, "share", "kernel_ns / (kernel_ns + cpu_busy_ns)"),
    Column("devices", INT, "", "devices that the step's work ran on"),
    Column("outlier", pl.Boolean, "", "il_ns above 1.5 times the median step"),
)
TOP_KERNELS = (
    Column("kernel", STR, "", "kernel name"),
    Column("count", INT, "", "kernels of that name"),
    Column("kernel_ns", INT, "ns", "sum of their durations"),
    Column("mean_ns", INT, "ns", "mean duration"),
    Column("min_ns", INT, "ns", "shortest"),
    Column("max_ns", INT, "ns", "longest"),
    Column("time_share", FLOAT, "share", "of the durations of all kernels"),
)
IDLE_GAPS = (
    Column("device", INT, "", "device index"),
    Column("start_ns", INT, "ns", "when the device ran out of work"),
    Column("end_ns", INT, "ns", "when it got work again"),
    Column("dur_ns", INT, "ns", "end - start"),
    Column("cause", STR, "", "the one cause of the gap"),
    *(Column(f"{a}_ns", INT, "ns", f"time of the gap in activity '{a}'") for a in ACTIVITIES),
    Column("next_work", INT, "id", "the work that ended the gap"),
    Column("host_op", STR, "", "operator that held most of the gap; null where most was in none"),
    Column("host_python", STR, "", "deepest Python frame that held most of it; null where none"),
    Column("step", STR, "", "step of the work that ended the gap"),
)
IDLE_CAUSES = (
    Column("gaps", INT, "", "gaps with a part here"),
    Column("idle_ns", INT, "ns", "idle time"),
    _SHARE,
)
IDLE_KEYS = {
    "cause": Column("cause", STR, "", "cause of the gap"),
    "activity": Column("activity", STR, "", "activity during the gap"),
    "op": Column("op", STR, "", "innermost operator of the launching thread at the time"),
    "python": Column("python", STR, "", "deepest Python frame of the launching thread at the time"),
    "step": Column("step", STR, "", "step of the work that ended the gap"),
}
FUSION_CANDIDATES = (
    Column("length", INT, "", "kernels in the chain"),
    Column("chain", pl.List(pl.String), "", "names of its kernels, in order"),
    Column("count", INT, "", "windows that show it, overlapping ones included"),
    Column("first_count", INT, "", "linked kernels with the name of its first kernel"),
    Column("proximity", FLOAT, "share", "count / first_count"),
    Column("instances", INT, "", "instances that would be fused, none overlapping another"),
    Column("launches_saved", INT, "", "launches fewer if those are fused"),
    Column("kernel_ns", INT, "ns", "sum of the durations of their kernels"),
    Column("launch_ns", INT, "ns", "sum of launch time (without queueing) of their launches"),
    Column("host_ns", INT, "ns", "host time from first to last launch of the instances"),
    Column("root_ops", pl.List(pl.String), "", "outermost operators in which it occurs"),
)
FUSION_SAVINGS = (
    Column("length", INT, "", "kernels in a chain"),
    Column("unique_chains", INT, "", "different chains of that length"),
    Column("candidates", INT, "", "those whose proximity reaches the threshold"),
    Column("kernels_eager", INT, "", "kernel launches as recorded"),
    Column("kernels_fused", INT, "", "kernel launches if all candidates were fused"),
    Column("ideal_speedup", FLOAT, "", "kernels_eager / kernels_fused"),
)
BLAME = (
    Column("cause", STR, "", "cause of the gaps"),
    Column("root_op", STR, "", "outermost operator around the wait; null for other causes"),
    Column("op", STR, "", "operator that made the wait, or that held most of the gap"),
    Column("python", STR, "", "Python frame that made the wait, or that held most of the gap"),
    Column("call", STR, "", "the call that waited, for sync"),
    Column("next_op", STR, "", "operator that ended the gap, where the host was in none"),
    Column("gaps", INT, "", "gaps with this cause and place"),
    Column("idle_ns", INT, "ns", "their length"),
)

FRAMES = {
    "tklqt": TKLQT, "summary": SUMMARY, "top_kernels": TOP_KERNELS, "idle_gaps": IDLE_GAPS,
    "idle_causes": IDLE_CAUSES, "blame": BLAME,
    "fusion_candidates": FUSION_CANDIDATES, "fusion_savings": FUSION_SAVINGS,
}  # fmt: skip
"""Verb -> the columns of its frame (``tklqt`` and ``idle_causes``: after the key columns)."""
