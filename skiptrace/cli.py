"""The command `skiptrace`: answers about traces, for people or, with `--json`, for machines."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skiptrace.errors import (
    MissingDependencyError,
    SkiptraceError,
    SweepError,
    TraceWarning,
    UnknownKeyError,
)
from skiptrace.measure.diff import diff
from skiptrace.measure.fusion import fusion
from skiptrace.measure.ranks import load_ranks
from skiptrace.model.load import load
from skiptrace.model.trace import Trace
from skiptrace.predict.compare_sweeps import compare_sweeps
from skiptrace.predict.sweep import Sweep, sweep
from skiptrace.predict.wanted import PIECES
from skiptrace.predict.whatif import WhatIf, whatif
from skiptrace.read.source import Progress
from skiptrace.show import results, several
from skiptrace.show.annotate import annotate
from skiptrace.show.listing import LISTINGS, listing_dict, print_listing
from skiptrace.show.report import build_report

if TYPE_CHECKING:
    from rich.console import Console

LARGE = 20_000_000
"""Files of this many bytes get a progress bar."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 where the trace or the call is at fault."""
    arguments = _parser().parse_args(_trace_apart(sys.argv[1:] if argv is None else argv))
    told = warnings.showwarning
    try:
        warnings.showwarning = _warn
        arguments.run(arguments)
        sys.stdout.flush()
    except SkiptraceError as error:
        print(f"skiptrace: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        warnings.showwarning = told
    return 0


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """A warning in a line, without the place in the code that it points to."""
    print(f"skiptrace: {' '.join(str(message).split())}", file=sys.stderr)


def _trace_apart(argv: Sequence[str]) -> list[str]:
    """Give options of `whatif` that take names, if any, their names alone, and not the trace."""
    given, out, moved = list(argv), [], []
    names = False
    for word, after in zip(given, [*given[1:], ""], strict=False):
        names = word == "--remove-syncs" or (names and not word.startswith("-"))
        if word == "--cuda-graph" and after not in PIECES:
            out.append("--cuda-graph=step")
        elif names and os.path.exists(word):  # noqa: PTH110  no operator has the name of a file
            moved.append(word)
        else:
            out.append(word)
    return out[:1] + moved + out[1:]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skiptrace",
        description="Is a GPU workload held back by its host or by its device? From its traces.",
    )
    parser.add_argument("--version", action="version", version=version("skiptrace"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], what: str) -> Any:  # noqa: ANN401  argparse's own
        added = commands.add_parser(name, help=what, description=what)
        added.add_argument("--json", action="store_true", help="the same, machine-readable")
        added.set_defaults(run=run)
        return added

    report = command("report", _report, "verdict, idle time and its causes, launch cost")
    chains = command("fusion", _fusion, "chains of kernels that always follow each other")
    what = command("whatif", _whatif, "what a change would bring, from a replay")
    listings = []
    for name, listing in LISTINGS.items():
        one = command(name, _listing, listing.what)
        one.set_defaults(listing=name)
        one.add_argument("--top", metavar="N", type=int, help="rows at most (20 in a table)")
        if listing.keys:
            keys = ", ".join(listing.keys)
            one.add_argument(
                "--by", metavar="KEYS", default=listing.keys[0], help=f"one or several of {keys}"
            )
        listings.append(one)
    marked = command("annotate", _annotate, "the trace with tracks for Perfetto")
    for one in (report, chains, what, marked, *listings):
        one.add_argument("trace", metavar="TRACE", help="a .json, .json.gz or .json.zst trace")
        one.add_argument("--step", metavar="K", help="one step alone: its number or its name")
        one.add_argument(
            "--steps", metavar="PATTERN", help="what a step is, such as 'execute_*' (an annotation)"
        )
        one.add_argument(
            "--without", metavar="CATEGORY", action="append", default=[],
            help="a category to leave out, such as python_function; may be repeated",
        )  # fmt: skip
        one.add_argument(
            "--window", metavar=("START", "END"), nargs=2, type=int, help="load these ns alone"
        )
        one.add_argument(
            "--strict", action="store_true", help="an error at the first fault, not a repair"
        )
    marked.add_argument("out", metavar="OUT", help="the file to write: .json, .json.gz, .json.zst")
    report.add_argument("--floor", metavar="NS", type=int, help="launch floor in nanoseconds")
    chains.add_argument(
        "--across-sync", action="store_true", help="chains may cross calls that wait"
    )
    what.add_argument(
        "--cuda-graph", nargs="?", choices=PIECES, default=False,
        help="each step as one graph, or each operator or module",
    )  # fmt: skip
    what.add_argument("--fuse", metavar="LENGTH", type=int, help="fuse all chains of that length")
    what.add_argument(
        "--remove-syncs",
        nargs="*",
        metavar="OP",
        help="no waits inside steps, or those in operators",
    )
    what.add_argument("--host", metavar="X", type=float, default=1.0, help="host time times X")
    what.add_argument("--launch-floor", metavar="NS", type=int, help="another launch floor")
    what.add_argument("--device", metavar="X", type=float, default=1.0, help="device time times X")
    what.add_argument(
        "--kernels",
        metavar="PATTERN=X",
        action="append",
        default=[],
        help="those kernels' time times X",
    )
    what.add_argument(
        "--gpu",
        metavar="NAME=X",
        action="append",
        default=[],
        help="another GPU with X times the peak 'flops' or 'bandwidth', where shapes are recorded",
    )
    what.add_argument(
        "--unprofiled", action="store_true", help="without what the profiler itself adds"
    )
    curve = command("sweep", _sweep, "figures over batch size, say, and where they turn")
    curve.add_argument("pattern", metavar="PATTERN", help="'runs/gpt2_b{batch}_s512.json.gz'")
    curve.add_argument("--by", metavar="NAME", help="name of the parameter")
    ranked = command("ranks", _ranks, "ranks together: clocks, collectives, who makes whom wait")
    ranked.add_argument(
        "traces", metavar="TRACE", nargs="+", help="a folder of traces, or a trace of each rank"
    )
    two = command("diff", _diff, "what changed from one trace to another")
    two.add_argument("before", metavar="BEFORE", help="a trace")
    two.add_argument("after", metavar="AFTER", help="another")
    two.add_argument("--steps", metavar="PATTERN", help="what a step is, as for report")
    pair = command("compare", _compare, "the same sweep on several platforms")
    pair.add_argument(
        "sweeps", metavar="NAME=PATTERN", nargs="+", help="H100='h100/gpt2_b{batch}.json.gz'"
    )
    return parser


def _report(arguments: argparse.Namespace) -> None:
    report = build_report(_load(arguments), floor=arguments.floor)
    if arguments.json:
        return _json(report.to_dict())
    console = _console()
    from skiptrace.show.terminal import print_report

    return print_report(report, console)


def _listing(arguments: argparse.Namespace) -> None:
    name, top = arguments.listing, arguments.top
    if top is not None and top < 0:
        raise UnknownKeyError.of("top", top, ["0 or more"])
    options = {}
    if LISTINGS[name].keys:
        keys = arguments.by.split(",")
        options["by"] = keys[0] if len(keys) == 1 else keys
    frame = LISTINGS[name].run(_load(arguments), **options)
    if arguments.json:
        return _json(listing_dict(name, frame if top is None else frame.head(top)))
    return print_listing(name, frame, 20 if top is None else top, _console())


def _fusion(arguments: argparse.Namespace) -> None:
    found = fusion(_load(arguments), across_sync=arguments.across_sync)
    if arguments.json:
        return _json(results.fusion_dict(found))
    return results.print_fusion(found, _console())


def _whatif(arguments: argparse.Namespace) -> None:
    trace = _load(arguments)
    with warnings.catch_warnings():  # that nothing applies is among the assumptions
        warnings.filterwarnings("ignore", "nothing changes", TraceWarning)
        found = _predicted(trace, arguments)
    if arguments.json:
        return _json(results.whatif_dict(found))
    return results.print_whatif(found, _console())


def _predicted(trace: Trace, arguments: argparse.Namespace) -> WhatIf:
    removed = arguments.remove_syncs
    return whatif(
        trace,
        cuda_graph=arguments.cuda_graph,
        fuse=arguments.fuse,
        remove_syncs=removed or removed is not None,
        host=arguments.host,
        launch_floor_ns=arguments.launch_floor,
        device=arguments.device,
        kernels=dict(_factor(entry, "kernels") for entry in arguments.kernels),
        gpu=dict(_factor(entry, "gpu") for entry in arguments.gpu),
        unprofiled=arguments.unprofiled,
    )


def _factor(entry: str, option: str) -> tuple[str, float]:
    pattern, _, factor = entry.rpartition("=")
    try:
        number = float(factor)
    except ValueError as error:
        raise UnknownKeyError.of(option, entry, ["PATTERN=FACTOR"]) from error
    if not pattern:
        raise UnknownKeyError.of(option, entry, ["PATTERN=FACTOR"])
    return pattern, number


def _sweep(arguments: argparse.Namespace) -> None:
    found = _swept(arguments.pattern, arguments.by)
    if arguments.json:
        return _json(results.sweep_dict(found))
    return results.print_sweep(found, _console())


def _compare(arguments: argparse.Namespace) -> None:
    named = [entry.partition("=") for entry in arguments.sweeps]
    for entry, (name, _, pattern) in zip(arguments.sweeps, named, strict=True):
        if not name or not pattern:
            raise UnknownKeyError.of("sweep", entry, ["NAME=PATTERN"])
    names = [name for name, _, _ in named]
    if len(set(names)) < len(names):
        raise SweepError.repeated_name(names)
    found = compare_sweeps({name: _swept(pattern) for name, _, pattern in named})
    if arguments.json:
        return _json(results.comparison_dict(found))
    return results.print_comparison(found, _console())


def _ranks(arguments: argparse.Namespace) -> None:
    given = arguments.traces
    ranks = load_ranks(given[0] if len(given) == 1 and Path(given[0]).is_dir() else given)
    if arguments.json:
        return _json(several.ranks_dict(ranks))
    return several.print_ranks(ranks, _console())


def _diff(arguments: argparse.Namespace) -> None:
    before, after = (load(p, steps=arguments.steps) for p in (arguments.before, arguments.after))
    found = diff(before, after)
    if arguments.json:
        return _json(several.diff_dict(found))
    return several.print_diff(found, _console())


def _annotate(arguments: argparse.Namespace) -> None:
    written = str(annotate(_load(arguments), arguments.out))
    if arguments.json:
        return _json({"schema": "skiptrace.annotate/1", "path": written})
    print(written)
    return None


def _load(arguments: argparse.Namespace) -> Trace:
    path = Path(arguments.trace)
    large = path.is_file() and path.stat().st_size >= LARGE
    with _bar(shown=large) as update:
        trace = load(
            arguments.trace,
            steps=arguments.steps,
            without=arguments.without,
            window=tuple(arguments.window) if arguments.window else None,
            repair=not arguments.strict,
            progress=update,
        )
    key = arguments.step
    if key is None:
        return trace
    return trace.step(key)


def _swept(pattern: str, name: str | None = None) -> Sweep:
    with _bar(shown=True) as update:

        def progress(done: int, of: int) -> None:
            if update:
                update(f"{done} of {of} traces", done / of)

        return sweep(pattern, name=name, progress=progress)


def _json(value: dict[str, Any]) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def _console() -> Console:
    try:
        from rich.console import Console
    except ImportError as error:
        raise MissingDependencyError.needs("printing tables", "rich", "cli") from error
    # Into a file or pipe there is no width to fit, unless one is asked for.
    fits = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if fits else 120, highlight=False)


@contextmanager
def _bar(*, shown: bool) -> Iterator[Progress | None]:
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
