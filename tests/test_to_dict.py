"""Every result that is no frame has a dictionary of JSON types, under a name with a version."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from helpers import fixture_path
from results import NAMES, results

import skiptrace as sk
from skiptrace.cli import main
from skiptrace.errors import NoTraceError
from skiptrace.show.to_dict import SCHEMAS


def test_every_type_of_result_has_one() -> None:
    assert list(results()) == NAMES
    assert len(set(SCHEMAS.values())) == len(SCHEMAS)


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_back_from_json_as_it_went_in(name: str) -> None:
    made = sk.to_dict(results()[name])
    assert orjson.loads(orjson.dumps(made)) == made
    assert re.fullmatch(r"skiptrace\.[a-z_]+/\d+", made["schema"])


@pytest.mark.parametrize("name", [n for n in NAMES if n != "Ranks"])
def test_every_attribute_has_its_key(name: str) -> None:
    made, result = sk.to_dict(results()[name]), results()[name]
    keys = {"frame": "rows", "name": "parameter"}
    attributes = {f.name: getattr(result, f.name) for f in fields(result)}
    extra = {"change_ns"} if name == "Diff" else set()
    assert set(made) == {"schema", *extra, *(keys.get(key, key) for key in attributes)}
    for key, value in attributes.items():
        if isinstance(value, pl.DataFrame):
            assert made[keys.get(key, key)] == value.to_dicts()


def test_ranks_give_what_they_show_together() -> None:
    made = sk.to_dict(results()["Ranks"])
    assert [row["rank"] for row in made["clocks"]] == [0, 3]
    assert made["steps"] == sk.summary(results()["Ranks"]).to_dicts()


def test_floats_that_json_has_not_are_null() -> None:
    frame = pl.DataFrame({"a": [1.5, float("nan"), float("inf"), None]})
    made = sk.to_dict(replace(results()["Tree"], frame=frame))
    assert made["rows"] == [{"a": 1.5}, {"a": None}, {"a": None}, {"a": None}]
    assert sk.to_dict(replace(results()["Transition"], threshold=float("inf")))["threshold"] is None


def test_a_command_writes_the_same() -> None:
    path = str(fixture_path("eager_step"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["fusion", path, "--json"]) == 0
    assert orjson.loads(out.getvalue()) == sk.to_dict(sk.fusion(sk.load(path)))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["tree", path, "--json"]) == 0
    assert orjson.loads(out.getvalue()) == sk.to_dict(sk.tree(sk.load(path)))


@pytest.mark.parametrize("given", [pl.DataFrame(), 5, None], ids=repr)
def test_what_has_none_is_told_what_has(given: Any) -> None:
    with pytest.raises(NoTraceError, match=r"to_dict takes one of Comparison, .* got a") as told:
        sk.to_dict(given)
    assert ("to_dicts()" in str(told.value)) == isinstance(given, pl.DataFrame)


def test_the_page_lists_every_name() -> None:
    page = Path(__file__).parent.parent / "docs/verbs/to_dict.md"
    listed = re.findall(r"`(skiptrace\.[a-z_]+/\d+)`", page.read_text(encoding="utf-8"))
    assert set(listed) >= set(SCHEMAS.values())
