"""Frames as bytes, few of them and fast to read: constants, differences, narrow integers, codes."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any, Protocol, TypeAlias

import numpy as np
import orjson
import polars as pl

from skiptrace.intervals import Bools, Ints

Recipe: TypeAlias = dict[str, Any]
"""How a column comes back: its ``dtype``, ``how`` it was packed, and what that way needs."""
Stored: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Values of a column as the bytes hold them."""

_DTYPES: dict[str, type[pl.DataType]] = {
    str(t()): t for t in (pl.Int64, pl.Float64, pl.Boolean, pl.String)
}
"""Dtypes of columns that can be packed, by the name that a recipe gives them."""
_INTEGERS = ("|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<i8")
_OUTLIER = np.dtype([("row", "<u4"), ("value", "<i8")])
"""An integer that is stored apart, since it does not fit the type of the others."""
_HUGE_PAGE = 1 << 21


def pack(frame: pl.DataFrame, *, deflate: bool = False) -> tuple[bytes, dict[str, Recipe]]:
    """The bytes of a frame, one column behind the other, and how every column comes back.

    An integer column is stored as it is (``plain``), as differences from the first column
    (``from_first``), most often the ``id`` that others follow, or as differences from the row
    before (``steps``), and in 8, 16, 32 or 64 bits, with a list of those that need more: whatever
    takes the fewest bytes. Differences wrap at 64 bits, so they are exact whatever the integers.
    Of ``texts`` there is the place of each among the distinct ones, which follow. What is the
    ``same`` as the first column, or ``constant``, is not stored.
    """
    pieces: list[bytes] = []
    recipes: dict[str, Recipe] = {}
    first = None
    for column in frame:
        recipe: Recipe = {"dtype": str(column.dtype)}
        # Zeros of both signs are one value, and two.
        if first is not None and column.dtype != pl.Float64 and column.n_unique() == 1:
            recipe |= {"how": "constant", "value": column[0]}
        elif first is not None and first.dtype == column.dtype == pl.Int64 and column.equals(first):
            recipe["how"] = "same"
        else:
            piece = _packed(column, first, recipe)
            pieces.append(zlib.compress(piece) if deflate else piece)
            recipe |= {"size": len(pieces[-1]), "deflated": deflate}
        recipes[column.name] = recipe
        first = frame.to_series(0)
    return b"".join(pieces), recipes


class Readable(Protocol):
    """A file, or what reads one."""

    def readinto(self, room: memoryview, /) -> int:
        """Read until the room is full or the file ends; how many bytes there were."""


def unpack(
    file: Readable, rows: int, recipes: dict[str, Recipe], wanted: Collection[str] | None = None
) -> pl.DataFrame:
    """The frame of so many rows that `pack` was given; or its first column, and those wanted.

    Raises
    ------
    EOFError
        The file ends before its columns do; another error where these are not as packed.
    """
    first, *_ = recipes
    # One column after the other is read into it: fresh memory for all takes as long as they do.
    room = np.empty(max(recipe.get("size", 0) for recipe in recipes.values()), np.uint8).data
    integers = [n for n, r in recipes.items() if r["dtype"] == "Int64" and "size" in r]
    block = dict(zip(integers, _block(len(integers), rows), strict=True))
    stored: list[pl.Series] = []
    columns: list[pl.Expr] = []
    for name, recipe in recipes.items():
        piece = room[: recipe.get("size", 0)]
        if len(piece) and file.readinto(piece) < len(piece):
            raise EOFError
        if wanted is not None and name not in (first, *wanted):
            continue
        column = pl.col(name)
        if recipe["how"] == "constant":
            column = pl.lit(recipe["value"], dtype=_DTYPES[recipe["dtype"]])
        elif recipe["how"] == "same":
            column = columns[0]
        else:
            piece = memoryview(zlib.decompress(piece)) if recipe["deflated"] else piece
            values: Stored = np.frombuffer(piece, recipe["stored"], rows)
            behind = piece[values.nbytes :]
            if recipe["how"] == "texts":
                texts = orjson.loads(zlib.decompress(behind))
                column = pl.lit(pl.Series(texts, dtype=pl.String)).gather(column)
            elif recipe["nulls"]:
                bits = np.unpackbits(np.frombuffer(behind, np.uint8, -(-rows // 8)), count=rows)
                behind = behind[-(-rows // 8) :]
                stored.append(pl.Series(f"{name} known", bits.view(np.bool_)))
                column = pl.when(pl.col(f"{name} known")).then(column)
            if name in block:
                values = _fill(block, name, recipe["how"], values, behind)
            else:
                values = values.copy()
            stored.append(pl.Series(name, values))
        columns.append(column.alias(name))
    # One after the other: two threads that ask for fresh memory at once both get it later.
    return pl.DataFrame(stored).select_seq(columns)


def _fill(
    block: dict[str, Ints], name: str, how: str, stored: Stored, outliers: memoryview
) -> Ints:
    """The integers of a column, in its place in the block, which those of the first begin."""
    values, others = block[name], np.frombuffer(outliers, _OUTLIER)
    values[:] = stored
    values[others["row"]] = others["value"]
    if how == "from_first":
        values += next(iter(block.values()))
    elif how == "steps":
        np.cumsum(values, out=values)
    return values


def _block(columns: int, rows: int) -> Ints:
    """Fresh memory for integers, in one piece.

    What it costs to have is most of what an integer costs. On Linux numpy asks for huge pages
    where it is large, so it begins and ends with one.
    """
    size = 8 * columns * rows
    if size < _HUGE_PAGE:
        return np.empty((columns, rows), np.int64)
    room = np.empty(size + 2 * _HUGE_PAGE, np.uint8)
    start = -room.ctypes.data % _HUGE_PAGE
    return room[start : start + size].view(np.int64).reshape(columns, rows)


def _packed(column: pl.Series, first: pl.Series | None, recipe: Recipe) -> bytes:
    """The bytes of a column; what they mean goes into its recipe."""
    if column.dtype == pl.String:
        texts = column.drop_nulls().unique(maintain_order=True)
        codes = column.cast(pl.Enum(texts)).to_physical().fill_null(len(texts)).to_numpy()
        narrow = np.min_scalar_type(len(texts)).newbyteorder("<")
        recipe |= {"how": "texts", "stored": narrow.str}
        distinct = texts.to_list() + [None] * bool(column.null_count())
        return codes.astype(narrow).tobytes() + zlib.compress(orjson.dumps(distinct))
    known = column.is_not_null().to_numpy()
    recipe["nulls"] = not bool(known.all())
    bits = np.packbits(known).tobytes() if recipe["nulls"] else b""
    if column.dtype != pl.Int64:
        values = column.fill_null(value=False if column.dtype == pl.Boolean else 0).to_numpy()
        recipe |= {"how": "plain", "stored": values.dtype.newbyteorder("<").str}
        return values.tobytes() + bits
    # A null takes the value before it, which is no step.
    values = column.fill_null(strategy="forward").fill_null(0).to_numpy()
    ways = {"plain": values, "steps": np.diff(values, prepend=np.int64(0))}
    if first is not None and first.dtype == pl.Int64 and not first.null_count():
        ways["from_first"] = np.where(known, values - first.to_numpy(), 0)
    recipe["how"] = min(ways, key=lambda way: _narrowest(ways[way])[0])
    values = ways[recipe["how"]]
    _, recipe["stored"] = _narrowest(values)
    rows = np.flatnonzero(~_fits(values, recipe["stored"]))
    outliers = np.empty(len(rows), _OUTLIER)
    outliers["row"], outliers["value"] = rows, values[rows]
    return values.astype(recipe["stored"]).tobytes() + bits + outliers.tobytes()


def _narrowest(values: Ints) -> tuple[int, str]:
    """The fewest bytes that integers take, and with which type."""
    return min(
        (np.dtype(t).itemsize * len(values) + _OUTLIER.itemsize * int((~_fits(values, t)).sum()), t)
        for t in _INTEGERS
    )


def _fits(values: Ints, dtype: str) -> Bools:
    limits = np.iinfo(dtype)
    return (values >= limits.min) & (values <= limits.max)
