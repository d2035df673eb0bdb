"""`orchwf run --only`, `--until` and `--dry-run`."""

import pytest

from tests.cli.console import Shell


def test_until(shell: Shell):
    """A step runs with what it needs, and nothing else; a fork goes on."""
    said = shell("run", "sales.py", "--until", "audit", "--run-id", "u1")

    assert 0 == said.code
    assert "+ DailySales run u1 completed in TIME   (2 done, 2 skipped)" == said.lines[-1]
    assert "  keeps  extract, audit   (completed)" in shell("fork", "u1", "--from", "validate").lines


def test_only(shell: Shell):
    """Of what is selected all that is needed has to be selected, too."""
    said = shell("run", "sales.py", "--only", "extract", "--only", "audit", "--json")
    refused = shell("run", "sales.py", "--only", "load")

    assert ["completed", "completed", "skipped", "skipped"] == [step["status"] for step in said.json_lines[-1]["steps"]]
    assert 2 == refused.code
    assert refused.err.startswith("step 'load' needs 'validate', which is left out: name it, too (+load), or reuse")


def test_some_steps_are_left_to_a_worker(shell: Shell):
    """What is left out is so from the beginning, whoever executes the rest."""
    said = shell("run", "sales.py", "--until", "audit", "--run-id", "u1", "--detach")

    steps = {step["name"]: step["status"] for step in shell("show", "u1", "--json").json["steps"]}
    assert 0 == said.code
    assert {"extract": "pending", "audit": "pending", "validate": "skipped", "load": "skipped"} == steps


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--only", "load", "--until", "load"], 2, "--only and --until say both what is to run; give one of them\n"),
        (["--until", "lod"], 5, "DailySales has no step 'lod'. Did you mean 'load'?\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_selected(shell: Shell, words: list[str], code: int, message: str):
    """It is refused before anything begins."""
    said = shell("run", "sales.py", *words)

    assert (code, message) == (said.code, said.err)
    assert not (shell.folder / "orchwf.db").exists()


def test_dry_run(shell: Shell):
    """It tells the order and what is left out, and there is no store afterwards."""
    said = shell("run", "sales.py", "--until", "validate", "--dry-run")

    assert [
        "DailySales would run 3 steps; nothing was run",
        "   generation  step      after           how",
        "   1           extract",
        "   2           audit     extract",
        "   3           validate  audit, extract",
        "-  4           load      validate        left out",
    ] == said.lines
    assert not (shell.folder / "orchwf.db").exists()


def test_dry_run_tells_how_steps_run(shell: Shell):
    """Whatever is out of the common is told."""
    shell.write("odd.py", ODD)

    lines = shell("run", "odd.py", "--dry-run").lines

    assert any(line.endswith("once per item, up to 3 attempts, at most TIME, optional") for line in lines)
    assert any(line.endswith("signal") for line in lines)
    assert any(line.endswith("join settled") for line in lines)


def test_dry_run_json(shell: Shell):
    """The document has all steps, in the order in which they could begin."""
    document = shell("run", "sales.py", "--until", "audit", "--dry-run", "--json").json

    assert {"workflow", "version", "steps"} == set(document)
    assert {
        "name", "kind", "generation", "runs", "dependencies", "several", "max_attempts", "timeout", "required"
    } == set(document["steps"][0])  # fmt: skip
    assert [True, True, False, False] == [step["runs"] for step in document["steps"]]


ODD = """\
from orchwf import signal, step, workflow


@workflow
class Odd:
    @step
    def rows(self) -> list[int]:
        return [1]

    @step(retries=2, timeout=30, required=False)
    async def parse(self, row: int = rows.each) -> int:
        return row

    paid = signal(int)

    @step(depends_on=[parse, paid], join="settled")
    def clean(self) -> None: ...
"""
