"""A driver or worker killed at any moment costs what it was reading: the next scan ends equal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archives import contents, files, folder_of, slowly

import skiptrace as sk

DRIVER = """
import sys
import skiptrace as sk
from archives import slowly
done = sk.scan(sys.argv[1], ["summary", "tklqt", slowly], out=sys.argv[2], executor=1)
print(done)
"""
TRACES = 10

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


def test_a_driver_killed_and_two_that_go_on_at_once_end_equal(tmp_path: Path) -> None:
    source, undisturbed = folder_of(tmp_path / "in", TRACES), tmp_path / "undisturbed"
    with ThreadPoolExecutor(1) as executor:
        sk.scan(source, ["summary", "tklqt", slowly], out=undisturbed, executor=executor)
    assert records(undisturbed) == TRACES
    out = tmp_path / "out"
    with started(source, out) as driver:
        wait_until(out, 3)
        time.sleep(random.random() * 0.05)
        workers = children(driver.pid)
        driver.send_signal(signal.SIGKILL)
    assert driver.returncode == -signal.SIGKILL
    end = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(alive, workers))  # they end with it
    assert workers or not sys.platform.startswith("linux")
    assert len(sk.open_archive(out).records) == records(out)  # whatever is there is whole
    assert contents(out)["summary"]["source"].n_unique() == records(out)
    with started(source, out) as one, started(source, out) as other:
        for driver in (one, other):
            said = driver.communicate()[0]
            assert "0 failed" in said
            assert f"{TRACES} measured" not in said  # what was done stays
    assert files(out) == files(undisturbed)
    for name, frame in contents(out).items():
        assert frame.equals(contents(undisturbed)[name]), name


def children(pid: int) -> list[int]:
    """Processes that a process has started; none where there is no /proc."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
