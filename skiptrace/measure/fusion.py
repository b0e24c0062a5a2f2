"""`fusion`: chains of kernels that always follow each other, and what fusing them would save."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

from skiptrace.beside import beside, shared
from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import Bools, Ints
from skiptrace.lookup import rows_of
from skiptrace.measure.chains import Kernels, Windows, kernel_runs, spaced
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import Numbered, of_codes, op_names
from skiptrace.model.later import later
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.schema.measured import FUSION_CANDIDATES, FUSION_SAVINGS
from skiptrace.model.trace import Trace

Figures: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""Column -> the figure of each candidate."""

LENGTHS = (2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, eq=False)
class Fusion:
    """Result of `fusion`."""

    candidates: pl.DataFrame
    """Chains whose proximity reaches the threshold, by length and falling launches saved."""
    savings: pl.DataFrame
    """A row a length: how many launches remain if all its candidates are fused."""
    ranking: pl.DataFrame
    """Repeated candidates worth a look, longest forms only, by the host time they would save; their
    figures are those of fusing each alone."""

    def plot(self, *, width: int = 600) -> Any:  # noqa: ANN401  a chart of altair
        """A chart of it: `skiptrace.plot.fusion`."""
        return later("show.plots").fusion(self, width=width)


def fusion(
    trace: Trace,
    lengths: Sequence[int] = LENGTHS,
    threshold: float = 1.0,
    *,
    across_sync: bool = False,
) -> Fusion:
    """Find deterministic kernel chains and what fusing each into one kernel would save.

    A chain ``C`` is ``L`` consecutive kernel names of one device, stream and step, in launch
    order; copies and fills do not break it, a call that waits for the device does.
    ``PS(C) = f(C) / f(k1)``: how often the chain occurs (windows may overlap) over how often its
    first kernel does. At ``PS = 1`` the chain follows whenever its first kernel runs.

    Parameters
    ----------
    trace
        A trace or a window of one.
    lengths
        Chain lengths, each at least 2.
    threshold
        Least proximity score of a candidate, in (0, 1].
    across_sync
        Let chains cross calls that wait for the device.

    Returns
    -------
    Fusion
        ``candidates``, ``savings`` and ``ranking``; columns in the docs.

    Raises
    ------
    UnknownKeyError
        A length below 2, or a threshold outside (0, 1].

    Notes
    -----
    Candidates of one length that overlap are resolved from the left: of the places where any
    candidate starts, in order, each is taken that begins after the last taken one ends. An
    instance saves its kernel launches but one; kernels of a graph form chains and save nothing, as
    they share one launch already. Savings of different lengths are alternatives, not to be added.
    Chains that occur once are listed and never ranked. Of repeated chains that overlap, as the
    rotations of a loop do, the ranking has those that the same rule takes if only repeated ones
    compete. Its figures are those of fusing each chain alone, so they are not to be added either.

    Cost: a sort of the kernels for each length.

    References
    ----------
    Proximity score, ``K_fused = K_eager - sum n_C (L - 1)`` and the ideal speed-up
    ``K_eager / K_fused``: arXiv 2504.11750.
    """
    sizes = _checked(lengths, threshold)
    warn_of_doubts(trace, "fusion")
    return find_chains(trace, sizes, threshold, across_sync=across_sync)


def find_chains(
    trace: Trace, sizes: Sequence[int], threshold: float = 1.0, *, across_sync: bool = False
) -> Fusion:
    """As `fusion`, of lengths that are checked, without a word of what makes it doubtful."""
    kernels = kernel_runs(trace, across_sync=across_sync)
    eager = int((trace.launches["kernels"] > 0).sum())
    if kernels.frame.is_empty():
        nothing = [(size, 0, 0, eager, eager, None) for size in sizes]
        return Fusion(empty(FUSION_CANDIDATES), _savings(nothing), empty(FUSION_CANDIDATES))
    roots = beside(lambda: _root_names(trace, kernels))
    windows = Windows(kernels)
    windows_of = [(size, windows.of(size)) for size in sizes]
    found = shared(lambda of: _of_length(kernels, of[1], of[0], threshold), windows_of)
    rows = []
    for size, chains in zip(sizes, found, strict=True):
        fused = eager - int(chains.figures["launches_saved"].sum())
        rows.append((size, chains.unique, len(chains.first), eager, fused, eager / fused))
    names = beside(lambda: pl.concat(_names(kernels, one) for one in found))
    root_ops = _roots(roots.result(), found)
    more = pl.DataFrame({"chain": names.result(), "root_ops": root_ops})
    keep = np.concatenate([one.ranked & _is_maximal(i, found) for i, one in enumerate(found)])
    candidates, alone = (
        pl.DataFrame({name: np.concatenate([one[name] for one in parts]) for name in parts[0]})
        for parts in ([one.figures for one in found], [one.alone for one in found])
    )
    ranking = alone.hstack(more).filter(keep)
    return Fusion(
        conform(candidates.hstack(more), FUSION_CANDIDATES),
        _savings(rows),
        conform(
            ranking.sort("host_ns", "length", descending=True, maintain_order=True),
            FUSION_CANDIDATES,
        ),
    )


def _checked(lengths: object, threshold: object) -> list[int]:
    """The chain lengths, each once, ascending."""
    given: list[Any] = list(lengths) if isinstance(lengths, Iterable) else []
    if not given or not all(isinstance(n, (int, np.integer)) and n >= 2 for n in given):
        raise UnknownKeyError.of("chain lengths", lengths, ["a list of integers from 2 on"])
    if not isinstance(threshold, (int, float)) or not 0 < threshold <= 1:
        raise UnknownKeyError.of("threshold", threshold, ["a number in (0, 1]"])
    return sorted({int(n) for n in given})


@dataclass(frozen=True, eq=False)
class _Chains:
    """Candidates of one length: figures, and where each starts."""

    length: int
    unique: int
    figures: Figures
    alone: Figures
    """The same, with the instances there are if no other candidate takes any."""
    ranked: Bools
    """Whether it is repeated, and not only another repeated one begun elsewhere."""
    first: Ints
    """Where each candidate first starts."""
    starts: Ints
    """Every place where a candidate starts."""
    owner: Ints
    """Which candidate starts there."""
    windows: Ints


def _of_length(kernels: Kernels, windows: Ints, length: int, threshold: float) -> _Chains:
    places = np.flatnonzero(windows >= 0)
    which = windows[places]
    count = np.bincount(which)
    first = np.empty(len(count), np.int64)
    first[which[::-1]] = places[::-1]  # the first is written last
    first_count = kernels.counts[kernels.names[first]]
    proximity = count / first_count
    is_candidate: Bools = proximity >= threshold
    starts = places[is_candidate[which]]
    owner = (np.cumsum(is_candidate) - 1)[which[is_candidate[which]]]
    first, count = first[is_candidate], count[is_candidate]
    together = spaced(starts, length)
    # Of a loop's many rotations one stays: that which such a resolution of the repeated ones takes.
    again = np.flatnonzero(count[owner] > 1)
    ranked = np.zeros(len(first), np.bool_)
    ranked[owner[again[spaced(starts[again], length)]]] = True
    # Chain by chain: moved so far apart that those of two chains never overlap.
    by_chain = np.argsort(owner, kind="stable")
    alone = np.zeros(len(starts), np.bool_)
    alone[by_chain] = spaced((owner * (len(windows) + length) + starts)[by_chain], length)
    resolved, single = (
        _figures(kernels, starts[taken], owner[taken], length, len(first))
        for taken in (together, alone)
    )
    ranked &= single["launches_saved"] > 0
    order = np.lexsort((first, -resolved["launches_saved"]))
    common: Figures = {
        "length": np.full(len(first), length),
        "count": count,
        "first_count": first_count[is_candidate],
        "proximity": proximity[is_candidate],
    }
    resolved, single = (
        {name: values[order] for name, values in (common | figures).items()}
        for figures in (resolved, single)
    )
    return _Chains(
        length,
        len(is_candidate),
        resolved,
        single,
        ranked[order],
        first[order],
        starts,
        np.argsort(order)[owner],
        windows,
    )


def _figures(kernels: Kernels, taken: Ints, owner: Ints, length: int, chains: int) -> Figures:
    """Per candidate: its instances, and the sums over them."""
    call = kernels.frame["call_ns"].to_numpy()
    over = {name: total[taken + length] - total[taken] for name, total in kernels.running.items()}
    over["launches_saved"] = np.maximum(over["launches_saved"] - 1, 0)
    over["host_ns"] = call[taken + length - 1] - call[taken]
    return {"instances": np.bincount(owner, minlength=chains)} | {
        name: np.bincount(owner, values, minlength=chains).astype(np.int64)
        for name, values in over.items()
    }


def _names(kernels: Kernels, chains: _Chains) -> pl.Series:
    """The kernel names of each candidate."""
    if not len(chains.first):
        return pl.Series(dtype=pl.List(pl.String))
    inside = sliding_window_view(kernels.names, chains.length)[chains.first]
    return kernels.labels.gather(inside.ravel()).reshape(inside.shape).arr.to_list()


def _root_names(trace: Trace, kernels: Kernels) -> Numbered:
    """The names of the kernels' root operators."""
    names = op_names(trace.whole)
    root = names.at(rows_of(trace.whole.ops["id"], kernels.frame["root_op"]))
    return of_codes(names.different, root)


def _roots(roots: Numbered, found: list[_Chains]) -> pl.Series:
    """Root operators of each candidate over all its occurrences, by the place in the chain."""
    rows, columns, candidates = [], [], 0
    for chains in found:
        # From the last place to the first, so that what stays is where the operator first occurs.
        place = np.full((len(chains.first), len(roots.different) + 1), -1, np.int32)
        for offset in reversed(range(chains.length)):
            place[chains.owner, roots.numbers[chains.starts + offset]] = offset
        row, column = np.nonzero(place[:, :-1] >= 0)
        order = np.lexsort((place[row, column], row))  # of one place by name, as they are
        rows.append(candidates + row[order])
        columns.append(column[order])
        candidates += len(chains.first)
    names = roots.different.gather(np.concatenate(columns))
    lists = (
        pl.DataFrame({"row": np.concatenate(rows), "name": names})
        .group_by("row", maintain_order=True)
        .agg("name")
    )
    every = pl.DataFrame({"row": np.arange(candidates)})
    return every.join(lists, on="row", how="left", maintain_order="left")["name"].fill_null([])


def _is_maximal(index: int, found: list[_Chains]) -> Bools:
    """Whether no longer candidate of the same count contains the candidate."""
    short = found[index]
    count = short.figures["count"]
    if not len(count):
        return np.zeros(0, np.bool_)
    keep = np.ones(len(count), np.bool_)
    number = short.windows[short.first]
    by_number = np.argsort(number)
    for longer in found[index + 1 :]:
        again = longer.figures["count"] > 1  # only what is repeated is ranked
        if not again.any():
            continue
        inside = longer.length - short.length + 1
        held = sliding_window_view(short.windows, inside)[longer.first[again]].ravel()
        place = np.searchsorted(number, held, sorter=by_number)
        place = by_number[np.minimum(place, len(number) - 1)]
        same = number[place] == held
        outer_count = np.repeat(longer.figures["count"][again], inside)
        keep[place[same & (count[place] == outer_count)]] = False
    return keep


def _savings(rows: Sequence[tuple[int, int, int, int, int, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={c.name: c.dtype for c in FUSION_SAVINGS}, orient="row")
