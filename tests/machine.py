"""A machine in plain Python: runs a program of host time, launches and waits, and records a trace.

An oracle for the replay: what a change brings is known by running the changed program.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from helpers import Event, call, kernel, op, step

Action = tuple[Any, ...]


@dataclass
class Machine:
    """Constants of the machine, in microseconds."""

    latency: int = 3
    gap: int = 2
    wake: int = 7
    call: int = 5
    host: float = 1.0
    device: float = 1.0
    now: float = 0
    ended: dict[int, float] = field(default_factory=dict)
    launched: dict[int, list[float]] = field(default_factory=dict)
    told: float | None = None
    events: list[Event] = field(default_factory=list)
    ran: list[tuple[float, float]] = field(default_factory=list)
    number: int = 0

    def run(self, program: list[Action]) -> float:
        """Run a program as one step; returns its IL."""
        begin = self.now
        for what, *rest in program:
            getattr(self, what)(*rest)
        self.events.append(step(1, begin, self.now - begin))
        self.events.append(op("all", begin, self.now - begin))
        return max(end for _, end in self.ran) - begin

    def think(self, took: float) -> None:
        """Host time."""
        self.now += took * self.host

    def launch(self, stream: int, took: float) -> None:
        """A kernel on a stream."""
        self.number += 1
        took *= self.device
        began = self.now
        self.now += self.call * self.host
        start = self.now + self.latency
        if stream in self.ended:
            start = max(start, self.ended[stream] + self.gap)
        if self.told is not None:
            start = max(start, self.told + self.gap)
            self.told = None
        self.ended[stream] = start + took
        self.ran.append((start, start + took))
        self.events.append(call("cudaLaunchKernel", began, self.now - began, self.number))
        self.events.append(kernel(start, took, self.number, f"k{stream}", stream=stream))

    def sync(self) -> None:
        """A wait for all that was launched."""
        began = self.now
        self.now = max(self.now, max(self.ended.values(), default=0)) + self.wake
        self.events.append(call("cudaDeviceSynchronize", began, self.now - began))

    def after(self, other: int) -> None:
        """The next launch waits for what another stream has been given."""
        if other in self.ended:
            self.told = self.ended[other]
            began = self.now
            self.now += 1 * self.host
            self.events.append(call("cudaStreamWaitEvent", began, self.now - began))


def program(seed: int, streams: int = 1, syncs: bool = True) -> list[Action]:
    """A random program; the first launches show the machine's latency and gap."""
    rng = random.Random(seed)
    made: list[Action] = []
    for stream in range(streams):
        for _ in range(12):  # onto an idle device, so that its latency is known
            made += [("think", 50), ("launch", stream, 10)]
            made += [("sync",)] if syncs else [("think", 60)]
        made += [("launch", stream, 400), ("launch", stream, 100), ("launch", stream, 100)]
        made += [("sync",)] if syncs else [("think", 900)]
    for _ in range(60):
        kind = rng.random()
        if kind < 0.35:
            made.append(("think", rng.choice([10, 20, 40, 200])))
        elif kind < 0.9 or not syncs:
            stream = rng.randrange(streams)
            if streams > 1 and rng.random() < 0.3:
                made.append(("after", (stream + 1) % streams))
            made.append(("launch", stream, rng.choice([10, 30, 100, 300])))
        else:
            made.append(("sync",))
    return [*made, ("launch", 0, 20), ("think", 5)]
