"""Record a sweep over batch size on a GPU host, for `skiptrace sweep` and `reproduce_paper.py`.

    python capture_sweep.py --model gpt2 --batches 1 2 4 8 16 32 64 128 --out traces/
    python capture_sweep.py --null-kernel --out traces/        # the launch floor, and nothing else

Needs PyTorch, and `transformers` for its models (random weights; for the names that `--help` lists
nothing is downloaded); without it there are the built-in `mlp` and `transformer`. Without a GPU
it records the host alone.

What it writes:

- `MODEL_bBATCH_sSEQ_ATTENTION.json.gz`: a trace of a few forward passes, a `ProfilerStep` each. No
  shapes, stacks or memory unless asked for: each slows the host down and makes the file larger.
  Newer versions of PyTorch write the host's name into it.
- `latency.json`: microseconds of wall clock of the same forward pass *without* a profiler, median,
  minimum and maximum of `--repeats`: `{platform: {"latency_us": {"MODEL/bBATCH/ATTENTION": ...}}}`.

What it takes care of:

- Warm-up before everything: first calls compile, choose kernels and allocate.
- Latencies are taken of all batches before the first trace: once the profiler has been on, its
  callbacks may stay and slow every launch of the process.
- The device is idle when a pass begins and when it ends, so that no step holds work of another.
- A batch that does not fit into memory is left out, and it says so.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert-base": ("BertConfig", {}),
    "gpt2": ("GPT2Config", {}),
    "llama-3.2-1b": (
        "LlamaConfig",
        {
            "vocab_size": 128256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "max_position_embeddings": 131072,
        },
    ),
}
"""Name -> configuration class of `transformers`, and what differs from its defaults."""
BUILT_IN = ("mlp", "transformer")
NULL_KERNELS = {"spaced": 200, "packed": 2000}
"""Empty kernels launched with a synchronisation after each, and in a row."""


def main(argv: Sequence[str] | None = None) -> int:
    """Record what was asked for; returns the exit code."""
    options = parser().parse_args(argv)
    if importlib.util.find_spec("torch") is None:
        print("capture_sweep.py needs PyTorch: see https://pytorch.org", file=sys.stderr)
        return 2
    torch: Any = importlib.import_module("torch")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if options.null_kernel and device == "cpu":
        print("--null-kernel needs a GPU", file=sys.stderr)
        return 2
    # Of cycles: each of these recordings is one.
    warnings.filterwarnings("ignore", "(Warning: )?Profiler clears events", UserWarning)
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    with torch.inference_mode():
        if options.null_kernel:
            record_null_kernels(torch, device, options)
        else:
            record_sweep(torch, device, options)
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    made = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    has_transformers = importlib.util.find_spec("transformers") is not None
    made.add_argument(
        "--model",
        default="gpt2" if has_transformers else "transformer",
        help=f"{', '.join([*CONFIGS, *BUILT_IN])}, or any name that transformers.AutoConfig knows "
        "(default: %(default)s)",
    )
    made.add_argument("--batches", type=int, nargs="+", default=[2**n for n in range(8)])
    made.add_argument("--seq", type=int, default=512, help="tokens a sequence")
    made.add_argument("--out", type=Path, default=Path("traces"), help="folder to write to")
    made.add_argument("--attention", default="eager", help="eager or sdpa")
    made.add_argument("--dtype", help="such as float16 (default on a GPU), bfloat16, float32")
    made.add_argument("--device", help="cuda or cpu (default: cuda where there is one)")
    made.add_argument("--platform", help="its name in latency.json (default: that of the device)")
    made.add_argument("--warmup", type=int, default=5, help="passes before anything is measured")
    made.add_argument("--active", type=int, default=2, help="passes in a trace")
    made.add_argument("--repeats", type=int, default=10, help="passes timed without a profiler")
    made.add_argument("--shapes", action="store_true", help="record the shapes of inputs")
    made.add_argument("--stacks", action="store_true", help="record Python frames")
    made.add_argument("--memory", action="store_true", help="record allocations")
    made.add_argument("--null-kernel", action="store_true", help="empty kernels, for the floor")
    return made


# --- what is recorded -----------------------------------------------------------------------------


def record_sweep(torch: Any, device: str, options: argparse.Namespace) -> None:
    """Latencies of all batches, then a trace of each."""
    make_pass = build(torch, device, options)
    passes: dict[int, Callable[[], Any]] = {}
    found = {}
    for batch in options.batches:
        run = make_pass(batch)
        try:
            times = time_passes(torch, device, run, options.warmup, options.repeats)
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            print(f"batch {batch} does not fit into memory: left out")
            continue
        passes[batch] = run
        found[f"{slug(options.model)}/b{batch}/{options.attention}"] = spread(times)
    machine = describe(torch, device)
    name = options.platform or slug(machine.get("gpu", "cpu"))
    merge_latencies(options.out / "latency.json", name, found, machine)
    for batch, run in passes.items():
        path = options.out / file_name(options.model, batch, options.seq, options.attention)
        record(torch, device, run, path, options)


def record_null_kernels(torch: Any, device: str, options: argparse.Namespace) -> None:
    """A kernel that returns at once: what a launch costs by itself."""

    def spaced() -> None:
        for _ in range(NULL_KERNELS["spaced"]):
            torch.cuda._sleep(0)  # noqa: SLF001  the one kernel of PyTorch that does nothing
            torch.cuda.synchronize()

    def packed() -> None:
        for _ in range(NULL_KERNELS["packed"]):
            torch.cuda._sleep(0)  # noqa: SLF001

    options.active = 1
    for run in (spaced, packed):
        path = options.out / f"null_kernel_{run.__name__}.json.gz"
        record(torch, device, run, path, options)


def record(
    torch: Any, device: str, run: Callable[[], Any], path: Path, options: argparse.Namespace
) -> None:
    """A trace of a few passes."""
    profiler = torch.profiler
    activities = [profiler.ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(profiler.ProfilerActivity.CUDA)
    wait, warmup = 1, 2  # the profiler's own first steps are slow
    with profiler.profile(
        activities=activities,
        schedule=profiler.schedule(wait=wait, warmup=warmup, active=options.active, repeat=1),
        on_trace_ready=lambda profile: profile.export_chrome_trace(str(path)),
        record_shapes=options.shapes,
        with_stack=options.stacks,
        profile_memory=options.memory,
    ) as profile:
        for _ in range(wait + warmup + options.active):
            synchronize(torch, device)
            run()
            synchronize(torch, device)
            profile.step()
    print(f"{path}: {path.stat().st_size:,} bytes")


def time_passes(
    torch: Any, device: str, run: Callable[[], Any], warmup: int, repeats: int
) -> list[float]:
    """Microseconds of each pass, from an idle device to an idle device."""
    times = []
    for i in range(warmup + repeats):
        synchronize(torch, device)
        begin = time.perf_counter_ns()
        run()
        synchronize(torch, device)
        if i >= warmup:
            times.append((time.perf_counter_ns() - begin) / 1000)
    return times


def synchronize(torch: Any, device: str) -> None:
    """Wait until the device has nothing left to do."""
    if device != "cpu":
        torch.cuda.synchronize()


# --- models ---------------------------------------------------------------------------------------


def build(
    torch: Any, device: str, options: argparse.Namespace
) -> Callable[[int], Callable[[], Any]]:
    """The model; gives for a batch size a forward pass over random input."""
    dtype = getattr(torch, options.dtype or ("float32" if device == "cpu" else "float16"))
    if options.model in BUILT_IN:
        model, vocabulary = built_in(torch, options.model)
    elif importlib.util.find_spec("transformers") is None:
        message = f"--model {options.model} needs `transformers`; without it: {', '.join(BUILT_IN)}"
        raise SystemExit(message)
    else:
        model, vocabulary = of_transformers(options.model, options.attention)
    model = model.to(device=device, dtype=dtype).eval()

    def make_pass(batch: int) -> Callable[[], Any]:
        if options.model == "mlp":
            given = torch.randn(batch, vocabulary, device=device, dtype=dtype)
        else:
            given = torch.randint(0, vocabulary, (batch, options.seq), device=device)
        return lambda: model(given)

    return make_pass


def of_transformers(name: str, attention: str) -> tuple[Any, int]:
    """A model of `transformers` with random weights, and its number of tokens."""
    transformers: Any = importlib.import_module("transformers")
    if name in CONFIGS:
        kind, changes = CONFIGS[name]
        config = getattr(transformers, kind)(**changes)
    else:
        config = transformers.AutoConfig.from_pretrained(name)
    config.use_cache = False
    model = transformers.AutoModel.from_config(config, attn_implementation=attention)
    return model, int(config.vocab_size)


def built_in(torch: Any, name: str) -> tuple[Any, int]:
    """A small model without `transformers`, and its number of tokens (of features, the MLP)."""
    nn, width = torch.nn, 256
    if name == "mlp":
        layers = [layer for _ in range(8) for layer in (nn.Linear(width, width), nn.GELU())]
        return nn.Sequential(*layers), width
    block = nn.TransformerEncoderLayer(width, 4, 4 * width, batch_first=True)
    encoder = nn.TransformerEncoder(block, 4, enable_nested_tensor=False)
    return nn.Sequential(nn.Embedding(1000, width), encoder), 1000


# --- names and figures ----------------------------------------------------------------------------


def slug(name: str) -> str:
    """A name that can stand in a file's."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def file_name(model: str, batch: int, seq: int, attention: str) -> str:
    """Name of a trace: `skiptrace sweep 'MODEL_b{batch}_sSEQ_ATTENTION.json.gz'` finds it."""
    return f"{slug(model)}_b{batch}_s{seq}_{attention}.json.gz"


def spread(times: Sequence[float]) -> dict[str, float]:
    """What is kept of the latencies of a batch, in microseconds."""
    return {
        "median": statistics.median(times),
        "min": min(times),
        "max": max(times),
        "n": len(times),
    }


def describe(torch: Any, device: str) -> dict[str, str]:
    """What the latencies were taken on."""
    machine = {"torch": str(torch.__version__)}
    if device != "cpu":
        machine["gpu"] = str(torch.cuda.get_device_name())
    return machine


def merge_latencies(
    path: Path, name: str, found: dict[str, dict[str, float]], machine: dict[str, str]
) -> None:
    """Add latencies to the file; those of other models and platforms stay."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    mine = kept.setdefault(name, {})
    mine.update(machine)
    mine["latency_us"] = {**mine.get("latency_us", {}), **found}
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
