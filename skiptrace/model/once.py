"""What is found of a trace or a recording once, and kept while that is in use."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar


class Keeps(Protocol):
    """Something that keeps what was found of it."""

    @property
    def kept(self) -> dict[str, Any]:
        """What was found, by what found it."""


K = TypeVar("K", bound=Keeps)
V = TypeVar("V")


def once(find: Callable[[K], V]) -> Callable[[K], V]:
    """Make a function of a trace look once.

    Two threads may both look: they find the same, and one of the results is kept.
    """
    name = f"{find.__module__}.{find.__qualname__}"

    @wraps(find)
    def found(of: K) -> V:
        if name not in of.kept:
            of.kept[name] = find(of)
        result: V = of.kept[name]
        return result

    return found
