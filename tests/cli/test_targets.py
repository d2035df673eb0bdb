"""From `file.py:Class` to a workflow, and what is said where there is none."""

import sys

import pytest

from orchwf.cli.loading import is_target, parse_target
from tests.cli.console import Shell

TWO = "from orchwf import step, workflow\n" + "".join(
    f"@workflow\nclass {name}:\n    @step\n    def a(self) -> int:\n        return 1\n" for name in ("One", "Two")
)
BAD = """\
from orchwf import step, workflow


@workflow
class Bad:
    @step(depends_on="b")
    def a(self) -> int:
        return 1

    @step(depends_on="a")
    def b(self) -> int:
        return 1

    @step
    def c(self, amount) -> int:
        return 1
"""


def test_check(shell: Shell):
    """One line for each workflow of each target."""
    shell.write("two.py", TWO)

    said = shell("check", "two.py", "sales.py:DailySales")

    assert [
        "+ One  two.py:One  1 step, 0 edges, 1 generation",
        "+ Two  two.py:Two  1 step, 0 edges, 1 generation",
        "+ DailySales  sales.py:DailySales  4 steps, 4 edges, 4 generations",
    ] == said.lines
    assert 0 == said.code


def test_check_reports_all_problems(shell: Shell):
    """All that is wrong is told at once, and what is right beside it is still checked."""
    shell.write("bad.py", BAD)

    said = shell("check", "bad.py", "sales.py")
    document = shell("check", "bad.py", "sales.py", "--json").json

    assert 2 == said.code
    assert "Bad cannot be compiled: 2 problems" in said.err
    assert "bad.py" in said.err
    assert ["+ DailySales  sales.py:DailySales  4 steps, 4 edges, 4 generations"] == said.lines
    assert ["cycle", "unbound-parameter"] == sorted(each["code"] for each in document["errors"][0]["problems"])
    assert ["DailySales"] == [each["name"] for each in document["workflows"]]
    assert "Traceback" not in said.err


def test_check_tells_warnings(shell: Shell):
    """What the compiler warns of is told, and is no error."""
    shell.write(
        "warned.py",
        "from orchwf import step, workflow\n@workflow\nclass Warned:\n"
        "    @step(timeout='1s')\n    def slow(self) -> int:\n        return 1\n",
    )

    said = shell("check", "warned.py")
    document = shell("check", "warned.py", "--json").json
    run = shell("run", "warned.py")

    assert 0 == said.code
    assert any(line.startswith("  ! ") and "sync-timeout" in line for line in said.lines)
    assert isinstance(document["workflows"][0]["warnings"], list)
    assert 0 == run.code


def test_several_workflows(shell: Shell):
    """Where there are several the class has to be named, and they are listed."""
    shell.write("two.py", TWO)

    unnamed, named, unknown = shell("run", "two.py"), shell("run", "two.py:Two"), shell("run", "two.py:Tow")

    assert (2, 0, 5) == (unnamed.code, named.code, unknown.code)
    assert "two.py defines 2 workflows; name one of them:\n  two.py:One\n  two.py:Two\n" == unnamed.err
    assert "Did you mean 'Two'?" in unknown.err


def test_imported_workflows_do_not_count(shell: Shell):
    """A file defines the workflows that are written in it; if none is, those it imports are meant."""
    shell.write("both.py", TWO.replace("Two", "Other", 1) + "from sales import DailySales\n")
    shell.write("only.py", "from sales import DailySales\n")

    both, only = shell("check", "both.py"), shell("check", "only.py")

    assert 2 == len(both.lines)
    assert 1 == len(only.lines)


def test_module(shell: Shell):
    """A module is found from the folder where the command is typed."""
    shell.write("pkg/__init__.py", "")
    shell.write("pkg/flows.py", TWO)

    said, unknown = shell("run", "pkg.flows:One"), shell("run", "pkg.flaws:One")

    assert 0 == said.code
    assert 5 == unknown.code
    assert "there is no module 'pkg.flaws' here" in unknown.err


def test_file_in_a_package(shell: Shell):
    """A file of a package may import its neighbours relatively, and as a script does."""
    shell.write("shop/__init__.py", "")
    shell.write("shop/types.py", "Amount = float\n")
    shell.write("shop/prices.py", "PRICE = 1\n")
    shell.write(
        "shop/flows.py",
        "from orchwf import step, workflow\nfrom .types import Amount\nfrom prices import PRICE\n"
        "@workflow\nclass Flow:\n    @step\n    def a(self) -> Amount:\n        return float(PRICE)\n",
    )

    said = shell("run", "shop/flows.py", "--run-id", "p")

    assert 0 == said.code
    assert str(shell.folder / "shop" / "flows.py") + ":Flow" == shell("show", "p", "--json").json["entrypoint"]


def test_file_named_like_a_known_module(shell: Shell):
    """A file may have the name of a module that is needed elsewhere, or none that Python knows."""
    shell.write("json.py", TWO)
    shell.write("my-flow.py", TWO)

    said = [shell("run", "json.py:One"), shell("run", "my-flow.py:Two"), shell("run", "my-flow.py:Two")]

    assert [0, 0, 0] == [each.code for each in said]
    assert sys.modules["json"].__name__ == "json"
    assert hasattr(sys.modules["json"], "dumps")


def test_made_workflow_under_another_name(shell: Shell):
    """A class that make_workflow made is found by its own name, too."""
    shell.write(
        "made.py",
        "from orchwf import make_workflow\ndef a() -> int:\n    return 1 // 0\nflow = make_workflow('Made', [a])\n",
    )
    first = shell("run", "made.py", "--run-id", "m")

    said = shell("resume", "m")

    assert (1, 1) == (first.code, said.code)
    assert "> Made run m resumed" == said.lines[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def f():\n    return 1 // 0\nf()\n", ["ZeroDivisionError", "broken.py:3 in <module>", "broken.py:2 in f"]),
        ("x = (\n", ["SyntaxError", "broken.py:1"]),
        ("import nothing_of_that_name\n", ["ModuleNotFoundError", "broken.py:1 in <module>"]),
        ("import json\njson.loads('{')\n", ["JSONDecodeError", "broken.py:2 in <module>"]),
        ("x = '\033[2J' = 1\n", ["SyntaxError", r"\x1b[2J"]),
        ("import sys\nsys.exit(3)\n", ["ends the program when it is loaded"]),
        ("x = 1\n", ["broken.py defines no workflow"]),
    ],
    ids=["raises", "syntax", "import", "library", "escapes", "exits", "empty"],
)
def test_file_that_cannot_be_loaded(shell: Shell, text: str, told: list[str]):
    """What the user's file raises is told with the user's frames only."""
    shell.write("broken.py", text)

    said = shell("check", "broken.py")

    assert 2 == said.code
    assert [each for each in told if each not in said.err] == []
    assert [word for word in ("Traceback", "importlib", "orchwf/") if word in said.err] == []


def test_interrupt_while_a_file_is_loaded(shell: Shell):
    """Ctrl-C in the user's module ends the command as it ends others."""
    shell.write("stop.py", "raise KeyboardInterrupt\n")

    assert 130 == shell("check", "stop.py").code


@pytest.mark.parametrize(
    ("target", "code"),
    [("nope.py", 5), ("folder.py", 5), ("sales.py:extract", 5), ("sales.py:os", 2), ("no.mod:X", 5), ("what?", 2)],
)
def test_target_that_is_none(shell: Shell, target: str, code: int):
    """What is not there is not found; what is no workflow is wrong."""
    (shell.folder / "folder.py").mkdir()

    said = shell("check", target)

    assert (code, 1) == (said.code, len(said.err.splitlines()))


def test_imported_file_that_fails_itself(shell: Shell):
    """A missing import inside a module is not mistaken for the module."""
    shell.write("outer.py", "import inner_of_outer\n")

    said = shell("check", "outer")

    assert 2 == said.code
    assert "outer cannot be loaded: ModuleNotFoundError: No module named 'inner_of_outer'" in said.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.py", True), ("x/a.py:B", True), ("a:B", True), ("a.b:C", True), ("C:\\x\\a.py:B", True),
        ("7f3a", False), ("last", False), ("a.b", False), ("2026-11-02T08:30", False),
    ],
)  # fmt: skip
def test_what_can_only_be_a_target(text: str, expected: bool):
    """A run's id is not mistaken for a file."""
    assert expected == is_target(text)


def test_parts_of_a_target():
    """The class stands behind the last colon after `.py`."""
    target = parse_target("C:\\x\\a.py:B.C")

    assert ("B.C", "") == (target.name, target.module)
    assert str(target.file).endswith("a.py")
