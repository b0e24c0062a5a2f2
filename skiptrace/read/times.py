"""Times in microseconds, as numbers or text, to integer nanoseconds, exactly."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

import numpy as np
import polars as pl

from skiptrace.intervals import Bools, Ints

_FLOAT_EXACT_US = 2.0**43
"""Below this many microseconds a double still holds the nanosecond digit (half an ulp < 0.5 ns)."""

# Numbers whose nanoseconds a double cannot hold: at least 2**43 (8.796e12) with a fraction, or
# large with more digits than nanoseconds, where the double's error could tip the rounding.
_LOSSY_TIME = (
    r'"(?:ts|dur)"\s*:\s*-?'
    r"(?:(?:[89][0-9]{12}|[0-9]{14,})\.[0-9]|[0-9]{11,}\.[0-9]{4,}|[0-9]+\.[0-9]{13,}[eE])"
)
_LOSSY_BYTES = re.compile(_LOSSY_TIME.encode())
_SHORT = 1 << 15
_TIME = re.compile(rb'("(?:ts|dur)"\s*:\s*)(-?\d+\.\d+(?:[eE][-+]?\d+)?)')


def keep_digits(data: bytes) -> bytes:
    """Quote the times if doubles would lose their nanoseconds, so that text is parsed.

    A JSON decoder without a hook for floats rounds them before anyone can see their digits.
    Their quoted keys cannot occur unescaped inside a JSON string, so only keys are matched.
    """
    if len(data) < _SHORT:
        return _TIME.sub(rb'\1"\2"', data) if _LOSSY_BYTES.search(data) else data
    try:
        text = pl.Series([data.decode()])
    except UnicodeDecodeError:  # no JSON at all: the decoder says so
        return data
    lossy = text.str.contains(_LOSSY_TIME).item()  # several times faster than Python's own search
    return _TIME.sub(rb'\1"\2"', data) if lossy else data


def to_ns(values: list[Any]) -> tuple[Ints, Bools]:
    """Nanoseconds of microsecond `values` (int, float, str or None), and which are valid.

    Rounded to the nearest nanosecond, half to even. Invalid: missing, not a number, beyond
    int64.
    """
    kinds = set(map(type, values))
    if kinds <= {int}:
        try:
            whole = np.array(values, np.int64)
        except OverflowError:
            return text_to_ns(_texts(values))
        if not len(whole) or max(abs(int(whole.min())), abs(int(whole.max()))) < 2**63 // 1000:
            return whole * 1000, np.ones(len(whole), np.bool_)
        return text_to_ns(_texts(values))
    if kinds <= {int, float, type(None)}:
        try:
            number = np.array(values, np.float64)
        except OverflowError:
            return text_to_ns(_texts(values))
        with np.errstate(invalid="ignore"):
            small = np.abs(number) < _FLOAT_EXACT_US
        if small[~np.isnan(number)].all():
            return floats_to_ns(number)
    return text_to_ns(_texts(values))


def _texts(values: list[Any]) -> pl.Series:
    texts = [v if isinstance(v, str) else _digits(v) for v in values]
    try:
        return pl.Series(texts, dtype=pl.String)
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        return pl.Series([t and t.encode("utf-8", "replace").decode() for t in texts])


def _digits(value: object) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        return repr(value) if number else None
    except ValueError:  # more digits than Python writes
        return None


def floats_to_ns(number: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Ints, Bools]:
    """Nanoseconds of microseconds, and which are valid: NaN is not."""
    valid = ~np.isnan(number)
    number = np.where(valid, number, 0.0)
    # Scaling in one step (number * 1000) would round twice; the parts apart are exact.
    whole = np.trunc(number)
    part = (number - whole) * 1000
    ns = whole.astype(np.int64) * 1000 + np.rint(part).astype(np.int64)
    # Close to half a nanosecond the shortest digits decide, as they do for text.
    near = np.abs(np.abs(part - np.trunc(part)) - 0.5) < 0.002
    for i in np.flatnonzero(near & (np.abs(number) < 1e10)):
        ns[i] = _from_decimal(repr(float(number[i]))) or 0
    return ns, valid


def text_to_ns(text: pl.Series) -> tuple[Ints, Bools]:
    """Nanoseconds of microseconds written out, and which are valid; null is not."""
    text = text.str.strip_chars()
    parts = text.str.extract_groups(r"^([+-]?)([0-9]{1,15})(?:\.([0-9]{0,18}))?$").struct.unnest()
    sign, whole, fraction = (parts.to_series(i) for i in range(3))
    digits = fraction.fill_null("").str.pad_end(18, "0")
    ns = digits.str.slice(0, 3).cast(pl.Int64)
    rest = digits.str.slice(3).cast(pl.Int64)
    half = 5 * 10**14
    up = (rest > half) | ((rest == half) & (ns % 2 == 1))
    value = whole.cast(pl.Int64) * 1000 + ns + up.cast(pl.Int64)
    value = pl.select(pl.when(sign == "-").then(-value).otherwise(value)).to_series()
    plain = whole.is_not_null().to_numpy()
    result = value.fill_null(0).to_numpy().copy()
    valid = plain.copy()
    for i in np.flatnonzero(~plain & text.is_not_null().to_numpy()):  # exponents and the like
        exact = _from_decimal(text[int(i)])
        if exact is not None:
            result[i], valid[i] = exact, True
    return result, valid


def _from_decimal(text: str | None) -> int | None:
    try:
        number = Decimal((text or "").strip().replace("_", "?"))  # Python alone allows 1_000
        if not number.is_finite() or number.adjusted() > 18:
            return None
        ns = int((number * 1000).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    except InvalidOperation:
        return None
    return ns if -(2**63) <= ns < 2**63 else None
