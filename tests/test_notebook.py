"""What a cell shows of traces and results: the verdict, figures in words, and never an error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any

import polars as pl
import pytest
from helpers import call, fixture_path, fixture_paths, kernel, op, step

import skiptrace as sk
from skiptrace.show.text import cell

HOSTILE = "</td><script>alert('x')</script> \"q\" & <b>"


@cache
def trace(name: str = "eager_step") -> sk.Trace:
    return sk.load(fixture_path(name))


SHOWN: dict[str, Callable[[], Any]] = {
    "trace": trace,
    "step": lambda: trace().step(3),
    "sweep": lambda: sk.sweep({1: trace(), 2: trace("encoder")}, name="batch"),
    "whatif": lambda: sk.whatif(trace(), cuda_graph=True),
    "diff": lambda: trace("graph_step") - trace(),
    "ranks": lambda: sk.load_ranks([fixture_path(f"tp2_rank{r}") for r in (0, 1)]),
}


class Page(HTMLParser):
    """Tags, attributes and text of a piece of HTML, which has to be well formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.styles: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._open.append(tag)
        assert [name for name, _ in attrs] in ([], ["style"])
        self.styles += [value or "" for _, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


def shown(value: Any) -> Page:
    return Page(value._repr_html_())


@pytest.mark.parametrize("name", SHOWN)
def test_it_takes_the_colours_of_the_notebook_and_runs_nothing(name: str) -> None:
    page = shown(SHOWN[name]())
    assert set(page.tags) <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    for style in page.styles:
        assert not re.search(r"#[0-9a-f]{3}|background|url|(?<!-)\bcolor:(?!inherit)", style)


def test_a_trace_begins_with_the_verdict_and_has_its_figures_in_words() -> None:
    cells = shown(trace()).cells
    because = sk.boundedness(trace(), by="trace")["because"][0]
    assert cells[0] == f"CPU-bound (2 of 2 steps): {because}."
    table = cells[cells.index("step") :]
    assert table[9:14] == ["ProfilerStep#2", "cpu", "15.6 ms", "288", "2.83 ms"]
    assert "operators 2,616" in cells[-1]
    assert cells[-1].startswith("eager_step.json.gz")
    assert cells[-1].endswith("Trace good.")


def test_results_begin_with_what_they_found() -> None:
    assert shown(SHOWN["sweep"]()).cells[0].startswith("No turn within the sweep (device)")
    assert re.match(r"[\d.]+ times as fast: .* and GPU-bound\.", shown(SHOWN["whatif"]()).cells[0])
    diff = SHOWN["diff"]()
    assert shown(diff).cells[0].lower() == f"{diff.verdict.lower()}."
    assert shown(SHOWN["ranks"]()).cells[0] == "2 ranks"


def test_a_parameter_keeps_its_digits_and_large_numbers_have_no_exponent() -> None:
    swept = sk.sweep({1024.25: trace(), 2048.5: trace("encoder")})
    assert {"1024.25", "2048.5"} <= set(shown(swept).cells)
    assert [cell("tflop_s", value, 9) for value in (0.12345, 999.4, 999.5, 1979.4)] == [
        "0.123", "999", "1,000", "1,979"]  # fmt: skip


def test_many_steps_are_told_by_three_of_them() -> None:
    events = []
    for i in range(30):
        events += [step(i, 1000 * i, 900), op("a", 1000 * i, 50)]
        events += [call("cudaLaunchKernel", 1000 * i + 5, 5, i + 1)]
        events += [kernel(1000 * i + 20, 100 + i, i + 1)]
    cells = shown(sk.load(events)).cells
    assert "Of 30 steps the shortest, the median and the longest:" in cells
    assert [c for c in cells if c.startswith("ProfilerStep#")] == [
        "ProfilerStep#0", "ProfilerStep#14", "ProfilerStep#29"]  # fmt: skip


def test_rows_that_are_left_out_are_counted() -> None:
    diff = trace("training_step") - trace()
    assert f"... and {len(diff.split) - 8:,} more" in shown(diff).cells
    several = sk.load_ranks({rank: trace("graph_step") for rank in range(11)})
    assert "... and 3 more" in shown(several).cells


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda path: path.stem)
def test_every_trace_has_a_summary_and_nothing_changes_by_looking(path: Any) -> None:
    one = sk.load(path)
    launches = one.launches.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = one._repr_html_()
        assert "<pre>" not in first
        assert one._repr_html_() == first
    assert not one.whole.warned  # so that the first verb still warns
    assert one.launches.equals(launches)


@pytest.mark.parametrize("events", [[], [op("a", 0, 5)], [kernel(5, 5)]])
def test_a_trace_of_nothing_says_so(events: list[dict[str, Any]]) -> None:
    assert shown(sk.load(events)).cells[0].startswith("No verdict")
    empty = sk.load(events)
    for value in (sk.sweep({1: empty}), sk.whatif(empty), sk.diff(empty, empty),
                  sk.load_ranks({0: empty})):  # fmt: skip
        assert "pre" not in shown(value).tags


def test_names_stay_text() -> None:
    events = [step(0, 0, 400)]
    for i in range(3):
        events += [op(HOSTILE, 100 * i, 50), call("cudaLaunchKernel", 100 * i + 5, 5, i + 1)]
        events += [kernel(100 * i + 20, 10, i + 1, HOSTILE)]
    one = sk.load(events, steps=HOSTILE)
    other = sk.load([op("b", 0, 9), call("cudaLaunchKernel", 2, 5, 1), kernel(9, 9, 1)])
    for value in (one, sk.whatif(one, host=0.5), sk.diff(one, other)):
        page = shown(value)
        assert "script" not in page.tags
        assert any("<script>alert('x')</script>" in cell for cell in page.cells)


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("name", SHOWN)
def test_a_broken_object_is_shown_as_what_it_is(name: str) -> None:
    whole = SHOWN[name]()
    broken = object.__new__(type(whole))  # no field is set
    page = shown(broken)
    assert "pre" in page.tags
    assert type(whole).__name__ in "".join(page.cells)


def test_a_trace_with_a_damaged_frame_still_has_a_repr() -> None:
    damaged = replace(trace(), ops=pl.DataFrame({"<x>": [1]}))
    page = shown(damaged)
    assert page.tags == ["div", "pre"]
    assert "1 ops" in "".join(page.cells)
