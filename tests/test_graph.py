"""The dependency graph: nodes, edges, and what a window keeps."""

from __future__ import annotations

import networkx as nx
import pytest
from helpers import Event, call, fixture_path, kernel, memset, op, step

import skiptrace as sk

# Ids are places in this list.
EVENTS: list[Event] = [
    op("aten::linear", 0, 50),  # 0
    op("aten::mm", 5, 20),  # 1
    call("cudaLaunchKernel", 10, 2, 1),  # 2
    kernel(15, 30, 1, "gemm"),  # 3
    call("cudaGraphLaunch", 30, 2, 2),  # 4
    memset(45, 1, 2),  # 5
    kernel(50, 5, 2, "add"),  # 6
    kernel(47, 5, 2, "mul", stream=8),  # 7
    call("cudaLaunchKernel", 60, 2, 3, tid=2),  # 8
    kernel(70, 5, 3),  # 9
    kernel(80, 5),  # 10, unlinked
    call("cudaGetDevice", 90, 1),  # 11, launches nothing
    call("cudaLaunchKernel", 95, 2, 4),  # 12
    kernel(99, 5, 4, device=1),  # 13
]
EDGES = {
    "calls": {(0, 1)},
    "launches": {(1, 2), (0, 4)},
    "runs": {(2, 3), (4, 5), (4, 6), (4, 7), (8, 9), (12, 13)},
    "stream": {(3, 5), (5, 6), (6, 9), (9, 10)},
    "thread": {(2, 4), (4, 12)},
}


def edges(graph: nx.DiGraph, kind: str) -> set[tuple[int, int]]:
    return {(a, b) for a, b, found in graph.edges(data="kind") if found == kind}


@pytest.mark.parametrize("kind", EDGES)
def test_edges_of_each_kind(kind: str) -> None:
    assert edges(sk.graph(sk.load(EVENTS)), kind) == EDGES[kind]


def test_there_are_no_other_edges() -> None:
    assert sk.graph(sk.load(EVENTS)).number_of_edges() == sum(map(len, EDGES.values()))


def test_a_node_has_its_kind_name_times_and_row_id() -> None:
    graph = sk.graph(sk.load(EVENTS))
    assert graph.nodes[1] == {
        "kind": "op", "name": "aten::mm", "start_ns": 5000, "dur_ns": 20000, "id": 1,
    }  # fmt: skip
    kinds = dict(graph.nodes(data="kind"))
    assert {n for n in kinds if kinds[n] == "launch"} == {2, 4, 8, 12}
    assert {n for n in kinds if kinds[n] == "work"} == {3, 5, 6, 7, 9, 10, 13}
    assert 11 not in graph


def test_nodes_are_the_rows_of_the_frames_each_with_attributes_of_its_own() -> None:
    trace = sk.load(fixture_path("eager_step")).step(3)
    frames = {"op": trace.ops, "launch": trace.launches, "work": trace.work}
    rows = {kind: f.select("id", "name", "start_ns", "dur_ns") for kind, f in frames.items()}
    expected = {r["id"]: r | {"kind": k} for k, f in rows.items() for r in f.to_dicts()}
    graph = sk.graph(trace)
    assert dict(graph.nodes(data=True)) == expected
    first, *others = trace.ops["id"]
    graph.nodes[first].clear()
    assert all(graph.nodes[n] == expected[n] for n in others)


def test_it_is_acyclic_even_with_works_of_one_start_and_clock_skew() -> None:
    same = [kernel(5, 0, 1), kernel(5, 0, 1), kernel(5, 3, 2)]
    calls = [call("cudaGraphLaunch", 9, 1, 1), call("cudaLaunchKernel", 9, 0, 2)]
    graph = sk.graph(sk.load([*same, *calls, op("a", 9, 0), op("a", 9, 0)]))
    assert nx.is_directed_acyclic_graph(graph)
    assert len(edges(graph, "stream")) == 2
    assert nx.is_directed_acyclic_graph(sk.graph(sk.load(EVENTS)))


def test_a_window_is_a_graph_of_its_own_rows_alone() -> None:
    # aten::linear is open from before: context, not a node.
    graph = sk.graph(sk.load(EVENTS).between(4_000, 61_000))
    assert set(graph) == {1, 2, 3, 4, 5, 6, 7, 8, 9}
    assert edges(graph, "calls") == set()
    assert edges(graph, "launches") == {(1, 2)}
    assert edges(graph, "stream") == {(3, 5), (5, 6), (6, 9)}


def test_a_step_is_a_window() -> None:
    trace = sk.load([*EVENTS, step(1, 58, 20, tid=9)])
    assert set(sk.graph(trace.step(1))) == {8, 9}


def test_an_empty_trace_is_an_empty_graph() -> None:
    assert len(sk.graph(sk.load([]))) == 0
