"""The sentences that head a report: the verdict, what is doubtful about it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl

from skiptrace.model.duration import duration
from skiptrace.model.health import DOUBTFUL, weighty
from skiptrace.show.text import percent, shorten
from skiptrace.thresholds import BUSY, DOUBT_SHARE, LOST_SHARE

ADVICE = {
    "profiler": "the profiler itself: record less, or fewer steps",
    "sync": "the host waits for the device, then starts from an empty queue: read values back less "
    "often (.item(), .cpu(), printing a tensor), or later",
    "alloc": "device memory is allocated or freed in the loop: keep and reuse it",
    "copy": "copies block the host: pin the memory and copy with non_blocking=True",
    "launch": "launching itself is too slow: fewer launches (a CUDA graph, torch.compile, fusion)",
    "dataloader": "input is not ready: more workers, prefetch, or do less per sample",
    "operator": "the host's operators are slower than the device: fewer and larger ones (a CUDA "
    "graph, torch.compile, a larger batch)",
    "python": "Python between operators: move it out of the loop, compile it, or prepare the next "
    "step while the device works",
    "device": "the device's own start-up of work: larger or fewer kernels",
    "dependency": "work waits for another stream or for its peers: look there, at the stream or "
    "rank that comes late",
    "unknown": "launched outside the recording: record a longer window",
}
"""Cause of idle time -> what to do about it."""

TAKEN_OUT = {
    "python": "no time in Python between operators",
    "python before this operator": "no time in Python before this operator",
    "operator": "no time in this operator",
    "alloc": "no allocation",
    "dataloader": "input at no cost",
    "dependency": "no wait for another stream",
}
"""Causes that were taken out, in words."""

Mark = Callable[[str], str]
"""Writes a name that the trace gives, at a length that fits a sentence."""


def _plain(name: str) -> str:
    return shorten(name, 80)


_VERDICTS = {"cpu": "CPU-bound", "gpu": "GPU-bound", "balanced": "Balanced"}


def verdict_sentence(verdict: pl.DataFrame, by_step: pl.DataFrame, health: pl.DataFrame) -> str:
    """The verdict on the trace, and on how many steps it rests."""
    row = verdict.row(0, named=True)
    if row["verdict"] is None:
        unknown = health.filter(pl.col("kind") == "not_understood")
        if len(unknown) and row["because"].startswith("nothing ran"):
            return (
                f"No verdict: no event was understood as device work; {unknown['count'][0]:,} are "
                "of a category that is not known. Is this a Kineto trace?"
            )
        hint = ". To record device work: ProfilerActivity.CUDA (or XPU) in `activities`"
        return f"No verdict: {row['because']}{hint if 'nothing ran' in row['because'] else ''}."
    judged = by_step.filter(pl.col("verdict").is_not_null())
    agree = judged.filter(pl.col("verdict") == row["verdict"])
    steps = f" ({len(agree)} of {len(judged)} steps)" if len(judged) > 1 else ""
    return f"{_VERDICTS[row['verdict']]}{steps}: {row['because']}."


def caution_sentence(verdict: str | None, health: pl.DataFrame, unlinked: float) -> str:
    """What verdict and advice rest on where figures are missing or may be wrong; else nothing.

    `unlinked` is the share of the device time in the steps of work without a launch.
    """
    kind = pl.col("kind")
    found = weighty(health).filter(
        (kind != "no_device_work")  # the verdict says that
        & (
            (pl.col("severity") == "error")
            | kind.is_in([*DOUBTFUL, "needed_left_out"])
            | ((kind == "launch_without_work") & (pl.col("share") >= LOST_SHARE))
        )
    )
    kinds = [f"{count:,} {kind}" for kind, count in found.select("kind", "count").rows()]
    if kinds:
        kinds[0] += f" ({found['meaning'][0]})"
    if unlinked >= DOUBT_SHARE:
        kinds.insert(0, f"{percent(unlinked)} of the device time in the steps is of work whose "
                        "launch is not recorded")  # fmt: skip
    if not kinds:
        return ""
    is_damaged = (found["severity"] == "error").any()
    what = "damaged" if is_damaged else "doubtful" if len(found) else "cut"
    lead = (
        f"The trace is {what}" if verdict is None else f"Verdict and advice rest on a {what} trace"
    )
    more = f"; also {', '.join(kinds[1:3])}" + (" and more" if len(kinds) > 3 else "")
    return f"{lead}: {kinds[0]}{more if kinds[1:] else ''}."


def advice_sentences(
    verdict: str | None, steps: pl.DataFrame, idle: pl.DataFrame, behind: pl.DataFrame,
    kernels: pl.DataFrame, lead_ns: int, mark: Mark = _plain,
) -> str:  # fmt: skip
    """What to do: about the device where it is the limit, and about idle time where it is much."""
    if verdict is None:
        return ""
    il, idled = int((steps["il_ns"] * steps["devices"]).sum()), int(steps["gpu_idle_ns"].sum())
    limit = _limit(kernels, idled / max(il, 1), mark)
    if idled <= (1 - BUSY) * il:
        return limit
    between = int(idle["idle_ns"].sum())
    about_idle = _largest_cause(idle, behind, between, mark) if between else ""
    if lead_ns > between:
        about_idle = (
            f"{duration(lead_ns)} of idle time lie before the first work of the steps, and "
            f"{duration(between)} between works: look at what the host does before its first "
            "launch, or record several steps in a row."
        )
    return f"{limit} {about_idle}".strip() if verdict == "gpu" else about_idle


def _limit(kernels: pl.DataFrame, idle_share: float, mark: Mark) -> str:
    top = kernels.row(0, named=True) if len(kernels) else None
    what = (
        f"{percent(top['time_share'])} of its kernel time is {mark(top['kernel'])}. " if top else ""
    )
    return (
        f"The device is the limit: {what}What to do: faster or fewer kernels, or a faster device; "
        f"without any idle time a step would be {percent(idle_share)} shorter at most."
    )


def _largest_cause(idle: pl.DataFrame, behind: pl.DataFrame, between: int, mark: Mark) -> str:
    top = idle.row(0, named=True)
    first = behind.filter(pl.col("cause") == top["cause"]).row(0, named=True)
    parts = (first["root_op"], first["op"], first["python"])
    where = " > ".join(mark(part) for part in dict.fromkeys(parts) if part)
    place = f"before {mark(first['next_op'])}" if first["next_op"] else ""
    place = place or (f"at {where}" if where else "")
    call = f" ({mark(first['call'])})" if first["call"] else ""
    part = percent(first["idle_ns"] / top["idle_ns"]) if top["idle_ns"] else "-"
    most = f", {part} of that {place}{call}" if place else ""
    return (
        f"{percent(top['idle_share'])} of the {duration(between)} in which the device idled "
        f"between works has the cause '{top['cause']}'{most}. "
        f"What to do: {ADVICE[top['cause']]}."
    )


def change_in_words(change: str) -> str:
    """A change of `advise` as a person would say it after "with"."""
    if change.startswith("remove_syncs='"):
        return f"no wait in {change.removeprefix('remove_syncs=').strip(chr(39))}"
    words = TAKEN_OUT.get(change, change).replace("remove_syncs=True", "no wait")
    words = re.sub(r"^fuse (\d+ kernels)", r"\1 fused into one", words)
    return words.replace("cuda_graph=True", "the step as a CUDA graph")
