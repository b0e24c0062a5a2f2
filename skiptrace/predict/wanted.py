"""The changes that a what-if was asked for: what each applies to, and what it takes for granted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from skiptrace.errors import UnknownKeyError
from skiptrace.measure.tklqt import names_of
from skiptrace.model.trace import Trace
from skiptrace.predict import changes
from skiptrace.predict.replay import Model
from skiptrace.predict.replay_model import Recorded
from skiptrace.predict.replayed import Steps
from skiptrace.predict.roofline import RATIOS, Rooflines, rooflines
from skiptrace.predict.spans import (
    spans_of_chains,
    spans_of_modules,
    spans_of_ops,
    spans_of_steps,
)

PIECES = ("step", "op", "module")
"""What can be one graph."""
MOST = 1e6
"""No factor is larger."""


@dataclass(frozen=True, eq=False)
class Part:
    """One change."""

    apply: Callable[[Model, float], Model]
    """The model with it. The second number is a part of the likely gap inside a graph: below 1 at
    the low end of the range."""
    words: str
    """What it takes for granted."""
    applies: bool
    """Whether the trace has anything that it changes; if not, `words` say so."""


@dataclass(frozen=True)
class Wanted:
    """The changes that were asked for."""

    cuda_graph: bool | str
    fuse: int | Sequence[Sequence[str]] | None
    remove_syncs: bool | str | Sequence[str]
    host: float
    launch_floor_ns: int | None
    device: float
    kernels: Mapping[str, float]
    gpu: Mapping[str, float]

    def check(self) -> None:
        """Raise unless every value is one that its option has."""
        if self.cuda_graph not in (True, False, *PIECES):
            raise UnknownKeyError.of("cuda_graph", self.cuda_graph, ["True", "False", *PIECES])
        for key in self.gpu:
            if key not in RATIOS:
                raise UnknownKeyError.of("ratio of a GPU", key, RATIOS)
            if not self.gpu[key]:
                raise UnknownKeyError.of(f"ratio for {key}", self.gpu[key], ["a number above 0"])
        factors = [("host", self.host), ("device", self.device), *self.kernels.items()]
        for name, factor in [*factors, *self.gpu.items()]:
            number: object = factor  # whatever the caller really gave
            real = isinstance(number, (int, float)) and not isinstance(number, bool)
            if not real or not 0 <= factor < MOST:
                raise UnknownKeyError.of(f"factor for {name}", factor, ["a number from 0 on"])
        floor: object = self.launch_floor_ns
        if floor is not None and not (isinstance(floor, int) and floor >= 0):
            raise UnknownKeyError.of("launch_floor_ns", floor, ["nanoseconds from 0 on"])

    def parts(self, trace: Trace, made: Recorded, steps: Steps) -> list[Part]:
        """Each of them, in the order in which they apply."""
        every = (
            *self._times(trace, made),
            *self._gpu(trace, made),
            *self._syncs(trace, made),
            *self._bundles(trace, made, steps),
        )
        found = []
        for apply, words, otherwise in every:
            applies = _differs(apply(made.model, 1.0), made.model)
            found.append(Part(apply, words if applies else otherwise, applies))
        return found

    def _times(self, trace: Trace, made: Recorded) -> Iterator[_Ready]:
        """Times of calls and works scaled."""
        if self.host != 1:
            yield (
                lambda model, _: changes.scaled_host(model, self.host),
                f"all host time times {self.host:g}, but for waking up from waits",
                "there is no host time to scale",
            )
        if self.launch_floor_ns is not None:
            own = trace.whole.floors.ns["kernel"]
            launches = self.launch_floor_ns / own if own else 1.0
            yield (
                lambda model, _: changes.scaled_launches(made, model, launches),
                f"launch calls and launch latency scaled to a floor of {self.launch_floor_ns} ns",
                f"a launch floor of {own} ns is the trace's own"
                if own
                else "the trace has no kernel launch to take its own floor from",
            )
        if self.device != 1:
            yield (
                lambda model, _: changes.scaled_device(made, model, {"": self.device}),
                f"durations of all works times {self.device:g}; the gaps between them stay",
                "there is no work to scale",
            )
        if self.kernels:
            none = changes.unmatched(made, self.kernels)
            nothing = [f"no work is of the kind or has a name like {p!r}" for p in none]
            yield (
                lambda model, _: changes.scaled_device(made, model, self.kernels),
                "; ".join(
                    ["durations of these works scaled; the gaps between them stay", *nothing]
                ),
                "; ".join(nothing) or "no work takes another time",
            )

    def _gpu(self, trace: Trace, made: Recorded) -> Iterator[_Ready]:
        """Works on a device with other peak rates."""
        if not self.gpu:
            return
        lines: Rooflines = rooflines(trace, made)
        factor = lines.factors(self.gpu)
        yield (
            lambda model, _: changes.scaled_works(model, factor),
            lines.words(self.gpu),
            "no operator's arithmetic is known by its shapes (record_shapes=True), so what bounds "
            "a kernel is not known either"
            if not lines.known
            else "no kernel is bound by what the other device has more or less of",
        )

    def _syncs(self, trace: Trace, made: Recorded) -> Iterator[_Ready]:
        """Waits taken out."""
        if not self.remove_syncs:
            return
        given = self.remove_syncs
        names = () if given is True else (given,) if isinstance(given, str) else tuple(given)
        points, _ = changes.waits_inside(trace, made, None if given is True else names)
        nothing = "no call waits before a later launch of its step"
        if names:
            _, waiting = changes.waits_inside(trace, made)
            where = names_of(trace.whole.ops, waiting["op"]).drop_nulls().unique().sort().to_list()
            known = f" (those that do: {', '.join(where[:5])})" if where else ""
            listed = ", ".join(map(repr, names))
            nothing = f"no call in {listed} waits before a later launch of its step{known}"
        yield (
            lambda model, _: changes.without_waits(model, points),
            (
                f"{len(points):,} waits before a later launch of their step are gone, with "
                "the time of their calls; what is done with the value that they gave still works"
            ),
            nothing,
        )

    def _bundles(self, trace: Trace, made: Recorded, steps: Steps) -> Iterator[_Ready]:
        """Launches made one."""
        if self.fuse is not None:
            chains = spans_of_chains(trace, self.fuse)
            what = (
                f"no chain of {self.fuse} kernels always repeats"
                if isinstance(self.fuse, int)
                else "none of these chains of kernels occurs between two waits of a stream"
            )
            yield (
                lambda model, part: changes.bundled(made, model, chains, 0, None, longest=part < 1),
                (
                    f"{len(chains):,} fused kernels take as long as their parts, and one launch "
                    "each; no traffic saved, but at the low end of the range: there as long as "
                    "their longest part"
                ),
                f"{what}: nothing is fused",
            )
        if self.cuda_graph:
            pieces = self.cuda_graph if isinstance(self.cuda_graph, str) else "step"
            spans = (
                spans_of_ops(trace)
                if pieces == "op"
                else spans_of_modules(trace)
                if pieces == "module"
                else spans_of_steps(trace, made, steps)
            )
            gap = graph_gap(made)
            unseen = pieces == "module" and trace.whole.python.is_empty()
            yield (
                lambda model, part: changes.bundled(
                    made, model, spans, round(gap * part), trace.whole.floors.ns["kernel"]
                ),
                (
                    f"everything captured: no host time but one launch, {gap} ns between "
                    f"works, and {changes.COLD_NS} ns less for kernels that had started on an idle "
                    "device; input copies and waits inside are not counted"
                ),
                "modules are not recorded (with_stack=True)"
                if unseen
                else f"no {pieces} has several launches to capture",
            )


_Ready = tuple[Callable[[Model, float], Model], str, str]
"""A change, what it assumes, and what to say where it changes nothing."""


def graph_gap(made: Recorded) -> int:
    """Between two kernels inside a graph: as in the trace's own graphs, else as known."""
    lanes = made.lanes
    inside = ~lanes.head & lanes.linked & ~made.model.pinned
    found = (lanes.start - lanes.before)[inside]
    found = found[found >= 0]
    return round(float(np.median(found))) if len(found) else changes.GRAPH_GAP_NS


def _differs(model: Model, other: Model) -> bool:
    """Whether any number of two models of a recording is not the same."""
    if model is other:
        return False
    for one in fields(Model):
        mine, its = getattr(model, one.name), getattr(other, one.name)
        same = np.array_equal(mine, its) if isinstance(mine, np.ndarray) else mine == its
        if not same:
            return True
    return False
