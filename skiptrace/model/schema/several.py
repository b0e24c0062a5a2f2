"""Columns of what is said of several traces: collectives and waits over ranks, differences."""

from __future__ import annotations

from skiptrace.model.schema.column import FLOAT, INT, STR, Column

_COLLECTIVE = (
    Column("collective", INT, "", "number of the collective, in order of its first arrival"),
    Column("type", STR, "", "all_reduce, all_gather, reduce_scatter, all_to_all, send_recv ..."),
    Column("group", STR, "", "process group as recorded, name and members; null where not"),
    Column("step", STR, "", "step in which it was launched, of the lowest rank that has it"),
    Column("bytes", INT, "B", "size by nccl-tests: of the larger of input and output; or null"),
)
COLLECTIVES = (
    *_COLLECTIVE,
    Column("dtype", STR, "", "type of its elements as recorded, or null"),
    Column("group_size", INT, "", "ranks of the group as recorded; else the ranks loaded"),
    Column("ranks", INT, "", "loaded ranks that have it"),
    Column("missing", INT, "", "loaded ranks of its group that do not: it is unmatched there"),
    Column("start_ns", INT, "ns", "first arrival, on the axis of the lowest rank"),
    Column("dur_ns", INT, "ns", "from the first arrival to the last end"),
    Column("skew_ns", INT, "ns", "from the first arrival to the last; null with one rank"),
    Column("first_rank", INT, "", "rank that arrived first"),
    Column("last_rank", INT, "", "rank that arrived last, for which the others waited"),
    Column("transfer_ns", INT, "ns", "shortest of its kernels; null unless all ranks are there"),
    Column("algorithm_gb_s", FLOAT, "GB/s", "bytes / transfer_ns"),
    Column("bus_gb_s", FLOAT, "GB/s", "that times the type's bus factor"),
)
COLLECTIVE_RANKS = (
    *_COLLECTIVE,
    Column("rank", INT, "", "rank"),
    Column("work", INT, "id", "its kernel, in that rank's trace"),
    Column("device", INT, "", "device it ran on"),
    Column("stream", INT, "", "stream it ran on"),
    Column("start_ns", INT, "ns", "arrival: its start, on the rank's own axis"),
    Column("aligned_ns", INT, "ns", "the same on the axis of the lowest rank: start + offset"),
    Column("dur_ns", INT, "ns", "its duration, waiting for others included"),
    Column("wait_ns", INT, "ns", "from its arrival to the last arrival"),
)
CLOCKS = (
    Column("rank", INT, "", "rank"),
    Column("offset_ns", INT, "ns", "added to its times, gives those of the lowest rank"),
    Column("spread_ns", INT, "ns", "5th to 95th percentile of the estimates; null where none"),
    Column("collectives", INT, "", "matched collectives the estimate rests on"),
    Column("reference", INT, "", "rank with which it shares them, itself aligned before"),
    Column("source", STR, "", "collectives, unix time (the header's base time), or none"),
)
STRAGGLERS = (
    Column("rank", INT, "", "the late rank"),
    Column("waiting", INT, "", "a rank that waited for it"),
    Column("collectives", INT, "", "collectives with a part of this wait"),
    Column("wait_ns", INT, "ns", "how long, summed"),
    Column("wait_share", FLOAT, "share", "of all waiting of all ranks"),
    Column("activity", STR, "", "what the late rank did: device (other work ran), or its host"),
    Column("op", STR, "", "operator that launched that work, or that the host was in; or null"),
    Column("kernel", STR, "", "the work that ran; null where the device idled"),
)
DIFF_STEPS = (
    Column("source", STR, "", "file, or what the trace came from"),
    Column("step", STR, "", "the step that stands for the trace: of median IL"),
    Column("il_ns", INT, "ns", "its inference latency; null where there is none"),
    Column("busy_ns", INT, "ns", "union of its work"),
    Column("ops", INT, "", "operators in it"),
    Column("launches", INT, "", "kernel launches"),
    Column("kernels", INT, "", "kernels they launched"),
    Column("tklqt_ns", INT, "ns", "sum of t_l"),
)
_MATCHED = (
    Column("change", STR, "", "added, removed, slower, faster or same"),
    Column("name", STR, "", "name after; before where it was removed"),
    Column("path", STR, "", "operators around it, outermost first; an operator's own last"),
    Column("match", STR, "", "what pairs them: path and name, path, or name; null for one alone"),
    Column("before", INT, "id", "the event before, or null"),
    Column("after", INT, "id", "the event after, or null"),
)
DIFF_OPS = (
    *_MATCHED,
    Column("dur_before_ns", INT, "ns", "its duration before"),
    Column("dur_after_ns", INT, "ns", "its duration after"),
    Column("change_ns", INT, "ns", "after - before, of one alone all of it"),
    Column("self_change_ns", INT, "ns", "the same of the time in no operator inside it"),
)
DIFF_LAUNCHES = (
    *_MATCHED,
    Column("kind", STR, "", "kernel, graph, memcpy or memset"),
    Column("tklqt_before_ns", INT, "ns", "its t_l before"),
    Column("tklqt_after_ns", INT, "ns", "its t_l after"),
    Column("change_ns", INT, "ns", "after - before, of one alone all of it"),
)
DIFF_WORKS = (
    *_MATCHED,
    Column("kind", STR, "", "kernel, memcpy or memset"),
    Column("name_before", STR, "", "its name before, or null"),
    Column("dur_before_ns", INT, "ns", "its duration before"),
    Column("dur_after_ns", INT, "ns", "its duration after"),
    Column("change_ns", INT, "ns", "after - before, of one alone all of it"),
    Column("il_change_ns", INT, "ns", "its part of the change of latency; they sum to it"),
)
DIFF_SPLIT = (
    Column("root_op", STR, "", "outermost operator around the launches; null where none"),
    Column("op", STR, "", "innermost operator around them; null where none"),
    Column("works_before", INT, "", "works launched there before"),
    Column("works_after", INT, "", "works launched there after"),
    Column("before_ns", INT, "ns", "part of the latency before; they sum to it"),
    Column("after_ns", INT, "ns", "part of the latency after; they sum to it"),
    Column("change_ns", INT, "ns", "after - before; they sum to the change of latency"),
    Column("busy_change_ns", INT, "ns", "of that, while its work runs"),
    Column("behind_change_ns", INT, "ns", "of that, while work of other steps runs before its own"),
    Column("idle_change_ns", INT, "ns", "of that, while the device idles before its work"),
)

FRAMES = {
    "collectives": COLLECTIVES, "collective_ranks": COLLECTIVE_RANKS, "clocks": CLOCKS,
    "stragglers": STRAGGLERS, "diff_steps": DIFF_STEPS, "diff_ops": DIFF_OPS,
    "diff_launches": DIFF_LAUNCHES, "diff_works": DIFF_WORKS, "diff_split": DIFF_SPLIT,
}  # fmt: skip
"""Verb -> the columns of its frame."""
