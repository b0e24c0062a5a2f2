"""`tree`: the calls of modules and operators as a tree, with host and device time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.intervals import Ints
from skiptrace.lookup import rows_of
from skiptrace.measure.doubt import warn_of_doubts
from skiptrace.measure.keys import numbered
from skiptrace.measure.ops import self_times, subtree
from skiptrace.model.modules import all_modules, module_frames
from skiptrace.model.nesting import Nest, ancestry
from skiptrace.model.rounding import share_of
from skiptrace.model.schema.breakdowns import TREE
from skiptrace.model.schema.column import conform
from skiptrace.model.trace import Trace


@dataclass(frozen=True, eq=False)
class Tree:
    """The result of `tree`."""

    frame: pl.DataFrame
    """A row a call path, depth first, the largest first among those of one parent."""

    @property
    def text(self) -> str:
        """A line a row, indented by depth: name, count, host and device time."""
        lines = []
        for row in self.frame.iter_rows(named=True):
            name = "  " * row["depth"] + (row["name"] or "(outside)")
            host, device = row["total_ns"] / 1e6, row["device_total_ns"] / 1e6
            lines.append(f"{name:<60} x{row['count']:<6} host {host:10.3f} ms"
                         f"  device {device:10.3f} ms")  # fmt: skip
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text


def tree(trace: Trace, step: int | str | None = None, *, min_share: float = 0.01) -> Tree:
    """The call tree: modules and operators by call path, with host and device time.

    Parameters
    ----------
    trace
        A trace or a window of one.
    step
        One step of it, as in `Trace.step`; None: all of it.
    min_share
        Paths with less than this share of both the host time and the device time are left out,
        with all under them.

    Returns
    -------
    Tree
        ``frame`` with the columns listed under "tree" in the docs (times in ns), and ``text``.

    Raises
    ------
    StepError
        No such step.
    UnknownKeyError
        `min_share` is not between 0 and 1.
    """
    if not 0 <= min_share <= 1:
        raise UnknownKeyError.of("min_share", min_share, ["a share between 0 and 1"])
    warn_of_doubts(trace, "tree")
    part = trace if step is None else trace.step(step)
    events = _events(part.ops, module_frames(part))
    nest = Nest(events)
    node, nodes = _paths(events, nest)
    frame = _figures(part, events, nest, node, nodes)
    kept = frame.filter(
        (pl.col("host_share").fill_null(0) >= min_share)
        | (pl.col("device_share").fill_null(0) >= min_share)
    )
    return Tree(conform(_depth_first(kept), TREE))


def _events(ops: pl.DataFrame, modules: pl.DataFrame) -> pl.DataFrame:
    """Operators, and calls of modules."""
    columns = ("id", "name", "start_ns", "dur_ns", "pid", "tid")
    return pl.concat(
        [
            ops.select(columns).with_columns(kind=pl.lit("operator")),
            modules.select(columns).with_columns(kind=pl.lit("module")),
        ]
    )


def _paths(events: pl.DataFrame, nest: Nest) -> tuple[Ints, pl.DataFrame]:
    """The node of each row, and the nodes: those of one parent that share name and kind are one.

    Level by level: the path of an event is the node of its parent and its own name.
    """
    parent = nest.parents()
    depth, _ = ancestry(parent)
    names, different = numbered(events["name"])
    kinds_of_name = 2 * (len(different) + 1)
    own = (names * 2 + (events["kind"] == "module").to_numpy())[nest.order]
    at_place = np.empty(len(own), np.int64)
    levels: list[tuple[Ints, Ints, Ints]] = []
    count = 0
    order = np.argsort(depth, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(depth[order])) + 1):
        if not len(places):
            continue
        above = np.where(parent[places] >= 0, at_place[parent[places]], -1)
        paths, inverse = np.unique((above + 1) * kinds_of_name + own[places], return_inverse=True)
        at_place[places] = count + inverse
        count += len(paths)
        above, code = np.divmod(paths, kinds_of_name)
        levels.append((above - 1, code, np.full(len(paths), len(levels))))
    parents, codes, depths = (
        (np.concatenate(part) for part in zip(*levels, strict=True))
        if levels else (np.empty(0, np.int64),) * 3
    )  # fmt: skip
    node = np.empty(len(own), np.int64)
    node[nest.order] = at_place
    kinds = pl.Series(["operator", "module"], dtype=pl.String)
    return node, pl.DataFrame(
        {
            "node": np.arange(count),
            "above": parents,
            "depth": depths,
            "name": pl.concat([different, pl.Series([None], dtype=pl.String)]).gather(codes // 2),
            "kind": kinds.gather(codes % 2),
        }
    )


def _figures(
    trace: Trace, events: pl.DataFrame, nest: Nest, node: Ints, nodes: pl.DataFrame
) -> pl.DataFrame:
    """Sums of each node, and a last one without a name for what was launched outside of all."""
    outside = len(nodes)
    row = nest.at(*(trace.launches[c].to_numpy() for c in ("pid", "tid", "start_ns")))
    launched = np.where(row >= 0, np.append(node, 0)[row], outside)
    work = np.append(launched, outside)[rows_of(trace.launches["id"], trace.work["launch"])]

    def sums(of: Ints, amounts: Ints) -> Ints:
        result = np.zeros(outside + 1, np.int64)
        np.add.at(result, of, amounts)
        return result

    device = sums(work, trace.work["dur_ns"].to_numpy())
    above = np.append(nodes["above"].to_numpy(), -1)
    under = subtree(above, np.append(nodes["depth"].to_numpy(), 0), device)
    frame = pl.concat([nodes, pl.DataFrame(
        [(outside, -1, 0, None, None)], schema=nodes.schema, orient="row")])  # fmt: skip
    frame = frame.with_columns(
        parent=pl.when(pl.col("above") >= 0).then("above"),
        count=pl.Series(sums(node, np.ones(len(node), np.int64))),
        total_ns=pl.Series(sums(node, events["dur_ns"].to_numpy())),
        self_ns=pl.Series(sums(node, _self_times(trace, events, nest))),
        launches=pl.Series(sums(launched, np.ones(len(launched), np.int64))),
        device_ns=pl.Series(device),
        device_total_ns=pl.Series(under),
    )
    return frame.with_columns(
        host_share=share_of(pl.min_horizontal("total_ns", pl.col("self_ns").sum()),
                            pl.col("self_ns").sum()),
        device_share=share_of(pl.col("device_total_ns"), pl.col("device_ns").sum()),
    ).filter(
        (pl.col("node") < outside) | (pl.col("launches") > 0) | (pl.col("device_ns") > 0)
    )  # fmt: skip


def _self_times(part: Trace, events: pl.DataFrame, nest: Nest) -> Ints:
    """Self time of each event; what starts inside one after the window takes it from that one."""
    if part.window is not None and len(events):
        index, after = part.whole.index, part.window[1]
        end = max(after, int((events["start_ns"] + events["dur_ns"]).max()))  # type: ignore[arg-type]
        modules = all_modules(part.whole).filter(pl.col("start_ns").is_between(after, end, "left"))
        later = _events(index.ops.between(after, end), modules)
        if len(later):
            nest = Nest(pl.concat([events, later]))
            return self_times(nest, len(events) + len(later))[: len(events)]
    return self_times(nest, len(events))


def _depth_first(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows in the order of a walk; of one parent the largest host time first, no name last."""
    ordered = frame.sort(
        pl.col("name").is_null(), -pl.col("total_ns"), -pl.col("device_total_ns"), "name", "kind"
    )
    below: dict[int | None, list[int]] = {}
    for node, parent in ordered.select("node", "parent").iter_rows():
        below.setdefault(parent, []).append(node)
    walk: list[int] = []
    waiting = list(reversed(below.get(None, [])))
    while waiting:
        walk.append(node := waiting.pop())
        waiting.extend(reversed(below.get(node, [])))
    place = pl.DataFrame({"node": walk}, schema={"node": pl.Int64}).with_row_index("place")
    return frame.join(place, on="node").sort("place")
