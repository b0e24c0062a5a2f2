"""Modules around moments and operators, of Python frames or of what operators say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from helpers import Event, call, kernel, op, python, step

import skiptrace as sk
from skiptrace.model.modules import all_modules, module_path

TOP = "TOP(C)::forward."
A, B = f"{TOP}A0(A)::forward.", f"{TOP}SELF(C)::call_b.B0(B)::forward."


@pytest.mark.parametrize(
    ("hierarchy", "path"),
    [
        # The first three are what PyTorch's own test of with_modules expects.
        (A, ["TOP(C)", "TOP(C).A0(A)"]),
        (f"{A}SELF(A)::forward_impl_.SELF(A)::my_new_method.", ["TOP(C)", "TOP(C).A0(A)"]),
        (B, ["TOP(C)", "TOP(C).B0(B)"]),
        ("TOP(N)::forward.0(S)::f.1(S)::f", ["TOP(N)", "TOP(N).0(S)", "TOP(N).0(S).1(S)"]),
        (f"{TOP}CALL_FUNCTION::relu.", ["TOP(C)"]),
        ("TOP()::main.", []),
        (f"{TOP}INSTANCE_NAME_UNKNOWN(D)::run.", ["TOP(C)", "TOP(C).INSTANCE_NAME_UNKNOWN(D)"]),
        (f"{TOP}::helper.", ["TOP(C)"]),
        ("", []),
        ("no modules at all", []),
    ],
)  # fmt: skip
def test_the_modules_of_a_hierarchy(hierarchy: str, path: list[str]) -> None:
    assert list(module_path(hierarchy)) == path


def scripted(name: str, ts: Any, dur: Any, hierarchy: str | None = None, tid: int = 1) -> Event:
    return op(name, ts, dur, tid, **({} if hierarchy is None else {"Module Hierarchy": hierarchy}))


EVENTS = [
    step(1, 0, 100), step(2, 100, 100),
    scripted("aten::sub", 5, 10, A),  # alone as long as its module
    scripted("aten::add", 20, 10, B),
    scripted("aten::relu", 32, 8, B),
    scripted("aten::linear", 50, 30, A),
    scripted("aten::addmm", 55, 10),  # where its parent is
    call("cudaLaunchKernel", 57, 2, 1), kernel(60, 9, 1),
    scripted("aten::mul", 66, 10, f"{A}inner(I)::forward."),
    call("cudaLaunchKernel", 67, 2, 2), kernel(70, 4, 2),
    call("cudaLaunchKernel", 90, 2, 3), kernel(95, 1, 3),
    scripted("aten::sub", 110, 5, A), scripted("aten::stray", 120, 5),
    scripted("aten::sub", 130, 5, A), scripted("aten::sub", 40, 5, B, tid=2),
]  # fmt: skip
CALLS = [
    ("TOP(C)", 5, 75, 1), ("TOP(C)", 40, 5, 2), ("TOP(C)", 110, 5, 1), ("TOP(C)", 130, 5, 1),
    ("TOP(C).A0(A)", 5, 10, 1), ("TOP(C).A0(A)", 50, 30, 1), ("TOP(C).A0(A)", 110, 5, 1),
    ("TOP(C).A0(A)", 130, 5, 1), ("TOP(C).A0(A).inner(I)", 66, 10, 1),
    ("TOP(C).B0(B)", 20, 20, 1), ("TOP(C).B0(B)", 40, 5, 2),
]  # fmt: skip


def test_operators_in_one_module_behind_each_other_are_one_call_of_it() -> None:
    found = all_modules(sk.load(EVENTS).whole).sort("name", "start_ns")
    rows = found.select("name", pl.col("start_ns", "dur_ns") // 1000, "tid").rows()
    assert rows == CALLS


def test_the_tree_has_a_level_a_module() -> None:
    frame = sk.tree(sk.load(EVENTS), 1, min_share=0).frame
    rows = frame.select(
        "depth", "name", "kind", "count", pl.col("total_ns") // 1000, "launches"
    ).rows()
    assert rows == [
        (0, "TOP(C)", "module", 2, 80, 0),
        (1, "TOP(C).A0(A)", "module", 2, 40, 0),
        (2, "aten::linear", "operator", 1, 30, 0),
        (3, "aten::addmm", "operator", 1, 10, 1),
        (3, "TOP(C).A0(A).inner(I)", "module", 1, 10, 0),
        (4, "aten::mul", "operator", 1, 10, 1),
        (2, "aten::sub", "operator", 1, 10, 0),
        (1, "TOP(C).B0(B)", "module", 2, 25, 0),
        (2, "aten::add", "operator", 1, 10, 0),
        (2, "aten::relu", "operator", 1, 8, 0),
        (2, "aten::sub", "operator", 1, 5, 0),
        (0, None, None, 0, 0, 1),
    ]


def test_operators_and_kernels_by_module() -> None:
    trace = sk.load(EVENTS)
    own = sk.ops(trace, by="module").select("module", "count", pl.col("self_ns") // 1000)
    assert {module: (count, own_us) for module, count, own_us in own.rows()} == {
        "TOP(C).A0(A)": (5, 10 + 30 - 10 + 10), "TOP(C).B0(B)": (3, 23),
        "TOP(C).A0(A).inner(I)": (1, 10), None: (1, 5),
    }  # fmt: skip
    ran = sk.kernels(trace, by="module").select("module", "kernel_ns").rows()
    assert ran == [("TOP(C).A0(A)", 9000), ("TOP(C).A0(A).inner(I)", 4000), (None, 1000)]


def test_a_step_has_the_calls_that_start_in_it_and_a_saved_trace_the_same(tmp_path: Path) -> None:
    trace = sk.load(EVENTS)
    trace.save(tmp_path / "saved")
    for one in (trace, sk.load(tmp_path / "saved")):
        frame = sk.tree(one.step(2), min_share=0).frame.filter(kind="module")
        assert frame.select("name", "count").rows() == [("TOP(C)", 2), ("TOP(C).A0(A)", 2)]


def test_python_frames_of_modules_go_before_what_operators_say() -> None:
    trace = sk.load([*EVENTS, python("nn.Module: Net_0", 1, 50)])
    assert all_modules(trace.whole)["name"].to_list() == ["Net_0"]
    assert sk.ops(trace, by="module")["module"].to_list() == ["Net_0", None]


@pytest.mark.parametrize("value", [5, None, ["TOP(C)::forward."], "", "TOP("])
def test_what_is_no_hierarchy_is_no_module(value: Any) -> None:
    trace = sk.load([op("a", 1, 5, **{"Module Hierarchy": value})])
    assert all_modules(trace.whole).is_empty()
    assert sk.ops(trace, by="module")["module"].to_list() == [None]
