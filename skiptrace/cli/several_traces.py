"""The commands on several traces: sweep, compare, ranks and diff."""

from __future__ import annotations

import argparse
from pathlib import Path

from skiptrace.cli.command import (
    Commands,
    add_load_options,
    bar,
    console,
    load_options,
    write_json,
)
from skiptrace.errors import SweepError, UnknownKeyError
from skiptrace.measure.diff import diff
from skiptrace.measure.ranks import load_ranks
from skiptrace.model.load import load
from skiptrace.predict.compare_sweeps import compare_sweeps
from skiptrace.predict.sweep import Sweep, sweep
from skiptrace.show import results, several
from skiptrace.show.to_dict import to_dict


def add_to(commands: Commands) -> None:
    """Declare the commands of this file."""
    curve = commands.add("sweep", _sweep, "figures over batch size, say, and where they turn")
    curve.add_argument("pattern", metavar="PATTERN", help="'runs/gpt2_b{batch}_s512.json.gz'")
    curve.add_argument("--by", metavar="NAME", help="name of the parameter")
    ranked = commands.add(
        "ranks", _ranks, "ranks together: clocks, collectives, who makes whom wait"
    )
    ranked.add_argument(
        "traces", metavar="TRACE", nargs="+", help="a folder of traces, or a trace of each rank"
    )
    two = commands.add("diff", _diff, "what changed from one trace to another")
    two.add_argument("before", metavar="BEFORE", help="a trace")
    two.add_argument("after", metavar="AFTER", help="another")
    for added in (ranked, two):
        add_load_options(added)
    pair = commands.add("compare", _compare, "the same sweep on several platforms")
    pair.add_argument(
        "sweeps", metavar="NAME=PATTERN", nargs="+", help="H100='h100/gpt2_b{batch}.json.gz'"
    )


def _sweep(arguments: argparse.Namespace) -> None:
    found = _swept(arguments.pattern, arguments.by)
    if arguments.json:
        return write_json(to_dict(found))
    return results.print_sweep(found, console())


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
        return write_json(to_dict(found))
    return results.print_comparison(found, console())


def _ranks(arguments: argparse.Namespace) -> None:
    given = arguments.traces
    source = given[0] if len(given) == 1 and Path(given[0]).is_dir() else given
    ranks = load_ranks(source, **load_options(arguments))
    if arguments.json:
        return write_json(to_dict(ranks))
    return several.print_ranks(ranks, console())


def _diff(arguments: argparse.Namespace) -> None:
    paths, options = (arguments.before, arguments.after), load_options(arguments)
    found = diff(*(load(path, **options) for path in paths))
    if arguments.json:
        return write_json(to_dict(found))
    return several.print_diff(found, console())


def _swept(pattern: str, name: str | None = None) -> Sweep:
    with bar(shown=True) as update:

        def progress(done: int, of: int) -> None:
            if update:
                update(f"{done} of {of} traces", done / of)

        return sweep(pattern, name=name, progress=progress)
