"""Traces of other writers: XLA's, known by its metadata, gives the frames that Kineto's would."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from helpers import Event, annotation, call, event, fixture_path, health, kernel, memcpy, memset, op
from helpers import python as frame

import skiptrace as sk
from skiptrace.model.writers import WRITERS

HOST, GPU = 700, {0: 2, 1: 1}  # as XLA numbers its processes: not as the devices


def meta(what: str, name: str, pid: int, tid: int | None = None) -> Event:
    made: Event = {"ph": "M", "pid": pid, "name": what, "args": {"name": name}}
    return made if tid is None else made | {"tid": tid}


NAMES = [
    *(meta("process_name", f"/device:GPU:{index}", pid) for index, pid in GPU.items()),
    *(meta("thread_name", "Stream #14(Compute)", pid, 14) for pid in GPU.values()),
    meta("thread_name", "Stream #15(MemcpyH2D,Memset)", GPU[0], 3),
    meta("thread_name", "XLA Modules", GPU[0], 9),
    meta("process_name", "/host:CPU", HOST),
    meta("thread_name", "python3", HOST, 1),
]


def xla(name: str, ts: Any, dur: Any, tid: int = 1, pid: int = HOST, **args: str) -> Event:
    """An event as XLA writes it: no category, arguments as text."""
    return event(None, name, ts, dur, pid, tid, **args)


RECORDED = [
    xla("$model.py:3 forward", 0, 100),
    xla("PjitFunction(f)", 5, 60),
    xla("wrapped_tanh", 10, 5, correlation_id="7", device_id="0"),
    xla("MemcpyH2D", 20, 5, correlation_id="8"),
    xla("Memset", 30, 5, correlation_id="9"),
    xla("cuLaunchHostFunc", 40, 5),
    xla("cudnn_fusion", 50, 5, correlation_id="10"),
    xla("cudnn setup", 56, 2),
    xla("CommonPjRtBuffer::Await", 70, 20),
    xla("wrapped_tanh", 18, 2, 14, GPU[0], correlation_id="7", hlo_op="tanh.1"),
    xla("MemcpyH2D", 26, 1, 3, GPU[0], correlation_id="8", memcpy_details="async:1"),
    xla("Memset", 36, 1, 3, GPU[0], correlation_id="9", memset_details="async:1"),
    xla("cudnn_fusion", 60, 25, 14, GPU[1], correlation_id="10"),
    xla("jit_f", 18, 70, 9, GPU[0]),
    {},
]
AS_KINETO = [
    frame("$model.py:3 forward", 0, 100, pid=HOST),
    op("PjitFunction(f)", 5, 60, pid=HOST),
    call("wrapped_tanh", 10, 5, 7, pid=HOST),
    call("MemcpyH2D", 20, 5, 8, pid=HOST),
    call("Memset", 30, 5, 9, pid=HOST),
    call("cuLaunchHostFunc", 40, 5, pid=HOST),
    call("cudnn_fusion", 50, 5, 10, pid=HOST),
    op("cudnn setup", 56, 2, pid=HOST),
    call("CommonPjRtBuffer::Await", 70, 20, pid=HOST),
    kernel(18, 2, 7, "wrapped_tanh", stream=14) | {"pid": GPU[0]},
    memcpy(26, 1, 8, "MemcpyH2D", stream=15) | {"pid": GPU[0], "tid": 3},
    memset(36, 1, 9, "Memset", stream=15) | {"pid": GPU[0], "tid": 3},
    kernel(60, 25, 10, "cudnn_fusion", device=1, stream=14) | {"pid": GPU[1]},
    event("gpu_user_annotation", "jit_f", 18, 70, GPU[0], 9),
    {},
]
FRAMES = ("ops", "calls", "work", "launches", "annotations", "python", "steps")


def written(events: list[Event]) -> bytes:
    return json.dumps({"traceEvents": [*NAMES, *events]}).encode()


def many(events: list[Event], times: int = 80) -> list[Event]:
    """The same again and again, each a millisecond later and with ids of its own."""
    made = []
    for i in range(times):
        for old in events[:-1]:
            args = {
                k: str(int(v) + 10 * i) if k == "correlation_id" else v + 10 * i
                if k == "correlation" else v for k, v in old.get("args", {}).items()
            }  # fmt: skip
            made.append(old | {"ts": old["ts"] + 1000 * i} | ({"args": args} if args else {}))
    return made


@pytest.mark.parametrize("times", [1, 80], ids=["general reader", "fast reader"])
def test_xla_gives_the_frames_that_kineto_would(times: int) -> None:
    mine = sk.load(written(many(RECORDED, times)))
    theirs = sk.load(written(many(AS_KINETO, times)))
    for name in FRAMES:
        assert getattr(mine, name).equals(getattr(theirs, name)), name
    assert len(mine.launches) == 4 * times
    assert health(mine)["other_writer"] == 1
    assert "not_understood" not in health(mine)


def test_decoded_and_written_events_load_alike() -> None:
    decoded, read = sk.load([*NAMES, *RECORDED]), sk.load(written(RECORDED))
    for name in FRAMES:
        assert getattr(decoded, name).equals(getattr(read, name)), name


def test_an_await_is_a_wait_and_a_copy_blocks_only_by_its_times() -> None:
    from skiptrace.measure.behaviour import host_of

    host = host_of(sk.load([*NAMES, *RECORDED]))
    assert host.waits["name"].to_list() == ["CommonPjRtBuffer::Await"]
    assert host.copies.is_empty()
    blocking = [xla("MemcpyH2D", 20, 9, correlation_id="8"), RECORDED[10]]
    assert len(host_of(sk.load([*NAMES, *blocking])).copies) == 1


def test_a_step_annotation_is_named_by_the_caller() -> None:
    steps = [xla("train", 1000 * i, 900, step_num=str(i)) for i in range(3)]
    trace = sk.load([*NAMES, *steps, *many(RECORDED, 3)], steps="train")
    assert trace.steps["name"].to_list() == ["train#0", "train#1", "train#2"]
    assert sk.tklqt(trace)["launches"].to_list() == [2, 2, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda events: [*events, annotation("a", 0, 1)],  # categories: a writer that has them
        lambda events: [e for e in events if e.get("name") != "process_name"],
    ],
    ids=["categories", "no processes"],
)
def test_it_is_known_by_what_its_events_and_metadata_have(change: Any) -> None:
    trace = sk.load(change([*NAMES, *RECORDED]))
    assert "other_writer" not in health(trace)
    assert trace.work.is_empty()
    assert health(trace)["not_understood"] == len(RECORDED) - 1


def test_devices_that_are_not_understood_are_counted_not_guessed() -> None:
    tpu = [meta("process_name", "/device:TPU:0", 5), xla("fusion.1", 0, 5, 1, 5)]
    assert health(sk.load([*NAMES, *RECORDED, *tpu]))["not_understood"] == 1


def test_a_window_loads_the_device_work_launched_in_it() -> None:
    late = xla("wrapped_tanh", 5000, 2, 14, GPU[0], correlation_id="7")
    data = written([late if e.get("ts") == 18 and e["tid"] == 14 else e for e in RECORDED])
    part = sk.load(data, window=(0, 30_000))
    assert part.work.equals(sk.load(data).between(0, 30_000).work)
    assert len(part.work) == 2


def test_the_real_trace_has_every_launch_linked_and_its_arguments() -> None:
    trace = sk.load(fixture_path("jax"))
    with gzip.open(fixture_path("jax")) as file:
        events = json.loads(file.read())["traceEvents"]
    pairs = [e["args"]["correlation_id"] for e in events if "correlation_id" in e.get("args", {})]
    assert len(trace.launches) == len(trace.work) == len(set(pairs)) == len(pairs) / 2 == 80
    assert trace.work["stream"].unique().sort().to_list() == [14, 15]
    assert trace.args("hlo_op")["id"].is_in(trace.work["id"].implode()).all()
    assert sk.boundedness(trace)["verdict"].to_list() == ["cpu"]


def test_every_writer_is_described_in_the_docs() -> None:
    from helpers import FIXTURES

    page = (FIXTURES.parents[1] / "docs" / "writers.md").read_text()
    assert all(writer.name in page for writer in WRITERS)
