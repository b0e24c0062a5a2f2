"""File systems behind URLs, through `fsspec`, which is imported where a URL is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from skiptrace.errors import MissingDependencyError, ReadError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+(::|://)")  # one letter is a drive of Windows


class Place(NamedTuple):
    """A path on a file system of fsspec."""

    fs: Any
    path: str


def is_url(given: str) -> bool:
    """Whether it is a URL that is not a local path in other words."""
    return bool(_URL.match(given)) and not given.startswith("file://")


def local_path(given: str) -> Path:
    """The path of what is no URL, or of a ``file://`` one."""
    return Path(given.removeprefix("file://"))


def place_of(url: str) -> Place:
    """The file system of a URL, and the path on it.

    Raises
    ------
    MissingDependencyError
        `fsspec`, or the package of that kind of URL, is not installed.
    ReadError
        No such kind of URL is known.
    """
    kind = re.split(r"::|://", url, maxsplit=1)[0]
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingDependencyError.needs(f"{kind}://", "fsspec", "remote") from error
    try:
        return Place(*url_to_fs(url))
    except ImportError as error:  # it says which package of theirs to install
        raise MissingDependencyError(f"{url}: {error}") from error
    except ValueError as error:
        raise ReadError.not_found(url, str(error)) from error
