"""The same scan on a Dask cluster of two worker processes, one of which is killed half-way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from archives import CORRUPT, files, folder_of, slowly
from helpers import fixture_path

import skiptrace as sk

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        host="127.0.0.1",
    )  # fmt: skip
    with cluster, distributed.Client(cluster) as found:
        yield found


def test_a_cluster_that_loses_a_worker_half_way_gives_the_same_tables(
    client: Any, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "in", 10)
    (folder / "bad.json").write_bytes(CORRUPT)
    sources = [folder, fixture_path("graph_step")]
    measures: list[str | sk.Measure] = ["summary", "tklqt", slowly]
    workers = list(client.run(os.getpid).values())
    killed: list[int] = []

    def kill(done: int, of: int) -> None:
        if done >= of // 3 and not killed:
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    with client.get_executor() as executor:
        done = sk.scan(sources, measures, out=tmp_path / "out", executor=executor, progress=kill)
    assert killed
    assert (done.traces, done.failed) == (12, 1)
    with ThreadPoolExecutor(1) as inline:
        alone = sk.scan(sources, measures, out=tmp_path / "alone", executor=inline)
    assert (alone.measured, alone.failed) == (11, 1)
    assert files(tmp_path / "out") == files(tmp_path / "alone")


def test_a_limit_of_time_holds_on_a_cluster(client: Any, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 1)
    with client.get_executor() as executor:
        done = sk.scan(folder, slowly, out=tmp_path / "out", executor=executor, timeout=0.01)
    assert done.failed == 1
    assert "longer than the 0.01 s" in done.archive.failures.collect()["message"][0]
