"""Methods that a later folder implements, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from types import MethodType
from typing import Any


class later:  # noqa: N801  used as if it were a decorator
    """A method: the function at a place such as ``show.plots:sweep``, called with its object."""

    def __init__(self, place: str) -> None:
        self._module, _, self._name = place.partition(":")

    def __get__(self, instance: object, owner: type) -> Any:  # noqa: ANN401  what that function is
        function = getattr(import_module(f"skiptrace.{self._module}"), self._name)
        return function if instance is None else MethodType(function, instance)
