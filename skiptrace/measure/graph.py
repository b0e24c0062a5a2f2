"""`graph`: operators, launches and works as a networkx graph that people hold and walk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from skiptrace.model.trace import Trace
from skiptrace.read.decode import no_gc

if TYPE_CHECKING:
    import networkx as nx


def graph(trace: Trace) -> nx.DiGraph[int]:
    """The dependency graph of a trace or, for a large one, of a step: ``graph(trace.step(3))``.

    Parameters
    ----------
    trace
        A trace or a window of one; a window costs what it holds, not what the trace holds.

    Returns
    -------
    networkx.DiGraph
        Nodes are the ``id`` of rows of ``trace.ops``, ``trace.launches`` and ``trace.work``, with
        attributes ``kind`` (``op``, ``launch`` or ``work``), ``name``, ``start_ns``, ``dur_ns``
        and ``id``. Edges carry ``kind``: ``calls`` (op to op), ``launches`` (op to launch),
        ``runs`` (launch to work), ``stream`` (work to the next work that starts on its stream) and
        ``thread`` (launch to the next launch of its thread). The graph has no cycle: an edge leads
        down the nesting, or on in time.

    Notes
    -----
    Operators that were open when a window began are not nodes. Building is linear in nodes and
    edges.
    """
    import networkx as nx

    result: nx.DiGraph[int] = nx.DiGraph()
    inside = trace.ops.select(parent="id")
    calls = trace.ops.select("parent", "id").join(inside, on="parent", how="semi")
    launched = trace.launches.select(parent="op", id="id").join(inside, on="parent", how="semi")
    runs = trace.work.filter(pl.col("launch").is_not_null()).select("launch", "id")
    stream = _successive(trace.work, ["device", "stream"])
    thread = _successive(trace.launches, ["pid", "tid"])
    with no_gc():  # it would walk millions of fresh, reachable dicts again and again
        _add_nodes(result, {"op": trace.ops, "launch": trace.launches, "work": trace.work})
        for kind, pairs in (
            ("calls", calls),
            ("launches", launched),
            ("runs", runs),
            ("stream", stream),
            ("thread", thread),
        ):
            result.add_edges_from(zip(*(c.to_list() for c in pairs), strict=True), kind=kind)
    return result


def _add_nodes(empty: nx.DiGraph[int], frames: dict[str, pl.DataFrame]) -> None:
    """Add the nodes first, then write the attributes where they are to stay.

    Nodes given with a dict each would have it copied twice, by way of an exception.
    """
    for kind, frame in frames.items():
        empty.add_nodes_from(frame["id"].to_list(), kind=kind)
    rows = pl.concat([f.select("name", "start_ns", "dur_ns") for f in frames.values()])
    known: dict[str, str] = {}  # few names, so one object for each
    for (node, attributes), name, start, dur in zip(
        empty.nodes.data(), *(c.to_list() for c in rows), strict=True
    ):
        attributes["name"] = known.setdefault(name, name)
        attributes["start_ns"] = start
        attributes["dur_ns"] = dur
        attributes["id"] = node


def _successive(frame: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    """Pairs of ids that follow each other in a group, by start and then file order."""
    return (
        frame.sort(*group, "start_ns", "id")
        .select(pl.col("id").shift(1).over(group).alias("before"), "id")
        .filter(pl.col("before").is_not_null())
    )
