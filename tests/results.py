"""One result of every type that the library returns, of small literal traces."""

from __future__ import annotations

from functools import cache
from typing import Any

from sweeps import trace_at
from test_verbs_pure import loaded

import skiptrace as sk
from skiptrace.model.schema.archived import REGRESSIONS
from skiptrace.model.schema.column import empty
from skiptrace.show.to_dict import SCHEMAS

NAMES = [kind.__name__ for kind in SCHEMAS]
"""Of the types."""


@cache
def results() -> dict[str, Any]:
    """By the name of their type."""
    trace = loaded()
    swept = sk.sweep({batch: trace_at(batch) for batch in (1, 2, 4, 8, 16)})
    slower = sk.sweep({batch: trace_at(batch, kernel_us=8) for batch in (1, 2, 4, 8, 16)})
    found = (
        sk.compare_sweeps({"a": swept, "b": slower}),
        sk.copy_bandwidth(trace),
        sk.critical_path(trace),
        sk.diff(trace, loaded()),
        sk.fusion(trace, lengths=(2, 4)),
        sk.launch_floor(trace),
        sk.memory(trace),
        sk.predict_transition(trace_at(1), trace_at(16), parameters=(1, 16)),
        sk.queue_depth(trace),
        sk.load_ranks({0: trace, 3: loaded()}),
        sk.Regressions(
            empty(REGRESSIONS), {"b.json": ("slower by 5 ms",)}, {"c.json": "doubtful: junk (1)"}
        ),
        swept,
        swept.transition.tklqt,
        sk.tree(trace),
        sk.whatif(trace, host=0.5),
    )
    return {type(result).__name__: result for result in found}
