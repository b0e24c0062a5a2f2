"""The notebooks of examples/: short, without outputs, and each runs to its end on the fixtures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.util import run_sync

v4: Any = nbformat.v4  # it is typed in part
ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
MOST_CELLS = 14

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return v4.reads(path.read_text(encoding="utf-8"))


def test_the_page_of_examples_lists_every_notebook() -> None:
    listed = re.findall(
        r"\]\(\.\./examples/([\w.]+)\)", (ROOT / "docs" / "examples.md").read_text()
    )
    assert sorted(listed) == [path.name for path in NOTEBOOKS] != []


@each
def test_a_notebook_is_short_and_has_no_outputs(path: Path) -> None:
    book = read(path)
    nbformat.validate(book)
    assert len(book.cells) <= MOST_CELLS
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [c.outputs or c.execution_count for c in code if c.outputs or c.execution_count] == []


@each
def test_a_notebook_begins_with_its_question_and_ends_with_what_to_do(path: Path) -> None:
    first, *_, last = read(path).cells
    assert first.cell_type == last.cell_type == "markdown"
    assert re.match(r"# [^\n]+\?\n", first.source)
    assert last.source.startswith("## What to do next\n")


@each
def test_files_that_a_notebook_points_at_exist(path: Path) -> None:
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links != []
    assert [link for link in links if not (EXAMPLES / link).is_file()] == []


@each
def test_a_notebook_finds_its_traces_from_the_root_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    first = next(cell.source for cell in read(path).cells if cell.cell_type == "code")
    found: dict[str, Any] = {}
    exec(compile(first, path.name, "exec"), found)
    assert found["TRACES"].is_dir()


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """One process for all notebooks, from their folder, that makes an error of a warning.

    To start one and import what they need costs more than most of them do.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONWARNINGS", "error::UserWarning")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        manager: Any = NotebookClient(v4.new_notebook()).create_kernel_manager()
        yield manager
        run_sync(manager.shutdown_kernel)(now=True)


@each
def test_a_notebook_runs_to_its_end(path: Path, kernel: Any) -> None:
    book = read(path)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    book.cells.insert(0, v4.new_code_cell("%reset -f"))  # of what another has named
    where = {"metadata": {"path": EXAMPLES}}
    client: Any = NotebookClient(book, km=kernel, timeout=300, resources=where)
    client.execute()
    client.kc.stop_channels()
    said = [out.text for c in code for out in c.outputs if out.get("name") == "stderr"]
    assert said == []
    assert [c.source for c in code[1:] if not c.outputs] == []
