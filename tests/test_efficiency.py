"""Operations and bytes of operators by formulas, rates, peaks and the roofline side."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from breakdowns import conforms
from helpers import call, kernel, op, trace_path

import skiptrace as sk
from skiptrace.errors import UnknownKeyError
from skiptrace.measure.flops import bytes_of, dtype_of, work_of
from skiptrace.measure.peaks import PEAKS
from skiptrace.model.schema.breakdowns import EFFICIENCY

CONV = [[8, 3, 32, 32], [16, 3, 5, 5], [16], [], [], [], [], [], []]
OPTIONS = ["", "", "", "[2, 2]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"]
OUT = 15  # (32 + 2 - 5) // 2 + 1


@pytest.mark.parametrize(
    ("name", "dims", "values", "flops"),
    [
        ("aten::mm", [[4, 5], [5, 6]], None, 2 * 4 * 5 * 6),
        ("aten::addmm", [[6], [4, 5], [5, 6]], None, 2 * 4 * 5 * 6 + 24),
        ("aten::bmm", [[3, 4, 5], [3, 5, 6]], None, 3 * 2 * 4 * 5 * 6),
        ("aten::baddbmm", [[3, 4, 6], [3, 4, 5], [3, 5, 6]], None, 3 * 2 * 4 * 5 * 6 + 72),
        ("aten::linear", [[2, 4, 5], [6, 5], [6]], None, 2 * 8 * 5 * 6 + 48),
        ("aten::linear", [[2, 4, 5], [6, 5], []], None, 2 * 8 * 5 * 6),
        ("aten::convolution", CONV, OPTIONS, 2 * 8 * 16 * OUT * OUT * 75),
        ("aten::conv2d", CONV[:7], [*OPTIONS[:6], "1"], 2 * 8 * 16 * OUT * OUT * 75),
        ("aten::cudnn_convolution", [*CONV[:2], [], [], []], ["", "", "[1, 1]", "[2, 2]", "[1, 1]"],
         2 * 8 * 16 * OUT * OUT * 75),
        ("aten::convolution", CONV, [*OPTIONS[:6], "True"], None),  # transposed
        ("aten::convolution", CONV, None, None),  # options not recorded
        ("aten::convolution_backward", [[8, 16, OUT, OUT], *CONV[:2]],
         [""] * 7 + ["False", "[0, 0]", "1", "[False, True, False]"],
         2 * 8 * 16 * OUT * OUT * 75),
        ("aten::_scaled_dot_product_flash_attention",
         [[2, 4, 10, 8], [2, 4, 12, 8], [2, 4, 12, 16]], None, 2 * 2 * 4 * 10 * 12 * 24),
        ("aten::embedding", [[100, 8], [3, 4]], None, 0),
        ("aten::add", [[3, 1, 4], [2, 4], []], None, 24),
        ("aten::relu_", [[7]], None, 7),
        ("aten::copy_", [[7], [7], []], None, 0),
        ("aten::native_layer_norm", [[2, 3], [], [3], [3], []], None, 30),
        ("aten::_softmax", [[2, 3], [], []], None, 30),
        ("aten::mm", [[4, 5], [4, 6]], None, None),  # do not fit
        ("aten::add", [[3], [2]], None, None),
        ("aten::cat", [[[1], [2]], []], None, None),  # no formula
        ("aten::mm", None, None, None),
        ("aten::mm", [[4, "x"], [5, 6]], None, None),
    ],
)  # fmt: skip
def test_operations_of_a_call(name: str, dims: Any, values: Any, flops: int | None) -> None:
    found = work_of(name, dims, values)
    assert (None if found is None else found.flops) == flops


HALF, LONG = "c10::Half", "long int"


@pytest.mark.parametrize(
    ("name", "dims", "types", "output", "moved"),
    [
        ("aten::mm", [[4, 5], [5, 6]], [HALF, HALF], 24, 2 * (20 + 30 + 24)),
        ("aten::embedding", [[1000, 8], [3], [], []], ["float", LONG, "Scalar", "Scalar"], 24,
         24 * 4 + 3 * 8 + 24 * 4),
        ("aten::copy_", [[6], [6], []], ["float", HALF, "Scalar"], 6, 6 * 2 + 6 * 4),
        ("aten::mm", [[4, 5], [5, 6]], [HALF, "secret"], 24, None),
        ("aten::mm", [[4, 5], [5, 6]], None, 24, None),
        ("aten::mm", [[4, 5], [5, 6]], [HALF], 24, None),
    ],
)  # fmt: skip
def test_bytes_of_a_call(name: str, dims: Any, types: Any, output: int, moved: int | None) -> None:
    assert bytes_of(name, dims, types, output) == moved


@pytest.mark.parametrize(
    ("strides", "moved"),
    [
        ([[5, 1], [0, 1], []], 4 * (20 + 5 + 20)),
        ([[5, 1], [1], []], 4 * (20 + 20 + 20)),  # do not fit
        ([[5, 1]], 4 * (20 + 20 + 20)),
        ([[5, 1], [[0], 1], []], 4 * (20 + 20 + 20)),
        (None, 4 * (20 + 20 + 20)),
    ],
)
def test_what_is_broadcast_along_a_stride_of_0_counts_once(strides: Any, moved: int) -> None:
    types = ["float", "float", "Scalar"]
    assert bytes_of("aten::add", [[4, 5], [4, 5], []], types, 20, strides) == moved


@pytest.mark.parametrize(("types", "dtype"), [
    ([HALF], "float16"), ([LONG, "c10::BFloat16"], "bfloat16"), ([LONG], None), (None, None),
    (["Float"], "float32"),
])  # fmt: skip
def test_the_data_type_is_that_of_the_first_input_with_a_peak(types: Any, dtype: Any) -> None:
    assert dtype_of(types) == dtype


def mm(at: float, corr: int, **more: Any) -> list[Any]:
    dims = {"Input Dims": [[400, 500], [500, 600]], "Input type": [HALF, HALF]} | more
    return [
        op("aten::linear", at, 9, **{"Input Dims": [[400, 500], [600, 500], []],
                                     "Input type": [HALF, HALF, ""]}),
        op("aten::mm", at + 1, 5, **dims),
        call("cudaLaunchKernel", at + 2, 1, corr), kernel(at + 5, 2, corr),
        op("aten::secret", at + 7, 1), call("cudaLaunchKernel", at + 7.2, 0.5, corr + 1),
        kernel(at + 8, 0.5, corr + 1),
    ]  # fmt: skip


EVENTS = [
    *mm(0, 1, flops=240_000_000), *mm(20, 3, flops=240_000_000),
    call("cudaLaunchKernel", 50, 1, 9), kernel(55, 3, 9), kernel(60, 1),
]  # fmt: skip
PEAK = sk.Peak(bytes_per_s=1e12, flops_per_s={"float16": 1e15})


def test_rates_shares_and_side() -> None:
    frame = sk.efficiency(sk.load(EVENTS), peak=PEAK)
    conforms(frame, *EFFICIENCY)
    first, second, rest = frame.rows(named=True)
    assert (first["name"], first["count"], first["device_ns"]) == ("aten::mm", 2, 4_000)
    assert first["flops"] == first["recorded_flops"] == 2 * 2 * 400 * 500 * 600
    moved = 2 * 2 * (400 * 500 + 500 * 600 + 400 * 600)
    assert first["bytes"] == moved
    assert first["flops_per_s"] == pytest.approx(first["flops"] / 4e-6)
    assert first["of_peak_flops"] == pytest.approx(first["flops"] / 4e-6 / 1e15)
    assert first["of_peak_bytes"] == pytest.approx(moved / 4e-6 / 1e12)
    assert (first["side"], first["intensity"]) == ("memory", pytest.approx(first["flops"] / moved))
    # What `secret` launched inside `linear`; and what is in no operator, or of no launch.
    assert (second["name"], second["device_ns"]) == ("aten::linear", 1_000)
    assert (rest["name"], rest["device_ns"], rest["flops"]) == (None, 4_000, None)
    low = sk.Peak(1e12, {"float16": 1e14})
    assert sk.efficiency(sk.load(EVENTS), peak=low)["side"][0] == "compute"


def test_without_shapes_nothing_is_known_and_nothing_is_zero() -> None:
    trace = sk.load(json.dumps([op("aten::mm", 0, 5), call("cudaLaunchKernel", 1, 1, 1),
                                kernel(2, 3, 1)]).encode())  # fmt: skip
    frame = sk.efficiency(trace)
    assert frame.select("name", "device_ns", "flops", "flops_per_s").rows() == [
        (None, 3_000, None, None)
    ]
    assert sk.efficiency(sk.load([])).is_empty()


def test_a_device_that_is_not_in_the_table_has_no_peak() -> None:
    row = sk.efficiency(sk.load(EVENTS)).row(0, named=True)
    assert row["flops_per_s"] is not None
    assert (row["of_peak_flops"], row["of_peak_bytes"], row["side"]) == (None, None, None)


@pytest.mark.parametrize(
    ("device", "rule"),
    [("NVIDIA H100 80GB HBM3", "H100"), ("NVIDIA H100 PCIe", "H100 PCIe"),
     ("NVIDIA H200", "H200"), ("NVIDIA GH200 480GB", "GH200"),
     ("NVIDIA A100-SXM4-80GB", "A100.*80GB"), ("NVIDIA B200", "B200|GB200"),
     ("NVIDIA A100-SXM4-40GB", "A100"), ("AMD Instinct MI300X VF", "MI300X"),
     ("AMD Instinct MI210", "MI210"), ("Tesla V100-DGXS-32GB", "V100")],
)  # fmt: skip
def test_the_peak_of_a_device_by_its_name(device: str, rule: str) -> None:
    document = {"traceEvents": EVENTS, "deviceProperties": [{"id": 0, "name": device}]}
    mine, given = sk.efficiency(sk.load(document)), sk.efficiency(sk.load(EVENTS), peak=PEAKS[rule])
    assert mine.equals(given)


def test_a_name_that_only_begins_alike_has_no_known_peak() -> None:
    document = {"traceEvents": EVENTS, "deviceProperties": [{"id": 0, "name": "RTX A1000"}]}
    assert sk.efficiency(sk.load(document))["of_peak_flops"].null_count() == len(
        sk.efficiency(sk.load(document))
    )


NAMES = ["h100/gpt2_b1_shapes_flops", "h100/gpt2_b64_shapes_flops",
         "h100/gpt2_b1_full_stack_shapes_memory_flops", "h100/resnet50_train_b32",
         "public/tl_mi300_bert-small", "public/kineto_2021_resnet50_num_workers_0"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_device_time_of_a_real_trace_adds_up(name: str) -> None:
    trace = sk.load(trace_path(name))
    for part in (trace, trace.step(-1)):
        frame = sk.efficiency(part)
        assert frame["device_ns"].sum() == part.work["dur_ns"].sum()
        assert frame["name"].null_count() <= 1
        compute = frame.filter(pl.col("side") == "compute")
        assert (compute["of_peak_flops"] <= 1).all()
        both = frame.filter(pl.col("recorded_flops").is_not_null())
        assert (both["recorded_flops"] == both["flops"]).all()


@pytest.mark.parametrize(("name", "batch"), [("h100/gpt2_b1_shapes_flops", 1),
                                             ("h100/gpt2_b64_shapes_flops", 64)])  # fmt: skip
def test_products_of_gpt2_are_those_of_the_model(name: str, batch: int) -> None:
    """12 layers of 768, sequences of 512, and the head: each step once."""
    trace = sk.load(trace_path(name))
    rows, width, words = batch * 512, 768, 50257
    layer = 2 * rows * width * (3 + 1 + 4 + 4) * width
    products = 12 * layer + 2 * rows * width * words
    frame = sk.efficiency(trace.step(-1)).filter(pl.col("name").is_in(["aten::addmm", "aten::mm"]))
    added = 12 * rows * width * (3 + 1 + 4 + 1)
    assert frame["flops"].sum() == products + added


def test_a_peak_that_is_none() -> None:
    with pytest.raises(UnknownKeyError, match=r"a skiptrace\.Peak"):
        sk.efficiency(sk.load(EVENTS), peak=989e12)  # type: ignore[arg-type]
