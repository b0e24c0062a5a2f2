"""Operations and bytes of operators, by formulas over their recorded shapes."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple, TypeAlias

Shape: TypeAlias = tuple[int, ...]


class Call(NamedTuple):
    """What was recorded of an operator's inputs."""

    shapes: tuple[Shape | None, ...]
    """Of each input its shape: `()` of a scalar; None of a list of tensors."""
    values: tuple[Any, ...]
    """`Concrete Inputs`, where recorded: scalars and lists as text."""


class Work(NamedTuple):
    """Floating-point operations, and elements moved at least: inputs once, output once."""

    flops: int
    output: int
    """Elements of the output; of the inputs all are read."""


Formula: TypeAlias = Callable[[Call], Work]


class UnfitError(Exception):
    """Shapes that a formula has no use for."""


def _matrix(left: Shape, right: Shape) -> Work:
    """A batch of products of (m, k) and (k, n): 2 m n k each."""
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
        raise UnfitError
    batch = prod(left[:-2])
    m, k, n = left[-2], left[-1], right[-1]
    return Work(2 * batch * m * n * k, batch * m * n)


def _tensor(call: Call, place: int) -> Shape:
    shape = call.shapes[place] if place < len(call.shapes) else None
    if not shape:
        raise UnfitError
    return shape


def _mm(call: Call) -> Work:
    return _matrix(_tensor(call, 0), _tensor(call, 1))


def _addmm(call: Call) -> Work:
    """And the sum with the first input: another operation an element."""
    product = _matrix(_tensor(call, 1), _tensor(call, 2))
    return Work(product.flops + product.output, product.output)


def _linear(call: Call) -> Work:
    left, weight = _tensor(call, 0), _tensor(call, 1)
    rows = prod(left[:-1])
    product = _matrix((rows, left[-1]), (weight[-1], prod(weight[:-1])))
    has_bias = len(call.shapes) > 2 and bool(call.shapes[2])
    return Work(product.flops + product.output * has_bias, product.output)


def _numbers(call: Call, place: int) -> list[int]:
    text = call.values[place] if place < len(call.values) else None
    if isinstance(text, list):
        return [int(n) for n in text]
    if isinstance(text, str) and re.fullmatch(r"\[?[-\d, ]+\]?", text):
        return [int(n) for n in re.findall(r"-?\d+", text)]
    raise UnfitError


def _conv(stride: int, padding: int, dilation: int, transposed: int | None) -> Formula:
    """2 x output elements x inputs of each: channels of a group x size of the kernel.

    The arguments are the places of the options among the inputs.
    """

    def formula(call: Call) -> Work:
        image, weight = _tensor(call, 0), _tensor(call, 1)
        space = len(weight) - 2
        if len(image) != len(weight) or space < 1:
            raise UnfitError
        if transposed is not None and call.values[transposed : transposed + 1] not in (
            ("False",), ("0",), (False,),
        ):  # fmt: skip
            raise UnfitError

        def option(place: int) -> list[int]:
            given = _numbers(call, place)
            return given * space if len(given) == 1 else given

        out = [
            (size + 2 * pad - spread * (kernel - 1) - 1) // step + 1
            for size, kernel, step, pad, spread in zip(
                image[2:], weight[2:], option(stride), option(padding), option(dilation),
                strict=True,
            )
        ]  # fmt: skip
        output = image[0] * weight[0] * prod(out)
        return Work(2 * output * prod(weight[1:]), output)

    return formula


def _conv_backward(call: Call) -> Work:
    """As many operations as forward, for the gradient of the input and of the weight each."""
    gradient, image, weight = (_tensor(call, place) for place in range(3))
    options = call.values[7:11:3]
    if len(options) < 2 or str(options[0]) not in ("False", "0"):
        raise UnfitError
    of_input, of_weight = (word == "True" for word in re.findall("True|False", str(options[1]))[:2])
    once = 2 * prod(gradient) * prod(weight[1:])
    output = prod(image) * of_input + prod(weight) * of_weight
    return Work(once * (of_input + of_weight), output)


def _attention(call: Call) -> Work:
    """Two products, queries x keys and weights x values; softmax and masks are left out."""
    q, k, v = (_tensor(call, place) for place in range(3))
    if not len(q) == len(k) == len(v) == 4:
        raise UnfitError
    batch, heads, rows, depth = q
    return Work(2 * batch * heads * rows * k[2] * (depth + v[3]), prod(q[:3]) * v[3])


def _elementwise(per_element: int, inputs: int | None = None) -> Formula:
    """So many operations for each element of the broadcast inputs."""

    def formula(call: Call) -> Work:
        shapes = [s for s in call.shapes[:inputs] if s]
        if not shapes:
            raise UnfitError
        size = prod(_broadcast(shapes))
        return Work(per_element * size, size)

    return formula


def _broadcast(shapes: list[Shape]) -> Shape:
    length = max(map(len, shapes))
    padded = [(1,) * (length - len(s)) + s for s in shapes]
    sizes = list(zip(*padded, strict=True))
    if any(len({n for n in size if n != 1}) > 1 for size in sizes):
        raise UnfitError
    return tuple(max((n for n in size if n != 1), default=1) for size in sizes)


def _embedding(call: Call) -> Work:
    """Rows are copied: no operation. Only the rows that are asked for are read."""
    return Work(0, prod(_tensor(call, 1)) * _tensor(call, 0)[-1])


def _of_first(per_element: int) -> Formula:
    """So many operations for each element of the first input, which the output is like."""

    def formula(call: Call) -> Work:
        size = prod(_tensor(call, 0))
        return Work(per_element * size, size)

    return formula


_POINTWISE = (
    "add", "sub", "rsub", "mul", "div", "neg", "abs", "pow", "sqrt", "rsqrt", "exp", "log", "tanh",
    "sigmoid", "relu", "gelu", "silu", "sin", "cos", "maximum", "minimum", "clamp", "threshold",
    "where", "masked_fill", "eq", "ne", "lt", "le", "gt", "ge", "bitwise_and", "bitwise_not",
    "bitwise_or", "logical_and", "logical_not", "reciprocal", "square", "dropout",
    "native_dropout", "leaky_relu", "hardtanh",
)  # fmt: skip
_MOVES = ("copy_", "fill_", "zero_")
_OVERWRITES = {f"aten::{name}": 0 for name in _MOVES}
"""Do not read the first input, which they write."""
_NORMS = ("native_layer_norm", "layer_norm", "_softmax", "_log_softmax", "native_batch_norm",
          "cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_with_update", "native_group_norm",
          "_fused_rms_norm", "rms_norm")  # fmt: skip

FORMULAS: dict[str, Formula] = {
    "aten::mm": _mm,
    "aten::bmm": _mm,
    "aten::addmm": _addmm,
    "aten::_addmm_activation": _addmm,
    "aten::baddbmm": _addmm,
    "aten::linear": _linear,
    "aten::convolution": _conv(3, 4, 5, 6),
    "aten::_convolution": _conv(3, 4, 5, 6),
    **{f"aten::conv{n}d": _conv(3, 4, 5, None) for n in (1, 2, 3)},
    "aten::cudnn_convolution": _conv(3, 2, 4, None),
    "aten::convolution_backward": _conv_backward,
    "aten::miopen_convolution": _conv(4, 3, 5, None),
    **dict.fromkeys(
        (
            "aten::scaled_dot_product_attention", "aten::_scaled_dot_product_flash_attention",
            "aten::_scaled_dot_product_efficient_attention",
            "aten::_scaled_dot_product_cudnn_attention",
            "aten::_scaled_dot_product_attention_math",
        ),
        _attention,
    ),
    "aten::embedding": _embedding,
    **{f"aten::{name}{end}": _elementwise(1) for name in _POINTWISE for end in ("", "_")},
    **{f"aten::{name}": _elementwise(0, 1) for name in _MOVES},
    **{f"aten::{name}": _of_first(5) for name in _NORMS},
}  # fmt: skip
"""Operator -> its formula. A product of (m, k) and (k, n) is 2 m n k operations; whatever works
on elements is one for each, norms and softmax are five: conventions, not counts of instructions."""

SIZES = {
    "double": 8, "float": 4, "c10::half": 2, "half": 2, "c10::bfloat16": 2, "bfloat16": 2,
    "long int": 8, "long": 8, "int": 4, "short int": 2, "signed char": 1, "unsigned char": 1,
    "bool": 1, "c10::float8_e4m3fn": 1, "c10::float8_e5m2": 1, "c10::float8_e4m3fnuz": 1,
    "c10::float8_e5m2fnuz": 1, "c10::complex<float>": 8, "c10::complex<double>": 16,
}  # fmt: skip
"""`Input type`, in lower case -> bytes of an element."""

DTYPES = {
    "double": "float64", "float": "float32", "c10::half": "float16", "half": "float16",
    "c10::bfloat16": "bfloat16", "bfloat16": "bfloat16", "signed char": "int8",
    "c10::float8_e4m3fn": "float8", "c10::float8_e5m2": "float8", "c10::float8_e4m3fnuz": "float8",
    "c10::float8_e5m2fnuz": "float8",
}  # fmt: skip
"""`Input type`, in lower case -> key of a peak."""


def work_of(name: str, dims: Any, values: Any) -> Work | None:  # noqa: ANN401  whatever JSON holds
    """Operations and output of an operator; None where no formula fits what was recorded."""
    formula = FORMULAS.get(name)
    if formula is None or not isinstance(dims, list):
        return None
    call = Call(tuple(map(_shape, dims)), tuple(values) if isinstance(values, list) else ())
    try:
        return formula(call)
    except (UnfitError, ValueError, ZeroDivisionError):
        return None


def _shape(dims: Any) -> Shape | None:  # noqa: ANN401
    if isinstance(dims, list) and all(type(n) is int for n in dims):
        return tuple(dims)
    return None


def bytes_of(
    name: str,
    dims: Any,  # noqa: ANN401
    types: Any,  # noqa: ANN401
    output: int,
    strides: Any = None,  # noqa: ANN401
) -> int | None:
    """Bytes of all inputs, and of an output of the first input's type; None where one is unknown.

    A gather of rows (`aten::embedding`) reads those that it returns, not the whole table. What is
    broadcast counts once, as it lies in memory: along a stride of 0 there is one element.
    """
    if not isinstance(types, list) or not isinstance(dims, list) or len(types) != len(dims):
        return None
    if not isinstance(strides, list) or len(strides) != len(dims):
        strides = [None] * len(dims)
    moved = 0
    first = None
    for place, (shape, kind) in enumerate(zip(map(_shape, dims), types, strict=True)):
        if not shape:  # a scalar, an absent input, or a list
            continue
        size = SIZES.get(str(kind).lower())
        if size is None:
            return None
        first = size if first is None else first
        elements = _elements(shape, _shape(strides[place]))
        if place == 0:
            elements = {"aten::embedding": output, **_OVERWRITES}.get(name, elements)
        moved += elements * size
    return None if first is None else moved + output * first


def _elements(shape: Shape, strides: Shape | None) -> int:
    """How many different elements a tensor has; all, where its strides are not known."""
    if strides is None or len(strides) != len(shape):
        return prod(shape)
    return prod(n for n, step in zip(shape, strides, strict=True) if step or not n)


def dtype_of(types: Any) -> str | None:  # noqa: ANN401
    """Data type of the first input that is one of a peak."""
    known = (DTYPES.get(str(kind).lower()) for kind in types) if isinstance(types, list) else ()
    return next((dtype for dtype in known if dtype), None)
