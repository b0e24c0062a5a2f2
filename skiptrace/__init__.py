"""Offline analysis of GPU traces: host- or device-bound, where the device idles, and why.

A public name is imported when it is first asked for, so that importing the package costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skiptrace import errors
from skiptrace.errors import TraceWarning
from skiptrace.model.trace import Trace

if TYPE_CHECKING:
    from skiptrace import torch
    from skiptrace.archive.measures import Measure
    from skiptrace.archive.open_archive import Archive, open_archive
    from skiptrace.archive.regressions import Regressions, regressions
    from skiptrace.archive.scan import Scan, scan
    from skiptrace.measure.breakdown import breakdown
    from skiptrace.measure.collectives import collectives
    from skiptrace.measure.copy_bandwidth import CopyBandwidth, copy_bandwidth
    from skiptrace.measure.diff import Diff, diff
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
    from skiptrace.model.from_events import from_events
    from skiptrace.model.from_frames import from_frames
    from skiptrace.model.load import load
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
    from skiptrace.show.describe import describe
    from skiptrace.show.page.report import report
    from skiptrace.show.to_dict import to_dict

_WHERE = {
    "archive.measures": "Measure",
    "archive.open_archive": "Archive open_archive",
    "archive.regressions": "Regressions regressions",
    "archive.scan": "Scan scan",
    "measure.breakdown": "breakdown",
    "measure.collectives": "collectives",
    "measure.copy_bandwidth": "CopyBandwidth copy_bandwidth",
    "measure.diff": "Diff diff",
    "measure.efficiency": "efficiency",
    "measure.fusion": "Fusion fusion",
    "measure.graph": "graph",
    "measure.idle_gaps": "idle_gaps",
    "measure.kernels": "kernels",
    "measure.launch_floor": "LaunchFloor launch_floor",
    "measure.launch_outliers": "launch_outliers",
    "measure.memory": "Memory memory",
    "measure.ops": "ops",
    "measure.peaks": "Peak",
    "measure.queue_depth": "QueueDepth queue_depth",
    "measure.ranks": "Ranks load_ranks",
    "measure.sm_efficiency": "sm_efficiency",
    "measure.step_time": "step_time",
    "measure.stragglers": "stragglers",
    "measure.summary": "summary",
    "measure.tklqt": "tklqt",
    "measure.top_kernels": "top_kernels",
    "measure.tree": "Tree tree",
    "model.from_events": "from_events",
    "model.from_frames": "from_frames",
    "model.load": "load",
    "predict.advise": "advise",
    "predict.boundedness": "boundedness",
    "predict.compare_sweeps": "Comparison compare_sweeps",
    "predict.critical_path": "CriticalPath critical_path",
    "predict.idle_causes": "idle_causes",
    "predict.predict_transition": "PredictedTransition predict_transition",
    "predict.profiler_cost": "Cost ProfilerCost",
    "predict.sweep": "Sweep sweep",
    "predict.transition": "Transition",
    "predict.whatif": "WhatIf whatif",
    "show.annotate": "annotate",
    "show.describe": "describe",
    "show.page.report": "report",
    "show.to_dict": "to_dict",
}
"""Module -> the public names that are imported from it, as above."""
_MODULES = {"plot": "skiptrace.show.plots", "torch": "skiptrace.torch"}
"""Public names that are modules."""
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names.split()}


def __getattr__(name: str) -> Any:  # noqa: ANN401  any public name
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Archive",
    "Comparison",
    "CopyBandwidth",
    "Cost",
    "CriticalPath",
    "Diff",
    "Fusion",
    "LaunchFloor",
    "Measure",
    "Memory",
    "Peak",
    "PredictedTransition",
    "ProfilerCost",
    "QueueDepth",
    "Ranks",
    "Regressions",
    "Scan",
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
    "describe",
    "diff",
    "efficiency",
    "errors",
    "from_events",
    "from_frames",
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
    "open_archive",
    "ops",
    "plot",
    "predict_transition",
    "queue_depth",
    "regressions",
    "report",
    "scan",
    "sm_efficiency",
    "step_time",
    "stragglers",
    "summary",
    "sweep",
    "tklqt",
    "to_dict",
    "top_kernels",
    "torch",
    "tree",
    "whatif",
]
