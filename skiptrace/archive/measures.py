"""What is measured of each trace: verbs by name and callables, and when they are the same."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import polars as pl

from skiptrace.errors import ArchiveError, UnknownKeyError
from skiptrace.measure.breakdown import breakdown
from skiptrace.measure.copy_bandwidth import copy_bandwidth
from skiptrace.measure.efficiency import efficiency
from skiptrace.measure.fusion import fusion
from skiptrace.measure.idle_gaps import idle_gaps
from skiptrace.measure.kernels import kernels
from skiptrace.measure.launch_outliers import launch_outliers
from skiptrace.measure.memory import memory
from skiptrace.measure.ops import ops
from skiptrace.measure.queue_depth import queue_depth
from skiptrace.measure.sm_efficiency import sm_efficiency
from skiptrace.measure.step_time import step_time
from skiptrace.measure.summary import summary
from skiptrace.measure.tklqt import tklqt
from skiptrace.measure.top_kernels import top_kernels
from skiptrace.measure.tree import tree
from skiptrace.model.schema import FRAMES
from skiptrace.model.schema.archived import COMMON, FAILURES, REGRESSIONS, TRACES
from skiptrace.model.trace import Trace
from skiptrace.predict.advise import advise
from skiptrace.predict.boundedness import boundedness
from skiptrace.predict.critical_path import critical_path
from skiptrace.predict.idle_causes import idle_causes

RESULTS = 1
"""Raised whenever a corrected formula gives other figures: archives then measure again."""


class _Verb(NamedTuple):
    function: Callable[[Trace], Any]
    frame: str = ""
    """Which of its frames is its table, where it has several."""
    schema: str = ""
    """The name of that in the schema, where it is not the verb's."""


_VERBS = {
    verb.function.__name__: verb
    for verb in (
        _Verb(advise), _Verb(boundedness), _Verb(breakdown), _Verb(copy_bandwidth, "frame"),
        _Verb(critical_path, "frame"), _Verb(efficiency),
        _Verb(fusion, "savings", "fusion_savings"), _Verb(idle_causes), _Verb(idle_gaps),
        _Verb(kernels), _Verb(launch_outliers), _Verb(memory, "peaks", "memory_peaks"),
        _Verb(ops, "", "op_times"), _Verb(queue_depth, "streams", "queue_streams"),
        _Verb(sm_efficiency), _Verb(step_time), _Verb(summary), _Verb(tklqt), _Verb(top_kernels),
        _Verb(tree, "frame"),
    )
}  # fmt: skip
VERBS = tuple(_VERBS)
"""Names of verbs that `scan` knows."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]*\Z")
_RESERVED = ("traces", "failures")


@runtime_checkable
class Measure(Protocol):
    """What makes a frame of a trace: a verb, with options or not, or a function of one's own."""

    def __call__(self, trace: Trace, /) -> pl.DataFrame:
        """Measure a trace."""


Measures: TypeAlias = str | Measure | Iterable[str | Measure] | Mapping[str, str | Measure]


class Wanted(NamedTuple):
    """A table to be made."""

    name: str
    function: Measure | None
    """None for a verb, which a worker has itself."""
    verb: str
    identity: str
    """Other than before where the function or the columns of the verb are."""

    def frame(self, trace: Trace) -> pl.DataFrame:
        """What it gives for a trace."""
        if self.function is not None:
            return self.function(trace)
        verb = _VERBS[self.verb]
        found = verb.function(trace)
        frame: pl.DataFrame = getattr(found, verb.frame) if verb.frame else found
        return frame


def find_measures(given: Measures) -> tuple[Wanted, ...]:
    """The tables of a scan, each with a name of its own.

    Raises
    ------
    ArchiveError
        None, one without a usable name, two of one name, or something that cannot be called.
    UnknownKeyError
        No verb of that name.
    """
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        one = isinstance(given, str) or callable(given)
        pairs = [(_name_of(m), m) for m in ([given] if one else given)]  # type: ignore[union-attr]
    if not pairs:
        raise ArchiveError.measures(given, "a scan needs one at least, such as 'summary'")
    made: dict[str, Wanted] = {}
    for name, measure in pairs:
        if not isinstance(name, str) or not _NAME.match(name) or name in _RESERVED:
            reason = (
                f"{name!r} is no name of a table (letters, digits, - and _; not 'traces' or "
                "'failures'): give it one with a mapping, {'name': measure}"
            )
            raise ArchiveError.measures(given, reason)
        if name in made:
            raise ArchiveError.measures(given, f"two are named {name!r}: give a mapping with names")
        made[name] = _wanted(name, measure)
    return tuple(made.values())


def _name_of(measure: object) -> object:
    while isinstance(measure, partial):
        measure = measure.func
    return measure if isinstance(measure, str) else getattr(measure, "__name__", measure)


def _wanted(name: str, measure: object) -> Wanted:
    if isinstance(measure, str):
        if measure not in _VERBS:
            raise UnknownKeyError.of("measure", measure, VERBS)
        return Wanted(name, None, measure, _hash(RESULTS, measure, _columns(measure)))
    if not isinstance(measure, Measure):
        reason = f"a {type(measure).__name__} is neither the name of a verb nor a function"
        raise ArchiveError.measures(measure, reason)
    return Wanted(name, measure, "", _hash(RESULTS, *_said_of(measure)))


def _columns(verb: str) -> list[tuple[str, str]]:
    schema = _VERBS[verb].schema or verb if verb else ""
    return [(c.name, str(c.dtype)) for c in FRAMES.get(schema, ())]


def _said_of(measure: object, around: tuple[object, ...] = ()) -> list[object]:
    """What tells a callable from another: its code, and what it was given; not what it calls."""
    around = (*around, measure)

    def given(value: object) -> object:
        if isinstance(value, (set, frozenset)):
            return sorted(map(repr, value))
        if not callable(value) or any(value is one for one in around):
            return value
        return _said_of(value, around)

    if isinstance(measure, partial):
        keywords = [(name, given(value)) for name, value in sorted(measure.keywords.items())]
        return ["partial", given(measure.func), *map(given, measure.args), keywords]
    named = (getattr(measure, "__module__", ""), getattr(measure, "__qualname__", ""))
    verb = getattr(measure, "__name__", "")
    if verb in _VERBS and measure is _VERBS[verb].function:
        return [*named, _columns(verb)]
    if inspect.isroutine(measure):
        cells = [given(cell.cell_contents) for cell in getattr(measure, "__closure__", None) or ()]
        defaults = [getattr(measure, name, None) for name in ("__defaults__", "__kwdefaults__")]
        bound = _said_of(measure.__self__) if inspect.ismethod(measure) else []
        return [*named, _text(measure), defaults, cells, bound]
    try:
        state = pickle.dumps(measure)
    except Exception:  # noqa: BLE001  an object that only threads can be given
        state = b""
    return [type(measure).__qualname__, _text(type(measure)), state]


def _text(code: Any) -> object:  # noqa: ANN401  a function or a class
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        compiled = getattr(code, "__code__", None)
        return (compiled.co_code, compiled.co_names, compiled.co_consts) if compiled else ""


def _hash(*said: object) -> str:
    """A name for it, the same in every process."""
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(said))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_labels(labels: Iterable[str], measures: Iterable[Wanted]) -> None:
    """Raise where a label has the name of a column that a table has already.

    Raises
    ------
    ArchiveError
        It has; names the table.
    """
    names = set(labels)
    fixed = {"every table": COMMON, "archive.traces": TRACES, "archive.failures": FAILURES,
             "regressions()": REGRESSIONS}  # fmt: skip
    for table, columns in fixed.items():
        if taken := names & {c.name for c in columns}:
            raise ArchiveError.taken(taken, table)
    for wanted in measures:
        if taken := names & {name for name, _ in _columns(wanted.verb)}:
            raise ArchiveError.taken(taken, f"the table {wanted.name!r}")
