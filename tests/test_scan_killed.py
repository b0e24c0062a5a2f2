"""A driver or worker killed at any moment costs what it was reading: the next scan ends equal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from archives import contents, files, folder_of

import skiptrace as sk

DRIVER = """
import sys
import skiptrace as sk
from archives import slowly
done = sk.scan(sys.argv[1], ["summary", "tklqt", slowly], out=sys.argv[2], executor=1)
print(done)
"""
TRACES = 12

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")


def started(source: Path, out: Path) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}
    command = [sys.executable, "-c", DRIVER, str(source), str(out)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def records(out: Path) -> int:
    return len(list((out / "traces").glob("*.json"))) if (out / "traces").is_dir() else 0


def wait_until(out: Path, count: int) -> None:
    end = time.monotonic() + 300
    while records(out) < count and time.monotonic() < end:
        time.sleep(0.005)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("in"), TRACES)


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    with started(source, out) as driver:
        assert "12 measured, 0 kept, 0 failed" in driver.communicate()[0]
    return out


def test_a_driver_killed_again_and_again_ends_equal(
    source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for count in (2, 6):
        with started(source, out) as driver:
            wait_until(out, count)
            time.sleep(random.random() * 0.05)
            driver.send_signal(signal.SIGKILL)
        assert driver.returncode == -signal.SIGKILL
        found = records(out)
        assert len(sk.open_archive(out).records) == found  # whatever is there is whole
        for frame in contents(out).values():
            assert len(frame) <= 3 * TRACES * TRACES
    with started(source, out) as driver:
        said = driver.communicate()[0]
    assert "0 failed" in said
    assert "12 measured" not in said  # what was done stays
    assert files(out) == files(undisturbed)
    for name, frame in contents(out).items():
        assert frame.equals(contents(undisturbed)[name]), name


def test_two_drivers_at_once_end_equal(source: Path, undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with started(source, out) as one, started(source, out) as other:
        for driver in (one, other):
            assert "0 failed" in driver.communicate()[0]
    assert files(out) == files(undisturbed)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds children by /proc")
def test_workers_end_with_their_driver(source: Path, tmp_path: Path) -> None:
    with started(source, tmp_path / "out") as driver:
        wait_until(tmp_path / "out", 1)
        children = [
            int(pid)
            for task in Path(f"/proc/{driver.pid}/task").iterdir()
            for pid in (task / "children").read_text().split()
        ]
        driver.kill()
    assert children
    end = time.monotonic() + 60
    while any(alive(pid) for pid in children) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(alive(pid) for pid in children)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
