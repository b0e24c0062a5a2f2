"""`report`: what a trace shows, or several, as one HTML file that needs no network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from skiptrace.errors import NoTraceError, SaveError
from skiptrace.measure.ranks import Ranks
from skiptrace.model.launches import Floor
from skiptrace.model.trace import Trace
from skiptrace.read.source import Source
from skiptrace.show.page.one import one_page
from skiptrace.show.page.several import several_page
from skiptrace.show.text import printable
from skiptrace.show.whole_file import written_whole


def report(
    trace: Trace | Ranks | Mapping[str, Trace],
    path: str | os.PathLike[str],
    *,
    floor: Floor | None = None,
) -> Path:
    """Write a report as one HTML file: verdict, advice, plots, tables, health and definitions.

    Parameters
    ----------
    trace
        A trace or a window of one; ranks of a run; or a mapping from names to traces, of which the
        first is compared with each of the others, if they are not ranks of a run.
    path
        The file to write, such as ``"report.html"``.
    floor
        As in `tklqt`.

    Returns
    -------
    pathlib.Path
        The path; the file is complete when the call returns, and as it was if it raises.

    Raises
    ------
    NoTraceError
        It is no trace, no set of ranks and no mapping from names to traces.
    SaveError
        The path is that of a trace itself, or cannot be written.

    Warns
    -----
    TraceWarning
        As `ops` and `whatif`; of ranks as `stragglers`.

    Notes
    -----
    Plots need the packages of the extra ``plot``; without them the report says so and has all else.
    """
    target = Path(path)
    traces = {"": trace} if isinstance(trace, Trace) else _checked(trace)
    for one in traces.values():
        _keep_source(one, target)
    many = len(traces) > 1
    page = several_page(traces, floor) if many else one_page(next(iter(traces.values())), floor)
    with written_whole(target) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")
    return target


def _checked(given: object) -> dict[str, Trace]:
    if isinstance(given, Ranks):
        return {f"rank {rank}": one for rank, one in given.traces.items()}
    if not isinstance(given, Mapping) or not given:
        raise NoTraceError.of("report", given)
    for one in given.values():
        if not isinstance(one, Trace):
            raise NoTraceError.of("report", one)
    return {printable(str(name)): one for name, one in given.items()}


def _keep_source(trace: Trace, target: Path) -> None:
    source = trace.whole.source
    if isinstance(source, Source) and source.lies_at(target):
        raise SaveError.own_source(str(target))
