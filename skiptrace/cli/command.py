"""What the commands share: how one is declared, how a trace is loaded, where answers go."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from skiptrace.errors import MissingDependencyError
from skiptrace.model.load import load
from skiptrace.model.trace import Trace
from skiptrace.read.source import Progress

if TYPE_CHECKING:
    from rich.console import Console

LARGE = 20_000_000
"""Files of this many bytes get a progress bar."""

Run = Callable[[argparse.Namespace], int | None]
"""Carries a command out; returns its exit code where that is not 0."""


class Commands:
    """The commands of a parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._added = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(self, name: str, run: Run, what: str) -> argparse.ArgumentParser:
        """Add a command that `run` carries out; every one takes `--json`."""
        added: argparse.ArgumentParser = self._added.add_parser(name, help=what, description=what)
        added.add_argument("--json", action="store_true", help="the same, machine-readable")
        added.set_defaults(run=run)
        return added

    def add_for_trace(
        self, name: str, run: Run, what: str, *, nargs: str | None = None
    ) -> argparse.ArgumentParser:
        """Add a command on a trace, with the options that say what of it to load."""
        added = self.add(name, run, what)
        added.add_argument(
            "trace", metavar="TRACE", nargs=nargs, help="a .json, .json.gz or .json.zst trace"
        )
        added.add_argument("--step", metavar="K", help="one step alone: its number or its name")
        add_load_options(added)
        return added


def add_load_options(added: argparse.ArgumentParser) -> None:
    """Add the options that say what of a trace to load."""
    added.add_argument(
        "--steps", metavar="PATTERN", help="what a step is, such as 'execute_*' (an annotation)"
    )
    added.add_argument(
        "--without", metavar="CATEGORY", action="append", default=[],
        help="a category to leave out, such as python_function; may be repeated",
    )  # fmt: skip
    added.add_argument(
        "--window", metavar=("START", "END"), nargs=2, type=int, help="load these ns alone"
    )
    added.add_argument(
        "--strict", action="store_true", help="an error at the first fault, not a repair"
    )


class LoadOptions(TypedDict):
    """What `load` and `load_ranks` are told beside the source."""

    steps: str | None
    without: list[str]
    window: tuple[int, int] | None
    repair: bool


def load_options(arguments: argparse.Namespace) -> LoadOptions:
    """What the options of `add_load_options` say."""
    return {
        "steps": arguments.steps,
        "without": arguments.without,
        "window": tuple(arguments.window) if arguments.window else None,
        "repair": not arguments.strict,
    }


def loaded(arguments: argparse.Namespace, source: str | None = None) -> Trace:
    """Load the trace that the arguments name (or `source`), and the step that they ask for."""
    path = Path(source or arguments.trace)
    large = path.is_file() and path.stat().st_size >= LARGE
    with bar(shown=large) as update:
        trace = load(str(path), **load_options(arguments), progress=update)
    key = arguments.step
    if key is None:
        return trace
    return trace.step(key)


def write_json(value: dict[str, Any]) -> None:
    """Write JSON to stdout."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def console() -> Console:
    """Where tables go: as wide as the terminal."""
    try:
        from rich.console import Console
    except ImportError as error:
        raise MissingDependencyError.needs("printing tables", "rich", "cli") from error
    # Into a file or pipe there is no width to fit, unless one is asked for.
    fits = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if fits else 120, highlight=False)


@contextmanager
def bar(*, shown: bool) -> Iterator[Progress | None]:
    """A bar on stderr, where someone watches and rich is installed."""
    try:
        from rich import progress as rich
        from rich.console import Console
    except ImportError:
        shown = False
    if not shown or not sys.stderr.isatty():
        yield None
        return
    with rich.Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("load", total=1.0)
        yield lambda stage, share: bars.update(task, description=stage, completed=share)
