"""Frames that a trace cannot be made of."""

from __future__ import annotations

from collections.abc import Iterable

from skiptrace.errors.base import SkiptraceError


class FramesError(SkiptraceError, ValueError):
    """A frame given to `from_frames` that is none, lacks a column or holds what it may not."""

    @classmethod
    def none(cls, frame: str, given: object, reason: str) -> FramesError:
        """Nothing that polars can make a frame of."""
        return cls(
            f"{frame}= is no frame but a {type(given).__name__} ({reason}): give a "
            "polars.DataFrame, or what exports Arrow (pandas, pyarrow, DuckDB ...)."
        )

    @classmethod
    def missing(cls, frame: str, columns: Iterable[str], found: Iterable[str]) -> FramesError:
        """Columns that every such frame has."""
        return cls(
            f"{frame}= lacks the columns {', '.join(columns)}; it has "
            f"{', '.join(found) or 'none'}. Rename yours, or add them."
        )

    @classmethod
    def dtype(cls, frame: str, column: str, dtype: object, wanted: str) -> FramesError:
        """A column of another type."""
        hint = ""
        if column.endswith("_ns"):
            hint = (
                " Times are whole nanoseconds: round(), after multiplying what is in microseconds; "
                "a float holds no nanosecond of a clock that counts from 1970."
            )
        elif str(dtype).startswith("Float"):
            hint = " pandas makes floats of integers beside nulls: use astype('Int64') there."
        return cls(f"{frame}= has a column {column!r} of {dtype}, and {wanted} is wanted.{hint}")

    @classmethod
    def value(cls, frame: str, column: str, row: int, given: object, wanted: str) -> FramesError:
        """A cell that cannot be, the first of them."""
        return cls(f"{frame}= has {given!r} in column {column!r} (row {row}): {wanted}.")

    @classmethod
    def repeated(cls, number: int, frames: Iterable[str]) -> FramesError:
        """An id that two events have."""
        return cls(
            f"the id {number} occurs more than once (in {', '.join(frames)}): ids are unique over "
            "all frames, as in those of a trace. Leave the column out to have them numbered."
        )

    @classmethod
    def json(cls, number: int, reason: str) -> FramesError:
        """Arguments that are no JSON object."""
        return cls(
            f"args= has no JSON object for the event {number} ({reason}): `value` is what "
            "json.dumps makes of the event's arguments."
        )
