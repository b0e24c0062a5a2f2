"""What a file says of itself, whoever wrote it and however; a field of an odd type is absent."""

from __future__ import annotations

import io
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import orjson
import pytest
from helpers import Event, fixture_path, op

import skiptrace as sk
from skiptrace.model.meta import Meta

HEADER: Event = {
    "schemaVersion": 1,
    "deviceProperties": [{"id": 0, "name": "H100"}, {"id": "1", "name": "H200"}, {"id": 2}],
    "distributedInfo": {"backend": "nccl", "rank": 0, "world_size": 8},
    "cuda_runtime_version": 13000,
    "with_stack": 1,
    "record_shapes": 0,
    "baseTimeNanoseconds": 1790857026000000000,
}
THREAD = {"ph": "M", "name": "thread_name", "pid": 1, "tid": 7, "args": {"name": "main"}}


def meta(header: Event, *events: Any) -> Meta:
    return sk.load({**header, "traceEvents": list(events)}).meta


def test_the_header_is_read() -> None:
    found = meta(HEADER, op("a", 1, 1), THREAD, {"ph": "M", "name": "process_name", "pid": 1})
    assert found.devices == {0: "H100", 1: "H200", 2: ""}
    assert (found.rank, found.world_size, found.backend) == (0, 8, "nccl")
    assert found.base_time_ns == 1790857026000000000
    assert found.versions == {"schemaVersion": 1, "cuda_runtime_version": 13000}
    assert found.options == {"with_stack": True, "record_shapes": False}
    assert found.threads == {(1, 7): "main"}
    assert found.header == HEADER
    assert (found.source, found.events) == ("<decoded>", 3)


@pytest.mark.parametrize("header", [{}, {"other": 1}])
def test_without_a_header_nothing_is_made_up(header: Event) -> None:
    found = meta(header)
    assert (found.rank, found.world_size, found.backend, found.base_time_ns) == (
        None,
        None,
        None,
        0,
    )
    assert (found.devices, found.versions, found.options, found.threads) == ({}, {}, {}, {})


@pytest.mark.parametrize(
    "odd", [None, 5, "text", [], [1], {}, {"rank": []}, [{}], [{"id": None}], 1.5]
)
def test_a_field_of_an_odd_type_is_absent(odd: Any) -> None:
    found = meta({"deviceProperties": odd, "distributedInfo": odd, "baseTimeNanoseconds": "soon"})
    assert (found.devices, found.rank, found.base_time_ns) == ({}, None, 0)


@pytest.mark.parametrize(
    "odd",
    [{"args": None}, {"args": {}}, {"pid": [1]}, {"tid": None}, {"name": None}],
)
def test_odd_metadata_events_do_no_harm(odd: Event) -> None:
    assert set(meta({}, THREAD | odd, THREAD | {"tid": "stream 7"}).threads) >= {(1, "stream 7")}


def test_numbers_may_be_written_as_text() -> None:
    found = meta({"distributedInfo": {"rank": "3"}, "baseTimeNanoseconds": "1700000000000000000"})
    assert (found.rank, found.base_time_ns) == (3, 1_700_000_000_000_000_000)


def test_the_source_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(b"[]")
    assert sk.load(path).meta.source == str(path)
    assert sk.load(b"[]").meta.source == "<bytes>"
    assert sk.load(io.BytesIO(b"[]")).meta.source == "<file>"
    with path.open("rb") as file:
        assert sk.load(file).meta.source == str(path)


def test_meta_stays_with_windows_and_cannot_be_changed() -> None:
    trace = sk.load([op("a", 1, 1)])
    assert trace.between(0, 5).meta is trace.meta
    with pytest.raises(FrozenInstanceError):
        trace.meta.rank = 1  # type: ignore[misc]


def test_start_plus_base_time_is_unix_time() -> None:
    text = orjson.dumps({"traceEvents": [op("a", "1.5", 1)], "baseTimeNanoseconds": 10**18})
    trace = sk.load(text)
    assert trace.meta.base_time_ns + trace.ops["start_ns"][0] == 10**18 + 1500


@pytest.mark.parametrize(
    ("name", "device", "version"),
    [
        ("eager_step", "NVIDIA H100 80GB HBM3", "cupti_version"),
        ("legacy_2021", "Tesla V100-DGXS-32GB", "schemaVersion"),
        ("rocm", "", "roctracer_version"),
    ],
)
def test_meta_of_real_traces(name: str, device: str, version: str) -> None:
    found = sk.load(fixture_path(name)).meta
    assert found.devices[0] == device
    assert version in found.versions


def test_the_rank_of_a_real_trace() -> None:
    found = sk.load(fixture_path("no_device")).meta
    assert (found.rank, found.world_size, found.backend) == (34, 300, "gloo")
