"""Traces of other writers said in Kineto's words: the one place that knows how XLA writes.

The model knows Kineto's categories alone (`categories`). A writer that has none names devices and
streams in metadata; what it recorded is given the category, device, stream and correlation that
Kineto would have written, before roles are decided. A further writer is one more `Writer`; the
page "Another writer" of the docs says what it has to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints
from skiptrace.model.categories import OWN
from skiptrace.read.columns import RawEvents
from skiptrace.read.rows import Codes


class Writer(NamedTuple):
    """How the traces of a writer are known, and read."""

    name: str
    recognises: Callable[[RawEvents], bool]
    """By structure: what metadata name, which fields events have. Never by the file's name."""
    translate: Callable[[RawEvents], None]
    """Give rows their ``cat``, ``device``, ``stream`` and ``correlation``; names stay."""


def translate(raw: RawEvents) -> str | None:
    """Say in Kineto's words what another writer recorded; who that is, None where Kineto's own."""
    for writer in WRITERS:
        if writer.recognises(raw):
            writer.translate(raw)
            return writer.name
    return None


# XLA (JAX, TensorFlow): no categories; processes "/device:GPU:0" and "/host:CPU", threads of a
# device "Stream #14(Compute)" or lines derived from those; pairs by ``args.correlation_id``, text.
_XLA_PROCESS = re.compile(r"/(?:device:GPU:(?P<device>\d+)|host:CPU)$")
_XLA_STREAM = re.compile(r"Stream #(?P<stream>\d+)")
_XLA_PYTHON = r"^\$"
"""Frames of its Python tracer."""
_XLA_CALL = r"^(?:cu|cuda|hip)[A-Z]|::Await$"
"""API calls without device work have the API's name, others that of what they launched; a wait of
the host for a buffer is the one call of its own that it records."""
_XLA_COPY, _XLA_FILL = r"^Memcpy(?:[HDP]2[HDP]|Other)$", r"^Memset$"
_CATEGORIES = (
    "cpu_op", "python_function", "cuda_driver", "kernel", "gpu_memcpy", "gpu_memset",
    "gpu_user_annotation",
)  # fmt: skip
_OP, _PYTHON, _CALL, _KERNEL, _COPY, _FILL, _DERIVED = range(len(_CATEGORIES))


def _is_xla(raw: RawEvents) -> bool:
    if not any(_XLA_PROCESS.search(name) for name in raw.processes.values()):
        return False
    return not (_written(raw) >= 0).any()


def _written(raw: RawEvents) -> Codes:
    """Codes of the categories in the file, but for those of the tracks that skiptrace adds."""
    none = np.full(len(raw.ids), -1, np.int32)
    cat = raw.codes.get("cat", none)
    own = np.append((raw.texts == OWN).to_numpy(), False)
    return np.where(own[cat], none, cat)


def _translate_xla(raw: RawEvents) -> None:
    pid, tid = raw.numbers["pid"], raw.numbers["tid"]
    found = {process: _XLA_PROCESS.search(name) for process, name in raw.processes.items()}
    host = [p for p, match in found.items() if match and match["device"] is None]
    devices = {p: int(match["device"]) for p, match in found.items() if match and match["device"]}

    _put_correlation(raw)
    cat = np.full(len(raw.ids), -1, np.int64)
    on_host = np.isin(pid, [p for p in host if isinstance(p, int)])
    cat[on_host] = _host_categories(raw, np.flatnonzero(on_host))
    device = np.full(len(raw.ids), -1, np.int64)
    stream = device.copy()
    for process, index in devices.items():
        device[pid == process] = index
    cat[device >= 0] = _DERIVED
    for (process, thread), name in raw.threads.items():
        if process in devices and (match := _XLA_STREAM.match(name)):
            rows = np.flatnonzero((pid == process) & (tid == thread))
            stream[rows] = int(match["stream"])
            cat[rows] = _work_categories(raw, rows)
    for column, values in (("device", device), ("stream", stream)):
        raw.numbers[column], raw.null[column] = values, values < 0
    written = raw.codes.get("cat", np.full(len(raw.ids), -1, np.int32))
    raw.codes["cat"] = np.where(cat >= 0, cat + len(raw.texts), written).astype(np.int32)
    raw.texts = raw.texts.append(pl.Series(_CATEGORIES))


def _put_correlation(raw: RawEvents) -> None:
    written = raw.frame(["correlation_id"])["correlation_id"]
    correlation = written.cast(pl.Int64, strict=False)
    raw.numbers["correlation"] = correlation.fill_null(0).to_numpy()
    raw.null["correlation"] = correlation.is_null().to_numpy()


def _host_categories(raw: RawEvents, rows: Ints) -> Ints:
    named_call, python = _named(raw, rows, _XLA_CALL), _named(raw, rows, _XLA_PYTHON)
    call = named_call | ~raw.null["correlation"][rows]
    return np.where(call, _CALL, np.where(python, _PYTHON, _OP))


def _work_categories(raw: RawEvents, rows: Ints) -> Ints:
    copy, fill = _named(raw, rows, _XLA_COPY), _named(raw, rows, _XLA_FILL)
    return np.where(copy, _COPY, np.where(fill, _FILL, _KERNEL))


def _named(raw: RawEvents, rows: Ints, pattern: str) -> Bools:
    """Which rows have a name that fits; looks at each different text once."""
    fits = raw.texts.str.contains(pattern).to_numpy()
    codes = raw.codes.get("name", np.full(len(raw.ids), -1, np.int32))
    named: Bools = np.append(fits, False)[codes[rows]]
    return named


WRITERS = (Writer("XLA", _is_xla, _translate_xla),)
"""Those that are known beside Kineto, in the order in which they are tried."""
