"""Offline analysis of GPU traces: host- or device-bound, where the device idles, and why."""

from skiptrace import errors
from skiptrace.archive.save import save as _save
from skiptrace.errors import TraceWarning
from skiptrace.measure.collectives import collectives
from skiptrace.measure.diff import Diff, diff
from skiptrace.measure.diff import subtract as _subtract
from skiptrace.measure.fusion import Fusion, fusion
from skiptrace.measure.graph import graph
from skiptrace.measure.idle_gaps import idle_gaps
from skiptrace.measure.launch_floor import LaunchFloor, launch_floor
from skiptrace.measure.ranks import Ranks, load_ranks
from skiptrace.measure.stragglers import stragglers
from skiptrace.measure.summary import summary
from skiptrace.measure.tklqt import tklqt
from skiptrace.measure.top_kernels import top_kernels
from skiptrace.model.load import load
from skiptrace.model.trace import Trace
from skiptrace.predict.advise import advise
from skiptrace.predict.boundedness import boundedness
from skiptrace.predict.compare_sweeps import Comparison, compare_sweeps
from skiptrace.predict.critical_path import CriticalPath, critical_path
from skiptrace.predict.idle_causes import idle_causes
from skiptrace.predict.predict_transition import PredictedTransition, predict_transition
from skiptrace.predict.sweep import Sweep, sweep
from skiptrace.predict.transition import Transition
from skiptrace.predict.whatif import WhatIf, whatif
from skiptrace.show.annotate import annotate

Trace.save = _save  # type: ignore[method-assign]
Trace.__sub__ = _subtract  # type: ignore[method-assign]

__all__ = [
    "Comparison",
    "CriticalPath",
    "Diff",
    "Fusion",
    "LaunchFloor",
    "PredictedTransition",
    "Ranks",
    "Sweep",
    "Trace",
    "TraceWarning",
    "Transition",
    "WhatIf",
    "advise",
    "annotate",
    "boundedness",
    "collectives",
    "compare_sweeps",
    "critical_path",
    "diff",
    "errors",
    "fusion",
    "graph",
    "idle_causes",
    "idle_gaps",
    "launch_floor",
    "load",
    "load_ranks",
    "predict_transition",
    "stragglers",
    "summary",
    "sweep",
    "tklqt",
    "top_kernels",
    "whatif",
]
