"""The command: tables and JSON of every subcommand, its options, and one line for what is wrong."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from helpers import Event, annotation, call, fixture_path, kernel, op, step
from rich.console import Console
from sweeps import events_at, write

import skiptrace as sk
from skiptrace import cli
from skiptrace.show.terminal import _changes

ODD = ("[red]k[/red]", "<script>alert(1)</script>", ":smile:", "[link=x]", "a | b")
"""Names that a terminal, a browser or a table might take for its own."""


class Result:
    """Exit code and output of a call of the command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def words(self) -> str:
        return " ".join(self.out.split())

    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call_it(*arguments: object) -> Result:
        try:
            code = cli.main([str(a) for a in arguments])
        except SystemExit as leave:  # argparse
            code = int(str(leave.code or 0))
        return Result(code, *capsys.readouterr())

    return call_it


@pytest.fixture
def swept(tmp_path: Path) -> str:
    """The pattern of a literal sweep."""
    for batch in (1, 2, 4, 8):
        write(tmp_path / f"toy_b{batch}.json", events_at(batch))
        write(tmp_path / f"fast_b{batch}.json", events_at(batch, kernel_us=2))
    return f"{tmp_path}/toy_b{{batch}}.json"


# --- report ---------------------------------------------------------------------------------------


def test_a_report_in_tables(run: Any) -> None:
    shown = run("report", fixture_path("eager_step"))
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("CPU-bound (2 of 2 steps): host 97.3 %, device 2.7 %")
    for title in ("Steps", "Idle time between works, by cause", "Behind it"):
        assert f"\n{title}\n" in shown.out


def test_a_device_that_holds_back_and_idles_is_told_of_both(run: Any, tmp_path: Path) -> None:
    long = [op("aten::mm", 0, 10), call("cudaLaunchKernel", 1, 2, 1), kernel(4, 600, 1)]
    long += [
        call("cudaLaunchKernel", 5, 2, 3),
        kernel(604, 50, 3),
        call("cudaDeviceSynchronize", 12, 643),
    ]
    late = [op("aten::add", 850, 20), call("cudaLaunchKernel", 860, 2, 2), kernel(865, 100, 2)]
    path = tmp_path / "both.json"
    path.write_text(json.dumps([step(1, 0, 980), *long, *late]))
    assert sk.boundedness(sk.load(path))["verdict"].to_list() == ["gpu"]
    told = run("report", path, "--json").json()["advice"]
    assert told.startswith("The device is the limit: ")
    assert "100 % of the 211 µs in which the device idled between works has the cause" in told


def test_a_report_as_json_is_that_of_the_verbs(run: Any) -> None:
    path = fixture_path("sync")
    found, trace = run("report", path, "--json").json(), sk.load(path)
    assert found["schema"] == "skiptrace.report/1"
    assert found["steps"] == sk.summary(trace).to_dicts()
    assert found["idle"] == sk.idle_causes(trace).to_dicts()


def test_one_step_of_a_report_by_number_from_the_end_or_by_name(run: Any) -> None:
    path = fixture_path("eager_step")
    steps = [run("report", path, "--json", f"--step={key}").json()["steps"]
             for key in ("3", "-1", "ProfilerStep#3")]  # fmt: skip
    assert steps[0] == steps[1] == steps[2]
    assert [row["step"] for row in steps[0]] == ["ProfilerStep#3"]


def test_a_given_floor_moves_time_between_launching_and_queueing(run: Any) -> None:
    path = fixture_path("sync")
    rows = [run("report", path, "--json", "--floor", ns).json()["steps"][0] for ns in (0, 20_000)]
    assert rows[0]["tklqt_ns"] == rows[1]["tklqt_ns"]
    assert rows[0]["queue_ns"] > rows[1]["queue_ns"]


@pytest.mark.parametrize("command", ["report", "fusion"])
def test_steps_may_be_other_annotations(run: Any, tmp_path: Path, command: str) -> None:
    events = [annotation("serve_1", 0, 100), annotation("serve_2", 100, 200), *events_at(1)]
    path = write(tmp_path / "t.json", events)
    found = run(command, path, "--json", "--steps", "serve_*").json()
    if command == "report":
        assert [row["step"] for row in found["steps"]] == ["serve_1", "serve_2"]
    else:
        assert {row["count"] for row in found["candidates"]} <= set(range(12))
        assert run(command, path, "--json").json() != found
    one = run(command, path, "--json", "--steps", "serve_*", "--step", "serve_2").json()
    assert one != found


# --- one verb, one frame --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        ("breakdown", sk.breakdown), ("kernels", sk.kernels), ("ops", sk.ops),
        ("tree", lambda trace: sk.tree(trace).frame),
    ],
)  # fmt: skip
def test_a_frame_in_a_table_and_as_json_is_that_of_the_verb(
    run: Any, command: str, verb: Any
) -> None:
    path = fixture_path("training_step")
    frame = verb(sk.load(path))
    found = run(command, path, "--json").json()
    assert found == {"schema": f"skiptrace.{command}/1", "rows": frame.to_dicts()}
    assert run(command, path, "--json", "--top", 2).json()["rows"] == frame.head(2).to_dicts()
    step = run(command, path, "--json", "--step=-1").json()["rows"]
    assert step == verb(sk.load(path).step(-1)).to_dicts()
    shown = run(command, path, "--top", 1)
    assert (shown.code, shown.err) == (0, "")
    assert (f"... and {len(frame) - 1:,} more rows" in shown.out) == (len(frame) > 1)


def test_a_frame_by_other_keys(run: Any) -> None:
    path = fixture_path("training_step")
    found = run("kernels", path, "--json", "--by", "class,step").json()["rows"]
    assert found == sk.kernels(sk.load(path), ["class", "step"]).to_dicts()
    assert run("ops", path, "--by", "module").code == 0
    wrong = run("kernels", path, "--by", "klass")
    assert (wrong.code, wrong.out) == (2, "")
    assert "Did you mean 'class'?" in wrong.err
    assert run("tree", path, "--top=-1").code == 2


def test_a_tree_is_indented(run: Any) -> None:
    lines = run("tree", fixture_path("training_step")).out.splitlines()
    assert any(line.startswith("    aten::") for line in lines)


# --- fusion ---------------------------------------------------------------------------------------


def test_fusion_in_tables(run: Any) -> None:
    shown = run("fusion", fixture_path("eager_step"))
    assert (shown.code, shown.err) == (0, "")
    assert "Chains to fuse, by the host time between their launches" in shown.out
    assert "256 13 2 576 66 8.73" in shown.words


def test_fusion_as_json_is_that_of_the_verb(run: Any) -> None:
    path = fixture_path("encoder")
    for options, across in (((), False), (("--across-sync",), True)):
        found = run("fusion", path, "--json", *options).json()
        expected = sk.fusion(sk.load(path), across_sync=across)
        assert found["schema"] == "skiptrace.fusion/1"
        assert found["savings"] == expected.savings.to_dicts()
        assert found["candidates"] == expected.candidates.to_dicts()
        assert found["ranking"] == expected.ranking.to_dicts()


def test_fusion_of_one_step(run: Any) -> None:
    found = run("fusion", fixture_path("eager_step"), "--json", "--step", "2").json()
    assert found["savings"][0]["kernels_eager"] == 288


def test_fusion_of_nothing_says_so(run: Any) -> None:
    shown = run("fusion", fixture_path("no_device"))
    assert shown.code == 0
    assert shown.out.startswith("No chain of kernels always repeats: nothing to fuse for certain.")


# --- sweep and compare ----------------------------------------------------------------------------


def test_a_sweep_in_tables(run: Any, swept: str) -> None:
    shown = run("sweep", swept)
    assert (shown.code, shown.err) == (0, "")
    assert shown.words.startswith(
        "Turns at batch 8 (device): device_share rises from 0.06504 at 4 to 0.9746 at 8 and "
        "stays at or above 0.5. Turns at batch 8 (TKLQT): TKLQT per launch (ns) rises from "
    )
    assert "Median step of each trace, by batch" in shown.out
    assert "2 cpu 238 µs" in shown.words


def test_a_sweep_as_json_is_that_of_the_verb(run: Any, swept: str) -> None:
    found, expected = run("sweep", swept, "--json").json(), sk.sweep(swept)
    assert (found["schema"], found["parameter"]) == ("skiptrace.sweep/1", "batch")
    assert found["rows"] == expected.frame.to_dicts()
    assert found["transition"]["device"]["parameter"] == 8
    assert found["transition"]["tklqt"]["evidence"] == [[1, 8000], [2, 8000], [4, 8000], [8, 74000]]


@pytest.mark.parametrize("name", ["tokens", "verdict", "parameter", "[red]", "il_ns", ":smile:"])
def test_the_parameter_of_a_sweep_may_have_any_name(run: Any, swept: str, name: str) -> None:
    star = swept.replace("{batch}", "*")
    assert run("sweep", star, "--by", name, "--json").json()["parameter"] == name
    shown = run("sweep", star, "--by", name)
    assert shown.code == 0
    assert f"Turns at {name} 8" in shown.out
    assert f"Median step of each trace, by {name}\n" in shown.out


def test_a_sweep_that_never_turns(run: Any, tmp_path: Path) -> None:
    write(tmp_path / "b1.json", events_at(1))
    shown = run("sweep", f"{tmp_path}/b{{}}.json")
    assert shown.out.startswith(
        "No turn within the sweep (device): never turns: device_share is 0.01709 at 1"
    )


def test_a_comparison_in_tables_and_as_json(run: Any, swept: str) -> None:
    pair = (f"toy={swept}", f"[b]fast[/b]={swept.replace('toy_', 'fast_')}")
    shown = run("compare", *pair)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(
        "[b]fast[/b] against toy: where the host is the limit on both (1 to"
    )
    for title in ("Over the baseline (below 1 is faster)", "How much later it turns"):
        assert f"\n{title}\n" in shown.out
    found = run("compare", *pair, "--json").json()
    expected = sk.compare_sweeps({n: sk.sweep(p) for n, _, p in (e.partition("=") for e in pair)})
    assert found["schema"] == "skiptrace.compare/1"
    assert found["sentence"] == expected.sentence
    assert found["rows"] == expected.frame.to_dicts()
    assert found["later"] == expected.later.to_dicts()
    assert list(found["transitions"]) == ["toy", "[b]fast[/b]"]


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "{tmp}/gone.json"), "gone.json: cannot be read: No such file or directory."),
        (("report", "{tmp}"), "not a saved trace"),
        (("fusion", "{tmp}/empty.json"), "the file is empty"),
        (("fusion", "{tmp}/broken.json"), "not valid JSON at byte"),
        (("report", "{tmp}/list.json"), "without trace events"),
        (("report", "{good}", "--step", "9"), "unknown step 9"),
        (("fusion", "{good}", "--step", "ProfilerStep#9"), "Did you mean 'ProfilerStep#3'?"),
        (("report", "{good}", "--steps", "no_such_*"), "steps='no_such_*' matches no annotation"),
        (("report", "{good}", "--floor", "-1"), "give nanoseconds (0 or more)"),
        (("sweep", "{tmp}/b{{batch}}.json"), "matches no file"),
        (("sweep", "{tmp}/b.json"), "put the parameter in braces, once"),
        (("sweep", "{tmp}/broken{{n}}.json"), "broken1.json: not valid JSON"),
        (("compare", "a={tmp}/x{{n}}.json", "b={tmp}/x{{n}}.json"), "matches no file"),
        (("compare", "only={tmp}/ok{{n}}.json"), "at least two sweeps, got only"),
        (("compare", "{tmp}/ok{{n}}.json", "b=x"), "Valid: NAME=PATTERN"),
        (("compare", "a={tmp}/ok{{n}}.json", "a={tmp}/ok{{n}}.json"), "'a' is given twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_on_stderr_and_code_2(
    run: Any, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    for name, content in (("empty", b""), ("broken", b"{"), ("broken1", b"{"), ("list", b"{}")):
        (tmp_path / f"{name}.json").write_bytes(content)
    write(tmp_path / "ok1.json", events_at(1))
    given = [a.format(tmp=tmp_path, good=fixture_path("eager_step")) for a in arguments]
    for more in ([], ["--json"]):
        result = run(*given, *more)
        assert (result.code, result.out) == (2, "")
        assert message in result.err
        assert result.err.startswith("skiptrace: ")
        assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("explain",), ("report",), ("report", "t.json", "--floor", "much"), ("sweep",),
     ("compare",), ("fusion", "t.json", "--lengths"), ("whatif", "t.json", "--cuda-graph", "block"),
     ("whatif", "--remove-syncs")],
)  # fmt: skip
def test_a_wrong_call_shows_its_usage_and_code_2(run: Any, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "usage: skiptrace" in result.err
    assert "Traceback" not in result.err


def test_help_and_version(run: Any) -> None:
    assert all(name in run("--help").out for name in ("report", "fusion", "sweep", "compare"))
    assert run("--version").out.strip()
    assert run("fusion", "--help").code == 0


# --- output ---------------------------------------------------------------------------------------


def odd_events(first: str) -> list[Event]:
    """A chain of the odd names, from `first` on, twice."""
    start = ODD.index(first)
    names = ODD[start:] + ODD[:start]
    events: list[Event] = [step(1, 0, 500)]
    for round_ in range(2):
        for i, name in enumerate(names):
            at, corr = 100 * round_ + 15 * i, 10 * round_ + i + 1
            events += [
                op(name, at, 12),
                call("cudaLaunchKernel", at + 1, 2, corr),
                kernel(at + 8, 3, corr, name),
            ]
    return events


@pytest.mark.parametrize("name", ODD)
def test_names_are_printed_as_they_are(run: Any, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "odd.json", odd_events(name))
    for verb in ("report", "fusion"):
        assert name in run(verb, path).out
        assert json.dumps(name) in run(verb, path, "--json").out


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "skiptrace", *map(str, arguments)]


def test_into_a_pipe_there_are_no_colours_and_every_column() -> None:
    done = subprocess.run(
        command("fusion", fixture_path("encoder")), capture_output=True, text=True, check=True
    )
    assert "\x1b" not in done.stdout
    assert "kernels fused" in done.stdout
    assert done.stderr == ""


def test_a_reader_that_stops_early_is_no_error() -> None:
    with subprocess.Popen(
        command("fusion", fixture_path("eager_step"), "--json"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_a_traceback_is_never_shown_for_a_bad_trace(tmp_path: Path) -> None:
    path = tmp_path / "cut.json.gz"
    path.write_bytes(fixture_path("encoder").read_bytes()[:12])
    done = subprocess.run(command("report", path), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cut off or damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_needs_no_rich(tmp_path: Path) -> None:
    blocked = (
        "import sys; sys.modules['rich'] = None; from skiptrace.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    path = fixture_path("encoder")
    done = subprocess.run(
        [sys.executable, "-c", blocked, "fusion", path, "--json"], capture_output=True, check=True
    )
    assert json.loads(done.stdout)["schema"] == "skiptrace.fusion/1"
    bare = subprocess.run(
        [sys.executable, "-c", blocked, "fusion", path], capture_output=True, text=True, check=False
    )
    assert bare.returncode == 2
    assert "needs the package 'rich': pip install 'skiptrace[cli]'" in bare.stderr


def test_a_what_if_in_tables_and_as_json(run: Any) -> None:
    path = str(fixture_path("sync"))
    shown = run("whatif", path, "--remove-syncs", "aten::item", "--host", "0.5")
    assert shown.code == 0
    assert " times as fast: " in shown.words
    assert "Assumed: all host time times 0.5" in shown.words
    assert "Each step" in shown.out
    found = run("whatif", path, "--remove-syncs", "aten::item", "--host", "0.5", "--json").json()
    same = sk.whatif(sk.load(path), remove_syncs="aten::item", host=0.5)
    assert found["schema"] == "skiptrace.whatif/1"
    assert (found["rows"], found["assumptions"]) == (same.frame.to_dicts(), list(same.assumptions))


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--cuda-graph"], {"cuda_graph": True}),
        (["--cuda-graph", "op"], {"cuda_graph": "op"}),
        (["--remove-syncs"], {"remove_syncs": True}),
        (["--fuse", "2"], {"fuse": 2}),
        (["--device", "2", "--launch-floor", "3000"], {"device": 2, "launch_floor_ns": 3000}),
        (["--kernels", "gemm=0.5", "--kernels", "a=b=2"], {"kernels": {"gemm": 0.5, "a=b": 2}}),
        (["--gpu", "flops=2", "--gpu", "bandwidth=1.5"], {"gpu": {"flops": 2, "bandwidth": 1.5}}),
        (["--unprofiled"], {"unprofiled": True}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*nothing changes:skiptrace.TraceWarning")
def test_every_change_of_the_verb_is_an_option(
    run: Any, options: list[str], changes: dict[str, Any]
) -> None:
    path = str(fixture_path("sync"))
    found = run("whatif", path, *options, "--json").json()
    assert found["rows"] == sk.whatif(sk.load(path), **changes).frame.to_dicts()


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--cuda-graph"], {"cuda_graph": True}),
        (["--cuda-graph", "op"], {"cuda_graph": "op"}),
        (["--remove-syncs"], {"remove_syncs": True}),
        (
            ["--remove-syncs", "aten::item", "aten::to"],
            {"remove_syncs": ["aten::item", "aten::to"]},
        ),
    ],
    ids=str,
)
def test_the_trace_may_stand_behind_any_option(
    run: Any, options: list[str], changes: dict[str, Any]
) -> None:
    path = str(fixture_path("sync"))
    found = run("whatif", *options, path, "--json").json()
    assert found["rows"] == sk.whatif(sk.load(path), **changes).frame.to_dicts()


def test_a_what_if_that_changes_nothing_says_so(run: Any) -> None:
    path = str(fixture_path("sync"))
    shown = run("whatif", path, "--remove-syncs", "aten::itm")
    assert shown.code == 0
    assert "Nothing changes: no call in 'aten::itm' waits" in shown.words
    assert "Assumed" not in shown.out
    assert shown.err == ""
    found = run("whatif", path, "--kernels", "nonsense=0.5", "--json").json()
    assert found["changed"] is False


@pytest.mark.parametrize("entry", ["gemm", "=2", "gemm=fast"])
def test_a_factor_for_kernels_that_is_none_is_refused(run: Any, entry: str) -> None:
    refused = run("whatif", str(fixture_path("sync")), "--kernels", entry)
    assert refused.code == 2
    assert "PATTERN=FACTOR" in refused.err


def test_a_what_if_without_a_step_to_predict_says_so(run: Any) -> None:
    assert "No step has a latency" in run("whatif", str(fixture_path("no_device"))).out


def test_a_report_ends_with_what_would_pay(run: Any) -> None:
    shown = run("report", str(fixture_path("sync")))
    assert "What would pay, each by itself" in shown.out
    assert "First: do not wait here" in shown.out
    assert "no time in this operator" in shown.out
    rows = run("report", str(fixture_path("sync")), "--json").json()["changes"]
    assert rows == sk.advise(sk.load(fixture_path("sync"))).to_dicts()


# --- what is loaded -------------------------------------------------------------------------------


def test_a_part_is_loaded_as_load_would(run: Any) -> None:
    path = fixture_path("eager_step")
    whole = sk.load(path)
    first = whole.steps.row(0, named=True)
    window = (first["start_ns"], first["start_ns"] + first["dur_ns"])
    found = run("report", path, "--json", "--window", *window).json()
    assert found["steps"] == sk.summary(sk.load(path, window=window)).to_dicts()
    left = run("kernels", path, "--json", "--without", "kernel", "--without", "gpu_memcpy").json()
    assert left["rows"] == []


def test_a_damaged_file_is_an_error_if_that_is_asked_for(run: Any, tmp_path: Path) -> None:
    cut = tmp_path / "cut.json"
    cut.write_text(json.dumps([op("a", 0, 5), kernel(1, 2, 3)])[:-9])
    assert run("report", cut, "--json").code == 0
    refused = run("report", cut, "--json", "--strict")
    assert refused.code == 2
    assert "truncated" in refused.err


def test_a_long_change_wraps_and_is_not_cut() -> None:
    change = "cuda_graph=True, with 4 waits for the device moved out of it"
    found = sk.advise(sk.load(fixture_path("sync"))).head(1).with_columns(
        change=pl.lit(change), op=pl.lit("aten::mm")
    )  # fmt: skip
    console = Console(width=70, file=io.StringIO(), record=True)
    _changes(console, found)
    shown = console.export_text()
    assert change not in shown
    assert "…" not in shown
    assert set(change.split()) <= set(shown.split())


def test_tables_of_whatif_and_sweep_say_latency_and_percent(run: Any, swept: str) -> None:
    lines = run("whatif", str(fixture_path("sync")), "--host", "0.5").out.splitlines()
    heads = next(line for line in lines if "speedup" in line)
    assert "profiled latency  latency" in heads
    assert heads.endswith("replay error")
    assert lines[-1].endswith(" %")
    heads = next(line for line in run("sweep", swept).out.splitlines() if "verdict" in line)
    assert heads.split()[:3] == ["batch", "verdict", "latency"]
    assert "kernel mean" in heads
