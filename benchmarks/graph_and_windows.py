"""`graph` beside networkx alone, and what a step costs as the recording grows.

Usage: python benchmarks/graph_and_windows.py TRACE [ROUNDS]

`graph` of the trace is compared with a bare `add_nodes_from` and `add_edges_from` of the same data,
ready made as Python lists, in turns, the garbage collector off for both. Then the same step is
taken from made recordings of ever more steps: its time should not grow with them. All is CPU time,
medians; the first step of a recording also builds the index that later ones share.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import networkx as nx

import skiptrace as sk

SIZES = (250, 1000, 4000)
LAUNCHES = 10
"""Launches a step, each in an operator in an operator."""


def seconds(run: Callable[..., object], *given: object) -> float:
    """CPU time of one call; what it made is freed after."""
    start = time.process_time()
    made = run(*given)
    took = time.process_time() - start
    del made
    return took


def compare_graph(trace: sk.Trace, rounds: int) -> None:
    """Print the time of `graph`, and of networkx given its nodes and edges."""
    made = sk.graph(trace)
    nodes, edges = list(made.nodes(data=True)), list(made.edges(data=True))
    del made

    def bare() -> object:
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(nodes)
        graph.add_edges_from(edges)
        return graph

    gc.collect()
    gc.disable()
    pairs = [(seconds(bare), seconds(sk.graph, trace)) for _ in range(rounds)]
    gc.enable()
    alone, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"{len(nodes):,} nodes, {len(edges):,} edges, medians of {rounds}")
    print(f"networkx alone {alone:6.2f} s\ngraph          {ours:6.2f} s  {ours / alone:.2f}x\n")


def recording(steps: int) -> Iterator[dict[str, Any]]:
    """Events of a recording of so many equal steps."""
    host = {"ph": "X", "pid": 1, "tid": 1}
    device = {"ph": "X", "pid": 0, "tid": 7, "cat": "kernel", "name": "k"}
    for n in range(steps):
        at = 1000 * n
        yield host | {"cat": "user_annotation", "name": f"ProfilerStep#{n}", "ts": at, "dur": 999}
        for i in range(LAUNCHES):
            t, ids = at + 50 * i, {"correlation": LAUNCHES * n + i + 1}
            yield host | {"cat": "cpu_op", "name": "aten::linear", "ts": t, "dur": 40}
            yield host | {"cat": "cpu_op", "name": "aten::mm", "ts": t + 1, "dur": 30}
            call = {"cat": "cuda_runtime", "name": "cudaLaunchKernel", "args": ids}
            yield host | call | {"ts": t + 2, "dur": 5}
            yield device | {"ts": t + 60, "dur": 30, "args": ids | {"device": 0, "stream": 7}}


def compare_windows() -> None:
    """Print what a step costs, and a verb on one, in recordings of several sizes."""
    verbs: dict[str, Callable[[sk.Trace], object]] = {
        "graph": sk.graph,
        "tklqt": sk.tklqt,
        "summary": sk.summary,
        "idle_gaps": sk.idle_gaps,
    }
    print("milliseconds " + "".join(f"{what:>11}" for what in ("first", "step", "between", *verbs)))
    for steps in SIZES:
        trace = sk.load(list(recording(steps)))
        first = seconds(trace.step, 0)
        found: dict[str, list[float]] = {}
        for n in range(0, steps, steps // 50):
            step = trace.step(n)
            found.setdefault("step", []).append(seconds(trace.step, n))
            found.setdefault("between", []).append(seconds(trace.between, *(step.window or ())))
            for name, verb in verbs.items():
                found.setdefault(name, []).append(seconds(verb, step))
        figures = [first, *(statistics.median(took) for took in found.values())]
        print(f"{steps:>6} steps " + "".join(f"{1e3 * figure:11.2f}" for figure in figures))


def main() -> None:
    """Measure and print both."""
    compare_graph(sk.load(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
    compare_windows()


if __name__ == "__main__":
    main()
