"""Offline analysis of GPU traces: host- or device-bound, where the device idles, and why."""

from skiptrace import errors
from skiptrace.archive.save import save as _save
from skiptrace.errors import TraceWarning
from skiptrace.measure.breakdown import breakdown
from skiptrace.measure.collectives import collectives
from skiptrace.measure.copy_bandwidth import CopyBandwidth, copy_bandwidth
from skiptrace.measure.diff import Diff, diff
from skiptrace.measure.diff import subtract as _subtract
from skiptrace.measure.efficiency import efficiency
from skiptrace.measure.fusion import Fusion, fusion
from skiptrace.measure.graph import graph
from skiptrace.measure.idle_gaps import idle_gaps
from skiptrace.measure.kernels import kernels
from skiptrace.measure.launch_floor import LaunchFloor, launch_floor
from skiptrace.measure.launch_outliers import launch_outliers
from skiptrace.measure.memory import Memory, memory
from skiptrace.measure.ops import ops
from skiptrace.measure.peaks import Peak
from skiptrace.measure.queue_depth import QueueDepth, queue_depth
from skiptrace.measure.ranks import Ranks, load_ranks
from skiptrace.measure.sm_efficiency import sm_efficiency
from skiptrace.measure.step_time import step_time
from skiptrace.measure.stragglers import stragglers
from skiptrace.measure.summary import summary
from skiptrace.measure.tklqt import tklqt
from skiptrace.measure.top_kernels import top_kernels
from skiptrace.measure.tree import Tree, tree
from skiptrace.model.load import load
from skiptrace.model.trace import Trace
from skiptrace.predict.advise import advise
from skiptrace.predict.boundedness import boundedness
from skiptrace.predict.compare_sweeps import Comparison, compare_sweeps
from skiptrace.predict.critical_path import CriticalPath, critical_path
from skiptrace.predict.idle_causes import idle_causes
from skiptrace.predict.predict_transition import PredictedTransition, predict_transition
from skiptrace.predict.profiler_cost import Cost, ProfilerCost
from skiptrace.predict.sweep import Sweep, sweep
from skiptrace.predict.transition import Transition
from skiptrace.predict.whatif import WhatIf, whatif
from skiptrace.show import plots as plot
from skiptrace.show.annotate import annotate

Trace.save = _save  # type: ignore[method-assign]
Trace.__sub__ = _subtract  # type: ignore[method-assign]
Sweep.plot = plot.sweep  # type: ignore[assignment,method-assign]
WhatIf.plot = plot.whatif  # type: ignore[assignment,method-assign]
Diff.plot = plot.diff  # type: ignore[assignment,method-assign]
Fusion.plot = plot.fusion  # type: ignore[assignment,method-assign]
QueueDepth.plot = plot.queue_depth  # type: ignore[assignment,method-assign]

__all__ = [
    "Comparison",
    "CopyBandwidth",
    "Cost",
    "CriticalPath",
    "Diff",
    "Fusion",
    "LaunchFloor",
    "Memory",
    "Peak",
    "PredictedTransition",
    "ProfilerCost",
    "QueueDepth",
    "Ranks",
    "Sweep",
    "Trace",
    "TraceWarning",
    "Transition",
    "Tree",
    "WhatIf",
    "advise",
    "annotate",
    "boundedness",
    "breakdown",
    "collectives",
    "compare_sweeps",
    "copy_bandwidth",
    "critical_path",
    "diff",
    "efficiency",
    "errors",
    "fusion",
    "graph",
    "idle_causes",
    "idle_gaps",
    "kernels",
    "launch_floor",
    "launch_outliers",
    "load",
    "load_ranks",
    "memory",
    "ops",
    "plot",
    "predict_transition",
    "queue_depth",
    "sm_efficiency",
    "step_time",
    "stragglers",
    "summary",
    "sweep",
    "tklqt",
    "top_kernels",
    "tree",
    "whatif",
]
