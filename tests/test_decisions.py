"""The figures that docs/decisions.md gives as reasons, on the real traces that they come from."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from helpers import trace_path

import skiptrace as sk
from skiptrace.intervals import contains, union
from skiptrace.model.categories import WAITS
from skiptrace.predict.replayed import recorded
from skiptrace.predict.roofline import rooflines

HOST = ("python_ns", "dataloader_ns", "alloc_ns", "copy_ns")
CAUSES = (
    "alloc", "copy", "dataloader", "gpu", "launch", "mixed", "python", "python-stack", "sleep",
    "streamwait", "sync",
)  # fmt: skip


def by_the_letter(trace: sk.Trace) -> dict[str, int]:
    """Idle time by cause if every wait over a gap's start counted, also one behind the launch."""
    launches = trace.launches.select("tid", launch="id")
    owner = trace.work.select("launch", next_work="id").join(launches, on="launch", how="left")
    gaps = sk.idle_gaps(trace).join(owner, on="next_work", how="left", maintain_order="left")
    calls = trace.calls.filter(pl.col("name").str.contains(WAITS))
    covered = pl.Series([False] * len(gaps))
    for (tid,), group in calls.group_by("tid"):
        start = group["start_ns"].to_numpy()
        waits = union(start, start + group["dur_ns"].to_numpy())
        inside = pl.Series(contains(waits, gaps["start_ns"].to_numpy()))
        covered |= inside & (gaps["tid"] == tid).fill_null(value=False)
    is_sync = covered & (2 * gaps.select(pl.sum_horizontal(HOST)).to_series() <= gaps["dur_ns"])
    cause = pl.when(is_sync).then(pl.lit("sync")).otherwise("cause")
    summed = gaps.group_by(cause.alias("cause")).agg(pl.col("dur_ns").sum())
    return dict(summed.rows())


def causes(trace: sk.Trace) -> dict[str, int]:
    return dict(sk.idle_causes(trace).select("cause", "idle_ns").rows())


def test_work_of_no_length_splits_gaps() -> None:
    trace = sk.load(trace_path("public/kineto_2021_resnet50_num_workers_0"))
    start = trace.work["start_ns"].to_numpy()
    merged = union(start, start + trace.work["dur_ns"].to_numpy())
    gaps = sk.idle_gaps(trace)
    assert trace.work.filter(kind="kernel", dur_ns=0).height == 636
    assert (len(gaps), len(merged[0]) - 1) == (8921, 8285)
    assert gaps["dur_ns"].sum() == int((merged[0][1:] - merged[1][:-1]).sum())


@pytest.mark.parametrize(
    ("name", "letter", "ours"),
    [("gpt2_b128_s512_eager", 1.31, 0.07), ("gpt2_b1_s512_mask4d-cudagraph", 0.40, 0)],
)
def test_sync_by_the_letter_blames_the_last_wait(name: str, letter: float, ours: float) -> None:
    trace = sk.load(trace_path(f"h100/{name}"))
    assert round(by_the_letter(trace)["sync"] / 1e6, 2) == letter
    assert round(causes(trace).get("sync", 0) / 1e6, 2) == ours


@pytest.mark.parametrize("label", CAUSES)
def test_the_labelled_traces_have_the_same_largest_cause_either_way(label: str) -> None:
    trace = sk.load(trace_path(f"h100/cause_{label}_v0"))
    letter, ours = by_the_letter(trace), causes(trace)
    assert max(letter, key=letter.__getitem__) == max(ours, key=ours.__getitem__)


def test_queue_share_would_call_a_training_step_device_bound() -> None:
    row = sk.boundedness(sk.load(trace_path("h100/gpt2_train_b4")), by="trace").row(0, named=True)
    assert (round(row["queue_share"], 2), round(row["busy_share"], 2)) == (0.93, 0.29)
    assert row["verdict"] == "cpu"


def test_a_saved_trace_is_smaller_than_its_gzip_and_hardly_any_of_it_arguments(
    tmp_path: Path,
) -> None:
    path = trace_path("h100/gpt2_decode16")
    sk.load(path).save(tmp_path / "t")
    size = {p.name: p.stat().st_size for p in (tmp_path / "t").iterdir()}
    arguments = sum(n for name, n in size.items() if name.startswith("args-"))
    assert round(sum(size.values()) / path.stat().st_size, 1) == 0.6
    assert round(arguments / sum(size.values()), 2) == 0.02


def of_ops(trace: sk.Trace) -> pl.DataFrame:
    """Works with the name of the operator that launched each."""
    launches = trace.launches.select("op", launch="id")
    names = launches.join(trace.ops.select("name", op="id"), on="op").drop("op")
    return trace.work.select("launch", "dur_ns", work="id").join(names, on="launch")


def test_kernels_near_the_best_traffic_scale_with_bandwidth_and_others_do_not() -> None:
    trace = sk.load(trace_path("h100/gpt2_b64_shapes_flops"))
    traffic = rooflines(trace, made := recorded(trace)).traffic
    used = made.lanes.works.select(work="id").with_columns(share=pl.Series(traffic))
    other = sk.load(trace_path("h200/gpt2_b64_s512_eager"))
    rows = {name: of_ops(loaded) for name, loaded in (("h100", trace), ("h200", other))}
    weighted = rows["h100"].join(used, on="work").group_by("name").agg(
        (pl.col("share") * pl.col("dur_ns")).sum() / pl.col("dur_ns").sum()
    )  # fmt: skip
    shares = dict(weighted.rows())
    took = {n: dict(r.group_by("name").agg(pl.col("dur_ns").sum()).rows()) for n, r in rows.items()}
    ratio = {op: took["h200"][op] / ns for op, ns in took["h100"].items()}
    for op, share in (("aten::_softmax", 0.64), ("aten::native_layer_norm", 0.48)):
        assert shares[op] == pytest.approx(share, abs=0.01)
        assert ratio[op] == pytest.approx(0.99, abs=0.01)
    for op in ("aten::mul", "aten::pow", "aten::tanh", "aten::bmm"):
        assert shares[op] > 0.9
        assert 0.705 < ratio[op] < 0.745
