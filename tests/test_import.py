"""Importing the library is cheap and brings nothing that only some people need."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skiptrace as sk

LAZY = (
    "altair", "vl_convert", "networkx", "rich", "zstandard", "matplotlib", "pandas", "pyarrow",
    "fsspec", "distributed", "dask", "cloudpickle", "multiprocessing", "concurrent.futures.process",
)  # fmt: skip


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_loads_no_package_that_few_need() -> None:
    loaded = run("import skiptrace, sys; skiptrace.load; print(*sys.modules)").split()
    assert "skiptrace.model.load" in loaded
    assert not set(LAZY) & set(loaded)


def test_import_loads_no_verb_and_no_reader_before_it_is_asked_for() -> None:
    own = [
        m for m in run("import skiptrace, sys; print(*sys.modules)").split() if "skiptrace." in m
    ]
    folders = ("measure", "predict", "show", "cli", "torch", "model.load", "read.stream")
    assert [m for m in own if m.startswith(tuple(f"skiptrace.{f}" for f in folders))] == []
    asked = run("import skiptrace as sk, sys; sk.tklqt; print(*sys.modules)").split()
    assert "skiptrace.measure.tklqt" in asked
    assert "skiptrace.predict.whatif" not in asked


def test_each_public_name_is_imported_from_where_type_checkers_are_told() -> None:
    tree = ast.parse(Path(sk.__file__).read_text(encoding="utf-8"))
    told = {
        (node.module, alias.name)
        for part in tree.body
        if isinstance(part, ast.If)
        for node in part.body
        if isinstance(node, ast.ImportFrom) and node.module != "skiptrace"
        for alias in node.names
        if (alias.asname or alias.name) not in sk._MODULES
    }
    found = {(f"skiptrace.{m}", n) for m, names in sk._WHERE.items() for n in names.split()}
    assert found == told
    others = {"Trace", "TraceWarning", "errors", *sk._MODULES}
    assert {n for _, n in told} | others == set(sk.__all__)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'skiptrace' has no attribute 'tklqts'"):
        sk.tklqts  # noqa: B018  asked for, and not there
    assert set(sk.__all__) <= set(dir(sk))


@pytest.mark.parametrize("lazy", LAZY)
def test_loading_and_measuring_needs_none_of_them(lazy: str) -> None:
    code = f"""
import sys
sys.modules["{lazy}"] = None
import skiptrace as sk
trace = sk.load(b'[{{"ph":"X","cat":"kernel","name":"k","ts":1,"dur":1,"pid":0,"tid":7}}]')
print(len(sk.tklqt(trace)), len(sk.summary(trace)), len(sk.idle_gaps(trace)))
"""
    assert run(code).split()


def test_the_public_names_are_there_and_sorted() -> None:
    assert sorted(sk.__all__) == sk.__all__
    for name in sk.__all__:
        assert getattr(sk, name) is not None
