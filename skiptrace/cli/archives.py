"""The commands on archives: scan."""

from __future__ import annotations

import argparse
import time

from skiptrace.archive.open_archive import open_archive
from skiptrace.archive.scan import Scan, scan
from skiptrace.cli.command import Commands, add_load_options, bar, load_options, write_json

_SHOWN = 12
"""Failures that are printed; all of them are in the archive, and in the JSON."""


def add_to(commands: Commands) -> None:
    """Declare the commands of this file."""
    many = commands.add("scan", _scan, "measures of many traces, as tables in a folder")
    many.add_argument("sources", metavar="SOURCE", nargs="+", help="paths, globs, folders, URLs")
    many.add_argument("--out", metavar="DIR", required=True, help="folder or URL of the archive")
    many.add_argument(
        "--measures", metavar="NAMES", default="summary", help="verbs: summary,tklqt,idle_causes"
    )
    many.add_argument("--labels", metavar="PATTERN", help="'{model}_b{batch}_*.json.gz'")
    many.add_argument("--workers", metavar="N", type=int, help="processes, one a core without it")
    many.add_argument("--timeout", metavar="S", type=float, help="seconds that a trace may take")
    many.add_argument("--max-bytes", metavar="N", type=int, help="larger files are not read")
    many.add_argument("--retry", action="store_true", help="try again what failed before")
    add_load_options(many)


def _scan(arguments: argparse.Namespace) -> int:
    # What is as without the option is left out, so that archives of before are continued.
    load = {k: v for k, v in load_options(arguments).items() if v not in (None, [], True)}
    began = time.monotonic()
    with bar(shown=True) as update:

        def progress(done: int, of: int) -> None:
            if update:
                rate = done / max(time.monotonic() - began, 1e-9)
                update(f"{done:,} of {of:,} traces, {rate:.3g} a second", done / of)

        found = scan(
            arguments.sources,
            arguments.measures.split(","),
            out=arguments.out,
            labels=arguments.labels,
            executor=arguments.workers,
            timeout=arguments.timeout,
            max_bytes=arguments.max_bytes,
            retry=arguments.retry,
            load=load,
            progress=progress,
        )
    if arguments.json:
        write_json(_as_dict(found))
    else:
        _print(found, arguments.labels)
    return int(bool(found.failed or found.unwritten))


def _as_dict(found: Scan) -> dict[str, object]:
    return {
        "schema": "skiptrace.scan/1",
        "out": found.out,
        "traces": found.traces,
        "measured": found.measured,
        "kept": found.kept,
        "failed": found.failed,
        "unwritten": [list(one) for one in found.unwritten],
        "doubtful": [list(one) for one in found.doubtful],
        "unlabeled": list(found.unlabeled),
        "failures": open_archive(found.out).failures.collect().to_dicts() if found.failed else [],
    }


def _print(found: Scan, labels: str | None) -> None:
    counts = f"{found.measured:,} measured, {found.kept:,} kept, {found.failed:,} failed"
    print(f"{found.traces:,} traces: {counts}. Archive: {found.out}")
    lines = [f"{source}: not written: {reason}" for source, reason in found.unwritten]
    if found.failed:
        rows = open_archive(found.out).failures.collect()
        for source, measure, message in rows.select("source", "measure", "message").rows():
            text = message.removeprefix(f"{source}: ")
            lines.append(f"{source}: {f'{measure}: ' if measure else ''}{text}")
    if found.unlabeled:
        alone = len(found.unlabeled) == found.measured + found.kept
        what = "no path fits" if alone else f"{len(found.unlabeled):,} paths do not fit"
        print(f"  {what} the labels {labels!r}: {found.unlabeled[0]} has no columns of them")
    lines += [f"{source}: measured, but {grade}" for source, grade in found.doubtful]
    for line in lines[:_SHOWN]:
        print(f"  {line}")
    if len(lines) > _SHOWN:
        print(f"  ... and {len(lines) - _SHOWN:,} more (see the archive)")
