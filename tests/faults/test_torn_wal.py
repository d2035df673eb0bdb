"""The write-ahead log cut off or garbled after a kill, as a disk may leave it that lied about a sync."""

import asyncio
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from orchwf.core.events import Event
from orchwf.errors import StoreError
from tests.faults.harvest import harvest
from tests.faults.victims import integrity, log_in, whole

SEEDS = 15

KILLS = {
    "never checkpointed": ("--after", 31, "--pragma", "wal_autocheckpoint=0"),
    "just checkpointed": ("--after", 30, "--pragma", "wal_autocheckpoint=20"),
    "begun anew": ("--after", 43, "--pragma", "wal_autocheckpoint=20"),
    "checkpointed seldom": ("--after", 42, "--pragma", "wal_autocheckpoint=40"),
}
"""Ways to the moment of the kill: how much of the log is in the database already, and what stands behind its end."""


@attrs.frozen
class Remains:
    """What a killed process left: the folder of its store, and the log of its run."""

    folder: Path
    log: list[Event]


@pytest.fixture(scope="module", params=KILLS)
def remains(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Remains:
    folder = tmp_path_factory.mktemp("killed") / "store"
    folder.mkdir()
    code, said = whole(folder / "runs.db", "--harm", "die", *KILLS[request.param])
    assert (-signal.SIGKILL, "die") == (code, said)
    # It is made anew by whoever opens the store.
    (folder / "runs.db-shm").unlink()
    undamaged = folder.with_name("undamaged")
    shutil.copytree(folder, undamaged)
    return Remains(folder, asyncio.run(log_in(undamaged / "runs.db")))


def somewhere(content: bytearray, chance: random.Random) -> int:
    """A place in the log, rather at its beginning: after a checkpoint what stands at the end is old."""
    return chance.randrange(len(content) >> chance.randrange(6))


def cut_off(content: bytearray, chance: random.Random) -> None:
    del content[somewhere(content, chance) :]


def garble_a_byte(content: bytearray, chance: random.Random) -> None:
    content[somewhere(content, chance)] ^= chance.randrange(1, 256)


def garble_a_sector(content: bytearray, chance: random.Random) -> None:
    start = somewhere(content, chance) // 512 * 512
    content[start : start + 512] = chance.randbytes(512)


@pytest.mark.parametrize("damage", [cut_off, garble_a_byte, garble_a_sector])
def test_a_torn_log_loses_its_end_and_nothing_else(
    remains: Remains, tmp_path: Path, damage: Callable[[bytearray, random.Random], None]
):
    """The store has a beginning of the run's log, and from there the run ends right; or it says that it is damaged."""
    outcomes: Counter[str] = Counter()
    for seed in range(SEEDS):
        folder = tmp_path / f"{seed}"
        shutil.copytree(remains.folder, folder)
        wal = folder / "runs.db-wal"
        content = bytearray(wal.read_bytes())
        damage(content, random.Random(seed))
        assert wal.read_bytes() != content
        wal.write_bytes(content)

        outcomes[asyncio.run(examined(folder / "runs.db", remains.log))] += 1

    assert SEEDS == outcomes.total()
    assert outcomes["whole"] < SEEDS
    assert not outcomes.keys() - {"whole", "shorter", "refused"}


async def examined(path: Path, undamaged: list[Event]) -> str:
    """What the store is like: `whole`, `shorter` or `refused`; asserted is what may never be."""
    try:
        log = await log_in(path)
    except StoreError as error:
        return "refused" if f"the store {path} cannot be used: it is damaged" in str(error) else f"unclear: {error}"
    assert undamaged[: len(log)] == log

    said = await harvest(path)

    if "damaged" in said:
        assert f"StoreError: the store {path} cannot be used: it is damaged" in said
        return "refused"
    assert "completed" == said
    after = await log_in(path)
    assert log == after[: len(log)]
    assert list(range(1, len(after) + 1)) == [event.seq for event in after]
    assert "ok" == integrity(path)
    return "whole" if log == undamaged else "shorter"
