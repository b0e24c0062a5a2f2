"""What devices can do at most: operations per second by data type, and bytes per second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from skiptrace.errors import UnknownKeyError

T = 1e12
DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16", "float8", "int8")
"""Data types that have a peak; `tf32` is that of convolutions of `float32`."""


@dataclass(frozen=True)
class Peak:
    """Upper bounds of a device, dense (without structured sparsity)."""

    bytes_per_s: float | None = None
    """Memory bandwidth, bytes per second."""
    flops_per_s: Mapping[str, float] = field(default_factory=dict)
    """Data type, one of `DTYPES` -> operations per second of matrix units, or of the plain ones
    where those have none of it."""

    def __post_init__(self) -> None:
        for dtype in self.flops_per_s:
            if dtype not in DTYPES:
                raise UnknownKeyError.of("data type in flops_per_s", dtype, DTYPES)


def _peak(terabytes: float, **teraflops: float) -> Peak:
    return Peak(terabytes * T, {dtype: value * T for dtype, value in teraflops.items()})


PEAKS: dict[str, Peak] = {
    # NVIDIA DGX B200 datasheet, an eighth of it.
    r"B200|GB200": _peak(8.0, float64=37, float32=75, tf32=1125, bfloat16=2250, float16=2250,
                   float8=4500, int8=4500),
    # NVIDIA GH200 datasheet: 144 GB of HBM3e, and 96 GB of HBM3.
    r"GH200 144G": _peak(4.9, float64=67, float32=67, tf32=494.7, bfloat16=989.4, float16=989.4,
                           float8=1978.9, int8=1978.9),
    r"GH200": _peak(4.0, float64=67, float32=67, tf32=494.7, bfloat16=989.4, float16=989.4,
                        float8=1978.9, int8=1978.9),
    # NVIDIA H200 datasheet (SXM).
    r"H200": _peak(4.8, float64=67, float32=67, tf32=494.7, bfloat16=989.4, float16=989.4,
                   float8=1978.9, int8=1978.9),
    # NVIDIA H100 datasheet: PCIe, NVL, then SXM.
    r"H100 PCIe": _peak(2.0, float64=51, float32=51, tf32=378, bfloat16=756, float16=756,
                        float8=1513, int8=1513),
    r"H100 NVL": _peak(3.9, float64=60, float32=60, tf32=417.5, bfloat16=835, float16=835,
                       float8=1671, int8=1671),
    r"H100": _peak(3.35, float64=67, float32=67, tf32=494.7, bfloat16=989.4, float16=989.4,
                   float8=1978.9, int8=1978.9),
    # NVIDIA A100 datasheet: 80 GB as a card and SXM, 40 GB.
    r"A100 80GB PCIe": _peak(1.935, float64=19.5, float32=19.5, tf32=156, bfloat16=312,
                                 float16=312, int8=624),
    r"A100.*80GB": _peak(2.039, float64=19.5, float32=19.5, tf32=156, bfloat16=312,
                         float16=312, int8=624),
    r"A100": _peak(1.555, float64=19.5, float32=19.5, tf32=156, bfloat16=312, float16=312,
                   int8=624),
    # NVIDIA V100 datasheet: SXM2 32 GB.
    r"V100": _peak(0.9, float64=7.8, float32=15.7, float16=125),
    # NVIDIA L40S and A10 datasheets.
    r"L40S": _peak(0.864, float32=91.6, tf32=183, bfloat16=362, float16=362, float8=733,
                       int8=733),
    r"A10": _peak(0.6, float32=31.2, tf32=62.5, bfloat16=125, float16=125, int8=250),
    # AMD Instinct data sheets: MI355X, MI325X, MI300X, MI210.
    r"MI355X": _peak(8.0, float64=78.6, float32=157.3, bfloat16=2516.6, float16=2516.6,
                     float8=5033.2, int8=5033.2),
    r"MI325X": _peak(6.0, float64=163.4, float32=163.4, bfloat16=1307.4, float16=1307.4,
                     float8=2614.9, int8=2614.9),
    r"MI300X": _peak(5.3, float64=163.4, float32=163.4, bfloat16=1307.4, float16=1307.4,
                     float8=2614.9, int8=2614.9),
    r"MI210": _peak(1.6, float64=45.3, float32=45.3, bfloat16=181, float16=181, int8=181),
}  # fmt: skip
"""Regular expression for whole words of a device's name -> its bounds; the first that fits counts.
From the makers' data sheets, dense, at boost clock. `tf32` bounds convolutions of `float32`, for
which PyTorch allows it by default, and `float32` all else."""
