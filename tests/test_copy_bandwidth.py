"""Copies and fills: bytes per second over time, by direction."""

from __future__ import annotations

import pytest
from helpers import call, fixture_paths, kernel, memcpy, memset, step

import skiptrace as sk

EVENTS = [
    step(1, 0, 10), step(2, 10, 100),
    call("cudaMemcpyAsync", 1, 1, 1),
    memcpy(10, 10, 1, "Memcpy HtoD (Pinned -> Device)", bytes=1000),
    memcpy(15, 10, 2, "Memcpy HtoD (Pinned -> Device)", bytes="3000", stream=8),
    memcpy(40, 1, 3, "Memcpy HtoD (Pageable -> Device)"),  # without bytes
    memcpy(41, 0, 4, "Memcpy DtoH (Device -> Pinned)", bytes=8),  # of no length
    memset(50, 2, 5, bytes=4096),
    kernel(60, 5, 6, bytes=77),
]  # fmt: skip


def test_rates_add_up_while_copies_overlap() -> None:
    frame = sk.copy_bandwidth(sk.load(EVENTS)).frame
    assert frame.filter(direction="HtoD").drop("device", "direction").rows() == [
        (10_000, 5_000, 1, 1e8), (15_000, 5_000, 2, 4e8),
        (20_000, 5_000, 1, pytest.approx(3e8)), (25_000, 0, 0, 0.0),
    ]  # fmt: skip
    assert frame["direction"].unique().sort().to_list() == ["HtoD", "fill"]


def test_totals_of_a_direction() -> None:
    rows = sk.copy_bandwidth(sk.load(EVENTS)).directions.drop("device").rows()
    assert rows == [
        ("DtoH", 1, 1, 0, 0, None),
        ("HtoD", 3, 1, 4000, 21_000, pytest.approx(2e8)),
        ("fill", 1, 0, 4096, 2_000, pytest.approx(2.048e9)),
    ]


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("Memcpy DtoD (Device -> Device)", "DtoD"),
        ("Memcpy PtoP (Device -> Device)", "PtoP"),
        ("MemcpyHtoD", "HtoD"),
        ("CopyHostToDevice", "HtoD"),
        ("hipMemcpyDeviceToHost", "DtoH"),
        ("memcpy htod", "HtoD"),
        ("copyBuffer", "other"),
    ],
)
def test_the_direction_is_in_the_name(name: str, direction: str) -> None:
    found = sk.copy_bandwidth(sk.load([memcpy(0, 1, 1, name, bytes=1)]))
    assert found.directions["direction"].to_list() == [direction]


def test_a_step_has_its_own_copies() -> None:
    trace = sk.load(EVENTS).step(1)
    assert sk.copy_bandwidth(trace).directions.select("direction", "bytes").rows() == [
        ("HtoD", 1000)
    ]


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.removesuffix(".json.gz"))
def test_rate_times_time_is_bytes(path: object) -> None:
    found = sk.copy_bandwidth(sk.load(path))  # type: ignore[arg-type]
    moved = (found.frame["bytes_per_s"] * found.frame["dur_ns"] / 1e9).sum()
    assert moved == pytest.approx(found.directions["bytes"].sum())
    assert (found.frame.filter(copies=0)["bytes_per_s"] == 0).all()


def test_no_copies() -> None:
    found = sk.copy_bandwidth(sk.load([kernel(0, 5)]))
    assert found.frame.is_empty()
    assert found.directions.is_empty()


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("Memcpy HtoD (Pageable -> Device)", "HtoD"), ("MemcpyH2D", "HtoD"), ("MemcpyD2D", "DtoD"),
        ("CopyDeviceToHost", "DtoH"), ("Memcpy Unknown", "other"),
    ],
)  # fmt: skip
def test_the_direction_is_told_by_the_name_whoever_wrote_it(name: str, direction: str) -> None:
    trace = sk.load([memcpy(0, 5, name=name)])
    assert sk.copy_bandwidth(trace).directions["direction"].to_list() == [direction]
