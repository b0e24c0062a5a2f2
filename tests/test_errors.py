"""Every error is a SkiptraceError that says what is wrong, where, and what to do about it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from helpers import annotation, call, kernel, op, step

import skiptrace as sk
from skiptrace import errors

TRACE = [step(3, 0, 9), op("a", 0, 9), call("launch", 1, 1, 1), kernel(4, 1, 1)]


def load_file(data: bytes) -> Callable[[Path], object]:
    def load(folder: Path) -> object:
        path = folder / "bad.json"
        path.write_bytes(data)
        return sk.load(path)

    return load


# What goes wrong -> how, its type, a built-in type that also catches it, what the message holds.
CASES: dict[str, tuple[Callable[[Path], object], type, type, tuple[str, ...]]] = {
    "empty": (load_file(b""), errors.ReadError, Exception, ("bad.json", "empty", "export")),
    "truncated": (
        load_file(b"\x1f\x8b\x08"), errors.ReadError, Exception,
        ("bad.json", "gzip", "cut off", "Copy the file again"),
    ),
    "no JSON": (
        load_file(b'{"a": x'), errors.ReadError, Exception, ("bad.json", "byte 6", "Nsight"),
    ),
    "no events": (
        load_file(b'{"planes": []}'), errors.ReadError, Exception,
        ("bad.json", "'traceEvents'", "'planes'"),
    ),
    "missing": (
        lambda folder: sk.load(folder / "none.json"), errors.ReadError, Exception,
        ("none.json", "No such file"),
    ),
    "folder": (sk.load, errors.ReadError, Exception, ("folder",)),
    "no source": (
        lambda _: sk.load(5.0),  # type: ignore[arg-type]
        errors.ReadError, Exception, ("float", "path, bytes"),
    ),
    "key": (
        lambda _: sk.tklqt(sk.load(TRACE), by="kernels"), errors.UnknownKeyError, ValueError,
        ("'kernels'", "Did you mean 'kernel'?", "root_op, kernel, stream"),
    ),
    "key of idle causes": (
        lambda _: sk.idle_causes(sk.load(TRACE), by="ops"), errors.UnknownKeyError, ValueError,
        ("'ops'", "'op'", "activity"),
    ),
    "step": (
        lambda _: sk.load(TRACE).step(4), errors.StepError, LookupError,
        ("unknown step 4", "ProfilerStep#3"),
    ),
    "steps": (
        lambda _: sk.load([*TRACE, annotation("serve", 0, 1)], steps="server*"),
        errors.StepError, LookupError, ("steps='server*'", "serve"),
    ),
    "steps of a bare trace": (
        lambda _: sk.load([op("a", 1, 1)], steps="x"), errors.StepError, LookupError,
        ("steps='x'", "for example: a"),
    ),
    "no window": (
        lambda _: sk.load(TRACE).between(9, 5), errors.StepError, LookupError,
        ("start < end", "start=9, end=5"),
    ),
    "no steps": (
        lambda _: sk.load(TRACE, steps=(0, 5)),  # type: ignore[arg-type]
        errors.StepError, LookupError, ("(start_ns, end_ns)",),
    ),
    "floor": (
        lambda _: sk.tklqt(sk.load(TRACE), floor=-1), errors.FloorError, ValueError,
        ("floor=-1", "nanoseconds", "sk.launch_floor()"),
    ),
    "no floor": (
        lambda _: sk.launch_floor(sk.load([op("a", 1, 1)])), errors.FloorError, ValueError,
        ("<decoded>", "no kernel launch", "null kernel"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("provoke", "kind", "builtin", "parts"), CASES.values(), ids=CASES)
def test_the_message_says_what_where_and_what_to_do(
    tmp_path: Path,
    provoke: Callable[[Path], object],
    kind: type[Exception],
    builtin: type[Exception],
    parts: tuple[str, ...],
) -> None:
    with pytest.raises(errors.SkiptraceError) as caught:
        provoke(tmp_path)
    assert type(caught.value) is kind
    assert isinstance(caught.value, builtin)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zstandard.compress(b"[]")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(errors.MissingDependencyError, match=r"pip install 'skiptrace\[zstd\]'"):
        sk.load(packed)
    assert issubclass(errors.MissingDependencyError, ImportError)


def test_every_error_derives_from_one_and_warnings_are_warnings() -> None:
    own = [
        e for e in vars(errors).values() if isinstance(e, type) and e.__module__ == errors.__name__
    ]
    for error in own:
        assert issubclass(error, (errors.SkiptraceError, UserWarning))
    assert sk.TraceWarning is errors.TraceWarning


def test_a_long_list_of_valid_names_is_cut_short() -> None:
    error = errors.UnknownKeyError.of("step", "x", [f"step {i}" for i in range(500)])
    assert str(error).endswith("step 11, ....")
    assert str(errors.UnknownKeyError.of("step", "x", [])).endswith("Valid: none.")
