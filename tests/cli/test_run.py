"""`orchwf run` and `resume`: what they print, and their exit codes."""

import json
import linecache
import subprocess
import sys

import pytest

from tests.cli.console import SALES, Shell

GOOD = """\
> DailySales run good   4 steps
  > extract
  + extract   TIME
  > audit
  + audit     TIME
  > validate
  + validate  TIME
  > load
  + load      TIME
+ DailySales run good completed in TIME   (4 done)
"""

FAILED = """\
> DailySales run bad   4 steps
  > extract
  + extract   TIME
  > audit
  + audit     TIME
  > validate
  x validate  attempt 1/1  ValueError: row 2: 'amount' is negative (-12.5)
  - load      skipped: validate failed
x DailySales run bad failed in TIME   (2 done, 1 failed, 1 skipped)
  x validate  attempt 1/1  ValueError: row 2: 'amount' is negative (-12.5)
      sales.py:24 in validate
        raise ValueError(f"row {row}: 'amount' is negative ({amount})")
  - load      skipped: validate failed
  Mend the code, then:  orchwf resume bad      (keeps extract, audit)
"""

RESUMED = """\
> DailySales run bad resumed
  keeps  extract, audit   (completed)
  again  validate   (ValueError: row 2: 'amount' is negative (-12.5))
  then   load   (left out when the run failed)
  > validate  attempt 2/2
  + validate  TIME, attempt 2/2
  > load
  + load      TIME
+ DailySales run bad completed in TIME   (4 done)
"""


def test_good_run(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """A run of four steps prints one line a change, at most twelve, and ends with its summary."""
    monkeypatch.setenv("LENIENT", "1")

    said = shell("run", "sales.py", "--run-id", "good")

    assert (0, "") == (said.code, said.err)
    assert GOOD.splitlines() == said.lines
    assert len(said.lines) <= 12


def test_failed_run(shell: Shell):
    """A failed run ends with what failed, where in the user's code, what was left out, and how to go on."""
    said = shell("run", "sales.py", "--run-id", "bad")

    assert (1, "") == (said.code, said.err)
    assert FAILED.splitlines() == said.lines
    assert len(said.lines) <= 25


def test_resumed_run(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """A resume says what it keeps and what it runs again, and why."""
    shell("run", "sales.py", "--run-id", "bad")
    monkeypatch.setenv("LENIENT", "1")

    said = shell("resume")

    assert 0 == said.code
    assert RESUMED.splitlines() == said.lines


def test_quiet_prints_the_summary_alone(shell: Shell):
    """With -q nothing is told in passing."""
    said = shell("run", "sales.py", "--run-id", "bad", "-q")

    assert FAILED.splitlines()[8:] == said.lines


def test_verbose_prints_the_traceback(shell: Shell):
    """With -v the whole traceback is there."""
    said = shell("run", "sales.py", "-v")

    assert "      Traceback (most recent call last):" in said.lines
    assert "      ValueError: row 2: 'amount' is negative (-12.5)" in said.lines


def test_store_is_named_where_it_has_to_be(shell: Shell):
    """The command that resumes names the store, if it was named."""
    said = shell("run", "sales.py", "--run-id", "bad", "--store", "sqlite:///other.db")

    assert (
        "  Mend the code, then:  orchwf resume --store sqlite:///other.db bad      (keeps extract, audit)" in said.lines
    )
    assert (shell.folder / "other.db").exists()


def test_store_in_memory_is_not_resumed(shell: Shell):
    """What is gone with the process cannot be resumed, and nobody is told so."""
    said = shell("run", "sales.py", "--store", "memory:")

    assert 1 == said.code
    assert "resume" not in said.out


def test_global_options_before_the_command(shell: Shell):
    """The options for every command may stand before it."""
    said = shell("--store", "sqlite:///other.db", "-q", "run", "sales.py")

    assert 1 == said.code
    assert (shell.folder / "other.db").exists()


def test_store_of_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Without --store it is that of ORCHWF_STORE, which need not be named in commands."""
    monkeypatch.setenv("ORCHWF_STORE", "sqlite:///env.db")

    said = shell("run", "sales.py", "--run-id", "bad")

    assert FAILED.splitlines()[-1] == said.lines[-1]
    assert (shell.folder / "env.db").exists()


def test_json_lines(shell: Shell):
    """With --json each event is a line, and the last line is the run with its steps."""
    said = shell("run", "sales.py", "--json", "--run-id", "bad", "--tag", "team=eu", "--tag", "nightly")

    *events, run = said.json_lines
    assert 1 == said.code
    assert list(range(1, len(events) + 1)) == [event["seq"] for event in events]
    assert ("run.started", "run.failed") == (events[0]["kind"], events[-1]["kind"])
    assert {"day": "today"} == events[0]["inputs"]
    assert ("bad", "failed", {"team": "eu", "nightly": ""}) == (run["id"], run["status"], run["tags"])
    assert ["completed", "completed", "failed", "skipped"] == [step["status"] for step in run["steps"]]
    assert "ValueError" == run["steps"][2]["error"]["type_name"]


def test_run_id_twice(shell: Shell):
    """An id that is taken is refused, with the two ways on."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("run", "sales.py", "--run-id", "bad")

    assert 2 == said.code
    assert "run 'bad' exists already; choose another --run-id, or go on with it: orchwf resume bad\n" == said.err


def test_nothing_to_resume(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """A run that completed is not resumed, and `resume` alone finds none that failed."""
    monkeypatch.setenv("LENIENT", "1")
    shell("run", "sales.py", "--run-id", "good")

    by_id, alone = shell("resume", "good"), shell("resume")

    assert (2, 5) == (by_id.code, alone.code)
    assert "there is nothing to resume" in by_id.err
    assert "there is no failed, paused or interrupted run" in alone.err


def test_resume_from_another_folder(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """A run remembers the file of its workflow, wherever the command is typed."""
    shell("run", "sales.py", "--run-id", "bad")
    monkeypatch.setenv("LENIENT", "1")
    elsewhere = shell.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    said = shell("resume", "bad", "--store", f"sqlite:///{shell.folder}/orchwf.db")

    assert 0 == said.code


def test_resume_after_the_file_moved(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Where the file is gone the error says what to add, and with it the run goes on."""
    shell("run", "sales.py", "--run-id", "bad")
    (shell.folder / "sales.py").rename(shell.folder / "moved.py")
    monkeypatch.setenv("LENIENT", "1")

    lost, found = shell("resume", "bad"), shell("resume", "bad", "--target", "moved.py")

    assert 5 == lost.code
    assert "sales.py:DailySales: sales.py does not exist" in lost.err
    assert "--target file.py:Class" in lost.err
    assert 0 == found.code


def test_resume_of_a_file_that_does_not_compile(shell: Shell):
    """It is where it was: what is wrong with it is told, and not to say where it is now."""
    shell.start("run", "sales.py", "--run-id", "bad").communicate()
    shell.write("sales.py", SALES.replace("depends_on=[extract]", "depends_on=['nothing']"))

    said = shell("resume", "bad")

    assert 2 == said.code
    assert "DailySales cannot be compiled: 1 problem" in said.err
    assert "--target" not in said.err


def test_resume_tells_what_the_compiler_warns_of(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """As `check` and `run` do."""
    shell.write("sales.py", SALES.replace("depends_on=[extract]", "depends_on=[extract], timeout='1h'"))
    shell.start("run", "sales.py", "--run-id", "bad").communicate()
    monkeypatch.setenv("LENIENT", "1")

    said = shell("resume", "bad")

    assert 0 == said.code
    assert said.err.startswith("warning: [sync-timeout]")


def test_target_of_another_workflow(shell: Shell):
    """A run is not resumed with the class of another workflow."""
    shell("run", "sales.py", "--run-id", "bad")
    shell.write("other.py", "from orchwf import step, workflow\n@workflow\nclass Other:\n  @step\n  def a(self): ...\n")

    said = shell("resume", "bad", "--target", "other.py")

    assert 2 == said.code
    assert "run 'bad' is of the workflow 'DailySales', and other.py has Other\n" == said.err


def test_run_of_no_known_file(shell: Shell):
    """A run that was typed at a prompt is not looked for in a file."""
    code = (
        SALES + "\nimport orchwf\ntry:\n    orchwf.run(DailySales(), run_id='typed')\nexcept orchwf.RunFailed: pass\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=shell.folder, check=True)

    said = shell("resume", "typed")

    assert 2 == said.code
    assert "run 'typed' was started by code that no file is known of" in said.err
    assert "--target file.py:Class" in said.err


def test_graph_that_changed(shell: Shell):
    """Where another graph stands in the file, the difference is told and nothing is run."""
    shell("run", "sales.py", "--run-id", "bad")
    del sys.modules["sales"]
    shell.write("sales.py", SALES + "\n    @step\n    def more(self) -> int:\n        return 1\n")

    said = shell("resume", "bad")

    assert 2 == said.code
    assert "+ step 'more' is new" in said.err


def test_code_that_changed(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Where the code of a step that is kept changed, it is said that its old output stays."""
    shell("run", "sales.py", "--run-id", "bad")
    del sys.modules["sales"]
    linecache.clearcache()
    shell.write("sales.py", SALES.replace("return 7", "return 4 + 4"))
    monkeypatch.setenv("LENIENT", "1")

    said = shell("resume", "bad")

    assert 0 == said.code
    assert "  note   audit: the code changed, but what it returned before is kept" in said.lines


def test_optional_failure(shell: Shell):
    """A step that is not required may fail: the run completes, and the failure is told."""
    shell.write(
        "optional.py",
        "from orchwf import step, workflow\n@workflow\nclass Flow:\n"
        "    @step(required=False)\n    def risk(self) -> int:\n        return 1 // 0\n",
    )

    said = shell("run", "optional.py", "-q", "--run-id", "r")

    assert 0 == said.code
    assert [
        "+ Flow run r completed in TIME   (1 failed)",
        "  x risk  attempt 1/1  ZeroDivisionError: integer division or modulo by zero  (optional)",
        "      optional.py:6 in risk",
        "        return 1 // 0",
    ] == said.lines


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ("@step(timeout='10ms')", "await asyncio.Event().wait()"),
        ("@step", "await asyncio.Event().wait()"),
    ],
    ids=["timeout", "deadline"],
)
def test_timed_out(shell: Shell, options: str, body: str):
    """A run that failed for its time limits has an exit code of its own."""
    decorator = "@workflow(deadline='50ms')" if options == "@step" else "@workflow"
    shell.write(
        "slow.py",
        f"import asyncio\nfrom orchwf import step, workflow\n{decorator}\nclass Slow:\n"
        f"    {options}\n    async def wait(self) -> None:\n        {body}\n",
    )

    said = shell("run", "slow.py")

    assert 3 == said.code


def test_many_steps_are_counted(shell: Shell):
    """Of hundreds of steps a failure names the first ones and counts the rest."""
    shell.write(
        "many.py",
        "from orchwf import make_workflow, step\n"
        "def first() -> int:\n    raise ValueError('no')\n"
        "def make(at):\n    return step(name=f's{at:03}', depends_on=['first'])(lambda: at)\n"
        "Many = make_workflow('Many', [first, *map(make, range(300))])\n",
    )

    said = shell("run", "many.py")

    assert 1 == said.code
    assert "  - and more: 295 skipped" in said.lines
    assert len(said.lines) < 45


def test_hostile_texts(shell: Shell):
    """Names and messages with escapes, markup, line ends and a megabyte stay one harmless line each."""
    shell.write(
        "hostile.py",
        "from orchwf import make_workflow, step\n"
        "def body() -> int:\n    raise ValueError('[bold]x[/bold]\\x1b[31m' + 'y' * 1_000_000)\n"
        "Hostile = make_workflow('Hos\\x1b[2Jtile', {'a\\nb[red]\\x1b[31m': body})\n",
    )

    told = [shell("run", "hostile.py"), shell("show"), shell("runs"), shell("events"), shell("graph", "last")]

    for said in told:
        assert "\x1b" not in said.out
        assert max(map(len, said.out.splitlines())) < 500
    assert "a\\nb[red]\\x1b[31m" in told[0].out
    assert "[bold]x[/bold]\\x1b[31m" in told[2].out


def test_inputs(shell: Shell):
    """Inputs come from a file and from the command line, which wins."""
    shell.write("in.json", json.dumps({"day": "monday"}))

    shell("run", "sales.py", "--inputs", "in.json", "--run-id", "a")
    shell("run", "sales.py", "--inputs", "in.json", "-i", "day=a=b", "--run-id", "b")

    assert {"day": "monday"} == shell("show", "a", "--json").json["inputs"]
    assert {"day": "a=b"} == shell("show", "b", "--json").json["inputs"]


LOUD = """\
from orchwf import step, workflow

print("loaded")


@workflow
class Loud:
    @step
    def speak(self) -> int:
        print("spoken")
        return 1
"""


def test_reader_that_goes_away_does_not_end_the_run(shell: Shell):
    """The run goes on to its end where the reader of its lines has had enough."""
    shell.write("loud.py", LOUD)

    done = subprocess.run(
        f"{sys.executable} -m orchwf run loud.py --run-id r | true", shell=True, cwd=shell.folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip

    assert "Traceback" not in done.stderr
    assert "completed" == shell("show", "r", "--json").json["status"]


def test_json_is_not_mixed_with_what_others_print(shell: Shell):
    """With --json the file and its steps print to standard error, so that each line is a document."""
    shell.write("loud.py", LOUD)

    said = shell("run", "loud.py", "--json")

    assert "completed" == said.json_lines[-1]["status"]
    assert ["loaded", "spoken"] == said.err.splitlines()


def test_steps_may_print(shell: Shell):
    """Without --json what a step prints is on standard output, what the file prints when it is loaded is not."""
    shell.write("loud.py", LOUD)

    said = shell("run", "loud.py", "-q")

    assert "spoken" in said.out.splitlines()
    assert "loaded" not in said.out


@pytest.mark.parametrize("name", ["last", "last-failed"])
def test_run_id_with_a_meaning(shell: Shell, name: str):
    """A word that stands for a run is no id of one."""
    said = shell("run", "sales.py", "--run-id", name)

    assert (2, f"{name!r} stands for a run already; choose another --run-id\n") == (said.code, said.err)
