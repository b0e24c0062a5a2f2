"""The arithmetic behind the split of `t_l`, against plain loops."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from helpers import call, kernel
from hypothesis import given
from hypothesis import strategies as st

import skiptrace as sk
from skiptrace.errors import FloorError
from skiptrace.model.launches import _range_max

NONE = np.iinfo(np.int64).min


@given(st.data(), st.lists(st.integers(-50, 50), min_size=1, max_size=40))
def test_the_maximum_of_any_range(data: st.DataObject, values: list[int]) -> None:
    places = st.integers(0, len(values))
    pairs = data.draw(st.lists(st.tuples(places, places), min_size=1, max_size=20))
    starts, stops = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    found = _range_max(np.array(values, np.int64), starts, stops)
    assert found.tolist() == [max(values[a:b], default=NONE) for a, b in pairs]


@given(st.lists(st.sampled_from("oxy"), min_size=1, max_size=24), st.randoms())
def test_works_of_a_launch_are_never_ahead_of_it(kinds: list[str], rng: Random) -> None:
    """Two graphs, "x" and "y", among works of others on one stream, copies before their kernels."""
    events = [call("cudaGraphLaunch", 0, 1, 1), call("cudaGraphLaunch", 0, 1, 2)]
    works = []
    for i, owner in enumerate([*kinds, "x", "y"]):
        start, dur = 10 + 2 * i, rng.randrange(1, 9)
        works.append((start, start + dur, owner))
        correlation = {"x": 1, "y": 2, "o": 100 + i}[owner]
        kind = "gpu_memcpy" if owner != "o" and i < len(kinds) else "kernel"
        events.append(kernel(start, dur, correlation, cat=kind))
        if owner == "o":
            events.append(call("cudaLaunchKernel", 1, 1, correlation))
    launches = sk.load(events).launches.filter(name="cudaGraphLaunch")
    for owner, (first, _, _), found in zip("xy", works[-2:], launches["ahead_ns"], strict=True):
        ahead = [end for start, end, other in works if start < first and other != owner]
        assert found == (max(ahead) * 1000 if ahead else None)


ONE = sk.load([call("cudaLaunchKernel", 0, 1, 1), kernel(5, 1, 1)])


@pytest.mark.parametrize("value", [2**62 - 1, 0])
def test_a_floor_may_be_any_time_that_adds_up(value: int) -> None:
    assert sk.tklqt(ONE, floor=value)["tklqt_ns"].to_list() == [5000]


@pytest.mark.parametrize("value", [2**62, -1, 1.5, True])
def test_a_floor_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(FloorError):
        sk.tklqt(ONE, floor=value)


def test_a_floor_is_of_launches_onto_an_idle_device_alone() -> None:
    """Pairs of launches: the second of each waits behind a long work; so does the first work."""
    events = [kernel(0, 5)]
    for i in range(12):
        at, pair = 1000 * (i + 1), (2 * i + 1, 2 * i + 2)
        events += [call("cudaLaunchKernel", at + 2 * n, 1, pair[n]) for n in (0, 1)]
        events += [kernel(at + 3 + i % 3, 500, pair[0]), kernel(at + 600 + i, 5, pair[1])]
    floors = sk.load(events).whole.floors
    assert (floors.ns["kernel"], floors.source["kernel"]) == (4000, "median")
