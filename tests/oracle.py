"""A slow, plain count of what DESIGN.md sections 2 and 3 define, to check the library against.

Standard library only; shares no code with `skiptrace`. All times are integer nanoseconds.
"""

from __future__ import annotations

import gzip
import json
import re
import statistics
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

Interval = tuple[int, int]
Row = dict[str, Any]
# The order of section 3, "Activity": the first that holds; also the order that breaks ties.
BEFORE = ("profiler", "sync", "alloc", "copy", "launch", "dataloader", "operator", "python")
ACTIVITIES = (*BEFORE, "device", "dependency", "unknown")
KINDS = {"kernel": "kernel", "mtia_ccp_events": "kernel"}
KINDS |= {"gpu_memcpy": "memcpy", "memcpy": "memcpy", "gpu_memset": "memset", "memset": "memset"}
# What an API call does, by name (CUDA, HIP, XPU; any case).
QUEUED = re.compile(
    r"(?i)async|enqueue|append|^memcpy[hdp]2[hdp]$"
)  # returns before the work is done
WAITS = re.compile(r"(?i)synchronize|queuefinish|events?wait$|::await$")
ALLOC = re.compile(
    r"(?i)malloc|free|(mem|host|device|shared)alloc|host(un)?register"
    r"|mem(create|release|map|unmap|addressreserve|setaccess)"
)
COPIES = re.compile(r"(?i)memcpy|memorycopy")
STREAM_WAITS = re.compile(r"(?i)waitevent|waitvalue|enqueueeventswait|appendwaitonevents")
COLLECTIVE = re.compile(r"(?i)nccl|rccl|oneccl")
API = re.compile(r"^runtime$|_(runtime|driver)$")
STEP = re.compile(r"^ProfilerStep#\d+$")
EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)


# --- intervals: lists of (start, end), sorted, disjoint, none empty ---------------------------


def union(parts: Iterable[Interval], keep_empty: bool = False) -> list[Interval]:
    """The moments that lie in any of the half-open intervals [start, end)."""
    merged: list[Interval] = []
    for lo, hi in sorted(p for p in parts if keep_empty or p[0] < p[1]):
        if merged and lo <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(hi, merged[-1][1]))
        else:
            merged.append((lo, hi))
    return merged


def clip(parts: Sequence[Interval], lo: int, hi: int) -> list[Interval]:
    """The moments of `parts` inside [lo, hi)."""
    first = max(0, bisect_left(parts, (lo, lo)) - 1)
    last = bisect_left(parts, (hi, hi))
    return union((max(lo, a), min(hi, b)) for a, b in parts[first:last])


def subtract(parts: Iterable[Interval], less: Sequence[Interval]) -> list[Interval]:
    """The moments of `parts` that lie in none of `less`."""
    left: list[Interval] = []
    for lo, hi in parts:
        edges = [lo, *(x for piece in clip(less, lo, hi) for x in piece), hi]
        left += zip(edges[::2], edges[1::2], strict=True)
    return union(left)


def intersect(parts: Iterable[Interval], other: Sequence[Interval]) -> list[Interval]:
    """The moments that lie in both."""
    return union(piece for lo, hi in parts for piece in clip(other, lo, hi))


def length(parts: Iterable[Interval]) -> int:
    """The total time of disjoint intervals."""
    return sum(hi - lo for lo, hi in parts)


# --- records ---------------------------------------------------------------------------------


@dataclass(eq=False)
class Span:
    """One complete event; `id` is its place in the file (that of `B` for a B/E pair)."""

    id: int
    name: str
    start: int
    end: int
    pid: Any
    tid: Any
    cat: str
    args: Row

    @property
    def interval(self) -> Interval:
        """An event's end is start + dur."""
        return self.start, self.end

    @property
    def correlation(self) -> int | None:
        """`args.correlation`; 0 and -1 are no id."""
        value = whole(self.args.get("correlation"))
        return value if isinstance(value, int) and value not in (0, -1) else None


@dataclass(eq=False)
class Op(Span):
    """A `cpu_op` (2021: `Operator`): work the framework recorded on a host thread."""

    parent: int | None = None
    depth: int = 0
    root: int = -1
    step: str | None = None


@dataclass(eq=False)
class Call(Span):
    """One runtime or driver API call: any `*_runtime` or `*_driver` category, 2021: `Runtime`."""

    op: int | None = None
    step: str | None = None
    works: list[Work] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """The call waits for the device (StreamWaitEvent makes a stream wait, not the call)."""
        return bool(WAITS.search(self.name)) and not QUEUED.search(self.name)

    @property
    def copy_blocks(self) -> bool:
        """A memcpy call that blocks until its work ends: by its name, or seen to do so."""
        if COPIES.search(self.name) and not QUEUED.search(self.name):
            return True
        if any(w.kind != "memcpy" for w in self.works):
            return False
        return bool(self.works) and self.end >= max(w.end for w in self.works)


@dataclass(eq=False)
class Work(Span):
    """One thing that ran on a device; `launch` is the id of the call that launched it."""

    where: tuple[Any, Any] = (None, None)
    launch: int | None = None
    step: str | None = None

    def __post_init__(self) -> None:
        """Kernel, memcpy or memset; "device, stream id"."""
        self.kind = KINDS[self.cat]
        self.device, self.stream = self.where


@dataclass(eq=False)
class Launch:
    """A call that has work, with t_l = start(w1) - start(l) and its split."""

    call: int
    start: int
    end: int
    pid: Any
    tid: Any
    op: int | None
    root_op: int | None
    step: str | None
    first_work: Work
    kind: str = ""
    kernels: int = 0
    works: int = 0
    t: int = 0
    ahead: int | None = None  # prev_end - start(l)
    found_idle: bool = False
    launch_ns: int = 0
    queue_ns: int = 0


@dataclass
class Step:
    """A host event named `ProfilerStep#N`, or `all` (pid None) where a trace has none."""

    name: str
    start: int
    end: int
    pid: Any


def nanoseconds(value: Any) -> int:
    """Microseconds with decimals, "rounded to the nearest nanosecond from the digits"."""
    if isinstance(value, int):
        return value * 1000
    return int(EXACT.multiply(Decimal(str(value)), 1000).to_integral_value(context=EXACT))


def whole(value: Any) -> Any:
    """A number written as a string ("25738", or the 2021 writer's "stream 7") as that number."""
    match = re.fullmatch(r"(?:stream )?(-?\d+)", value) if isinstance(value, str) else None
    return int(match[1]) if match else value


def where(span: Span) -> tuple[Any, Any]:
    """The device and stream of a device-side event: its args, else its pid and tid."""
    device, stream = span.args.get("device"), span.args.get("stream")
    device, stream = span.pid if device is None else device, span.tid if stream is None else stream
    return whole(device), whole(stream)


def spans(events: Sequence[Any]) -> list[Span]:
    """Complete (`X`) events, and begin/end pairs (`B`/`E`) matched per thread; ids by place."""
    found: list[Span] = []
    pairs: list[Span] = []
    for i, e in enumerate(events):
        if not isinstance(e, dict) or e.get("ph") not in ("X", "B", "E") or "ts" not in e:
            continue
        start, thread = nanoseconds(e["ts"]), (whole(e.get("pid")), whole(e.get("tid")))
        end = start + max(0, nanoseconds(e.get("dur") or 0)) if e["ph"] == "X" else start
        name, cat = str(e.get("name", "")), str(e.get("cat", "")).lower()
        args = e["args"] if isinstance(e.get("args"), dict) else {}
        (found if e["ph"] == "X" else pairs).append(Span(i, name, start, end, *thread, cat, args))
    begun: dict[Any, list[Span]] = defaultdict(list)
    for span in sorted(pairs, key=lambda s: s.start):
        if events[span.id]["ph"] == "B":
            begun[span.pid, span.tid].append(span)
        elif begun[span.pid, span.tid]:
            found.append(begun[span.pid, span.tid].pop())
            found[-1].end, found[-1].args = span.start, found[-1].args | span.args
    return sorted(found, key=lambda s: s.id)


class Nest:
    """Enclosure, "of equal starts the longer is the parent, then file order"; last is innermost."""

    def __init__(self, members: Iterable[Span]) -> None:
        order = sorted(members, key=in_order)
        starting = by_key(order, lambda s: s.start)
        self.parent: dict[int, Any] = {}
        self.times = sorted({x for s in order for x in s.interval})
        self.tops: list[Any] = []  # the innermost from each time on
        still_open: list[Any] = [None]
        for t in self.times:
            still_open = [None, *(s for s in still_open[1:] if s.end > t)]
            for s in starting[t]:
                self.parent[s.id] = still_open[-1]
                still_open += [s] if s.end > t else []  # "a zero-length op encloses nothing"
            self.tops.append(still_open[-1])

    def at(self, t: int) -> Any:
        """The innermost span whose [start, end) holds t, or None."""
        i = bisect_right(self.times, t) - 1
        return self.tops[i] if i >= 0 else None

    def divide(self, lo: int, hi: int) -> Iterator[tuple[Any, int]]:
        """[lo, hi) cut where the innermost span changes: (span or None, time)."""
        cuts = self.times[bisect_right(self.times, lo) : bisect_left(self.times, hi)]
        for a, b in pairwise([lo, *cuts, hi]):
            yield self.at(a), b - a


class Earlier:
    """For `prev_end`, "the latest end of work not of l that started before w1"."""

    def __init__(self, works: Iterable[Work]) -> None:
        self.starts: list[int] = []
        self.best: list[list[tuple[int, int | None]]] = []
        top: list[tuple[int, int | None]] = []
        for w in sorted(works, key=lambda w: (w.start, w.id)):
            # The two latest ends, not both of one launch: whichever is left out, one remains.
            ranked = sorted([*top, (w.end, w.launch)], key=lambda p: -p[0])
            top = ranked[:1] + [p for p in ranked[1:] if p[1] != ranked[0][1]][:1]
            self.starts.append(w.start)
            self.best.append(top)

    def latest_end(self, t: int, not_of: int) -> int | None:
        """The latest end of work that started before t and is not of launch `not_of`."""
        i = bisect_left(self.starts, t) - 1
        ends = [end for end, launch in self.best[i] if launch != not_of] if i >= 0 else []
        return max(ends, default=None)


class Thread:
    """What one host thread did: its ops, calls and, moment by moment, its activity."""

    def __init__(self, overheads: Any, ops: Any, calls: Any, labels: Any, frames: Any) -> None:
        self.nest, self.labels, self.frames = Nest(ops), Nest(labels), Nest(frames)
        self.inside = union(s.interval for s in [*ops, *calls])
        self.waits = union(c.interval for c in calls if c.waits)
        self.copies = union(c.interval for c in calls if c.copy_blocks)
        self.cpu_busy = subtract(self.inside, union([*self.waits, *self.copies]))
        in_calls = union(c.interval for c in calls)
        first_that_holds = {
            "profiler": [o.interval for o in overheads if clip(in_calls, *o.interval)],
            "sync": self.waits,
            "alloc": [c.interval for c in calls if ALLOC.search(c.name)],
            "copy": self.copies,
            "launch": [c.interval for c in calls if c.works],
            "dataloader": [s.interval for s in [*ops, *labels] if "DataLoader" in s.name],
            "operator": self.inside,
        }
        self.lanes: dict[str, list[Interval]] = {}
        self.taken: list[Interval] = []
        for activity, parts in first_that_holds.items():
            self.lanes[activity] = subtract(union(parts), self.taken)
            self.taken = union([*self.taken, *parts])


def others_lanes(others: list[Thread]) -> dict[str, list[Interval]]:
    """What other threads do "while inside" an op or call; of several, the first in the order."""
    lanes: dict[str, list[Interval]] = {}
    taken: list[Interval] = []
    for activity in BEFORE[:-1]:
        parts = [p for t in others for p in intersect(t.lanes[activity], t.inside)]
        lanes[activity] = subtract(union(parts), taken)
        taken = union([*taken, *parts])
    return lanes


def in_order(span: Span) -> tuple[int, int, int]:
    """The order of enclosure: by start, "of equal starts the longer", then file order."""
    return span.start, -span.end, span.id


def by_key(items: Iterable[Any], key: Any) -> dict[Any, list[Any]]:
    """Items under their key, in the order given."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def read(source: Any) -> Oracle:
    """A trace from a path, bytes (gzip or not) or decoded events, "from the digits"."""
    if isinstance(source, str | Path):
        source = Path(source).read_bytes()
    if isinstance(source, bytes):
        text = gzip.decompress(source) if source[:2] == b"\x1f\x8b" else source
        source = json.loads(text, parse_float=Decimal)
    events = source.get("traceEvents", []) if isinstance(source, dict) else source
    return Oracle([from_xla(e, named(events)) for e in events] if is_xla(events) else events)


def named(events: Sequence[Any]) -> dict[Any, str]:
    """What metadata call each process, and each (process, thread)."""
    meta = [e for e in events if e.get("ph") == "M"]
    names = {e["pid"]: e["args"]["name"] for e in meta if e["name"] == "process_name"}
    return names | {
        (e["pid"], e["tid"]): e["args"]["name"] for e in meta if e["name"] == "thread_name"
    }


def is_xla(events: Sequence[Any]) -> bool:
    """No event has a category, and a process is called /device:GPU:N or /host:CPU."""
    if any(isinstance(e, dict) and "cat" in e for e in events):
        return False
    processes = [
        e.get("args", {}).get("name", "") for e in events if isinstance(e, dict) and
        e.get("name") == "process_name"
    ]  # fmt: skip
    return any(re.search(r"/device:GPU:\d+$|/host:CPU$", name) for name in processes)


def from_xla(event: Row, names: dict[Any, str]) -> Row:
    """The same event as Kineto would have written it: category, device, stream, correlation."""
    process = names.get(event.get("pid"), "")
    thread = names.get((event.get("pid"), event.get("tid")), "")
    args, name = dict(event.get("args", {})), event.get("name", "")
    if "correlation_id" in args:
        args["correlation"] = int(args["correlation_id"])
    if device := re.search(r"/device:GPU:(\d+)$", process):
        stream = re.match(r"Stream #(\d+)", thread)
        kind = "gpu_memcpy" if "memcpy_details" in args else "kernel"
        cat = kind if stream else "gpu_user_annotation"
        args |= {"device": int(device[1]), "stream": int(stream[1]) if stream else None}
    elif "correlation" in args or re.match("(cu|cuda|hip)[A-Z]", name) or name.endswith("::Await"):
        cat = "cuda_driver"
    else:
        cat = "python_function" if name.startswith("$") else "cpu_op"
    return event | {"cat": cat, "args": args} if event.get("ph") == "X" else event


# --- the trace -------------------------------------------------------------------------------


class Oracle:
    """The frames and figures of one trace."""

    def __init__(self, events: Sequence[Any]) -> None:
        self.events = len(events)
        found = spans(events)
        host = [s for s in found if s.cat not in KINDS and s.cat != "gpu_user_annotation"]
        marks = [s for s in host if STEP.match(s.name)]  # "whatever its category (never an op)"
        cats = by_key((s for s in host if not STEP.match(s.name)), lambda s: s.cat)
        self.ops = [Op(**vars(s)) for c in ("cpu_op", "operator") for s in cats[c]]
        self.calls = [Call(**vars(s)) for c in [*cats] if API.search(c) for s in cats[c]]
        self.calls.sort(key=lambda c: c.id)
        self.works = [Work(**vars(s), where=where(s)) for s in found if s.cat in KINDS]
        self.op = {o.id: o for o in self.ops}
        self.call = {c.id: c for c in self.calls}
        self.work = {w.id: w for w in self.works}
        self.on_device = by_key(self.works, lambda w: w.device)
        self.on_stream = by_key(
            sorted(self.works, key=lambda w: (w.start, w.id)), lambda w: w.where
        )
        self._link()
        self.launching = {(c.pid, c.tid) for c in self.calls if c.works}
        groups = (self.ops, self.calls, cats["user_annotation"], cats["python_function"])
        members = [by_key(group, lambda s: (s.pid, s.tid)) for group in groups]
        keys = {*members[0], *members[1]}
        self.threads = {k: Thread(cats["overhead"], *(m[k] for m in members)) for k in keys}
        self.others = {
            k: others_lanes([self.threads[o] for o in self.launching if o[0] == k[0] and o != k])
            for k in self.launching
        }
        self._nest()
        self._set_steps(sorted(marks, key=in_order))
        self.launches = self._launches()
        self.floors = self._split()
        self.told = self._waits_told(cats["cuda_sync"])

    def _link(self) -> None:
        """Work and launch "joined by args.correlation"; of several calls "the outermost"."""
        first: dict[int | None, Call] = {}
        for c in sorted(self.calls, key=in_order):
            first.setdefault(c.correlation, c)
        first.pop(None, None)
        for w in sorted(self.works, key=lambda w: (w.start, w.id)):
            if call := first.get(w.correlation):
                w.launch = call.id
                call.works.append(w)

    def _nest(self) -> None:
        """Parent, depth and root of ops; a call's op is the innermost that holds its start."""
        for o in sorted(self.ops, key=in_order):
            if parent := self.threads[o.pid, o.tid].nest.parent[o.id]:
                o.parent, o.depth, o.root = parent.id, parent.depth + 1, parent.root
            else:
                o.root = o.id
        for c in self.calls:
            c.op = getattr(self.threads[c.pid, c.tid].nest.at(c.start), "id", None)

    def _set_steps(self, marks: list[Span]) -> None:
        """Ops and calls "that start in it, on any thread of its process"; work as launched."""
        self.steps = [Step(s.name, s.start, s.end, s.pid) for s in marks]
        nests = {pid: Nest(group) for pid, group in by_key(marks, lambda s: s.pid).items()}
        everything: list[Any] = [*self.ops, *self.calls, *self.works]
        for s in everything:
            if not marks:
                s.step = "all"
            elif not isinstance(s, Work):
                s.step = getattr(nests.get(s.pid, Nest([])).at(s.start), "name", None)
            elif s.launch is not None:
                s.step = self.call[s.launch].step
        if not marks:
            ends = [x for s in everything for x in s.interval]
            self.steps = [Step("all", min(ends, default=0), max(ends, default=0), None)]

    def _launches(self) -> list[Launch]:
        """Per launch: w1, "its first kernel by start, or its first work", and t_l."""
        streams = {k: Earlier(works) for k, works in self.on_stream.items()}
        devices = {k: Earlier(works) for k, works in self.on_device.items()}
        found = []
        for c in sorted((c for c in self.calls if c.works), key=lambda c: (c.start, c.id)):
            kernels = [w for w in c.works if w.kind == "kernel"]
            w1 = (kernels or c.works)[0]
            previous = streams[w1.where].latest_end(w1.start, c.id)
            any_end = devices[w1.device].latest_end(w1.start, c.id)
            launch = Launch(c.id, c.start, c.end, c.pid, c.tid, c.op, None, c.step, w1)
            launch.root_op = None if c.op is None else self.op[c.op].root
            launch.kind = "graph" if len(c.works) > 1 else w1.kind
            launch.kernels, launch.works = len(kernels), len(c.works)
            launch.t = max(0, w1.start - c.start)
            launch.ahead = None if previous is None else previous - c.start
            launch.found_idle = any_end is not None and any_end <= c.start
            found.append(launch)
        return found

    def _split(self) -> dict[str, int]:
        """The floors, each "the median t_l over launches of that kind that found ... idle"."""
        floors: dict[str, int] = {}
        for kind in ("kernel", "memcpy", "memset", "graph"):
            mine = [x for x in self.launches if x.kind == kind]
            idle = [x.t for x in mine if x.found_idle]
            few = floors.get("kernel", min((x.t for x in mine), default=0))
            floors[kind] = round(statistics.median(idle)) if len(idle) >= 10 else few
        for x in self.launches:
            x.queue_ns = 0 if x.ahead is None else min(max(x.ahead - floors[x.kind], 0), x.t)
            x.launch_ns = x.t - x.queue_ns
        return floors

    # --- figures -------------------------------------------------------------------------

    def tklqt(self, key: str) -> dict[Any, Row]:
        """Sums of t_l "over kernel launches"; "a launch's key is that of w1" or of its op ..."""
        keys: dict[str, Any] = {
            "trace": lambda x: "trace",
            "op": lambda x: self._name(x.op),
            "root_op": lambda x: self._name(x.root_op),
            "kernel": lambda x: x.first_work.name,
            "stream": lambda x: x.first_work.where,
            "device": lambda x: x.first_work.device,
            "thread": lambda x: (x.pid, x.tid),
            "annotation": self._annotation,
            "launch": lambda x: x.call,
        }
        groups = by_key((x for x in self.launches if x.kernels), keys.get(key, attrgetter(key)))
        if key == "trace":
            groups.setdefault("trace", [])
        return {k: tklqt_row(group) for k, group in groups.items()}

    def _name(self, op: int | None) -> str | None:
        """The op's name; null holds what belongs nowhere."""
        return None if op is None else self.op[op].name

    def _annotation(self, launch: Launch) -> str | None:
        """The innermost annotation, never a step, over the launch's start on its thread."""
        labels = self.threads[launch.pid, launch.tid].labels
        return getattr(labels.at(launch.start), "name", None)

    def busy(self, device: Any) -> list[Interval]:
        """The union of a device's work, its streams together."""
        return union(w.interval for w in self.on_device[device])

    def summary(self, by: str = "step") -> list[Row]:
        """One row a step, in time order, `outlier` where IL is "over 1.5 x the median"."""
        steps = [Step("trace", 0, 0, None)] if by == "trace" else self.steps
        rows = [self._summary_row(s, by == "trace") for s in steps]
        known = [r["il_ns"] for r in rows if r["il_ns"] is not None]
        middle = statistics.median(known) if known else 0
        for r in rows:
            r["outlier"] = r["il_ns"] is not None and 2 * r["il_ns"] > 3 * middle
        return rows

    def _summary_row(self, step: Step, everything: bool) -> Row:
        """IL, AKD, busy, idle, CPU busy and HDBI of section 3, "Per step"."""
        groups: tuple[list[Any], ...] = (self.ops, self.calls, self.works, self.launches)
        mine = [[x for x in g if everything or x.step == step.name] for g in groups]
        ops, calls, works, launches = mine
        start = min((s.start for s in ops or calls), default=None)
        end = max((w.end for w in works), default=None)
        kernels = [w.end - w.start for w in works if w.kind == "kernel"]
        devices = by_key(works, lambda w: w.device)
        total = tklqt_row([x for x in launches if x.kernels])
        row: Row = dict.fromkeys(("il_ns", "gpu_idle_ns", "gpu_idle_paper_ns", "busy_share"))
        row |= dict.fromkeys(("cpu_busy_ns", "cpu_idle_ns", "hdbi_share"))
        row |= {k: total[k] for k in ("launches", "tklqt_ns", "launch_ns", "queue_ns")}
        row |= {"step": step.name, "start_ns": start, "devices": len(devices)}
        row |= {"kernels": len(kernels), "works": len(works), "kernel_ns": sum(kernels)}
        row["akd_ns"] = round(Fraction(sum(kernels), len(kernels))) if kernels else None
        row["busy_ns"] = sum(length(union(w.interval for w in g)) for g in devices.values())
        if start is None or end is None or end <= start:  # clocks disagree: no latency
            return row
        il = end - start
        idle = sum(il - length(clip(self.busy(d), start, end)) for d in devices)
        threads = [self.threads[k] for k in self.launching if step.pid in (None, k[0])]
        cpu = length(union(p for t in threads for p in clip(t.cpu_busy, start, end)))
        row |= {"il_ns": il, "gpu_idle_ns": idle, "cpu_busy_ns": cpu, "cpu_idle_ns": il - cpu}
        row["gpu_idle_paper_ns"] = il * len(devices) - sum(kernels)
        row["busy_share"] = 1 - idle / (il * len(devices))
        row["hdbi_share"] = sum(kernels) / (sum(kernels) + cpu) if sum(kernels) + cpu else None
        return row

    # --- idle ----------------------------------------------------------------------------

    def gaps(self) -> list[Row]:
        """Each "maximal interval with no work on any stream"; work of no length ends one too."""
        found = []
        for device, works in self.on_device.items():
            starting = by_key(works, lambda w: w.start)
            runs = union((w.interval for w in works), keep_empty=True)
            for (_, lo), (hi, _) in pairwise(runs):
                by = min(starting[hi], key=lambda w: (self._launched(w), w.id))
                gap: Row = {"device": device, "start": lo, "end": hi, "next_work": by.id}
                gap |= {"step": by.step, "activities": (times := self._activities(lo, hi, by))}
                found.append(gap | {"cause": self._cause(lo, hi, by, times)})
        return found

    def _launched(self, work: Work) -> float:
        """For "earliest start, then earliest launch": unlinked work comes last."""
        return float("inf") if work.launch is None else self.call[work.launch].start

    def _activities(self, lo: int, hi: int, work: Work) -> dict[str, int]:
        """Section 3, "Activity": the activities of a gap sum to the gap."""
        times = dict.fromkeys(ACTIVITIES, 0)
        if work.launch is None:  # "No linked launch: unknown"
            times["unknown"] = hi - lo
            return times
        call = self.call[work.launch]
        if work is not next(w for w in call.works if w.device == work.device):
            # "Inside a graph: device"; it begins on each device with its first work there.
            times["device"] = hi - lo
            return times
        thread, until = self.threads[call.pid, call.tid], max(lo, min(hi, call.start))
        for activity, lane in thread.lanes.items():
            times[activity] += length(clip(lane, lo, until))
        rest = subtract([(lo, until)], thread.taken)
        times["python"] = length(rest)
        for activity, lane in self.others[call.pid, call.tid].items():
            part = length(intersect(rest, lane))
            times[activity] += part
            times["python"] -= part
        back = max(until, min(hi, call.end))
        times["launch"] += back - until
        times["dependency" if self._depends(work, call) else "device"] += hi - back
        return times

    def _waits_told(self, syncs: list[Span]) -> list[tuple[int, Any, Any]]:
        """When a stream "was told to wait for an event": (start, thread, where, as known)."""
        label = "Stream Wait Event"
        records = [s for s in syncs if label in (s.name, s.args.get("cuda_sync_kind"))]
        known = {s.correlation: where(s) for s in records if s.correlation is not None}
        calls = [c for c in self.calls if STREAM_WAITS.search(c.name)]
        told: list[tuple[int, Any, Any]] = [(s.start, None, where(s)) for s in records]
        told += [(c.start, (c.pid, c.tid), known.get(c.correlation or 0)) for c in calls]
        return sorted(told, key=lambda p: p[0])

    def _depends(self, work: Work, call: Call) -> bool:
        """The stream was told to wait "since its last work" was launched, or a collective."""
        if COLLECTIVE.search(work.name) or "Collective name" in work.args:
            return True
        stream = self.on_stream[work.where]
        i = bisect_left(stream, (work.start, work.id), key=lambda w: (w.start, w.id))
        last = stream[i - 1] if i else None
        since: float = float("-inf") if last is None else last.start
        if last is not None and last.launch is not None:
            since = self.call[last.launch].start
        lo = bisect_right(self.told, since, key=lambda p: p[0])
        told = self.told[lo : bisect_left(self.told, call.start, key=lambda p: p[0])]
        me = (call.pid, call.tid)
        return any(who in (None, me) and on in (None, work.where) for _, who, on in told)

    def _cause(self, lo: int, hi: int, work: Work, times: dict[str, int]) -> str:
        """`sync` "if a waiting call covers the gap's start and ...; else the largest activity".

        A gap that begins after start(l) was not caused by a wait: l had been launched.
        """
        if work.launch is not None:
            call = self.call[work.launch]
            covered = bool(clip(self.threads[call.pid, call.tid].waits, lo, lo + 1))
            host = sum(times[a] for a in ("python", "dataloader", "alloc", "copy"))
            if covered and lo < call.start and 2 * host <= hi - lo:
                return "sync"
        return max(ACTIVITIES, key=lambda a: times[a])  # max keeps the first of equals

    def idle_by(self, key: str) -> dict[Any, int]:
        """Idle time by cause, activity, op, python or step: each "sums to the total gap time"."""
        total: dict[Any, int] = defaultdict(int)
        for gap in self.gaps():
            lo, hi = gap["start"], gap["end"]
            if key in ("cause", "step"):
                total[gap[key]] += hi - lo
            elif key == "activity":
                for activity, t in gap["activities"].items():
                    total[activity] += t
            else:
                for name, t in self._owners(key, lo, hi, self.work[gap["next_work"]]):
                    total[name] += t
        return {k: t for k, t in total.items() if t}

    def _owners(self, key: str, lo: int, hi: int, work: Work) -> Iterator[tuple[Any, int]]:
        """By "the innermost op / deepest Python frame ... after the launch by the launch's op"."""
        if work.launch is None:
            yield None, hi - lo
            return
        call = self.call[work.launch]
        thread, until = self.threads[call.pid, call.tid], max(lo, min(hi, call.start))
        nest = thread.nest if key == "op" else thread.frames
        if lo < until:
            for span, t in nest.divide(lo, until):
                yield getattr(span, "name", None), t
        yield getattr(nest.at(call.start), "name", None), hi - until


def tklqt_row(launches: list[Launch]) -> Row:
    """Sums and spread of t_l; "medians are rounded to integers; p95_ns is nearest-rank"."""
    ts = sorted(x.t for x in launches)
    row: Row = {"launches": len(ts), "kernels": sum(x.kernels for x in launches)}
    row |= {"tklqt_ns": sum(ts), "launch_ns": sum(x.launch_ns for x in launches)}
    row |= {"queue_ns": sum(x.queue_ns for x in launches)}
    row["median_ns"] = round(statistics.median(ts)) if ts else None
    row["p95_ns"] = ts[-(-95 * len(ts) // 100) - 1] if ts else None
    return row | {"max_ns": max(ts, default=None)}


def table_row(oracle: Oracle) -> list[Any]:
    """The columns of the issue's table "What it must show"."""
    gaps, total = oracle.gaps(), oracle.tklqt("trace")["trace"]
    linked = sum(w.launch is not None for w in oracle.works)
    kernel_ns = sum(w.end - w.start for w in oracle.works if w.kind == "kernel")
    busy = sum(length(oracle.busy(device)) for device in oracle.on_device)
    gap_ns = sum(g["end"] - g["start"] for g in gaps)
    no_op = sum(x.op is None for x in oracle.launches if x.kernels)
    row = [oracle.events, f"{len(oracle.works)} / {linked}", total["launches"]]
    return [*row, total["tklqt_ns"], kernel_ns, busy, len(gaps), gap_ns, no_op]


if __name__ == "__main__":
    for path in sys.argv[1:]:
        name = "/".join(Path(path).parts[-2:]).removesuffix(".json.gz")
        sys.stdout.write(f"| {' | '.join(map(str, [name, *table_row(read(path))]))} |\n")
