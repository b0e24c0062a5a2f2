"""Stretches of host time whose launches a change makes one: steps, operators, modules, chains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.measure.chains import kernel_runs
from skiptrace.measure.fusion import fusion
from skiptrace.model.nesting import Nest, ancestry
from skiptrace.model.trace import Trace
from skiptrace.predict.replay_model import Recorded
from skiptrace.predict.replayed import Steps


def spans_of_steps(trace: Trace, made: Recorded, steps: Steps) -> pl.DataFrame:
    """Each step's host time up to its last launch, on every thread of its process."""
    last = trace.launches.group_by("step").agg(end_ns=(pl.col("start_ns") + pl.col("dur_ns")).max())
    frame = pl.DataFrame(
        {
            "span": range(len(steps.names)),
            "step": steps.names,
            "pid": steps.pid,
            "start_ns": steps.start,
        }
    ).join(last, on="step", how="inner")
    threads = pl.DataFrame(
        made.model.threads, schema={"pid": pl.Int64, "tid": pl.Int64}, orient="row"
    )
    return frame.join(threads, on="pid")


def spans_of_ops(trace: Trace) -> pl.DataFrame:
    """Outermost operators with several launches."""
    several = trace.launches.group_by("root_op").len().filter(pl.col("len") > 1)
    ops = trace.whole.ops.join(several, left_on="id", right_on="root_op", how="semi")
    return ops.select(
        "pid", "tid", "start_ns", end_ns=pl.col("start_ns") + pl.col("dur_ns")
    ).with_row_index("span")


def spans_of_modules(trace: Trace) -> pl.DataFrame:
    """Modules with several launches that the outermost module calls."""
    modules = trace.whole.python.filter(pl.col("name").str.starts_with("nn.Module"))
    nest = Nest(modules)
    depth, _ = ancestry(nest.parents())
    inner: pl.DataFrame = modules[nest.order[depth == 1]]
    places = Nest(inner).at(*(trace.launches[c].to_numpy() for c in ("pid", "tid", "start_ns")))
    count = np.bincount(places[places >= 0], minlength=len(inner))
    return (
        inner.filter(pl.Series(count > 1, dtype=pl.Boolean))
        .select("pid", "tid", "start_ns", end_ns=pl.col("start_ns") + pl.col("dur_ns"))
        .with_row_index("span")
    )


def spans_of_chains(trace: Trace, wanted: int | Sequence[Sequence[str]]) -> pl.DataFrame:
    """Where chains to fuse are launched; of instances that overlap, the one on the left."""
    if isinstance(wanted, int):
        wanted = fusion(trace, (wanted,)).candidates["chain"].to_list()
    kernels = kernel_runs(trace, across_sync=False)
    frame = kernels.frame
    known = dict(zip(frame["name"].fill_null(""), kernels.names.tolist(), strict=True))
    found: list[tuple[int, int]] = []
    for chain in wanted:
        if isinstance(chain, str) or len(chain) < 2:
            raise UnknownKeyError.of("chain to fuse", chain, ["at least two kernel names"])
        fits = kernels.room >= len(chain)
        for offset, name in enumerate(chain):
            fits &= np.roll(kernels.names, -offset) == known.get(name, -1)
        found += [(place, len(chain)) for place in np.flatnonzero(fits).tolist()]
    taken, free = [], 0
    for place, length in sorted(found):
        if place >= free:
            taken.append((place, place + length - 1))
            free = place + length
    first, last = (frame["launch"].gather([one[end] for one in taken]) for end in (0, 1))
    launches = trace.launches.select(
        "id", "pid", "tid", "start_ns", end_ns=pl.col("start_ns") + pl.col("dur_ns")
    )
    spans = pl.DataFrame(
        {"first": first, "last": last}, schema={"first": pl.Int64, "last": pl.Int64}
    )
    return (
        spans.with_row_index("span")
        .join(launches, left_on="first", right_on="id", how="left", maintain_order="left")
        .drop("end_ns")
        .join(launches.select("end_ns", last="id"), on="last", how="left", maintain_order="left")
    )
