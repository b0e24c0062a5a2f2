"""The commands on one trace: report, fusion, whatif, check, annotate and the listings."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from skiptrace.cli.command import Commands, console, loaded, write_json
from skiptrace.errors import TraceWarning, UnknownKeyError
from skiptrace.measure.fusion import fusion
from skiptrace.model.trace import Trace
from skiptrace.predict.wanted import PIECES
from skiptrace.predict.whatif import WhatIf, whatif
from skiptrace.show import results
from skiptrace.show.annotate import annotate
from skiptrace.show.check import LIMITS, check, check_dict, check_limits, check_line
from skiptrace.show.listing import LISTINGS, listing_dict, print_listing
from skiptrace.show.page.report import report as write_page
from skiptrace.show.report import build_report
from skiptrace.show.to_dict import to_dict


def add_to(commands: Commands) -> None:
    """Declare the commands of this file."""
    add = commands.add_for_trace
    report = add("report", _report, "verdict, idle time and its causes, launch cost", nargs="+")
    report.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="an HTML file to write; several TRACEs are compared",
    )
    report.add_argument("--floor", metavar="NS", type=int, help="launch floor in nanoseconds")
    chains = add("fusion", _fusion, "chains of kernels that always follow each other")
    chains.add_argument(
        "--across-sync", action="store_true", help="chains may cross calls that wait"
    )
    _add_whatif(commands)
    for name, listing in LISTINGS.items():
        one = add(name, _listing, listing.what)
        one.set_defaults(listing=name)
        one.add_argument("--top", metavar="N", type=int, help="rows at most (20 in a table)")
        if listing.keys:
            keys = ", ".join(listing.keys)
            one.add_argument(
                "--by", metavar="KEYS", default=listing.keys[0], help=f"one or several of {keys}"
            )
    _add_check(commands)
    marked = add("annotate", _annotate, "the trace with tracks for Perfetto")
    marked.add_argument("out", metavar="OUT", help="the file to write: .json, .json.gz, .json.zst")


def _add_whatif(commands: Commands) -> None:
    what = commands.add_for_trace("whatif", _whatif, "what a change would bring, from a replay")
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


def _add_check(commands: Commands) -> None:
    held = commands.add_for_trace(
        "check", _check, "hold traces to limits: exits 1 if one breaks any", nargs="+"
    )
    for name, limit in LIMITS.items():
        option = f"--{name.replace('_', '-')}"
        if limit.choices:
            held.add_argument(option, choices=limit.choices, help=limit.what)
        else:
            unit = f" ({limit.unit})" if limit.unit else ""
            held.add_argument(option, metavar="X", type=float, help=f"{limit.what}, at most{unit}")


def _check(arguments: argparse.Namespace) -> int:
    given = {name: getattr(arguments, name) for name in LIMITS}
    limits = {name: bound for name, bound in given.items() if bound is not None}
    check_limits(limits)
    found = {}
    for source in arguments.trace:
        found[source] = check(loaded(arguments, source), limits)
        if not arguments.json:
            print(check_line(source, found[source]))
    if arguments.json:
        write_json(check_dict(found))
    return 0 if all(one.held for held in found.values() for one in held) else 1


def _report(arguments: argparse.Namespace) -> None:
    sources = arguments.trace
    if arguments.output is not None:
        return _page(arguments, sources)
    if len(sources) > 1:
        raise UnknownKeyError.without_output(len(sources))
    report = build_report(loaded(arguments, sources[0]), floor=arguments.floor)
    if arguments.json:
        return write_json(report.to_dict())
    where = console()
    from skiptrace.show.terminal import print_report

    return print_report(report, where)


def _page(arguments: argparse.Namespace, sources: Sequence[str]) -> None:
    traces = {name: loaded(arguments, path) for name, path in _named(sources).items()}
    written = str(write_page(traces, arguments.output, floor=arguments.floor))
    if arguments.json:
        return write_json({"schema": "skiptrace.page/1", "path": written})
    print(written)
    return None


def _named(sources: Sequence[str]) -> dict[str, str]:
    """Each trace by its file's name, or by its path where two have one name."""
    names = [Path(source).name.partition(".json")[0] for source in sources]
    given = sources if len(set(names)) < len(names) else names
    return dict(zip(given, sources, strict=True))


def _listing(arguments: argparse.Namespace) -> None:
    name, top = arguments.listing, arguments.top
    if top is not None and top < 0:
        raise UnknownKeyError.of("top", top, ["0 or more"])
    options = {}
    if LISTINGS[name].keys:
        keys = arguments.by.split(",")
        options["by"] = keys[0] if len(keys) == 1 else keys
    frame = LISTINGS[name].run(loaded(arguments), **options)
    if arguments.json:
        return write_json(listing_dict(name, frame if top is None else frame.head(top)))
    return print_listing(name, frame, 20 if top is None else top, console())


def _fusion(arguments: argparse.Namespace) -> None:
    found = fusion(loaded(arguments), across_sync=arguments.across_sync)
    if arguments.json:
        return write_json(to_dict(found))
    return results.print_fusion(found, console())


def _whatif(arguments: argparse.Namespace) -> None:
    trace = loaded(arguments)
    with warnings.catch_warnings():  # that nothing applies is among the assumptions
        warnings.filterwarnings("ignore", "nothing changes", TraceWarning)
        found = _predicted(trace, arguments)
    if arguments.json:
        return write_json(to_dict(found))
    return results.print_whatif(found, console())


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


def _annotate(arguments: argparse.Namespace) -> None:
    written = str(annotate(loaded(arguments), arguments.out))
    if arguments.json:
        return write_json({"schema": "skiptrace.annotate/1", "path": written})
    print(written)
    return None


def trace_apart(argv: Sequence[str]) -> list[str]:
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
