"""What the file says of itself: devices, rank, versions, recording options, thread names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skiptrace.read.rows import as_int, shown

_OPTIONS = ("record_shapes", "profile_memory", "with_stack", "with_flops", "with_modules")


@dataclass(frozen=True)
class Meta:
    """The header of a trace."""

    source: str
    """Path, or ``<bytes>``, ``<file>``, ``<decoded>``."""
    events: int
    """Events in the file, of every kind."""
    base_time_ns: int
    """``baseTimeNanoseconds``: add it to ``start_ns`` for Unix time; 0 where not given."""
    devices: Mapping[int, str] = field(default_factory=dict)
    """Device index -> name, as listed by the writer."""
    rank: int | None = None
    world_size: int | None = None
    backend: str | None = None
    versions: Mapping[str, Any] = field(default_factory=dict)
    """Schema, driver, runtime and CUPTI/roctracer versions."""
    options: Mapping[str, bool] = field(default_factory=dict)
    """What the profiler was asked to record (shapes, stacks, memory ...), where the file says."""
    threads: Mapping[tuple[int | str, int | str], str] = field(default_factory=dict)
    """(pid, tid) as written -> name, from metadata events."""
    header: Mapping[str, Any] = field(default_factory=dict)
    """Every top-level field of the file but the events."""


def build_meta(
    source: str,
    events: int,
    header: dict[str, Any],
    threads: Mapping[tuple[int | str, int | str], str],
) -> Meta:
    """Read what is there; a field of the wrong type is as good as absent."""
    listed = header.get("deviceProperties")
    devices = {}
    for device in listed if isinstance(listed, list) else []:
        if isinstance(device, dict) and (index := as_int(device.get("id"))) is not None:
            devices[index] = shown(device.get("name", ""))
    distributed = header.get("distributedInfo")
    distributed = distributed if isinstance(distributed, dict) else {}
    backend = distributed.get("backend")
    return Meta(
        source=source,
        events=events,
        base_time_ns=as_int(header.get("baseTimeNanoseconds")) or 0,
        devices=devices,
        rank=as_int(distributed.get("rank")),
        world_size=as_int(distributed.get("world_size")),
        backend=shown(backend) if backend is not None else None,
        versions={
            k: v for k, v in header.items() if k == "schemaVersion" or k.endswith("_version")
        },
        options={k: bool(header[k]) for k in _OPTIONS if k in header},
        threads=threads,
        header=header,
    )
