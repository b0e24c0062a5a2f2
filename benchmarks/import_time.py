"""CPU time of `import skiptrace` against that of what it is built on, in turns.

    python benchmarks/import_time.py [REPEATS]

Prints the median of both, and the ratio of `polars, numpy, orjson, skiptrace` to the first three.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

_CODE = """
from time import process_time
begin = process_time()
import polars, numpy, orjson
before = process_time()
import skiptrace
print(before - begin, process_time() - before)
"""


def main() -> None:
    """Measure and print."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    rows = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", _CODE], capture_output=True, text=True, check=True
        )
        rows.append([float(cell) for cell in done.stdout.split()])
    base, own = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(1 + own / base for base, own in rows)
    print(f"polars, numpy, orjson: {1e3 * base:.0f} ms; skiptrace: {1e3 * own:.0f} ms more")
    print(f"ratio: {ratio:.2f} (median of {repeats} pairs)")


if __name__ == "__main__":
    main()
