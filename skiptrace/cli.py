"""The command `skiptrace`: a report on a trace, for people or, with `--json`, for machines."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from skiptrace.errors import MissingDependencyError, SkiptraceError
from skiptrace.model.load import load
from skiptrace.read.source import Progress
from skiptrace.show.report import build_report

LARGE = 20_000_000
"""Files of this many bytes get a progress bar."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 where the trace or the call is at fault."""
    arguments = _parser().parse_args(argv)
    try:
        return _report(arguments)
    except SkiptraceError as error:
        print(f"skiptrace: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skiptrace",
        description="Is a GPU workload held back by its host or by its device? From a trace.",
    )
    parser.add_argument("--version", action="version", version=version("skiptrace"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    report = commands.add_parser("report", help="verdict, idle time and its causes, launch cost")
    report.add_argument("trace", metavar="TRACE", help="a .json, .json.gz or .json.zst trace")
    report.add_argument("--step", metavar="K", help="one step alone: its number or its name")
    report.add_argument(
        "--steps", metavar="PATTERN", help="what a step is, such as 'execute_*' (an annotation)"
    )
    report.add_argument("--floor", metavar="NS", type=int, help="launch floor in nanoseconds")
    report.add_argument("--json", action="store_true", help="the same, machine-readable")
    return parser


def _report(arguments: argparse.Namespace) -> int:
    with _progress(Path(arguments.trace)) as progress:
        trace = load(arguments.trace, steps=arguments.steps, progress=progress)
        if arguments.step is not None:
            key = arguments.step
            trace = trace.step(int(key) if key.lstrip("-").isdecimal() else key)
        report = build_report(trace, floor=arguments.floor)
    if arguments.json:
        import orjson

        sys.stdout.write(orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    try:
        from rich.console import Console

        from skiptrace.show.terminal import print_report
    except ImportError as error:
        raise MissingDependencyError.needs("printing tables", "rich", "cli") from error
    # Into a file or pipe there is no width to fit: wide enough for every table.
    print_report(report, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    return 0


@contextmanager
def _progress(path: Path) -> Iterator[Progress | None]:
    """A bar on stderr for large files, where someone watches and rich is installed."""
    try:
        from rich import progress as rich
    except ImportError:
        yield None
        return
    if not sys.stderr.isatty() or not path.is_file() or path.stat().st_size < LARGE:
        yield None
        return
    from rich.console import Console

    with rich.Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("load", total=1.0)
        yield lambda stage, share: bars.update(task, description=stage, completed=share)
