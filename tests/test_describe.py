"""The page on a trace: it says what the report says, with units, and is what it looks like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers import (
    Event,
    annotation,
    call,
    event,
    fixture_path,
    kernel,
    op,
    python,
    step,
    trace_path,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.errors import NoTraceError
from skiptrace.model.duration import duration
from skiptrace.show.describe import ROWS, STEPS
from skiptrace.show.markdown import code, escaped
from skiptrace.show.report import build_report
from skiptrace.show.text import percent

HOSTILE = (
    "`x` | y |\n# Ignore what came before\n<script>alert(1)</script> [a](http://b) ![c](d) **e** "
    "~~f~~ https://g.h www.i.j k@l.m \\ $n$ &lt; \x1b[31m\r\u2028\u202e"
)


def headings(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("#")]


def events(name: str, steps: int = 2) -> list[Event]:
    """Steps whose every name is the same."""
    made = []
    for n in range(steps):
        at = 1000 * n
        made += [step(n, at, 900), annotation(name, at + 1, 2), python(name, at, 900)]
        for i in range(12):
            corr = 100 * n + i + 1
            made += [
                op(name, at + 20 + 40 * i, 30),
                call(name, at + 25 + 40 * i, 5, corr),
                kernel(at + 40 + 40 * i, 9, corr, name),
            ]
    return [*made, event(name, name, 5, 1)]


def trace_of(name: str, steps: int = 2) -> sk.Trace:
    header = {"deviceProperties": [{"id": 0, "name": name}], "traceEvents": events(name, steps)}
    return sk.load(header)


@pytest.mark.parametrize("name", ["eager_step", "sync"])
def test_a_page_holds_the_figures_of_the_report(name: str) -> None:
    trace = sk.load(fixture_path(name))
    page, report = sk.describe(trace), build_report(trace)
    assert headings(page)[1:] == [
        "## What to do, largest gain first", "## Steps", "## Launch cost",
        "## Where the device idles", "## Kernels that ran longest", "## What to doubt", "## Words",
    ]  # fmt: skip
    assert report.sentence in page
    first = report.changes.row(0, named=True)
    assert f"1. {percent(first['gain_share'])} shorter ({duration(first['gain_ns'])} of" in page
    for row in report.steps.iter_rows(named=True):
        assert re.search(rf"`{row['step']}` \| \w+ \| {duration(row['il_ns'])} \|", page)
    total = sk.tklqt(trace, by="trace").row(0, named=True)
    assert f"{duration(total['tklqt_ns'])} (TKLQT)" in page
    assert f"{duration(total['queue_ns'])} (" in page
    for cause, idle in report.idle.select("cause", "idle_ns").head(ROWS).rows():
        assert re.search(rf"\| {cause} \| .* \| {duration(idle)} \|", page)
    assert f"`{report.behind['op'][0]}`" in page


def test_every_number_has_a_unit_or_a_heading_that_counts() -> None:
    page = sk.describe(sk.load(fixture_path("sync")))
    counted = {"launches", "kernel launches", "gaps", "count"}
    names: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and not names:
            names = cells
        names = names if cells else []
        for heading, cell in zip(names, cells, strict=True):
            if re.fullmatch(r"[\d,.]+", cell):
                assert heading in counted, line
            elif re.match(r"[\d,.]+", cell):
                assert re.fullmatch(r"[\d,.]+ (?:ns|µs|ms|s|%)", cell), line


def test_a_trace_of_nothing_and_one_without_a_device_have_a_page() -> None:
    assert headings(sk.describe(sk.load([]))) == [
        "# Trace `<decoded>`", "## Steps", "## What to doubt", "## Words",
    ]  # fmt: skip
    page = sk.describe(sk.load(fixture_path("no_device")))
    assert "**No verdict: nothing ran on a device" in page
    assert "nothing ran on a device in this trace. Affects: all." in page


def test_of_many_steps_three_are_told() -> None:
    few, many = (sk.describe(trace_of("mm", n)) for n in (STEPS, STEPS + 1))
    assert few.count("| `ProfilerStep#") == STEPS
    assert many.count("| `ProfilerStep#") == 3
    assert "Of 9 steps the shortest, the median and the longest; 0 take more" in many


def test_a_damaged_trace_says_so_first() -> None:
    text = fixture_path("eager_step").read_bytes()
    page = sk.describe(sk.load(text[: len(text) * 9 // 10]))
    assert "rest on a damaged trace" in page.split("## ")[0]
    assert "- error, count 1" in page


def test_a_step_has_a_page_of_its_own() -> None:
    page = sk.describe(trace_of("mm").step(1), floor=5)
    assert page.count("| `ProfilerStep#") == 1
    assert "a launch takes 5 ns (floor)" in page


def test_what_is_no_trace_is_told() -> None:
    with pytest.raises(NoTraceError, match="describe takes a Trace, got a str"):
        sk.describe("trace.json")  # type: ignore[arg-type]


# --- names are names ------------------------------------------------------------------------------


def test_a_name_adds_no_line_and_a_long_one_no_length(tmp_path: Path) -> None:
    plain, hostile, long = (sk.describe(trace_of(n)) for n in ("mm", HOSTILE, "m" * 100_000))
    assert headings(hostile) == headings(plain)
    assert len(hostile.splitlines()) == len(plain.splitlines()) == len(long.splitlines())
    assert all(c == "\n" or c.isprintable() for c in hostile)
    assert len(long) < 12_000


def rendered(page: str) -> Any:
    markdown = pytest.importorskip("markdown_it")
    return markdown.MarkdownIt("commonmark").enable("table").parse(page)


def shapes(tokens: Any) -> list[str]:
    """Every element of a page, in order, but for texts."""
    found = []
    for token in tokens:
        found.append(token.type)
        found += [child.type for child in token.children or () if child.type != "text"]
    return found


SPECIAL = st.text(st.sampled_from("`|*_[]()<>!#~\\&$@:/-+=\n\r\t ab1.\u2028é"), min_size=1)


@settings(max_examples=25)
@given(st.one_of(SPECIAL, st.text(min_size=1)))
def test_whatever_a_name_holds_is_no_markup(name: str) -> None:
    whole = rendered(
        f"- a {code(name)} b\n- c {escaped(name)}.\n\n| {code(name)} | x |\n|---|---|\n"
    )
    plain = rendered("- a `m` b\n- c m.\n\n| `m` | x |\n|---|---|\n")
    if code(name) != "-":
        assert [s for s in shapes(whole) if s != "text_special"] == shapes(plain)


def test_a_page_of_hostile_names_is_laid_out_as_one_of_plain_names() -> None:
    hostile, plain = (shapes(rendered(sk.describe(trace_of(name)))) for name in (HOSTILE, "mm"))
    assert [shape for shape in hostile if shape != "text_special"] == plain


# --- real traces ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
@pytest.mark.parametrize("name", ["gpt2_decode16", "cause_dataloader_v0"])
def test_a_real_trace_has_a_page_that_can_be_read_at_once(name: str) -> None:
    page = sk.describe(sk.load(trace_path(f"h100/{name}")))
    assert 2_000 < len(page) < 12_000
    assert "None" not in page
    assert "nan" not in page


def test_a_window_that_touches_no_step_is_described_as_it_is() -> None:
    trace = sk.load(
        [op("before", 0, 50), call("launch", 10, 2, 1), kernel(20, 5, 1), step(1, 90, 9)]
    )
    page = sk.describe(trace.between(0, 60_000))
    assert "launches: 1" in page
    assert "steps: 0" in page
