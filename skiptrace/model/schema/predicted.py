"""Columns of what is predicted: boundedness, critical path, what-if, advice, sweeps."""

from __future__ import annotations

import polars as pl

from skiptrace.model.schema.column import FLOAT, INT, PATH_KINDS, SPLIT, STR, Column
from skiptrace.model.schema.measured import IDLE_CAUSES, IDLE_KEYS

_PATH_SHARES = (
    Column("host_share", FLOAT, "share", "of the critical path on the host"),
    Column("device_share", FLOAT, "share", "of it on the device"),
    Column("latency_share", FLOAT, "share", "of it from launches to their work"),
)
COUNTERFACTUAL = (
    IDLE_KEYS["cause"],
    *IDLE_CAUSES,
    Column(
        "counterfactual_ns",
        INT,
        "ns",
        "idle time that goes away if this cause alone does; may be negative",
    ),
)
SWEEP = (
    Column("parameter", pl.Null, "", "the parameter, in the type it was given"),
    Column("step", STR, "", "the step with the median IL, whose figures these are"),
    Column("steps", INT, "", "steps with an IL"),
    Column("il_ns", INT, "ns", "inference latency of that step"),
    Column("il_min_ns", INT, "ns", "shortest IL of all steps"),
    Column("il_max_ns", INT, "ns", "longest IL of all steps"),
    Column("launches", INT, "", "kernel launches"),
    Column("kernels", INT, "", "kernels"),
    *SPLIT,
    Column("tklqt_per_launch_ns", INT, "ns", "mean t_l of a kernel launch"),
    Column("floor_ns", INT, "ns", "kernel launch floor of the trace"),
    Column("akd_ns", INT, "ns", "average kernel duration"),
    Column("kernel_ns", INT, "ns", "sum of kernel durations"),
    Column("busy_ns", INT, "ns", "union of the step's own work"),
    Column("busy_share", FLOAT, "share", "of IL in which the device worked"),
    Column("gpu_idle_ns", INT, "ns", "part of IL in which no work at all ran"),
    Column("gpu_idle_paper_ns", INT, "ns", "il_ns * devices minus kernel durations"),
    Column("cpu_busy_ns", INT, "ns", "operators and calls of the launching threads, without waits"),
    Column("cpu_idle_ns", INT, "ns", "il_ns - cpu_busy_ns"),
    Column("hdbi_share", FLOAT, "share", "kernel_ns / (kernel_ns + cpu_busy_ns)"),
    *_PATH_SHARES,
    Column("verdict", STR, "", "cpu, gpu or balanced"),
)
BOUNDEDNESS = (
    Column("step", STR, "", "name of the step; 'all' for the whole trace"),
    Column("verdict", STR, "", "cpu, gpu or balanced; null where there is nothing to judge"),
    *_PATH_SHARES,
    Column("busy_share", FLOAT, "share", "of IL in which the device worked"),
    Column("queue_share", FLOAT, "share", "queue_ns / tklqt_ns; null at 0"),
    Column("tklqt_per_launch_ns", INT, "ns", "mean t_l of a kernel launch"),
    Column("floor_ns", INT, "ns", "what a kernel launch costs with nothing in its way"),
    Column("hdbi_share", FLOAT, "share", "kernel time over kernel time plus CPU busy time"),
    Column("unprofiled_verdict", STR, "", "verdict without the host time that recording adds"),
    Column("because", STR, "", "the evidence in a sentence"),
)
CRITICAL_PATH = (
    Column("step", STR, "", "name of the step"),
    Column("start_ns", INT, "ns", "start of the piece"),
    Column(
        "end_ns", INT, "ns", "its end: the start of the next, or the end of the step's last work"
    ),
    Column("dur_ns", INT, "ns", "end - start; the pieces of a step sum to its IL"),
    Column("kind", STR, "", "what the step waited for in that time"),
    Column("side", STR, "", "host, device or latency (from a launch to its work)"),
    Column("tid", INT, "", "thread, for host time"),
    Column("device", INT, "", "device of the work that ran or was waited for"),
    Column("stream", INT, "", "its stream"),
    Column("op", STR, "", "innermost operator at the time, or around the work's launch"),
    Column("python", STR, "", "deepest Python frame at the time, or around the work's launch"),
    Column("kernel", STR, "", "name of the work that ran or was waited for"),
    Column("work", INT, "id", "that work"),
)
CRITICAL_SHARES = (
    Column("step", STR, "", "name of the step"),
    Column("il_ns", INT, "ns", "inference latency: the length of the path"),
    *_PATH_SHARES,
    *(
        Column(f"{kind.replace(' ', '_')}_ns", INT, "ns", f"of it of kind '{kind}'")
        for kind in PATH_KINDS
    ),
)
FIDELITY = (
    Column("step", STR, "", "name of the step"),
    Column("il_ns", INT, "ns", "IL as recorded"),
    Column("replayed_ns", INT, "ns", "IL of the replay with nothing changed"),
    Column("error", FLOAT, "", "|replayed_ns - il_ns| / il_ns"),
    Column(
        "near_share",
        FLOAT,
        "share",
        "of its works that start within 1 us of when they did, from the start of the step on",
    ),
)
WHATIF = (
    Column("step", STR, "", "name of the step"),
    Column("recorded_ns", INT, "ns", "IL as recorded"),
    Column("il_ns", INT, "ns", "IL with the change, as this profiler would record it"),
    Column(
        "latency_ns", INT, "ns", "with the change and no profiler: to the return of a final wait"
    ),
    Column("latency_low_ns", INT, "ns", "low end of its range"),
    Column("latency_high_ns", INT, "ns", "high end of its range"),
    Column("before_ns", INT, "ns", "the same without the change"),
    Column("speedup", FLOAT, "", "before_ns / latency_ns"),
    *_PATH_SHARES,
    Column("verdict", STR, "", "cpu, gpu or balanced, with the change"),
    Column("error", FLOAT, "", "|IL replayed with nothing changed - IL| / IL"),
)
ADVISE = (
    Column("change", STR, "", "what to change, as the call of whatif or the cause taken out"),
    Column("gain_ns", INT, "ns", "how much shorter the median step is, without a profiler"),
    Column("gain_share", FLOAT, "share", "of its latency"),
    Column("latency_ns", INT, "ns", "latency of the median step then"),
    Column("before_ns", INT, "ns", "its latency now, without a profiler"),
    Column("op", STR, "", "where: the operator, annotation or kernel"),
    Column("root_op", STR, "", "the outermost operator around it"),
    Column("module", STR, "", "the innermost nn.Module around it, where recorded"),
    Column("python", STR, "", "the Python line, where recorded"),
    Column("advice", STR, "", "what to do"),
)

FRAMES = {
    "boundedness": BOUNDEDNESS, "sweep": SWEEP, "critical_path": CRITICAL_PATH,
    "critical_shares": CRITICAL_SHARES, "whatif": WHATIF, "fidelity": FIDELITY,
    "advise": ADVISE, "counterfactual": COUNTERFACTUAL,
}  # fmt: skip
"""Verb -> the columns of its frame."""
