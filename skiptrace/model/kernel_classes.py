"""Which class a kernel is of, by its name: one table, which callers can replace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import polars as pl

from skiptrace.errors import RulesError
from skiptrace.intervals import Bools
from skiptrace.model.categories import COLLECTIVES
from skiptrace.model.trace import Trace

Classes: TypeAlias = Mapping[str, str]
"""Class -> regular expression, searched anywhere in a kernel's name; the first that fits counts."""

COMMUNICATION, OTHER = "communication", "other"

CLASSES: Classes = {
    COMMUNICATION: COLLECTIVES,
    "triton": r"^triton_|^_\w+_kernel$",
    "attention": r"(?i)flash_(?:fwd|bwd)|flash_?attn|fmha|attention|sdpa|mha_",
    "convolution": (
        r"(?i)conv(?!ert)|scudnn|winograd|[wd]grad|fprop|fft2d|im2col|nchwToNhwc|nhwcToNchw"
    ),
    "gemm": r"(?i)gemm|gemv|gemmk1|nvjet|^Cijk_|cutlass\w*::Kernel2?<|splitK|matmul|cublasLt|xmma",
    "elementwise": r"(?i)elementwise|multi_tensor_apply|CatArray|dropout_kernel",
    "reduction": (
        r"(?i)reduce|reduction|softmax|(?:layer|batch|rms|group)_?norm|bn_[fb]w|RowwiseMoments"
        r"|GammaBeta|scan|argm(?:ax|in)"
    ),
}
"""Rules for kernels of PyTorch, cuBLAS, cuDNN, CUTLASS, Composable Kernel, Triton, NCCL and RCCL.
Norms and softmax count as reductions; what fits no rule is `other`."""


def class_names(classes: Classes | None = None) -> list[str]:
    """Every class that `classes_of` can give."""
    return list(dict.fromkeys([*(CLASSES if classes is None else classes), OTHER]))


def classes_of(names: pl.Series, classes: Classes | None = None) -> pl.Series:
    """Class of each kernel by its name. Each different name is looked at once.

    Raises
    ------
    RulesError
        `classes` is no mapping of names to regular expressions.
    """
    rules = _compiled(CLASSES if classes is None else classes)
    different = names.drop_nulls().unique()
    found = [
        next((name for name, rule in rules if rule.search(kernel)), OTHER) for kernel in different
    ]
    table = pl.Series(found, dtype=pl.String)
    return names.replace_strict(different, table, default=OTHER, return_dtype=pl.String)


def is_communication(trace: Trace, work: pl.DataFrame, classes: Classes | None = None) -> Bools:
    """Kernels of class `communication`, by name or, whatever the name, by their arguments."""
    kernel = (work["kind"] == "kernel").fill_null(value=False).to_numpy()
    named = (classes_of(work["name"], classes) == COMMUNICATION).to_numpy()
    recorded = trace.whole.collectives
    if len(recorded):
        named = named | np.isin(work["id"].to_numpy(), recorded.to_numpy())
    return np.asarray(kernel & named, np.bool_)


def _compiled(classes: Classes) -> list[tuple[str, re.Pattern[str]]]:
    asked: object = classes
    if not isinstance(asked, Mapping):
        raise RulesError.no_mapping(classes)
    rules = []
    for name, pattern in asked.items():
        try:
            rules.append((str(name), re.compile(pattern)))
        except (TypeError, re.error) as error:
            raise RulesError.bad(name, pattern, str(error)) from error
    return rules
