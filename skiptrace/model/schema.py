"""Every frame's columns: name, dtype, unit, meaning. The docs' tables and tests come from here."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

ACTIVITIES = (
    "profiler", "sync", "alloc", "copy", "launch", "dataloader", "operator", "python",
    "device", "dependency", "unknown",
)  # fmt: skip
"""What happened during an idle gap, in the order that settles ties."""

KINDS = ("kernel", "graph", "memcpy", "memset")
"""Kinds of launch."""

PATH_KINDS = {
    "python": "host", "operator": "host", "launch": "host", "alloc": "host", "dataloader": "host",
    "profiler": "host", "sync": "host", "latency": "latency", "device": "device", "copy": "device",
    "stream gap": "device", "dependency": "device", "earlier step": "device",
}  # fmt: skip
"""Kinds of piece of a critical path, and the side that each is on."""


class Column(NamedTuple):
    """One column of a frame."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    unit: str
    meaning: str


_I, _F, _S = pl.Int64, pl.Float64, pl.String

_HOST = (
    Column("id", _I, "", "index of the event in the file; unique over all frames"),
    Column("name", _S, "", "name as recorded"),
    Column("start_ns", _I, "ns", "start, on the file's own time axis"),
    Column("dur_ns", _I, "ns", "duration"),
    Column("pid", _I, "", "process; a process with a name instead of a number gets a negative one"),
    Column("tid", _I, "", "thread; a thread with a name instead of a number gets a negative one"),
)
_STEP = Column("step", _S, "", "name of the step it belongs to, or null")
_SPLIT = (
    Column("tklqt_ns", _I, "ns", "sum of begin-to-begin times t_l over kernel launches"),
    Column("launch_ns", _I, "ns", "the part of it that launching took"),
    Column("queue_ns", _I, "ns", "the part of it spent behind earlier work of the stream"),
)
_PATH_SHARES = (
    Column("host_share", _F, "share", "of the critical path on the host"),
    Column("device_share", _F, "share", "of it on the device"),
    Column("latency_share", _F, "share", "of it from launches to their work"),
)
_SHARE = Column("idle_share", _F, "share", "of all idle time of the gaps")

OPS = (
    *_HOST,
    Column("parent", _I, "id", "innermost operator that encloses its start, or null"),
    Column("depth", _I, "", "number of operators above it"),
    Column("root", _I, "id", "outermost operator above it; itself where none"),
    _STEP,
)
CALLS = (
    *_HOST,
    Column("correlation", _I, "", "the writer's id that joins calls and work, or null"),
    Column("op", _I, "id", "innermost operator that encloses its start, or null"),
    _STEP,
)
WORK = (
    *_HOST,
    Column("kind", _S, "", "kernel, memcpy or memset"),
    Column("device", _I, "", "device index"),
    Column("stream", _I, "", "stream id on that device"),
    Column("correlation", _I, "", "the writer's id that joins calls and work, or null"),
    Column("launch", _I, "id", "the call that launched it, or null: launched outside the window"),
)
LAUNCHES = (
    *_HOST,
    Column("call", _I, "id", "its call (the same as id)"),
    Column("op", _I, "id", "innermost operator that encloses its start, or null"),
    Column("root_op", _I, "id", "outermost operator that encloses its start, or null"),
    _STEP,
    Column("first_work", _I, "id", "its first kernel by start, or first work where it has none"),
    Column("device", _I, "", "device of the first work"),
    Column("stream", _I, "", "stream of the first work"),
    Column("kind", _S, "", "graph where it has several works, else its work's kind"),
    Column("kernels", _I, "", "kernels it launched"),
    Column("works", _I, "", "works it launched"),
    Column("tklqt_ns", _I, "ns", "t_l: from the start of the call to the start of the first work"),
    Column("launch_ns", _I, "ns", "the part of t_l that launching took"),
    Column("queue_ns", _I, "ns", "the part of t_l spent behind earlier work of the stream"),
    Column(
        "ahead_ns",
        _I,
        "ns",
        "from its start to the end of earlier work of others on the "
        "stream (negative: ended before); null where there is none. queue_ns = "
        "clamp(ahead_ns - floor, 0, t_l)",
    ),
    Column(
        "found_idle",
        pl.Boolean,
        "",
        "whether its device had worked before, and all of that "
        "work had ended when the call began: the launches that floors are taken from",
    ),
)
STEPS = (
    *_HOST[:4],
    Column("pid", _I, "", "process; null for windows given by the caller and for 'all'"),
)
HEALTH = (
    Column("kind", _S, "", "what was found"),
    Column("severity", _S, "", "info, warning or error"),
    Column("count", _I, "", "how often"),
    Column("share", _F, "share", "of the events or works that could have it, or null"),
    Column("example", _I, "id", "the first event that shows it, or null"),
    Column("byte", _I, "", "where in the unpacked file the first fault is, or null"),
    Column("excerpt", _S, "", "what stands there, or null"),
    Column("meaning", _S, "", "what it means"),
    Column("affects", _S, "", "the figures that it touches"),
)

TKLQT = (
    Column("launches", _I, "", "kernel launches"),
    Column("kernels", _I, "", "kernels they launched"),
    *_SPLIT,
    Column("median_ns", _I, "ns", "median t_l of a launch"),
    Column("p95_ns", _I, "ns", "95th percentile of t_l, nearest rank"),
    Column("max_ns", _I, "ns", "largest t_l"),
)
TKLQT_KEYS = {
    "trace": (Column("trace", _S, "", "always 'all'"),),
    "step": (Column("step", _S, "", "name of the step"),),
    "op": (Column("op", _S, "", "name of the innermost operator around the launch"),),
    "root_op": (Column("root_op", _S, "", "name of the outermost operator around the launch"),),
    "kernel": (Column("kernel", _S, "", "name of the launch's first kernel"),),
    "stream": (Column("device", _I, "", "device index"), Column("stream", _I, "", "stream id")),
    "device": (Column("device", _I, "", "device index"),),
    "thread": (Column("thread", _I, "", "tid of the launching thread"),),
    "kind": (Column("kind", _S, "", "kernel or graph"),),
    "annotation": (Column("annotation", _S, "", "innermost annotation around the launch"),),
    "launch": (Column("launch", _I, "id", "the launch"),),
}
SUMMARY = (
    Column("step", _S, "", "name of the step; 'all' for the whole trace"),
    Column("start_ns", _I, "ns", "start of the IL interval; of the step where there is none"),
    Column("il_ns", _I, "ns", "inference latency: first operator's start to last work's end"),
    Column("launches", _I, "", "kernel launches"),
    Column("kernels", _I, "", "kernels"),
    Column("works", _I, "", "kernels, copies and fills"),
    *_SPLIT,
    Column("akd_ns", _I, "ns", "average kernel duration"),
    Column("kernel_ns", _I, "ns", "sum of kernel durations"),
    Column("busy_ns", _I, "ns", "union of the step's own work, summed over devices"),
    Column("gpu_idle_ns", _I, "ns", "part of IL in which no work at all ran, summed over devices"),
    Column(
        "gpu_idle_paper_ns",
        _I,
        "ns",
        "il_ns * devices minus kernel durations, as the paper has "
        "it: wrong, even negative, with concurrent streams",
    ),
    Column("busy_share", _F, "share", "1 - gpu_idle_ns / (il_ns * devices)"),
    Column("cpu_busy_ns", _I, "ns", "operators and calls of the launching threads, without waits"),
    Column("cpu_idle_ns", _I, "ns", "il_ns - cpu_busy_ns"),
    Column("hdbi_share", _F, "share", "kernel_ns / (kernel_ns + cpu_busy_ns)"),
    Column("devices", _I, "", "devices that the step's work ran on"),
    Column("outlier", pl.Boolean, "", "il_ns above 1.5 times the median step"),
)
TOP_KERNELS = (
    Column("kernel", _S, "", "kernel name"),
    Column("count", _I, "", "kernels of that name"),
    Column("kernel_ns", _I, "ns", "sum of their durations"),
    Column("mean_ns", _I, "ns", "mean duration"),
    Column("min_ns", _I, "ns", "shortest"),
    Column("max_ns", _I, "ns", "longest"),
    Column("time_share", _F, "share", "of the durations of all kernels"),
)
IDLE_GAPS = (
    Column("device", _I, "", "device index"),
    Column("start_ns", _I, "ns", "when the device ran out of work"),
    Column("end_ns", _I, "ns", "when it got work again"),
    Column("dur_ns", _I, "ns", "end - start"),
    Column("cause", _S, "", "the one cause of the gap"),
    *(Column(f"{a}_ns", _I, "ns", f"time of the gap in activity '{a}'") for a in ACTIVITIES),
    Column("next_work", _I, "id", "the work that ended the gap"),
    Column("host_op", _S, "", "operator that held most of the gap; null where most was in none"),
    Column("host_python", _S, "", "deepest Python frame that held most of it; null where none"),
    Column("step", _S, "", "step of the work that ended the gap"),
)
IDLE_CAUSES = (
    Column("gaps", _I, "", "gaps with a part here"),
    Column("idle_ns", _I, "ns", "idle time"),
    _SHARE,
)
IDLE_KEYS = {
    "cause": Column("cause", _S, "", "cause of the gap"),
    "activity": Column("activity", _S, "", "activity during the gap"),
    "op": Column("op", _S, "", "innermost operator of the launching thread at the time"),
    "python": Column("python", _S, "", "deepest Python frame of the launching thread at the time"),
    "step": Column("step", _S, "", "step of the work that ended the gap"),
}
COUNTERFACTUAL = (
    IDLE_KEYS["cause"],
    *IDLE_CAUSES,
    Column(
        "counterfactual_ns",
        _I,
        "ns",
        "idle time that goes away if this cause alone does; may be negative",
    ),
)
FUSION_CANDIDATES = (
    Column("length", _I, "", "kernels in the chain"),
    Column("chain", pl.List(pl.String), "", "names of its kernels, in order"),
    Column("count", _I, "", "windows that show it, overlapping ones included"),
    Column("first_count", _I, "", "linked kernels with the name of its first kernel"),
    Column("proximity", _F, "share", "count / first_count"),
    Column("instances", _I, "", "instances that would be fused, none overlapping another"),
    Column("launches_saved", _I, "", "launches fewer if those are fused"),
    Column("kernel_ns", _I, "ns", "sum of the durations of their kernels"),
    Column("launch_ns", _I, "ns", "sum of launch time (without queueing) of their launches"),
    Column("host_ns", _I, "ns", "host time from first to last launch of the instances"),
    Column("root_ops", pl.List(pl.String), "", "outermost operators in which it occurs"),
)
FUSION_SAVINGS = (
    Column("length", _I, "", "kernels in a chain"),
    Column("unique_chains", _I, "", "different chains of that length"),
    Column("candidates", _I, "", "those whose proximity reaches the threshold"),
    Column("kernels_eager", _I, "", "kernel launches as recorded"),
    Column("kernels_fused", _I, "", "kernel launches if all candidates were fused"),
    Column("ideal_speedup", _F, "", "kernels_eager / kernels_fused"),
)
SWEEP = (
    Column("parameter", pl.Null, "", "the parameter, in the type it was given"),
    Column("step", _S, "", "the step with the median IL, whose figures these are"),
    Column("steps", _I, "", "steps with an IL"),
    Column("il_ns", _I, "ns", "inference latency of that step"),
    Column("il_min_ns", _I, "ns", "shortest IL of all steps"),
    Column("il_max_ns", _I, "ns", "longest IL of all steps"),
    Column("launches", _I, "", "kernel launches"),
    Column("kernels", _I, "", "kernels"),
    *_SPLIT,
    Column("tklqt_per_launch_ns", _I, "ns", "mean t_l of a kernel launch"),
    Column("floor_ns", _I, "ns", "kernel launch floor of the trace"),
    Column("akd_ns", _I, "ns", "average kernel duration"),
    Column("kernel_ns", _I, "ns", "sum of kernel durations"),
    Column("busy_ns", _I, "ns", "union of the step's own work"),
    Column("busy_share", _F, "share", "of IL in which the device worked"),
    Column("gpu_idle_ns", _I, "ns", "part of IL in which no work at all ran"),
    Column("gpu_idle_paper_ns", _I, "ns", "il_ns * devices minus kernel durations"),
    Column("cpu_busy_ns", _I, "ns", "operators and calls of the launching threads, without waits"),
    Column("cpu_idle_ns", _I, "ns", "il_ns - cpu_busy_ns"),
    Column("hdbi_share", _F, "share", "kernel_ns / (kernel_ns + cpu_busy_ns)"),
    *_PATH_SHARES,
    Column("verdict", _S, "", "cpu, gpu or balanced"),
)
BLAME = (
    Column("cause", _S, "", "cause of the gaps"),
    Column("root_op", _S, "", "outermost operator around the wait; null for other causes"),
    Column("op", _S, "", "operator that made the wait, or that held most of the gap"),
    Column("python", _S, "", "Python frame that made the wait, or that held most of the gap"),
    Column("call", _S, "", "the call that waited, for sync"),
    Column("next_op", _S, "", "operator that ended the gap, where the host was in none"),
    Column("gaps", _I, "", "gaps with this cause and place"),
    Column("idle_ns", _I, "ns", "their length"),
)
BOUNDEDNESS = (
    Column("step", _S, "", "name of the step; 'all' for the whole trace"),
    Column("verdict", _S, "", "cpu, gpu or balanced; null where there is nothing to judge"),
    *_PATH_SHARES,
    Column("busy_share", _F, "share", "of IL in which the device worked"),
    Column("queue_share", _F, "share", "queue_ns / tklqt_ns; null at 0"),
    Column("tklqt_per_launch_ns", _I, "ns", "mean t_l of a kernel launch"),
    Column("floor_ns", _I, "ns", "what a kernel launch costs with nothing in its way"),
    Column("hdbi_share", _F, "share", "kernel time over kernel time plus CPU busy time"),
    Column("unprofiled_verdict", _S, "", "verdict without the host time that recording adds"),
    Column("because", _S, "", "the evidence in a sentence"),
)
CRITICAL_PATH = (
    Column("step", _S, "", "name of the step"),
    Column("start_ns", _I, "ns", "start of the piece"),
    Column(
        "end_ns", _I, "ns", "its end: the start of the next, or the end of the step's last work"
    ),
    Column("dur_ns", _I, "ns", "end - start; the pieces of a step sum to its IL"),
    Column("kind", _S, "", "what the step waited for in that time"),
    Column("side", _S, "", "host, device or latency (from a launch to its work)"),
    Column("tid", _I, "", "thread, for host time"),
    Column("device", _I, "", "device of the work that ran or was waited for"),
    Column("stream", _I, "", "its stream"),
    Column("op", _S, "", "innermost operator at the time, or around the work's launch"),
    Column("python", _S, "", "deepest Python frame at the time, or around the work's launch"),
    Column("kernel", _S, "", "name of the work that ran or was waited for"),
    Column("work", _I, "id", "that work"),
)
CRITICAL_SHARES = (
    Column("step", _S, "", "name of the step"),
    Column("il_ns", _I, "ns", "inference latency: the length of the path"),
    *_PATH_SHARES,
    *(
        Column(f"{kind.replace(' ', '_')}_ns", _I, "ns", f"of it of kind '{kind}'")
        for kind in PATH_KINDS
    ),
)
FIDELITY = (
    Column("step", _S, "", "name of the step"),
    Column("il_ns", _I, "ns", "IL as recorded"),
    Column("replayed_ns", _I, "ns", "IL of the replay with nothing changed"),
    Column("error", _F, "", "|replayed_ns - il_ns| / il_ns"),
    Column(
        "near_share",
        _F,
        "share",
        "of its works that start within 1 us of when they did, from the start of the step on",
    ),
)
WHATIF = (
    Column("step", _S, "", "name of the step"),
    Column("recorded_ns", _I, "ns", "IL as recorded"),
    Column("il_ns", _I, "ns", "IL with the change, as this profiler would record it"),
    Column(
        "latency_ns", _I, "ns", "with the change and no profiler: to the return of a final wait"
    ),
    Column("latency_low_ns", _I, "ns", "low end of its range"),
    Column("latency_high_ns", _I, "ns", "high end of its range"),
    Column("before_ns", _I, "ns", "the same without the change"),
    Column("speedup", _F, "", "before_ns / latency_ns"),
    *_PATH_SHARES,
    Column("verdict", _S, "", "cpu, gpu or balanced, with the change"),
    Column("error", _F, "", "|IL replayed with nothing changed - IL| / IL"),
)
ADVISE = (
    Column("change", _S, "", "what to change, as the call of whatif or the cause taken out"),
    Column("gain_ns", _I, "ns", "how much shorter the median step is, without a profiler"),
    Column("gain_share", _F, "share", "of its latency"),
    Column("latency_ns", _I, "ns", "latency of the median step then"),
    Column("before_ns", _I, "ns", "its latency now, without a profiler"),
    Column("op", _S, "", "where: the operator, annotation or kernel"),
    Column("root_op", _S, "", "the outermost operator around it"),
    Column("module", _S, "", "the innermost nn.Module around it, where recorded"),
    Column("python", _S, "", "the Python line, where recorded"),
    Column("advice", _S, "", "what to do"),
)

FRAMES: dict[str, tuple[Column, ...]] = {
    "ops": OPS, "calls": CALLS, "work": WORK, "launches": LAUNCHES, "annotations": _HOST,
    "python": _HOST, "steps": STEPS, "health": HEALTH, "tklqt": TKLQT, "summary": SUMMARY,
    "top_kernels": TOP_KERNELS, "idle_gaps": IDLE_GAPS, "idle_causes": IDLE_CAUSES,
    "boundedness": BOUNDEDNESS, "blame": BLAME, "sweep": SWEEP,
    "critical_path": CRITICAL_PATH, "critical_shares": CRITICAL_SHARES,
    "whatif": WHATIF, "fidelity": FIDELITY, "advise": ADVISE, "counterfactual": COUNTERFACTUAL,
    "fusion_candidates": FUSION_CANDIDATES, "fusion_savings": FUSION_SAVINGS,
}  # fmt: skip
"""Frame or verb -> its columns (``tklqt`` and ``idle_causes``: after the key columns)."""


def conform(frame: pl.DataFrame, columns: tuple[Column, ...]) -> pl.DataFrame:
    """The columns of a schema, in its order, in its dtypes."""
    return frame.select(pl.col(c.name).cast(c.dtype) for c in columns)


def empty(columns: tuple[Column, ...]) -> pl.DataFrame:
    """A frame of no rows."""
    return pl.DataFrame(schema={c.name: c.dtype for c in columns})
