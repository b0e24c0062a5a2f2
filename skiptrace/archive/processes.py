"""Worker processes of our own: each can be killed, or kill itself, at the price of one trace."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self, TypeVar

from skiptrace.errors import ArchiveError, WorkerError

T = TypeVar("T")

# As in predict/pool.py: multiprocessing would run the caller's script again in each worker.
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "import skiptrace.archive.task; from skiptrace.archive.worker import serve; serve()"
)
_SIZE = 8
"""Bytes in front of each message that say how long it is."""


class Child:
    """A process that answers one call after another."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        # A worker has a core: threads of polars would only fight over it.
        env = {"POLARS_MAX_THREADS": "1", **os.environ}
        self.process = subprocess.Popen(  # noqa: S603  our own interpreter and program
            [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        try:
            self._write(pickle.dumps(sys.path))
            self._read()  # it has imported what it needs, and its time begins now
        except (OSError, EOFError) as error:
            self.close()
            raise ArchiveError.no_worker() from error

    def ask(self, call: bytes, seconds: float | None) -> Any:  # noqa: ANN401  whatever was called
        """What a pickled call returns or raises.

        Raises
        ------
        WorkerError
            The process ended, or took longer than `seconds` and was ended.
        """
        timer = threading.Timer(min(seconds or 0, threading.TIMEOUT_MAX), self._end)
        timer.daemon = True
        if seconds is not None:
            timer.start()
        try:
            self._write(len(call).to_bytes(_SIZE, "little") + call)
            answer = self._read()
        except (OSError, EOFError) as error:
            late = self._ended.is_set()
            self._end()  # it may answer nothing any more, and not have ended yet
            if seconds is not None and late:
                raise WorkerError.late(seconds) from error
            raise WorkerError.lost() from error
        finally:
            timer.cancel()
            if seconds is not None:
                timer.join()
        result, raised = pickle.loads(answer)  # noqa: S301  what our own program wrote
        if raised is not None:
            raise raised
        return result

    @property
    def usable(self) -> bool:
        """Whether it may be asked more: it was not killed, by us (just too late) or by others."""
        return not self._ended.is_set() and self.process.poll() is None

    def _end(self) -> None:
        self._ended.set()
        self.process.kill()

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what it had not read yet
                    pipe.close()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        pipe = self.process.stdin
        assert pipe is not None  # noqa: S101  it was asked for
        pipe.write(data)
        pipe.flush()

    def _read(self) -> bytes:
        pipe = self.process.stdout
        assert pipe is not None  # noqa: S101  it was asked for
        length = pipe.read(_SIZE)
        data = pipe.read(int.from_bytes(length, "little")) if len(length) == _SIZE else b""
        if len(length) < _SIZE or len(data) < int.from_bytes(length, "little"):
            raise EOFError
        return data


class Processes(Executor):
    """An executor of `workers` processes, in which only the call that killed one fails.

    Parameters
    ----------
    workers
        Processes at a time, each started when it is first wanted.
    seconds
        A call may take so long; then its process is killed.
    """

    def __init__(self, workers: int, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(workers)
        self._idle: queue.SimpleQueue[Child] = queue.SimpleQueue()
        self._all: set[Child] = set()
        self._ended = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:  # noqa: ANN401  Executor's own
        """Call it in a process: as `concurrent.futures.Executor.submit`.

        Raises
        ------
        ArchiveError
            It cannot be pickled.
        """
        return self._threads.submit(self._run, dumps((fn, args, kwargs)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  Executor's own
        """End the processes, and with `cancel_futures` also what they are doing."""
        if cancel_futures:
            self._ended = True
            for child in list(self._all):
                child.process.kill()
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        for child in list(self._all) if wait or cancel_futures else ():
            child.close()

    def _run(self, call: bytes) -> Any:  # noqa: ANN401  whatever was called
        child = self._child()
        try:
            return child.ask(call, self._seconds)
        finally:
            self._idle.put(child)

    def _child(self) -> Child:
        """One that waits for work, or another."""
        with suppress(queue.Empty):
            while True:
                child = self._idle.get_nowait()
                if child.usable:
                    return child
                self._all.discard(child)
                child.close()
        try:
            child = Child()
        except ArchiveError:  # killed as it started; unless none can start, the next one does
            child = Child()
        self._all.add(child)
        if self._ended:  # while it started
            child.close()
            raise WorkerError.lost()
        return child


def dumps(call: object) -> bytes:
    """Pickle a call for a process that does not run the caller's script.

    Raises
    ------
    ArchiveError
        Something in it cannot be pickled, or only with `cloudpickle`, which is not installed.
    """
    try:
        data = pickle.dumps(call)
        reason = "it is defined in the script or notebook itself"
    except Exception as error:  # noqa: BLE001  pickle raises what an object's own methods do
        data, reason = b"", " ".join(str(error).split())
    if data and b"__main__" not in data:
        return data
    try:
        import cloudpickle
    except ImportError:
        raise ArchiveError.cannot_send(reason) from None
    try:
        packed: bytes = cloudpickle.dumps(call)
    except Exception as error:
        raise ArchiveError.cannot_send(" ".join(str(error).split())) from error
    return packed


def in_child(fn: Callable[..., T], seconds: float, *args: Any) -> T:  # noqa: ANN401  as for fn
    """Call it in a process of its own, which is killed after so many seconds.

    Raises
    ------
    WorkerError
        It was, or the process ended otherwise.
    """
    with Child() as child:
        answer: T = child.ask(dumps((fn, args, {})), seconds)
    return answer
