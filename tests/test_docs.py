"""The docs keep up with the code: no public name without a page, no health kind without a row."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import skiptrace as sk
from skiptrace import cli
from skiptrace.model.health import MEANINGS
from skiptrace.model.schema import FRAMES
from skiptrace.model.schema.column import ACTIVITIES
from skiptrace.show.advice import ADVICE
from skiptrace.show.report import Report

DOCS = Path(__file__).resolve().parent.parent / "docs"
VERBS = [name for name in sk.__all__ if isinstance(getattr(sk, name), FunctionType)]
PLOTS = [f"plot.{name}" for name in sk.plot.__all__]
METHODS = {"save": sk.Trace.save}
"""Methods of a trace that have a page of their own."""
SECTIONS = (
    "## Definition", "## Edge cases", "## Cost", "## What it cannot tell", "## References",
)  # fmt: skip


DESIGN_WORDS = (
    "event", "operator", "annotation", "call", "work", "launch", "link", "kind of a launch",
    "stream", "step", "IL", "AKD", "TKLQT", "floor", "gap", "activity", "cause", "busy", "HDBI",
    "transition", "chain", "bound",
)  # fmt: skip
"""What the design fixes, and the glossary has to say."""


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def pages() -> list[Path]:
    return sorted((DOCS / "verbs").glob("*.md"))


@pytest.mark.parametrize("name", [*VERBS, *METHODS])
def test_every_verb_has_a_page_with_its_call(name: str) -> None:
    text = page(f"verbs/{name}")
    called, function = ("trace", METHODS[name]) if name in METHODS else ("sk", getattr(sk, name))
    parameters = list(inspect.signature(function).parameters)[name in METHODS :]
    calls = re.findall(rf"```python\n{called}\.{name}\((.*)\)\n```", text)
    assert len(calls) == 1
    assert re.findall(r"(?:^|, )([a-z]\w*)", calls[0]) == parameters


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_every_page_of_a_verb_names_it_and_is_in_the_contents(path: Path) -> None:
    assert path.stem in [*VERBS, *METHODS]
    assert f"`{path.stem}`\n" in path.read_text(encoding="utf-8").splitlines(keepends=True)[0]
    assert f"\nverbs/{path.stem}\n" in page("index")


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_every_page_of_a_verb_says_what_it_means_costs_and_cannot_tell(path: Path) -> None:
    wanted = [s for s in SECTIONS if path.stem != "load" or s not in SECTIONS[:2]]
    text = path.read_text(encoding="utf-8")
    assert [s for s in wanted if f"\n{s}\n" not in text] == []
    assert "```{doctest}" in text


@pytest.mark.parametrize(
    "name",
    [*VERBS, "Trace.step", "Trace.between", "Trace.args", *METHODS, *PLOTS],
)
def test_docstrings_are_complete(name: str) -> None:
    function: Any = METHODS.get(name, sk)
    for part in () if name in METHODS else name.split("."):
        function = getattr(function, part)
    text = inspect.getdoc(function) or ""
    headings = re.findall(r"^(\w[\w ]*)\n-+$", text, re.MULTILINE)
    assert headings[:2] == ["Parameters", "Returns"]
    listed = text.split("Parameters\n---")[1].split("Returns\n---")[0]
    named = [
        n for line in re.findall(r"^(\w[^\n]*)$", listed, re.MULTILINE) for n in line.split(", ")
    ]
    assert [n.split(" :")[0] for n in named] == [
        p for p in inspect.signature(function).parameters if p != "self"
    ]


def names_of_the_api_page() -> list[str]:
    """What it documents, as reached from the package: ``load``, ``errors.ReadError``."""
    names, module = [], ""
    for directive, name in re.findall(r"\.\. (currentmodule|auto\w+):: ([\w.]+)", page("api")):
        if directive == "currentmodule":
            module = name
        else:
            full = name if name.startswith("skiptrace.") else f"{module}.{name}"
            names.append(full.removeprefix("skiptrace."))
    return names


def test_the_api_page_has_every_public_name_once_and_no_other() -> None:
    def classes(module: Any, base: type) -> set[str]:
        found = {n: c for n, c in vars(module).items() if inspect.isclass(c)}
        return {n for n, c in found.items() if issubclass(c, base)}

    hooks = {n for n, f in vars(sk.torch).items() if inspect.isfunction(f) and n[0] != "_"}
    hooks -= {"load"}
    listed = names_of_the_api_page()
    assert len(listed) == len(set(listed))
    assert set(listed) == {
        *(n for n in sk.__all__ if n != "plot"),
        *PLOTS,
        *(f"errors.{n}" for n in classes(sk.errors, sk.errors.SkiptraceError)),
        *(f"torch.{n}" for n in hooks | {"Profile"}),
        "model.meta.Meta",  # reached through a trace
        "thresholds",  # what results rest on
    }


@pytest.mark.parametrize("name", [n for n in sk.__all__ if n not in VERBS])
def test_every_public_name_that_is_no_verb_is_explained_on_a_page(name: str) -> None:
    """A class stands, as code, on another page than that of the API."""
    others = [p for p in DOCS.rglob("*.md") if p.name not in ("api.md", "decisions.md")]
    said = re.compile(rf"`(?:sk\.)?{name}\b|\bsk\.{name}\b")
    assert [p.name for p in others if said.search(p.read_text(encoding="utf-8"))] != []


@pytest.mark.parametrize("word", DESIGN_WORDS)
def test_the_glossary_has_the_words_that_pages_use(word: str) -> None:
    assert re.search(rf"^{word}(?:, .*)?\n: ", page("glossary"), re.MULTILINE)


def test_columns_that_the_glossary_explains_exist() -> None:
    columns = {column.name for frame in FRAMES.values() for column in frame}
    table = page("glossary").partition("## In headings of tables")[2]
    rows = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    named = [n for row in rows for n in re.findall(r"`(\w+_(?:ns|share))`", row)]
    assert len(named) > 10
    assert [n for n in named if n not in columns] == []


def test_how_far_predictions_are_off_is_what_was_measured() -> None:
    measured = page("validation").partition("## The same run without a profiler")[2]
    medians = re.findall(r"^`([cg]pu)`:\n\nMedian error ([\d.]+)%", measured, re.MULTILINE)[:2]
    said = re.search(
        r"holds a step it was (\S+) % off in the\s+median,.*?, (\S+) %", page("limits")
    )
    assert said is not None
    assert dict(medians).keys() == {"cpu", "gpu"}
    assert [float(f"{float(x):.2g}") for _, x in medians] == [float(x) for x in said.groups()]


def test_every_link_has_a_text_for_those_who_read_the_plain_file() -> None:
    files = [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]
    bare = {p.name: re.findall(r"\[\]\([^)]+\)", p.read_text(encoding="utf-8")) for p in files}
    assert {name: links for name, links in bare.items() if links} == {
        "CONTRIBUTING.md": ["[](health.md)"]  # which says so
    }


def test_the_docs_are_built_without_network() -> None:
    conf = (DOCS / "conf.py").read_text(encoding="utf-8")
    assert re.findall(r"intersphinx|https?://", conf) == []


def test_every_question_has_lines_to_run() -> None:
    """But for those about the project itself, last."""
    asked = page("faq").partition("\n## Around it")[0].split("\n### ")[1:]
    assert len(asked) > 10
    assert [q.partition("\n")[0] for q in asked if "```{doctest}" not in q] == []


def test_the_tables_have_a_row_for_every_health_kind_cause_and_key() -> None:
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        import schema_tables as tables
    finally:
        sys.path.remove(str(DOCS / "_ext"))

    def first_cells(table: type[tables.Table]) -> list[str]:
        return [cells[0][0].astext() for cells in table.rows(table.__new__(table))]

    assert first_cells(tables.HealthTable) == list(MEANINGS)
    assert first_cells(tables.AdviceTable) == list(ACTIVITIES)
    assert set(ADVICE) == set(ACTIVITIES)
    assert "```{health-kinds}\n```" in page("health")
    assert "```{advice}\n```" in page("verbs/idle_causes")


def test_every_activity_is_defined() -> None:
    text = page("verbs/idle_gaps")
    assert [a for a in ACTIVITIES if f"`{a}`" not in text] == []


def test_the_page_of_the_command_has_every_option_and_every_key_of_json() -> None:
    text = page("cli")
    subparsers = next(
        a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction)
    )
    assert [name for name in subparsers.choices if f"\nskiptrace {name} " not in text] == []
    actions = [a for p in subparsers.choices.values() for a in p._actions]
    options = {s for a in actions for s in a.option_strings} - {"-h", "--help"}
    assert [o for o in options if not re.search(rf"`{o}[` ]", text)] == []
    assert [f.name for f in dataclasses.fields(Report) if f"`{f.name}`" not in text] == []


def test_an_example_in_the_docs_reads_fixtures_alone() -> None:
    for path in DOCS.rglob("*.md"):
        for source in re.findall(r'sk\.load\("([^"]+)"', path.read_text(encoding="utf-8")):
            found = (DOCS.parent / source).is_file() or source == "trace.json.gz"
            assert found, f"{path.name}: {source}"
