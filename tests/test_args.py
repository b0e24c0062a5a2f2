"""Arguments that no frame holds are read from the source when they are asked for."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from helpers import annotation, call, event, fixture_path, kernel, op, step

import skiptrace as sk
from skiptrace.errors import ReadError

EVENTS = [
    step(1, 0, 10),
    op("a", 1, 3, **{"Input Dims": [[2, 3], []], "Sequence number": 4, "mixed": 1}),
    op("b", 12, 3, **{"Input Dims": [[5]], "Sequence number": 5, "mixed": "x"}),
    call("launch", 2, 1, 7, cbid=211),
    kernel(5, 1, 7, grid=[1, 2, 3], **{"est. achieved occupancy %": 0.5}),
    annotation("label", 1, 1),
    event("gpu_user_annotation", "label", 5, 1, grid=[9, 9, 9]),
]


@pytest.mark.parametrize(
    ("key", "rows", "dtype"),
    [
        ("Input Dims", [(1, [[2, 3], []]), (2, [[5]])], pl.List(pl.List(pl.Int64))),
        ("Sequence number", [(1, 4), (2, 5)], pl.Int64),
        ("mixed", [(1, "1"), (2, '"x"')], pl.String),
        ("grid", [(4, [1, 2, 3])], pl.List(pl.Int64)),
        ("est. achieved occupancy %", [(4, 0.5)], pl.Float64),
        ("correlation", [(3, 7), (4, 7)], pl.Int64),
    ],
)
def test_values_have_their_own_type_where_all_agree_else_json(
    key: str, rows: list[Any], dtype: pl.DataType
) -> None:
    frame = sk.load(EVENTS).args(key)
    assert frame.rows() == rows
    assert frame.schema == {"id": pl.Int64, "value": dtype}


@pytest.mark.parametrize(
    "values",
    [
        [[[1], 2], [[3], [4]]], [{"a": 1}, {"a": 2}], [[1, "x"], [2]], [None, None],
        [[{"a": 1}], [{"b": 2}]], [True, 1],
    ],
    ids=repr,
)  # fmt: skip
def test_values_of_no_common_type_come_as_json_without_loss(values: list[Any]) -> None:
    events = [op("a", i, 1, odd=value) for i, value in enumerate(values)]
    frame = sk.load(events).args("odd")
    assert frame["value"].dtype == pl.String
    assert [orjson.loads(v) for v in frame["value"]] == values


def test_all_arguments_come_as_json() -> None:
    frame = sk.load(EVENTS).args()
    assert frame["id"].to_list() == [1, 2, 3, 4]
    assert orjson.loads(frame["value"][2]) == {"correlation": 7, "cbid": 211}


def test_a_window_gives_the_arguments_of_its_own_events() -> None:
    trace = sk.load(EVENTS)
    assert trace.step(1).args("Sequence number").rows() == [(1, 4)]
    assert trace.between(12_000, 13_000).args("Sequence number").rows() == [(2, 5)]
    assert trace.step(1).args("grid")["id"].to_list() == [4]


def test_an_argument_that_nobody_has_is_an_empty_frame() -> None:
    frame = sk.load(EVENTS).args("Input Dimensions")
    assert (frame.columns, len(frame)) == (["id", "value"], 0)


def test_loading_reads_no_arguments_of_a_broken_kind() -> None:
    events: list[Any] = [op("a", 1, 1) | {"args": args} for args in ([1], "x", None, 5)]
    assert len(sk.load(events).args()) == 0


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_file_is_read_again(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    data = orjson.dumps(EVENTS)
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    assert sk.load(path).args("Sequence number").rows() == [(1, 4), (2, 5)]
    assert sk.load(path.read_bytes()).args("Sequence number").rows() == [(1, 4), (2, 5)]
    with path.open("rb") as file:
        trace = sk.load(file)
    assert trace.args("Sequence number").rows() == [(1, 4), (2, 5)]


@pytest.mark.parametrize("change", ["rewritten", "touched", "gone"])
def test_a_file_that_is_no_longer_the_one_loaded_is_an_error(tmp_path: Path, change: str) -> None:
    path = tmp_path / "trace.json"
    path.write_bytes(orjson.dumps(EVENTS))
    trace = sk.load(path)
    if change == "rewritten":
        path.write_bytes(orjson.dumps(EVENTS[1:]))
    elif change == "touched":
        os.utime(path, ns=(1, 1))
    else:
        path.unlink()
    with pytest.raises(ReadError, match=r"trace\.json"):
        trace.args("Input Dims")
    assert len(sk.tklqt(trace)) > 0  # all else needs no source


def test_arguments_of_a_real_trace() -> None:
    trace = sk.load(fixture_path("streams"))
    dims = trace.args("Input Dims")
    assert dims["id"].to_list() == trace.ops["id"].to_list()
    occupancy = trace.args("est. achieved occupancy %")
    kernels = trace.work.filter(kind="kernel")
    assert occupancy["id"].to_list() == kernels["id"].to_list()
    assert occupancy["value"].dtype == pl.Int64
