"""`orchwf runs`, `show`, `events`: what they print and find."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchwf.cli.look import runs_table, since_epoch
from orchwf.core.state import RunStatus
from orchwf.ports import RunRecord
from tests.cli.console import Shell, steady
from tests.slowness import without_slowness

SHOWN = """\
x DailySales run bad failed in TIME   (2 done, 1 failed, 1 skipped)
  x validate  attempt 1/1  ValueError: row 2: 'amount' is negative (-12.5)
      sales.py:24 in validate
        raise ValueError(f"row {row}: 'amount' is negative ({amount})")
  - load      skipped: validate failed
  Mend the code, then:  orchwf resume bad      (keeps extract, audit)

  + extract   TIME
  + audit     TIME
  x validate  TIME, ValueError: row 2: 'amount' is negative (-12.5)
  - load      skipped: validate failed

  inputs    day="today"
  tags      team=eu
"""


def record(run_id: str = "7f3a", **changes: object) -> RunRecord:
    values: dict[str, object] = {
        "id": run_id, "workflow": "Sales", "version": "1", "fingerprint": "f", "entrypoint": "sales:Sales",
        "status": RunStatus.FAILED, "metadata": {}, "tags": {"team": "eu"}, "created_at": 1000.0, "ended_at": 1002.1,
        "error": "ValueError: no", "owner": None,
    }  # fmt: skip
    return RunRecord(**(values | changes))  # type: ignore[arg-type]


def test_show(shell: Shell):
    """First what went wrong, then each step, then where it came from."""
    shell("run", "sales.py", "--run-id", "bad", "--tag", "team=eu")

    said = shell("show")

    assert 0 == said.code
    assert SHOWN.splitlines() == said.lines[:14]


def test_show_json(shell: Shell):
    """The document has the run, its inputs, and its steps with their attempts."""
    shell("run", "sales.py", "--run-id", "bad")

    document = shell("show", "bad", "--json").json

    assert {
        "id", "workflow", "version", "status", "interrupted", "created_at", "ended_at", "duration", "error", "owner",
        "tags", "metadata", "entrypoint", "inputs", "steps", "compensation", "forked_from", "interruption", "pause",
        "unknown", "asleep", "wake_at", "queued", "parent", "critical_path",
    } == set(document)  # fmt: skip
    assert {
        "name", "status", "started_at", "ended_at", "duration", "reason", "cause", "error", "attempts",
        "progress", "compensation", "cached_from",
        "due_at", "child", "items",
    } == set(document["steps"][0])  # fmt: skip
    assert {"number", "status", "started_at", "ended_at", "error"} == set(document["steps"][0]["attempts"][0])
    assert (False, None) == (document["interrupted"], document["owner"])


def test_show_as_graph(shell: Shell):
    """With --graph the steps are drawn, with the state of each."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("show", "--graph")

    assert "x validate  failed TIME" in said.lines


def test_show_output(shell: Shell):
    """What a step returned is printed alone: text as it is, everything else as JSON."""
    shell.write(
        "texts.py",
        "from orchwf import step, workflow\n@workflow\nclass Texts:\n"
        "    @step\n    def text(self) -> str:\n        return 'a\\nb'\n"
        "    @step\n    def numbers(self) -> list[int]:\n        return [1]\n",
    )
    shell("run", "texts.py", "--run-id", "t")

    text, numbers, document = shell("show", "--output", "text"), shell("show", "--output", "numbers"), shell(
        "show", "t", "--output", "numbers", "--json"
    )  # fmt: skip

    assert "a\nb\n" == text.out
    assert [1] == numbers.json
    assert {"run": "t", "step": "numbers", "output": [1]} == document.json


def test_show_output_that_is_not_there(shell: Shell):
    """A step that there is not, or that has no output, is not found."""
    shell("run", "sales.py")

    unknown, failed = shell("show", "--output", "extrat"), shell("show", "--output", "validate")

    assert (5, 5) == (unknown.code, failed.code)
    assert "Did you mean 'extract'?" in unknown.err
    assert "has no output: it is failed" in failed.err


def test_show_many_steps(shell: Shell):
    """Of many steps those of interest are shown, the rest is counted; with --all each has its line."""
    shell.write(
        "many.py",
        "from orchwf import make_workflow, step\ndef make(at):\n    return step(name=f's{at:03}')(lambda: at)\n"
        "Many = make_workflow('Many', list(map(make, range(200))))\n",
    )
    shell("run", "many.py")

    few, every = shell("show"), shell("show", "--all")

    assert "  and 190 steps more (190 done): --all" in few.lines
    assert 200 == sum(line.startswith("  + s") for line in every.lines)


def test_resolution(shell: Shell):
    """A run is named by its id, by a prefix that no other has, by `last` and by `last-failed`."""
    for run_id in ("abc1", "abc2", "b", "bcd"):
        shell("run", "sales.py", "--run-id", run_id)

    found = {text: shell("show", text, "--json").json["id"] for text in ("abc1", "b", "bc", "last", "last-failed")}
    ambiguous, unknown = shell("show", "ab"), shell("show", "zz")

    assert {"abc1": "abc1", "b": "b", "bc": "bcd", "last": "bcd", "last-failed": "bcd"} == found
    assert 2 == ambiguous.code
    assert ["several runs begin with 'ab':", "  abc2  DailySales  failed  AGO", "  abc1  DailySales  failed  AGO"] == (
        steady(ambiguous.err).splitlines()
    )
    assert 5 == unknown.code
    assert "orchwf runs lists them" in unknown.err


def test_last_failed_passes_over_the_good_ones(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """`last-failed` is the newest of those that failed."""
    shell("run", "sales.py", "--run-id", "bad")
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good")

    assert "bad" == shell("show", "last-failed", "--json").json["id"]
    assert "good" == shell("show", "last", "--json").json["id"]


def test_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """The newest run is on top; a column in which nothing stands is left out."""
    shell("run", "sales.py", "--run-id", "bad")
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good")

    said = shell("runs")

    assert [
        ["status", "workflow", "run", "started", "took", "error"],
        ["+", "completed", "DailySales", "good", "AGO", "TIME"],
    ] == ([line.split() for line in said.lines[:2]])
    assert said.lines[2].startswith("x  failed     DailySales  bad ")
    assert said.lines[2].endswith("ValueError: row 2: 'amount' is negative (-12.5)")


def test_runs_filtered(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Runs are filtered by status, workflow, tag and age, and bounded."""
    shell("run", "sales.py", "--run-id", "bad", "--tag", "team=eu")
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good")

    def ids(*options: str) -> list[str]:
        return [run["id"] for run in shell("runs", "--json", *options).json["runs"]]

    assert ["bad"] == ids("--status", "failed")
    assert ["good", "bad"] == ids("--status", "failed", "--status", "completed")
    assert ["bad"] == ids("--tag", "team=eu")
    assert [] == ids("--workflow", "Other")
    assert ["good", "bad"] == ids("--since", "2d")
    assert [] == ids("--since", "2999-01-01")
    assert ["good"] == ids("--limit", "1")
    assert shell("runs", "--limit", "1", "--json").json["more"] is True
    assert "and more: --limit 2" in shell("runs", "--limit", "1").lines
    assert ["no run matches"] == shell("runs", "--workflow", "Other").lines


@pytest.mark.parametrize(
    "options",
    [("--status", "bad"), ("--since", "soon"), ("--limit", "0"), ("--limit", "x"), ("--tag", "=x"), ("--wat",)],
)
def test_runs_with_wrong_options(shell: Shell, options: tuple[str, ...]):
    """An option that makes no sense is an error of usage, in one line."""
    shell("run", "sales.py")

    said = shell("runs", *options)

    assert (2, "", 1) == (said.code, said.out, len(said.err.splitlines()))


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, None])
def test_narrow_table_keeps_ids(width: int | None):
    """Columns go before a character of an id does; what is left fits."""
    run_id = "0123456789abcdef"

    lines = [line.text for line in runs_table([record(run_id, error="e" * 300)], 1010.0, width)]

    assert all(run_id in line for line in lines[1:])
    assert width is None or all(len(line) <= max(width, 29) for line in lines)


@pytest.mark.parametrize("text", ["2d", "1h30m", "2026-11-02", "2026-11-02T08:30+01:00"])
def test_since(text: str):
    """An age or an instant."""
    assert since_epoch(text) > 0


def test_no_store(shell: Shell):
    """What only reads makes no store, and says that there is none."""
    codes = {command: shell(*command.split()).code for command in ("runs", "show", "events", "resume", "cancel x")}

    assert dict.fromkeys(codes, 4) == codes
    assert not (shell.folder / "orchwf.db").exists()


def test_store_without_runs(shell: Shell):
    """An empty store says so."""
    code = "import asyncio, orchwf\nasync def main():\n    await (await orchwf.open_store('sqlite:///orchwf.db')).close()\n"
    subprocess.run([sys.executable, "-c", code + "asyncio.run(main())"], cwd=shell.folder, check=True)

    listed, shown = shell("runs"), shell("show", "x")

    assert ["there are no runs yet: orchwf run file.py"] == listed.lines
    assert 5 == shown.code
    assert "it has none yet" in shown.err


@pytest.mark.parametrize("url", ["x://y", "sqlite:///no/folder/x.db", "sqlite:///sales.py", "plain.db"])
def test_unusable_store(shell: Shell, url: str):
    """A store that cannot be used has an exit code of its own, and no traceback."""
    said = shell("run", "sales.py", "--store", url)

    assert 4 == said.code
    assert 1 == len(said.err.splitlines())


def test_events(shell: Shell):
    """Each event is a line; they are filtered by step and time, and in JSON have all that is known."""
    shell("run", "sales.py", "--run-id", "bad")

    every, of_step, none = shell("events"), shell("events", "bad", "--step", "validate"), shell(
        "events", "--since", "2999-01-01"
    )  # fmt: skip
    documents = shell("events", "--json", "--step", "validate").json_lines

    assert every.out.splitlines()[0].split()[2:] == ["run.started", "DailySales", "version", "1"]
    assert ["step.started", "step.failed"] == [line.split()[2] for line in of_step.out.splitlines()]
    assert "" == none.out
    assert ["step.started", "step.failed"] == [document["kind"] for document in documents]
    assert {"run", "seq", "at", "kind", "step", "attempt", "item", "error", "runs_on"} == set(documents[1])


def test_events_of_an_unknown_step(shell: Shell):
    """A step that there is not is not found."""
    shell("run", "sales.py")

    said = shell("events", "--step", "lod")

    assert (5, True) == (said.code, "Did you mean 'load'?" in said.err)


def test_events_follow_ends_with_the_run(shell: Shell):
    """Following a run that has ended prints its log and ends."""
    shell("run", "sales.py")

    said = shell("events", "--follow")

    assert 0 == said.code
    assert "run.failed" in said.out


def test_reader_that_goes_away(shell: Shell):
    """Nothing is said where the reader of a pipe has had enough."""
    shell("run", "sales.py")

    done = subprocess.run(
        f"{sys.executable} -m orchwf events | head -n 1", shell=True, cwd=shell.folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip

    assert (0, "") == (done.returncode, without_slowness(done.stderr))
    assert 1 == len(done.stdout.splitlines())


def test_reader_of_help_that_goes_away(shell: Shell):
    """Help is read by a pager that may be left."""
    done = subprocess.run(
        f"{sys.executable} -m orchwf resume --help | true", shell=True, cwd=shell.folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip

    assert (0, "") == (done.returncode, without_slowness(done.stderr))


def test_errors_in_json(shell: Shell):
    """With --json an error is a document, too."""
    shell("run", "sales.py")

    said = shell("show", "zz", "--json")

    assert 5 == said.code
    assert {"exit_code", "message", "problems"} == set(said.json["error"])
    assert 5 == said.json["error"]["exit_code"]


def test_help_teaches(shell: Shell):
    """The help names each command and shows how to use it; that of a command shows its options."""
    general, special = shell("--help"), shell("run", "--help")

    assert (0, 0) == (general.code, special.code)
    for command in ("check", "graph", "run", "runs", "show", "events", "resume", "cancel"):
        assert f"│ {command} " in general.out
    assert "orchwf run flow.py -i day=monday" in general.out
    assert "--input" in special.out
    assert "--store" in special.out


def test_both_ways_to_call_it(shell: Shell):
    """`python -m orchwf` and `python -m orchwf.cli` are the program; neither imports what it does not use."""
    code = "import sys; from orchwf.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"

    versions = {
        subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True).stdout
        for module in ("orchwf", "orchwf.cli")
    }
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr

    assert 1 == len(versions)
    assert [name for name in ("networkx", "cattrs", "aiosqlite") if f"'{name}'" in imported] == []


def test_wrong_command_line(shell: Shell):
    """A word that is nearly a command gets a hint; a missing one is named."""
    typo, missing, empty = shell("rn"), shell("run"), shell("check")

    assert (2, 2, 2) == (typo.code, missing.code, empty.code)
    assert 'Did you mean "run"?' in typo.err
    assert "TARGET" in missing.err
    assert "orchwf check file.py" in empty.err


@pytest.mark.parametrize("form", ["text", "svg", "mermaid", "dot", "html"])
def test_graph(shell: Shell, form: str):
    """A workflow is drawn in each form."""
    said = shell("graph", "sales.py", "--format", form)

    begin = {"text": "DailySales", "svg": "<svg", "mermaid": "---", "dot": "digraph", "html": "<!doctype html>"}
    assert 0 == said.code
    assert said.out.startswith(begin[form])
    assert "validate" in said.out


@pytest.mark.parametrize(
    ("name", "begin"), [("x.svg", "<svg"), ("x.html", "<!doctype"), ("x.mmd", "---"), ("x", "Dai")]
)
def test_graph_of_a_run_in_a_file(shell: Shell, name: str, begin: str):
    """A run is drawn with the state of its steps; the suffix of the file says how."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("graph", "last", "-o", name)

    text = Path(name).read_text(encoding="utf-8")
    assert [f"+ DailySales drawn to {name}"] == said.lines
    assert text.startswith(begin)
    assert "failed" in text


def test_graph_in_a_form_that_there_is_not(shell: Shell):
    """A suffix of no form that can be drawn is refused, unless the form is said."""
    refused, written = (
        shell("graph", "sales.py", "-o", "x.png"),
        shell("graph", "sales.py", "-o", "x.md", "-f", "mermaid"),
    )

    assert (2, 0) == (refused.code, written.code)
    assert "no picture is drawn as .png" in refused.err
    assert not Path("x.png").exists()


def test_graph_errors(shell: Shell):
    """What cannot be drawn, or not be written, says why."""
    shell("run", "sales.py")

    unknown, folder = shell("graph", "nothing-there"), shell("graph", "sales.py", "-o", "no/such/x.svg")

    assert (5, 2) == (unknown.code, folder.code)
    assert "cannot be written to" in folder.err


def test_graph_as_json(shell: Shell):
    """With --json the definition is a document; a module may be named without its class."""
    document = shell("graph", "sales", "--json").json

    assert "DailySales" == document["name"]
    assert json.dumps(document)
