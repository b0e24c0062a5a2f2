"""`to_dict`: a result that is more than one frame as JSON types, under a name with a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any, TypeAlias

import polars as pl

from skiptrace.archive.regressions import Regressions
from skiptrace.errors import NoTraceError
from skiptrace.measure.collectives import collectives
from skiptrace.measure.copy_bandwidth import CopyBandwidth
from skiptrace.measure.diff import Diff
from skiptrace.measure.fusion import Fusion
from skiptrace.measure.launch_floor import LaunchFloor
from skiptrace.measure.memory import Memory
from skiptrace.measure.queue_depth import QueueDepth
from skiptrace.measure.ranks import Ranks
from skiptrace.measure.stragglers import stragglers
from skiptrace.measure.summary import summary
from skiptrace.measure.tree import Tree
from skiptrace.predict.boundedness import boundedness
from skiptrace.predict.compare_sweeps import Comparison
from skiptrace.predict.critical_path import CriticalPath
from skiptrace.predict.predict_transition import PredictedTransition
from skiptrace.predict.sweep import Sweep
from skiptrace.predict.transition import Transition
from skiptrace.predict.whatif import WhatIf
from skiptrace.show.several import sentence

Result: TypeAlias = (
    Comparison | CopyBandwidth | CriticalPath | Diff | Fusion | LaunchFloor | Memory
    | PredictedTransition | QueueDepth | Ranks | Regressions | Sweep | Transition | Tree | WhatIf
)  # fmt: skip

SCHEMAS: dict[type, str] = {
    Comparison: "skiptrace.compare/1",
    CopyBandwidth: "skiptrace.copy_bandwidth/1",
    CriticalPath: "skiptrace.critical_path/1",
    Diff: "skiptrace.diff/1",
    Fusion: "skiptrace.fusion/1",
    LaunchFloor: "skiptrace.launch_floor/1",
    Memory: "skiptrace.memory/1",
    PredictedTransition: "skiptrace.predict_transition/1",
    QueueDepth: "skiptrace.queue_depth/1",
    Ranks: "skiptrace.ranks/1",
    Regressions: "skiptrace.regressions/1",
    Sweep: "skiptrace.sweep/1",
    Transition: "skiptrace.transition/1",
    Tree: "skiptrace.tree/1",
    WhatIf: "skiptrace.whatif/1",
}
"""Type of a result -> name and version of its dictionary. The version rises when a key goes away
or its meaning changes, not when one is added."""

_KEYS = {"frame": "rows", "name": "parameter"}
"""Attributes that have another key."""


def to_dict(result: Result) -> dict[str, Any]:
    """Make JSON types of a result: what ``--json`` of its command writes.

    Parameters
    ----------
    result
        What a verb returns that is no frame: a `Fusion`, `WhatIf`, `Diff`, `Sweep`, `Ranks` ...

    Returns
    -------
    dict
        ``schema``, the name and version of the rest, and a key for each attribute; frames are
        lists of rows, ``frame`` is called ``rows``. Times are integers in nanoseconds. A `Ranks`
        gives what its ranks show together.

    Raises
    ------
    NoTraceError
        It is no such result: a frame (`polars.DataFrame.to_dicts` makes rows of one), say.
    """
    schema = SCHEMAS.get(type(result))
    if schema is None:
        raise NoTraceError.no_result(result, (kind.__name__ for kind in SCHEMAS))
    parts = _ranks(result) if isinstance(result, Ranks) else _attributes(result)
    return {"schema": schema, **{_KEYS.get(key, key): _json(v) for key, v in parts.items()}}


def _attributes(result: Result) -> dict[str, Any]:
    found = {field.name: getattr(result, field.name) for field in fields(result)}
    return {**found, "change_ns": result.change_ns} if isinstance(result, Diff) else found


def _ranks(ranks: Ranks) -> dict[str, Any]:
    waits = stragglers(ranks)
    return {
        "sentence": sentence(ranks, waits),
        "steps": summary(ranks),
        "boundedness": boundedness(ranks),
        "clocks": ranks.clocks,
        "collectives": collectives(ranks),
        "stragglers": waits,
    }


def _json(value: Any) -> Any:  # noqa: ANN401  attributes of any type
    if isinstance(value, pl.DataFrame):
        # JSON has no other floats: what a writer would make null, or refuse.
        floats = pl.selectors.float()
        finite = value.with_columns(pl.when(floats.is_finite()).then(floats).name.keep())
        return finite.to_dicts()
    if is_dataclass(value):
        return {field.name: _json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, (tuple, list, pl.Series)):
        return [_json(one) for one in value]
    return value if not isinstance(value, float) or isfinite(value) else None
