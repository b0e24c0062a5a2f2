"""The replay in plain Python: each time worked out as soon as all it waits for is known."""

from __future__ import annotations

from skiptrace.predict.replay import NEVER, Model, replay

Known = list[int | None]


def plainly(model: Model) -> tuple[Known, Known]:
    """When points come and works end: each worked out as soon as all it waits for is known."""
    point: Known = [None] * len(model.delta)
    end: Known = [None] * len(model.dur)
    while None in point or None in end:
        known = sum(x is not None for x in (*point, *end))
        for i in range(len(point)):
            point[i] = latest(point_needs(model, i, point, end), int(model.delta[i]))
        for i in range(len(end)):
            end[i] = latest(work_needs(model, i, point, end), int(model.dur[i]))
        assert sum(x is not None for x in (*point, *end)) > known, "it waits for itself"
    return point, end


def latest(needed: Known, more: int) -> int | None:
    return None if None in needed else max(x for x in needed if x is not None) + more


def point_needs(model: Model, i: int, point: Known, end: Known) -> Known:
    works, points = {at: (w, p) for at, w, p in model.waits}.get(i, ((), ()))
    needed = [end[until - 1] for _, until in works] + [point[p] for p in points]
    firsts = model.first_point[:-1].tolist()
    if i not in firsts:
        needed.append(point[i - 1])
    elif not points:
        needed.append(int(model.begin[firsts.index(i)]))
    return needed


def work_needs(model: Model, i: int, point: Known, end: Known) -> Known:
    needed: Known = []
    at, latency = int(model.point[i]), int(model.latency[i])
    if latency != NEVER:
        needed.append(plus(0 if at < 0 else point[at], latency))
    if i not in model.first_work[:-1].tolist():
        needed.append(plus(end[i - 1], int(model.gap[i])))
    if model.after[i] >= 0:
        needed.append(plus(end[int(model.after[i])], model.after_ns))
    return needed


def plus(time: int | None, more: int) -> int | None:
    return None if time is None else time + more


def assert_plain(model: Model) -> None:
    times = replay(model)
    points, ends = plainly(model)
    assert times.point.tolist() == points
    assert times.end.tolist() == ends
    assert (times.end - times.start).tolist() == model.dur.tolist()
