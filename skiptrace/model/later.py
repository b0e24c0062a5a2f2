"""Methods that a later folder implements, imported when they are called."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def later(place: str) -> Callable[..., Any]:
    """A method: its object is passed to the function at a place, such as ``show.plots:sweep``."""
    module, name = place.split(":")

    def method(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401  whatever that takes
        return getattr(import_module(f"skiptrace.{module}"), name)(self, *args, **options)

    method.__name__, method.__doc__ = name, f"What ``skiptrace.{module}.{name}`` does with it."
    return method
