"""What an event is, by its category, and what an API call does, by its name: the two tables.

Everything else in the library joins and measures; only these tables know writers and vendors.
What a *launch* is, is not decided here: a launch is a call that has work.
"""

from __future__ import annotations

import re

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


ROLES = (
    "not understood", "op", "annotation", "step", "call", "work", "python", "overhead", "sync",
    "unused",
)  # fmt: skip
"""What an event can be."""


ON_HOST = ("op", "annotation", "python", "step", "overhead")
"""Those that are nothing but a time on a thread."""


_ROLE_OF = {
    **dict.fromkeys(WORK_KINDS, "work"),
    **dict.fromkeys(OPS, "op"),
    **dict.fromkeys(LEGACY_CALLS, "call"),
    **dict.fromkeys(ANNOTATIONS, "annotation"),
    **dict.fromkeys(PYTHON, "python"),
    **dict.fromkeys(OVERHEAD, "overhead"),
    **dict.fromkeys(SYNCS, "sync"),
    **dict.fromkeys(UNUSED, "unused"),
}


def role(category: str) -> str:
    """Role of a category; one that is not understood health counts."""
    is_call = category.endswith(CALL_SUFFIXES)
    return _ROLE_OF.get(category, "call" if is_call else "not understood")


def may_be_step(category: str) -> bool:
    """Whether an event of a category is a step, if it is named like one and is no annotation."""
    return role(category) in ("not understood", "op", "call", "python")
