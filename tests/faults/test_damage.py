"""Bytes of the database that are not what was written: each public call gives one clear error, or an answer."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf import Orchestrator, open_store
from orchwf.core.events import Event
from orchwf.errors import EncodingError, RunError, StoreError, UsageError
from tests.cli.console import Shell
from tests.faults.harvest import Harvest
from tests.faults.victims import log_in

SEEDS = 12

COMMANDS = (
    ("runs",),
    ("runs", "--json"),
    ("show", "done"),
    ("show", "r", "--json"),
    ("show", "last", "--graph"),
    ("show", "done", "--output", "a3"),
    ("events", "done", "--json"),
)


def garble_a_byte(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= chance.randrange(1, 256)


def garble_many_bytes(content: bytearray, chance: random.Random) -> None:
    for _ in range(12):
        garble_a_byte(content, chance)


def garble_the_head(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(100)] ^= 1 << chance.randrange(8)


def garble_the_head_of_a_page(content: bytearray, chance: random.Random) -> None:
    content[_a_page(content, chance) + chance.randrange(12)] ^= 1 << chance.randrange(8)


def blank_a_sector(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content) // 512) * 512
    content[start : start + 512] = bytes(512)


def garble_a_page(content: bytearray, chance: random.Random) -> None:
    start = _a_page(content, chance)
    content[start : start + 4096] = chance.randbytes(4096)


def misplace_a_page(content: bytearray, chance: random.Random) -> None:
    start, source = _a_page(content, chance), _a_page(content, chance)
    content[start : start + 4096] = content[source : source + 4096]


def cut_off(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def _a_page(content: bytearray, chance: random.Random) -> int:
    return chance.randrange(len(content) // 4096) * 4096


DAMAGES = [
    garble_a_byte, garble_many_bytes, garble_the_head, garble_the_head_of_a_page, blank_a_sector, garble_a_page,
    misplace_a_page, cut_off,
]  # fmt: skip
Damage = Callable[[bytearray, random.Random], None]


def damaged(sound: Path, folder: Path, damage: Damage, seed: int) -> Path:
    """A copy of the database in this folder, damaged."""
    path = folder / f"{damage.__name__}-{seed}.db"
    content = bytearray(sound.read_bytes())
    damage(content, random.Random(f"{damage.__name__} {seed}"))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_call_gives_an_answer_or_one_clear_error(sound: Path, tmp_path: Path, damage: Damage):
    """Nothing of SQLite, of JSON or of Python shows, whatever is asked."""
    outcomes: Counter[str] = Counter()
    for seed in range(SEEDS):
        path = damaged(sound, tmp_path, damage, seed)

        outcomes += asyncio.run(Asking(path).everything())

    assert outcomes["StoreError"] > 0
    assert not outcomes.keys() - {"answer", *(family.__name__ for family in FAMILIES)}


FAMILIES = (StoreError, EncodingError, RunError, UsageError)
"""What may be raised: none that speaks of a bug, and nothing that is not orchwf's."""


@attrs.define
class Asking:
    """Asks a store for everything, and counts what comes back: the family of the error, or `answer`."""

    path: Path
    outcomes: Counter[str] = attrs.field(factory=Counter)

    async def everything(self) -> Counter[str]:
        await self.ask(self.open)
        await self.ask(self.look)
        await self.ask(self.work)
        return self.outcomes

    async def ask(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """The answer to one call; None where it raised."""
        try:
            answer = await call()
        except FAMILIES as error:
            family = next(base for base in FAMILIES if isinstance(error, base))
            # A graph that changed is told in several lines.
            is_clear = len(str(error).splitlines()) == 1 or family is UsageError
            self.outcomes[family.__name__ if is_clear else f"unclear {error}"] += 1
            return None
        self.outcomes["answer"] += 1
        return answer

    async def open(self) -> None:
        store = await open_store(f"sqlite:///{self.path}", must_exist=True)
        await store.close()

    async def look(self) -> None:
        async with Orchestrator(f"sqlite:///{self.path}") as orchestrator:
            await self.ask(orchestrator.list_runs)
            await self.ask(lambda: orchestrator.list_runs(workflow="Harvest", status="completed"))
            for run_id in ("done", "r"):
                run = await self.ask(partial(orchestrator.get, run_id))
                for call in () if run is None else (run.status, run.steps):
                    await self.ask(call)
            done = await self.ask(lambda: orchestrator.get("done"))
            if done is not None:
                result = await self.ask(lambda: done.wait(5))
                await self.ask(lambda: asyncio.to_thread(lambda: result and dict(result.outputs)))

    async def work(self) -> None:
        async with Orchestrator(f"sqlite:///{self.path}") as orchestrator:
            resumed = await self.ask(lambda: orchestrator.resume("r", workflow=Harvest))
            if resumed is not None:
                await self.ask(lambda: resumed.wait(5))
            await self.ask(lambda: orchestrator.run(Harvest(), run_id="new"))
            await self.ask(lambda: orchestrator.delete("done"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_command_answers_or_says_in_one_line_what_is_wrong(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Damage
):
    """The exit code tells a store that cannot be used (4), and what it has not, or has no more (5)."""
    shell, codes = Shell(tmp_path, capsys), Counter[int]()
    for seed in range(SEEDS):
        path = damaged(sound, tmp_path, damage, seed)
        for command in COMMANDS:
            said = shell(*command, "--store", f"sqlite:///{path}")

            codes[said.code] += 1
            assert said.code in (0, 4, 5)
            assert ("" if said.code == 0 else said.err.strip()) == "".join(said.err.splitlines())

    assert codes[4] > 0


@pytest.mark.parametrize("damage", [garble_the_head_of_a_page, garble_a_page, misplace_a_page, cut_off])
def test_a_log_is_never_read_with_a_gap_or_an_event_twice(sound: Path, tmp_path: Path, damage: Damage):
    """Damage to the structure is found, or what is read is a beginning of the log that was written."""
    outcomes: Counter[str] = Counter()
    before = asyncio.run(log_in(sound, "done"))
    for seed in range(2 * SEEDS):
        path = damaged(sound, tmp_path, damage, seed)

        outcomes[asyncio.run(compared(path, before))] += 1

    assert outcomes["refused"] > 0
    assert not outcomes.keys() - {"refused", "whole", "other"}


async def compared(path: Path, before: list[Event]) -> str:
    """How the log is that is read: `refused`, `whole`, or `other`."""
    try:
        log = await log_in(path, "done")
    except StoreError as error:
        return "refused" if str(path) in str(error) else f"unclear: {error}"
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    return "whole" if log == before else "other"
