"""Predict what changes to a small model would bring, make them, and measure: `whatif` end to end.

    python measure_whatif.py --out measured.json
    python measure_whatif.py --device cpu --batches 1 --repeats 2    # a dry run: nothing to predict

Needs PyTorch, and a GPU to mean anything; no other package and no network. The model is a stack of
transformer layers with random weights, in half precision. Changes, each at every batch size:

- ``cuda_graph``: the step as one CUDA graph.
- ``remove_syncs``: a model that reads a value back in every layer, and the same without reading.
- ``fuse``: the activation written as a chain of elementwise kernels, and as the one kernel that
  PyTorch has for it.
- ``unprofiled``: no change but the profiler: the recorded model against its own latency.

Latencies are wall clock from an idle device to an idle device, without a profiler, taken in turns
with those of the changed model, and before the first recording: callbacks of the profiler may stay.
They are taken once more after all recordings (``again_us``): by so much the host itself varies.
Writes a list of rows: ``change``, ``batch``, ``before_us`` (predicted and measured), ``after_us``
(predicted, its range, measured), ``error`` of the prediction, and what it assumed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

if importlib.util.find_spec("skiptrace") is None:  # run from a checkout
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import skiptrace as sk

Run = Callable[[], Any]

LAYERS, WIDTH, HEADS, TOKENS = 12, 768, 12, 128
PLAIN, READING, PARTS = "plain", "reading", "parts"
"""Models: as one would write it; with a value read back in each layer; its activation in parts."""
CHANGED = {
    "cuda_graph": (PLAIN, "graph"),
    "remove_syncs": (READING, "kept"),
    "fuse": (PARTS, PLAIN),
    "unprofiled": (PLAIN, PLAIN),
}
"""Change -> the model that is recorded, and the one that has the change."""


def main(argv: Sequence[str] | None = None) -> int:
    """Predict, measure and print; returns the exit code."""
    options = parser().parse_args(argv)
    if importlib.util.find_spec("torch") is None:
        print("measure_whatif.py needs PyTorch: see https://pytorch.org", file=sys.stderr)
        return 2
    torch: Any = importlib.import_module("torch")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        kept = options.traces or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        models = {batch: build(torch, device, batch) for batch in options.batches}
        before, recorded = timed(torch, device, models, options), {}
        for batch, runs in models.items():
            for model in (PLAIN, READING, PARTS):
                recorded[batch, model] = kept / f"{model}_b{batch}.json.gz"
                record(torch, device, runs[model], recorded[batch, model], options.active)
        again = timed(torch, device, models, options)
        for batch in models:
            chain = chain_of(torch, device, batch, kept)
            for change, (model, _) in CHANGED.items():
                trace = sk.load(recorded[batch, model])
                found = compare(change, trace, before[batch], again[batch], chain)
                rows.append({"change": change, "batch": batch, **found})
                print(sentence(rows[-1]), flush=True)
    name = torch.cuda.get_device_name() if device != "cpu" else "cpu"
    made = {"torch": str(torch.__version__), "device": name, "rows": rows}
    if options.out:
        options.out.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    made = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    made.add_argument("--out", type=Path, help="file to write the rows to")
    made.add_argument("--traces", type=Path, help="folder to keep the traces in")
    made.add_argument("--device", help="cuda or cpu (default: cuda where there is one)")
    made.add_argument("--rounds", type=int, default=10, help="turns of timing")
    made.add_argument("--repeats", type=int, default=20, help="passes of a model in each turn")
    made.add_argument("--active", type=int, default=5, help="passes in a trace")
    return made


# --- predictions and measurements -----------------------------------------------------------------


def compare(
    change: str,
    trace: sk.Trace,
    before: Mapping[str, float],
    again: Mapping[str, float],
    chain: Sequence[str],
) -> dict[str, Any]:
    """The median step's prediction beside what was measured, in microseconds."""
    recorded, changed = CHANGED[change]
    options: dict[str, dict[str, Any]] = {
        "cuda_graph": {"cuda_graph": True},
        "remove_syncs": {"remove_syncs": True},
        "fuse": {"fuse": [list(chain)]} if len(chain) > 1 else {},
        "unprofiled": {},
    }
    measured = {"before": before[recorded], "after": before[changed]}
    later = {"before": again[recorded], "after": again[changed]}
    found = sk.whatif(trace, **options[change])
    if found.frame.is_empty():
        return {"measured_us": measured, "again_us": later}
    row = found.frame.sort("latency_ns")[(len(found.frame) - 1) // 2].row(0, named=True)
    names = {"before": "before_ns", "after": "latency_ns"}
    names |= {"low": "latency_low_ns", "high": "latency_high_ns", "recorded": "recorded_ns"}
    predicted = {name: row[column] / 1e3 for name, column in names.items()}
    gain = predicted["before"] / predicted["after"], measured["before"] / measured["after"]
    return {
        "verdict_before": sk.boundedness(trace, "trace")["verdict"].item(),
        "verdict_after": row["verdict"],
        "predicted_us": predicted,
        "measured_us": measured,
        "again_us": later,
        "error": predicted["after"] / measured["after"] - 1,
        "error_before": predicted["before"] / measured["before"] - 1,
        "speedup": {"predicted": gain[0], "measured": gain[1]},
        "replay_error": row["error"],
        "assumptions": list(found.assumptions),
    }


def sentence(row: Mapping[str, Any]) -> str:
    """One row for people."""
    measured = row["measured_us"]
    head = f"batch {row['batch']}, {row['change']}: "
    if "predicted_us" not in row:
        return f"{head}nothing to predict; measured {measured['after']:.1f} us"
    found = row["predicted_us"]
    return (
        f"{head}{found['after']:.1f} us predicted ({found['low']:.1f} to {found['high']:.1f}), "
        f"{measured['after']:.1f} us measured, {row['error']:+.1%}; before {found['before']:.1f} "
        f"predicted, {measured['before']:.1f} measured"
    )


def timed(
    torch: Any, device: str, models: Mapping[int, Mapping[str, Run]], options: argparse.Namespace
) -> dict[int, dict[str, float]]:
    """Latencies of every model at every batch."""
    return {
        batch: time_in_turns(torch, device, runs, options.rounds, options.repeats)
        for batch, runs in models.items()
    }


def time_in_turns(
    torch: Any, device: str, runs: Mapping[str, Run], rounds: int, repeats: int
) -> dict[str, float]:
    """Each model's median latency in microseconds, from an idle device to an idle device."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            for _ in range(repeats):
                synchronize(torch, device)
                begin = time.perf_counter_ns()
                run()
                synchronize(torch, device)
                if number:  # the first round warms up
                    times[name].append((time.perf_counter_ns() - begin) / 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def record(torch: Any, device: str, run: Run, path: Path, active: int) -> None:
    """A trace of a few passes, each from an idle device to an idle device."""
    profiler = torch.profiler
    activities = [profiler.ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(profiler.ProfilerActivity.CUDA)
    wait, warmup = 1, 2  # the profiler's own first steps are slow
    with profiler.profile(
        activities=activities,
        schedule=profiler.schedule(wait=wait, warmup=warmup, active=active, repeat=1),
        on_trace_ready=lambda profile: profile.export_chrome_trace(str(path)),
    ) as profile:
        for _ in range(wait + warmup + active):
            synchronize(torch, device)
            run()
            synchronize(torch, device)
            profile.step()


def synchronize(torch: Any, device: str) -> None:
    """Wait until the device has nothing left to do."""
    if device != "cpu":
        torch.cuda.synchronize()


# --- the model ------------------------------------------------------------------------------------


def build(torch: Any, device: str, batch: int) -> dict[str, Run]:
    """A forward pass of each model, and of the changed ones; all with the same weights."""
    dtype = torch.float32 if device == "cpu" else torch.float16
    given = torch.randn(batch, TOKENS, WIDTH, device=device, dtype=dtype)
    nn = torch.nn
    layers = [
        [
            made.to(device=device, dtype=dtype)
            for made in (
                nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH),
                nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH),
            )
        ]
        for _ in range(LAYERS)
    ]  # fmt: skip
    functional = nn.functional

    def forward(activation: Callable[[Any], Any], seen: Callable[[Any], Any] | None) -> Any:
        x, values = given, []
        for before, into, out, between, wide, narrow in layers:
            parts = into(before(x)).view(batch, TOKENS, 3, HEADS, WIDTH // HEADS)
            query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = functional.scaled_dot_product_attention(query, key, value)
            x = x + out(mixed.transpose(1, 2).reshape(batch, TOKENS, WIDTH))
            x = x + narrow(activation(wide(between(x))))
            if seen is not None:
                values.append(seen(x.amax()))
        return x, values

    def gelu(x: Any) -> Any:
        return functional.gelu(x, approximate="tanh")

    runs: dict[str, Run] = {
        PLAIN: lambda: forward(gelu, None),
        READING: lambda: forward(gelu, lambda value: value.item()),
        "kept": lambda: forward(gelu, lambda value: value),
        PARTS: lambda: forward(lambda x: gelu_in_parts(torch, x), None),
    }
    runs["graph"] = captured(torch, runs[PLAIN]) if device != "cpu" else runs[PLAIN]
    return runs


def gelu_in_parts(torch: Any, x: Any) -> Any:
    """The same activation, an elementwise kernel for each step of its formula."""
    return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def captured(torch: Any, run: Run) -> Run:
    """The pass as one CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = run()

    def again() -> Any:
        graph.replay()
        return outputs

    return again


def chain_of(torch: Any, device: str, batch: int, folder: Path) -> list[str]:
    """Kernels of the activation in parts, in order, from a trace of it alone."""
    dtype = torch.float32 if device == "cpu" else torch.float16
    x = torch.randn(batch, TOKENS, 4 * WIDTH, device=device, dtype=dtype)
    path = folder / f"activation_b{batch}.json.gz"
    record(torch, device, lambda: gelu_in_parts(torch, x), path, active=1)
    kernels = sk.load(path).work.filter(kind="kernel").sort("start_ns")
    return [str(name) for name in kernels["name"].to_list()]


if __name__ == "__main__":
    sys.exit(main())
