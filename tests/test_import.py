"""Importing the library is cheap and brings nothing that only some people need."""

from __future__ import annotations

import subprocess
import sys

import pytest

import skiptrace as sk

LAZY = (
    "altair", "vl_convert", "networkx", "rich", "zstandard", "matplotlib", "pandas", "pyarrow",
)  # fmt: skip


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_loads_no_package_that_few_need() -> None:
    loaded = run("import skiptrace, sys; print(*sys.modules)").split()
    assert "skiptrace.model.load" in loaded
    assert not set(LAZY) & set(loaded)


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
