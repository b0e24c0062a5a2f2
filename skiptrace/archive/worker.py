"""The program of a worker process: calls come in by a pipe, and what they gave goes out."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import warnings
from typing import Any, BinaryIO

from skiptrace.errors import TraceWarning


def serve() -> None:
    """Answer calls until whoever asks is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the driver's
    warnings.simplefilter("ignore", TraceWarning)  # what makes figures doubtful is in the record
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a measure prints must not get between the answers
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, calls), daemon=True).start()
    _write(answers, b"ready")
    while True:
        _write(answers, answer(calls.get()))


def answer(call: bytes) -> bytes:
    """What a pickled call returned, or the error, pickled."""
    try:
        fn, args, kwargs = pickle.loads(call)  # noqa: S301  what our own driver sent
        return pickle.dumps((fn(*args, **kwargs), None))
    except Exception as error:  # noqa: BLE001  raised again by the driver
        try:
            return pickle.dumps((None, error))
        except Exception:  # noqa: BLE001  an error that cannot be sent
            return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))


def _listen(pipe: BinaryIO, calls: queue.SimpleQueue[bytes]) -> None:
    """Take in calls; when the driver is gone, end in the middle of anything."""
    while True:
        length = pipe.read(8)
        if len(length) < 8:
            os._exit(0)
        calls.put(pipe.read(int.from_bytes(length, "little")))


def _write(pipe: BinaryIO, data: Any) -> None:  # noqa: ANN401
    pipe.write(len(data).to_bytes(8, "little") + data)
    pipe.flush()
