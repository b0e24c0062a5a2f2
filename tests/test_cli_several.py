"""The commands over several traces, and the one that writes a trace: ranks, diff, annotate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import fixture_path, kernel

import skiptrace as sk
from skiptrace.cli import main
from skiptrace.show.several import sentence

TP = [str(fixture_path(f"tp2_rank{rank}")) for rank in (0, 1)]
PAIR = [str(fixture_path(name)) for name in ("eager_step", "graph_step")]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(arguments) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_ranks_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "ranks", *TP)
    assert text.startswith(
        "Rank 0 makes the others wait: 3.20 ms, 78 % of all waiting at collectives"
    )
    titles = ("Steps of each rank", "Clocks", "Collectives", "Who makes whom wait")
    assert [text.index(title) for title in titles] == sorted(text.index(title) for title in titles)
    assert "all_reduce" in text


def test_ranks_as_json_is_that_of_the_verbs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for path in TP:
        (tmp_path / Path(path).name).write_bytes(Path(path).read_bytes())
    told = json.loads(said(capsys, "ranks", str(tmp_path), "--json"))
    ranks = sk.load_ranks(tmp_path)
    assert told["schema"] == "skiptrace.ranks/1"
    assert told["stragglers"] == sk.stragglers(ranks).to_dicts()
    assert told["collectives"] == sk.collectives(ranks).to_dicts()
    assert told["clocks"] == ranks.clocks.to_dicts()
    assert told["steps"] == sk.summary(ranks).to_dicts()
    assert told["boundedness"] == sk.boundedness(ranks).to_dicts()


def test_ranks_that_are_none_are_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "ranks", PAIR[0], code=2)
    assert text.startswith("skiptrace: ")
    assert "which rank it is" in text
    assert len(text.splitlines()) == 1


def test_nobody_waits_where_there_are_no_collectives() -> None:
    one, two = (sk.load([kernel(0, 1)]) for _ in range(2))
    for ranks, text in (({0: one}, "One rank alone"), ({0: one, 1: two}, "No collective was")):
        found = sk.load_ranks(ranks)
        assert sentence(found, sk.stragglers(found)).startswith(text)


def test_a_difference_in_tables_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    found = sk.diff(*map(sk.load, PAIR))
    text = said(capsys, "diff", *PAIR)
    assert " ".join(text.split()).startswith(f"{found.verdict}.")
    for title in ("Before and after", "The change of latency", "Operators that changed", "Works"):
        assert title in text
    told = json.loads(said(capsys, "diff", *PAIR, "--json"))
    assert (told["schema"], told["verdict"]) == ("skiptrace.diff/1", found.verdict)
    assert told["change_ns"] == found.change_ns
    for name in ("steps", "split", "ops", "launches", "works"):
        assert told[name] == getattr(found, name).to_dicts()


def test_steps_of_a_difference_may_be_other_annotations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = json.loads(said(capsys, "diff", PAIR[0], PAIR[0], "--steps", "aten::addmm", "--json"))
    assert told["steps"][0]["step"].startswith("aten::addmm#")
    assert told["change_ns"] == 0


def test_annotate_writes_the_file_and_says_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "a.json.gz")
    assert said(capsys, "annotate", PAIR[0], out) == f"{out}\n"
    assert sk.load(out).ops.equals(sk.load(PAIR[0]).ops)
    told = json.loads(said(capsys, "annotate", PAIR[0], out, "--step", "3", "--json"))
    assert told == {"schema": "skiptrace.annotate/1", "path": out}
    assert "it is the trace itself" in said(capsys, "annotate", out, out, code=2)


def test_options_of_loading_hold_for_every_trace(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = json.loads(said(capsys, "diff", *PAIR, "--without", "cpu_op", "--json"))
    found = sk.diff(*(sk.load(path, without=["cpu_op"]) for path in PAIR))
    assert (told["ops"], told["split"]) == ([], found.split.to_dicts())
    told = json.loads(said(capsys, "ranks", *TP, "--without", "cpu_op", "--json"))
    ranks = sk.load_ranks(TP, without=["cpu_op"])
    assert told["boundedness"] == sk.boundedness(ranks).to_dicts()
    assert all(trace.ops.is_empty() for trace in ranks.traces.values())
    start = sk.load(TP[0]).steps["start_ns"][0]
    ranks = sk.load_ranks(TP, window=(start, start + 100_000), steps=None)
    assert {trace.window for trace in ranks.traces.values()} == {(start, start + 100_000)}
    cut = tmp_path / "rank0.json"
    cut.write_text('[{"ph": "X", "name": "a", "ts": 1, "dur": 1, "cat": "cpu_op"}, {"ph"')
    assert "lost_event" in said(capsys, "ranks", str(cut), "--strict", code=2)
    assert "lost_event" in said(capsys, "diff", str(cut), str(cut), "--strict", code=2)


def test_no_command_is_told_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, code=2)
    assert text.startswith("usage: skiptrace")
    assert "report" in text
    assert "what changed from one trace to another" in text


def test_whatif_of_nothing_says_that_nothing_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "whatif", PAIR[0])
    assert "Nothing changes: no change was asked for." in text
