"""`annotate`: a trace file again, with tracks of what skiptrace found in it, for a viewer."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from skiptrace.errors import MissingDependencyError, SaveError
from skiptrace.model.arguments import SavedArguments
from skiptrace.model.trace import Trace
from skiptrace.read.source import Source
from skiptrace.read.splice import find_ending, with_more
from skiptrace.show.tracks import tracks
from skiptrace.show.whole_file import written_whole

_LEVEL = 4
"""Of gzip: nearly as small as 9 for such text, in a third of the time."""
_HARMLESS = ("byte_order_mark", "utf16_or_utf32")
"""Faults of a file that is whole: what is written is UTF-8 without a mark."""


def annotate(trace: Trace, path: str | os.PathLike[str]) -> Path:
    """Write the trace's file again, with tracks that Perfetto and chrome://tracing show.

    Parameters
    ----------
    trace
        A trace or a window of one: its file is written whole, the tracks are of the window.
    path
        The file to write. What its name ends in packs it: ``.gz``, ``.zst``, else not at all.

    Returns
    -------
    pathlib.Path
        The path; the file is complete when the call returns, and as it was if it raises.

    Raises
    ------
    SaveError
        The path is that of the trace itself or cannot be written, or the trace was loaded from
        a saved folder, from a damaged file, or from decoded objects that JSON cannot hold.
    ReadError
        The source has changed or is gone since it was loaded.
    MissingDependencyError
        The name ends in ``.zst``, and the package that packs it is not installed.
    """
    target = Path(path)
    source = _text(trace.whole.source, trace.meta.source)
    if source.lies_at(target):
        raise SaveError.own_source(str(target))
    faulty = pl.col("byte").is_not_null() & ~pl.col("kind").is_in(_HARMLESS)
    ending = None if len(trace.health.filter(faulty)) else find_ending(source)
    if ending is None:
        raise SaveError.damaged_source(source.name)
    added = tracks(trace, has_arrows=ending.has_arrows)
    with written_whole(target) as partial:
        _write(partial, target.suffix.lower(), with_more(source, ending.at, added))
    return target


def _text(source: Source | SavedArguments, name: str) -> Source:
    """The source as text that can be copied."""
    if isinstance(source, SavedArguments):
        raise SaveError.no_source(name)
    if not source.is_decoded:
        return source
    document = source.origin
    try:
        text = json.dumps(document, separators=(",", ":"), allow_nan=False)
        return Source(source.name, text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise SaveError.not_json("the trace", str(error)) from error


def _write(path: Path, suffix: str, blocks: Iterable[bytes]) -> None:
    with path.open("wb") as file, _packer(file, suffix) as packed:
        for block in blocks:
            packed.write(block)


def _packer(file: BinaryIO, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        return cast("BinaryIO", gzip.GzipFile("", "wb", _LEVEL, file, mtime=0))
    if suffix != ".zst":
        return cast("BinaryIO", nullcontext(file))
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError.needs("writing .zst files", "zstandard", "zstd") from error
    return cast("BinaryIO", zstandard.ZstdCompressor().stream_writer(file, closefd=False))
