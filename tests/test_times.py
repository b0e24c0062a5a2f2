"""Microseconds with decimals become integer nanoseconds, to the nanosecond, from their digits."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import orjson
import pytest
from helpers import fixture_path, health, kernel, op
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.model.rounding import median_of
from skiptrace.read.times import keep_digits, to_ns

INT64 = 2**63
EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)


def exact(digits: str) -> int:
    return int(EXACT.multiply(Decimal(digits), 1000).to_integral_value(context=EXACT))


def loaded(digits: str, dur: str = "0") -> tuple[int, int]:
    """Start and duration of an operator whose file says just that."""
    text = f'{{"traceEvents":[{{"ph":"X","cat":"cpu_op","name":"a","ts":{digits},"dur":{dur}}}]}}'
    row: tuple[int, int] = sk.load(text.encode()).ops.select("start_ns", "dur_ns").row(0)
    return row


@st.composite
def microseconds(draw: st.DrawFn, places: int = 6) -> str:
    whole = draw(st.integers(0, 9 * 10**15) | st.integers(8_796_093_022_000, 8_796_093_023_000))
    fraction = draw(st.text("0123456789", max_size=places))
    return draw(st.sampled_from(["", "-"])) + str(whole) + ("." + fraction if fraction else "")


@given(microseconds())
def test_json_numbers_and_text_load_to_the_exact_nanosecond(digits: str) -> None:
    assert loaded(digits)[0] == loaded(f'"{digits}"')[0] == exact(digits)


@given(st.lists(microseconds(15), min_size=1))
def test_text_is_rounded_from_all_its_digits(texts: list[str]) -> None:
    ns, valid = to_ns(texts)
    assert valid.all()
    assert ns.tolist() == [exact(t) for t in texts]


@given(st.integers(-(9 * 10**15), 9 * 10**15), st.integers(-40, 3))
def test_exponents_are_read_exactly(mantissa: int, exponent: int) -> None:
    digits = f"{mantissa}e{exponent}"
    expected = exact(digits)
    ns, valid = to_ns([digits])
    assert valid.tolist() == [-INT64 <= expected < INT64]
    assert ns[0] == expected or not valid[0]


@given(st.floats(-(2.0**43), 2.0**43))
def test_a_float_is_exact_to_the_nearest_nanosecond_below_2_to_the_43(number: float) -> None:
    ns, _ = to_ns([number])
    assert abs(int(ns[0]) - Decimal(number) * 1000) <= Decimal("0.5")


def test_scaling_a_float_in_one_step_would_be_off_by_one() -> None:
    digits = [f"4452886220079.{n:03}" for n in range(1000)]
    right = [exact(d) for d in digits]
    assert [round(float(d) * 1000) for d in digits] != right  # the trap
    assert to_ns([float(d) for d in digits])[0].tolist() == right


def test_beyond_2_to_the_43_the_digits_are_read_not_a_double() -> None:
    digits = [f"1712195495502094.{n:03}" for n in range(0, 1000, 37)]
    right = [exact(d) for d in digits]
    through_double = [exact(repr(orjson.loads(d))) for d in digits]
    assert through_double != right  # the trap
    events = ",".join(f'{{"ph":"X","cat":"cpu_op","name":"a","ts": {d},"dur":1}}' for d in digits)
    assert sk.load(f"[{events}]".encode()).ops["start_ns"].to_list() == right


@pytest.mark.parametrize(
    ("digits", "ns"),
    [
        ("0", 0), ("5", 5000), ("0.001", 1), ("-0.001", -1), ("1.0005", 1000), ("1.0015", 1002),
        ("0.0004999999", 0), ("0.00050000001", 1), ("15.880999999999998", 15881),
        ("4522206939905.2730000001", 4522206939905273), ("1e3", 1_000_000), ("1.5E-3", 2),
        ("1.712195495502094512e15", 1712195495502094512), ("9007199254740993", 9007199254740993000),
        ("8796093022208.001", 8796093022208001), ("8796093022207.999", 8796093022207999),
        ("9223372036854775.807", INT64 - 1), ("-9223372036854775.808", -INT64),
    ],
)  # fmt: skip
def test_known_values(digits: str, ns: int) -> None:
    assert loaded(digits)[0] == loaded(f'"{digits}"')[0] == ns


@pytest.mark.parametrize("blank", ["{}", " {} ", "{}\\n"])
def test_text_may_have_blanks_around(blank: str) -> None:
    assert loaded(f'"{blank.format("12.5")}"', f'"{blank.format("0.25")}"') == (12500, 250)


@pytest.mark.parametrize(
    "bad",
    ["null", '""', '"soon"', "true", "[]", "{}", '"nan"', '"Infinity"', "1e300", "-1e300",
     "99999999999999999", '"9223372036854775.808"', '"1_0"', '"0x10"', '"1.5.5"'],
)  # fmt: skip
def test_what_is_no_time_is_left_out_and_counted(bad: str) -> None:
    one = '{"ph":"X","cat":"cpu_op","name":"a","ts":%s,"dur":1}'
    trace = sk.load(f"[{one % bad}, {one % 5}, {one % '1.5'}]".encode())
    assert trace.ops["start_ns"].to_list() == [5000, 1500]
    assert health(trace)["unparsed_time"] == 1
    assert trace.health.filter(kind="unparsed_time")["example"].item() == 0


def test_an_end_beyond_int64_has_no_place() -> None:
    trace = sk.load([op("a", 9223372036854775, 1), op("b", 1, 1)])
    assert trace.ops["name"].to_list() == ["b"]
    assert health(trace)["unparsed_time"] == 1


def test_a_mix_of_integers_floats_and_text_is_read_each_as_it_is() -> None:
    given = [1, 2.5, "3.001", None, "x", 1712195495502094]
    ns, valid = to_ns(given)
    assert valid.tolist() == [True, True, True, False, False, True]
    assert ns[valid].tolist() == [1000, 2500, 3001, 1712195495502094000]


def test_rounding_start_and_duration_apart_makes_no_negative_time() -> None:
    trace = sk.load([kernel(1.0006, 0.0004), kernel(1.4, 0.3)])
    assert trace.work.select("start_ns", "dur_ns").rows() == [(1001, 0), (1400, 300)]


def test_names_and_other_keys_that_look_like_times_are_left_alone() -> None:
    name = 'x","ts":1712195495502094.512'
    text = orjson.dumps([op(name, 1, 1, **{"ts ": 1}), op("b", 1712195495502094.5, 1)])
    assert sk.load(text).ops["name"].to_list() == [name, "b"]
    plain = orjson.dumps([op("b", 12.5, 1)])
    assert keep_digits(plain) is plain


@pytest.mark.parametrize("number", ["1712195495502094.512", "4522206939905.2734"])
def test_quoting_the_digits_changes_nothing_but_them(number: str) -> None:
    text = f'[{{"ts" : {number}, "args": {{"dur": 1.5}}}}]'.encode()
    events: list[Any] = orjson.loads(keep_digits(text))
    assert events == [{"ts": number, "args": {"dur": 1.5}}]


def test_a_file_from_1970_nests_without_a_violation_only_when_read_exactly() -> None:
    path = fixture_path("ns_resolution")
    assert "badly_nested_op" not in health(sk.load(path))
    assert sk.load(path).ops["start_ns"].to_list()[0] % 1000 != 0


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1))
def test_a_median_is_half_to_even(values: list[int]) -> None:
    middle = [Fraction(v) for v in sorted(values)][(len(values) - 1) // 2 : len(values) // 2 + 1]
    assert median_of(np.array(values, np.int64)) == round(sum(middle) / len(middle))
