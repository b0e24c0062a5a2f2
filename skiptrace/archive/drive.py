"""Jobs through any executor, so many at a time; what breaks it costs the job that did."""

from __future__ import annotations

import os
import pickle
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Self, TypeAlias, cast

from skiptrace.archive.processes import Processes, in_child
from skiptrace.archive.task import Job, Outcome, give_up, measure_trace
from skiptrace.errors import ArchiveError, WorkerError

Executors: TypeAlias = int | Executor | Callable[[], Executor]
"""So many worker processes, an executor, or what makes one."""

_AHEAD = 4
"""Jobs handed over for each worker: enough that none waits, few enough to forget."""
_MANY = 1024
"""Jobs handed over to an executor that does not say how many workers it has."""


@dataclass
class Driver:
    """Runs jobs and gives their outcomes as they come."""

    given: Executors | None
    seconds: float | None
    """A trace may take so long."""
    executor: Executor = field(init=False)
    running: dict[Future[Outcome], Job] = field(default_factory=dict)
    done: queue.SimpleQueue[Future[Outcome]] = field(default_factory=queue.SimpleQueue)

    def __enter__(self) -> Self:
        self.executor = self._make()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for future in self.running:
            future.cancel()
        if self.executor is not self.given:
            self.executor.shutdown(wait=True, cancel_futures=True)

    @property
    def window(self) -> int:
        """How many jobs may be handed over at a time."""
        workers = getattr(self.executor, "_max_workers", None)
        return _AHEAD * workers if isinstance(workers, int) else _MANY

    def outcomes(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """What became of each job, in the order they end.

        Raises
        ------
        ArchiveError
            The executor broke, and there is no making another; or jobs cannot be sent.
        """
        waiting = iter(jobs)
        while True:
            for job in islice(waiting, self.window - len(self.running)):
                self._submit(job)
            if not self.running:
                return
            future = self.done.get()
            if future not in self.running:
                continue  # of an executor that broke
            error = None if future.cancelled() else future.exception()
            if isinstance(error, BrokenExecutor):
                yield from self._one_by_one(error)
            else:
                yield self._outcome(future, self.running.pop(future))

    def _one_by_one(self, error: BaseException) -> Iterator[Outcome]:
        """Each job that may have broken the executor, alone: so the one that does is found."""
        suspects = list(self.running.values())
        self.running.clear()
        self._renew(error)
        for job in suspects:
            self._submit(job)
            (future,) = self.running
            while self.done.get() is not future:
                pass
            del self.running[future]
            error_of_it = None if future.cancelled() else future.exception()
            if isinstance(error_of_it, BrokenExecutor):
                yield give_up(job, WorkerError.lost(), self.seconds)
                self._renew(error_of_it)
            else:
                yield self._outcome(future, job)

    def _submit(self, job: Job) -> None:
        try:
            if self.seconds is None or isinstance(self.executor, Processes):
                future = self.executor.submit(measure_trace, job)
            else:
                future = self.executor.submit(measure_within, job, self.seconds)
        except BrokenExecutor as error:  # it takes no more: this job is as good as any other
            future = Future()
            future.set_exception(error)
        self.running[future] = job
        future.add_done_callback(self.done.put)

    def _outcome(self, future: Future[Outcome], job: Job) -> Outcome:
        """Of a job that ended; `measure_trace` raises nothing, so what is raised is no trace's."""
        if future.cancelled():
            return give_up(job, WorkerError.lost(), self.seconds)
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, WorkerError):
            return give_up(job, error, self.seconds)
        if isinstance(error, ArchiveError):
            raise error
        if isinstance(error, (pickle.PicklingError, AttributeError, ImportError, TypeError)):
            raise ArchiveError.cannot_send(str(error)) from error
        return give_up(job, WorkerError.lost(), self.seconds)

    def _make(self) -> Executor:
        given = self.given
        if given is None or isinstance(given, int):
            return Processes(os.cpu_count() or 1 if given is None else given, self.seconds)
        if hasattr(given, "submit") and not isinstance(given, type):  # whatever it derives from
            return cast("Executor", given)
        return given()

    def _renew(self, error: BaseException) -> None:
        """Another executor in place of a broken one."""
        if self.executor is self.given:
            raise ArchiveError.broken(str(error) or type(error).__name__) from error
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self._make()


def measure_within(job: Job, seconds: float) -> Outcome:
    """Measure a trace in a process of its own, which can be ended whatever it does."""
    try:
        return in_child(measure_trace, seconds, job)
    except WorkerError as error:
        return give_up(job, error, seconds)
