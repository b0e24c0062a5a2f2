"""The public names are those of the list in the repository, so that none goes away unseen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import skiptrace as sk

CI = Path(__file__).resolve().parent.parent / ".ci"


@pytest.fixture
def api() -> Any:
    if not (CI / "api.py").is_file():
        pytest.skip("no .ci folder: these tests are not in a checkout")
    spec = importlib.util.spec_from_file_location("api", CI / "api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def difference(listed: list[str], found: list[str]) -> str:
    """What to do about a list that is not what there is; nothing where it is."""
    gone, new = (sorted(set(a) - set(b)) for a, b in ((listed, found), (found, listed)))
    told = [f"  gone or changed: {line}" for line in gone] + [f"  new: {line}" for line in new]
    if not told:
        return ""
    if gone:
        told.append("What goes away or changes breaks callers: CHANGELOG.md needs a line on it.")
    told.append("If it is meant: python .ci/api.py > .ci/api.txt")
    return "\n".join(["The public names are not those of .ci/api.txt:", *told])


def test_the_public_names_are_the_listed_ones(api: Any) -> None:
    listed = (CI / "api.txt").read_text(encoding="utf-8").splitlines()
    assert listed == sorted(listed)
    told = difference(listed, api.lines())
    assert not told, told


def test_every_public_name_is_in_the_list(api: Any) -> None:
    lines = api.lines()
    for name in sk.__all__:
        assert any(line.startswith(f"skiptrace.{name}") for line in lines), name
    assert "skiptrace.Trace.step(self, key: int | str) -> Trace" in lines
    assert "skiptrace.Diff.change_ns: property" in lines
    assert any(line.startswith("skiptrace.Trace.save(self, path: ") for line in lines)
    assert "skiptrace.Fusion.savings: pl.DataFrame" in lines
    assert "skiptrace.errors.StepError: class of SkiptraceError, LookupError" in lines
    assert any(line.startswith("skiptrace.torch.on_trace_ready(folder: ") for line in lines)


def test_a_difference_tells_what_went_and_what_to_do() -> None:
    assert difference(["a", "b"], ["a", "b"]) == ""
    assert "CHANGELOG" not in difference(["a"], ["a", "b"])
    told = difference(["sk.f(a)", "b"], ["sk.f(a, b)", "b"])
    assert "gone or changed: sk.f(a)\n  new: sk.f(a, b)" in told
    assert "CHANGELOG.md needs a line" in told
    assert ".ci/api.py > .ci/api.txt" in told
