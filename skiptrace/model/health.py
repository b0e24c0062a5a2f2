"""Trace health: what was missing, repaired or odd, how often, and which figures it touches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import Ints
from skiptrace.model.schema.recorded import HEALTH
from skiptrace.read.faults import FAULTS, Fault
from skiptrace.thresholds import DOUBT_SHARE

MEANINGS: dict[str, tuple[str, str, str]] = {
    "events": ("info", "events in the file, by what they are", "none"),
    "other_writer": ("info", "another writer's trace, read in Kineto's words", "none"),
    "unknown_phase": (
        "warning",
        "events whose phase is missing or unknown, or that are no object",
        "none",
    ),
    "unparsed_time": ("error", "events without a usable time: left out", "all"),
    "missing_duration": ("warning", "complete events without a duration: taken as 0", "all"),
    "negative_duration": ("warning", "events that end before they start: taken as 0", "all"),
    "zero_duration": (
        "info",
        "operators, calls and works of no duration: shorter than the writer's clock tells",
        "akd_ns, busy and idle",
    ),
    "unclosed_begin": (
        "warning",
        "begin events that never end: taken to last to the end of the trace",
        "ops",
    ),
    "stray_end": ("warning", "end events that nothing began: left out", "ops"),
    "named_pid": ("info", "events whose process is a name: given a negative number", "none"),
    "named_tid": ("info", "events whose thread is a name: given a negative number", "none"),
    "not_understood": (
        "warning",
        "events with a duration whose category is not known: in no figure",
        "all",
    ),
    "left_out": (
        "info",
        "events left out of the load, as asked (without=, window=): not looked at for faults",
        "those that need them",
    ),
    "needed_left_out": (
        "warning",
        "categories left out of the load, as asked (without=), that figures rest on",
        "idle causes, host times, critical path, groupings by what is left out",
    ),
    "without_nothing": (
        "info",
        "categories to leave out (without=) that no event has",
        "none",
    ),
    "duplicate_event": ("warning", "events equal to an earlier one in all columns: kept", "all"),
    "no_device_work": ("error", "nothing ran on a device in this trace", "all"),
    "no_operators": ("info", "no operators recorded: launches have none", "by op, root_op"),
    "unlinked_work": (
        "warning",
        "launched outside the window: kept in busy and idle, in no launch figure",
        "tklqt, step sums",
    ),
    "call_missing": (
        "warning",
        "of those, work whose call is missing among the calls recorded, by its id",
        "tklqt, step sums",
    ),
    "ambiguous_correlation": (
        "warning",
        "work whose correlation several calls have that lie apart: linked to the first",
        "tklqt, step sums",
    ),
    "work_without_id": ("warning", "work without a correlation id: cannot be linked", "tklqt"),
    "linked_by_external_id": (
        "info",
        "work without a correlation, linked by an external id that one call alone has",
        "tklqt",
    ),
    "shared_correlation": (
        "info",
        "calls that share a correlation with an earlier call: the outermost launched",
        "none",
    ),
    "negative_launch_time": (
        "warning",
        "launches whose work starts before them (clocks disagree): t_l taken as 0",
        "tklqt, il_ns, busy and idle",
    ),
    "launch_without_work": (
        "warning",
        "calls named as kernel launches without work: captured, not recorded, or run later",
        "step sums, busy and idle",
    ),
    "launch_without_op": ("info", "launches outside every operator", "by op, root_op"),
    "launch_outside_steps": ("info", "launches outside every step", "by step, summary"),
    "graph_without_work": (
        "warning",
        "graph launches without any work: the profiler did not record inside",
        "all",
    ),
    "graph_incomplete": (
        "warning",
        "graph launches that stop short of another launch of the same works",
        "all",
    ),
    "step_cut": (
        "warning",
        "steps that reach beyond the recording, or whose last kernel launches have no work",
        "these steps",
    ),
    "profiler_overhead": ("info", "times in which the profiler itself worked", "idle causes"),
    "disturbed_launch": ("info", "launches during which the profiler itself worked", "tklqt"),
    "profiler_options": (
        "info",
        "what the profiler was asked to record beside times, which slows the host down",
        "host times, busy and idle",
    ),
    "badly_nested_op": (
        "warning",
        "operators that end after the operator they started in",
        "by op",
    ),
    "overlapping_work": (
        "info",
        "work overlapping on one stream (legitimate with dependent launch)",
        "queue_ns",
    ),
    "floor_median": (
        "info",
        "kinds whose floor is the median of launches onto an idle device",
        "launch_ns, queue_ns",
    ),
    "floor_smallest": (
        "warning",
        "few launches onto an idle device: the smallest t_l is the floor (give floor=)",
        "launch_ns, queue_ns",
    ),
    "floor_kernel": ("info", "kinds that borrow the kernel floor", "launch_ns, queue_ns"),
    "floor_none": ("info", "kinds with no launch to take a floor from: 0", "launch_ns, queue_ns"),
}
"""Kind -> severity, meaning, what it affects."""


_LOST = (
    "truncated_json", "truncated_stream", "damaged_stream", "lost_event", "bad_checksum", "junk",
)  # fmt: skip
"""Faults that may have cost events."""
_HARMLESS = ("byte_order_mark", "utf16_or_utf32", "comment")
MEANINGS |= {
    kind: (
        "error" if kind in _LOST else "info" if kind in _HARMLESS else "warning",
        meaning,
        "none" if kind in _HARMLESS else "all" if kind in _LOST else "those of these events",
    )
    for kind, meaning in FAULTS.items()
}


_VERBS = (
    "tklqt", "summary", "boundedness", "launch_floor", "idle_gaps", "idle_causes", "top_kernels",
    "fusion", "critical_path", "whatif", "advise", "breakdown", "step_time", "sm_efficiency",
    "kernels", "ops", "tree", "launch_outliers", "queue_depth", "copy_bandwidth", "efficiency",
    "memory",
)  # fmt: skip
_ACROSS = (
    "tklqt", "summary", "boundedness", "launch_floor", "idle_gaps", "idle_causes", "critical_path",
    "whatif", "advise", "step_time", "launch_outliers", "queue_depth",
)  # fmt: skip
"""Verbs that set times of the host against times of the device."""
DOUBTFUL: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("unparsed_time", *_LOST, "graph_without_work"), _VERBS
) | {"negative_launch_time": _ACROSS}
"""Kind -> the verbs that warn of it where it is frequent: their figures may be wrong."""


def weighty(health: pl.DataFrame) -> pl.DataFrame:
    """Errors, and warnings but for those of less than `DOUBT_SHARE` of what could have them."""
    rows = zip(health["severity"], health["share"], strict=True)
    weighs = [
        severity == "error"
        or (severity == "warning" and (1 if share is None else share) >= DOUBT_SHARE)
        for severity, share in rows
    ]
    return health[np.flatnonzero(weighs)]


def grade_of(health: pl.DataFrame) -> str:
    """``doubtful`` with an error, ``usable`` with a warning that weighs, else ``good``."""
    found = weighty(health)
    if found.is_empty():
        return "good"
    grade = "doubtful" if (found["severity"] == "error").any() else "usable"
    worst = [f"{kind} ({count:,})" for kind, count in found.select("kind", "count").head(3).rows()]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"{grade}: {', '.join(worst)}{more}"


def is_doubtful(grade: str | None) -> bool:
    """Whether that is a grade of `grade_of` below ``usable``."""
    return grade is not None and grade.startswith("doubtful")


class _Row(NamedTuple):
    kind: str
    severity: str
    often: int
    share: float | None
    example: int | None
    byte: int | None
    excerpt: str | None
    meaning: str
    affects: str


def _together(one: _Row, other: _Row) -> _Row:
    """One row of two of a kind, which were found at two places."""
    places = [row for row in (one, other) if row.byte is not None]
    first = min(places, key=lambda row: row.byte or 0, default=one)
    shares = [row.share for row in (one, other) if row.share is not None]
    return one._replace(
        often=one.often + other.often,
        share=min(sum(shares), 1.0) if shares else None,
        example=min((row.example for row in (one, other) if row.example is not None), default=None),
        byte=first.byte,
        excerpt=first.excerpt,
    )


@dataclass
class Findings:
    """Collects findings while a trace is built."""

    rows: list[_Row] = field(default_factory=list)

    def add(
        self,
        kind: str,
        count: int,
        of: int | None = None,
        example: int | None = None,
        detail: str = "",
    ) -> None:
        """Note `count` cases of `kind` out of `of`; nothing where the count is 0."""
        if count:
            severity, meaning, affects = MEANINGS[kind]
            meaning += f" ({detail})" if detail else ""
            share = count / of if of else None
            self.rows.append(
                _Row(kind, severity, int(count), share, example, None, None, meaning, affects)
            )

    def add_rows(self, kind: str, rows: pl.DataFrame, of: int) -> None:
        """Note every row of a frame with an ``id``."""
        self.add_ids(kind, rows["id"].to_numpy(), of)

    def add_ids(self, kind: str, ids: Ints, of: int) -> None:
        """Note events by their ids."""
        self.add(kind, len(ids), of, int(ids.min()) if len(ids) else None)

    def add_faults(self, faults: list[Fault]) -> None:
        """Note what was repaired in the file: of each kind how often, and where first."""
        for kind in dict.fromkeys(fault.kind for fault in faults):
            alike = [fault for fault in faults if fault.kind == kind]
            first = min(alike, key=lambda fault: fault.offset)
            severity, meaning, affects = MEANINGS[kind]
            count = sum(fault.count for fault in alike)
            place = (None, None, first.offset, first.excerpt)
            self.rows.append(_Row(kind, severity, count, *place, meaning, affects))

    def frame(self) -> pl.DataFrame:
        """The health frame, a row a kind, worst first."""
        order = {"error": 0, "warning": 1, "info": 2}
        kinds: dict[str, _Row] = {}
        for row in self.rows:
            kinds[row.kind] = _together(kinds[row.kind], row) if row.kind in kinds else row
        rows = sorted(kinds.values(), key=lambda row: (order[row.severity], -row.often, row.kind))
        return pl.DataFrame(rows, schema={c.name: c.dtype for c in HEALTH}, orient="row")
