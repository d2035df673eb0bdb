"""What the tests of faults share: processes that run the workflow, and what is left of their files."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from orchwf.core.events import Event
from orchwf.stores.sqlite import open_sqlite
from tests.conftest import ROOT

PROGRAM = ROOT / "tests" / "faults" / "harvest.py"


def begin(path: Path, *words: object) -> "subprocess.Popen[str]":
    """A process that runs the workflow on this file; its effects are noted beside it."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "EFFECTS": str(effects_of(path)),
    }
    command = [sys.executable, str(PROGRAM), str(path), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def whole(path: Path, *words: object) -> tuple[int, str]:
    """The exit code of such a process, and what it said after `ready`."""
    with begin(path, *words) as process:
        said, _ = process.communicate()
    return process.returncode, said.removeprefix("ready\n").strip()


def effects_of(path: Path) -> Path:
    """The file of effects: beside the folder of the store, so that it does not suffer with it."""
    return path.parent.parent / "effects"


async def log_in(path: Path, run_id: str = "r") -> list[Event]:
    """The log of a run in this file; empty if there is no such run."""
    store = await open_sqlite(path)
    try:
        return await store.read(run_id)
    finally:
        await store.close()


def integrity(path: Path) -> str:
    """What SQLite says of the file: `ok`, or what is wrong."""
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("PRAGMA integrity_check").fetchone()[0])


def kept_steps(path: Path) -> list[str]:
    """The steps of which a process has said that they are in the store, in that order."""
    return [step for what, step in _effects(path) if what == "kept"]


def run_again(path: Path) -> set[str]:
    """The steps whose body began after their completion was in the store: there must be none."""
    kept, again = set(), set()
    for what, step in _effects(path):
        if what == "kept":
            kept.add(step)
        elif step in kept:
            again.add(step)
    return again


def _effects(path: Path) -> list[tuple[str, str]]:
    file = effects_of(path)
    lines = file.read_text().splitlines() if file.exists() else []
    # A process that is killed may leave its last line by halves.
    return [(what, step) for what, _, step in (line.partition(" ") for line in lines) if step]
