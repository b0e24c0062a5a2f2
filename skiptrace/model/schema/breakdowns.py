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
TREE = (
    Column("node", INT, "", "number of the call path"),
    Column("parent", INT, "", "number of the path above it, or null"),
    Column("depth", INT, "", "number of paths above it"),
    Column("name", STR, "", "operator or module; null for what is outside of all"),
    Column("kind", STR, "", "operator or module"),
    Column("count", INT, "", "calls"),
    Column("total_ns", INT, "ns", "sum of their durations"),
    Column("self_ns", INT, "ns", "time in which one of them was the innermost of its thread"),
    Column("launches", INT, "", "launches with no deeper path around them"),
    Column("device_ns", INT, "ns", "sum of the durations of the work of those launches"),
    Column("device_total_ns", INT, "ns", "the same with all paths under it"),
    Column("host_share", FLOAT, "share", "total_ns of the time in any path, over all threads"),
    Column("device_share", FLOAT, "share", "device_total_ns of the durations of all work"),
)
LAUNCH_OUTLIERS = (
    Column("outlier", STR, "", "long_call, long_delay or short_work"),
    Column("launch", INT, "id", "the launch"),
    Column("kind", STR, "", "kernel, graph, memcpy or memset"),
    Column("start_ns", INT, "ns", "start of the call"),
    Column("call_ns", INT, "ns", "duration of the call"),
    Column("delay_ns", INT, "ns", "launch_ns: what launching took, behind no earlier work"),
    Column("queue_ns", INT, "ns", "what it waited behind earlier work"),
    Column("work_ns", INT, "ns", "sum of the durations of its work"),
    Column("call_name", STR, "", "name of the call"),
    Column("work", STR, "", "name of its first kernel, or of its first work"),
    Column("op", STR, "", "innermost operator around it"),
    Column("root_op", STR, "", "outermost operator around it"),
    _MODULE,
    Column("python", STR, "", "deepest Python frame around it"),
    Column("step", STR, "", "step in which it was launched"),
    Column("pid", INT, "", "process of the launching thread"),
    Column("tid", INT, "", "launching thread"),
    _DEVICE,
    _STREAM,
)
QUEUE_DEPTH = (
    _DEVICE,
    _STREAM,
    Column("start_ns", INT, "ns", "when the depth changed"),
    Column("dur_ns", INT, "ns", "until it changes again; 0 in the last row of a stream"),
    Column("depth", INT, "", "launches under way from then on"),
)
QUEUE_STREAMS = (
    _DEVICE,
    _STREAM,
    Column("launches", INT, "", "launches onto the stream"),
    Column("unlinked", INT, "", "works of unknown launch: in no depth"),
    Column("span_ns", INT, "ns", "from the first launch to the end of the last work"),
    Column("empty_ns", INT, "ns", "of it with nothing launched and unfinished"),
    Column("full_ns", INT, "ns", "of it with the limit reached"),
    Column("blocked_ns", INT, "ns", "time in calls that launch onto the stream while it is full"),
    Column("max_depth", INT, "", "deepest"),
    Column("mean_depth", FLOAT, "", "mean over span_ns; null at 0"),
)
COPY_BANDWIDTH = (
    _DEVICE,
    Column("direction", STR, "", "HtoD, DtoH, DtoD, PtoP, fill or other"),
    Column("start_ns", INT, "ns", "when a copy of the direction started or ended"),
    Column("dur_ns", INT, "ns", "until the next one did; 0 in the last row of a direction"),
    Column("copies", INT, "", "copies that run from then on"),
    Column("bytes_per_s", FLOAT, "bytes/s", "sum of their rates"),
)
COPY_DIRECTIONS = (
    _DEVICE,
    COPY_BANDWIDTH[1],
    Column("copies", INT, "", "copies, or fills"),
    Column("unmeasured", INT, "", "of them without recorded bytes or of no length: in no rate"),
    Column("bytes", INT, "bytes", "bytes that the measured ones moved"),
    Column("copy_ns", INT, "ns", "sum of the durations of all"),
    Column("bytes_per_s", FLOAT, "bytes/s", "bytes of the measured over their time; null at 0"),
)
STEP_TIME = (
    _STEP,
    Column("start_ns", INT, "ns", "start of the step, not before the end of the one before"),
    Column("wall_ns", INT, "ns", "from there to its end, or that of its last work if later"),
    Column("kernel_ns", INT, "ns", "a kernel ran that is no communication"),
    Column("memcpy_ns", INT, "ns", "else, a copy ran"),
    Column("memset_ns", INT, "ns", "else, a fill ran"),
    Column("communication_ns", INT, "ns", "else, communication, on the device or the host"),
    Column("runtime_ns", INT, "ns", "else, a thread was in a call of a runtime or driver"),
    Column("dataloader_ns", INT, "ns", "else, a thread was under a DataLoader"),
    Column("cpu_ns", INT, "ns", "else, in an operator, annotation or Python frame"),
    Column("other_ns", INT, "ns", "else; the eight sum to wall_ns"),
)
SM_EFFICIENCY = (
    _STEP,
    _DEVICE,
    Column("wall_ns", INT, "ns", "as in step_time"),
    Column("utilization_share", FLOAT, "share", "of it in which any kernel ran"),
    Column("sm_share", FLOAT, "share", "mean over wall_ns of min(1, blocks per SM)"),
    Column("occupancy_share", FLOAT, "share", "mean recorded occupancy, weighted by kernel time"),
)
_MEMORY_DEVICE = (
    Column("device_type", INT, "", "PyTorch's number of the kind of device"),
    Column("device", INT, "", "device index; -1 of the host"),
    Column("device_kind", STR, "", "cpu, cuda, hip ...; null for a number that is not known"),
)
_MEMORY_PLACE = (
    Column("op", STR, "", "innermost operator at the time"),
    Column("root_op", STR, "", "outermost operator at the time"),
    _MODULE,
    Column("python", STR, "", "deepest Python frame at the time"),
)
MEMORY_CURVE = (
    Column("id", INT, "id", "index of the event in the file"),
    *_MEMORY_DEVICE,
    Column("at_ns", INT, "ns", "when"),
    Column("bytes", INT, "bytes", "allocated; negative: freed"),
    Column("address", INT, "", "where; null where not recorded"),
    Column("allocated", INT, "bytes", "allocated after it; without record the sum of bytes so far"),
    Column("reserved", INT, "bytes", "reserved from the device after it; null where not recorded"),
    *_MEMORY_PLACE,
)
MEMORY_PEAKS = (
    *_MEMORY_DEVICE,
    Column("peak_ns", INT, "ns", "when most was allocated, the first time"),
    Column("peak", INT, "bytes", "what was allocated then"),
    Column("reserved", INT, "bytes", "most that was reserved; null where not recorded"),
    Column("allocations", INT, "", "allocations"),
    Column("frees", INT, "", "frees"),
    Column("op", STR, "", "innermost operator that reached the peak"),
    _MODULE,
    Column("python", STR, "", "deepest Python frame that reached it"),
)
MEMORY_LIVE = (
    *_MEMORY_DEVICE,
    *_MEMORY_PLACE,
    Column("allocations", INT, "", "allocations that live at the peak; null: not recorded"),
    Column("bytes", INT, "bytes", "their bytes; the rows of a device sum to its peak"),
    Column("peak_share", FLOAT, "share", "of the peak"),
)
EFFICIENCY = (
    Column("name", STR, "", "innermost operator whose operations are known"),
    Column("shape", STR, "", "'Input Dims', as JSON"),
    Column("dtype", STR, "", "data type of its first floating-point input"),
    Column("device", INT, "", "device that its work ran on"),
    Column("count", INT, "", "operators"),
    Column("device_ns", INT, "ns", "sum of the durations of the work under them"),
    Column("flops", FLOAT, "", "operations by formula, of all together"),
    Column(
        "recorded_flops", FLOAT, "", "operations that the profiler wrote; null where it did not"
    ),
    Column("bytes", FLOAT, "bytes", "inputs and output once: a lower bound of what was moved"),
    Column("flops_per_s", FLOAT, "1/s", "flops over device_ns; null at 0"),
    Column("bytes_per_s", FLOAT, "bytes/s", "bytes over device_ns; null at 0"),
    Column("of_peak_flops", FLOAT, "", "flops_per_s over the peak of the data type"),
    Column(
        "of_peak_bytes", FLOAT, "", "bytes_per_s over the peak of the memory; above 1 in caches"
    ),
    Column("intensity", FLOAT, "1/byte", "flops over bytes"),
    Column("side", STR, "", "compute or memory: intensity against peak flops over peak bytes"),
)

FRAMES = {
    "breakdown": BREAKDOWN, "kernels": KERNELS, "kernel_geometry": KERNEL_GEOMETRY,
    "op_times": OPS, "tree": TREE, "launch_outliers": LAUNCH_OUTLIERS,
    "queue_depth": QUEUE_DEPTH, "queue_streams": QUEUE_STREAMS,
    "copy_bandwidth": COPY_BANDWIDTH, "copy_directions": COPY_DIRECTIONS,
    "memory_curve": MEMORY_CURVE, "memory_peaks": MEMORY_PEAKS, "memory_live": MEMORY_LIVE,
    "efficiency": EFFICIENCY, "step_time": STEP_TIME, "sm_efficiency": SM_EFFICIENCY,
}  # fmt: skip
"""Verb -> the columns of its frame (``kernels`` and ``ops``: after the key columns)."""
