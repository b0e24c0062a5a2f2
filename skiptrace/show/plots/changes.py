"""What a change would bring or has brought: fusion, what-ifs, and a diff."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from skiptrace.errors import UnknownKeyError
from skiptrace.measure.diff import Diff
from skiptrace.measure.fusion import Fusion
from skiptrace.measure.fusion import fusion as find_fusion
from skiptrace.measure.summary import median_step
from skiptrace.model.trace import Trace
from skiptrace.predict.whatif import WhatIf
from skiptrace.show.plots import palette
from skiptrace.show.plots.bars import top
from skiptrace.show.plots.chart import (
    EDGE,
    WIDTH,
    Chart,
    altair,
    amounts,
    beside,
    check_width,
    colours,
    data,
    name_axis,
    nothing,
    plain,
    tips,
    title,
    unit_for,
)
from skiptrace.show.text import duration

PARTS = 12
"""Bars of a waterfall; all other changes are one more."""


def fusion(found: Fusion | Trace, *, width: int = WIDTH) -> Chart:
    """Kernel launches that remain if all candidates of one chain length are fused.

    Parameters
    ----------
    found
        The result of `fusion`, or a trace, whose chains are then looked for.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.Chart
        A bar a chain length, with the ideal speed-up ``K_eager / K_fused``; savings of different
        lengths are alternatives.

    Raises
    ------
    UnknownKeyError
        `width` is too small.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    savings = (find_fusion(found) if isinstance(found, Trace) else found).savings
    what = "Fusion"
    if savings.is_empty() or not int(savings["kernels_eager"].max()):  # type: ignore[arg-type]
        return nothing(what, "no launch has a kernel", width)
    if not int(savings["candidates"].sum()):
        return nothing(what, "no chain of kernels always follows its first one", width)
    alt = altair()
    best = savings.sort("kernels_fused", "length").row(0, named=True)
    eager = best["kernels_eager"]
    saved = eager - best["kernels_fused"]
    answer = (
        f"Fusing chains of {best['length']} kernels would save {saved:,} of {eager:,} launches"
        if saved
        else "No chain would save a launch"
    )
    detail = "kernel launches left, and the ideal speed-up; lengths are alternatives, not to add"
    frame = savings.with_columns(
        label=pl.Series([f"{s:.2f} x" if s else "" for s in savings["ideal_speedup"]])
    )
    tall = frame.with_columns(saved=pl.col("kernels_eager") - pl.col("kernels_fused"))
    base = alt.Chart(data(tall)).encode(
        x=alt.X("length:O", title="kernels in a chain", axis=alt.Axis(labelAngle=0))
    )
    shown = tips(alt, length="length", unique_chains="chains", candidates="candidates",
                 kernels_fused="launches left", saved="launches saved")  # fmt: skip
    y = alt.Y("kernels_fused:Q", title="kernel launches", scale=alt.Scale(domain=[0, eager]))
    bars = base.mark_bar(color=palette.TIME["launch"]).encode(y=y, tooltip=shown)
    text = base.mark_text(color=palette.NOTES, dy=-6).encode(y=y, text="label:N")
    line = alt.Chart(data(tall.head(1))).mark_rule(strokeDash=[4, 3], color=palette.NEUTRAL)
    line = line.encode(y="kernels_eager:Q")
    made: Chart = alt.layer(bars, line, text, title=title(alt, answer, detail, width)).properties(
        width=width - 3 * EDGE, height=220
    )
    return made


def whatif(found: WhatIf | Mapping[str, WhatIf], *, width: int = WIDTH) -> Chart:
    """Predicted latencies beside each other, each with its range.

    Parameters
    ----------
    found
        What to call each change -> the result of `whatif`; or one result.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.Chart
        A bar each: ``latency_ns`` of the median step, the range, and a tick where it is now.

    Raises
    ------
    UnknownKeyError
        `width` is too small.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    named = {"changed": found} if isinstance(found, WhatIf) else dict(found)
    frame = whatif_rows(named)
    if frame.is_empty():
        return nothing("What would pay", "no step has a latency to predict", width)
    alt = altair()
    best = frame.row(0, named=True)
    unit = unit_for(frame.select(pl.max_horizontal("latency_ns", "before_ns").max()).item())
    frame = frame.with_columns(
        *(unit.of(f"{c}_ns").alias(c) for c in ("latency", "low", "high", "before")),
        colour=pl.col("verdict").fill_null("balanced"),
        shown=pl.Series([f"{s:.2f} x" for s in frame["speedup"]]),
        time=pl.Series([duration(ns) for ns in frame["latency_ns"]]),
        range=pl.Series([f"{duration(a)} to {duration(b)}"
                         for a, b in frame.select("low_ns", "high_ns").rows()]),
        now=pl.Series([duration(ns) for ns in frame["before_ns"]]),
    )  # fmt: skip
    lead = "" if isinstance(found, WhatIf) else f"{best['name']} pays most: "
    answer = (
        f"{lead}{best['speedup']:.2f} times as fast, {duration(best['latency_ns'])} instead of "
        f"{duration(best['before_ns'])}"
    )
    detail = (
        "bar: predicted latency of the median step without a profiler, by the side that would "
        "then hold it; line: its range; tick: as it is now"
    )
    y = name_axis(alt, frame, width)
    base = alt.Chart(data(frame)).encode(y=y)
    x = amounts(alt, "latency:Q", f"latency of a step ({unit.name})")
    shown = tips(alt, name="change", time="latency", range="range", now="now", shown="speed-up",
                 colour="then bound by")  # fmt: skip
    bars = base.mark_bar(opacity=0.75).encode(
        x=x, color=colours(alt, frame["colour"], palette.SIDES, width), tooltip=shown
    )
    spread = base.mark_rule(color=palette.NOTES, strokeWidth=3).encode(x="low:Q", x2="high:Q")
    now = base.mark_tick(thickness=3, color=palette.NOTES).encode(x="before:Q")
    text = base.mark_text(color=palette.NOTES, align="left", dx=4)
    text = text.encode(x="top:Q", text="shown:N").transform_calculate(
        top="max(datum.high, datum.before)"
    )
    made: Chart = alt.layer(
        bars, spread, now, text, title=title(alt, answer, detail, width)
    ).properties(width=width - beside(frame["name"], width) - 2 * EDGE)
    return made


def whatif_rows(named: Mapping[str, WhatIf]) -> pl.DataFrame:
    """The median step of each prediction, the fastest first; what has no step is left out."""
    frames = []
    for name, one in named.items():
        given: object = one
        if not isinstance(given, WhatIf):
            raise UnknownKeyError.of(f"what-if of {name!r}", type(given).__name__, ["WhatIf"])
        step = median_step(one.frame, "latency_ns")
        frames.append(step.select(
            "latency_ns", "before_ns", "speedup", "verdict", name=pl.lit(plain(name, 60)),
            low_ns="latency_low_ns", high_ns="latency_high_ns",
        ))  # fmt: skip
    return pl.concat(frames).sort(-pl.col("speedup"), "name") if frames else pl.DataFrame()


def diff(found: Diff, *, width: int = WIDTH) -> Chart:
    """The change of latency from one trace to another as a waterfall.

    Parameters
    ----------
    found
        The result of `diff`.
    width
        Pixels from edge to edge.

    Returns
    -------
    altair.Chart
        From the latency before to the latency after, a bar for each operator whose part changed,
        the largest change first; of more than 12, the last is all others.

    Raises
    ------
    UnknownKeyError
        `width` is too small.
    MissingDependencyError
        The extra ``plot`` is not installed.
    """
    check_width(width)
    before, after = found.steps["il_ns"]
    if before is None or after is None:
        return nothing("What changed", found.verdict, width)
    alt = altair()
    frame = waterfall(int(before), found.split)
    unit = unit_for(max(before, after))
    frame = frame.with_columns(
        a=unit.of("start_ns"),
        b=unit.of("end_ns"),
        shown=pl.Series([_signed(ns) if c != "latency" else duration(end) for ns, c, end in
                         frame.select("change_ns", "colour", "end_ns").rows()]),
    )  # fmt: skip
    y = name_axis(alt, frame, width)
    answer = found.verdict.split(";")[0]
    answer = answer[:1].upper() + answer[1:]
    detail = "the latency of the median step before and after, and the operators that changed it"
    shades = {"latency": palette.NEUTRAL, "longer": palette.LONGER, "shorter": palette.SHORTER}
    ends = [*frame["a"], *frame["b"]]
    margin = 0.06 * (max(ends) - min(ends)) or 0.02 * max(ends)
    scale = alt.Scale(domain=[min(ends) - margin, max(ends) + margin], nice=False)
    x = amounts(alt, "a:Q", f"latency ({unit.name})", scale=scale)
    shown = tips(alt, name="operator", shown="change")
    base = alt.Chart(data(frame)).encode(y=y)
    total = alt.datum.colour == "latency"
    bars = base.transform_filter(~total).mark_bar(minBandSize=2, opacity=1).encode(
        x=x, x2="b:Q", color=colours(alt, frame["colour"], shades, width), tooltip=shown
    )  # fmt: skip
    totals = base.transform_filter(total).mark_tick(thickness=4, opacity=1).encode(
        x=x, color=colours(alt, frame["colour"], shades, width), tooltip=shown
    )  # fmt: skip
    text = base.mark_text(color=palette.NOTES, align="left", dx=4)
    text = text.encode(x="far:Q", text="shown:N").transform_calculate(far="max(datum.a, datum.b)")
    layers = alt.layer(bars, totals, text, title=title(alt, answer, detail, width))
    made: Chart = layers.properties(width=width - beside(frame["name"], width) - 2 * EDGE)
    return made


def _signed(ns: int) -> str:
    return f"{'+' if ns >= 0 else '-'}{duration(abs(ns))}"


def waterfall(before: int, split: pl.DataFrame) -> pl.DataFrame:
    """The bars of a waterfall: each starts where the one above it ends.

    ``name``, ``start_ns``, ``end_ns``, ``change_ns`` and ``colour``; the first is the latency
    before, the last the latency after.
    """
    changed = split.filter(pl.col("change_ns") != 0).with_columns(
        where=pl.when(pl.col("op").is_null())
        .then(pl.lit("(outside operators)"))
        .when(pl.col("root_op") == pl.col("op"))
        .then("op")
        .otherwise(pl.concat_str([pl.col("root_op"), pl.col("op")], separator=" > "))
    )
    parts = top(changed, "where", ["change_ns"], PARTS)
    end = before + parts["change_ns"].cum_sum()
    longer = pl.when(pl.col("change_ns") > 0)
    bars = pl.DataFrame(
        {
            "name": parts["name"],
            "start_ns": end - parts["change_ns"],
            "end_ns": end,
            "change_ns": parts["change_ns"],
        },
        schema_overrides={"name": pl.String},
    ).with_columns(colour=longer.then(pl.lit("longer")).otherwise(pl.lit("shorter")))
    last = int(end[-1]) if len(end) else before
    ends = [
        pl.DataFrame(
            {
                "name": [name],
                "start_ns": [at],
                "end_ns": [at],
                "change_ns": [0],
                "colour": ["latency"],
            }
        )
        for name, at in (("before", before), ("after", last))
    ]
    return pl.concat([ends[0], bars, ends[1]])
