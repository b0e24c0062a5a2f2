"""Kernels by any key: counts, times, classes, modules, shapes and geometry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import call, fixture_paths, kernel, memcpy, op, python, step, trace_path

import skiptrace as sk
from skiptrace.errors import UnknownKeyError
from skiptrace.model.kernel_classes import CLASSES, OTHER, classes_of

DIMS = {"Input Dims": [[4, 4], [4, 4]]}
GEOMETRY = {"grid": [2, 3, 1], "block": [64, 1, 1], "est. achieved occupancy %": 50}
EVENTS = [
    step(1, 0, 50), step(2, 50, 50),
    python("nn.Module: Net_0", 0, 90), python("nn.Module: Linear_0", 1, 20),
    python("main.py(3): run", 2, 5),
    op("aten::linear", 2, 10), op("aten::mm", 3, 5, **DIMS),
    call("cudaLaunchKernel", 4, 2, 1), kernel(10, 1, 1, "sgemm", **GEOMETRY),  # short
    op("aten::mm", 53, 5, **DIMS),
    call("cudaLaunchKernel", 54, 2, 2), kernel(60, 3, 2, "sgemm", grid=[9, 1, 1]),
    op("aten::add", 70, 5), call("cudaLaunchKernel", 71, 9, 3),
    kernel(80, 2, 3, "elementwise_kernel"), kernel(83, 2, 3, "elementwise_kernel"),  # a graph
    kernel(90, 7, None, "sgemm"),
    memcpy(99, 50),
]  # fmt: skip


def rows(by: str, *columns: str, **options: Any) -> list[tuple[Any, ...]]:
    return sk.kernels(sk.load(EVENTS), by, **options).select(by, *columns).rows()


def test_figures_of_a_name() -> None:
    row = sk.kernels(sk.load(EVENTS)).row(0, named=True)
    assert row == {
        "name": "sgemm", "count": 3, "kernel_ns": 11_000, "mean_ns": 3_667, "min_ns": 1_000,
        "median_ns": 3_000, "p95_ns": 7_000, "max_ns": 7_000, "short": 1,
        "time_share": pytest.approx(11 / 15),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("trace", [("all", 15_000)]),
        ("class", [("gemm", 11_000), ("elementwise", 4_000)]),
        ("op", [("aten::add", 4_000), ("aten::mm", 4_000), (None, 7_000)]),
        ("root_op", [("aten::add", 4_000), ("aten::mm", 3_000), ("aten::linear", 1_000),
                     (None, 7_000)]),
        ("module", [("Net_0", 7_000), ("Linear_0", 1_000), (None, 7_000)]),
        ("shape", [("[[4,4],[4,4]]", 4_000), (None, 11_000)]),
        ("step", [("ProfilerStep#1", 1_000), ("ProfilerStep#2", 7_000), (None, 7_000)]),
    ],
)  # fmt: skip
def test_each_key_adds_up_and_what_has_none_comes_last(by: str, expected: list[Any]) -> None:
    assert rows(by, "kernel_ns") == expected


def test_several_keys() -> None:
    frame = sk.kernels(sk.load(EVENTS), ["class", "step"])
    assert frame.columns[:2] == ["class", "step"]
    assert frame["kernel_ns"].sum() == 15_000


def test_what_was_recorded_of_a_kernel() -> None:
    found = sk.kernels(sk.load(json.dumps(EVENTS).encode()), geometry=True).row(0, named=True)
    assert found["occupancy_share"] == 0.5
    assert found["grid"] is None  # the longest has none
    without = [e for e in EVENTS if e["ts"] != 90]
    found = sk.kernels(sk.load(without), geometry=True).row(1, named=True)
    assert (found["grid"], found["block"]) == ([9, 1, 1], None)


def test_nothing_recorded_is_null_and_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = sk.load(json.dumps([kernel(0, 5), op("a", 0, 5)]).encode())
    monkeypatch.setattr("skiptrace.measure.recorded.find_arguments", None)
    frame = sk.kernels(trace, ["shape", "name"], geometry=True)
    assert frame.select("shape", "occupancy_share", "grid").row(0) == (None, None, None)


def test_rules_are_replaced_and_the_first_that_fits_counts() -> None:
    found = rows("class", "count", classes={"mine": "gemm$", "all": "."})
    assert found == [("mine", 3), ("all", 2)]


CLASS_OF = {
    "ncclDevKernel_AllReduce_Sum_f16_RING_LL": "communication",
    "rcclGenericKernel": "communication",
    "triton_poi_fused_add_0": "triton",
    "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64>>": "attention",
    "fmha_cutlassF_f16_aligned_64x64_rf_sm80": "attention",
    "paged_attention_ll4mi_QKV_mfma16_kernel": "attention",
    "volta_scudnn_128x64_relu_medium_nn_v1": "convolution",
    "void implicit_convolve_sgemm<float>": "convolution",
    "void wgrad_alg0_engine<float, 128>": "convolution",
    "nvjet_sm90_hsh_64x48_64x15_2x1_v_bz_bias_TNT": "gemm",
    "void cutlass::Kernel2<cutlass_75_tensorop_f16_s1688gemm>": "gemm",
    "Cijk_Ailk_Bljk_HHS_BH_MT64x64x32": "gemm",
    "void gemv2T_kernel_val<int, int>": "gemm",
    "void at::native::vectorized_elementwise_kernel<4, FillFunctor<float>>": "elementwise",
    "void at::native::reduce_kernel<512, 1, ReduceOp<float>>": "reduction",
    "void (anonymous namespace)::softmax_warp_forward<float>": "reduction",
    "void at::native::vectorized_layer_norm_kernel<float>": "reduction",
    "void my_convert_kernel": OTHER,
}  # fmt: skip


@pytest.mark.parametrize("name", CLASS_OF)
def test_class_of_a_name(name: str) -> None:
    assert classes_of(sk.load([kernel(0, 1, name=name)]).work["name"])[0] == CLASS_OF[name]


def test_every_class_of_the_table_is_tried() -> None:
    assert set(CLASS_OF.values()) == {*CLASSES, OTHER}


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.removesuffix(".json.gz"))
@pytest.mark.parametrize("by", ["name", "class", "op", "module"])
def test_a_step_as_a_trace_has_the_rows_of_the_step(path: Path, by: str) -> None:
    trace = sk.load(path)
    name = trace.steps["name"][-1]
    whole = sk.kernels(trace, ["step", by]).filter(step=name).drop("step", "time_share")
    part = sk.kernels(trace.step(name), by).drop("time_share")
    assert part.sort(by).equals(whole.sort(by))


def test_modules_and_shapes_of_a_real_trace() -> None:
    trace = sk.load(trace_path("h100/gpt2_b1_full_stack_shapes_memory_flops"))
    assert sk.kernels(trace, "module")["module"][0] == "Linear_0"
    first = sk.kernels(trace, ["op", "shape"]).row(0, named=True)
    assert (first["op"], first["shape"]) == ("aten::mm", "[[512,768],[768,50257]]")
    geometry = sk.kernels(trace, geometry=True)
    assert geometry["grid"].null_count() == geometry["block"].null_count() == 0


def test_no_kernels() -> None:
    assert sk.kernels(sk.load([memcpy(0, 5)])).is_empty()
    assert sk.kernels(sk.load([]), "trace").select("trace", "count", "kernel_ns").row(0) == (
        "all", 0, 0,
    )  # fmt: skip


@pytest.mark.parametrize("by", ["kernel", None, [], ["name", "when"]])
def test_an_unknown_key_is_refused(by: Any) -> None:
    with pytest.raises(UnknownKeyError, match="Valid: trace, name, class"):
        sk.kernels(sk.load(EVENTS), by)
