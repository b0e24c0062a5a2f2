"""`advise`: the changes that would pay, ranked by what each would bring, with the place to act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from skiptrace.intervals import Ints, subtract, total
from skiptrace.lookup import link_to_row
from skiptrace.measure.activity import ThreadActivity, thread_activities
from skiptrace.measure.behaviour import launching_threads, thread_intervals
from skiptrace.measure.fusion import LENGTHS, find_chains
from skiptrace.measure.ranks import over_ranks
from skiptrace.measure.summary import median_step
from skiptrace.measure.tklqt import names_of
from skiptrace.model import categories as cats
from skiptrace.model.nesting import Nest, Thread
from skiptrace.model.schema.column import conform, empty
from skiptrace.model.schema.predicted import ADVISE
from skiptrace.model.trace import Trace
from skiptrace.predict import changes
from skiptrace.predict.critical_path import grouped, path_frame
from skiptrace.predict.doubts import warn_of_replay
from skiptrace.predict.removals import Change, removals, unblocked
from skiptrace.predict.replay_model import Recorded
from skiptrace.predict.replayed import Steps, bare_run, recorded, run_model, steps_of, wake_ns
from skiptrace.predict.spans import spans_of_chains, spans_of_steps
from skiptrace.predict.wanted import graph_gap
from skiptrace.thresholds import WORTH

LONGEST = 16
"""Chains of more kernels are layers and steps: to make those one launch is a graph's task."""
LINE = r"\.py"
"""Frames that are lines of a file, not builtins or modules."""
OWN_NS = 100_000
"""Between two operators the framework's own Python takes some ten microseconds; a stretch of this
length is the program's: a graph does not take it away."""
PLACES = 3
"""So many places of one kind of change are weighed, those with the most time first."""
FEW = 50
"""A graph is weighed where at most one in so many launches is followed by a wait."""
FASTER = 0.9
"""What is taken for a kernel that someone made faster."""
TEXTS = {
    "sync": "do not wait here: read the value later, less often, or keep it on the device",
    "copy": "copy from pinned memory with non_blocking=True, so that the call does not wait",
    "dataloader": "prepare input beside the device: workers, prefetching, less work a sample",
    "alloc": "allocate once and reuse: freeing device memory waits for the device",
    "python": "take Python out of the loop: compile it, or prepare the next step meanwhile",
    "operator": "call this operator less, do it on the device, or beside the loop",
    "cuda_graph": "capture the step as a CUDA graph (torch.cuda.graph, torch.compile with "
    "mode='reduce-overhead')",
    "fuse": "fuse this chain of kernels into one (torch.compile, a fused operator)",
    "kernel": "make this kernel faster, or call it less",
    "dependency": "let the streams run apart: this work waits for another stream",
}
"""What to do, by the kind of change."""


@over_ranks
def advise(trace: Trace) -> pl.DataFrame:
    """The changes that would pay, each weighed alone by a replay, largest gain first.

    Weighed are: waits taken out, place by place; copies that do not block; input, allocation and
    Python that cost nothing, and the operator whose host time holds most of the path; the step as a
    CUDA graph, where it hardly waits, and neither allocates nor loads input; the chain of kernels
    whose fusion saves most host time; a tenth off the kernel that takes most.

    Parameters
    ----------
    trace
        A trace or a window of one.

    Returns
    -------
    polars.DataFrame
        ``change``, ``gain_ns`` and ``gain_share`` of the median step's latency without a
        profiler, the place (``op``, ``root_op``, ``module``, ``python``) and ``advice`` in words.
        Changes that gain less than 1 % are left out; gains do not add up.

    Notes
    -----
    What a change assumes is the same as in `whatif`. Where a gain is a bound (Python or input that
    costs nothing at all), what can really be had is less.

    Warns
    -----
    TraceWarning
        As `critical_path`.
    """
    warn_of_replay(trace, "advise")
    return weighed(trace)


def weighed(trace: Trace) -> pl.DataFrame:
    """The rows of `advise`, without a word of what makes them doubtful."""
    made, steps = recorded(trace), steps_of(trace)
    if not steps.names or not made.model.threads:
        return empty(ADVISE)
    now = bare_run(trace)
    recorded_il = pl.DataFrame({"il_ns": steps.il}).with_row_index("at")
    middle = int(median_step(recorded_il)["at"].item())
    before = int(now.il[middle]) + wake_ns(made)
    rows = []
    for change, place in _candidates(trace, made, steps, middle):
        latency = int(run_model(made, steps, change(now.model)).il[middle]) + wake_ns(made)
        latency += place.pop("stays_ns", 0)
        gain = before - latency
        if gain >= WORTH * before:
            share = gain / before
            rows.append({**place, "gain_ns": gain, "gain_share": share, "latency_ns": latency})
    if not rows:
        return empty(ADVISE)
    frame = pl.DataFrame(rows, infer_schema_length=None).with_columns(before_ns=pl.lit(before))
    return conform(frame.sort(-pl.col("gain_ns"), "change", maintain_order=True), ADVISE)


def _candidates(
    trace: Trace, made: Recorded, steps: Steps, middle: int
) -> list[tuple[Change, dict[str, Any]]]:
    """Every change that applies, and its place: where most of it is in the median step."""
    activities = thread_activities(trace)
    out = removals(trace, made, activities)
    path = path_frame(trace, steps, [middle])
    points, calls = changes.waits_inside(trace, made)
    waits = _waits(trace, made, points, calls)
    stretch = _stretches(trace, activities, out)
    found = waits + stretch + _python(trace, path, out) + _operator(trace, path)
    found += _dependency(trace, path, out)
    found += _chain(trace, made) + _kernel(trace, made)
    # A graph holds no wait, no allocation and no input: few waits can be moved out of it.
    if not stretch and FEW * len(points) <= len(trace.launches):
        found += _graph(trace, made, steps, path, len(points))
    return found


def _place(change: str, text: str, **where: str | None) -> dict[str, Any]:
    none = dict.fromkeys(("op", "root_op", "module", "python"))
    return {**none, "change": change, "advice": TEXTS[text], **where}


def _waits(
    trace: Trace, made: Recorded, points: Ints, calls: pl.DataFrame
) -> list[tuple[Change, dict[str, Any]]]:
    """Waits inside steps, by the place that makes them; and copies that block."""
    if not len(points):
        return []
    whole = trace.whole
    placed = located(trace, calls).with_columns(
        point=pl.Series(points),
        copy=calls["id"].is_in(whole.launches["id"].implode()),
    )
    keys = ["copy", "op", "root_op", "module", "python"]
    groups = (
        placed.group_by(keys, maintain_order=True)
        .agg("point", took=pl.col("dur_ns").sum())
        .sort("took", descending=True, maintain_order=True)
    )
    found: list[tuple[Change, dict[str, Any]]] = []
    for row in groups.head(PLACES).iter_rows(named=True):
        where = {key: row[key] for key in keys[1:]}
        at = np.array(row["point"], np.int64)
        name = "copies that do not block" if row["copy"] else f"remove_syncs={row['op'] or True!r}"
        text = "copy" if row["copy"] else "sync"
        found.append((_without(made, at, blocks=row["copy"]), _place(name, text, **where)))
    return found


def _without(made: Recorded, points: Any, *, blocks: bool) -> Change:  # noqa: ANN401  an array of points
    return (
        (lambda m: unblocked(made, m, points))
        if blocks
        else (lambda m: changes.without_waits(m, points))
    )


def located(trace: Trace, calls: pl.DataFrame) -> pl.DataFrame:
    """Add names of the operators, module and Python frame around each call: the place to act."""
    whole = trace.whole
    at = tuple(calls[c].to_numpy() for c in ("pid", "tid", "start_ns"))
    modules = whole.python.filter(pl.col("name").str.starts_with("nn.Module"))
    # The line of the user's or a library's code, not the builtin that it calls.
    lines = whole.python.filter(pl.col("name").str.contains(LINE))
    root = calls.select(id="op").join(
        whole.ops.select("id", "root"), on="id", how="left", maintain_order="left"
    )["root"]
    frames = {"module": modules, "python": lines}
    return calls.with_columns(
        names_of(whole.ops, calls["op"]).alias("op"),
        names_of(whole.ops, root).alias("root_op"),
        *(
            names_of(frame, link_to_row(frame["id"], Nest(frame).at(*at))).alias(name)
            for name, frame in frames.items()
        ),
    )


def _stretches(
    trace: Trace, activities: Mapping[Thread, ThreadActivity], out: Mapping[str, Change]
) -> list[tuple[Change, dict[str, Any]]]:
    """Input and allocation that cost nothing; the place is where most of it is."""
    whole = trace.whole
    loads = pl.col("name").str.contains(cats.DATALOADER)
    columns = ("id", "name", "pid", "tid", "start_ns", "dur_ns")
    places = {
        "dataloader": pl.concat(
            [frame.filter(loads).select(columns) for frame in (whole.annotations, whole.ops)]
        ),
        "alloc": whole.calls.filter(pl.col("name").str.contains(cats.ALLOCATES)),
    }
    found = []
    for cause, rows in places.items():
        took = sum(total(activity.sets[cause]) for activity in activities.values())
        if not took or rows.is_empty():
            continue
        longest = rows.sort("dur_ns", descending=True, maintain_order=True).head(1)
        if "op" not in longest.columns:
            row = Nest(whole.ops).at(*(longest[c].to_numpy() for c in ("pid", "tid", "start_ns")))
            longest = longest.with_columns(link_to_row(whole.ops["id"], row).alias("op"))
        where = located(trace, longest).row(0, named=True)
        op = where["op"] if cause == "alloc" and where["op"] else longest["name"].item()
        place = {key: where[key] for key in ("root_op", "module", "python")}
        found.append((out[cause], _place(cause, cause, op=op, **place)))
    return found


def _python(
    trace: Trace, path: pl.DataFrame, out: Mapping[str, Change]
) -> list[tuple[Change, dict[str, Any]]]:
    """Python between operators; the place is the line that holds most of it on the critical path.

    Without recorded frames that is not known, and the place is the operator that follows most.
    """
    mine = path.with_columns(after=pl.col("op").shift(-1).backward_fill()).filter(
        pl.col("kind") == "python"
    )
    if mine.is_empty():
        return []
    lines = trace.whole.python.filter(pl.col("name").str.contains(LINE))
    when = mine["start_ns"].to_numpy(), mine["tid"].fill_null(-1).to_numpy()
    pid = trace.whole.launches.select("tid", "pid").unique("tid", keep="first")
    pids = mine.select("tid").join(pid, on="tid", how="left", maintain_order="left")["pid"]
    row = Nest(lines).at(pids.fill_null(-1).to_numpy(), when[1], when[0])
    mine = mine.with_columns(line=link_to_row(lines["name"], row))
    frame = grouped(mine, "line")["line"][0]
    after = None if frame else grouped(mine, "after")["after"][0]
    name = "python before this operator" if after else "python"
    return [(out["python"], _place(name, "python", python=frame, op=after))]


def _own_ns(path: pl.DataFrame) -> int:
    """Time of a step's path in long stretches of Python: the program's own, not the framework's."""
    stretches = (
        path.with_columns(stretch=(pl.col("kind") != "python").rle_id())
        .filter(pl.col("kind") == "python")
        .group_by("stretch")
        .agg(pl.col("dur_ns").sum())
    )
    return int(stretches.filter(pl.col("dur_ns") >= OWN_NS)["dur_ns"].sum())


def _dependency(
    trace: Trace, path: pl.DataFrame, out: Mapping[str, Change]
) -> list[tuple[Change, dict[str, Any]]]:
    """Streams that wait for each other; the place is the operator of the work that waits most."""
    mine = path.filter(pl.col("kind") == "dependency")
    if mine.is_empty() or trace.work["stream"].n_unique() < 2:
        return []
    op = grouped(mine, "op")["op"][0]
    return [(out["dependency"], _place("dependency", "dependency", op=op))]


def _operator(trace: Trace, path: pl.DataFrame) -> list[tuple[Change, dict[str, Any]]]:
    """The operator that holds most host time of the critical path, outside of its calls."""
    mine = path.filter((pl.col("kind") == "operator") & pl.col("op").is_not_null())
    if mine.is_empty():
        return []
    op = grouped(mine, "op")["op"][0]
    whole = trace.whole
    threads = launching_threads(trace)
    inside = thread_intervals(whole.ops.filter(pl.col("name") == op), threads)
    calls = thread_intervals(whole.calls, threads)
    sets = {thread: subtract(inside[thread], calls[thread]) for thread in threads}
    return [
        (lambda model: changes.without_host(model, sets), _place("operator", "operator", op=op))
    ]


def _graph(
    trace: Trace, made: Recorded, steps: Steps, path: pl.DataFrame, waits: int
) -> list[tuple[Change, dict[str, Any]]]:
    """Each step as a graph; the place is the operator with most host time on the path."""
    if trace.launches.filter(pl.col("step").is_not_null()).height <= 2 * len(steps.names):
        return []
    host = path.filter(pl.col("side") == "host")
    op = grouped(host, "op")["op"][0] if len(host) else None
    spans = spans_of_steps(trace, made, steps)
    gap, latency = graph_gap(made), trace.whole.floors.ns["kernel"]
    change: Change = lambda model: changes.bundled(made, model, spans, gap, latency)  # noqa: E731
    name = "cuda_graph=True" + (f", with {waits} waits moved out of it" if waits else "")
    return [(change, _place(name, "cuda_graph", op=op) | {"stays_ns": _own_ns(path)})]


def _chain(trace: Trace, made: Recorded) -> list[tuple[Change, dict[str, Any]]]:
    """The chain of kernels that saves most host time."""
    ranking = find_chains(trace, LENGTHS).ranking.filter(pl.col("length") <= LONGEST)
    if ranking.is_empty():
        return []
    best = ranking.row(0, named=True)
    spans = spans_of_chains(trace, [best["chain"]])
    change: Change = lambda model: changes.bundled(made, model, spans, 0, None)  # noqa: E731
    name = f"fuse {best['length']} kernels, {best['instances']} times"
    roots = best["root_ops"]
    return [
        (change, _place(name, "fuse", op=best["chain"][0], root_op=roots[0] if roots else None))
    ]


def _kernel(trace: Trace, made: Recorded) -> list[tuple[Change, dict[str, Any]]]:
    """Half the time for the kernel that takes most."""
    named = trace.work.drop_nulls("name")  # those without a name are not one kernel
    total = named.group_by("name").agg(pl.col("dur_ns").sum()).sort("dur_ns", "name")
    if total.is_empty():
        return []
    name = total["name"][-1]
    is_it = made.lanes.works["name"].eq(name).fill_null(value=False).to_numpy()
    change: Change = lambda model: changes.scaled_works(model, np.where(is_it, FASTER, 1.0))  # noqa: E731
    return [(change, _place(f"this kernel in {FASTER:.0%} of its time", "kernel", op=name))]
