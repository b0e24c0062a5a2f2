"""Coverage-guided fuzzing: `pip install atheris`, then `python benchmarks/fuzz_atheris.py CORPUS`.

CORPUS is a folder, filled with cuts of the fixtures where it is empty; what libFuzzer is to do may
follow, such as ``-max_total_time=600``. It stops at the first input that is neither read by both
readers alike with all identities intact, nor refused with an error of skiptrace; that takes longer
than 20 s; or more than 2 GB.
"""

from __future__ import annotations

import gzip
import json
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["skiptrace"]):
    import skiptrace as sk
    from skiptrace.read import stream
    from skiptrace.read.columns import Columns
    from skiptrace.read.rows import NUMBERS, TEXTS, from_decoded
    from skiptrace.read.source import Source

from agreement import assert_identities  # noqa: E402  it imports skiptrace, too
from helpers import fixture_paths  # noqa: E402

EVENTS = 12
"""Of a seed."""
BLOCK = 2_000
LIMITS = ("-timeout=20", "-rss_limit_mb=2048", "-max_len=16384")


def fill(corpus: Path) -> None:
    """Write some events of each fixture in three layouts."""
    for path in fixture_paths():
        trace = json.loads(gzip.decompress(path.read_bytes()))
        traced = trace["traceEvents"]
        trace["traceEvents"] = traced[:: len(traced) // EVENTS + 1]
        for indent in (None, 0, 2):
            name = f"{path.name.split('.')[0]}_{indent}.json"
            (corpus / name).write_text(json.dumps(trace, indent=indent))


def check(data: bytes) -> None:
    """Fail where an input breaks the invariant."""
    warnings.simplefilter("ignore")
    try:
        read = stream.read_parts(Source.of(data), block=BLOCK, repair=False)
        events = stream.read_events(Source.of(data), lambda event: (event,))
    except sk.errors.SkiptraceError:
        pass
    else:
        decoded = Columns()
        decoded.append(from_decoded([event for _, (event,) in events]))
        fast, slow = read.events.assembled(), decoded.assembled()
        columns = [*NUMBERS, *TEXTS[:4]]
        if not fast.frame(columns).equals(slow.frame(columns)):
            raise AssertionError("the readers disagree")
    with suppress(sk.errors.SkiptraceError):
        assert_identities(sk.load(data))


def main() -> None:
    """Fuzz."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        fill(corpus)
    atheris.Setup([sys.argv[0], *LIMITS, *sys.argv[1:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
