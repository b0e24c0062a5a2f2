"""What bounds each kernel, arithmetic or memory, from the shapes of its operator's inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from skiptrace.model.arguments import find_arguments
from skiptrace.model.nesting import link_to_row, rows_of
from skiptrace.model.trace import Trace
from skiptrace.predict.replay_model import Recorded

Floats = NDArray[np.float64]
RATIOS = ("flops", "bandwidth")
"""What of another device is given as a ratio: arithmetic a second, and memory traffic a second."""
NEAR_PEAK = 0.8
"""A kernel that comes so near to the best rate that its trace shows is bound by it."""
BEST = 0.9
"""The best rate is that which all but the fastest tenth of the time stays below: a few kernels read
much less than the shapes of their inputs say."""
BYTES = {
    "double": 8, "long int": 8, "long": 8, "float": 4, "int": 4, "c10::Half": 2, "c10::BFloat16": 2,
    "short int": 2, "unsigned char": 1, "signed char": 1, "bool": 1, "c10::Float8_e4m3fn": 1,
    "c10::Float8_e5m2": 1,
}  # fmt: skip
"""Type of an element, as Kineto writes it -> bytes."""
PRODUCTS = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::baddbmm": 1}
"""Operators that multiply matrices -> which of their inputs is the first factor."""


@dataclass(frozen=True, eq=False)
class Rooflines:
    """Of each work of a model: how near it comes to the best rates that the trace shows."""

    flops: Floats
    """Its arithmetic a second over the best, 0 where there is none or it is not known."""
    traffic: Floats
    """Its bytes a second over the best; 1 where they are not known: taken to be memory-bound."""
    known: bool
    """Whether the trace has shapes at all."""
    assumed: float
    """Share of kernel time that is taken to be memory-bound."""

    def factors(self, ratios: Mapping[str, float]) -> Floats:
        """Factors on durations where the peak rates are so many times what they were."""
        if not self.known:
            return np.ones(len(self.flops))
        faster, wider = (float(ratios.get(name, 1.0)) for name in RATIOS)
        bound = np.where(self.flops > self.traffic, 1 / faster, 1 / wider)
        # What is bound by neither gets no faster, and slower only where a peak falls below it.
        free = np.maximum(1.0, np.maximum(self.flops / faster, self.traffic / wider))
        found: Floats = np.where(np.maximum(self.flops, self.traffic) >= NEAR_PEAK, bound, free)
        return found

    def words(self, ratios: Mapping[str, float]) -> str:
        """What it takes for granted."""
        given = " and ".join(
            f"{ratios[name]:g} times the {name}" for name in RATIOS if name in ratios
        )
        return (
            f"a device of {given}: kernels within {1 - NEAR_PEAK:.0%} of the best rate seen scale "
            "by what bounds them, others stay; bytes are those of shapes, counted once; "
            f"{self.assumed:.0%} of kernel time has no shapes and is taken to be memory-bound"
        )


def rooflines(trace: Trace, made: Recorded) -> Rooflines:
    """Rates of each operator's works against the best of the recording.

    Parameters
    ----------
    trace
        A trace or a window of one; read again for shapes, which no frame holds.
    made
        Its model.

    References
    ----------
    Williams, Waterman, Patterson, "Roofline", 2009.
    """
    whole, works = trace.whole, made.lanes.works
    row = rows_of(whole.launches["id"], works["launch"])
    op = link_to_row(whole.launches["op"], row)
    linked = op.is_not_null()
    asked = op.filter(linked).unique().sort()
    names = dict(whole.ops.filter(pl.col("id").is_in(asked.implode())).select("id", "name").rows())
    facts = [
        (i, *_cost(names[i], args))
        for i, args in find_arguments(whole.source, asked, None)
        if args.get("Input Dims") is not None
    ]
    table = pl.DataFrame(
        facts, schema={"op": pl.Int64, "flops": pl.Float64, "bytes": pl.Float64}, orient="row"
    )
    kernels = works.select("kind", "dur_ns", op=op)
    took = kernels.group_by("op").agg(took=pl.col("dur_ns").sum())
    rates = (
        kernels.join(table, on="op", how="left", maintain_order="left")
        .join(took, on="op", how="left", maintain_order="left")
        .with_columns(pl.col("flops", "bytes") / pl.col("took").clip(1))
    )
    dur = rates["dur_ns"].to_numpy()
    flops, traffic = (
        _of_best(rates[name].cast(pl.Float64).fill_null(float("nan")).to_numpy(), dur)
        for name in ("flops", "bytes")
    )
    unknown = np.isnan(traffic)
    copies = (rates["kind"] == "memcpy").to_numpy()
    traffic = np.where(copies, 0.0, np.where(unknown, 1.0, traffic))  # a copy's way is the bus
    flops = np.where(copies | np.isnan(flops), 0.0, flops)
    assumed = float(dur[unknown & ~copies].sum() / max(dur[~copies].sum(), 1))
    return Rooflines(flops, traffic, bool(facts), assumed)


def _of_best(rate: Floats, dur: NDArray[np.int64]) -> Floats:
    """Each rate over the best, at most 1."""
    seen = np.flatnonzero(rate > 0)
    if not len(seen):
        return rate
    order = seen[np.argsort(rate[seen], kind="stable")]
    done = np.cumsum(dur[order])
    best = rate[order[np.searchsorted(done, BEST * done[-1])]]
    found: Floats = np.minimum(rate / best, 1.0)
    return found


def _cost(name: str, args: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Arithmetic operations and bytes of an operator; None where its arguments do not tell."""
    dims, types = args.get("Input Dims"), args.get("Input type")
    strides = args.get("Input Strides") or [None] * len(dims or ())
    if not isinstance(dims, list) or not isinstance(types, list) or len(types) != len(dims):
        return None, None
    sizes = []
    for shape, kind, stride in zip(dims, types, strides, strict=False):
        if isinstance(shape, list) and shape and kind in BYTES:
            sizes.append(BYTES[kind] * _elements(shape, stride))
        elif isinstance(shape, list) and shape and kind != "ScalarList":
            return None, None  # a list of tensors, or an unknown type
    if not sizes:
        return None, None
    flops, out = args.get("flops"), float(max(sizes))
    if (first := PRODUCTS.get(name)) is not None and len(dims) > first + 1:
        left, right = dims[first], dims[first + 1]
        if len(left) >= 2 and len(right) >= 2:
            flops = flops or 2.0 * math.prod(left) * right[-1]
            out = float(BYTES[types[first]] * math.prod(left[:-1]) * right[-1])
    # In place: the first input is the output. Else it is taken to be as large as the largest input.
    return (None if flops is None else float(flops)), sum(sizes) + (
        0.0 if name[-1:] == "_" else out
    )


def _elements(shape: Sequence[int], stride: Sequence[int] | None) -> int:
    """How many different elements a tensor has: those of a stride of 0 are one."""
    kept = [n for n, s in zip(shape, stride or [1] * len(shape), strict=False) if s]
    return math.prod(kept)
