"""A hook for PyTorch's profiler: each trace kept in a folder, loaded, and given to a function.

PyTorch itself is not imported: `on_trace_ready` works with whatever exports a trace as it does.
"""

from __future__ import annotations

import os
import sys
import traceback
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from skiptrace.errors import SaveError, TraceWarning
from skiptrace.model.load import load
from skiptrace.model.trace import Trace


class Profile(Protocol):
    """What is needed of a `torch.profiler.profile`."""

    @property
    def step_num(self) -> int:
        """How many steps have been recorded or passed over."""
        ...

    def export_chrome_trace(self, path: str) -> Any:  # noqa: ANN401  nothing, or whatever
        """Write the recording to a file, packed where the name ends in ``.gz``."""
        ...


def on_trace_ready(
    folder: str | os.PathLike[str],
    then: Callable[[Trace], object] | None = None,
    *,
    rank: int | None = None,
    strict: bool = False,
) -> Callable[[Profile], None]:
    """Make the ``on_trace_ready`` of a `torch.profiler.profile`.

    Each recording is written to ``rank<R>_step<N>.json.gz`` in the folder, loaded, and given to
    `then`. The file is there, whole, before anything is done with it, and stays whatever happens
    then.

    Parameters
    ----------
    folder
        Where files go; made if it does not exist. Ranks and workers may share it: a name that is
        taken is not written over, but gets a number behind it (``rank0_step12_2.json.gz``).
    then
        Called with the trace, on the thread of the training loop, which waits for it; None: the
        file is written, and not loaded.
    rank
        Number of this process; None: that of `torch.distributed` where it is in use, else the
        environment's ``RANK``, else 0.
    strict
        Raise what goes wrong. Otherwise a failure of writing, loading or `then` is a
        `TraceWarning` with its traceback, and training goes on.

    Returns
    -------
    callable
        A function of the profile.

    Raises
    ------
    SaveError
        The folder cannot be made. Raised at once, so that a run does not find out at its end.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError.cannot_write(str(target), error.strerror or str(error)) from error

    def ready(profile: Profile) -> None:
        kept: Path | None = None
        try:
            number = _rank() if rank is None else rank
            kept = _write(profile, target, f"rank{number}_step{profile.step_num}")
            if then is not None:
                then(load(kept))
        except Exception as error:
            if strict:
                raise
            where = f"{kept} is kept" if kept else f"no trace was written to {target}"
            told = "".join(traceback.format_exception(error)).rstrip()
            message = f"on_trace_ready failed, and {where}; training goes on.\n{told}"
            warnings.warn(message, TraceWarning, stacklevel=2)

    return ready


def _write(profile: Profile, folder: Path, name: str) -> Path:
    """Export under a name of its own first: what stands under the final one is whole."""
    partial = folder / f".{uuid.uuid4().hex}.json.gz"
    try:
        profile.export_chrome_trace(str(partial))
        path, number = folder / f"{name}.json.gz", 1
        while True:
            try:
                path.touch(exist_ok=False)  # whoever makes it owns the name
            except FileExistsError:
                number += 1
                path = folder / f"{name}_{number}.json.gz"
            else:
                return partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _rank() -> int:
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    given = os.environ.get("RANK", "")
    return int(given) if given.isdecimal() else 0
