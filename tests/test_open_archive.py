"""An archive opened is what the records name at that moment: consistent, lazy and by source."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from archives import CORRUPT, events, folder_of, write

import skiptrace as sk
from skiptrace.errors import ArchiveError
from skiptrace.model import schema


def archived(place: Path, measures: Any = "summary", **options: Any) -> sk.Archive:
    with ThreadPoolExecutor(1) as executor:
        done = sk.scan(place / "in", measures, out=place / "out", executor=executor, **options)
    return done.archive


def widths(trace: sk.Trace) -> pl.DataFrame:
    """A measure whose columns and types depend on the trace."""
    first = trace.work["dur_ns"][0]
    if first == 20_000:
        return pl.DataFrame({"value": [1], "only": ["here"]})
    return pl.DataFrame({"value": [1.5]}) if first == 40_000 else trace.work.clear().select("name")


def test_every_table_is_lazy_and_as_declared(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 3)
    (folder / "bad_b9_x.json").write_bytes(CORRUPT)
    archive = archived(tmp_path, ["summary", "top_kernels"], labels="{model}_b{batch}_*")
    assert archive.labels == ["model", "batch"]
    labels = [("model", pl.String), ("batch", pl.Int64)]
    common = [(c.name, c.dtype) for c in schema.FRAMES["archive_tables"]]
    for name in archive.tables:
        table = archive[name]
        assert isinstance(table, pl.LazyFrame)
        own = [(c.name, c.dtype) for c in schema.FRAMES[name]]
        assert list(table.collect_schema().items()) == [*common, *labels, *own]
        assert table.collect()["batch"].unique(maintain_order=True).to_list() == [1, 2, 3]
    for name, frame in (("traces", archive.traces), ("failures", archive.failures)):
        own = [(c.name, c.dtype) for c in schema.FRAMES[f"archive_{name}"][len(common) :]]
        assert list(frame.collect_schema().items()) == [*common, *labels, *own]
    traces = archive.traces.collect()
    assert traces["failures"].to_list() == [1, 0, 0, 0]
    assert traces["events"].to_list()[1:] == [len(events())] * 3
    assert repr(archive).endswith("4 traces, 1 with failures; summary, top_kernels>")


def test_frames_of_other_columns_are_put_together(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 3)
    table = archived(tmp_path, widths)["widths"].collect()
    assert table.select("value", "only", "name").rows() == [(1.0, "here", None), (1.5, None, None)]
    assert dict(table.schema)["name"] == pl.String


def test_what_no_record_names_does_not_count(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 2)
    archive = archived(tmp_path)
    before = archive["summary"].collect()
    (stray,) = list((tmp_path / "out" / "summary").iterdir())[:1]
    (stray.parent / "0000.parquet").write_bytes(stray.read_bytes())
    (tmp_path / "out" / ".partial" / "half").write_bytes(b"PAR1")
    assert sk.open_archive(tmp_path / "out")["summary"].collect().equals(before)


def test_an_archive_is_of_the_moment_it_was_opened(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 2)
    archive = archived(tmp_path)
    write(tmp_path / "in" / "more.json", events(5))
    assert len(archived(tmp_path).traces.collect()) == 3
    assert len(archive.traces.collect()) == 2
    assert archive["summary"].collect()["source"].n_unique() == 2


def test_an_empty_table_and_an_archive_of_failures(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.json").write_bytes(CORRUPT)
    archive = archived(tmp_path)
    assert dict(archive.tables) == {}
    assert archive.failures.collect().height == archive.traces.collect().height == 1
    write(
        tmp_path / "in" / "none.json",
        [{"ph": "X", "cat": "cpu_op", "name": "a", "ts": 1, "dur": 1}],
    )
    table = archived(tmp_path, "idle_gaps")["idle_gaps"].collect()
    assert table.is_empty()
    assert "source" in table.columns


def test_it_can_be_pickled(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 1)
    archive = archived(tmp_path)
    again = pickle.loads(pickle.dumps(archive))
    assert again["summary"].collect().equals(archive["summary"].collect())


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 1)
    with pytest.raises(ArchiveError, match=r"no table 'tklqt'. It has: summary"):
        archived(tmp_path)["tklqt"]
    with pytest.raises(ArchiveError, match="no archive"):
        sk.open_archive(tmp_path / "in")
    with pytest.raises(ArchiveError, match="no archive"):
        sk.open_archive(tmp_path / "nowhere")
    (tmp_path / "in" / "skiptrace-archive.json").write_bytes(b"{}")
    with pytest.raises(ArchiveError, match="no archive"):
        sk.open_archive(tmp_path / "in")
