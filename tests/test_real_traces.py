"""Every trace at hand: its identities, the schema, the oracle's figures, and known answers."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import oracle
import polars as pl
import pytest
from agreement import assert_identities, assert_oracle, assert_schema
from helpers import fixture_paths, trace_path, trace_paths

import skiptrace as sk
from skiptrace.predict.replayed import fidelity

LARGEST = "llama_decode64"
ALL_PATHS = [*fixture_paths(), *trace_paths()]


@lru_cache(maxsize=2)
def loaded(path: Path) -> sk.Trace:
    return sk.load(path)


def load(name: str) -> sk.Trace:
    return loaded(trace_path(name))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.gz').removesuffix('.json')}"


@pytest.fixture(scope="module", params=ALL_PATHS, ids=name_of)
def path(request: pytest.FixtureRequest) -> Path:
    """Each trace; of module scope, so that the tests of one trace run together and load it once."""
    return Path(request.param)


def test_identities_and_every_figure_of_the_oracle(path: Path) -> None:
    trace = loaded(path)
    assert_identities(trace)
    if LARGEST not in path.name:
        assert_schema(trace)
        assert_oracle(trace, oracle.read(path))


def test_a_step_as_a_trace_has_the_figures_of_its_row(path: Path) -> None:
    trace = loaded(path)
    name = trace.steps["name"][-1]
    step = trace.step(name)
    assert_identities(step)
    row = sk.tklqt(trace).filter(step=name)
    assert sk.tklqt(step).filter(step=name).equals(row)
    assert sk.tklqt(step, by="trace").drop("trace").equals(row.drop("step"))
    mine, whole = (sk.summary(t).filter(step=name).drop("outlier") for t in (step, trace))
    assert mine.equals(whole)


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")  # work launched before the window
def test_each_step_is_replayed_within_five_percent_and_its_path_sums_to_its_latency(
    path: Path,
) -> None:
    trace = loaded(path)
    assert (fidelity(trace)["error"] <= 0.05).all()
    if LARGEST in path.name:
        trace = trace.step(-1)
    found = sk.critical_path(trace)
    il = sk.summary(trace).filter(pl.col("il_ns").is_not_null())
    assert found.shares.select("step", "il_ns").equals(il.select("step", "il_ns"))
    shares = found.shares.select(pl.sum_horizontal("host_share", "device_share", "latency_share"))
    assert ((shares.to_series() - 1).abs() < 1e-9).all()


TABLE = """
h100/gpt2_b1_s512_eager 5089 582 582 576 5692626 3195977 3202538 581 28366746 0
h100/gpt2_b128_s512_eager 6215 798 798 648 25475500673 316749442 316899783 797 4970793 0
h100/llama-3.2-1b_b8_s512_eager 13593 1714 1714 1580 1300665407 65727601 65856498 1713 8599285 0
h100/gpt2_b1_s512_mask4d-cudagraph 1422 663 663 3 43663 2675556 2705092 662 632493 3
h100/streams_copies_events 1439 207 207 177 50591291 4366944 6733102 169 5463635 0
h100/threads4 2079 480 480 480 8519749 2654419 2062886 329 7048931 480
h100/gpt2_train_b4 33201 2842 2842 2692 379583333 52542093 52663408 2841 128881191 0
public/tl_h100_bert-small 2551 61 61 60 422406 307197 309437 60 3598388 0
public/tl_h100_qwen1.5-0.5b 18221 1707 1198 1029 1401127803 45432698 45647300 1706 4005532 0
public/tl_b200_vllm_eager 24656 929 929 768 15434635 10862916 11596482 854 72890696 2
public/tl_rocm_vllm_decode_hipgraph 1993 434 434 5 64139035 10674517 10717708 433 25473 1
public/hta_ns_resolution_rank0 68692 6095 6095 4350 291962840657 468153602 472454441 6094 7574738 0
public/hta_launches_before_window 108936 7747 6875 5310 689859253000 401445000 438424000 7075\
 793037000 90
public/kineto_2021_resnet50_num_workers_0 75718 9096 9096 8772 97235296000 591532000 603558000\
 8921 392919000 0
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines(), ids=lambda line: line.split()[0])
def test_whole_trace_figures_of_an_independent_count(line: str) -> None:
    name, *figures = line.split()
    trace = load(name)
    total = sk.tklqt(trace, by="trace").row(0, named=True)
    gaps = sk.idle_gaps(trace)["dur_ns"]
    end = pl.col("start_ns") + pl.col("dur_ns")
    spans = trace.work.group_by("device").agg(span=end.max() - pl.col("start_ns").min())
    assert [
        trace.meta.events,
        len(trace.work),
        trace.work["launch"].count(),
        total["launches"],
        total["tklqt_ns"],
        sk.top_kernels(trace, len(trace.work))["kernel_ns"].sum(),
        int(spans["span"].sum()) - int(gaps.sum()),
        len(gaps),
        gaps.sum(),
        len(trace.launches.filter(pl.col("op").is_null() & (pl.col("kernels") > 0))),
    ] == [int(figure) for figure in figures]
    if not trace.work["launch"].null_count():
        steps = trace.launches["step"].null_count()
        assert steps or sk.summary(trace, "trace")["busy_ns"].item() == int(figures[6])


PER_STEP = {
    "public/hta_ns_resolution_rank0": {
        "step": "ProfilerStep#105", "il_ns": 184164429, "busy_ns": 94272679,
        "gpu_idle_ns": 2076117},
    "h100/gpt2_b1_s512_eager": {
        "step": "ProfilerStep#3", "kernels": 288, "tklqt_ns": 2865407, "il_ns": 15783718,
        "busy_ns": 1599872},
    "h100/llama-3.2-1b_b8_s512_eager": {
        "step": "ProfilerStep#3", "kernels": 790, "tklqt_ns": 732615082, "il_ns": 37114478,
        "busy_ns": 32929193},
}  # fmt: skip


@pytest.mark.parametrize("name", PER_STEP)
def test_figures_of_the_last_step(name: str) -> None:
    last = sk.summary(load(name)).row(-1, named=True)
    assert {key: last[key] for key in PER_STEP[name]} == PER_STEP[name]


def verdicts(trace: sk.Trace) -> set[str | None]:
    return {*sk.boundedness(trace)["verdict"], *sk.boundedness(trace, by="trace")["verdict"]}


CPU, GPU, BALANCED = {"cpu"}, {"gpu"}, {"balanced"}
MODELS = ["bert-base", "gpt2", "llama-3.2-1b"]


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        *((f"h100/{m}_b1_s512_eager", CPU) for m in MODELS),
        *((f"h100/{m}_b128_s512_eager", GPU) for m in MODELS),
        ("h200/gpt2_b1_s512_eager", CPU),
        ("h200/gpt2_b128_s512_eager", GPU),
        ("public/hta_ns_resolution_rank0", GPU),
        *((f"h100/cause_{c}_v0", GPU) for c in ("gpu", "streamwait")),
        *((f"h100/cause_{c}_v0", CPU) for c in ("launch", "python", "python-stack", "sleep")),
        *((f"h100/cause_{c}_v0", CPU) for c in ("copy", "dataloader")),
        ("h100/cause_alloc_v0", CPU | BALANCED),
    ],
)
def test_verdict_of_every_step_and_of_the_trace(name: str, allowed: set[str]) -> None:
    assert verdicts(load(name)) <= allowed


def test_the_sync_trace_says_that_its_device_works_about_60_percent() -> None:
    row = sk.boundedness(load("h100/cause_sync_v0"), by="trace").row(0, named=True)
    assert 0.5 < row["busy_share"] < 0.7
    assert f"{100 * row['busy_share']:.1f} %" in row["because"]


CAUSES = {
    "alloc": {"alloc"}, "copy": {"copy", "operator"}, "dataloader": {"dataloader"},
    "launch": {"launch", "operator"}, "python": {"python"}, "python-stack": {"python"},
    "sleep": {"python"}, "sync": {"sync"},
}  # fmt: skip


@pytest.mark.parametrize("label", CAUSES)
def test_the_largest_idle_cause_is_the_label_of_the_trace(label: str) -> None:
    assert sk.idle_causes(load(f"h100/cause_{label}_v0"))["cause"][0] in CAUSES[label]


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("launch", {"launch", "operator"}),
        ("sync", {"sync", "operator", "launch"}),
        ("python", {"python"}),
        ("alloc", {"alloc"}),
    ],
)
def test_the_largest_cause_inside_each_labelled_window(label: str, allowed: set[str]) -> None:
    trace = load("h100/causes_labelled_v0")
    windows = trace.annotations.filter(name=f"cause:{label}").select("start_ns", "dur_ns").rows()
    assert len(windows) == 3
    for start, dur in windows:
        window = trace.between(start, start + dur)
        assert sk.idle_causes(window)["cause"][0] in allowed
        assert_identities(window)
