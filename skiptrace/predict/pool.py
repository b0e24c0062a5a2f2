"""Points of a sweep measured by several processes at once."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

# Its own little programs, not multiprocessing: spawned workers of that run the caller's script
# again, which a script without `if __name__ == "__main__"` does not survive; forked ones hang
# in the threads of polars.
_WORKER = (
    "import pickle, sys; sys.path[:], job = pickle.load(sys.stdin.buffer), "
    "pickle.load(sys.stdin.buffer); "
    "from skiptrace.predict.pool import answer; sys.stdout.buffer.write(answer(*job))"
)


def map_processes(
    function: Callable[..., T], jobs: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[T]:
    """``function(*job)`` of each job, in order; the first error ends it.

    Parameters
    ----------
    function
        Importable by its name; it, its arguments, results and errors are pickled.
    jobs
        The arguments of each call.
    workers
        Processes at a time.
    """

    def one(job: tuple[Any, ...]) -> T:
        given = pickle.dumps(sys.path) + pickle.dumps((function, job))
        done = subprocess.run(  # noqa: S603  our own interpreter and program
            [sys.executable, "-c", _WORKER], input=given, stdout=subprocess.PIPE, check=True
        )
        result, error = pickle.loads(done.stdout)  # noqa: S301  what our own program wrote
        if error is not None:
            raise error
        value: T = result
        return value

    with ThreadPoolExecutor(workers) as threads:
        futures = [threads.submit(one, job) for job in jobs]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def answer(function: Callable[..., Any], job: tuple[Any, ...]) -> bytes:
    """What a worker writes: the result, or the error, pickled."""
    try:
        return pickle.dumps((function(*job), None))
    except Exception as error:  # noqa: BLE001  raised again by the caller's process
        return pickle.dumps((None, error))
