"""Sources and archives behind URLs: an S3-compatible server on the loopback, and others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from archives import CORRUPT, contents, folder_of
from helpers import fixture_path

import skiptrace as sk
from skiptrace.errors import ArchiveError, ReadError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    given = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        fs = fsspec.filesystem("s3")
        fs.mkdir("archive")
        yield "s3://archive"
    server.stop()


def put(url: str, folder: Path) -> list[str]:
    fs, place = fsspec.core.url_to_fs(url)
    for path in sorted(folder.iterdir()):
        fs.pipe_file(f"{place}/{path.name}", path.read_bytes())
    return sorted(f"{url}/{path.name}" for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = folder_of(tmp_path / "in", 3)
    (place / "step.json.gz").write_bytes(fixture_path("graph_step").read_bytes())
    return place


def values(table: pl.DataFrame) -> pl.DataFrame:
    """Rows without the path they are from."""
    named = table.with_columns(pl.col("source").str.extract(r"([^/\\]+)$"))
    return named.sort(pl.all())


def test_s3_as_source_and_as_target(bucket: str, folder: Path, tmp_path: Path) -> None:
    urls = put(f"{bucket}/runs", folder)
    wanted = ["summary", "tklqt"]
    done = sk.scan(f"{bucket}/runs/", wanted, out=f"{bucket}/out", executor=1)
    assert (done.measured, done.failed) == (4, 0)
    with ThreadPoolExecutor(1) as inline:
        local = sk.scan(folder, wanted, out=tmp_path / "local", executor=inline).archive
    archive = sk.open_archive(f"{bucket}/out")
    assert sorted(archive.traces.collect()["source"]) == urls
    for name in wanted:
        assert values(archive[name].collect()).equals(values(local[name].collect()))
    few = archive["summary"].filter(pl.col("il_ns") > 0).select("step", "il_ns").head(2).collect()
    assert few.shape == (2, 2)
    assert archive["summary"].select(pl.len()).collect().item() == len(local["summary"].collect())

    with ThreadPoolExecutor(1) as inline:
        again = sk.scan(f"{bucket}/runs/*.json*", wanted, out=f"{bucket}/out", executor=inline)
        assert (again.measured, again.kept) == (0, 4)
        fsspec.filesystem("s3").pipe_file(f"{bucket}/runs/gpt_b1_x.json", CORRUPT)
        changed = sk.scan([f"{bucket}/runs/gpt_b1_x.json"], out=f"{bucket}/out", executor=inline)
    assert (changed.traces, changed.failed) == (1, 1)
    (message,) = contents(f"{bucket}/out")["failures"]["message"]
    assert message.startswith(f"{bucket}/runs/gpt_b1_x.json: ")
    assert urls[0] not in contents(f"{bucket}/out")["summary"]["source"].to_list()


def test_a_file_system_whose_files_grow_as_they_are_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skiptrace.archive import remote

    # fsspec's own local files, which `file://` would reach as a plain folder.
    fs = fsspec.filesystem("file")
    original = remote.place_of

    def place_of(url: str) -> Any:
        rest = url.removeprefix("slow://")
        return remote.Place(fs, rest) if rest != url else original(url)

    for module in ("remote", "store", "sources"):
        monkeypatch.setattr(f"skiptrace.archive.{module}.place_of", place_of)
    out = f"slow://{tmp_path}/out"
    with ThreadPoolExecutor(1) as inline:
        for measured in (4, 0):
            done = sk.scan(folder, out=out, executor=inline)
            assert (done.measured, done.failed) == (measured, 0)
        sk.scan(folder, out=tmp_path / "plain", executor=inline)
    assert list((tmp_path / "out" / ".partial").iterdir()) == []
    found, plain = contents(out), contents(tmp_path / "plain")
    assert all(found[name].equals(plain[name]) for name in plain)


def test_what_is_there_is_looked_up_in_every_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = fsspec.filesystem("memory")
    listed: list[str] = []
    monkeypatch.setattr(type(memory), "invalidate_cache", lambda *_: listed.append("anew"))
    put("memory://seen", folder_of(tmp_path / "in", 1))
    with ThreadPoolExecutor(1) as inline:
        for where in ("memory://seen", "memory://seen/**/*.json"):
            listed.clear()
            done = sk.scan(where, out="memory://seen/out", executor=inline)
            assert (done.traces, done.failed) == (1, 0)  # and nothing of the archive
            assert listed


def test_what_is_not_there_or_not_known_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="found no trace"):
        sk.scan("memory://nothing/*.json", out=tmp_path / "out")
    with pytest.raises(ReadError, match="nosuch"):
        sk.scan("nosuch://bucket/x", out=tmp_path / "out")
    with pytest.raises(ArchiveError, match="no archive"):
        sk.open_archive("memory://nothing")
