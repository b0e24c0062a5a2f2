"""Templates: what they take is read as the general reader reads it; what they must not is left."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from helpers import assembled, fixture_paths
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.read.digits import MARGIN
from skiptrace.read.layout import find_layout
from skiptrace.read.names import distinct_at
from skiptrace.read.regular import Reader
from skiptrace.read.rows import ASKED_FOR, NUMBERS, TEXTS, from_decoded
from skiptrace.read.shapes import Field, learn

LINES = """{{
    "ph": "X", "cat": "{cat}", "name": "{name}", "pid": {pid}, "tid": {tid},
    "ts": {ts}, "dur": {dur},
    "args": {{
      {args}
    }}
  }}"""


def event(number: int, args: str, **other: Any) -> str:
    known = {
        "cat": "kernel",
        "name": f"k{number % 7}",
        "pid": 0,
        "tid": 7,
        "ts": f"{1000 + number}.{number % 1000:03d}",
        "dur": number % 50,
    }
    return LINES.format(args=args, **(known | other))


def agree(events: list[str]) -> list[int]:
    """Both readers' rows are equal; how many events each template took."""
    text = ",\n  ".join(events).encode()
    layout = find_layout(text + b"]", 0)
    assert layout is not None
    reader = Reader(layout)
    part = reader.read(text + b" " * MARGIN, len(text))
    decoded = from_decoded(orjson.loads(b"[" + text + b"]"))
    fast, slow = assembled(part), assembled(decoded)
    columns = [*NUMBERS, *TEXTS[:4]]
    assert fast.frame(columns).equals(slow.frame(columns))
    assert (fast.events, fast.found, fast.not_rows) == (slow.events, slow.found, slow.not_rows)
    padded = text + b" " * MARGIN
    matches, _ = reader._templates.match(padded, layout.borders(padded, len(text)))
    return [len(match.events) for match in matches]


GRID = (
    '"stream": 7, "correlation": {}, "grid": [{}, {}, 1], "block": [{}, {}, 1], "occupancy %": {}'
)


def launched(number: int) -> str:
    width = number % 3 + 1
    return GRID.format(number + 1, width, width, 32 * width, width, 100 - number)


def test_a_rest_of_many_numbers_is_taken_whole() -> None:
    assert sum(agree([event(i, launched(i)) for i in range(60)])) == 60


def test_a_rest_may_be_any_json_and_differ_in_shape() -> None:
    dims = ["[[1, 2], []]", "[]", '[["a\\"]}", {"b": null}], -1e5, true]', '"é\\u00e9"', "[1.5e-3]"]
    rests = [f'"External id": {i},"Input Dims": {dims[i % 5]}, "Ev Idx": {i}' for i in range(80)]
    assert sum(agree([event(i, rest) for i, rest in enumerate(rests)])) == 80


WANTED = {
    "a wanted argument": '"External id": {0},"x": [{1}], "correlation": {0}, "Ev Idx": {0}',
    "the other spelling": '"External id": {0},"x": [{1}], "external id": 5, "Ev Idx": {0}',
    "arguments twice": '"External id": {0},"x": [{1}]}}, "args": {{"correlation": 5, "Ev Idx": {0}',
    "an outer value twice": '"External id": {0},"x": [{1}]}}, "ts": 5, "y": {{"Ev Idx": {0}',
    "a category twice": '"External id": {0},"x": [{1}]}}, "cat": "cpu_op", "y": {{"Ev Idx": {0}',
    "no empty key of its own": '"External id": {0},"x": [{1}], "": 3, "Ev Idx": {0}',
    "a number with a leading zero": '"External id": {0},"x": [{1}], "Ev Idx": {0}',
    "nested deeply": '"External id": {0},"x": ' + "[" * 300 + "{1}" + "]" * 300 + ', "Ev Idx": {0}',
}


@pytest.mark.parametrize("what", WANTED)
def test_what_a_rest_must_not_hold_is_read_all_the_same(what: str) -> None:
    plain = '"External id": {0},"x": [{1}], "Ev Idx": {0}'
    forms = [plain.format(i, "1, " * (i % 4) + "1") for i in range(60)]
    forms[20:26] = [WANTED[what].format(i, "1") for i in range(6)]
    agree([event(i, form) for i, form in enumerate(forms)])


def test_a_number_that_ends_a_rest_is_json_or_no_match() -> None:
    forms = [f'"External id": {i},"x": [{"1, " * (i % 4)}1], "Ev Idx": {i}' for i in range(60)]
    for last in ("-5", "1.5", "1e5", "12345678901234567890123456789", '"7"', "null", "[3]"):
        forms[30] = f'"External id": 3,"x": [1], "Ev Idx": {last}'
        agree([event(i, form) for i, form in enumerate(forms)])
    forms[30] = '"External id": 3,"x": [1], "Ev Idx": 007'
    text = ",\n  ".join(event(i, form) for i, form in enumerate(forms)).encode()
    layout = find_layout(text + b"]", 0)
    assert layout is not None
    with pytest.raises(orjson.JSONDecodeError):
        Reader(layout).read(text + b" " * MARGIN, len(text))


def test_numbers_that_all_of_a_shape_share_are_fixed_and_others_still_match() -> None:
    args = [f'"External id": {i}, "stream": 7' for i in range(60)]
    template = learn(event(1, args[1]).encode(), [event(5, args[5]).encode()])
    assert [dict(each.fixed) for each in template] == [{"pid": 0, "tid": 7, "stream": 7}, {}]
    narrow, general = ([p.column for p in t.parts if isinstance(p, Field)] for t in template)
    assert set(general) - set(narrow) == {"pid", "tid", "stream"}
    tids = [9 if i % 10 == 3 else 7 for i in range(60)]
    taken = agree([event(i, args[i], tid=tid) for i, tid in enumerate(tids)])
    assert sum(taken) == 60


def test_an_event_is_compared_with_those_that_begin_alike() -> None:
    one, same = (event(i, f'"External id": {i}, "stream": 7').encode() for i in (1, 5))
    unlike = [event(i, "", cat="cpu_op").encode() for i in range(100)]
    assert learn(one, [*unlike, same]) == learn(one, [same])


@given(st.randoms(use_true_random=False), st.integers(20, 60))
def test_any_mixture_of_events_reads_alike(rng: random.Random, count: int) -> None:
    """Events of a few forms, with values that are odd now and then."""
    keys = [
        "External id",
        "stream",
        "device",
        "correlation",
        "Ev Idx",
        "x",
        "y",
        "z",
        "u",
        "v",
        "w",
    ]
    forms = [rng.sample(keys, rng.randint(0, len(keys))) for _ in range(3)]
    odd: list[Any] = [None, True, "text", 'q"\\', [], [1, [2.5]], {}, {"stream": 3}, -4, 2**63, 0.5]

    def value() -> Any:
        return rng.choice(odd) if rng.random() < 0.02 else rng.choice((0, 7, rng.randint(0, 10**6)))

    def one(number: int) -> str:
        args = {key: value() for key in forms[rng.randrange(3)]}
        inside = json.dumps(args, ensure_ascii=rng.random() < 0.5)[1:-1]
        other = {"tid": value()} if rng.random() < 0.02 else {}
        other = {key: json.dumps(v) for key, v in other.items()}
        return event(number, inside, cat=rng.choice(("kernel", "cpu_op")), **other)

    agree([one(i) for i in range(count)])


@given(st.lists(st.binary(max_size=150), min_size=1, max_size=40), st.integers(0, 2))
def test_distinct_bytes_are_told_apart(texts: list[bytes], alike: int) -> None:
    texts = [*texts, *texts[:alike], *(text + b"\0" for text in texts[:alike])]
    whole = b"".join(texts) + b" " * MARGIN
    length = np.array([len(text) for text in texts], np.int64)
    code, found = distinct_at(whole, np.cumsum(length) - length, length)
    assert [found[i] for i in code] == texts
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("path", fixture_paths(), ids=lambda path: path.name)
def test_what_a_file_mentions_is_found_as_it_is_read(path: Path) -> None:
    data = gzip.decompress(path.read_bytes())
    mentioned = {key for key in ASKED_FOR if f'"{key}"'.encode() in data}
    assert sk.load(data).whole.mentioned == mentioned
    assert sk.load(orjson.loads(data)).whole.mentioned == mentioned


def test_what_only_one_rest_or_odd_event_mentions_is_found_too() -> None:
    lists = ["1, " * (i % 4) + "1" for i in range(60)]
    rests = [f'"External id": {i},"x": [{one}], "Ev Idx": {i}' for i, one in enumerate(lists)]
    plain = [event(i, rest) for i, rest in enumerate(rests)]
    for odd in ('"External id": 3,"grid": [1], "Ev Idx": 3', '"a\\"b": 1, "grid": [[]]'):
        events = [*plain, event(99, odd)]
        assert sk.load(f"[{', '.join(plain)}]".encode()).whole.mentioned == set()
        assert sk.load(f"[{', '.join(events)}]".encode()).whole.mentioned == {"grid"}


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 10**23])
@pytest.mark.parametrize("where", ["pid", "tid", "device", "stream"])
def test_numbers_beyond_64_bits_that_all_events_share_read_alike(where: str, number: int) -> None:
    args = {"External id": 0, "device": 0, "stream": 7} | {where: number}
    rest = json.dumps({k: v for k, v in args.items() if k not in ("pid", "tid")})[1:-1]
    other = {where: number} if where in ("pid", "tid") else {}
    agree([event(i, rest, **other) for i in range(40)])


@pytest.mark.parametrize("odd", ["]}", "}", ",", "1", ', {"a": 1}', '"'])
def test_an_event_may_be_compared_with_anything(odd: str) -> None:
    one = event(1, launched(1)).encode()
    assert [len(learn(one, [other])) for other in (one, one + odd.encode(), odd.encode())] == [
        2,
        2,
        1,
    ]


@pytest.mark.parametrize(
    "name",
    [
        r"a \" quote", r"back\\slash", "tab\\u0009", "caf\u00e9", "", "x" * 5_000,
        'k", "more": "than one member', 'k", "name": "again',
    ],
)  # fmt: skip
def test_a_name_that_its_line_does_not_tell_is_left_to_others(name: str) -> None:
    usual = [event(n, f'"stream": 7, "correlation": {n}') for n in range(60)]
    odd = [event(n, f'"stream": 7, "correlation": {n}', name=name) for n in range(60, 68)]
    taken = agree(usual + odd)
    assert sum(taken) == (68 if not name else 60)


def test_line_breaks_without_a_name_before_them() -> None:
    # The layout has them between events alone: a name ends at its quote.
    flat = [
        json.dumps(
            {"ph": "X", "cat": "kernel", "name": f"k{n % 5}", "pid": 0, "tid": 7, "ts": n + 0.5}
        )
        for n in range(60)
    ]
    assert sum(agree(flat)) == 60
