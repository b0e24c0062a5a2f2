"""The report as one HTML file: the answer first, every name as text, every column defined."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from helpers import Event, call, fixture_path, kernel, op, step
from html_page import Node, page_of, parsed, rows_of
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace import cli
from skiptrace.errors import NoTraceError, SaveError
from skiptrace.model import schema
from skiptrace.model.duration import duration
from skiptrace.show import plots
from skiptrace.show.page import figures, markup, several, table
from skiptrace.show.page.one import one_page
from skiptrace.show.report import build_report
from skiptrace.show.text import percent

FIXTURES = ("sync", "graph_step", "no_device", "jax")
ODD = ("<script>alert(1)</script>", "</style><b>", '" onload="x', "&lt;i&gt;", "]]>", "\u202e\x00")
"""Names that a browser might take for its own."""


@cache
def page_on(name: str) -> Node:
    """The page on a fixture, without plots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "missing", lambda: markup.Markup("<p>no plots</p>"))
        return parsed(one_page(sk.load(fixture_path(name)), None))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without plots, which take seconds, and which tests of the charts are about."""
    monkeypatch.setattr(figures, "missing", lambda: markup.Markup("<p>no plots</p>"))


def steps_of(ops: list[tuple[str, str]], slow: int = 1) -> list[Event]:
    """Two steps; in each every operator, of the first name, launches a kernel of the second."""
    events: list[Event] = []
    for n in (0, 1):
        at = n * 100_000
        events.append(step(n, at, 90_000))
        for i, (name, work) in enumerate(ops):
            start, corr = at + 20 * slow * i, 1 + 2 * i + n
            events += [
                op(name, start, 15 * slow),
                call("cudaLaunchKernel", start + 2, 3, corr),
                kernel(start + 7, 4, corr, work),
            ]
    return events


def loaded(*ops: tuple[str, str], slow: int = 1) -> sk.Trace:
    return sk.load(steps_of(list(ops or [("aten::mm", "gemm"), ("aten::add", "add")]), slow))


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIXTURES)
def test_a_page_is_whole_loads_nothing_and_its_links_lead_somewhere(name: str) -> None:
    page = page_on(name)
    every = page.all()
    ids = [node.attributes["id"] for node in every if "id" in node.attributes]
    links = [node.attributes["href"] or "" for node in every if "href" in node.attributes]
    assert len(set(ids)) == len(ids)
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert [n for n in every if n.attributes.keys() & {"src", "style", "srcset", "action"}] == []
    assert {n.tag for n in every}.isdisjoint({"link", "img", "iframe", "object", "form", "base"})
    assert [k for n in every for k in n.attributes if k.startswith("on")] == []
    assert (
        re.findall(r"url\(|@import|https?:", page.one("style").text + page.one("script").text) == []
    )
    headings = [node.attributes.get("id") for node in page.one("main").all(class_="part")]
    assert headings[-2:] == ["health", "definitions"]
    assert len(page.one("nav").all("a")) == len(headings)


def test_only_the_pages_own_style_and_script_may_run() -> None:
    page = page_on("no_device")
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]

    def own(tag: str) -> str:
        return base64.b64encode(hashlib.sha256(page.one(tag).text.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; style-src 'sha256-{own('style')}'; "
        f"script-src 'sha256-{own('script')}'; base-uri 'none'; form-action 'none'"
    )


def test_the_answer_comes_first_then_the_three_changes_that_would_pay_most() -> None:
    trace = sk.load(fixture_path("sync"))
    page, report = page_on("sync"), build_report(trace)
    head = page.one("header")
    heading = head.one("h1").text
    assert heading == report.sentence.partition(": ")[0] == "GPU-bound (2 of 2 steps)"
    assert page.one("title").text.startswith(heading)
    texts = [
        head.text.find(t) for t in (heading, report.advice, "What would pay", "The median step")
    ]
    assert -1 not in texts
    assert texts == sorted(texts)
    gains = [node.text for node in head.all("span", class_="gain")]
    shares = sk.advise(trace)["gain_share"].head(3)
    assert gains == [f"{100 * s:.{0 if s >= 0.1 else 1}f} % shorter" for s in shares]


def test_tables_hold_the_exact_figures_of_the_verbs() -> None:
    trace = sk.load(fixture_path("sync"))
    page = page_on("sync")

    def shown(key: str, frame: pl.DataFrame, columns: list[str]) -> None:
        expected = [
            [value if isinstance(value, str) else repr(value) for value in row]
            for row in frame.select(columns).rows()
        ]
        assert rows_of(page.one("section", id=key)) == expected

    tklqt = sk.tklqt(trace, by="root_op")
    shown("tklqt", tklqt, ["root_op", "launches", "tklqt_ns", "launch_ns", "queue_ns", "median_ns",
                           "p95_ns", "max_ns"])  # fmt: skip
    shown("activities", sk.idle_causes(trace, by="activity"), ["activity", "idle_share", "idle_ns"])
    steps = rows_of(page.one("section", id="steps"))
    assert [row[2] for row in steps] == [str(ns) for ns in sk.summary(trace)["il_ns"]]
    assert [row[1] for row in steps] == sk.boundedness(trace)["verdict"].to_list()


@pytest.mark.parametrize("name", FIXTURES)
def test_every_column_that_is_shown_is_defined_in_the_words_of_the_schema(name: str) -> None:
    page = page_on(name)
    known = {c.meaning for columns in schema.FRAMES.values() for c in columns}
    keys = (schema.measured.TKLQT_KEYS, schema.breakdowns.OP_KEYS)
    known |= {c.meaning for key in keys for columns in key.values() for c in columns}
    known |= {c.meaning for c in schema.measured.IDLE_KEYS.values()}
    tables = page.all("section", class_="table")
    assert tables
    for one in tables:
        said = page.one("section", id=f"{one.attributes['id']}-columns").one("dl")
        heads = [head.text for head in one.all("th")]
        terms = [dt.text.removesuffix(dt.one("code").text).rstrip() for dt in said.all("dt")]
        assert terms == heads
        meanings = [dd.text for dd in said.all("dd")]
        assert len(meanings) == len(heads)
        assert set(meanings) - known <= {"what to do about that cause"}
        titles = [button.attributes["title"] or "" for button in one.all("button")[: len(heads)]]
        assert [t.partition(": ")[2] for t in titles] == meanings


@pytest.mark.usefixtures("plain")
def test_a_long_table_is_cut_and_says_what_is_left_out(tmp_path: Path) -> None:
    names = [(f"op{i}", f"kernel{i}") for i in range(table.ROWS + 7)]
    path = sk.report(loaded(*names), tmp_path / "report.html")
    page = parsed(path.read_text(encoding="utf-8"))
    for key, call_ in (
        ("tklqt", "sk.tklqt(trace, by='root_op')"),
        ("top", "sk.top_kernels(trace)"),
    ):
        section = page.one("section", id=key)
        assert len(section.one("tbody").all("tr")) == table.ROWS
        foot = section.one("p", class_="foot").text
        assert "7 more rows are left out here" in foot
        assert call_ in foot
    assert path.stat().st_size < 1_000_000


def test_a_plot_is_markup_whose_marks_tell_what_tooltips_would() -> None:
    pytest.importorskip("vl_convert")
    pytest.importorskip("altair")
    like_ids = 'f(id="x", xlink:href="#a")'
    trace = loaded(("<i>", "<b>"), ("aten::add", "add"), (like_ids, "add"))
    drawn = [
        figures.plot("plot-idle", "Idle <b>", lambda width: plots.idle(trace, width=width)),
        figures.plot("plot-ops", "", lambda width: plots.split(trace, "root_op", width=width),
                     sizes=figures.ONE),
    ]  # fmt: skip
    page = parsed(markup.join(*drawn))
    assert [len(figure.all("svg")) for figure in page.all("figure", class_="plot")] == [2, 1]
    assert page.all("b") == page.all("i") == []
    assert {"<i>", like_ids} <= {node.text for node in page.one(id="plot-ops").all("text")}
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(set(ids)) == len(ids)
    assert [n.tag for n in page.walk() if n.attributes.keys() & {"style", "src", "onload"}] == []
    bars = page.one(id="plot-idle").one(class_="wide").all("path", aria_roledescription="bar")
    assert [bar.attributes["aria-label"] for bar in bars] == [
        f"cause: {cause}; idle: {duration(ns)}; of all idle time: {percent(share)}; gaps: {gaps}"
        for cause, gaps, ns, share in sk.idle_causes(trace).rows()
    ]


@pytest.mark.parametrize("absent", [("altair",), ("vl_convert",), ("altair", "vl_convert")])
def test_without_what_draws_plots_the_page_says_what_to_install(
    absent: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda name: None if name in absent else True)
    page = page_of(loaded(), tmp_path)
    line = page.one("p", class_="missing").text
    assert "pip install 'skiptrace[plot]'" in line
    assert [figures.NEEDS[name] in line for name in figures.NEEDS] == [
        name in absent for name in figures.NEEDS
    ]
    assert page.all("figure") == []


# --- names are text -------------------------------------------------------------------------------


@pytest.mark.usefixtures("plain")
def test_names_that_are_markup_are_shown_as_text(tmp_path: Path) -> None:
    path = tmp_path / "<b>&.json"
    path.write_text(json.dumps(steps_of([(name, f"k{name}") for name in ODD])), encoding="utf-8")
    trace = sk.load(path)
    alone = page_of(trace, tmp_path)
    for page in (alone, page_of({ODD[0]: trace, ODD[2]: loaded()}, tmp_path)):
        assert len(page.all("script")) == len(page.all("style")) == 1
        assert page.all("b", onload="x") == page.all(onload="x") == []
    assert path.name in alone.one("header").text
    shown = {row[0] for row in rows_of(alone.one("section", id="ops"))}
    assert shown == {*ODD[:-1], "\N{REPLACEMENT CHARACTER}" * 2}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_out_of_the_markup(value: str) -> None:
    made = markup.element("p", value, title=value, data_v=value)
    node = parsed(made).one("p")
    expected = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    assert node.text == expected
    assert node.attributes == {"title": expected, "data-v": expected}


def test_a_long_name_is_cut_and_stands_whole_in_its_title(tmp_path: Path) -> None:
    long = "void " + "cutlass::" * 40 + "Kernel(int)"
    shown = parsed(markup.name(long)).one("span")
    assert len(shown.text) == markup.NAME_WIDTH
    assert shown.attributes["title"] == long


def test_advice_counts_the_idle_time_of_each_device_once() -> None:
    events = [step(0, 0, 1000), op("a", 5, 60)]
    for device in (0, 1):
        for i in range(10):
            corr = 1 + i + 100 * device
            events += [call("cudaLaunchKernel", 10 + 2 * i, 1, corr)]
            events += [kernel(100 * i + 30, 97, corr, "k", device=device)]
    trace = sk.load(events)
    row = sk.summary(trace).row(0, named=True)
    share = percent(row["gpu_idle_ns"] / (2 * row["il_ns"]))
    assert f"a step would be {share} shorter" in build_report(trace).advice


# --- several traces -------------------------------------------------------------------------------


@pytest.mark.usefixtures("plain")
def test_several_traces_are_compared_with_the_first(tmp_path: Path) -> None:
    slow, fast = loaded(slow=4), loaded()
    page = page_of({"slow": slow, "fast": fast, "again": slow}, tmp_path)
    one, two = (sk.summary(t)["il_ns"].min() for t in (slow, fast))
    assert isinstance(one, int)
    assert isinstance(two, int)
    assert one > two
    assert page.one("h1").text == f"fast is {one / two:.2f} times as fast as slow"
    assert sk.diff(slow, fast).verdict in page.one("header").text
    assert several._variable("2 x-b") == "_2_x_b"
    side = rows_of(page.one("section", id="side"))
    assert [row[0] for row in side] == ["slow", "fast", "again"]
    assert [row[3] for row in side] == [str(one), str(two), str(one)]
    assert [float(row[1] or "nan") for row in side] == [1, one / two, 1]
    assert [node.text for node in page.one("main").all("h2")] == [
        "Side by side", "From slow to fast", "From slow to again", "Each by itself",
        "How each figure is defined",
    ]  # fmt: skip
    links = {node.attributes["href"] or "" for node in page.all("a")}
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert len(set(ids)) == len(ids)
    split = rows_of(page.one("section", id="split-1"))
    assert sum(int(row[2] or 0) for row in split) == two - one


@pytest.mark.usefixtures("plain")
def test_a_first_that_is_fastest_and_traces_that_are_alike_are_called_so(tmp_path: Path) -> None:
    slow, fast = loaded(slow=4), loaded()
    page = page_of({"fast": fast, "slow": slow}, tmp_path)
    assert re.fullmatch(r"fast is \d\.\d\d times as fast as slow", page.one("h1").text)
    assert page_of({"a": slow, "b": slow}, tmp_path).one("h1").text == "b is as fast as a"
    nothing = sk.load(fixture_path("no_device"))
    assert page_of({"a": nothing, "b": fast}, tmp_path).one("h1").text == "Nothing to compare"


@pytest.mark.usefixtures("plain")
def test_ranks_of_a_run_are_told_who_makes_whom_wait(tmp_path: Path) -> None:
    one, two = (sk.load(fixture_path(f"tp2_rank{n}")) for n in (0, 1))
    loaded_ = sk.load_ranks({0: one, 1: two})
    page = page_of(loaded_, tmp_path)
    waits = sk.stragglers(loaded_)
    late = waits.group_by("rank").agg(pl.col("wait_ns").sum()).sort("wait_ns")["rank"][-1]
    assert page.one("h1").text == f"Rank {late} makes the others wait"
    shown = rows_of(page.one("section", id="waits"))
    assert [row[3] for row in shown] == [str(ns) for ns in waits["wait_ns"].head(table.ROWS)]
    assert [node.text for node in page.one("main").all("h2")] == [
        "Who waits for whom", "Side by side", "Each by itself", "How each figure is defined",
    ]  # fmt: skip
    called = several._ranks_of({"a": two, "b": one})
    assert called is not None
    assert list(called.traces) == [0, 1]
    assert several._ranks_of({"before": one, "after": one}) is None  # a rank of two runs


# --- the verb and the command ---------------------------------------------------------------------


@pytest.mark.usefixtures("plain")
def test_a_mapping_of_one_trace_gives_the_report_on_it(tmp_path: Path) -> None:
    one, same = (
        sk.report(loaded(), tmp_path / "a.html"),
        sk.report({"x": loaded()}, tmp_path / "b.html"),
    )
    assert one.read_bytes() == same.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


@pytest.mark.parametrize("given_", [None, {}, [], {"a": 1}, "trace.json"])
def test_what_is_no_trace_is_an_error(given_: object, tmp_path: Path) -> None:
    with pytest.raises(NoTraceError):
        sk.report(given_, tmp_path / "report.html")  # type: ignore[arg-type]


@pytest.mark.usefixtures("plain")
def test_a_path_that_cannot_be_written_is_an_error_and_a_trace_is_not_overwritten(
    tmp_path: Path,
) -> None:
    with pytest.raises(SaveError, match="cannot be written"):
        sk.report(loaded(), tmp_path / "none" / "report.html")
    own = tmp_path / "trace.json"
    own.write_text(text := json.dumps(steps_of([("aten::mm", "gemm")])), encoding="utf-8")
    gone = sk.load(own)
    with pytest.raises(SaveError, match="is the trace itself"):
        sk.report(gone, own)
    assert own.read_text(encoding="utf-8") == text
    own.unlink()
    target = tmp_path / "report.html"
    assert sk.report(gone, target) == sk.report(gone, target)  # the second finds one to replace


@pytest.mark.usefixtures("plain")
def test_the_command_writes_the_file_and_prints_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "r.html"
    slow, fast = (str(tmp_path / f"{name}.json") for name in ("slow", "fast"))
    for path, by in ((slow, 4), (fast, 1)):
        events = steps_of([("aten::mm", "gemm"), ("aten::add", "add")], by)
        Path(path).write_text(json.dumps(events), encoding="utf-8")
    assert cli.main(["report", slow, "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{target}\n"
    assert "CPU-bound (2 of 2 steps)" in target.read_text(encoding="utf-8")
    assert cli.main(["report", slow, fast, "-o", str(target), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"schema": "skiptrace.page/1", "path": str(target)}
    heading = parsed(target.read_text(encoding="utf-8")).one("h1").text
    assert heading.startswith("fast is ")
    assert heading.endswith(" times as fast as slow")
    assert cli.main(["report", slow, fast]) == 2
    assert "-o report.html" in capsys.readouterr().err
