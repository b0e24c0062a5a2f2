"""What readers make of malformed traces: a corpus of one file a fault, and a table of what is kept.

Usage: python benchmarks/robustness.py TRACE [--hta PYTHON] [--keep FOLDER]

The files are made of TRACE. Each reader loads each of them in a process of its own, for at most a
minute. PYTHON is the interpreter of an environment with Holistic Trace Analysis (the package
`traceinsight`); without it that column is left out. FOLDER keeps the files.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

SECONDS = 60
GZIP = b"\x1f\x8b"

READERS = {
    "orjson": """
import gzip, sys, orjson
data = open(sys.argv[1], "rb").read()
data = gzip.decompress(data) if data[:2] == b"\\x1f\\x8b" else data
document = orjson.loads(data)
events = document["traceEvents"] if isinstance(document, dict) else document
names = [e.get("name") for e in events if isinstance(e, dict) and e.get("ph") == "X"]
""",
    "HTA": """
import contextlib, io, logging, os, sys
logging.disable(logging.CRITICAL)
with contextlib.redirect_stdout(io.StringIO()):
    from hta.common.trace import Trace
    trace = Trace(trace_files={0: sys.argv[1]}, trace_dir="")
    trace.parse_traces(use_multiprocessing=False)
    frame = trace.get_trace(0)
    frame = frame[frame["dur"] >= 0]
    names = [trace.symbol_table.sym_table[i] for i in frame["name"]]
""",
    "skiptrace": """
import sys, warnings
warnings.simplefilter("ignore")
import skiptrace as sk
trace = sk.load(sys.argv[1])
whole = trace.whole
frames = [trace.ops, trace.calls, trace.work, trace.annotations, trace.python, whole.overhead]
names = [name for frame in frames for name in frame["name"]]
""",
}
"""Reader -> a script that puts the names of the complete events it read into `names`."""

REPORT = """
import json
print(json.dumps(names))
"""


def corpus(text: str) -> dict[str, bytes]:
    """Fault -> a malformed copy of a trace: the fault is in the middle event, or where it says."""
    middle = text.index('"name":"', text.index('"ph":"X"', len(text) // 2)) + 8
    end = text.index('"', middle)
    start = text.rindex("\n{", 0, middle) + 1
    dur = text.index('"dur":', middle) + 6
    dur_end = text.index(",", dur)

    def name(new: str) -> bytes:
        return (text[:middle] + new + text[end:]).encode()

    def value(new: str) -> bytes:
        return (text[:dur] + new + text[dur_end:]).encode()

    def before(new: str) -> bytes:
        return (text[:start] + new + text[start:]).encode()

    data = text.encode()
    packed = gzip.compress(data, 6)
    events = json.loads(text)["traceEvents"]
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    last = text.rindex("]")
    args = text.index('"args":{', middle) + 8
    deep = "[" * 100_000 + "]" * 100_000
    return {
        "none (the sound file)": data,
        "cut in an event": data[: middle + 3],
        "cut between events": data[: start - 2],
        "closing brackets missing": text[:last].encode(),
        "gzip cut off": packed[: len(packed) * 3 // 4],
        "gzip, wrong checksum": packed[:-8] + b"\0" * 8,
        "gzip, a bit flipped": bytes(damaged),
        "gzip, bytes behind": packed + b"trailing",
        "raw newline in a name": name("a\nb"),
        "raw control character": name("a\x01b"),
        "NUL in a name": name("a\0b"),
        "invalid UTF-8": data[:middle] + b"\xff\xfe" + data[end:],
        "lone surrogate": name("a\\ud800b"),
        "Windows path": name("C:\\Users\\new"),
        "backslash before the quote": name("C:\\dir\\"),
        "quotes in a name": name('f("a", {"b"})'),
        "NaN": value("NaN"),
        "Infinity": value("-Infinity"),
        "N/A": value("N/A"),
        "no value": value(""),
        "None": value("None"),
        "leading zeros": value("007"),
        "1e999": value("1e999"),
        "number as text": value('"12.5"'),
        "null duration": value("null"),
        "400 digits": value("9" * 400),
        "list for a duration": value("[1]"),
        "null name": text[: middle - 1].encode() + b"null" + text[end + 1 :].encode(),
        "number for a name": text[: middle - 1].encode() + b"7" + text[end + 1 :].encode(),
        "unquoted name": text[: middle - 1].encode() + b"word" + text[end + 1 :].encode(),
        "trailing comma": (text[:last].rstrip() + "," + text[last:]).encode(),
        "two commas": before(","),
        "comma missing": (text[: start - 2] + text[start - 1 :]).encode(),
        "brace missing": (text[: start - 3] + text[start - 2 :]).encode(),
        "null among the events": before("null,"),
        "number among the events": before("7,"),
        "comment": before("// a comment\n"),
        "byte order mark": b"\xef\xbb\xbf" + data,
        "UTF-16": text.encode("utf-16"),
        "the document twice": data + data,
        "two documents": data + b"\n" + json.dumps({"traceEvents": events[:5]}).encode(),
        "an event a line": "\n".join(map(json.dumps, events)).encode(),
        "nested 100,000 deep": (text[:args] + f'"deep":{deep},' + text[args:]).encode(),
        "a name of 20 MB": name("x" * 20_000_000 + '"y'),
        "the first half missing": data[middle + 3 :],
    }


def read(script: str, python: str, path: Path) -> list[str] | str:
    """The names a reader found, or how it failed."""
    command = [python, "-c", script + REPORT, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode == 0:
        names: list[str] = json.loads(done.stdout.splitlines()[-1])
        return names
    if done.returncode < 0:
        return "crash"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    kind = last.partition(":")[0].rpartition(".")[2]
    return f"error ({kind})" if kind.isidentifier() else "error"


def cell(names: list[str] | str, reference: Counter[str], present: int) -> str:
    """What was kept of the events that are there, and how many others came out."""
    if isinstance(names, str):
        return names
    kept = sum((Counter(names) & reference).values())
    others = len(names) - kept
    return f"{kept} of {present}" + (f", {others} others" if others else "")


def sound(raw: bytes) -> str:
    """The trace with an event a line, without the categories that are in no frame."""
    document = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
    events = document.pop("traceEvents")
    known = [e for e in events if e.get("cat") not in ("gpu_user_annotation", "Trace")]
    lines = ",\n".join(json.dumps(e, separators=(",", ":")) for e in known)
    head = json.dumps(document)[:-1] + ("," if document else "")
    return f'{head}"traceEvents":[\n{lines}\n]}}\n'


def main() -> None:
    """Make the files, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--hta", default=None)
    parser.add_argument("--keep", type=Path, default=None)
    options = parser.parse_args()
    text = sound(options.trace.read_bytes())
    complete = [e["name"] for e in json.loads(text)["traceEvents"] if e["ph"] == "X"]
    reference = Counter(complete)
    pythons = {"orjson": sys.executable, "HTA": options.hta, "skiptrace": sys.executable}
    readers = {name: script for name, script in READERS.items() if pythons[name]}
    print("| fault | " + " | ".join(readers) + " |")
    print("|---" * (len(readers) + 1) + "|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        for number, (fault, data) in enumerate(corpus(text).items()):
            path = folder / f"{number:02}.json{'.gz' if data[:2] == GZIP else ''}"
            path.write_bytes(data)
            present = data.count(b'"ph":"X"') + data.count(b'"ph": "X"')
            if data[:2] == GZIP or "UTF-16" in fault or "twice" in fault:
                present = len(complete)
            cells = [
                cell(read(script, str(pythons[name]), path), reference, present)
                for name, script in readers.items()
            ]
            print(f"| {fault} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
