"""`orchwf copy`."""

import asyncio
from typing import Any

import pytest

from orchwf import open_store
from orchwf.cli import copying
from orchwf.core.events import RunStarted
from orchwf.core.state import RunStatus
from orchwf.crypto import EncryptionCodec
from orchwf.ports import RunQuery
from orchwf.runtime.owner import this_process
from tests.cli.console import Shell
from tests.stores.samples import NOW, completed, creation, schedule, written

BEGUN = RunStarted(seq=1, at=NOW, workflow="Orders", version="1", fingerprint="f1", inputs="{}")
OWNER = str(this_process("me"))


@pytest.fixture(autouse=True)
def prepared(shell: Shell) -> None:
    """The default store has two runs that failed, one that waits, one that is at work, and a schedule."""

    async def make() -> None:
        store = await open_store(f"sqlite:///{shell.folder}/orchwf.db")
        failed: dict[str, Any] = {"status": RunStatus.FAILED, "ended_at": NOW, "error": "no"}
        await store.renew(OWNER, 600)
        await written(
            store, creation("A1", BEGUN, **failed), creation("A2", BEGUN, workflow="Refunds", **failed),
            creation("B1", BEGUN), creation("B2", BEGUN, owner=OWNER),
        )  # fmt: skip
        await store.put_schedule(schedule("nightly"))
        await store.close()

    asyncio.run(make())


def ids(shell: Shell, name: str) -> set[str]:
    """The runs that are in the store of this name."""

    async def read() -> set[str]:
        store = await open_store(f"sqlite:///{shell.folder}/{name}.db")
        found = {run.id for run in await store.runs(RunQuery())}
        await store.close()
        return found

    return asyncio.run(read())


def test_all_is_copied(shell: Shell):
    """What could not be is named, and the exit code says so."""
    said = shell("copy", "--to", "sqlite:///b.db")

    label = OWNER.split("|")[0].partition("/")[0]
    assert 1 == said.code
    assert said.out.splitlines()[0].startswith("x run B2  not copied: it is being executed by process ")
    assert said.out.splitlines()[0].endswith(label)
    assert [
        "4 copied, 0 there already, 1 not copied  to sqlite:///b.db",
        "  1 that had not ended goes on there, as soon as a process serves it",
    ] == said.out.splitlines()[1:]
    assert {"A1", "A2", "B1"} == ids(shell, "b")


def test_some_are_moved(shell: Shell):
    """They are named by id or prefix, and gone afterwards."""
    said = shell("copy", "A1", "B1", "--from", "sqlite:///orchwf.db", "--to", "sqlite:///b.db", "--move")

    assert (0, "2 moved, 0 there already  to sqlite:///b.db") == (said.code, said.out.splitlines()[0])
    assert ({"A2", "B2"}, {"A1", "B1"}) == (ids(shell, "orchwf"), ids(shell, "b"))


def test_some_are_chosen(shell: Shell):
    """By status and workflow."""
    shell("copy", "--to", "sqlite:///b.db", "--status", "failed", "--workflow", "Refunds")

    assert {"A2"} == ids(shell, "b")


def test_a_dry_run(shell: Shell):
    """It says what would become of them, and makes no store."""
    said = shell("copy", "--to", "sqlite:///b.db", "--dry-run")
    moved = shell("copy", "A1", "--to", "sqlite:///b.db", "--dry-run", "--move")

    assert 1 == said.code
    assert said.out.splitlines()[0].startswith("x run B2  not copied: it is being executed by process ")
    assert "4 to be copied, 0 there already, 1 not copied  to sqlite:///b.db" == said.out.splitlines()[1]
    assert (0, "1 to be moved, 0 there already  to sqlite:///b.db") == (moved.code, moved.out.strip())
    assert {"A1", "A2", "B1", "B2"} == ids(shell, "orchwf")
    assert [] == [path.name for path in shell.folder.iterdir() if path.name.startswith("b.")]


def test_json(shell: Shell):
    """One document, and nothing else."""
    said = shell("copy", "--to", "sqlite:///b.db", "--json")

    assert (4, 1, 0) == tuple(said.json[name] for name in ("copied", "going_on", "there"))
    [problem] = said.json["problems"]
    assert ("B2", "left") == (problem["run"], problem["outcome"])


def test_a_schedule_in_whose_place_another_is(shell: Shell):
    """It is called what it is."""

    async def other() -> None:
        store = await open_store(f"sqlite:///{shell.folder}/b.db")
        await store.put_schedule(schedule("nightly", cron="1 1 * * *"))
        await store.close()

    asyncio.run(other())

    said = shell("copy", "--to", "sqlite:///b.db", "--workflow", "Orders", "--json")

    assert [("nightly", "conflict")] == [
        (each["schedule"], each["outcome"]) for each in said.json["problems"] if "schedule" in each
    ]


def test_how_far_it_is(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """Is said now and then, unless it is to be quiet."""
    monkeypatch.setattr(copying, "_EACH", 2)

    assert "  2 runs done with" in shell("copy", "--to", "sqlite:///b.db").out.splitlines()
    assert "done with" not in shell("copy", "--to", "sqlite:///c.db", "-q").out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--to", "sqlite:///orchwf.db"], 2, "there is nothing to copy"),
        (["--to", "sqlite:///b.db", "--from", "sqlite:///no.db"], 4, "there is no store"),
        (["Z9", "--to", "sqlite:///b.db"], 5, "Z9"),
        (["--to", "nope:"], 4, "'nope:' is no URL of a store"),
        ([], 2, "--to"),
    ],
)
def test_what_cannot_be(shell: Shell, words: list[str], code: int, text: str):
    """It says so in one line."""
    said = shell("copy", *words)

    assert code == said.code
    assert text in said.err
    assert 1 == len(said.err.splitlines())


def test_an_interrupt(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """It says that nothing is lost."""

    async def interrupted(*stores: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "copy_runs", interrupted)

    said = shell("copy", "--to", "sqlite:///b.db")

    assert 130 == said.code
    assert "interrupted: what is copied is kept, and the same command goes on from here" == said.err.strip()


def test_keys_open_both_stores(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """What was plain is encrypted in the other one, from now on."""
    monkeypatch.setenv("ORCHWF_KEYS", EncryptionCodec.generate_key())

    async def secret() -> None:
        store = await open_store(f"sqlite:///{shell.folder}/c.db")
        end: dict[str, Any] = {"status": RunStatus.FAILED, "ended_at": NOW}
        await written(store, creation("A1", BEGUN, completed(2, output='"SECRET"'), **end))
        await store.close()

    asyncio.run(secret())

    assert 0 == shell("copy", "--from", "sqlite:///c.db", "--to", "sqlite:///d.db").code
    assert b"SECRET" in (shell.folder / "c.db").read_bytes()
    assert b"SECRET" not in (shell.folder / "d.db").read_bytes()
