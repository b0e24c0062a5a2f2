"""What is measured, one case a process: `python benchmarks/cases.py CASE FILE` prints its figures.

Each case times one thing, after what it needs has been made ready, and prints a JSON object with
`seconds` (wall clock), `cpu` (seconds of all threads) and `peak_mb` (peak resident memory of the
whole process, mapped pages and what came before the timed part included). Imports are not timed.
"""

from __future__ import annotations

import gc
import json
import resource
import shutil
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Figures = dict[str, Any]

FRAMES = ("ops", "calls", "work", "annotations", "python", "steps", "launches")
LEFT_OUT = "python_function"
REPORT = ("tklqt", "summary", "idle_gaps", "idle_causes", "boundedness", "fusion")


BREAKDOWNS = (
    "breakdown", "step_time", "kernels", "ops", "launch_outliers", "queue_depth", "copy_bandwidth",
    "efficiency", "memory",
)  # fmt: skip


class NotThereError(Exception):
    """What the case measures does not exist in the library at hand."""


def timed(run: Callable[[], Any]) -> tuple[Any, Figures]:
    """What `run` returns, and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return result, {
        "seconds": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }


# --- loading --------------------------------------------------------------------------------------


def orjson_loads(path: Path) -> Figures:
    """`orjson.loads` alone: the bytes are in memory, the garbage collector is off."""
    import orjson

    data = path.read_bytes()
    gc.disable()
    return timed(lambda: orjson.loads(data))[1]


def load(path: Path) -> Figures:
    """From a file, or the folder of a saved trace, to all frames and links."""
    return _load(path)[1]


def _library() -> Any:
    """The library, with all that it imports on first use; polars asks `numpy.ma` of every array."""
    import numpy.ma  # noqa: F401

    import skiptrace as sk

    for name in sk.__all__:
        getattr(sk, name)
    return sk


def _load(path: Path, **options: Any) -> tuple[Any, Figures]:
    sk = _library()

    def whole() -> Any:
        trace = sk.load(path, **options)
        for name in FRAMES:
            getattr(trace, name)
        return trace

    trace, took = timed(whole)
    return trace, took | {"events": sum(len(getattr(trace, n)) for n in FRAMES[:5])}


def save(path: Path) -> Figures:
    """To a folder beside the file."""
    sk = _library()

    if not hasattr(sk.Trace, "save"):
        raise NotThereError("`Trace.save` does not exist yet")
    trace, folder = _load(path)[0], saved_folder(path)
    shutil.rmtree(folder, ignore_errors=True)
    took = timed(lambda: trace.save(folder))[1]
    files = [p for p in folder.rglob("*") if p.is_file()]
    return took | {"bytes": sum(p.stat().st_size for p in files)}


def saved_folder(path: Path) -> Path:
    """Where `save` writes."""
    return path.with_suffix(".saved")


def reload(path: Path) -> Figures:
    """The saved folder; `save` has to come before."""
    if not saved_folder(path).exists():
        raise NotThereError("nothing was saved")
    return load(saved_folder(path))


def no_python(path: Path) -> Figures:
    """All frames and links without Python frames."""
    return _load(path, without=[LEFT_OUT])[1]


# --- measuring ------------------------------------------------------------------------------------


def verbs(path: Path) -> Figures:
    """All verbs of a report on a loaded trace."""
    trace = _load(path)[0]
    return timed(lambda: [_verb(name, trace) for name in REPORT])[1]


def without_replay(path: Path) -> Figures:
    """The same verbs, of `boundedness` only the evidence, which `summary` has: no replay."""
    trace = _load(path)[0]
    names = ["summary" if name == "boundedness" else name for name in REPORT]
    return timed(lambda: [_verb(name, trace) for name in names])[1]


def breakdowns(path: Path) -> Figures:
    """Breakdowns, kernels, operators, queues and the like, and the call tree of one step."""
    sk = _library()

    trace = _load(path)[0]

    def every() -> Any:
        return [_verb(name, trace) for name in BREAKDOWNS], sk.tree(trace, -1)

    return timed(every)[1]


def _verb(name: str, trace: Any) -> Any:
    sk = _library()

    return getattr(sk, name)(trace)


def verb(name: str) -> Callable[[Path], Figures]:
    """One verb alone on a loaded trace."""

    def case(path: Path) -> Figures:
        trace = _load(path)[0]
        return timed(lambda: _verb(name, trace))[1]

    return case


def graph(path: Path) -> Figures:
    """`sk.graph` on a loaded trace."""
    trace = _load(path)[0]
    return _graph(lambda: trace)[1]


def graph_step(path: Path) -> Figures:
    """`sk.graph` of the last step, `trace.step(-1)` included."""
    trace = _load(path)[0]
    return _graph(lambda: trace.step(-1))[1]


def _graph(trace: Callable[[], Any]) -> tuple[Any, Figures]:
    sk = _library()

    made, took = timed(lambda: sk.graph(trace()))
    return made, took | {"nodes": len(made), "edges": made.number_of_edges()}


def bare_graph(path: Path) -> Figures:
    """The same nodes, edges and attributes, from lists, with the garbage collector off."""
    import networkx as nx

    trace = _load(path)[0]
    made = _graph(lambda: trace)[0]
    # A dict a node or edge, as one who builds the graph would hand over.
    nodes = [(n, dict(d)) for n, d in made.nodes(data=True)]
    edges = [(a, b, dict(d)) for a, b, d in made.edges(data=True)]
    del made

    def bare() -> Any:
        result = nx.DiGraph()
        result.add_nodes_from(nodes)
        result.add_edges_from(edges)
        return result

    gc.collect()
    gc.disable()
    return timed(bare)[1] | {"nodes": len(nodes), "edges": len(edges)}


# --- beside another tool --------------------------------------------------------------------------


def report(path: Path) -> Figures:
    """What `hta` does, ours: load, what launches cost, why the device idles."""
    sk = _library()

    def whole() -> Any:
        trace = _load(path)[0]
        return trace, sk.tklqt(trace, by="kernel"), sk.idle_causes(trace)

    return timed(whole)[1]


def hta(path: Path) -> Figures:
    """Holistic Trace Analysis: load, launch statistics, idle breakdown; nothing is drawn."""
    analysis = import_module("hta.trace_analysis")  # of an environment of its own

    def whole() -> Any:
        # By default it leaves out the last step; here both tools read the whole file.
        found = analysis.TraceAnalysis({0: str(path.resolve())}, include_last_profiler_step=True)
        launches = found.get_cuda_kernel_launch_stats(visualize=False)
        return launches, found.get_idle_time_breakdown(visualize=False)

    (launches, (idle, _)), took = timed(whole)
    if launches[0].empty or idle.empty:
        raise RuntimeError("HTA found no launches: its time would mean nothing")
    return took | {"launches": len(launches[0])}


CASES: dict[str, Callable[[Path], Figures]] = {
    case.__name__: case
    for case in (
        orjson_loads, load, save, reload, no_python, verbs, without_replay,
        breakdowns, graph, graph_step, bare_graph,
        report, hta,
    )
} | {name: verb(name) for name in REPORT}  # fmt: skip


def main() -> None:
    """Run the case that the command line names."""
    warnings.simplefilter("ignore")
    try:
        found = CASES[sys.argv[1]](Path(sys.argv[2]))
    except NotThereError as error:
        found = {"missing": str(error)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found["peak_mb"] = peak / (1e6 if sys.platform == "darwin" else 1e3)
    print("\n" + json.dumps(found))  # on a line of its own: some tools print


if __name__ == "__main__":
    main()
