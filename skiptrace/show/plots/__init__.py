"""Charts of what the verbs find, as altair charts: returned, never shown.

Each takes a trace or a verb's result, is at most ``width`` pixels wide, and holds at most a few
thousand rows of data, however large the trace. Colours stay apart for colour-blind eyes, and one
thing has one colour in all charts.
"""

from skiptrace.show.plots.bars import idle, split
from skiptrace.show.plots.changes import diff, fusion, whatif
from skiptrace.show.plots.curves import sweep
from skiptrace.show.plots.depth import queue_depth, ranks
from skiptrace.show.plots.lanes import timeline

__all__ = [
    "diff",
    "fusion",
    "idle",
    "queue_depth",
    "ranks",
    "split",
    "sweep",
    "timeline",
    "whatif",
]
