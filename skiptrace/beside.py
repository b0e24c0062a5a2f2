"""Work on another core: for two long pieces of numpy or polars that need nothing of each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
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


def shared(run: Callable[[T], V], items: Sequence[T]) -> list[V]:
    """What is made of each item, by this thread and another."""
    left = deque(enumerate(items))
    made: dict[int, V] = {}

    def work() -> None:
        while True:
            try:
                place, item = left.popleft()
            except IndexError:
                return
            made[place] = run(item)

    other = beside(work)
    work()
    other.result()
    return [made[place] for place in range(len(items))]


def ahead(
    items: Iterable[T], make: Callable[[T], V], pool: Executor, depth: int = 1
) -> Iterator[V]:
    """What is made of each item, in their order, so many begun before they are asked for."""
    coming: deque[Future[V]] = deque()
    for item in items:
        coming.append(_submitted(pool, make, item))
        if len(coming) > depth:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _submitted(pool: Executor, make: Callable[[T], V], item: T) -> Future[V]:
    try:
        return pool.submit(make, item)
    except RuntimeError:  # at exit it takes nothing
        future: Future[V] = Future()
        future.set_result(make(item))
        return future
