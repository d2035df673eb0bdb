"""Outputs that a store keeps for other runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from orchwf.core.caching import CacheEntry, Lookup
from orchwf.core.limits import Limit
from orchwf.core.slots import Refusal, SlotRequest
from orchwf.errors import ConflictError, StoreError
from orchwf.ports import Append, Store
from orchwf.stores.sqlite import SQLiteStore, open_sqlite
from tests.kinds import opened_store

from .samples import NOW, completed, creation, started, written

ENTRY = CacheEntry(key="k", run_id="A1", step="charge", output='"yes"', created_at=NOW)
ONE = Limit(name="one", concurrency=1)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open store, in which the owners `me` and `you` have a lease."""
    made = await opened_store(request.param, request, tmp_path)
    await made.renew("me", 60)
    await made.renew("you", 60)
    yield made
    await made.close()


def ask(key: str = "k", since: float = -float("inf"), step: str = "charge") -> SlotRequest:
    return SlotRequest(limits=[ONE], lookup=Lookup(key=key, since=since), run_id="B1", step=step, attempt=1)


async def keep(store: Store, *entries: CacheEntry, run: str = "A1") -> None:
    end = Append(run_id=run, expected=1, events=[completed(2)], caches=entries)
    await written(store, creation(run, started(1)), end)


async def test_what_is_kept_is_found(store: Store):
    """And no slot is taken for it."""
    await keep(store, ENTRY)

    assert [ENTRY, ENTRY] == await store.take_slots("me", [ask(), ask(step="other")])
    assert "0" == (await store.facts())["slots"]


async def test_what_is_not_kept_is_not_found(store: Store):
    """Then it is for the limits to say whether the attempt may begin."""
    await keep(store, ENTRY)

    assert [None] == await store.take_slots("me", [ask("other")])
    assert [Refusal(limit="one", owners=("me",)), ENTRY] == await store.take_slots("you", [ask("other"), ask()])


async def test_only_what_is_new_enough_is_found(store: Store):
    """Whoever asks says how old it may be."""
    await keep(store, ENTRY)

    assert [ENTRY] == await store.take_slots("me", [ask(since=NOW - 1)])
    assert [None] == await store.take_slots("me", [ask(since=NOW)])


async def test_what_is_kept_later_takes_the_place_of_what_was(store: Store):
    """Of one key there is one output."""
    later = attrs.evolve(ENTRY, run_id="A2", output="8", created_at=NOW + 1, expires_at=NOW + 2)
    await keep(store, ENTRY)
    await keep(store, later, run="A2")

    assert [later] == await store.take_slots("me", [ask()])


async def test_nothing_is_kept_of_an_append_that_is_refused(store: Store):
    """It is whole, or not at all."""
    await written(store, creation("A1", started(1)))

    [outcome] = await store.append([Append(run_id="A1", expected=0, events=[completed(1)], caches=[ENTRY])])

    assert isinstance(outcome, ConflictError)
    assert [None] == await store.take_slots("me", [ask()])


async def test_what_is_out_of_date_is_forgotten(store: Store):
    """From that instant on; what has no date stays."""
    entries = [attrs.evolve(ENTRY, key=str(at), expires_at=at) for at in (NOW, NOW + 1, NOW + 2, None)]
    await keep(store, *entries)

    assert 2 == await store.forget_expired(NOW + 1)
    assert 0 == await store.forget_expired(NOW + 1)
    found = await store.take_slots("me", [ask(str(entry.expires_at)) for entry in entries[2:]])
    assert entries[2:] == found


async def test_what_is_kept_outlives_its_run(store: Store):
    """It says which one that was."""
    await keep(store, ENTRY)
    await store.delete(["A1"])

    assert [ENTRY] == await store.take_slots("me", [ask()])


async def test_large_and_odd_outputs(store: Store):
    """They come back as they were."""
    odd = attrs.evolve(ENTRY, output='"' + "ä\\n" * 1_000_000 + '"', step="naïve\n'", run_id="注文 🛒")
    await keep(store, odd)

    assert [odd] == await store.take_slots("me", [ask()])


async def test_it_is_there_after_opening_again(tmp_path: Path):
    """And what lies far in the future is no damage."""
    entry = attrs.evolve(ENTRY, expires_at=1e15)
    first = await open_sqlite(tmp_path / "a.db")
    await keep(first, entry)
    await first.close()
    again = await open_sqlite(tmp_path / "a.db")
    await again.renew("me", 60)

    assert [entry] == await again.take_slots("me", [ask()])
    await again.close()


@pytest.mark.parametrize(
    ("column", "value"), [("output", 7), ("output", b"x"), ("run", 1.5), ("step", b"x"), ("created_at", "soon")]
)
async def test_a_damaged_output_is_told(tmp_path: Path, column: str, value: object):
    """In one clear error: it is not taken for an output."""
    store: SQLiteStore = await open_sqlite(tmp_path / "a.db")
    await store.renew("me", 60)
    await keep(store, ENTRY)
    await store._connection.call(
        lambda db: db.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(replace(sql, 'TEXT', ''), 'REAL', '') "
            "WHERE name = 'cache';"
        )
    )
    await store.close()
    store = await open_sqlite(tmp_path / "a.db")
    await store.renew("me", 60)
    await store._connection.call(lambda db: db.execute(f"UPDATE cache SET {column} = ?", (value,)))

    with pytest.raises(StoreError, match="the output that is kept under k cannot be read"):
        await store.take_slots("me", [ask()])
    await store.close()
