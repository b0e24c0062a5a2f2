"""Begin/end events (``B``/``E``) matched per thread into complete ones."""

from __future__ import annotations

import numpy as np

from skiptrace.intervals import Bools, Ints


def match_pairs(thread: Ints, times: Ints, begins: Bools) -> tuple[Ints, Ints, int]:
    """Match each begin with its end: per thread the last open one, as in a stack.

    Parameters
    ----------
    thread, times, begins
        Per event: its thread's number, its time (ns), and whether it begins (else it ends).
        Of equal times the file order counts.

    Returns
    -------
    (index of the begin, index of its end or -1 where it never ends, ends without a begin)
    """
    order = np.lexsort((np.arange(len(times)), times, thread))
    step = np.where(begins[order], 1, -1)
    owner = thread[order]
    depth = np.cumsum(step)
    is_first = np.concatenate(([True], owner[1:] != owner[:-1])) if len(owner) else begins
    start = np.flatnonzero(is_first)
    counts = np.diff(np.append(start, len(owner)))
    depth = depth - np.repeat(depth[start] - step[start], counts) if len(owner) else depth
    # An end below the lowest depth so far has no begin: take those out, lifting what follows.
    floor = _running_min(depth, start, counts)
    before = np.concatenate(([0], floor[:-1])) if len(floor) else floor
    before[start] = 0
    stray = (step < 0) & (floor < before)
    level = (depth - floor)[~stray] + (step[~stray] < 0)
    order, owner, step = order[~stray], owner[~stray], step[~stray]
    grouped = np.lexsort((np.arange(len(order)), level, owner))
    sorted_order, sorted_step = order[grouped], step[grouped]
    same = np.zeros(len(grouped), np.bool_)
    if len(grouped) > 1:
        same[:-1] = (owner[grouped][1:] == owner[grouped][:-1]) & (
            level[grouped][1:] == level[grouped][:-1]
        )
    is_begin = sorted_step > 0
    following = np.append(sorted_order[1:], -1)
    ends = np.where(same, following, -1)[is_begin]
    return sorted_order[is_begin], ends, int(stray.sum())


def _running_min(depth: Ints, start: Ints, counts: Ints) -> Ints:
    """Per thread the lowest depth so far, at most 0."""
    # One pass for all threads: later threads are shifted far below, so no minimum leaks over.
    shift = np.repeat(np.arange(len(start)), counts) * (2 * len(depth) + 2)
    low: Ints = np.minimum.accumulate(np.minimum(depth, 0) - shift) + shift
    return low
