"""Offline analysis of GPU traces: host- or device-bound, where the device idles, and why."""

from skiptrace import errors
from skiptrace.errors import TraceWarning
from skiptrace.measure.graph import graph
from skiptrace.measure.idle_causes import idle_causes
from skiptrace.measure.idle_gaps import idle_gaps
from skiptrace.measure.launch_floor import LaunchFloor, launch_floor
from skiptrace.measure.summary import summary
from skiptrace.measure.tklqt import tklqt
from skiptrace.measure.top_kernels import top_kernels
from skiptrace.model.load import load
from skiptrace.model.trace import Trace
from skiptrace.predict.boundedness import boundedness

__all__ = [
    "LaunchFloor",
    "Trace",
    "TraceWarning",
    "boundedness",
    "errors",
    "graph",
    "idle_causes",
    "idle_gaps",
    "launch_floor",
    "load",
    "summary",
    "tklqt",
    "top_kernels",
]
