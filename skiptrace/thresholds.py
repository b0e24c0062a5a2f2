"""Every threshold that a result rests on, in one place."""

from __future__ import annotations

CPU_BELOW = 0.5
"""A step is `cpu`-bound if the device works less than this share of its latency."""

GPU_FROM = 0.8
"""A step is `gpu`-bound from this share on; between the two it is `balanced`."""

OUTLIER = 1.5
"""A step is an outlier if its IL is over this many times the median IL."""

MIN_IDLE_LAUNCHES = 10
"""Fewer launches onto an idle device than this give no median to take a floor from."""

SYNC_SLACK = 0.5
"""A gap that a wait began is `sync` while python, dataloader, alloc and copy take at most this."""

KNEE = 2.0
"""A sweep's plateau ends where TKLQT per launch reaches this many times its minimum."""

DEVICE_SHARE = 0.5
"""A sweep has turned where the device works at least this share of the latency."""

DOUBT_SHARE = 0.01
"""A finding of less than this share of the events that could have it makes no figure doubtful."""
