"""Columns of archives: what every table has, the tables of traces and failures, regressions."""

from __future__ import annotations

from skiptrace.model.schema.column import FLOAT, INT, STR, Column

_SOURCE = (
    Column("source", STR, "", "path or URL of the trace, as the scan was given it"),
    Column("content_hash", STR, "", "SHA-256 of its bytes; null where they could not be read"),
)
COMMON = (
    *_SOURCE,
    Column("rank", INT, "", "rank, from the header or the file's name; else null"),
    Column("host", STR, "", "name of the machine it was recorded on, where its header has it"),
    Column("gpu", STR, "", "names of the devices that worked, where the file has them"),
)
TRACES = (
    *COMMON,
    Column("size", INT, "B", "bytes of the source as it lies there"),
    Column("events", INT, "", "events in the file; null where it could not be loaded"),
    Column("grade", STR, "", "health in a line; null where it could not be loaded"),
    Column("failures", INT, "", "rows that it has in the table of failures"),
)
FAILURES = (
    *COMMON,
    Column("measure", STR, "", "the measure that failed; null where the trace could not be had"),
    Column("error", STR, "", "kind of error"),
    Column("message", STR, "", "what was wrong, and what to do about it"),
)
REGRESSIONS = (
    Column("source", STR, "", "the run that is compared"),
    Column("figure", STR, "", "figure of its median step: il_ns, busy_ns ..."),
    Column("change", STR, "", "slower, faster, same, or unknown without a baseline"),
    Column(
        "baseline_ns", INT, "ns", "mean over the runs of the baseline that have the same labels"
    ),
    Column("value_ns", INT, "ns", "the run's own"),
    Column("change_ns", INT, "ns", "value - baseline"),
    Column("noise_ns", INT, "ns", "changes up to this are noise"),
    Column("ratio", FLOAT, "", "value / baseline"),
    Column("repeats", INT, "", "runs of the baseline that this rests on"),
    Column("nearest", STR, "", "the run of the baseline whose latency is closest to their mean"),
)

FRAMES = {
    "archive_tables": COMMON, "archive_traces": TRACES, "archive_failures": FAILURES,
    "regressions": REGRESSIONS,
}  # fmt: skip
"""Frame -> its columns; labels stand behind ``gpu``, and in regressions first."""
