"""Cut the small real traces of tests/fixtures/ out of the folder of whole ones.

    python tests/make_fixtures.py

Reads the folder `SKIPTRACE_TRACES`, else ../shared/traces. An event is kept if it belongs: on the
host if it starts in the window, on the device if a kept call launched it. Numbers keep their digits
as written. What names a host, a user or a path is left out. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from helpers import FIXTURES, Event, fixture_path, traces_folder

WORK = {"kernel", "gpu_memcpy", "gpu_memset", "cuda_sync", "Kernel", "Memcpy", "Memset"}
MAX_BYTES, MAX_TOTAL = 150_000, 2_000_000
# Of the header only what is known to name nobody.
HEADER = re.compile(
    r"schemaVersion|deviceProperties|distributedInfo|displayTimeUnit|baseTimeNanoseconds|record_shapes"
    r"|profile_memory|with_\w+|(?:cuda|cupti|hip|roctracer)\w*_version"
)
# Folders, up to the package or the file that a path names.
FOLDERS = re.compile(
    r"/(?:[^/;:\"'()\s]+/)*site-packages/|/(?:home|root|tmp|mnt|app|opt|usr|workspace|Users)/(?:[^/;:\"'()\s]+/)*"
)
# A JSON number with a fraction travels through the decoder as text.
FLOAT = re.compile(r'"<float ([^"]+)>"')


@dataclass(frozen=True)
class Cut:
    """What to keep of a trace; without `steps` all of it."""

    source: str
    steps: tuple[str, ...] = ()
    share: Decimal = Decimal(1)
    """Part of the steps' time to keep, from its start."""
    drop: Callable[[Event], bool] = field(default=lambda _: False)


def is_flow(event: Event) -> bool:
    """Arrows between events: no figure rests on them."""
    return event.get("ph") in ("s", "f")


def is_memory(event: Event) -> bool:
    """The allocator's instant events."""
    return event.get("name") == "[memory]"


BATCHES = (1, 8, 16, 32)
CUTS = {
    "eager_step": Cut("h100/gpt2_b1_s512_eager"),
    "encoder": Cut("public/tl_h100_bert-small"),
    "graph_step": Cut("h100/gpt2_b1_s512_mask4d-cudagraph"),
    "streams": Cut("h100/streams_copies_events"),
    "training_step": Cut("h100/resnet50_train_b32", ("ProfilerStep#2",)),
    "rocm": Cut("public/tl_rocm_vllm_decode_hipgraph"),
    "legacy_2021": Cut(
        "public/kineto_2021_resnet50_num_workers_0", ("ProfilerStep#6",), drop=is_flow
    ),
    "sync_events": Cut("h100/cuda_sync_events_v0"),
    "sync": Cut("h100/cause_sync_v0"),
    "ns_resolution": Cut(
        "public/hta_ns_resolution_rank0", ("ProfilerStep#101",), Decimal("0.8"), drop=is_flow
    ),
    "unlinked": Cut(
        "public/tl_h100_qwen1.5-0.5b", ("ProfilerStep#6",), Decimal("0.4"), drop=is_memory
    ),
    "no_device": Cut("public/hta_cpu_only"),
    "tp2_rank0": Cut("h100/tp2_rank0"),
    "tp2_rank1": Cut("h100/tp2_rank1"),
    "jax": Cut("h100/jax_matmuls"),
    # In folders of their own, for the examples: tests of single traces have enough of them. A sweep
    # on two platforms:
    "sweep/h100/null_kernel_spaced": Cut("h100/null_kernel_spaced"),
    # The kernels of graph_step launched one by one.
    "pair/op_by_op": Cut("h100/gpt2_b1_s512_mask4d", ("ProfilerStep#3",)),
} | {
    f"sweep/{platform}/gpt2_b{batch}_s512_eager": Cut(
        f"{platform}/gpt2_b{batch}_s512_eager", ("ProfilerStep#2",)
    )
    for platform in ("h100", "h200")
    for batch in BATCHES
}  # fmt: skip


def main() -> None:
    """Write every fixture, and say how large it became."""
    total = 0
    for name, cut in CUTS.items():
        packed = gzip.compress(make(cut), 9, mtime=0)
        fixture_path(name).parent.mkdir(exist_ok=True, parents=True)
        fixture_path(name).write_bytes(packed)
        total += len(packed)
        print(f"{name}: {len(packed):,} bytes")  # noqa: T201
        if len(packed) > MAX_BYTES:
            raise SystemExit(f"{name} is larger than {MAX_BYTES:,} bytes")
    if total > MAX_TOTAL:
        raise SystemExit(f"{total:,} bytes in all")
    (FIXTURES / "sweep" / "latency.json").write_text(latencies(), encoding="utf-8")


def latencies() -> str:
    """The latencies of the examples' runs without a profiler."""
    whole = json.loads((traces_folder() / "latency.json").read_text(encoding="utf-8"))
    wanted = re.compile(rf"gpt2/b(?:{'|'.join(map(str, BATCHES))})/eager|gpt2/b1/mask4d.*")
    kept = {
        platform: {"latency_us": {k: v for k, v in of["latency_us"].items() if wanted.fullmatch(k)}}
        for platform, of in whole.items()
        if platform in ("h100", "h200")
    }
    return json.dumps(kept, indent=1) + "\n"


def make(cut: Cut) -> bytes:
    """The text of one fixture, an event a line."""
    packed = (traces_folder() / f"{cut.source}.json.gz").read_bytes()
    document = json.loads(gzip.decompress(packed), parse_float=lambda digits: f"<float {digits}>")
    kept = {key: value for key, value in document.items() if HEADER.fullmatch(key)}
    lines = [f"{dumps(key)}: {dumps(value)}" for key, value in kept.items()]
    events = ",\n".join(dumps(event) for event in select(document["traceEvents"], cut))
    lines.append(f'"traceEvents": [\n{events}\n]')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def dumps(value: Any) -> str:
    """Compact JSON without folders, floats with the digits that they were read with."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return FLOAT.sub(r"\1", FOLDERS.sub("", text))


def select(events: list[Event], cut: Cut) -> Iterable[Event]:
    """The events that belong, in file order."""
    events = [event for event in events if not cut.drop(event)]
    if not cut.steps:
        return events
    spans = [span(e) for e in events if e.get("name") in cut.steps and is_host(e)]
    low, high = min(start for start, _ in spans), max(end for _, end in spans)
    high = low + (high - low) * cut.share
    hosts = [e for e in events if is_host(e) and low <= span(e)[0] < high]
    ids = {correlation(e) for e in hosts} - {None}
    known = {correlation(e) for e in events if is_host(e)}
    works = [e for e in events if is_work(e) and correlation(e) in ids]
    last = max(span(e)[1] for e in works)
    # Launched before the recording began, and run while the kept work did.
    works += [
        e for e in events if is_work(e) and correlation(e) not in known and low <= span(e)[0] < last
    ]
    keep = {id(e) for e in hosts + works}
    threads = {e["pid"] for e in hosts + works}
    for event in events:
        phase = event.get("ph")
        if phase == "M":
            wanted = event.get("pid") in threads
        elif is_flow(event):
            wanted = event.get("id") in ids
        elif event.get("cat") == "gpu_user_annotation":
            wanted = event.get("name") in cut.steps
        elif phase == "i":
            wanted = low <= span(event)[0] < high
        else:
            wanted = id(event) in keep
        if wanted:
            keep.add(id(event))
    return [event for event in events if id(event) in keep]


def is_work(event: Event) -> bool:
    """Whether it ran on a device."""
    return event.get("ph") == "X" and event.get("cat") in WORK


def is_host(event: Event) -> bool:
    """Whether it was recorded on the host."""
    cat = event.get("cat")
    return event.get("ph") == "X" and not is_work(event) and cat != "gpu_user_annotation"


def span(event: Event) -> tuple[Decimal, Decimal]:
    """Start and end in microseconds."""
    start, dur = (
        Decimal(str(event.get(k, 0)).removeprefix("<float ").removesuffix(">"))
        for k in ("ts", "dur")
    )
    return start, start + dur


def correlation(event: Event) -> Any:
    """What joins a call and its work."""
    return (event.get("args") or {}).get("correlation")


if __name__ == "__main__":
    main()
