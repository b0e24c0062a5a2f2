"""The report in a real browser: nothing is loaded, nothing goes wrong, tables sort and filter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from helpers import Event, call, fixture_path, kernel, op, step

import skiptrace as sk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = os.environ.get("SKIPTRACE_CHROMIUM") or shutil.which("chromium") or ""
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
ODD = "<script>document.title='taken'</script>"
LONG = "void " + "cutlass::" * 30 + "NeedleKernel(" + "int, " * 30 + "int)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api", reason="needs pip install '.[browser]'")
    if not Path(CHROMIUM).is_file():
        pytest.skip("needs Chromium (apt-get install chromium; or set SKIPTRACE_CHROMIUM)")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield opened
        opened.close()


class Opened(NamedTuple):
    """A page, and what the browser told and asked for since it was opened."""

    page: Page
    told: list[str]
    asked: list[str]


def opened(browser: Browser, path: Path, **options: Any) -> Opened:
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}} | options)
    page, told, asked = context.new_page(), [], []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return Opened(page, told, asked)


@pytest.fixture(scope="module")
def report(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on 15 operators and kernels, among them a name that is a script and a long one."""
    events: list[Event] = []
    for n in (0, 1):
        events.append(step(n, 100_000 * n, 90_000))
        for i in range(15):
            start, corr = 100_000 * n + 1000 * i, 1 + 2 * i + n
            name = ODD if i == 3 else f"op{i:02}"
            work = LONG if i == 5 else ODD if i == 6 else f"kernel{i:02}"
            events += [
                op(name, start, 500 + 20 * ((7 * i) % 15)),
                call("cudaLaunchKernel", start + 2, 3, corr),
                kernel(start + 7 + i, 100, corr, work),
            ]
    path = tmp_path_factory.mktemp("browser") / "report.html"
    return sk.report(sk.load(events), path)


@pytest.fixture(scope="module")
def comparison(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    traces = {ODD: sk.load(fixture_path("sync")), "graph": sk.load(fixture_path("graph_step"))}
    return sk.report(traces, tmp_path_factory.mktemp("browser") / "comparison.html")


def column(section: Locator, number: int) -> list[str]:
    """What the rows that are seen show in a column."""
    cells = section.locator(f"tbody tr:not([hidden]) td:nth-child({number})")
    return [text.strip() for text in cells.all_inner_texts()]


@pytest.mark.parametrize(
    ("which", "width", "scheme"),
    [("report", 1400, "light"), ("report", 420, "dark"), ("comparison", 1400, "dark"),
     ("comparison", 420, "light")],
)  # fmt: skip
def test_nothing_is_loaded_nothing_goes_wrong_and_nothing_runs_over_the_edge(
    which: str, width: int, scheme: str, browser: Browser, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(which)
    size = {"width": width, "height": 900}
    page, told, asked = opened(browser, path, viewport=size, color_scheme=scheme)
    assert page.title() != "taken"
    assert page.evaluate("document.documentElement.scrollWidth") == width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    top = page.locator("h1").bounding_box()
    assert top is not None
    assert top["y"] < 120
    assert page.locator("figure.plot svg >> visible=true").count() >= 1
    page.locator("th button").first.click()
    assert told == []
    assert asked == [path.as_uri()]


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(
    browser: Browser, report: Path
) -> None:
    page = opened(browser, report).page
    section = page.locator("#ops")
    section.get_by_role("button", name="Show all").click()
    head = section.get_by_role("columnheader", name="host self")
    number = 1 + head.evaluate("head => head.cellIndex")
    raw = f"tbody td:nth-child({number})"

    def values() -> list[int]:
        found = section.locator(raw).evaluate_all("cells => cells.map(c => Number(c.dataset.v))")
        return [int(value) for value in found]

    first = values()
    assert len(set(first)) == 15
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert values() == sorted(first, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(first)
    names = section.get_by_role("columnheader", name="operator")
    names.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "none"
    assert column(section, 1)[-3:] == ["op12", "op13", "op14"]


def test_a_filter_finds_rows_by_any_cell_and_by_the_whole_of_a_name_that_is_cut(
    browser: Browser, report: Path
) -> None:
    page = opened(browser, report).page
    section = page.locator("#top")
    assert len(column(section, 1)) == 10
    box = section.get_by_role("searchbox")
    box.fill("NeedleKernel".upper())
    assert len(column(section, 1)) == 1
    assert "Needle" not in column(section, 1)[0]
    assert section.locator(".count").inner_text() == "1 of 15 rows"
    box.fill("kernel1")
    assert sorted(column(section, 1)) == [f"kernel1{i}" for i in range(5)]
    box.fill("no such thing")
    assert column(section, 1) == []
    box.fill("")
    assert len(column(section, 1)) == 10
    section.get_by_role("button", name="Show all 15 rows").click()
    assert len(column(section, 1)) == 15


def test_a_name_that_is_a_script_is_shown_as_text(browser: Browser, report: Path) -> None:
    page, told, _ = opened(browser, report)
    page.locator("#ops").get_by_role("searchbox").fill("<script>")
    assert column(page.locator("#ops"), 1) == [ODD]
    assert page.locator("#plot-split .wide text", has_text="<script>").count() == 1
    assert page.locator("script").count() == 1
    assert told == []


def test_the_pointer_on_a_mark_of_a_plot_tells_what_it_is(browser: Browser, report: Path) -> None:
    page = opened(browser, report).page
    plot = page.locator("#plot-idle")
    tip = plot.locator(".tip")
    assert tip.is_hidden()
    plot.locator(".wide [aria-roledescription=bar]").first.hover()
    assert tip.is_visible()
    assert tip.inner_text().startswith("cause: ")


def test_it_prints_all_of_it_to_pdf(browser: Browser, report: Path, tmp_path: Path) -> None:
    page, told, asked = opened(browser, report)
    page.pdf(path=tmp_path / "report.pdf")
    data = (tmp_path / "report.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page /") >= 3
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator("#plot-timeline svg >> visible=true").count() == 1
    assert (told, asked) == ([], [report.as_uri()])


def test_without_scripts_every_row_is_there(browser: Browser, report: Path) -> None:
    page = opened(browser, report, java_script_enabled=False).page
    assert len(column(page.locator("#ops"), 1)) == 15
    assert page.locator("input >> visible=true").count() == 0
    assert page.locator("figure.plot svg >> visible=true").count() == 6
