"""The colours of all charts: one for each thing that time goes to, told apart by all eyes."""

from __future__ import annotations

TIME = {
    "operator": "#88ccee", "python": "#ddcc77", "launch": "#cc6677", "sync": "#882255",
    "alloc": "#aa4499", "copy": "#44aa99", "dataloader": "#999933", "profiler": "#333333",
    "device": "#117733", "dependency": "#332288", "unknown": "#bbbbbb",
    "call": "#6699cc", "latency": "#ffee88", "queue": "#332288",
}  # fmt: skip
"""What time goes to -> its colour: every cause of idle time, every kind of piece of a critical
path, and the parts of TKLQT. One thing has one colour in every chart. The colours are Paul Tol's
"muted" scheme, which stays apart in each kind of colour blindness, with greys and two more that do.

Those of `annotate` are others: trace viewers know colours by a few names alone."""

ALIKE = {"stream gap": "device", "earlier step": "device"}
"""Kinds of piece of a critical path that are shown as another one."""

SIDES = {"cpu": "#0077bb", "gpu": "#ee7733", "balanced": "#888888"}
"""Verdict -> colour."""

LONGER, SHORTER, NEUTRAL = "#ee7733", "#0077bb", "#888888"
NOTES = "#767676"
"""The grey that stands out as well from white as from black."""
BAND = "#ee9933"
"""Where a sweep turns."""
SEQUENTIAL = "viridis"
"""Vega's name of the scale of heat maps; it is as readable in grey."""
