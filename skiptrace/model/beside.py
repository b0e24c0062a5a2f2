"""Work on another core: for two long pieces of numpy or polars that need nothing of each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

V = TypeVar("V")


def beside(run: Callable[[], V]) -> Future[V]:
    """What runs in a thread of its own; at once where none can be started, as at exit."""
    future: Future[V] = Future()

    def work() -> None:
        try:
            future.set_result(run())
        except BaseException as error:  # noqa: BLE001  it is raised by `result`
            future.set_exception(error)

    try:
        Thread(target=work).start()
    except RuntimeError:
        work()
    return future
