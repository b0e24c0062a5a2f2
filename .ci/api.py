"""Write the public names of skiptrace, with their signatures and attributes, as a list.

    python .ci/api.py > .ci/api.txt

`tests/test_api.py` holds the list in the repository to the code, so that no name goes away, and no
signature changes, without somebody seeing it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import skiptrace as sk


def lines() -> list[str]:
    """A line a name, sorted."""
    found = [line for name in sk.__all__ for line in _of(f"skiptrace.{name}", getattr(sk, name))]
    return sorted(found)


def _of(name: str, thing: Any) -> Iterator[str]:  # noqa: ANN401  whatever is public
    if isinstance(thing, ModuleType):
        own = [n for n, part in vars(thing).items() if _is_own(n, part, thing)]
        for one in getattr(thing, "__all__", own):
            yield from _of(f"{name}.{one}", getattr(thing, one))
    elif isinstance(thing, type):
        yield from _of_class(name, thing)
    else:
        yield f"{name}{_signature(thing)}"


def _is_own(name: str, part: object, module: ModuleType) -> bool:
    return not name.startswith("_") and getattr(part, "__module__", None) == module.__name__


def _signature(function: Any) -> str:  # noqa: ANN401
    return str(inspect.signature(function)).replace("'", "")  # as some versions of Python quote


def _of_class(name: str, thing: type) -> Iterator[str]:
    bases = [base.__name__ for base in thing.__bases__ if base is not object]
    yield f"{name}: class" + (f" of {', '.join(bases)}" if bases else "")
    if issubclass(thing, BaseException):  # raised, never made by callers
        return
    own = {n: v for n, v in vars(thing).items() if not n.startswith("_") or n == "__sub__"}
    annotations = inspect.get_annotations(thing)
    attributes = [f.name for f in fields(thing)] if is_dataclass(thing) else list(annotations)
    for one in attributes:
        kind = annotations[one]
        yield f"{name}.{one}: {getattr(kind, '__forward_arg__', kind)}"
    for one, value in own.items():
        if one in attributes:
            continue
        if inspect.isfunction(method := getattr(thing, one)):
            yield f"{name}.{one}{_signature(method)}"
        elif isinstance(value, property) or hasattr(value, "func"):  # a cached property
            yield f"{name}.{one}: property"


if __name__ == "__main__":
    print(*lines(), sep="\n")
