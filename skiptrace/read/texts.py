"""Broken texts, numbers and words of JSON as what they are meant to be."""

from __future__ import annotations

import re

import orjson

from skiptrace.read.faults import Faults
from skiptrace.read.times import keep_digits

_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*+')
_VALID = re.compile(rb'(?:[^\\]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_PIECES = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"  # a surrogate pair
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    rb'|(\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})'
    rb'|(\\)|(")|([\x00-\x1f])'
)
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[+-]?(?:nan|inf|infinity)|-?1\.#(?:ind|inf|qnan)", re.IGNORECASE)
_NOTHING = frozenset(("n/a", "na", "none", "null", "nil", "undefined", "-", "?", "--"))
_LONGEST_INT = 4000
"""Digits; Python itself refuses to read more than 4300."""


def text(raw: bytes, faults: Faults, at: int) -> str:
    """The text between two quotes, at byte `at`; what is broken in it is counted.

    A backslash that begins no escape is itself. Where a text has one, and none that is escaped,
    whoever wrote it did not escape them: all are themselves, as in Windows paths.
    """
    if len(raw) < 4096 and (found := _PLAIN.match(raw)) and found.end() == len(raw):
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    try:
        return str(orjson.loads(b'"%b"' % raw))
    except orjson.JSONDecodeError:
        pass
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        faults.add("invalid_utf8", at + error.start)
        raw = raw.decode("utf-8", "replace").encode()
    valid = _VALID.match(raw)
    is_literal = valid is not None and valid.end() < len(raw) and raw.find(b"\\\\", 1) < 0

    def mend(piece: re.Match[bytes]) -> bytes:
        pair, half, escape, backslash, quote, control = piece.groups()
        if half and not is_literal:
            faults.add("lone_surrogate", at + piece.start())
            return b"\\ufffd"
        if backslash or ((pair or half or escape) and is_literal and escape != b'\\"'):
            faults.add("invalid_escape", at + piece.start())
            return piece[0].replace(b"\\", b"\\\\")
        if quote:
            faults.add("unescaped_quote", at + piece.start())
            return b'\\"'
        if control:
            faults.add("control_character", at + piece.start())
            return b"\\u%04x" % control[0]
        return piece[0]

    return str(orjson.loads(b'"%b"' % _PIECES.sub(mend, raw)))


def number(raw: bytes, key: str | None, faults: Faults, at: int) -> int | float | str:
    """A number as `orjson` reads it, but whole ones exactly, and a time with all of its digits."""
    digits = raw.decode("ascii")
    if "." not in digits and "e" not in digits and "E" not in digits:
        return int(digits) if len(digits) < _LONGEST_INT else digits
    if key == "ts" and len(raw) >= 15 and keep_digits(b'"ts":' + raw).endswith(b'"'):
        return digits
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        faults.add("odd_number", at)
        return digits
    return value


def meant(raw: bytes, key: str | None, faults: Faults, at: int) -> int | float | str | bool | None:
    """What a word without quotes stands for."""
    word = raw.decode("utf-8", "replace").strip()
    low = word.lower()
    if low in ("true", "false"):
        if word != low:
            faults.add("python_word", at)
        return low == "true"
    if low in _NOTHING:
        if word != "null":
            faults.add("no_value", at)
        return None
    if _NOT_A_NUMBER.fullmatch(word):
        faults.add("not_a_number", at)
        return None
    if _JSON_NUMBER.fullmatch(word):
        return number(word.encode(), key, faults, at)
    if _NUMBER.fullmatch(word):
        faults.add("odd_number", at)
        return number(_as_json(word), key, faults, at)
    faults.add("unquoted_word", at)
    return word


def _as_json(word: str) -> bytes:
    """A number with the zeros JSON wants, and without those and the plus it does not."""
    sign = "-" if word[0] == "-" else ""
    whole, dot, rest = word.lstrip("+-").partition(".")
    if not dot:
        whole, exponent, power = whole.replace("E", "e").partition("e")
        return (sign + (whole.lstrip("0") or "0") + exponent + power).encode()
    digits, exponent, power = rest.replace("E", "e").partition("e")
    return (sign + (whole.lstrip("0") or "0") + "." + (digits or "0") + exponent + power).encode()
