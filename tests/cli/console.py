"""Calls the command line in this process or in one of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf.cli import main

SALES = """\
import os

from orchwf import step, workflow


@workflow
class DailySales:
    day: str = "today"

    @step
    def extract(self) -> list[float]:
        return [12.5, -12.5, 30.0]

    @step(depends_on=[extract])
    def audit(self) -> int:
        return 7

    @step(depends_on=[audit])
    def validate(self, amounts: list[float] = extract.result) -> list[float]:
        if "LENIENT" in os.environ:
            return [amount for amount in amounts if amount > 0]
        for row, amount in enumerate(amounts, 1):
            if amount < 0:
                raise ValueError(f"row {row}: 'amount' is negative ({amount})")
        return amounts

    @step
    def load(self, amounts: list[float] = validate.result) -> float:
        return sum(amounts)
"""
"""A flow that fails in its third step, unless LENIENT is in the environment."""


@attrs.frozen
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What is on standard output, without times."""
        return steady(self.out).splitlines()

    @property
    def json(self) -> Any:
        """What is on standard output, as one JSON document."""
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        """What is on standard output, as a JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """Types commands in a folder of its own, whose store is empty at first."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def write(self, name: str, text: str) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def __call__(self, *words: str) -> Said:
        """Call the program in this process."""
        self._capsys.readouterr()
        code = main(words)
        captured = self._capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Begin the program in a process of its own."""
        command = [sys.executable, "-m", "orchwf", *words]
        return subprocess.Popen(
            command, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1
        )


def steady(text: str) -> str:
    """The text without what differs from run to run: durations and ages."""
    text = re.sub(r"(<?\d+(\.\d)? (ms|s|min \d\d s)) ago|just now", "AGO", text)
    return re.sub(r"<?\b\d+(\.\d)? (ms|s)\b|<1 ms", "TIME", text)


def read_until(stream: Iterable[str], text: str) -> str:
    """The lines up to the one that has the text."""
    read = ""
    for line in stream:
        read += line
        if text in line:
            return read
    raise AssertionError(f"{text!r} never came, only: {read}")
