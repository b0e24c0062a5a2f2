"""Columns of the breakdowns: device time, kernels, operators, launches, queues, copies, memory."""

from __future__ import annotations

import polars as pl

from skiptrace.model.schema.column import FLOAT, INT, STR, Column

_DEVICE = Column("device", INT, "", "device index")
_STREAM = Column("stream", INT, "", "stream id")
_STEP = Column("step", STR, "", "name of the step; 'all' for the whole trace")

BREAKDOWN = (
    _STEP,
    _DEVICE,
    Column("span_ns", INT, "ns", "from the start of its first own work to the end of its last"),
    Column("compute_only_ns", INT, "ns", "kernels ran, none of them communication"),
    Column("overlap_ns", INT, "ns", "communication ran beside other kernels"),
    Column("exposed_ns", INT, "ns", "communication ran, and no other kernel"),
    Column("copy_only_ns", INT, "ns", "copies or fills ran, and no kernel"),
    Column("other_ns", INT, "ns", "nothing of its own ran, but work of other steps did"),
    Column("idle_ns", INT, "ns", "nothing at all ran; the six parts sum to span_ns"),
    Column("compute_ns", INT, "ns", "compute_only_ns + overlap_ns"),
    Column("communication_ns", INT, "ns", "overlap_ns + exposed_ns"),
    Column("copy_ns", INT, "ns", "copies or fills ran, beside kernels or not"),
    Column("overlap_share", FLOAT, "share", "overlap_ns / communication_ns; null at 0"),
    Column("idle_share", FLOAT, "share", "idle_ns / span_ns; null at 0"),
)
KERNELS = (
    Column("count", INT, "", "kernels"),
    Column("kernel_ns", INT, "ns", "sum of their durations"),
    Column("mean_ns", INT, "ns", "mean duration"),
    Column("min_ns", INT, "ns", "shortest"),
    Column("median_ns", INT, "ns", "median duration"),
    Column("p95_ns", INT, "ns", "95th percentile, nearest rank"),
    Column("max_ns", INT, "ns", "longest"),
    Column("time_share", FLOAT, "share", "of the durations of all kernels; null at 0"),
    Column("short", INT, "", "kernels that ran for less time than the call that launched them"),
)
KERNEL_GEOMETRY = (
    Column("occupancy_share", FLOAT, "share", "mean of the recorded occupancy, weighted by time"),
    Column("grid", pl.List(pl.Int64), "", "blocks of the longest kernel, in x, y, z"),
    Column("block", pl.List(pl.Int64), "", "threads of a block of the longest kernel, in x, y, z"),
)
_MODULE = Column("module", STR, "", "innermost nn.Module around the call")
_SHAPE = Column("shape", STR, "", "'Input Dims' of the operator, as JSON")
KERNEL_KEYS = {
    "trace": (Column("trace", STR, "", "always 'all'"),),
    "name": (Column("name", STR, "", "kernel name"),),
    "class": (Column("class", STR, "", "class of the kernel, by the rules"),),
    "op": (Column("op", STR, "", "innermost operator around the launch"),),
    "root_op": (Column("root_op", STR, "", "outermost operator around the launch"),),
    "module": (_MODULE,),
    "shape": (_SHAPE,),
    "step": (Column("step", STR, "", "step in which it was launched"),),
    "stream": (_DEVICE, _STREAM),
    "device": (_DEVICE,),
}
OPS = (
    Column("count", INT, "", "operators"),
    Column("self_ns", INT, "ns", "time in which they were the innermost operator of their thread"),
    Column("total_ns", INT, "ns", "time inside them, once where one is inside another"),
    Column("launches", INT, "", "launches whose innermost operator is one of them"),
    Column("device_ns", INT, "ns", "sum of the durations of the work of those launches"),
    Column("device_total_ns", INT, "ns", "the same for launches anywhere under them"),
    Column("self_share", FLOAT, "share", "of the self time of all operators; null at 0"),
    Column("device_share", FLOAT, "share", "device_ns of the durations of all work; null at 0"),
)
OP_KEYS = {
    "trace": KERNEL_KEYS["trace"],
    "name": (Column("name", STR, "", "name of the operator"),),
    "module": (_MODULE,),
    "shape": (_SHAPE,),
    "step": (Column("step", STR, "", "step in which it started"),),
    "thread": (Column("thread", INT, "", "tid of its thread"),),
}

FRAMES = {
    "breakdown": BREAKDOWN, "kernels": KERNELS, "kernel_geometry": KERNEL_GEOMETRY,
    "op_times": OPS,
}  # fmt: skip
"""Verb -> the columns of its frame (``kernels`` and ``ops``: after the key columns)."""
