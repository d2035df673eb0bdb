"""The types of the public API, as mypy --strict and pyright see them."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import orchwf

HERE = Path(__file__).parent
PACKAGE = Path(orchwf.__file__).parents[1]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The folder with the two files, in which no line tells mypy to pass over them."""
    for name in ("right.py", "wrong.py"):
        (tmp_path / name).write_text((HERE / name).read_text().replace("# mypy: ignore-errors", "#"))
    return tmp_path


def mypy_errors(sources: Path) -> set[tuple[str, int]]:
    """(file, line) of what mypy --strict reports."""
    pytest.importorskip("mypy")
    # A package that is installed is found by itself, and mypy refuses to be told of it.
    path = {} if "site-packages" in str(PACKAGE) else {"MYPYPATH": str(PACKAGE)}
    result = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--config-file=", "--output=json", "--no-error-summary",
            "--python-executable", sys.executable, "--cache-dir", str(sources / "cache"), "right.py", "wrong.py",
        ],
        capture_output=True, text=True, cwd=sources, env={**os.environ, **path}, check=False,
    )  # fmt: skip
    assert result.stderr == ""
    messages = [json.loads(line) for line in result.stdout.splitlines()]
    errors = {(each["file"], each["line"]) for each in messages if each["severity"] == "error"}
    return {(file, line) for file, line in errors if file in ("right.py", "wrong.py")}


def pyright_errors(sources: Path) -> set[tuple[str, int]]:
    """(file, line) of what pyright reports."""
    pytest.importorskip("pyright")
    (sources / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(PACKAGE)], "include": ["."]}))
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(sources)],
        capture_output=True, text=True, cwd=sources, check=False,
    )  # fmt: skip
    if not result.stdout.startswith("{"):
        pytest.skip(f"pyright cannot run here: {(result.stderr or result.stdout).strip()[-300:]}")
    report: dict[str, Any] = json.loads(result.stdout)
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    }


def marked() -> set[tuple[str, int]]:
    """(file, line) of the lines that say they are wrong."""
    lines = enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
    return {("wrong.py", number) for number, line in lines if line.endswith("# wrong")}


@pytest.mark.timeout(300)
def test_mypy(sources: Path):
    """mypy --strict finds the right file right, and in the wrong one the marked lines wrong and no others."""
    assert marked() == mypy_errors(sources)


@pytest.mark.timeout(300)
def test_pyright(sources: Path):
    """So does pyright."""
    assert marked() == pyright_errors(sources)


def test_what_is_right_compiles():
    """The file that the checkers approve of is a workflow that compiles."""
    spec = importlib.util.spec_from_file_location("orchwf_right", HERE / "right.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(module)

    assert "report" in orchwf.compile_workflow(module.Nightly).nodes
