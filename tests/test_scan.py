"""A scan measures every trace once, loses nothing, and says what it could not do."""

from __future__ import annotations

import errno
import gzip
import math
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from archives import CORRUPT, contents, events, files, folder_of, kernel_sum, slowly, write
from helpers import fixture_paths

import skiptrace as sk
from skiptrace.archive import processes, store
from skiptrace.archive.measures import find_measures
from skiptrace.archive.task import Job, give_up
from skiptrace.errors import ArchiveError, MissingDependencyError, UnknownKeyError, WorkerError

LABELS = "{model}_b{batch}_*.json"


def inline() -> Executor:
    """An executor that starts no process."""
    return ThreadPoolExecutor(1)


def scan(sources: Any, out: Path, measures: Any = "summary", **options: Any) -> sk.Scan:
    with inline() as executor:
        return sk.scan(sources, measures, out=out, **{"executor": executor} | options)


# --- what the tables hold ------------------------------------------------------------------------


def test_a_table_is_what_the_verb_gives_with_where_it_is_from(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 2)
    header = {
        "host_name": "node7", "distributedInfo": {"rank": 3},
        "deviceProperties": [{"id": 0, "name": "H100"}, {"id": 1, "name": "idle"}],
    }  # fmt: skip
    one = write(folder / "deep" / "bert_b3_y.json.gz", events(3), **header)
    by_op = partial(sk.tklqt, by="op")
    done = scan(
        folder, tmp_path / "out", {"summary": "summary", "by_op": by_op, "mine": kernel_sum},
        labels="{model}_b{batch}_*",
    )  # fmt: skip
    assert (done.traces, done.measured, done.kept, done.failed) == (3, 3, 0, 0)
    archive = done.archive
    assert list(archive.tables) == ["by_op", "mine", "summary"]
    verbs: dict[str, Any] = {"summary": sk.summary, "by_op": by_op, "mine": kernel_sum}
    for name, verb in verbs.items():
        table = archive[name].collect()
        rows = table.filter(source=str(one))
        expected = verb(sk.load(one))
        assert rows.select(expected.columns).equals(expected)
        first = rows.select(pl.nth(range(7)).first()).row(0, named=True)
        assert (first.pop("source"), len(first.pop("content_hash"))) == (str(one), 64)
        assert first == {
            "rank": 3, "host": "node7", "gpu": "H100", "model": "bert", "batch": 3,
        }  # fmt: skip
        assert table["source"].n_unique() == 3
    traces = archive.traces.collect()
    assert traces["batch"].to_list() == [3, 1, 2]
    assert traces["size"].to_list() == [Path(p).stat().st_size for p in traces["source"]]
    assert traces["grade"].is_not_null().all()


def test_real_traces_through_worker_processes_equal_one_by_one(tmp_path: Path) -> None:
    paths = fixture_paths()[::6]
    done = sk.scan(paths, ["summary", "idle_causes"], out=tmp_path / "out", executor=2)
    assert (done.measured, done.failed) == (len(paths), 0)
    table = done.archive["summary"].collect()
    for path in paths:
        expected = sk.summary(sk.load(path))
        assert table.filter(source=str(path)).select(expected.columns).equals(expected)
    scan(paths, tmp_path / "again", ["summary", "idle_causes"])
    assert files(tmp_path / "again") == files(tmp_path / "out")


def test_every_verb_by_name_gives_a_table(tmp_path: Path) -> None:
    from skiptrace.archive.measures import VERBS

    done = scan(write(tmp_path / "one.json", events()), tmp_path / "out", VERBS)
    assert done.archive.failures.collect().is_empty()
    assert sorted(done.archive.tables) == sorted(VERBS)


def test_sources_are_paths_globs_folders_and_saved_traces_each_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 3)
    sk.load(folder / "gpt_b1_x.json").save(folder / "saved")
    (folder / "notes.txt").write_text("none")
    for hidden in (".half.json", ".half/one.json"):  # as they are called while they are written
        write(folder / hidden, events())
    deep = str(folder / "**" / "*.json")
    given = [folder, folder / "gpt_b1_x.json", str(folder / "*_b2_*"), f"file://{folder}", deep]
    done = scan(given, folder / "out")
    assert done.traces == 4
    for again in (given, deep):  # the archive in it is no source
        assert repr(scan(again, folder / "out")).endswith("0 measured, 4 kept, 0 failed>")
    rows = done.archive["summary"].collect()
    saved, first = (rows.filter(source=str(folder / n)) for n in ("saved", "gpt_b1_x.json"))
    assert saved["il_ns"].to_list() == first["il_ns"].to_list()


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
def test_what_is_doubtful_and_what_has_no_labels_is_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 2)
    other = write(folder / "other.json", events())
    cut = folder / "gpt_b2_x.json"
    cut.write_bytes(cut.read_bytes()[:-300])
    for kept in (0, 3):  # measured now, or before
        done = scan(folder, tmp_path / "out", labels=LABELS)
        assert done.kept == kept
        ((source, grade),) = done.doubtful
        assert (source, done.unlabeled) == (str(cut), (str(other),))
        traces = done.archive.traces.collect()
        assert traces.filter(source=source)["grade"].to_list() == [grade]
        assert repr(done).endswith(" 0 failed, 1 doubtful, 1 without labels>")


def test_labels_that_are_no_numbers_everywhere_are_text(tmp_path: Path) -> None:
    for name in ("a_b1_x.json", "a_blarge_x.json", "a_b007_x.json", "other.json"):
        write(tmp_path / "in" / name, events())
    archive = scan(tmp_path / "in", tmp_path / "out", labels=LABELS).archive
    expected = {"a_b1_x": "1", "a_blarge_x": "large", "a_b007_x": "007", "other": None}
    for frame in (archive["summary"], archive.traces):
        rows = frame.select("source", "batch").collect().unique().rows()
        assert {Path(source).stem: batch for source, batch in rows} == expected


# --- again ---------------------------------------------------------------------------------------


def test_running_again_does_what_is_missing_or_changed_and_no_more(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    scan(folder, out)
    before = files(out)
    assert repr(scan(folder, out)).endswith("0 measured, 3 kept, 0 failed>")
    assert files(out) == before

    write(folder / "gpt_b2_x.json", events(9))
    write(folder / "gpt_b4_x.json", events(4))
    assert scan(folder, out).measured == 2
    fresh = tmp_path / "fresh"
    scan(folder, fresh)
    assert files(fresh) == files(out)  # nothing is left of what was replaced

    assert scan(folder, out, ["summary", "tklqt"]).measured == 4
    assert sorted(sk.open_archive(out).tables) == ["summary", "tklqt"]
    assert scan(folder, out, labels=LABELS).measured == 4
    assert list(sk.open_archive(out).tables) == ["summary"]  # tklqt had no such labels
    assert scan(folder, out, labels=LABELS, load={"steps": "aten::mm"}).measured == 4
    some = {"overhead", "python_function", "cpu_op", "gpu_memset", "gpu_memcpy"}
    done = scan(folder / "gpt_b1_x.json", out, load={"without": some})
    assert done.archive.records[0].load == {"without": sorted(some)}  # as in every process


def test_a_measure_of_ones_own_is_made_again_when_it_is_another(tmp_path: Path) -> None:
    source, out = write(tmp_path / "one.json", events()), tmp_path / "out"

    def times(factor: int) -> sk.Measure:
        return lambda trace: trace.work.select(ns=pl.col("dur_ns").sum() * factor)

    for factor, measured in ((1, 1), (1, 0), (2, 1)):
        assert scan(source, out, {"mine": times(factor)}).measured == measured
    by = partial(sk.tklqt, by="op")
    for measure, measured in ((by, 1), (by, 0), (partial(sk.tklqt, by="kernel"), 1)):
        assert scan(source, out, {"mine": measure}).measured == measured


class Scaled:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def measure(self, trace: sk.Trace) -> pl.DataFrame:
        return kernel_sum(trace) * self.factor


def wrapped(measure: sk.Measure, unit: str = "ns") -> sk.Measure:
    def inner(trace: sk.Trace, *, names: frozenset[str] = frozenset({unit})) -> pl.DataFrame:
        return measure(trace).rename(dict.fromkeys(names, "time"))

    return inner


def recursive() -> sk.Measure:
    def inner(trace: sk.Trace) -> pl.DataFrame:
        return inner(trace.step(0)) if len(trace.steps) > 1 else kernel_sum(trace)

    return inner


def typed(code: str) -> sk.Measure:
    """A function whose source nobody can look up, as at a prompt."""
    made: dict[str, Any] = {}
    exec(f"def typed(trace): return {code}", made)
    return made["typed"]  # type: ignore[no-any-return]


def test_callables_are_the_same_by_what_they_are_and_were_given() -> None:
    def identity(measure: sk.Measure) -> str:
        return find_measures({"mine": measure})[0].identity

    different: list[Callable[[], sk.Measure]] = [
        lambda: wrapped(wrapped(kernel_sum)), lambda: wrapped(wrapped(slowly)),
        lambda: wrapped(kernel_sum, "us"), lambda: partial(sk.tklqt, by="op"), recursive,
        lambda: Scaled(1).measure, lambda: Scaled(2).measure, lambda: typed("trace.ops"),
        lambda: typed("trace.calls"), lambda: partial(sk.tklqt, by=["op", "step"]),
    ]  # fmt: skip
    first = [make() for make in different]
    found = list(map(identity, first))
    assert len(set(found)) == len(different)
    assert [identity(make()) for make in different] == found  # others, elsewhere in memory


def test_another_version_of_the_results_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = write(tmp_path / "one.json", events()), tmp_path / "out"
    scan(source, out)
    monkeypatch.setattr("skiptrace.archive.measures.RESULTS", 999)
    assert scan(source, out).measured == 1


# --- what fails costs itself alone ---------------------------------------------------------------


def broken(trace: sk.Trace) -> pl.DataFrame:
    if trace.work["dur_ns"][0] == 40_000:
        raise ZeroDivisionError("of its own \udcff")
    return kernel_sum(trace)


def test_corrupt_traces_and_measures_that_raise_are_rows(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 3), tmp_path / "out"
    (folder / "bad_b7_x.json").write_bytes(CORRUPT)
    (folder / "cut_b8_x.json.gz").write_bytes(gzip.compress(b"[" + b" " * 999)[:20])
    wanted = ["summary", broken]
    done = scan([folder, folder / "gone.json"], out, wanted, labels=LABELS)
    assert (done.traces, done.measured, done.failed) == (6, 2, 4)
    rows = done.archive.failures.collect()
    found = {
        Path(r["source"]).name: (r["measure"], r["error"], r["batch"])
        for r in rows.iter_rows(named=True)
    }
    assert found == {
        "bad_b7_x.json": (None, "ReadError", 7),
        "cut_b8_x.json.gz": (None, "ReadError", None),
        "gone.json": (None, "ReadError", None),
        "gpt_b2_x.json": ("broken", "ZeroDivisionError", 2),
    }
    assert rows["message"].str.len_chars().min() > 5  # type: ignore[operator]
    assert done.archive["summary"].collect()["source"].n_unique() == 3
    assert done.archive["broken"].collect()["source"].n_unique() == 2

    again = scan([folder, folder / "gone.json"], out, wanted, labels=LABELS)
    assert (again.measured, again.kept, again.failed) == (0, 2, 4)
    assert scan(folder, out, "summary", labels=LABELS).failed == 2  # broken is not wanted now


def test_a_source_that_changes_while_it_is_read_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = write(tmp_path / "one.json", events()), tmp_path / "out"

    def load(path: Path) -> sk.Trace:
        os.utime(path, (1, 1))  # as by a copy of the same content over it
        return sk.load(path)

    monkeypatch.setattr("skiptrace.archive.sources.load", load)
    (message,) = scan(source, out).archive.failures.collect()["message"]
    assert "changed while" in message
    monkeypatch.undo()
    assert scan(source, out).measured == 1


class Flaky:
    calls: list[str] = []  # noqa: RUF012  what a measure saw is no part of it


def flaky(trace: sk.Trace) -> pl.DataFrame:
    Flaky.calls.append(trace.meta.source)
    if len(Flaky.calls) == 1:
        raise ConnectionError
    return kernel_sum(trace)


def test_failures_are_tried_again_when_asked_or_changed(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    (folder / "bad.json").write_bytes(CORRUPT)
    calls = Flaky.calls
    assert scan(folder, out, flaky).failed == 2
    assert scan(folder, out, flaky).failed == 2
    assert len(calls) == 2
    done = scan(folder, out, flaky, retry=True)
    assert (done.measured, done.kept, done.failed, len(calls)) == (1, 1, 1, 3)
    write(folder / "bad.json", events())
    done = scan(folder, out, flaky)
    assert (done.measured, done.kept, done.failed) == (1, 2, 0)
    assert done.archive.failures.collect().is_empty()


def test_a_trace_too_large_is_not_read_and_what_was_known_of_it_stays(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    scan(folder, out)
    large = write(folder / "large.json", events(), padding="x" * 5000)
    for limit, state in ((3000, (0, 2, 1)), (100, (0, 0, 3)), (9000, (1, 2, 0))):
        done = scan(folder, out, max_bytes=limit)
        assert (done.measured, done.kept, done.failed) == state
        tables = done.archive["summary"].collect()["source"].unique()
        assert len(tables) == 2 + (limit == 9000)
    failed = scan(large, tmp_path / "other", max_bytes=7).archive.failures.collect()
    assert failed["content_hash"].to_list() == [None]
    assert "a trace may have 7" in failed["message"][0]


TASK = "import skiptrace.archive.task; "


def hang(trace: sk.Trace) -> pl.DataFrame:
    if trace.work["dur_ns"][0] == 40_000:
        time.sleep(600)
    return kernel_sum(trace)


def kill(trace: sk.Trace) -> pl.DataFrame:
    if trace.work["dur_ns"][0] == 40_000:
        os._exit(9)
    return kernel_sum(trace)


@pytest.mark.parametrize("measure", [hang, kill], ids=["hangs", "dies"])
def test_a_worker_that_hangs_or_dies_costs_its_trace_alone(measure: Any, tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 4), tmp_path / "out"
    began = time.monotonic()
    limit = 3 if measure is hang else None
    done = sk.scan(folder, measure, out=out, executor=1, timeout=limit)
    assert time.monotonic() - began < 300
    assert (done.measured, done.failed) == (3, 1)
    failure = done.archive.failures.collect().row(0, named=True)
    assert (Path(failure["source"]).name, failure["error"]) == ("gpt_b2_x.json", "WorkerError")
    assert ("longer than the 3 s" in failure["message"]) == (measure is hang)
    assert scan(folder, out, measure).failed == 1  # not again, or this process would hang or die
    assert scan(folder, out, "summary").measured == 4


@pytest.mark.skipif(os.name == "nt", reason="no pipes with names there")
def test_a_limit_of_time_holds_on_an_executor_of_ones_own(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.json")  # neither a worker nor the driver can read it to its end
    done = scan([tmp_path / "endless.json"], tmp_path / "out", timeout=0.5)
    assert done.failed == 1
    assert "longer than the 0.5 s" in done.archive.failures.collect()["message"][0]


def test_a_process_killed_as_it_starts_or_waits_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[str] = []
    start = processes.Child

    def unlucky() -> processes.Child:
        started.append("one")
        if len(started) == 1:
            raise ArchiveError.no_worker()
        return start()

    monkeypatch.setattr(processes, "Child", unlucky)
    monkeypatch.setattr(processes, "_PROGRAM", processes._PROGRAM.replace(TASK, ""))  # for speed
    with processes.Processes(1, math.inf) as pool:
        first = pool.submit(os.getpid).result()
        (child,) = pool._all
        child.process.kill()
        child.process.wait()
        assert pool.submit(os.getpid).result() != first


def lost(source: Path, out: Path, measures: Any) -> None:
    """What a driver does when the process that measured has ended."""
    give_up(Job(str(source), str(out), find_measures(measures), {}, {}, None, False),
            WorkerError.lost())  # fmt: skip


def test_what_was_lost_on_the_way_to_a_measure_takes_nothing_from_others(tmp_path: Path) -> None:
    source, out = write(tmp_path / "one.json", events()), tmp_path / "out"
    scan(source, out, ["summary", kernel_sum])
    before = files(out)
    lost(source, out, "summary")  # it was killed just after it had written
    assert files(out) == before
    lost(source, out, {"tklqt": "tklqt", "summary": "summary", "kernel_sum": broken})
    archive = sk.open_archive(out)
    assert list(archive.tables) == ["summary"]  # no rows of the measure as it was
    assert archive.failures.collect()["error"].to_list() == ["WorkerError"]
    for retry in (False, True):
        done = scan(source, out, "summary", retry=retry)
        assert (done.kept, done.failed) == (1, 0)
    assert scan(source, out, ["summary", "tklqt"], retry=True).archive.failures.collect().is_empty()


def test_scans_of_other_measures_at_once_keep_each_others_tables(tmp_path: Path) -> None:
    source, out = write(tmp_path / "one.json", events()), tmp_path / "out"

    def meanwhile(trace: sk.Trace) -> pl.DataFrame:
        assert scan(source, out, ["summary", "tklqt"]).measured == 1
        return kernel_sum(trace)

    for _ in range(2):
        assert scan(source, out, {"mine": meanwhile, "summary": "summary"}).failed == 0
        assert sorted(sk.open_archive(out).tables) == ["mine", "summary", "tklqt"]


class Elsewhere(Executor):
    """Workers that lack the module of a measure."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(ModuleNotFoundError("No module named 'mine'"))
        return future


def test_a_module_that_workers_lack_is_no_fault_of_the_traces(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="No module named 'mine'"):
        scan(folder_of(tmp_path / "in", 2), tmp_path / "out", executor=Elsewhere())


class Breaking(Executor):
    """Breaks for good, with everything it was given, where a job is the culprit."""

    _max_workers = 2

    def __init__(self) -> None:
        self.waiting: list[Future[Any]] = []
        self.broken = False

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.broken:
            raise BrokenProcessPool("it broke before")
        future: Future[Any] = Future()
        (job,) = args
        assert isinstance(job, Job)
        if job.source.endswith("gpt_b2_x.json"):
            self.broken = True
            for one in [*self.waiting, future]:
                one.set_exception(BrokenProcessPool("a process was killed"))
        elif len(self.waiting) < 1 and job.source.endswith("gpt_b1_x.json"):
            self.waiting.append(future)  # under way when it breaks
            if not hasattr(Breaking, "first"):
                Breaking.first = True  # type: ignore[attr-defined]
                return future
            future.set_result(fn(*args))
            self.waiting.clear()
        else:
            future.set_result(fn(*args))
        return future


def test_a_pool_that_breaks_is_made_again_and_the_culprit_found(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in", 6)
    done = sk.scan(folder, out=tmp_path / "out", executor=Breaking)
    assert (done.traces, done.measured, done.kept, done.failed) == (6, 5, 0, 1)
    failures = done.archive.failures.collect()
    assert [Path(s).name for s in failures["source"]] == ["gpt_b2_x.json"]
    with pytest.raises(ArchiveError, match="scan again to go on"):
        sk.scan(folder, "tklqt", out=tmp_path / "out", executor=Breaking())


def test_a_full_disk_costs_what_did_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = folder_of(tmp_path / "in", 4), tmp_path / "out"
    whole = store.Folder.write

    def write_until_full(self: store.Folder, name: str, data: bytes) -> None:
        if len(list(out.glob("summary/*"))) >= 2 and name.startswith("summary"):
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, name, data)

    monkeypatch.setattr(store.Folder, "write", write_until_full)
    done = scan(folder, out)
    assert (done.measured, len(done.unwritten)) == (2, 2)
    assert all("No space left" in reason for _, reason in done.unwritten)
    assert "2 not written" in repr(done)
    assert done.archive["summary"].collect()["source"].n_unique() == 2
    monkeypatch.undo()
    again = scan(folder, out)
    assert (again.measured, again.kept) == (2, 2)
    scan(folder, tmp_path / "fresh")
    assert files(out) == files(tmp_path / "fresh")


def test_a_disk_that_stays_full_ends_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skiptrace.archive.scan._MOST_UNWRITTEN", 3)
    folder, out = folder_of(tmp_path / "in", 4), tmp_path / "out"
    scan(folder / "gpt_b4_x.json", out)

    def full(self: store.Folder, name: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.Folder, "write", full)
    with pytest.raises(ArchiveError, match="No space left"):
        scan(folder, out)
    with pytest.raises(ArchiveError, match="No space left"):
        scan(folder, tmp_path / "other")
    assert len(contents(out)["summary"]) == 3


def test_a_write_that_stops_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = store.Folder(str(tmp_path))
    place.write("a/b", b"before")
    original = Path.write_bytes

    def half(self: Path, data: bytes) -> int:
        original(self, data[: len(data) // 2])
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="quota"):
        place.write("a/b", b"after that")
    assert place.read("a/b") == b"before"
    assert files(tmp_path) == {"a/b": b"before"}
    assert list((tmp_path / ".partial").iterdir()) == []


def test_a_damaged_record_is_measured_again(tmp_path: Path) -> None:
    folder, out = folder_of(tmp_path / "in", 2), tmp_path / "out"
    scan(folder, out)
    before = files(out)
    records = sorted((out / "traces").iterdir())
    records[0].write_bytes(b'{"source": 1')
    records[1].write_bytes(b"[]")
    assert len(sk.open_archive(out).records) == 0
    assert scan(folder, out).measured == 2
    assert files(out) == before

    mine = tmp_path / "mine"
    mine.write_text("not of the archive")
    path = next(name for name in before if name.startswith("summary/")).encode()
    for record in records:
        record.write_bytes(record.read_bytes().replace(path, str(mine).encode()))
    assert len(sk.open_archive(out).records) == 1
    assert scan(folder, out, labels="gpt_b{n}_*").measured == 2
    assert mine.exists()


# --- what is asked wrongly -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"sources": []}, ArchiveError, "found no trace"),
        ({"sources": "none/*.json"}, ArchiveError, r"none/\*.json"),
        ({"sources": [3]}, ArchiveError, "got a int"),
        ({"measures": "sumary"}, UnknownKeyError, "Did you mean 'summary'"),
        ({"measures": []}, ArchiveError, "one at least"),
        ({"measures": ["summary", sk.summary]}, ArchiveError, "two are named"),
        ({"measures": {"traces": "summary"}}, ArchiveError, "no name of a table"),
        ({"measures": {"a/b": "summary"}}, ArchiveError, "no name of a table"),
        ({"measures": {"a\n": "summary"}}, ArchiveError, "no name of a table"),
        ({"measures": [lambda trace: trace.ops]}, ArchiveError, "no name of a table"),
        ({"measures": {"a": 3}}, ArchiveError, "neither"),
        ({"labels": "*.json"}, ArchiveError, "no name in braces"),
        ({"labels": "{a}_{a}.json"}, ArchiveError, "twice"),
        ({"labels": "{}_{a}.json"}, ArchiveError, "is no name"),
        ({"labels": "{source}.json"}, ArchiveError, "every table"),
        ({"labels": "{il_ns}.json"}, ArchiveError, "'summary'"),
        ({"labels": "{size}.json"}, ArchiveError, r"archive\.traces"),
        ({"labels": "{error}.json"}, ArchiveError, r"archive\.failures"),
        ({"labels": "{change}.json"}, ArchiveError, r"regressions\(\)"),
        ({"timeout": 0}, ArchiveError, "more than 0"),
        ({"timeout": math.nan}, ArchiveError, "more than 0"),
        ({"max_bytes": -1}, ArchiveError, "more than 0"),
        ({"executor": "two"}, ArchiveError, "number of processes"),
        ({"load": {"step": 1}}, UnknownKeyError, "steps"),
        ({"load": {"steps": object()}}, ArchiveError, "kept with each trace"),
    ],
)
def test_what_cannot_be_scanned_is_said_before_anything_is_written(
    options: dict[str, Any], error: type[Exception], said: str, tmp_path: Path
) -> None:
    source = write(tmp_path / "one.json", events())
    with pytest.raises(error, match=said):
        scan(**{"sources": source, "out": tmp_path / "out"} | options)
    assert not (tmp_path / "out").exists()


def test_a_measure_that_cannot_be_sent_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "one.json", events())
    monkeypatch.setitem(__import__("sys").modules, "cloudpickle", None)
    with pytest.raises(ArchiveError, match="Define it in a module"):
        sk.scan(source, {"a": lambda trace: trace.ops}, out=tmp_path / "out", executor=1)


def test_a_column_that_every_table_has_is_a_failure(tmp_path: Path) -> None:
    source = write(tmp_path / "one.json", events())

    def ranked(trace: sk.Trace) -> pl.DataFrame:
        return kernel_sum(trace).with_columns(rank=1)

    def number(trace: sk.Trace) -> Any:
        return len(trace.ops)

    said = scan(source, tmp_path / "out", [ranked, number]).archive.failures.collect()
    assert said["measure"].to_list() == ["number", "ranked"]
    assert "returned a int" in said["message"][0]
    assert "'rank'" in said["message"][1]


def test_a_folder_with_something_else_is_not_used(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "one.json", events())
    with pytest.raises(ArchiveError, match=r"holds one\.json"):
        scan(source, tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "skiptrace-archive.json").write_bytes(
        b'{"format": "skiptrace archive", "version": 99}'
    )
    with pytest.raises(ArchiveError, match="format 99"):
        scan(source, tmp_path / "out")


def test_a_url_without_fsspec_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fsspec", "fsspec.core"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"skiptrace\[remote\]"):
        scan("s3://bucket/*.json.gz", tmp_path / "out")
    with pytest.raises(MissingDependencyError, match=r"skiptrace\[remote\]"):
        sk.open_archive("gs://bucket/out")


def test_progress_counts_every_trace(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = folder_of(tmp_path / "in", 3)
    scan(folder, tmp_path / "out", progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_only_so_many_jobs_are_handed_over(tmp_path: Path) -> None:
    class Counting(ThreadPoolExecutor):
        most = waiting = 0

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            future = super().submit(fn, *args, **kwargs)
            future.add_done_callback(lambda _: setattr(self, "waiting", self.waiting - 1))
            return future

    folder = folder_of(tmp_path / "in", 12)
    with Counting(2) as executor:
        assert sk.scan(folder, out=tmp_path / "out", executor=executor).measured == 12
    assert 2 <= executor.most <= 8


def test_what_was_left_unfinished_long_ago_is_removed(tmp_path: Path) -> None:
    source, out = write(tmp_path / "one.json", events()), tmp_path / "out"
    scan(source, out)
    old, new = out / ".partial" / "old", out / ".partial" / "new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    scan(source, out)
    assert (old.exists(), new.exists()) == (False, True)
    shutil.rmtree(out)
