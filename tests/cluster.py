"""Literal traces of several ranks: compute, then all-reduces that end together."""

from __future__ import annotations

from typing import Any

from helpers import Event, call, kernel, op

import skiptrace as sk

NCCL = "ncclDevKernel_AllReduce_Sum_f32_RING_LL"


def reduce(ts: Any, dur: Any, corr: int, **args: Any) -> Event:
    """An all-reduce of 1000 floats over ranks 0 to 2."""
    recorded = {
        "Collective name": "allreduce", "In msg nelems": 1000, "Out msg nelems": 1000,
        "dtype": "Float", "Group size": 3, "Process Group Name": "0",
        "Process Group Ranks": "[0, 1, 2]",
    }  # fmt: skip
    name = args.pop("kernel", NCCL)
    return kernel(ts, dur, corr, name, stream=20, **recorded | args)


def document(rank: int | None, events: list[Event], **header: Any) -> dict[str, Any]:
    """A trace with its header."""
    info = {} if rank is None else {"distributedInfo": {"rank": rank, "world_size": 3} | header}
    return {"traceEvents": events, **info}


def rank_events(start: float, end: float, shift: float = 0, corr: int = 1) -> list[Event]:
    """Compute of 10 us, then one all-reduce from `start` to `end`; all later by `shift`."""
    return [
        op("aten::mm", shift, 6),
        call("cudaLaunchKernel", shift + 1, 2, corr),
        kernel(shift + 4, 10, corr, "gemm"),
        op("c10d::allreduce_", shift + 10, 6),
        call("cudaLaunchKernelExC", shift + 12, 2, corr + 1),
        reduce(shift + start, end - start, corr + 1),
    ]


def three(shifts: tuple[float, ...] = (0, 0, 0)) -> sk.Ranks:
    """Arrivals at 20, 30 and 45 us; all end at 60."""
    starts = (20, 30, 45)
    return sk.load_ranks(
        {
            rank: sk.load(document(rank, rank_events(start, 60, shift)))
            for rank, (start, shift) in enumerate(zip(starts, shifts, strict=True))
        }
    )
