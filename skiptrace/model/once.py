"""What is found of a trace or a recording once, and kept while that is in use."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar


class Keeps(Protocol):
    """Something that keeps what was found of it."""

    @property
    def kept(self) -> dict[Any, Any]:
        """What was found, by what found it and for what."""


K = TypeVar("K", bound=Keeps)
V = TypeVar("V")


def once(find: Callable[[K], V]) -> Callable[[K], V]:
    """Make a function of a trace look once.

    Two threads may both look: they find the same, and one of the results is kept.
    """

    @wraps(find)
    def found(of: K) -> V:
        if find not in of.kept:
            of.kept[find] = find(of)
        result: V = of.kept[find]
        return result

    return found
