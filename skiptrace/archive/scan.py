"""`scan`: measures of many traces as one archive, on any executor, to be continued at any time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from skiptrace.archive.drive import Driver, Executors
from skiptrace.archive.measures import Measures, check_labels, find_measures
from skiptrace.archive.open_archive import Archive, open_archive
from skiptrace.archive.sources import Sources, find_sources
from skiptrace.archive.store import begin
from skiptrace.archive.task import Job, Outcome
from skiptrace.errors import ArchiveError, UnknownKeyError
from skiptrace.model.health import is_doubtful
from skiptrace.read.patterns import labels_of, named_regex

_OPTIONS = ("steps", "without", "window", "repair")
_MOST_UNWRITTEN = 20
"""So many results in a row that cannot be written end a scan: the disk is full, say."""


@dataclass(frozen=True)
class Scan:
    """What a scan did."""

    out: str
    """Where the archive lies."""
    traces: int
    """Sources found."""
    measured: int
    """Traces measured now."""
    kept: int
    """Traces of which everything wanted was there already."""
    failed: int
    """Traces with a failure, now or before: rows of ``archive.failures``."""
    bytes: int
    """Size of the sources that were measured, as they lie there."""
    unwritten: tuple[tuple[str, str], ...]
    """Source and reason of those that could not be written: the next scan measures them."""
    doubtful: tuple[tuple[str, str], ...]
    """Source and grade of those measured, now or before, whose figures may be wrong."""
    unlabeled: tuple[str, ...]
    """Of those without a failure the sources that do not fit the pattern of `labels`."""

    def __repr__(self) -> str:
        further = (
            (self.unwritten, "not written"),
            (self.doubtful, "doubtful"),
            (self.unlabeled, "without labels"),
        )
        more = "".join(f", {len(found)} {what}" for found, what in further if found)
        return (
            f"<Scan of {self.traces} traces into {self.out}: {self.measured} measured, "
            f"{self.kept} kept, {self.failed} failed{more}>"
        )

    @property
    def archive(self) -> Archive:
        """The archive, opened."""
        return open_archive(self.out)


def scan(  # noqa: PLR0913  one keyword for each option of a long run
    sources: Sources,
    measures: Measures = "summary",
    *,
    out: str | os.PathLike[str],
    labels: str | None = None,
    executor: Executors | None = None,
    timeout: float | None = None,
    max_bytes: int | None = None,
    retry: bool = False,
    load: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Measure many traces, and keep the results as an archive of Parquet tables.

    Each trace is loaded, measured, written and forgotten. What is there already, of the same
    content and the same measures, is not done again; what fails is a row in the table of failures.

    Parameters
    ----------
    sources
        A path, glob, folder or URL, or several. A folder is searched, with those below it, for
        ``.json``, ``.json.gz``, ``.json.zst`` and saved traces. URLs (``s3://``, ``gs://``,
        ``https://`` ...) need the extra ``remote`` and the package of that file system.
    measures
        Names of verbs, or callables that take a `Trace` and return a DataFrame; one or several,
        or a mapping from the names of their tables: ``{"by_op": partial(sk.tklqt, by="op")}``.
    out
        Folder or URL of the archive: new, empty, or one that is there, which is continued.
    labels
        Pattern of the end of a path with names in braces, ``"{model}_b{batch}_*.json.gz"``: each
        is a column of every table, an integer where it is a whole number. ``{batch:d}``: digits.
    executor
        How many worker processes, by default as many as cores; or anything with the interface of
        `concurrent.futures.Executor`; or a function that makes one, which is called again when
        one breaks.
    timeout
        Seconds that a trace may take; then its process is ended, and that is its failure. With an
        executor of one's own each trace is measured in a process of its own for that.
    max_bytes
        Larger sources (as they lie there) are not read, and fail.
    retry
        Measure again what failed before with the same content; without, it stays a failure.
    load
        Options of `skiptrace.load` for every trace: ``steps``, ``without``, ``window``, ``repair``.
    progress
        Called with how many traces are done, and how many there are.

    Returns
    -------
    Scan
        Counts, and ``.archive``, which `open_archive` opens at any time.

    Raises
    ------
    ArchiveError
        No sources, measures or labels that cannot be had; `out` is something else, or cannot be
        written any more; an executor broke that cannot be made again.
    UnknownKeyError
        A name that is no verb, an option that `load` does not have.
    MissingDependencyError
        A URL, and fsspec or the package of its file system is not installed.

    Notes
    -----
    A trace's tables are written first, each as a whole, then its record, without which they do not
    count; so a scan can be killed at any moment, and begun again. What is the same is told by the
    SHA-256 of a source's bytes, the labels, the options of the load, and the columns and the
    version of the verbs' results (of a callable: its own code, not what that calls).
    """
    wanted = find_measures(measures)
    fits = _pattern(labels)
    check_labels(fits.groupindex if fits else (), wanted)
    options = _checked(load, timeout, max_bytes, executor)
    target = os.fspath(out)
    found = find_sources(sources)
    begin(target)

    def jobs() -> Iterator[Job]:
        for source in found:
            said = labels_of(source, fits) if fits else {}
            yield Job(source, target, wanted, said, options, max_bytes, retry)

    counts = {"measured": 0, "kept": 0, "failed": 0}
    unwritten: list[Outcome] = []
    doubtful: list[tuple[str, str]] = []
    unlabeled: list[str] = []
    size = in_a_row = 0
    with Driver(executor, timeout) as driver:
        for done, outcome in enumerate(driver.outcomes(jobs()), 1):
            if outcome.state in counts:
                counts[outcome.state] += 1
                size += outcome.bytes
                in_a_row = 0
                if outcome.grade is not None and is_doubtful(outcome.grade):
                    doubtful.append((outcome.source, outcome.grade))
                if fits and outcome.state != "failed" and not labels_of(outcome.source, fits):
                    unlabeled.append(outcome.source)
            else:
                unwritten.append(outcome)
                in_a_row += 1
                if in_a_row >= _MOST_UNWRITTEN:
                    raise ArchiveError.unwritable(target, outcome.message)
            if progress:
                progress(done, len(found))
    lost = tuple(sorted((outcome.source, outcome.message) for outcome in unwritten))
    return Scan(
        target, len(found), bytes=size, unwritten=lost, doubtful=tuple(sorted(doubtful)),
        unlabeled=tuple(sorted(unlabeled)), **counts,
    )  # fmt: skip


def _pattern(labels: str | None) -> Any:  # noqa: ANN401  a compiled pattern or None
    if labels is None:
        return None
    try:
        return named_regex(labels)
    except (ValueError, TypeError) as error:
        raise ArchiveError.labels(labels, str(error)) from error


def _checked(
    load: Mapping[str, Any] | None,
    timeout: float | None,
    max_bytes: int | None,
    executor: object,
) -> dict[str, Any]:
    """The options of the load, after a look at the others."""
    for name, value in (("timeout", timeout), ("max_bytes", max_bytes), ("executor", executor)):
        if isinstance(value, (int, float)) and not value > 0:
            raise ArchiveError.options(name, value, "it has to be more than 0")
    usable = isinstance(executor, int) or hasattr(executor, "submit") or callable(executor)
    if executor is not None and not usable:
        wanted = "a number of processes, an executor, or a function that makes one"
        raise ArchiveError.options("executor", executor, wanted)
    options = dict(load or {})
    for name, value in options.items():
        if name not in _OPTIONS:
            raise UnknownKeyError.of("option of load", name, _OPTIONS)
        if isinstance(value, (set, frozenset)):  # in an order that is the same in every process
            options[name] = sorted(value)
    try:
        orjson.dumps(options, default=sorted)
    except TypeError as error:
        raise ArchiveError.options("load", load, f"kept with each trace, {error}") from error
    return options
