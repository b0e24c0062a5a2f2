"""Operations by formula against loops that do them one by one, and PyTorch's own formulas."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skiptrace.measure.flops import work_of

SIZE = st.integers(1, 4)
SHAPE = tuple[int, ...]


def multiplied(left: SHAPE, right: SHAPE) -> int:
    """Operations of a product of matrices, each multiplication and each addition by itself."""
    done = 0
    for _ in product(*map(range, left[:-2])):
        for _row, _column in product(range(left[-2]), range(right[-1])):
            for _inner in range(left[-1]):
                done += 2  # multiply, and add to the sum
    return done


def bmm(batch: int, m: int, k: int, n: int) -> int:
    """`bmm_flop` of `torch.utils.flop_counter`."""
    return batch * m * n * 2 * k


def sdpa(q: SHAPE, k: SHAPE, v: SHAPE) -> int:
    """`sdpa_flop_count` of `torch.utils.flop_counter`: two products for each head."""
    b, h, rows, depth = q
    return bmm(b * h, rows, depth, k[2]) + bmm(b * h, rows, k[2], v[3])


def conv(image: SHAPE, weight: SHAPE, out: SHAPE) -> int:
    """`conv_flop_count` of `torch.utils.flop_counter`, not transposed."""
    return image[0] * prod(weight) * prod(out) * 2


@given(SIZE, SIZE, SIZE, SIZE)
def test_products_of_matrices(batch: int, m: int, k: int, n: int) -> None:
    left, right = [m, k], [k, n]
    once = multiplied((m, k), (k, n))
    assert once == bmm(1, m, k, n)
    of_batch, sums = multiplied((batch, m, k), (batch, k, n)), batch * m * n
    assert of_batch == bmm(batch, m, k, n)
    for name, dims, flops in (
        ("aten::mm", [left, right], once),
        # PyTorch leaves out the sum with the first input; here it counts once an element.
        ("aten::addmm", [[n], left, right], once + m * n),
        ("aten::_addmm_activation", [[n], left, right], once + m * n),
        ("aten::bmm", [[batch, *left], [batch, *right]], of_batch),
        ("aten::baddbmm", [[batch, m, n], [batch, *left], [batch, *right]], of_batch + sums),
        ("aten::linear", [[batch, m, k], [n, k], []], of_batch),
        ("aten::linear", [[batch, m, k], [n, k], [n]], of_batch + sums),
    ):  # fmt: skip
        found = work_of(name, dims, None)
        assert found is not None
        assert found.flops == flops, name


@given(SIZE, SIZE, SIZE, SIZE, SIZE, SIZE)
def test_attention(b: int, h: int, rows: int, keys: int, depth: int, value_depth: int) -> None:
    q, k, v = (b, h, rows, depth), (b, h, keys, depth), (b, h, keys, value_depth)
    done = 0
    for _head in product(range(b), range(h)):
        for _query, _key in product(range(rows), range(keys)):
            done += 2 * depth  # their score
            done += 2 * value_depth  # the value, by its weight
    assert done == sdpa(q, k, v)
    for kind in ("flash", "efficient", "cudnn"):
        dims = [[*shape] for shape in (q, k, v)]
        found = work_of(f"aten::_scaled_dot_product_{kind}_attention", dims, None)
        assert found is not None
        assert found.flops == done


def slid(size: int, kernel: int, step: int, pad: int, spread: int) -> int:
    """Places of a kernel that lies inside the padded image, one by one."""
    return sum(
        all(place + tap * spread < size + 2 * pad for tap in range(kernel))
        for place in range(0, size + 2 * pad, step)
    )


@settings(max_examples=60)
@given(st.data(), st.integers(1, 3), SIZE, SIZE, st.integers(1, 2), st.integers(1, 2))
def test_convolutions(
    data: st.DataObject, space: int, batch: int, per_group: int, groups: int, wide: int
) -> None:
    def each(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(space)]

    kernel, step, pad, spread = each(1, 3), each(1, 3), each(0, 2), each(1, 2)
    least = [n * (s - 1) + 1 for n, s in zip(spread, kernel, strict=True)]
    size = [one + more for one, more in zip(least, each(0, 4), strict=True)]
    out = tuple(map(slid, size, kernel, step, pad, spread))
    channels = groups * wide
    image, weight = [batch, groups * per_group, *size], [channels, per_group, *kernel]
    done = 0
    for _ in product(range(batch), range(channels), *map(range, out)):
        for _tap in product(range(per_group), *map(range, kernel)):
            done += 2
    assert done == conv(tuple(image), tuple(weight), out)
    dims = [image, weight, [], [], [], [], [], [], []]
    options = [str(option) for option in (step, pad, spread)]
    calls = {
        "aten::convolution": ["", "", "", *options, "False", "[0]", str(groups)],
        f"aten::conv{space}d": ["", "", "", *options, str(groups)],
        "aten::cudnn_convolution": ["", "", options[1], options[0], options[2], str(groups)],
        "aten::miopen_convolution": ["", "", "", options[1], options[0], options[2], str(groups)],
    }
    for name, values in calls.items():
        found = work_of(name, dims, values)
        assert found is not None
        assert (found.flops, found.output) == (done, batch * channels * prod(out)), name
    # Each gradient is made of the same products.
    for of_input, of_weight in product((False, True), repeat=2):
        mask = f"[{of_input}, {of_weight}, False]"
        values = [""] * 7 + ["False", "[0]", str(groups), mask]
        gradient = [batch, channels, *out]
        found = work_of("aten::convolution_backward", [gradient, image, weight], values)
        assert found is not None
        assert found.flops == done * (of_input + of_weight)


@pytest.mark.parametrize(("left", "right", "size"), [
    ([3, 1, 4], [2, 4], 24), ([5], [], 5), ([2, 1], [1, 3], 6), ([0, 3], [3], 0),
])  # fmt: skip
def test_elementwise(left: list[int], right: list[int], size: int) -> None:
    found = work_of("aten::mul", [left, right], None)
    assert found is not None
    assert found.flops == size
