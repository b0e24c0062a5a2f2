"""Advice: the change that pays most first, with the place to act."""

from __future__ import annotations

import polars as pl
import pytest
from helpers import Event, annotation, call, kernel, memcpy, op, python, step, trace_path

import skiptrace as sk

LAUNCH = "cudaLaunchKernel"


def waiting(frames: bool) -> list[Event]:
    """A loop that reads a value back after every kernel."""
    events: list[Event] = [step(1, 0, 2000)]
    for i in range(20):
        at = 100 * i
        events += [op("aten::mm", at, 20), call(LAUNCH, at + 5, 4, 2 * i + 1)]
        events += [kernel(at + 12, 50, 2 * i + 1)]
        events += [op("aten::item", at + 22, 60)]
        events += [op("aten::_local_scalar_dense", at + 23, 58)]
        events += [call("cudaStreamSynchronize", at + 25, 45)]
        if frames:
            events += [python("train.py(42): step", at, 99), python("nn.Module: Net_0", at + 1, 90)]
            events += [python("<built-in method item>", at + 21, 62)]
    return events


@pytest.mark.parametrize("frames", [False, True])
def test_a_wait_is_named_with_its_operators_line_and_module(frames: bool) -> None:
    first = sk.advise(sk.load(waiting(frames))).row(0, named=True)
    assert first["change"] == "remove_syncs='aten::_local_scalar_dense'"
    assert (first["op"], first["root_op"]) == ("aten::_local_scalar_dense", "aten::item")
    expected = ("nn.Module: Net_0", "train.py(42): step") if frames else (None, None)
    assert (first["module"], first["python"]) == expected
    assert "do not wait here" in first["advice"]


def test_the_gain_is_that_of_the_same_what_if() -> None:
    trace = sk.load(waiting(frames=False))
    found = sk.advise(trace)
    row = found.filter(change="remove_syncs='aten::_local_scalar_dense'").row(0, named=True)
    same = sk.whatif(trace, remove_syncs="aten::item").frame.row(0, named=True)
    assert (row["latency_ns"], row["before_ns"]) == (same["latency_ns"], same["before_ns"])
    assert row["gain_ns"] == row["before_ns"] - row["latency_ns"]
    assert found["gain_ns"].is_sorted(descending=True)
    assert (found["gain_share"] >= 0.01).all()


def test_input_is_blamed_on_its_loader() -> None:
    events = [step(1, 0, 3000)]
    for i in range(3):
        at = 1000 * i
        events += [annotation("enumerate(DataLoader)#next", at, 800), op("aten::mm", at + 810, 50)]
        events += [call(LAUNCH, at + 820, 4, i + 1), kernel(at + 827, 20, i + 1)]
    first = sk.advise(sk.load([op("begin", 0, 1), *events])).row(0, named=True)
    assert (first["change"], first["op"]) == ("dataloader", "enumerate(DataLoader)#next")


def test_a_step_of_many_small_kernels_is_to_be_a_graph() -> None:
    events = [step(1, 0, 3000)]
    for i in range(60):
        events += [op("aten::add", 50 * i, 45), call(LAUNCH, 50 * i + 5, 4, i + 1)]
        events += [kernel(50 * i + 12, 2, i + 1)]
    first = sk.advise(sk.load(events)).row(0, named=True)
    assert (first["change"], first["op"]) == ("cuda_graph=True", "aten::add")


def pausing(pause: float) -> list[Event]:
    """Launches with a pause in Python before each."""
    events: list[Event] = [step(1, 0, 20 * pause)]
    for i in range(20):
        at = pause * (i + 1) - 20
        events += [
            op("aten::mm", at, 20),
            call(LAUNCH, at + 5, 4, i + 1),
            kernel(at + 12, 5, i + 1),
        ]
        events += [python("main.py(7): work", pause * i, pause - 21)]
        events += [python("<built-in function sum>", pause * i + 1, pause - 25)]
    return [op("aten::begin", 0, 1), *events]


@pytest.mark.parametrize(("pause", "first"), [(60, "cuda_graph=True"), (500, "python")])
def test_a_graph_takes_away_pythons_short_stretches_alone(pause: float, first: str) -> None:
    found = sk.advise(sk.load(pausing(pause)))
    assert found["change"][0] == first
    row = found.filter(change="python").row(0, named=True)
    assert row["python"] == "main.py(7): work"


def test_python_without_frames_is_placed_by_what_follows_it() -> None:
    events = [event for event in pausing(500) if event["cat"] != "python_function"]
    first = sk.advise(sk.load(events)).row(0, named=True)
    assert (first["change"], first["op"]) == ("python before this operator", "aten::mm")


def test_streams_that_wait_for_each_other_are_named() -> None:
    events: list[Event] = [step(1, 0, 2000), op("aten::all", 0, 300)]
    for i in range(4):  # onto an idle device
        events += [
            call(LAUNCH, 20 * i + 1, 4, i + 1),
            kernel(20 * i + 8, 2, i + 1, stream=7 + i % 2),
        ]
    events += [op("aten::long", 100, 20), call(LAUNCH, 101, 4, 8), kernel(108, 900, 8)]
    events += [call("cudaStreamWaitEvent", 130, 2), op("aten::late", 139, 20)]
    events += [call(LAUNCH, 140, 4, 9), kernel(1010, 800, 9, stream=8)]
    rows = sk.advise(sk.load(events)).select("change", "op").rows()
    assert rows[0] == ("dependency", "aten::late")


def test_a_chain_to_fuse_is_one_that_fusion_ranks() -> None:
    trace = sk.load(trace_path("h100/gpt2_b1_s512_eager"))
    change = sk.advise(trace).filter(pl.col("change").str.starts_with("fuse"))["change"].item()
    ranked = sk.fusion(trace).ranking.select("length", "instances").rows()
    assert change in [f"fuse {length} kernels, {often} times" for length, often in ranked]


def test_a_copy_from_memory_that_is_not_pinned_is_named() -> None:
    events = [step(1, 0, 3000)]
    for i in range(6):
        at = 400 * i
        events += [op("aten::to", at, 210), call("cudaMemcpyAsync", at + 5, 200, 2 * i + 1)]
        events += [memcpy(at + 150, 50, 2 * i + 1), op("aten::mm", at + 215, 30)]
        events += [call(LAUNCH, at + 220, 4, 2 * i + 2), kernel(at + 227, 100, 2 * i + 2)]
    found = sk.advise(sk.load(events))
    assert ("copies that do not block", "aten::to") in found.select("change", "op").rows()


def test_a_trace_without_steps_to_judge_has_no_advice() -> None:
    assert sk.advise(sk.load([])).is_empty()
    assert sk.advise(sk.load([op("a", 0, 5)])).is_empty()
    assert sk.advise(sk.load([kernel(0, 5)])).is_empty()


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("cause_sync_v0", "aten::_local_scalar_dense"),
        ("cause_dataloader_v0", "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"),
        ("cause_alloc_v0", "cudaFree"),
        ("cause_copy_v0", "aten::normal_"),
        ("cause_launch_v0", "aten::add"),
        ("cause_python_v0", "aten::matmul"),
        ("cause_sleep_v0", "aten::matmul"),
    ],
)
def test_the_first_advice_on_a_labelled_trace_is_its_cause(name: str, op: str) -> None:
    assert sk.advise(sk.load(trace_path(f"h100/{name}")))["op"][0] == op


def test_kernels_without_a_name_are_not_one_kernel_to_advise_on() -> None:
    def events(name: str | None) -> list[Event]:
        calls = [call(LAUNCH, 10 * i, 2, i) for i in range(1, 9)]
        works = [kernel(100 * i, 95, i, "fast") for i in range(1, 9)]
        return [*calls, *works[:2], *({**work, "name": name} for work in works[2:])]

    places = [
        sk.advise(sk.load(events(name)))
        .filter(pl.col("change").str.starts_with("this kernel"))["op"]
        .to_list()
        for name in ("slow", None)
    ]
    assert places == [["slow"], ["fast"]]
