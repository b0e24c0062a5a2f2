"""Columns of the frames of a trace: what was recorded, and its links."""

from __future__ import annotations

import polars as pl

from skiptrace.model.schema.column import FLOAT, INT, STEP, STR, Column

HOST = (
    Column("id", INT, "", "index of the event in the file; unique over all frames"),
    Column("name", STR, "", "name as recorded"),
    Column("start_ns", INT, "ns", "start, on the file's own time axis"),
    Column("dur_ns", INT, "ns", "duration"),
    Column(
        "pid", INT, "", "process; a process with a name instead of a number gets a negative one"
    ),
    Column("tid", INT, "", "thread; a thread with a name instead of a number gets a negative one"),
)
OPS = (
    *HOST,
    Column("parent", INT, "id", "innermost operator that encloses its start, or null"),
    Column("depth", INT, "", "number of operators above it"),
    Column("root", INT, "id", "outermost operator above it; itself where none"),
    STEP,
)
CALLS = (
    *HOST,
    Column("correlation", INT, "", "the writer's id that joins calls and work, or null"),
    Column("op", INT, "id", "innermost operator that encloses its start, or null"),
    STEP,
)
WORK = (
    *HOST,
    Column("kind", STR, "", "kernel, memcpy or memset"),
    Column("device", INT, "", "device index"),
    Column("stream", INT, "", "stream id on that device"),
    Column("correlation", INT, "", "the writer's id that joins calls and work, or null"),
    Column("launch", INT, "id", "the call that launched it, or null: launched outside the window"),
    Column("bytes", INT, "bytes", "bytes that it copied or filled; null where not recorded"),
)
LAUNCHES = (
    *HOST,
    Column("call", INT, "id", "its call (the same as id)"),
    Column("op", INT, "id", "innermost operator that encloses its start, or null"),
    Column("root_op", INT, "id", "outermost operator that encloses its start, or null"),
    STEP,
    Column("first_work", INT, "id", "its first kernel by start, or first work where it has none"),
    Column("device", INT, "", "device of the first work"),
    Column("stream", INT, "", "stream of the first work"),
    Column("kind", STR, "", "graph where it has several works, else its work's kind"),
    Column("kernels", INT, "", "kernels it launched"),
    Column("works", INT, "", "works it launched"),
    Column("tklqt_ns", INT, "ns", "t_l: from the start of the call to the start of the first work"),
    Column("launch_ns", INT, "ns", "the part of t_l that launching took"),
    Column("queue_ns", INT, "ns", "the part of t_l spent behind earlier work of the stream"),
    Column(
        "ahead_ns",
        INT,
        "ns",
        "from its start to the end of earlier work of others on the "
        "stream (negative: ended before); null where there is none. queue_ns = "
        "clamp(ahead_ns - floor, 0, t_l)",
    ),
    Column(
        "found_idle",
        pl.Boolean,
        "",
        "whether its device had worked before, and all of that "
        "work had ended when the call began: the launches that floors are taken from",
    ),
)
STEPS = (
    *HOST[:4],
    Column("pid", INT, "", "process; null for windows given by the caller and for 'all'"),
)
HEALTH = (
    Column("kind", STR, "", "what was found"),
    Column("severity", STR, "", "info, warning or error"),
    Column("count", INT, "", "how often"),
    Column("share", FLOAT, "share", "of the events or works that could have it, or null"),
    Column("example", INT, "id", "the first event that shows it, or null"),
    Column("byte", INT, "", "where in the unpacked file the first fault is, or null"),
    Column("excerpt", STR, "", "what stands there, or null"),
    Column("meaning", STR, "", "what it means"),
    Column("affects", STR, "", "the figures that it touches"),
)

FRAMES = {
    "ops": OPS, "calls": CALLS, "work": WORK, "launches": LAUNCHES, "annotations": HOST,
    "python": HOST, "steps": STEPS, "health": HEALTH,
}  # fmt: skip
"""Frame of a trace -> its columns."""
