"""A file that is there whole or not at all: it is written beside its place, then renamed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skiptrace.errors import SaveError


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """The path to write to; what is there at the end takes the target's place.

    Raises
    ------
    SaveError
        The file cannot be written; then the target is as it was, as after any other error.
    """
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise SaveError.cannot_write(str(target), error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)
