"""A process that gives large values, and is killed at one instant of its first one: `python -m tests.faults.large`."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orchwf
from orchwf import step, workflow
from orchwf.blobs.references import MARKER
from orchwf.ports import Append
from orchwf.stores.sqlite import SQLiteStore

INSTANTS = ("written", "named", "committed")


@workflow
class Large:
    """Two steps with large outputs; each notes in a file that it ran."""

    notes: str

    @step
    async def load(self) -> list[str]:
        note(self.notes, "load")
        return ["x" * 1_000] * 400

    @step
    async def double(self, rows: list[str] = load.result) -> list[str]:
        note(self.notes, "double")
        return rows * 2


def note(path: str, step: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{step}\n")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(instant: str) -> None:
    """Let this process die when the first large value is written, has its name, or is referred to."""
    append, replace = SQLiteStore.append, Path.replace

    def replaced(self: Path, target: Path) -> Path:
        if instant == "written":
            die()
        return replace(self, target)

    async def appended(self: SQLiteStore, appends: Sequence[Append]) -> list[Exception | None]:
        has_large = any(MARKER in str(event) for each in appends for event in each.events)
        if has_large and instant == "named":
            die()
        outcomes = await append(self, appends)
        if has_large:
            die()
        return outcomes

    made: Any = SQLiteStore
    made.append = appended
    folder: Any = Path
    folder.replace = replaced


if __name__ == "__main__":
    url, notes, instant = sys.argv[1:]
    die_at(instant)
    orchwf.run(Large(notes=notes), store=url, run_id="r")
