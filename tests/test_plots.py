"""Every chart: it is valid, says the answer and its units, fits its width, and stays small."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import polars as pl
import pytest
from helpers import call, fixture_path, kernel, op, step

import skiptrace as sk

alt = pytest.importorskip("altair")
vlc = pytest.importorskip("vl_convert")

Spec = dict[str, Any]
HOSTILE = "</script><script>alert('x')</script> \"quoted\" & <b>bold</b>"


@cache
def trace(name: str = "eager_step") -> sk.Trace:
    return sk.load(fixture_path(name))


@cache
def swept() -> sk.Sweep:
    return sk.sweep(
        {1: trace("eager_step"), 4: trace("encoder"), 8: trace("graph_step")}, name="batch"
    )


@cache
def both_ranks() -> sk.Ranks:
    return sk.load_ranks([fixture_path(f"tp2_rank{rank}") for rank in (0, 1)])


def named() -> dict[str, sk.WhatIf]:
    return {"graph": sk.whatif(trace(), cuda_graph=True), "host": sk.whatif(trace(), host=0.5)}


CHARTS: dict[str, Callable[..., Any]] = {
    "idle": lambda **k: sk.plot.idle(trace(), **k),
    "idle by op": lambda **k: sk.plot.idle(trace("training_step"), "op", **k),
    "split": lambda **k: sk.plot.split(trace(), **k),
    "split by root_op": lambda **k: sk.plot.split(trace("training_step"), "root_op", **k),
    "timeline, binned": lambda **k: sk.plot.timeline(trace(), **k),
    "timeline, exact": lambda **k: sk.plot.timeline(trace("graph_step"), first_ns(200_000), **k),
    "queue_depth": lambda **k: sk.plot.queue_depth(trace("streams"), **k),
    "fusion": lambda **k: sk.plot.fusion(trace(), **k),
    "sweep": lambda **k: sk.plot.sweep(swept(), **k),
    "sweeps": lambda **k: sk.plot.sweep({f"p{i}": swept() for i in range(4)}, "busy", **k),
    "whatif": lambda **k: sk.plot.whatif(named(), **k),
    "diff": lambda **k: sk.plot.diff(trace("graph_step") - trace(), **k),
    "ranks": lambda **k: sk.plot.ranks(both_ranks(), **k),
    "ranks by collective": lambda **k: sk.plot.ranks(both_ranks(), "collective", **k),
}


def first_ns(length: int) -> tuple[int, int]:
    start = int(trace("graph_step").work["start_ns"].min())  # type: ignore[arg-type]
    return start, start + length


@cache
def spec_of(name: str) -> Spec:
    made: Spec = CHARTS[name]().to_dict()  # which holds it against Vega-Lite's schema
    return made


def rows_of(spec: Spec) -> list[dict[str, Any]]:
    """Every row of data in a chart."""
    return [row for rows in spec["datasets"].values() for row in rows]


def heading(spec: Spec) -> str:
    return " ".join([*spec["title"]["text"], *spec["title"]["subtitle"]])


def found(spec: Any, key: str) -> Iterator[Any]:
    """Every value of a key, wherever it stands, but in data."""
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name == key:
                yield value
            if name != "datasets":
                yield from found(value, key)
    elif isinstance(spec, list):
        for value in spec:
            yield from found(value, key)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_valid_says_its_answer_and_keeps_to_its_width(name: str) -> None:
    spec = spec_of(name)
    assert len(spec["title"]["text"][0]) > 15
    assert "nothing to show" not in heading(spec)
    assert not {"background", "config", "padding", "autosize"} & (set(spec) - {"config"})
    svg = vlc.vegalite_to_svg(json.dumps(spec))
    width = float(re.search(r'width="([\d.]+)', svg)[1])  # type: ignore[index]
    assert 400 < width <= 600


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("idle", "idle time (ms)"), ("split", "TKLQT of a step (ms)"),
        ("whatif", "latency of a step (ms)"), ("timeline, exact", "time (µs)"),
        ("split by root_op", "TKLQT (ms)"), ("timeline, binned", "time (ms)"),
        ("queue_depth", "time (ms)"), ("queue_depth", "launches"), ("fusion", "kernel launches"),
        ("fusion", "kernels in a chain"), ("sweep", "TKLQT per launch (µs)"), ("sweep", "batch"),
        ("sweeps", "device busy (%)"), ("diff", "latency (ms)"),
        ("ranks", "wait (µs)"), ("ranks", "rank"),
    ],
)  # fmt: skip
def test_axes_have_names_and_units(name: str, axis: str) -> None:
    assert axis in list(found(spec_of(name), "title"))


@pytest.mark.parametrize("name", ["idle", "timeline, binned", "sweep", "diff"])
def test_a_chart_can_be_narrower(name: str) -> None:
    svg = vlc.vegalite_to_svg(json.dumps(CHARTS[name](width=360).to_dict(validate=False)))
    assert float(re.search(r'width="([\d.]+)', svg)[1]) <= 360  # type: ignore[index]


def test_titles_say_what_was_found() -> None:
    share = sk.idle_causes(trace()).row(0, named=True)
    assert f"{share['idle_share']:.0%}".replace("%", " %") in heading(spec_of("idle"))
    assert share["cause"] in heading(spec_of("idle"))
    busy = sk.breakdown(trace(), by="trace")
    assert f"Device idle {busy['idle_share'][0]:.0%}"[:14] in heading(spec_of("timeline, binned"))
    assert "stacked to scale" in heading(spec_of("timeline, binned"))
    assert "every event" in heading(spec_of("timeline, exact"))
    best = max(named().items(), key=lambda item: item[1].frame["speedup"].max() or 0)
    assert heading(spec_of("whatif")).startswith(f"{best[0]} pays most")
    assert (trace("graph_step") - trace()).verdict.split(";")[0][1:] in heading(spec_of("diff"))
    turn = swept().transition.tklqt.parameter
    assert f"turns at {'no batch' if turn is None else f'batch {turn}'}" in heading(
        spec_of("sweep")
    )


def test_bars_of_a_chart_add_up_to_the_verb() -> None:
    idle = {r["name"]: r["idle_ns"] for r in rows_of(spec_of("idle by op"))}
    assert sum(idle.values()) == sk.idle_gaps(trace("training_step"))["dur_ns"].sum()
    split = sk.tklqt(trace("training_step"), by="trace")
    x = sum(r["x"] for r in rows_of(spec_of("split by root_op")))
    assert x == pytest.approx(split["tklqt_ns"][0] / 1e6)


def test_a_timeline_shows_each_event_once_while_they_are_few() -> None:
    events = [op("a", 0, 50), op("b", 60, 20), op("c", 62, 5)]
    events += [call("cudaLaunchKernel", 10, 4, 1), call("cudaLaunchKernel", 63, 2, 2)]
    events += [kernel(20, 30, 1, "one"), kernel(80, 30, 2, "two")]
    spec = sk.plot.timeline(sk.load(events)).to_dict(validate=False)
    rows = [r for r in rows_of(spec) if "time" in r]
    names = [r["name"] for r in rows if r["colour"] in ("operator", "launch") and r["y"] > 1]
    assert sorted(n for n in names if not n.startswith("idle")) == [
        "a", "b", "c", "cudaLaunchKernel", "cudaLaunchKernel"]  # fmt: skip
    one = next(r for r in rows if r["name"] == "one" and r["y"] > 2)
    assert (one["x"], one["x2"], one["time"]) == (20.0, 50.0, "30.0 µs")
    nested = {r["name"]: r["y"] for r in rows if r["name"] in ("b", "c")}
    assert nested["b"] < nested["c"]
    assert "Device idle 45 % of 110 µs" in heading(spec)


def many(count: int) -> sk.Trace:
    events = [step(i, 500 * i, 480) for i in range(count)]
    for i in range(count):
        for j in range(20):
            at, corr = 500 * i + 20 * j, 100 * i + j + 1
            events.append(op(f"op {(7 * i + j) % 90}", at, 18, tid=1 + j % 9))
            events.append(call("cudaLaunchKernel", at + 2, 5, corr, tid=1 + j % 9))
            events.append(kernel(at + 12, 7, corr, f"k{j % 5}", device=j % 6, stream=j % 11))
    return sk.load(events)


def test_a_large_trace_makes_no_larger_charts() -> None:
    large = many(60)
    for chart in (
        sk.plot.timeline(large), sk.plot.queue_depth(large), sk.plot.split(large),
        sk.plot.split(large, "root_op"), sk.plot.idle(large, "op"), sk.plot.idle(large, "step"),
        sk.plot.ranks(sk.load_ranks({0: large, 1: large}), value="latency"),
    ):  # fmt: skip
        spec = chart.to_dict(validate=False)
        assert len(rows_of(spec)) < 4_000
        assert len(json.dumps(spec)) < 500_000
    assert re.search(r"threads left out: 4; streams left out: \d+; devices left out: 2",
                     heading(sk.plot.timeline(large).to_dict(validate=False)))  # fmt: skip
    assert "mean of neighbouring steps, 60 in all" in heading(
        sk.plot.split(large).to_dict(validate=False)
    )


NOTHING: dict[str, list[dict[str, Any]]] = {
    "nothing": [], "operators alone": [op("a", 0, 5)], "work alone": [kernel(5, 5)],
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_where_there_is_nothing_to_show_a_chart_says_so(name: str) -> None:
    empty = sk.load(NOTHING[name])
    charts = [
        sk.plot.idle(empty), sk.plot.split(empty), sk.plot.split(empty, "root_op"),
        sk.plot.queue_depth(empty), sk.plot.fusion(empty), sk.plot.sweep(sk.sweep({1: empty})),
        sk.plot.whatif({"a": sk.whatif(empty)}), sk.plot.whatif({}),
        sk.plot.diff(sk.diff(empty, empty)), sk.plot.ranks(sk.load_ranks({0: empty})),
        sk.plot.ranks(sk.load_ranks({0: empty}), value="latency"),
    ]  # fmt: skip
    if name == "nothing":
        charts.append(sk.plot.timeline(empty))
    for chart in charts:
        spec = chart.to_dict(validate=False)
        assert "nothing to show" in heading(spec)
        assert rows_of(spec) == [{"text": "nothing to show"}]
        assert len(spec["title"]["subtitle"][0]) > 10
    assert sk.plot.timeline(empty).to_dict(validate=False)["title"]["text"]


def test_a_window_without_anything_says_so() -> None:
    assert "nothing runs" in heading(sk.plot.timeline(trace(), (0, 10)).to_dict(validate=False))


def test_names_stay_text() -> None:
    events = []
    for i in range(3):
        events += [op(HOSTILE, 100 * i, 50), call("cudaLaunchKernel", 100 * i + 5, 5, i + 1)]
        events += [kernel(100 * i + 20, 10, i + 1, HOSTILE)]
    hostile = sk.load([step(0, 0, 400), *events])
    for chart in (
        sk.plot.timeline(hostile), sk.plot.idle(hostile, "op"), sk.plot.split(hostile, "root_op"),
        sk.plot.diff(sk.diff(hostile, trace())),
        sk.plot.whatif({HOSTILE: sk.whatif(hostile, host=0.5)}),
        sk.plot.sweep({HOSTILE: sk.sweep({1: hostile, 2: trace()}), "b": swept()}),
        sk.plot.sweep(sk.sweep({HOSTILE: hostile, "b": trace()}, name="model")),
    ):  # fmt: skip
        page = chart.to_html()
        assert page.count("alert(") > 0  # the name is there
        assert page.count("</script>") == trace_free_page().count("</script>")
        shown = json.dumps(chart.to_dict(validate=False), ensure_ascii=False).replace("\u2060", "")
        assert json.dumps(HOSTILE, ensure_ascii=False)[1:20] in shown


@cache
def trace_free_page() -> str:
    page: str = sk.plot.idle(trace()).to_html()
    return page


def test_charts_can_be_put_beside_each_other() -> None:
    one, two = sk.plot.idle(trace()), sk.plot.timeline(trace())
    assert len((one & two).to_dict(validate=False)["vconcat"]) == 2


def test_results_plot_themselves() -> None:
    pairs = [
        (swept().plot("busy"), sk.plot.sweep(swept(), "busy")),
        (named()["host"].plot(width=500), sk.plot.whatif(named()["host"], width=500)),
        (sk.fusion(trace()).plot(), sk.plot.fusion(trace())),
        (sk.queue_depth(trace()).plot(), sk.plot.queue_depth(trace())),
        (sk.diff(trace(), trace("graph_step")).plot(), sk.plot.diff(trace("graph_step") - trace())),
    ]
    for mine, same in pairs:
        assert mine.to_dict(validate=False) == same.to_dict(validate=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sk.plot.split(trace(), "kernel"), "unknown by 'kernel'"),
        (lambda: sk.plot.idle(trace(), "thread"), "unknown by 'thread'"),
        (lambda: sk.plot.sweep(swept(), "akd"), "unknown value 'akd'"),
        (lambda: sk.plot.ranks(both_ranks(), "rank"), "unknown by 'rank'"),
        (lambda: sk.plot.ranks(both_ranks(), "collective", "latency"), "unknown value by coll"),
        (lambda: sk.plot.idle(trace(), width=10), "unknown width 10"),
        (lambda: sk.plot.timeline(trace(), width="wide"), "unknown width 'wide'"),  # type: ignore[arg-type]
        (lambda: sk.plot.ranks(trace()), "takes a Ranks, got a Trace"),  # type: ignore[arg-type]
        (lambda: sk.plot.sweep({"a": trace()}), "a"),  # type: ignore[dict-item]
        (lambda: sk.plot.timeline(trace(), (5, 5)), "5"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(sk.errors.SkiptraceError, match=re.escape(message)):
        make()


def test_without_altair_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(sk.errors.MissingDependencyError, match=r"pip install 'skiptrace\[plot\]'"):
        sk.plot.idle(trace())


def test_a_chart_changes_no_trace_and_repeats_itself() -> None:
    one = trace("training_step")
    before = one.ops.clone()
    assert sk.plot.timeline(one).to_dict(validate=False) == sk.plot.timeline(one).to_dict(
        validate=False
    )
    assert one.ops.equals(before)
    assert isinstance(one.ops, pl.DataFrame)
