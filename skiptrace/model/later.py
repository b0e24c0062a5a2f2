"""A module of a later folder, for the methods of results that need one: imported on use."""

from importlib import import_module
from types import ModuleType


def later(name: str) -> ModuleType:
    """The module of that name inside the package."""
    return import_module(f"skiptrace.{name}")
