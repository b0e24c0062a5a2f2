"""Values by row and rows by value."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skiptrace.lookup import occurring, shared


@given(st.lists(st.integers(-3, 9), max_size=12))
def test_shared_places_are_those_whose_value_occurs_again(values: list[int]) -> None:
    found = shared(np.array(values, np.int64)).tolist()
    assert found == [i for i, value in enumerate(values) if values.count(value) > 1]


@given(st.lists(st.integers(-1, 5), max_size=12))
def test_codes_that_occur_are_found_in_order_without_those_of_nothing(codes: list[int]) -> None:
    found = occurring(np.array(codes, np.int32), 5).tolist()
    assert found == sorted({code for code in codes if 0 <= code < 5})
