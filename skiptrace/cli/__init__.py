"""The command `skiptrace`: answers about traces, for people or, with `--json`, for machines."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version

from skiptrace.cli import archives, one_trace, several_traces
from skiptrace.cli.command import Commands
from skiptrace.errors import SkiptraceError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code.

    0, or 1 where `check` finds a limit broken or `scan` a failure, or 2 where the trace or the call
    is at fault.
    """
    given, parser = sys.argv[1:] if argv is None else argv, _parser()
    if not given:
        parser.print_help(sys.stderr)
        return 2
    arguments = parser.parse_args(one_trace.trace_apart(given))
    told = warnings.showwarning
    try:
        warnings.showwarning = _warn
        code: int = arguments.run(arguments) or 0
        sys.stdout.flush()
    except SkiptraceError as error:
        print(f"skiptrace: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        warnings.showwarning = told
    return code


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning in a line, without the place in the code that it points to."""
    print(f"skiptrace: {' '.join(str(message).split())}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skiptrace",
        description="Is a GPU workload held back by its host or by its device? From its traces.",
    )
    parser.add_argument("--version", action="version", version=version("skiptrace"))
    commands = Commands(parser)
    one_trace.add_to(commands)
    several_traces.add_to(commands)
    archives.add_to(commands)
    return parser
