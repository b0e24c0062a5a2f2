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
from skiptrace.model.schema.column import ACTIVITIES
from skiptrace.show.advice import ADVICE
from skiptrace.show.report import Report

DOCS = Path(__file__).resolve().parent.parent / "docs"
VERBS = [name for name in sk.__all__ if isinstance(getattr(sk, name), FunctionType)]
PLOTS = [f"plot.{name}" for name in sk.plot.__all__]
METHODS = ["save"]
"""Methods of a trace that have a page of their own."""
SECTIONS = (
    "## Definition", "## Edge cases", "## Cost", "## What it cannot tell", "## References",
)  # fmt: skip


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def pages() -> list[Path]:
    return sorted((DOCS / "verbs").glob("*.md"))


@pytest.mark.parametrize("name", [*VERBS, *METHODS])
def test_every_verb_has_a_page_with_its_call(name: str) -> None:
    text = page(f"verbs/{name}")
    owner, called = (sk.Trace, "trace") if name in METHODS else (sk, "sk")
    parameters = list(inspect.signature(getattr(owner, name)).parameters)
    calls = re.findall(rf"```python\n{called}\.{name}\((.*)\)\n```", text)
    assert len(calls) == 1
    assert re.findall(r"(?:^|, )([a-z]\w*)", calls[0]) == [p for p in parameters if p != "self"]


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
    [*VERBS, "Trace.step", "Trace.between", "Trace.args", "Trace.save", *PLOTS],
)
def test_docstrings_are_complete(name: str) -> None:
    function: Any = sk
    for part in name.split("."):
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


def test_the_api_page_has_every_public_name() -> None:
    text = page("api")
    listed = re.findall(r"auto(?:function|class|exception|module):: ([\w.]+)", text)
    assert {n.rpartition(".")[2] for n in listed} >= set(sk.__all__) - {"plot"}
    assert {n for n in listed if ".plot." in n} == {f"skiptrace.{name}" for name in PLOTS}
    errors = {
        n
        for n, c in vars(sk.errors).items()
        if inspect.isclass(c) and c.__module__ == sk.errors.__name__
    }
    assert {n.rpartition(".")[2] for n in listed} >= errors


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
