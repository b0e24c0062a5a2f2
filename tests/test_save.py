"""A saved trace comes back equal, arguments included; what is no saved trace is refused."""

from __future__ import annotations

import gzip
import json
import math
import pickle
import shutil
from dataclasses import FrozenInstanceError, fields
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import polars as pl
import pytest
from agreement import assert_identities
from helpers import (
    Event,
    annotation,
    call,
    event,
    fixture_paths,
    kernel,
    op,
    python,
    step,
    trace_paths,
)
from hypothesis import given
from polars.testing import assert_frame_equal, assert_series_equal
from test_properties import random_traces, traces

import skiptrace as sk
from skiptrace.archive.save import _MOST_TABLES
from skiptrace.errors import ReadError, SaveError, StepError
from skiptrace.errors.files import MANIFEST
from skiptrace.model.packing import pack, unpack
from skiptrace.model.trace import Whole

SMALL = 1 << 20
EVENTS: list[Event] = [
    step(1, 0, 10),
    step(2, 10, 10),
    op("größe ✓", 1, 3, **{"Input Dims": [[2, 3], []], "Sequence number": 4, "mixed": 1}),
    op("b", 12, 3, **{"Input Dims": [[5]], "Sequence number": 5, "mixed": "x"}),
    call("launch", 2, 1, 7, cbid=211),
    call("launch", 13, 1, 8, cbid=211),
    kernel(5, 1, 7, grid=[1, 2, 3], **{"est. achieved occupancy %": 0.5}),
    kernel(15, 1, 8, grid=[4, 5, 6], **{"est. achieved occupancy %": 50}),
    annotation("label", 1, 1),
    python("main", 0, 20),
    event("overhead", "flush", 3, 1),
]


def saved(trace: sk.Trace, folder: Path) -> sk.Trace:
    trace.save(folder)
    return sk.load(folder)


def assert_equal(mine: sk.Trace, theirs: sk.Trace) -> None:
    """Every frame of the trace and of the recording around it, with meta, health and window."""
    for part, other in ((mine, theirs), (mine.whole, theirs.whole)):
        for field in fields(sk.Trace if part is mine else Whole):
            value, wanted = getattr(part, field.name), getattr(other, field.name)
            if isinstance(wanted, pl.DataFrame):
                assert_frame_equal(value, wanted, check_exact=True)
            elif isinstance(wanted, pl.Series):
                assert_series_equal(value, wanted, check_exact=True)
            elif field.name not in ("whole", "source", "names"):  # a folder has no codes
                assert value == wanted, field.name


def assert_args_equal(mine: sk.Trace, theirs: sk.Trace) -> None:
    every = theirs.args()
    assert_frame_equal(mine.args(), every)
    keys = {key for text in every["value"] for key in orjson.loads(text)}
    for key in [*sorted(keys), "no such key"]:
        assert_frame_equal(mine.args(key), theirs.args(key), check_exact=True)


# --- there and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda path: path.name.split(".")[0])
def test_a_fixture_comes_back_equal(path: Path, tmp_path: Path) -> None:
    trace = sk.load(path)
    again = saved(trace, tmp_path / "t")
    assert_equal(again, trace)
    with gzip.open(path) as file:  # decoded, so that each key is not another decoding
        assert_args_equal(again, sk.load(orjson.loads(file.read())))
    name = trace.steps["name"][-1]
    assert_equal(again.step(name), trace.step(name))
    start = int(trace.whole.ops["start_ns"].min() or 0)  # type: ignore[arg-type]
    window, theirs = (t.between(start - 2_000_000, start + 1_000_000) for t in (again, trace))
    assert_equal(window, theirs)
    for verb in (sk.tklqt, sk.summary, sk.idle_gaps, sk.boundedness):
        assert_frame_equal(verb(again), verb(trace))


@pytest.mark.parametrize("path", trace_paths(), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_real_trace_comes_back_equal_and_is_no_larger(path: Path, tmp_path: Path) -> None:
    if path.stat().st_size > 2 * SMALL:
        pytest.skip("too large for a quick test")
    trace = sk.load(path)
    again = saved(trace, tmp_path / "t")
    assert_equal(again, trace)
    assert_frame_equal(again.args(), trace.args())
    with gzip.open(path) as file:
        json_bytes = file.seek(0, 2)
    if json_bytes > 10_000_000:
        size = sum(f.stat().st_size for f in (tmp_path / "t").iterdir())
        assert size <= path.stat().st_size


@pytest.mark.filterwarnings("ignore::skiptrace.TraceWarning")
@random_traces
@given(traces())
def test_a_random_trace_comes_back_equal(events: list[Event]) -> None:
    trace = sk.load(events)
    with TemporaryDirectory() as folder:
        again = saved(trace, Path(folder) / "t")
        assert_equal(again, trace)
        assert_args_equal(again, trace)
        assert_identities(again)


@pytest.mark.parametrize(
    "events", [[], [op("alone", 1, 2)], [kernel(1, 2)]], ids=["nothing", "operator", "kernel"]
)
def test_a_trace_of_next_to_nothing(events: list[Event], tmp_path: Path) -> None:
    trace = sk.load(events)
    again = saved(trace, tmp_path / "t")
    assert_equal(again, trace)
    assert_args_equal(again, trace)


def test_meta_comes_back(tmp_path: Path) -> None:
    header: Event = {
        "schemaVersion": 1,
        "deviceProperties": [{"id": 0, "name": "GPU ✓"}],
        "distributedInfo": {"rank": 3, "world_size": 8, "backend": "nccl"},
        "record_shapes": 1,
        "huge": 2**70,
    }
    named = [
        {"ph": "M", "name": "thread_name", "pid": p, "tid": t, "args": {"name": "main"}}
        for p, t in ((1, 1), ("Spans", "stream 7"))
    ]
    trace = sk.load(header | {"traceEvents": EVENTS + named})
    again = saved(trace, tmp_path / "t")
    assert again.meta == trace.meta
    assert list(again.meta.header) == list(trace.meta.header)
    assert len(again.meta.threads) == 2


@pytest.mark.parametrize("window", ["step", "between", "in_steps", "step of a window", "twice"])
def test_a_window_comes_back_as_that_window(window: str, tmp_path: Path) -> None:
    trace = sk.load(EVENTS)
    part = {
        "step": trace.step(2),
        "between": trace.between(1_000, 12_500),
        "in_steps": trace.in_steps(),
        "step of a window": trace.between(0, 12_500).step(2),
        "twice": trace.step(2),
    }[window]
    again = saved(part, tmp_path / "t")
    if window == "twice":
        again = saved(again, tmp_path / "u")
    assert_equal(again, part)
    assert_args_equal(again, part)
    assert_frame_equal(sk.idle_gaps(again), sk.idle_gaps(part))


# --- arguments ----------------------------------------------------------------------------------

VALUES: list[Any] = [
    0, -1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30, -(10**25),
    0.0, -0.0, 0.1, 1e-323, 1.7976931348623157e308, 100.0, 1e22, 0.30000000000000004,
    True, False, None, "", "x", "ü\u2028\0", "\ud800", "1", "null",
    [], {}, [[]], [1, "a", None, [2.5]], {"a": {"b": [1, 2**70]}}, [True, 1, 1.0],
]  # fmt: skip


def values_of(trace: sk.Trace, key: str) -> list[tuple[int, Any]]:
    """The Python values themselves, as frames are made of them."""
    source: Any = trace.whole.source
    rows: list[tuple[int, Any]] = source.arguments(trace.own_ids(), key)
    return rows


@pytest.mark.parametrize("others", [[], [1], ["x"], [None]], ids=repr)
@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_value_comes_back_with_its_type(value: Any, others: list[Any], tmp_path: Path) -> None:
    events = [op("a", i, 1, odd=v) for i, v in enumerate([value, *others, value])]
    found = values_of(saved(sk.load(events), tmp_path / "t"), "odd")
    assert repr(found) == repr([(i, e["args"]["odd"]) for i, e in enumerate(events)])


def test_nan_comes_back(tmp_path: Path) -> None:
    events = [op("a", 0, 1, odd=math.nan), op("b", 0, 1, odd=[math.inf, math.nan])]
    (_, first), (_, second) = values_of(saved(sk.load(events), tmp_path / "t"), "odd")
    assert math.isnan(first)
    assert second[0] == math.inf
    assert math.isnan(second[1])


def test_keys_of_any_kind_and_events_each_with_its_own(tmp_path: Path) -> None:
    odd = [{"": 1, "id": 2, "0": 3, "ü": [4]}, {}, {"id": None}]
    own = [{f"key {i}": i, "shared": i} for i in range(_MOST_TABLES + 10)]
    events = [op("a", i, 1) | {"args": args} for i, args in enumerate([*odd, *own])]
    trace = sk.load(events)
    again = saved(trace, tmp_path / "t")
    assert_args_equal(again, trace)
    assert again.args("shared")["value"].to_list() == list(range(_MOST_TABLES + 10))
    assert len(list((tmp_path / "t").glob("args-*"))) == _MOST_TABLES + 1


def test_of_a_window_the_type_is_that_of_its_own_events(tmp_path: Path) -> None:
    trace = sk.load(EVENTS)
    again = saved(trace, tmp_path / "t")
    assert again.args("mixed")["value"].dtype == pl.String
    assert again.step(1).args("mixed").rows() == trace.step(1).args("mixed").rows() == [(2, 1)]


def test_arguments_need_the_source_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(orjson.dumps(EVENTS))
    trace = sk.load(path)
    wanted = trace.args()
    again = saved(trace, tmp_path / "t")
    path.unlink()
    assert_frame_equal(again.args(), wanted)
    assert again.meta.source == str(path)
    assert_args_equal(saved(again, tmp_path / "u"), again)


@pytest.mark.parametrize("change", ["rewritten", "gone"])
def test_a_source_that_is_no_longer_the_one_loaded_is_an_error(tmp_path: Path, change: str) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(orjson.dumps(EVENTS))
    trace = sk.load(path)
    path.unlink() if change == "gone" else path.write_bytes(b"[]")
    with pytest.raises(ReadError, match=r"t\.json"):
        trace.save(tmp_path / "t")
    assert [p.name for p in tmp_path.iterdir()] == (["t.json"] if change != "gone" else [])


def test_what_json_cannot_hold_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="argument 'odd' cannot be saved"):
        sk.load([op("a", 0, 1, odd={1, 2})]).save(tmp_path / "t")
    with pytest.raises(SaveError, match="header"):
        sk.load({"traceEvents": EVENTS, "odd": b"x"}).save(tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


# --- a loaded folder is a trace like any other --------------------------------------------------


def test_frames_are_read_once_and_are_those_of_the_whole(tmp_path: Path) -> None:
    again = saved(sk.load(EVENTS), tmp_path / "t")
    assert "ops" not in vars(again)
    assert again.ops is again.ops
    assert again.ops is again.whole.ops
    with pytest.raises(FrozenInstanceError):
        again.ops = pl.DataFrame()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        again.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_relative_path_is_that_of_the_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = sk.load(EVENTS)
    trace.save(tmp_path / "t")
    monkeypatch.chdir(tmp_path)
    again = sk.load("t")
    monkeypatch.chdir("/")
    assert_equal(again, trace)


def test_a_pickle_holds_every_frame(tmp_path: Path) -> None:
    trace = sk.load(EVENTS)
    again = pickle.loads(pickle.dumps(saved(trace, tmp_path / "t")))
    shutil.rmtree(tmp_path / "t")
    assert_equal(again, trace)
    with pytest.raises(ReadError, match="args-"):
        again.args()


def test_progress_is_told_and_other_steps_are_not_looked_for(tmp_path: Path) -> None:
    sk.load(EVENTS).save(tmp_path / "t")
    told: list[float] = []
    sk.load(tmp_path / "t", progress=lambda stage, share: told.append(share))
    assert told == [1.0]
    with pytest.raises(StepError, match="has the steps that it was saved with"):
        sk.load(tmp_path / "t", steps="label")


def test_steps_of_the_callers_choice_are_saved(tmp_path: Path) -> None:
    trace = sk.load(EVENTS, steps="label")
    assert_equal(saved(trace, tmp_path / "t"), trace)


# --- where it may be written, and what is read ---------------------------------------------------


def test_a_saved_trace_is_replaced_and_an_empty_folder_filled(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "t"
    saved(sk.load(EVENTS), folder)
    other = sk.load(EVENTS[:4])
    assert_equal(saved(other, folder), other)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_equal(saved(other, empty), other)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["t"]


def test_of_a_link_the_folder_it_leads_to_is_replaced(tmp_path: Path) -> None:
    trace = sk.load(EVENTS)
    trace.save(tmp_path / "t")
    (tmp_path / "link").symlink_to(tmp_path / "t", target_is_directory=True)
    assert_equal(saved(trace.step(1), tmp_path / "link"), trace.step(1))
    assert_equal(sk.load(tmp_path / "t"), trace.step(1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "t"]


def test_a_trace_may_be_saved_where_it_was_loaded_from(tmp_path: Path) -> None:
    trace = sk.load(EVENTS)
    again = saved(trace, tmp_path / "t")
    assert_equal(saved(again.step(1), tmp_path / "t"), trace.step(1))


@pytest.mark.parametrize("manifest", [None, b"{}", b"[]", b"no json"], ids=repr)
def test_what_no_save_wrote_is_neither_replaced_nor_read(
    manifest: bytes | None, tmp_path: Path
) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "notes.txt").write_text("mine")
    if manifest is not None:
        (tmp_path / "t" / MANIFEST).write_bytes(manifest)
    with pytest.raises(SaveError, match=r"notes\.txt"):
        sk.load(EVENTS).save(tmp_path / "t")
    assert (tmp_path / "t" / "notes.txt").read_text() == "mine"
    with pytest.raises(ReadError, match="not a saved trace"):
        sk.load(tmp_path / "t")


def test_a_file_and_a_saved_trace_with_something_else_in_it_are_not_replaced(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SaveError, match="it holds a file"):
        sk.load(EVENTS).save(tmp_path / "file")
    again = saved(sk.load(EVENTS), tmp_path / "t")
    (tmp_path / "t" / "notes.txt").write_text("mine")
    with pytest.raises(SaveError, match=r"notes\.txt"):
        again.save(tmp_path / "t")


def test_a_folder_takes_no_without_and_is_refused_like_the_file_where_that_was_repaired(
    tmp_path: Path,
) -> None:
    saved(sk.load(EVENTS), tmp_path / "sound")
    with pytest.raises(ReadError, match="has what it was saved with"):
        sk.load(tmp_path / "sound", without=["cpu_op"])
    assert_equal(sk.load(tmp_path / "sound", repair=False), sk.load(EVENTS))
    saved(
        sk.load(b'[{"ph": "X", "name": NaN, "pid": 1, "tid": 1, "ts": 1, "dur": 1}]'),
        tmp_path / "t",
    )
    with pytest.raises(ReadError, match="t: not_a_number at byte 21: "):
        sk.load(tmp_path / "t", repair=False)


def test_a_place_that_cannot_be_written_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = sk.load(EVENTS)
    again = saved(trace, tmp_path / "t")

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SaveError, match=r"No space left on device\. Give a folder"):
        trace.step(1).save(tmp_path / "t")
    assert [p.name for p in tmp_path.iterdir()] == ["t"]
    assert_equal(again, trace)


@pytest.mark.parametrize(
    ("error", "seen"),
    [(OSError(13, "Permission denied"), SaveError), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["refused", "interrupted"],
)
def test_if_the_new_folder_cannot_take_its_place_the_old_one_is_put_back(
    error: BaseException,
    seen: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = sk.load(EVENTS)
    trace.save(tmp_path / "t")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if target == tmp_path / "t" and not path.name.endswith(".old"):
            monkeypatch.undo()
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(seen):
        trace.step(1).save(tmp_path / "t")
    assert [p.name for p in tmp_path.iterdir()] == ["t"]
    assert_equal(sk.load(tmp_path / "t"), trace)


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / MANIFEST
    manifest = json.loads(path.read_bytes())
    path.write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize("version", [0, 1, 2, None, "3"])
def test_another_format_is_refused_by_its_version(version: Any, tmp_path: Path) -> None:
    sk.load(EVENTS).save(tmp_path / "t")
    rewrite(tmp_path / "t", version=version)
    with pytest.raises(ReadError, match=f"saved in format {version}, and this skiptrace reads"):
        sk.load(tmp_path / "t")
    sk.load(EVENTS).save(tmp_path / "t")  # it is a saved trace all the same
    sk.load(tmp_path / "t")


def test_frames_of_other_columns_are_refused(tmp_path: Path) -> None:
    sk.load(EVENTS).save(tmp_path / "t")
    files = json.loads((tmp_path / "t" / MANIFEST).read_bytes())["files"]
    del files["launches.packed"]["columns"]["ahead_ns"]
    rewrite(tmp_path / "t", files=files)
    with pytest.raises(ReadError, match="load the trace file and save it again"):
        sk.load(tmp_path / "t")


@pytest.mark.parametrize("part", ["files", "meta", "floors", "window"])
def test_a_manifest_that_lacks_something_is_refused(part: str, tmp_path: Path) -> None:
    sk.load(EVENTS).save(tmp_path / "t")
    rewrite(tmp_path / "t", **{part: 5})
    with pytest.raises(ReadError, match=MANIFEST):
        sk.load(tmp_path / "t")


FILES = ("ops", "health", "syncs", "launches", "args-0")


@pytest.mark.parametrize("name", FILES)
def test_half_a_folder_is_refused(name: str, tmp_path: Path) -> None:
    sk.load(EVENTS).save(tmp_path / "t")
    path = tmp_path / "t" / f"{name}.packed"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ReadError, match=rf"{name}\.packed has \d+ bytes"):
        sk.load(tmp_path / "t")
    path.unlink()
    with pytest.raises(ReadError, match=rf"{name}\.packed is missing"):
        sk.load(tmp_path / "t")
    (tmp_path / "t" / MANIFEST).unlink()
    with pytest.raises(ReadError, match="not a saved trace"):
        sk.load(tmp_path / "t")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_changed_file_is_an_error_when_it_is_read(when: str, tmp_path: Path) -> None:
    trace = sk.load(EVENTS)
    trace.save(tmp_path / "t")
    again = sk.load(tmp_path / "t")
    path = tmp_path / "t" / "ops.packed"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    if when == "before":
        again = sk.load(tmp_path / "t")
    assert_frame_equal(again.calls, trace.calls)
    with pytest.raises(ReadError, match=r"ops\.packed is not the file that was saved"):
        _ = again.ops
    path.unlink()
    with pytest.raises(ReadError, match=r"ops\.packed cannot be read"):
        _ = again.whole.ops


def test_a_folder_replaced_by_another_trace_is_noticed(tmp_path: Path) -> None:
    again = saved(sk.load(EVENTS), tmp_path / "t")
    sk.load(EVENTS[:3]).save(tmp_path / "t")
    with pytest.raises(ReadError, match="Load the folder again"):
        _ = again.ops


# --- columns made small -------------------------------------------------------------------------

EDGE: list[int | None] = [-(2**63), 2**63 - 1]
COLUMNS: list[list[int | None]] = [
    [], [5], [None], [1, 1, 1], [None, None], [1, None, 1], [None, 3, 4, None, None, 9, None],
    EDGE, [*EDGE, None, *EDGE, 0], [2**31, 2**31 + 1, 2**31 + 3], [0, 2**32], [-1, 255], [0, 256],
    [2**62, -(2**62) - 5, 2**62 + 9], [*range(9)], [None, *range(9), None, *range(9, 20)],
]  # fmt: skip


def there_and_back(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """How the columns were packed, when they came back exactly, from either kind of bytes."""
    for deflate in (True, False):
        data, recipes = pack(frame, deflate=deflate)
        again = unpack(BytesIO(data), len(frame), recipes)
        assert_frame_equal(again, frame, check_exact=True)
        some = unpack(BytesIO(data), len(frame), recipes, frame.columns[-1:])
        assert_frame_equal(some, frame[:, [0, -1]], check_exact=True)
    return list(recipes.values())


@pytest.mark.parametrize("first", COLUMNS, ids=repr)
@pytest.mark.parametrize("shift", [0, 1, -7])
def test_packing_is_exact(first: list[int | None], shift: int) -> None:
    other = [None if v is None else (v + shift + 2**63) % 2**64 - 2**63 for v in first]
    frame = pl.DataFrame(
        {
            "a": first, "b": other, "c": first[::-1], "d": [float("nan")] * len(first),
            "e": [str(v) for v in first], "f": [v is None for v in first],
            "g": [None if v is None else f"ü\0 {v % 3}" for v in first],
            "h": [None if v is None else v > 0 for v in first],
            "i": [None if v is None else v / 3 for v in first],
        },
        schema=dict.fromkeys("abc", pl.Int64)
        | {"d": pl.Float64, "e": pl.String, "f": pl.Boolean}
        | {"g": pl.String, "h": pl.Boolean, "i": pl.Float64},
    )  # fmt: skip
    there_and_back(frame)
    there_and_back(frame.select("e", "g", "a", "d"))


def test_packing_keeps_the_dtypes_of_no_rows_and_the_signs_of_zeros() -> None:
    there_and_back(pl.DataFrame(schema={"a": pl.Boolean, "b": pl.Int64, "c": pl.Float64}))
    frame = pl.DataFrame({"id": [1, 2], "x": [0.0, -0.0]})
    data, recipes = pack(frame)
    assert str(unpack(BytesIO(data), 2, recipes)["x"].to_list()) == "[0.0, -0.0]"


def test_packing_takes_the_narrowest_way() -> None:
    ids = list(range(1_000_000, 1_000_000 + 3 * 500, 3))
    frame = pl.DataFrame({"id": ids, "near": [i - 2 for i in ids], "pid": [7] * 500, "same": ids})
    recipes = there_and_back(frame)
    assert [(recipe["how"], recipe.get("stored")) for recipe in recipes] == [
        ("steps", "|i1"), ("from_first", "|i1"), ("constant", None), ("same", None),
    ]  # fmt: skip


def test_a_few_large_integers_do_not_widen_the_others() -> None:
    short = [i % 100 for i in range(1_000)]
    long = [*short[:500], -(2**63), *short[:250], 2**63 - 1, 5_000, *short[:247]]
    frame = pl.DataFrame({"id": range(1_000), "dur_ns": long, "ahead_ns": [*long[1:], None]})
    _, dur, ahead = there_and_back(frame)
    assert dur["stored"] == ahead["stored"] == "|i1"
    assert dur["size"] == 1_000 + 3 * 12
    there_and_back(pl.DataFrame({"id": long * 300, "other": short * 300}))  # beyond a huge page
