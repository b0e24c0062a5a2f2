"""The frames of a trace are what the schema module declares, whatever the trace or window."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from helpers import fixture_paths

import skiptrace as sk
from skiptrace.model import schema

FRAMES = ("ops", "calls", "work", "launches", "annotations", "python", "steps", "health")


def assert_frames(trace: sk.Trace) -> None:
    for name in FRAMES:
        frame: pl.DataFrame = getattr(trace, name)
        assert list(frame.schema.items()) == [(c.name, c.dtype) for c in schema.FRAMES[name]], name


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name.removesuffix(".json.gz"))
def test_every_frame_of_a_real_trace_its_steps_and_windows(path: Path) -> None:
    trace = sk.load(path)
    assert_frames(trace)
    assert_frames(trace.step(-1))
    start = trace.steps["start_ns"][0]
    assert_frames(trace.between(start, start + 1))
    ids = pl.concat(
        [getattr(trace, f)["id"] for f in ("ops", "calls", "work", "annotations", "python")]
    )
    assert ids.is_unique().all()
    for frame, column in (("work", "launch"), ("launches", "op"), ("ops", "parent")):
        known = trace.calls["id"] if column == "launch" else trace.ops["id"]
        assert getattr(trace, frame)[column].drop_nulls().is_in(known.implode()).all()


@pytest.mark.parametrize("source", [[], [{}], [{"ph": "X"}]], ids=repr)
def test_every_frame_of_an_empty_trace(source: list[object]) -> None:
    trace = sk.load(source)
    assert_frames(trace)
    assert_frames(trace.between(0, 1))


def test_traces_can_be_put_under_one_another() -> None:
    traces = [sk.load(path) for path in fixture_paths()]
    for name in FRAMES:
        frames = [getattr(trace, name) for trace in traces]
        assert len(pl.concat(frames)) == sum(map(len, frames))


TABLES = {
    **schema.FRAMES,
    **{f"tklqt by {key}": columns for key, columns in schema.measured.TKLQT_KEYS.items()},
    **{f"kernels by {key}": columns for key, columns in schema.breakdowns.KERNEL_KEYS.items()},
    **{f"ops by {key}": columns for key, columns in schema.breakdowns.OP_KEYS.items()},
    **{f"idle_causes by {key}": (column,) for key, column in schema.measured.IDLE_KEYS.items()},
}


@pytest.mark.parametrize("columns", TABLES.values(), ids=TABLES)
def test_names_tell_units_and_every_column_has_a_meaning(
    columns: tuple[schema.column.Column, ...],
) -> None:
    names = [c.name for c in columns]
    assert len(set(names)) == len(names)
    for column in columns:
        assert column.meaning
        assert column.name.endswith("_ns") == (column.unit == "ns")
        assert column.dtype == pl.Int64 or column.unit != "ns"
        if column.name.endswith("_share"):
            assert (column.dtype, column.unit) == (pl.Float64, "share")


def test_empty_and_conform_make_the_declared_frame() -> None:
    nothing = schema.column.empty(schema.recorded.STEPS)
    assert nothing.equals(
        schema.column.conform(nothing.select(reversed(nothing.columns)), schema.recorded.STEPS)
    )
