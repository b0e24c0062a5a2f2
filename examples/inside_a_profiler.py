"""Train a small model under PyTorch's profiler, and have each recording judged as it is made.

Every recording is kept in a folder, and the verdict on it is printed while training goes on. On a
host without a GPU the operators alone are recorded, and the verdict says so.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import skiptrace as sk


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--out", type=Path, default=Path("traces"), help="folder of the recordings")
    made.add_argument("--steps", type=int, default=8, help="training steps in all")
    made.add_argument("--active", type=int, default=2, help="steps of a recording")
    made.add_argument("--size", type=int, default=64, help="width of the model")
    return made


def tell(trace: sk.Trace) -> None:
    """Print what a recording shows; an error in here would not end the training."""
    print(f"{Path(trace.meta.source).name}: {sk.boundedness(trace)['because'][0]}")
    slowest = sk.ops(trace).head(3)
    for name, count, self_ns in slowest.select("name", "count", "self_ns").rows():
        print(f"  {name}: {count} times, {self_ns / 1e6:.2f} ms of its own")


def train(out: Path, steps: int, active: int, size: int) -> None:
    """Record `active` of every `active` + 2 steps."""
    torch: Any = importlib.import_module("torch")
    kineto = torch.profiler
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layers = [torch.nn.Linear(size, size), torch.nn.ReLU(), torch.nn.Linear(size, 1)]
    model = torch.nn.Sequential(*layers).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    activities = [kineto.ProfilerActivity.CPU]
    if device == "cuda":
        activities.append(kineto.ProfilerActivity.CUDA)
    with kineto.profile(
        activities=activities,
        schedule=kineto.schedule(wait=1, warmup=1, active=active),
        on_trace_ready=sk.torch.on_trace_ready(out, then=tell),
    ) as recording:
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(32, size, device=device)).square().mean().backward()
            optimizer.step()
            recording.step()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the example."""
    arguments = parser().parse_args(argv)
    if importlib.util.find_spec("torch") is None:
        print("inside_a_profiler.py needs PyTorch: see https://pytorch.org", file=sys.stderr)
        return 2
    train(arguments.out, arguments.steps, arguments.active, arguments.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
