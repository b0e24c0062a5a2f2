"""Communication kernels of several ranks: what each is, and which are one collective."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.lookup import link_to_row, rows_of
from skiptrace.model.arguments import find_arguments
from skiptrace.model.kernel_classes import is_communication
from skiptrace.model.nesting import Nest
from skiptrace.model.rounding import median_of
from skiptrace.model.schema.column import conform
from skiptrace.model.schema.several import CLOCKS
from skiptrace.model.steps import ALL, is_one_step
from skiptrace.model.trace import Trace
from skiptrace.read.rows import as_int

TYPES = {
    "allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter",
    "alltoall": "all_to_all", "sendrecv": "send_recv", "broadcast": "broadcast",
    "reduce": "reduce", "gather": "gather", "scatter": "scatter", "barrier": "barrier",
    "send": "send_recv", "recv": "send_recv",
}  # fmt: skip
"""A part of a name without underscores, of any case -> type; the first that fits."""
TOGETHER = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "barrier")
"""Types that no rank can end before every rank has begun: clocks are aligned on these."""
SIZES = {
    "byte": 1, "char": 1, "bool": 1, "float8": 1, "short": 2, "half": 2, "bfloat16": 2,
    "int": 4, "float": 4, "long": 8, "double": 8, "complexfloat": 8, "complexdouble": 16,
}  # fmt: skip
"""PyTorch's scalar type in lower case -> bytes an element; every ``float8_...`` is ``float8``."""

_TYPE = re.compile("|".join(TYPES))
_COMMS_OP = "record_param_comms"
_FIELDS: dict[str, Any] = {
    "type": pl.String, "group": pl.String, "members": pl.List(pl.Int64), "group_size": pl.Int64,
    "dtype": pl.String, "bytes": pl.Int64, "number": pl.Int64, "pair": pl.String,
}  # fmt: skip
_KEY = ("group", "type", "pair", "number", "within")


def communications(trace: Trace, rank: int) -> pl.DataFrame:
    """A row for each communication kernel, in time order, with what is recorded of it."""
    work = trace.work.filter(is_communication(trace, trace.work)).sort("start_ns", "id")
    launches = trace.whole.launches
    row = rows_of(launches["id"], work["launch"])
    found = work.select(
        "device", "stream", "start_ns", "dur_ns", "name", work="id"
    ).with_columns(
        *(link_to_row(launches[c], row).alias(c) for c in ("step", "pid", "tid")),
        link_to_row(launches["op"], row).alias("launch_op"),
        link_to_row(launches["start_ns"], row).alias("call_ns"),
        link_to_row(launches["start_ns"] + launches["dur_ns"], row).alias("return_ns"),
        rank=pl.lit(rank, pl.Int64),
    )  # fmt: skip
    if is_one_step(trace.whole.steps):  # then unlinked work has that step too
        found = found.with_columns(step=pl.lit(ALL))
    around = [found[c].fill_null(-1).to_numpy() for c in ("pid", "tid", "call_ns")]
    ops = trace.whole.ops.filter(pl.col("name") == _COMMS_OP)
    labels = trace.whole.annotations.filter(pl.col("name").str.starts_with("nccl:"))
    found = found.with_columns(
        op=link_to_row(ops["id"], Nest(ops).at(*around)),
        label=link_to_row(labels["name"], Nest(labels).at(*around)),
    )
    return found.with_columns(_described(trace, found, rank)).drop("op", "label")


def _described(trace: Trace, found: pl.DataFrame, rank: int) -> list[pl.Series]:
    """The columns of `_FIELDS`, from the arguments of kernels and of the operators around them."""
    ids = pl.concat([found["work"], found["op"].drop_nulls()]).unique().sort()
    args = dict(find_arguments(trace.whole.source, ids, None)) if len(ids) else {}
    rows = [
        _fields({**args.get(op, {}), **args.get(work, {})}, (label, name), rank)
        for work, op, label, name in found.select("work", "op", "label", "name").iter_rows()
    ]
    frame = pl.DataFrame(rows, schema=_FIELDS, orient="row")
    return frame.get_columns()


def _fields(args: dict[str, Any], names: tuple[str | None, ...], rank: int) -> tuple[Any, ...]:
    own = args.get("Collective name")
    known = [_TYPE.search(re.sub("_", "", str(name)).lower()) for name in (own, *names) if name]
    kind = next((TYPES[match.group()] for match in known if match), "other")
    ranks = args.get("Process Group Ranks")
    parts = [args.get("Process Group Name", args.get("Process Group ID")), ranks]
    group = " ".join(str(part) for part in parts if part is not None) or None
    elements = [as_int(args.get(f"{way} msg nelems")) for way in ("In", "Out")]
    dtype = args.get("dtype")
    size = SIZES.get("float8" if str(dtype).lower().startswith("float8") else str(dtype).lower())
    count = max((n for n in elements if n is not None), default=None)
    number = args.get("Seq", args.get("Comms Id"))
    pair = None
    if kind == "send_recv" and ("Src Rank" in args or "Dst Rank" in args):
        pair = f"{args.get('Src Rank', rank)} -> {args.get('Dst Rank', rank)}"
    return (
        kind,
        group,
        _members(ranks),
        as_int(args.get("Group size")),
        None if dtype is None else str(dtype),
        None if size is None or count is None else size * count,
        _signed(number),
        pair,
    )


def _signed(number: object) -> int | None:
    """An id of up to 64 bits, whichever sign it was printed with."""
    if isinstance(number, int) and 2**63 <= number < 2**64:
        number -= 2**64
    return as_int(number)


def _members(ranks: object) -> list[int] | None:
    """The ranks of a group, if all are listed: PyTorch leaves out the middle of many."""
    if not isinstance(ranks, str) or not re.fullmatch(r"\[\s*\d+(?:\s*,\s*\d+)*\s*\]", ranks):
        return None
    return [int(text) for text in re.findall(r"\d+", ranks)]


def match(traces: Mapping[int, Trace]) -> pl.DataFrame:
    """The communication kernels of all ranks, those of one collective with one ``match``.

    One collective are kernels of the same group, type and sequence number, or of a trace without
    those numbers the n-th of its group and type in a step.
    """
    found = pl.concat([communications(trace, rank) for rank, trace in traces.items()])
    found = found.with_columns(within=pl.when(pl.col("number").is_null()).then("step"))
    found = found.with_columns(place=pl.int_range(pl.len()).over("rank", *_KEY))
    key = pl.struct(*_KEY, "place")
    return found.with_columns(match=key.rank("dense").cast(pl.Int64)).drop("place", "within")


def clocks(traces: Mapping[int, Trace], found: pl.DataFrame) -> pl.DataFrame:
    """The columns of `CLOCKS`, a row a rank.

    What no rank can end before all have begun ends everywhere at nearly the same time; the median
    difference of these ends is the offset of two clocks. The rank that shares most collectives
    with one that is aligned already comes next.
    """
    ranks = list(traces)
    ends, known = _ends(found, ranks)
    shared = known.T.astype(np.int64) @ known
    offset = {0: 0}
    rows: list[tuple[object, ...]] = [(ranks[0], 0, None, 0, None, "none")]
    # The aligned rank that each shares most with, of equals the first; -1: it is aligned itself.
    partner, most = np.zeros(len(ranks), np.int64), shared[:, 0].copy()
    most[0] = -1
    while (count := int(most.max())) > 0:
        one = int(most.argmax())
        other = int(partner[one])
        both = known[:, one] & known[:, other]
        apart = np.sort(ends[both, other] - ends[both, one])
        offset[one] = offset[other] + median_of(apart)
        low, high = (apart[-(-count * share // 100) - 1] for share in (5, 95))
        rows.append((ranks[one], offset[one], int(high - low), count, ranks[other], "collectives"))
        most[one] = -1
        new = shared[:, one]
        closer = (most >= 0) & ((new > most) | ((new == most) & (one < partner)))
        partner[closer], most[closer] = one, new[closer]
    base = [trace.meta.base_time_ns for trace in traces.values()]
    # What shares none: the headers' clocks are those of their hosts.
    for one in np.flatnonzero(most >= 0).tolist():
        timed = bool(base[one] and base[0])
        apart_ns = base[one] - base[0] if timed else 0
        rows.append((ranks[one], apart_ns, None, 0, None, "unix time" if timed else "none"))
    names = [column.name for column in CLOCKS]
    return conform(pl.DataFrame(rows, schema=names, orient="row").sort("rank"), CLOCKS)


def _ends(found: pl.DataFrame, ranks: list[int]) -> tuple[Ints, Bools]:
    """When each collective of `TOGETHER` ended on each rank, and where it did."""
    together = found.filter(pl.col("type").is_in(TOGETHER))
    row = together["match"].rank("dense").cast(pl.Int64).to_numpy() - 1
    column = np.searchsorted(ranks, together["rank"].to_numpy())
    shape = (int(row.max(initial=-1)) + 1, len(ranks))
    ends, known = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    ends[row, column] = (together["start_ns"] + together["dur_ns"]).to_numpy()
    known[row, column] = True
    return ends, known
