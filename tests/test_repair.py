"""Damaged documents: each kind of fault by a literal case, and mutations of sound ones."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from helpers import Event, fixture_path, fixture_paths, kernel, op
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skiptrace.read.faults import Repaired
from skiptrace.read.repair import repair

NAME = '"x3"'
"""What a case damages: the fourth event's name, as it is written."""


def sound(count: int = 6) -> list[Event]:
    return [
        op(f"x{i}", 10 * i + 0.5, 5, correlation=i, shape=[i, {"a": [1]}]) for i in range(count)
    ]


EVENTS = sound()
HEADER = {"schemaVersion": 1, "traceName": "t"}
LAYOUTS: dict[str, Callable[[Any], str]] = {
    "minified": lambda t: orjson.dumps(t).decode(),
    "json.dump": json.dumps,
    "indented": lambda t: json.dumps(t, indent=2),
}


def document(layout: str = "json.dump", events: list[Event] = EVENTS) -> str:
    schema, name = HEADER.items()
    return LAYOUTS[layout](dict([schema, ("traceEvents", events), name]))


def mended(text: str | bytes) -> Repaired:
    return repair(text.encode() if isinstance(text, str) else text)


def kinds(result: Repaired) -> set[str]:
    return {fault.kind for fault in result.faults}


# Kind -> the name as damaged, and as it is read; None: the event is left out.
NAMES: dict[str, tuple[str, str, Any]] = {
    "a raw newline": ("control_character", '"a\nb"', "a\nb"),
    "a raw NUL": ("control_character", '"a\0b"', "a\0b"),
    "a Windows path": ("invalid_escape", r'"C:\Users\new\table"', r"C:\Users\new\table"),
    "a path with a backslash at its end": ("invalid_escape", '"C:\\dir\\"', "C:\\dir\\"),
    "a network path": ("invalid_escape", r'"\\server\share"', r"\\server\share"),
    "one bad escape among good ones": ("invalid_escape", r'"a\\b\d\n"', "a\\b\\d\n"),
    "half a surrogate pair": ("lone_surrogate", r'"a\ud800b"', "a\ufffdb"),
    "the other half": ("lone_surrogate", r'"a\udc00\ud83d\ude00"', "a\ufffd\U0001f600"),
    "quotes": ("unescaped_quote", '"say "hi", then"', 'say "hi", then'),
    "quotes around arguments": ("unescaped_quote", '"f("a", {"b"}, "c")"', 'f("a", {"b"}, "c")'),
    "an object in quotes": ("unescaped_quote", '"{"k": 1, "l": [2]}"', '{"k": 1, "l": [2]}'),
    "what looks like a border": ("unescaped_quote", '"a"}, {"b"', 'a"}, {"b'),
    "a missing quote": ("unclosed_string", '"x3', "x3"),
    "single quotes": ("single_quotes", "'it\\'s'", "it's"),
    "a word": ("unquoted_word", "x3", "x3"),
    "NaN": ("not_a_number", "NaN", None),
    "minus infinity": ("not_a_number", "-Infinity", None),
    "inf": ("not_a_number", "inf", None),
    "N/A": ("no_value", "N/A", None),
    "None": ("no_value", "None", None),
    "nothing": ("no_value", "", None),
    "True": ("python_word", "True", True),
    "leading zeros": ("odd_number", "007", 7),
    "a plus": ("odd_number", "+5", 5),
    "no whole part": ("odd_number", "-.5", -0.5),
    "no fraction": ("odd_number", "5.", 5.0),
    "an exponent after a point": ("odd_number", "5.e1", 50.0),
    "beyond a double": ("odd_number", "1e999", "1e999"),
    "a comment before": ("comment", '/* "x" */ "x3"', "x3"),
    "a comment after": ("comment", '"x3" // x, "y"\n', "x3"),
    "two commas": ("extra_comma", '"x3",', "x3"),
    "a bomb": ("too_deep", "[" * 100_000 + "]" * 100_000, ...),
    "an unclosed list": ("missing_bracket", '["x3"', ["x3"]),
    "a bracket too many": ("stray_bracket", '["x3"]]', ["x3"]),
    "junk behind": ("junk", '{"a": 1} @#!', {"a": 1}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", NAMES)
def test_a_damaged_name_costs_at_most_itself(case: str, layout: str) -> None:
    kind, written, meant = NAMES[case]
    text = document(layout)
    assert text.count(NAME) == 1
    result = mended(text.replace(NAME, written))
    assert kind in kinds(result)
    assert result.header == HEADER
    assert [e for i, e in enumerate(result.events) if i != 3] == [*EVENTS[:3], *EVENTS[4:]]
    if meant is not ...:
        assert result.events[3] == {**EVENTS[3], "name": meant}


def test_bytes_that_are_no_utf8_are_replaced_in_their_text_alone() -> None:
    result = mended(document().encode().replace(b'"x3"', '"é'.encode() + b'\xff\xe9"'))
    assert kinds(result) == {"invalid_utf8"}
    assert result.events == [*EVENTS[:3], {**EVENTS[3], "name": "é\ufffd\ufffd"}, *EVENTS[4:]]


def test_integers_beyond_64_bits_are_exact_in_a_damaged_event() -> None:
    written = document().replace(NAME, 'NaN, "big": -123456789012345678901234567890')
    assert mended(written).events[3]["big"] == -123456789012345678901234567890


def test_large_times_keep_their_digits_in_damaged_events_too() -> None:
    time = "1712195495505324.765"
    text = document(events=[op("a", 1, 1), op("b", 2, 2)]).replace('"ts": 2', f'"ts": {time}')
    result = mended(text.replace('"b"', '"b\x01"'))
    assert result.events[1]["ts"] == time


# What happens to the document -> kinds of fault, the events that remain.
CUT = document().index('"x3"')
WHOLE: dict[str, tuple[str | bytes, str, list[Event]]] = {
    "cut in an event": (document()[: CUT + 3], "truncated_json", EVENTS[:3]),
    "cut between events": (document()[: document().index('{"ph": "X", "name": "x3"')],
                           "truncated_json", EVENTS[:3]),
    "cut behind the events": (document()[:-20], "truncated_json", EVENTS),
    "without the closing brackets": (document()[:-2], "truncated_json", EVENTS),
    "a comma at the end": (document().replace("}], ", "},], "), "extra_comma", EVENTS),
    "no comma between events": (document().replace('}, {"ph', '} {"ph', 1),
                                "missing_comma", EVENTS),
    "a byte order mark": ("\ufeff" + document(), "byte_order_mark", EVENTS),
    "twice the same": (document() * 2, "duplicate_document", EVENTS),
    "two documents": (document() + "\n" + document(events=EVENTS[:2]),
                      "concatenated_document", EVENTS + EVENTS[:2]),
    "two lists": (document().replace('}, {"ph', '}], "traceEvents": [{"ph', 1), "repeated_list",
                  EVENTS),
    "a list of lists": (json.dumps({"traceEvents": [EVENTS[:2], [EVENTS[2:]]]}), "wrapped_events",
                        EVENTS),
    "texts of events": (json.dumps(list(map(json.dumps, EVENTS))), "wrapped_events", EVENTS),
    "a text of all": (json.dumps(document()), "wrapped_events", EVENTS),
    "a list of documents": (json.dumps([{"traceEvents": EVENTS[:2]}, {"traceEvents": EVENTS[2:]}]),
                            "wrapped_events", EVENTS),
    "a document in an object": (json.dumps({"data": {"traceEvents": EVENTS}}),
                                "wrapped_events", EVENTS),
    "a cut one and a whole one": (document()[: CUT + 3] + document(events=EVENTS[4:]),
                                  "missing_bracket", EVENTS[:3] + EVENTS[4:]),
    "a line each": ("\n".join(map(json.dumps, EVENTS)), "missing_comma", EVENTS),
    "the start is missing": (document()[CUT:], "junk", EVENTS[4:]),
    "a missing brace": (document().replace('{"a": [1]}]}}, {"ph": "X", "name": "x3"',
                                           '{"a": [1]}]}, {"ph": "X", "name": "x3"'),
                        "missing_bracket", EVENTS),
    "padding": (document() + "\0" * 99, "control_character", EVENTS),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_intact_of_a_damaged_document_is_kept(case: str) -> None:
    data, kind, events = WHOLE[case]
    result = mended(data)
    assert kind in kinds(result)
    kept = [e for e in result.events if e in EVENTS]
    assert kept == events


def test_an_event_that_is_cut_off_is_kept_if_its_needed_fields_are_there() -> None:
    text = document()
    kept = mended(text[: text.index('"shape": [3')]).events[3:]
    assert kept == [{**EVENTS[3], "args": {"correlation": 3}}]
    lost = mended(text[: text.index('5, "cat": "cpu_op", "args": {"correlation": 3')])
    assert lost.events == EVENTS[:3]
    assert kinds(lost) == {"truncated_json", "lost_event"}


def test_each_fault_has_a_meaning_and_a_case() -> None:
    cases = {kind for kind, _, _ in NAMES.values()} | {kind for _, kind, _ in WHOLE.values()}
    packed = {"truncated_stream", "damaged_stream", "bad_checksum", "other_files", "utf16_or_utf32"}
    assert cases | packed  # tests/test_unpack.py | {"invalid_utf8", "lost_event"} == set(FAULTS)


def test_a_fault_says_where_it_is_first_and_how_often_it_occurs() -> None:
    data = document().replace('"x3"', "NaN").replace('"x5"', "NaN").encode()
    (fault,) = repair(data, 1000).faults
    assert (fault.kind, fault.count) == ("not_a_number", 2)
    assert fault.offset == 1000 + data.index(b"NaN")
    assert "NaN" in fault.excerpt
    assert len(fault.excerpt) <= 80
    assert fault.excerpt.isprintable()


@pytest.mark.parametrize("end", ["", ",", "\n"])
def test_a_run_of_events_needs_no_brackets(end: str) -> None:
    run = ",\n".join(map(json.dumps, EVENTS))
    result = repair((end + run + end).encode(), is_run=True)
    assert (result.events, result.faults) == (EVENTS, [])
    result = repair(run.replace('"x3"', "NaN").encode(), is_run=True)
    assert result.events == [*EVENTS[:3], {**EVENTS[3], "name": None}, *EVENTS[4:]]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("path", fixture_paths(), ids=lambda p: p.name)
def test_a_sound_file_comes_out_as_orjson_decodes_it(path: Any, layout: str) -> None:
    trace = json.loads(gzip.decompress(path.read_bytes()))
    for event in trace["traceEvents"]:
        if "ts" in event:
            event["ts"] = int(float(event["ts"]))  # large fractions are kept as text
    data = LAYOUTS[layout](trace).encode()
    whole = orjson.loads(data)
    result = repair(data)
    assert result.events == whole.pop("traceEvents")
    assert (result.header, result.faults) == (whole, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
ANY_EVENTS = st.lists(
    st.builds(lambda name, args: {**op("n", 1, 1), "name": name, "args": args}, st.text(), JSON),
    min_size=1,
    max_size=6,
)


@given(ANY_EVENTS, st.sampled_from(sorted(LAYOUTS)))
def test_any_sound_events_come_out_as_they_are(events: list[Event], layout: str) -> None:
    result = mended(document(layout, events))
    assert (result.events, result.header, result.faults) == (events, HEADER, [])


PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\0", b"\n", b"\xff", b"\xed\xa0\x80", b"NaN",
    b"//", b"/*", b"'", b"\\u", b"\\ud800", b"-", b"\xef\xbb\xbf", b"[" * 1500, b'"}, {"', b"1e999",
    b'"traceEvents": [', b'{"ph": "X"', b"]}", b"\xff\xfe",
]  # fmt: skip
AT = st.floats(0, 0.999)
DAMAGE = st.one_of(
    st.tuples(st.just("flip"), AT, st.integers(0, 7)),
    st.tuples(st.just("insert"), AT, st.sampled_from(PIECES)),
    st.tuples(st.just("delete"), AT, st.integers(1, 40)),
)


def damaged(data: bytes, how: str, where: float, what: Any) -> bytes:
    at = int(where * len(data))
    if how == "flip":
        return data[:at] + bytes([data[at] ^ (1 << what)]) + data[at + 1 :]
    if how == "insert":
        return data[:at] + bytes(what) + data[at:]
    return data[:at] + data[at + what :]


@settings(max_examples=300)
@given(st.sampled_from(sorted(LAYOUTS)), st.integers(0, 7), DAMAGE)
@example("json.dump", 3, ("insert", 0.5, b"[" * 100_000))
def test_damage_inside_an_event_costs_no_other_event(
    layout: str, which: int, damage: tuple[str, float, Any]
) -> None:
    events = [*sound(4), *(kernel(i, 1, i, f"k{i}") for i in range(4))]
    written = [LAYOUTS[layout](e).encode() for e in events]
    written[which] = damaged(written[which], *damage)
    data = b'{"traceEvents": [' + b",\n".join(written) + b"]}"
    others = [e for i, e in enumerate(events) if i != which]
    result = repair(data)
    assert [e for e in result.events if e in others] == others


@settings(max_examples=300)
@given(st.sampled_from(sorted(LAYOUTS)), st.lists(DAMAGE, min_size=1, max_size=6), st.floats(0, 1))
def test_whatever_happens_to_a_file_something_sensible_comes_out(
    layout: str, damages: list[tuple[str, float, Any]], keep: float
) -> None:
    data = document(layout).encode()
    for damage in damages:
        data = damaged(data, *damage) if data else data
    data = data[: int(keep * len(data)) + 1]
    result = repair(data)
    assert len(result.events) <= len(data)
    try:
        sound_after_all = orjson.loads(data)
    except orjson.JSONDecodeError:
        assert result.faults
    else:
        if isinstance(sound_after_all, dict) and "traceEvents" in sound_after_all:
            assert result.events == sound_after_all["traceEvents"]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"a": 1, "traceEvents": [{"ph": "X"}], "b": 2}', []),
        ('{"traceEvents": [{"ph": "X"}], "b": 2,}', [("extra_comma", 37)]),
        ('{"traceEvents": [{"ph": "X"}],}', [("extra_comma", 29)]),
        ('{, "traceEvents": [{"ph": "X"}]}', [("extra_comma", 1)]),
        ('{"a": 1,, "traceEvents": [{"ph": "X"}]}', [("extra_comma", 8)]),
        ('{"a": 1 "traceEvents": [{"ph": "X"}]}', [("missing_comma", 8)]),
        ('{"traceEvents": [{"ph": "X"}] "b": 2}', [("missing_comma", 30)]),
        ('{"traceEvents": [{"ph": "X"}, "b": 2}', [("missing_bracket", 30)]),
    ],
)
def test_commas_around_the_list_are_counted_too(text: str, faults: list[tuple[str, int]]) -> None:
    result = repair(text.encode())
    assert [(fault.kind, fault.offset) for fault in result.faults] == faults
    assert result.events == [{"ph": "X"}]
    assert result.header == {key: n for key, n in (("a", 1), ("b", 2)) if f'"{key}"' in text}


BOMBS: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda n: b"[" * n,
    "braces": lambda n: b'{"a":' * (n // 5),
    "closing brackets": lambda n: b"]}" * (n // 2),
    "quotes": lambda n: b'[{"name": "' + b'", "' * (n // 4),
    "escaped quotes": lambda n: b'[{"name": ["' + b'\\"' * (n // 2),
    "escaped quotes in a bomb": lambda n: b'[{"name": ' + b"[" * 600 + b'"' + b'\\"' * (n // 2),
    "backslashes": lambda n: b'[{"name": "\\q' + b"\\" * n,
    "commas": lambda n: b"[" + b"," * n,
    "open comments": lambda n: b"[" + b"/*" * (n // 2),
    "white space": lambda n: b'[{"a"' + b" " * n,
    "apostrophes": lambda n: b"[" + b"'x," * (n // 3),
    "one long name": lambda n: b'[{"ph": "X", "name": "a"b' + b"x" * n + b'"}',
    "colons": lambda n: b'{"traceEvents": [{"name"' + b":" * n,
    "borders": lambda n: b'[{"ph": "' + b'{"ph":' * (n // 6),
    "documents": lambda n: b'{"traceEvents": []}' * (n // 19),
    "events of nothing": lambda n: b"[" + b"{}," * (n // 3),
    "a broken event each": lambda n: b"[" + b'{"ph":"X","name":NaN},' * (n // 22),
}


def seconds(data: bytes) -> float:
    start = time.process_time()
    repair(data)
    return time.process_time() - start


@pytest.mark.parametrize("bomb", BOMBS)
def test_time_grows_with_the_length_and_not_with_its_square(bomb: str) -> None:
    # 16 times the length: 16 times the time, 256 times if it were quadratic.
    small, large = 20_000, 320_000
    least = min(seconds(BOMBS[bomb](small)) for _ in range(3))
    assert seconds(BOMBS[bomb](large)) < 80 * max(least, 0.002)


def test_a_name_of_many_megabytes_is_kept() -> None:
    long = "x" * 30_000_000
    (event,) = mended(f'[{{"ph": "X", "name": "a"b{long}", "ts": 1}}').events
    assert event["name"] == 'a"b' + long


def test_a_long_file_with_one_bad_byte_is_read_in_stretches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = gzip.decompress(fixture_path("training_step").read_bytes())
    at = data.index(b'"name":"', len(data) // 2) + 8
    tolerant: list[int] = []
    one = repair.__globals__["_Walk"]._one

    def counted(walk: Any) -> None:
        tolerant.append(walk.parser.pos)
        one(walk)

    monkeypatch.setattr(repair.__globals__["_Walk"], "_one", counted)
    result = repair(data[:at] + b"\x01" + data[at:])
    assert len(result.events) == len(orjson.loads(data)["traceEvents"])
    assert len(tolerant) <= 3  # the damaged one, the last, and one at a change of layout
