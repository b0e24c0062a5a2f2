"""What an event is, by its category, and what an API call does, by its name: the two tables.

Everything else in the library joins and measures; only these tables know writers and vendors.
What a *launch* is, is not decided here: a launch is a call that has work.
"""

from __future__ import annotations

import re

import polars as pl

WORK_KINDS = {
    "kernel": "kernel", "Kernel": "kernel", "mtia_ccp_events": "kernel",
    "gpu_memcpy": "memcpy", "Memcpy": "memcpy",
    "gpu_memset": "memset", "Memset": "memset",
}  # fmt: skip
"""Category of device work (current, 2021 and MTIA writers) -> kind of work."""

OPS = ("cpu_op", "Operator")
ANNOTATIONS = ("user_annotation",)
PYTHON = ("python_function",)
CALL_SUFFIXES = ("_runtime", "_driver")
"""CUDA, XPU, MTIA and PrivateUse1 name their own; ROCm writes ``cuda_runtime``."""
LEGACY_CALLS = ("Runtime", "Driver")
OVERHEAD = ("overhead",)
SYNCS = ("cuda_sync",)
NEEDED = re.compile("|".join((*OPS, *WORK_KINDS, r"\w*_(?:runtime|driver)", *LEGACY_CALLS)))
"""Categories without which figures say something else: what the host did, and what ran."""
OWN = "skiptrace"
"""Category of the tracks that `sk.annotate` adds."""
UNUSED = ("gpu_user_annotation", "cuda_event", "Trace", OWN)
"""Understood, and not part of any figure."""

STEP_NAME = r"^ProfilerStep#\d+$"
"""A host event of this name is a step, whatever its category."""

# What an API call does. Case does not matter; the first table that fits does not end the search,
# since a call may both free memory and wait. CUDA, HIP, then Level Zero / Unified Runtime (XPU).
WAITS = (
    r"(?i)(?:stream|device|event|ctx|context|thread|queue|fence|list|host)Synchronize"
    r"|^aclrtSynchronize|::Await$|^(?:ur|pi)(?:QueueFinish|EventWait$|EventsWait$)"
)
"""Returns only when work on the device has ended."""
ALLOCATES = (
    r"(?i)^(?:cuda|cu|hip)(?:Ext)?(?:Malloc|Free|HostAlloc|HostMalloc|HostFree|MemAlloc|MemFree"
    r"|MemHostAlloc|HostRegister|HostUnregister|MemHostRegister|MemHostUnregister"
    r"|MemCreate|MemRelease|MemMap|MemUnmap|MemSetAccess|MemAddressReserve|MemAddressFree"
    r"|MemPoolCreate|MemPoolDestroy|MemPoolTrim|ArrayCreate|ArrayDestroy)"
    r"|^zeMem(?:Alloc|Free)|^(?:ur|pi)\w*USM\w*(?:Alloc|Free)"
)
"""Allocates or frees device or pinned memory."""
COPIES = r"(?i)memcpy|MemoryCopy|MemBufferCopy"
"""Copies memory: blocking unless its name says otherwise (`Async`; a node of a graph), and
whatever its name if it returned only after its work had ended."""
COPIES_ASYNC = r"(?i)async|AppendMemoryCopy|Enqueue|Graph|^Memcpy(?:[HDP]2[HDP]|Other)$"
"""XLA names its calls by what they copy; those that block are known by when their work ended."""
STREAM_WAITS = r"(?i)StreamWait(?:Event|Value)|EnqueueEventsWait|EnqueueDeviceGlobalWait"
"""Tells a stream, not the host, to wait."""
STREAM_WAIT_RECORD = r"(?i)wait event"
"""The same, as the kind of a `cuda_sync` record."""
COLLECTIVES = r"(?i)nccl|rccl|oneccl|c10d|AllReduce|AllGather|ReduceScatter|AllToAll"
"""Work that may wait inside, or before it, for its peers on other devices."""
DATALOADER = r"DataLoader"
"""Annotations and operators under which the host prepares input."""

LAUNCH_GRAPH = r"(?i)GraphLaunch"
LAUNCH_KERNEL = r"(?i)Launch(?:Cooperative|Host)?Kernel|AppendLaunch|EnqueueKernelLaunch"
"""Both only for health: launches whose works seem to be missing. Neither decides a link."""


def is_call() -> pl.Expr:
    """Whether ``cat`` names calls of a runtime or driver API."""
    cat = pl.col("cat")
    suffix = cat.str.ends_with(CALL_SUFFIXES[0])
    for other in CALL_SUFFIXES[1:]:
        suffix = suffix | cat.str.ends_with(other)
    return suffix | cat.is_in(LEGACY_CALLS)


ROLES = (
    "not understood", "op", "annotation", "step", "call", "work", "python", "overhead", "sync",
    "unused",
)  # fmt: skip
"""What an event can be."""


ON_HOST = ("op", "annotation", "python", "step", "overhead")
"""Those that are nothing but a time on a thread."""


def may_be_step() -> pl.Expr:
    """Whether an event of a category is a step, if it is named like one and is no annotation."""
    return ~pl.col("cat").is_in([*WORK_KINDS, *SYNCS, *UNUSED, *OVERHEAD, *ANNOTATIONS])


def role() -> pl.Expr:
    """Role of each ``cat``; null for one that is not understood, which health counts."""
    cat = pl.col("cat")
    return (
        pl.when(cat.is_in(list(WORK_KINDS))).then(pl.lit("work"))
        .when(cat.is_in(OPS)).then(pl.lit("op"))
        .when(is_call()).then(pl.lit("call"))
        .when(cat.is_in(ANNOTATIONS)).then(pl.lit("annotation"))
        .when(cat.is_in(PYTHON)).then(pl.lit("python"))
        .when(cat.is_in(OVERHEAD)).then(pl.lit("overhead"))
        .when(cat.is_in(SYNCS)).then(pl.lit("sync"))
        .when(cat.is_in(UNUSED)).then(pl.lit("unused"))
    )  # fmt: skip
