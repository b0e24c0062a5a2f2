"""Runs slower than a baseline beyond noise are found, and nothing else."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from archives import events, write
from helpers import Event, call, kernel, op, step

import skiptrace as sk
from skiptrace.errors import ArchiveError, UnknownKeyError
from skiptrace.thresholds import LEAST_CHANGE, NOISE, STUDENT_99

LABELS = "{model}_{commit}_r{run:d}.json"


def run(us: int) -> list[Event]:
    """One step whose latency is 100 µs and what its only kernel takes."""
    return [step(0, 0, 900), op("aten::mm", 0, 80), call("launch", 20, 5, 1), kernel(100, us, 1)]


def archived(place: Path, runs: dict[str, list[Event]], **options: Any) -> sk.Archive:
    for name, made in runs.items():
        write(place / "in" / f"{name}.json", made)
    with ThreadPoolExecutor(1) as executor:
        done = sk.scan(
            place / "in", out=place / "out", executor=executor, **{"labels": LABELS} | options
        )
    assert done.failed == 0
    return done.archive


def latency(found: sk.Regressions) -> dict[str, dict[str, Any]]:
    rows = found.frame.filter(figure="il_ns").iter_rows(named=True)
    return {Path(row["source"]).stem: row for row in rows}


def test_noise_is_what_the_repeats_of_the_baseline_show(tmp_path: Path) -> None:
    base = [200, 204, 196, 202]  # latencies in µs: 100 more
    runs = {f"m_old_r{i}": run(us) for i, us in enumerate(base)}
    s = statistics.stdev(base) * 1000
    limit = STUDENT_99[2] * s * (1 + 1 / 4) ** 0.5
    mean = statistics.mean(base) + 100
    below, above = (round(mean - 100 + limit / 1000 + d, 2) for d in (-0.1, 0.1))
    runs |= {"m_new_r0": run(below), "m_new_r1": run(above), "m_new_r2": run(170)}
    found = sk.regressions(archived(tmp_path, runs), {"commit": "old"}, by=["model"])
    rows = latency(found)
    assert {name: row["change"] for name, row in rows.items()} == {
        "m_new_r0": "same", "m_new_r1": "slower", "m_new_r2": "faster",
    }  # fmt: skip
    row = rows["m_new_r1"]
    assert (row["baseline_ns"], row["repeats"]) == (round(mean * 1000), 4)
    assert row["noise_ns"] == round(limit)
    assert row["change_ns"] == row["value_ns"] - row["baseline_ns"]
    assert row["ratio"] == row["value_ns"] / row["baseline_ns"]
    assert (row["model"], row["commit"], row["run"]) == ("m", "new", 1)
    assert Path(row["nearest"]).stem == "m_old_r0"
    assert set(found.slower["figure"]) == {"il_ns", "busy_ns", "kernel_ns"}
    assert repr(found) == "<Regressions: 1 of 3 runs slower in latency, 1 in some figure>"


@pytest.mark.parametrize("repeats", [1, 2])
def test_without_repeats_the_noise_is_a_share(tmp_path: Path, repeats: int) -> None:
    runs = {f"m_old_r{i}": run(900) for i in range(repeats)}
    runs |= {"m_new_r0": run(999), "m_new_r1": run(1001)}
    found = sk.regressions(archived(tmp_path, runs), "*_old_*", by=[])
    assert {name: row["change"] for name, row in latency(found).items()} == {
        "m_new_r0": "same", "m_new_r1": "slower",
    }  # fmt: skip
    rows = found.frame.filter(source=found.slower["source"][0])
    noise = dict(rows.select("figure", "noise_ns").rows())
    assert noise["il_ns"] == round(NOISE * 1_000_000)
    assert noise["queue_ns"] == round(LEAST_CHANGE * 1_000_000)  # of the latency: it has none


def test_runs_are_compared_with_their_like(tmp_path: Path) -> None:
    runs = {
        "a_old_r1": run(200), "b_old_r1": run(400), "a_new_r1": run(200), "b_new_r1": run(800),
        "c_new_r1": run(100), "other": run(100),
    }  # fmt: skip
    archive = archived(tmp_path, runs)
    expected = {
        "a_new_r1": "same", "b_new_r1": "slower", "c_new_r1": "unknown", "other": "unknown",
    }  # fmt: skip
    for baseline in ({"commit": "old"}, pl.col("commit") == "old"):
        found = sk.regressions(archive, baseline)
        assert {name: row["change"] for name, row in latency(found).items()} == expected
    unknown = latency(found)["c_new_r1"]
    assert [unknown[k] for k in ("baseline_ns", "change_ns", "ratio", "nearest")] == [None] * 4
    assert unknown["value_ns"] == 200_000


def cut(path: Path, left: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_doubtful_runs_and_those_without_figures_are_left_out(tmp_path: Path) -> None:
    names = ["m_old_r0", "m_old_r1", "m_new_r0", "m_new_r1", "m_new_r2", "m_new_r3"]
    for name in names:
        write(tmp_path / "in" / f"{name}.json", events(9))
    paths = {name: tmp_path / "in" / f"{name}.json" for name in names}
    cut(paths["m_old_r1"], 0.6)
    cut(paths["m_new_r1"], 0.6)
    host = [op("aten::mm", 0, 80), call("launch", 20, 5, 1), step(0, 0, 900)]
    write(paths["m_new_r2"], host)
    paths["m_new_r3"].write_text("no trace")
    with ThreadPoolExecutor(1) as executor:
        done = sk.scan(tmp_path / "in", out=tmp_path / "out", labels=LABELS, executor=executor)
    assert [Path(source).stem for source, _ in done.doubtful] == [
        "m_new_r1", "m_new_r2", "m_old_r1",
    ]  # fmt: skip
    with pytest.warns(sk.TraceWarning, match=r"3 of 6 runs are left out, 1 of them of the base"):
        found = sk.regressions(done.archive, {"commit": "old"}, by=[])
    assert {name: row["change"] for name, row in latency(found).items()} == {"m_new_r0": "same"}
    assert set(found.frame["repeats"]) == {1}
    left = {Path(source).stem: why for source, why in found.left_out.items()}
    assert list(left) == ["m_new_r1", "m_new_r2", "m_new_r3", "m_old_r1"]
    assert left["m_old_r1"].startswith("doubtful: truncated_json (1)")
    assert left["m_new_r2"].startswith("doubtful: no_device_work (1)")
    assert left["m_new_r3"].startswith("failed: ")
    assert repr(found).endswith("; 4 left out, see .left_out>")

    with pytest.warns(sk.TraceWarning, match=r"1 of 6 runs are left out, 0 of them"):
        found = sk.regressions(done.archive, {"commit": "old"}, by=[], diffs=0, doubtful=True)
    assert set(latency(found)) == {"m_new_r0", "m_new_r1"}
    assert set(found.frame["repeats"]) == {2}
    assert found.left_out[str(paths["m_new_r2"])] == "no step has a latency"
    said = r"all of it is left out: .*m_old_r1.json \(doubtful.*doubtful=True keeps"
    with pytest.raises(ArchiveError, match=said):
        sk.regressions(done.archive, "*_old_r1.json")


def test_labels_may_have_any_name(tmp_path: Path) -> None:
    runs = {"a_b_old": run(200), "a_b_new": run(800)}
    archive = archived(tmp_path, runs, labels="{base}_{latency}_{mean}.json")
    found = sk.regressions(archive, {"mean": "old"}, diffs=0)
    row = latency(found)["a_b_new"]
    assert (row["base"], row["latency"], row["mean"]) == ("a", "b", "new")
    assert row["change_ns"] == 600_000


def test_the_first_lines_of_the_diff_say_what_changed(tmp_path: Path) -> None:
    slow = events(6)
    slow += [op("aten::softmax", 2500, 90), call("launch", 2520, 5, 99), kernel(2530, 300, 99)]
    runs = {"m_old_r1": events(4), "m_new_r1": slow, "m_newer_r1": events(9)}
    archive = archived(tmp_path, runs)
    found = sk.regressions(str(tmp_path / "out"), {"commit": "old"}, diffs=5)
    (first, *_) = sorted(found.reasons)
    compared = sk.diff(sk.load(tmp_path / "in" / "m_old_r1.json"), sk.load(first))
    assert found.reasons[first][0].startswith(compared.verdict)
    assert found.reasons[first][1].startswith("aten::mm: +")
    assert len(found.reasons) == 2
    assert len(sk.regressions(archive, {"commit": "old"}, diffs=1).reasons) == 1
    assert sk.regressions(archive, {"commit": "old"}, diffs=0).reasons == {}

    write(tmp_path / "in" / "m_new_r1.json", events(1))
    (tmp_path / "in" / "m_newer_r1.json").unlink()
    reasons = sk.regressions(archive, {"commit": "old"}).reasons.values()
    assert all(len(lines) == 1 and "not compared" in lines[0] for lines in reasons)


def test_the_diff_loads_as_the_scan_did(tmp_path: Path) -> None:
    runs = {"m_old_r1": events(4), "m_new_r1": events(9)}
    load = {"steps": [("first", 0, 950_000), ("last", 2_000_000, 2_900_000)]}
    archive = archived(tmp_path, runs, load=load)
    (lines,) = sk.regressions(archive, {"commit": "old"}).reasons.values()
    assert "not compared" not in lines[0]


@pytest.mark.parametrize(
    ("baseline", "by", "error", "said"),
    [
        ({"commit": "none"}, None, ArchiveError, "no run"),
        ("*_none_*", None, ArchiveError, "no run"),
        ({"comit": "old"}, None, UnknownKeyError, "Did you mean 'commit'"),
        (pl.col("nope") == 1, None, ArchiveError, "nope"),
        ({"run": "1"}, None, ArchiveError, "run holds whole numbers, not '1'"),
        ({"commit": 1}, None, ArchiveError, "commit holds text, not 1"),
        ({"run": [1, 2]}, None, ArchiveError, r"run holds whole numbers, not \[1, 2\]"),
        (pl.col("run") == "1", None, ArchiveError, r"(?s)^(?!.*(?:This error|plan)).*numeric"),
        (3, None, ArchiveError, "a int names no runs"),
        ({}, None, ArchiveError, "it names no label"),
        ({"commit": "old"}, ["modle"], UnknownKeyError, "Did you mean 'model'"),
    ],
)
def test_what_cannot_be_compared_is_said(
    baseline: Any, by: Any, error: type[Exception], said: str, tmp_path: Path
) -> None:
    archive = archived(tmp_path, {"m_old_r1": run(10)})
    with pytest.raises(error, match=said):
        sk.regressions(archive, baseline, by=by)


def test_an_archive_without_a_summary_says_so(tmp_path: Path) -> None:
    archive = archived(tmp_path, {"m_old_r1": run(10)}, measures="tklqt")
    with pytest.raises(ArchiveError, match="'summary'"):
        sk.regressions(archive, {"commit": "old"})
