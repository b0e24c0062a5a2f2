"""Every threshold that a result rests on, in one place."""

from __future__ import annotations

MAJORITY = 0.5
"""A step is `cpu`- or `gpu`-bound if more than this share of its critical path lies there."""

BUSY = 0.8
"""A report names kernels as the limit where the device works from this share of the latency on, and
the causes of its idling below."""

OUTLIER = 1.5
"""A step is an outlier if its IL is over this many times the median IL."""

MIN_IDLE_LAUNCHES = 10
"""Fewer launches onto an idle device than this give no median to take a floor from."""

SYNC_SLACK = 0.5
"""A gap that a wait began is `sync` while python, dataloader, alloc and copy take at most this."""

KNEE = 2.0
"""A sweep's plateau ends where TKLQT per launch reaches this many times its minimum."""

DEVICE_SHARE = 0.5
"""A sweep has turned where at least this share of the critical path lies on the device."""

WORTH = 0.01
"""Advice that gains less than this share of a step's latency is not given."""

REPLAY_ERROR = 0.05
"""A replay that with nothing changed misses a step's latency by more than this is doubtful."""
CLOCK_SPREAD = 0.1
"""Differences of clocks that spread over more than this share of the median step are none."""

DOUBT_SHARE = 0.01
"""A finding of less than this share of the events that could have it makes no figure doubtful."""

LOST_SHARE = 0.1
"""A verdict says that the recording is cut where at least this share of launches has no work."""

LONG_CALL = 50_000
"""A launch's call of more than this many ns is an outlier."""

LONG_DELAY = 100_000
"""So is a launch that took more than this many ns, waiting behind earlier work left out."""

QUEUE_LIMIT = 1024
"""So many launches that wait or run fill the queue of a stream."""

NOISE = 0.1
"""Runs of one workload differ by this share of a figure, where fewer than `REPEATS` are known."""

REPEATS = 3
"""From so many runs of a baseline on, their own spread is the noise."""

LEAST_CHANGE = 0.01
"""A figure that changed by less than this share of the latency has not, whatever its noise."""

STUDENT_99 = (
    31.821, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764, 2.718, 2.681, 2.650,
    2.624, 2.602, 2.583, 2.567, 2.552, 2.539, 2.528, 2.518, 2.508, 2.500, 2.492, 2.485, 2.479,
    2.473, 2.467, 2.462, 2.457,
)  # fmt: skip
"""Student's t beyond which 1 % lies, by degrees of freedom from 1 on; from 30 on the last."""

CHANGED = 0.05
"""What differs by more than this share of the longer of the two is slower or faster, else same."""
