"""`skiptrace scan`: an archive from the command line, and exit codes that a script can go by."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archives import CORRUPT, folder_of

import skiptrace as sk
from skiptrace.cli import main


class Inline(ThreadPoolExecutor):
    """In place of worker processes, whose start takes longer than all else here."""

    seconds: float | None

    def __init__(self, workers: int, seconds: float | None) -> None:
        type(self).seconds = seconds
        super().__init__(workers)


def test_a_scan_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skiptrace.archive.drive.Processes", Inline)
    folder, out = folder_of(tmp_path / "in", 2), str(tmp_path / "out")
    common = ["--out", out, "--measures", "summary,tklqt", "--workers", "1"]
    wanted = [*common, "--labels", "{model}_b{batch}_*.json"]
    assert main(["scan", str(folder), *wanted, "--timeout", "100"]) == 0
    assert Inline.seconds == 100
    said = capsys.readouterr()
    assert said.out == f"2 traces: 2 measured, 0 kept, 0 failed. Archive: {out}\n"
    assert said.err == ""
    archive = sk.open_archive(out)
    assert list(archive.tables) == ["summary", "tklqt"]
    assert archive["summary"].collect()["batch"].unique().sort().to_list() == [1, 2]

    (folder / "bad.json").write_bytes(CORRUPT)
    assert main(["scan", str(folder), *wanted]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("3 traces: 0 measured, 2 kept, 1 failed.")
    assert second.startswith(f"  {folder / 'bad.json'}: ")
    assert second.count("bad.json") == 1

    assert main(["scan", str(folder), *wanted, "--json", "--retry", "--max-bytes", "300"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["traces"], found["failed"]) == ("skiptrace.scan/1", 3, 3)
    assert {row["error"] for row in found["failures"]} == {"ReadError"}
    assert len(found["failures"]) == 3

    for n in range(14):
        (folder / f"bad{n}.json").write_bytes(CORRUPT)
    assert main(["scan", str(folder), *wanted]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), lines[-1]) == (14, "  ... and 3 more (see the archive)")


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_a_damaged_trace_is_measured_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skiptrace.archive.drive.Processes", Inline)
    folder, out = folder_of(tmp_path / "in", 2), str(tmp_path / "out")
    cut = folder / "gpt_b1_x.json"
    cut.write_bytes(cut.read_bytes()[:-300])
    assert main(["scan", str(folder), "--out", out, "--workers", "1"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2 traces: 2 measured, 0 kept, 0 failed.")
    assert second.startswith(f"  {cut}: measured, but doubtful: ")
    assert main(["scan", str(folder), "--out", out, "--labels", "*_b2_{what}.json", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    ((source, grade),) = said["doubtful"]
    assert (source, grade.startswith("doubtful: ")) == (str(cut), True)
    assert said["unlabeled"] == [str(cut)]
    assert main(["scan", str(folder), "--out", out + "2", "--workers", "1", "--strict"]) == 1
    assert sk.open_archive(out + "2").traces.collect()["failures"].to_list() == [1, 0]


def test_labels_that_fit_no_path_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skiptrace.archive.drive.Processes", Inline)
    folder, out = folder_of(tmp_path / "in", 1), str(tmp_path / "out")
    assert main(["scan", str(folder), "--out", out, "--labels", "{model}-{batch}.json"]) == 0
    assert "no path fits the labels '{model}-{batch}.json'" in capsys.readouterr().out


def test_options_of_the_load_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skiptrace.archive.drive.Processes", Inline)
    folder, out = folder_of(tmp_path / "in", 1), str(tmp_path / "out")
    window = ["--window", "0", "9000000"]
    options = ["--steps", "aten::mm", "--without", "overhead", *window, "--workers", "1"]
    assert main(["scan", str(folder), "--out", out, *options]) == 0
    assert len(sk.open_archive(out)["summary"].collect()) == 6
    assert sk.open_archive(out).records[0].load == {
        "steps": "aten::mm", "window": [0, 9_000_000], "without": ["overhead"],
    }  # fmt: skip


def test_a_call_at_fault_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = folder_of(tmp_path / "in", 1), str(tmp_path / "out")
    assert main(["scan", str(folder), "--out", out, "--measures", "sumary"]) == 2
    assert "Did you mean 'summary'" in capsys.readouterr().err
    assert main(["scan", str(tmp_path / "none*"), "--out", out]) == 2
    (tmp_path / "file").write_text("in the way")
    assert main(["scan", str(folder), "--out", str(tmp_path / "file")]) == 2
