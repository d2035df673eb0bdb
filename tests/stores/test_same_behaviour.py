"""Whatever is done to them, the store in memory and those in a file and a database answer alike."""

import asyncio
import math
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from orchwf.core.events import Event
from orchwf.core.state import RunStatus
from orchwf.errors import OrchwfError
from orchwf.ports import Append, Message, RunQuery, Store, Summary, Wanted
from orchwf.stores import MemoryStore
from orchwf.stores.postgres import open_postgres
from orchwf.stores.sqlite import open_sqlite
from tests.postgres import Emptied

from .samples import NOW, creation, received, schedule, started

run_ids = st.sampled_from(["A1", "A2", "B1", "naïve\n'"])
owners = st.sampled_from([None, "me", "you"])
message_ids = st.sampled_from(["m1", "m2"])
tags = st.dictionaries(st.sampled_from(["shop", "urgent"]), st.sampled_from(["eu", "us"]), max_size=2)
statuses = st.sampled_from(list(RunStatus))
times = st.integers(0, 5).map(lambda minutes: NOW + 60 * minutes)
wakes = st.none() | times | st.just(math.inf)
summaries = st.none() | st.builds(
    Summary, status=statuses, fingerprint=st.sampled_from(["f1", "f2"]), wake_at=wakes,
    slept_at=st.none() | times,
)  # fmt: skip
signals = st.sampled_from(["cancel", "child"])
messages = st.builds(Message, run_id=run_ids, id=message_ids, signal=signals)

creations = st.builds(
    creation,
    run_ids,
    tags=tags,
    owner=owners,
    status=statuses,
    created_at=times,
    wake_at=wakes,
    slept_at=st.none() | times,
    workflow=st.sampled_from(["Orders", "Refunds"]),
    definition=st.sampled_from([None, lambda: "{}"]),
)


@st.composite
def continuations(draw: st.DrawFn) -> Append:
    """An append whose `expected` is right now and then."""
    expected = draw(st.integers(0, 3))
    events: list[Event] = [
        received(seq, draw(message_ids)) if draw(st.booleans()) else started(seq)
        for seq in range(expected + 1, expected + 1 + draw(st.integers(0, 2)))
    ]
    definition = draw(st.sampled_from([None, None, lambda: "{}"]))
    return Append(
        run_id=draw(run_ids), expected=expected, events=events, summary=draw(summaries), definition=definition,
        owner=draw(st.none() | owners), releases=draw(st.booleans()), messages=draw(st.lists(messages, max_size=2)),
    )  # fmt: skip


queries = st.builds(
    RunQuery,
    workflow=st.sampled_from([None, "Orders", "Refunds"]),
    statuses=st.none() | st.lists(statuses, max_size=3),
    tags=tags,
    since=st.none() | times,
    until=st.none() | times,
    id_prefix=st.sampled_from([None, "", "A", "A1", "n"]),
    owners=st.none() | st.lists(owners, max_size=2),
    asked=st.none() | st.lists(signals, max_size=2),
    is_asleep=st.sampled_from([None, None, True, False]),
    due_by=st.none() | times,
    has_mail=st.sampled_from([None, None, True, False]),
    before=st.none() | st.integers(0, 6),
    limit=st.none() | st.integers(0, 4),
)
workflows = st.lists(st.sampled_from(["Orders", "Refunds"]), max_size=2)
wishes = st.builds(
    Wanted, awake=workflows, asleep=workflows, due_by=times, gone=st.lists(owners, max_size=1),
    but=st.lists(run_ids, max_size=1), limit=st.integers(0, 4),
)  # fmt: skip
names = st.sampled_from(["nightly", "n@ght", "Ünightly"])
calls = st.one_of(
    st.tuples(st.just("append"), st.lists(creations | continuations(), max_size=4)),
    st.tuples(st.just("claim"), run_ids, owners, owners),
    st.tuples(st.just("send"), messages),
    st.tuples(st.just("next_wake"), times),
    st.tuples(st.just("census"), times),
    st.tuples(st.just("take"), st.sampled_from(["me", "you"]), wishes),
    st.tuples(st.just("delete"), st.lists(run_ids, max_size=2)),
    st.tuples(st.just("runs"), queries),
    st.tuples(st.just("put_schedule"), st.builds(schedule, names, revision=st.integers(0, 4), next_at=times)),
    st.tuples(st.just("delete_schedule"), names),
    st.tuples(st.just("schedules"), st.none() | names),
    st.tuples(st.just("publish"), st.dictionaries(names, st.sampled_from(["{}", '{"a":1}']), max_size=2)),
    st.tuples(st.just("published"), names),
)


async def answer(store: Store, call: tuple[object, ...]) -> object:
    """What the store says to a call: values as they are, errors by class and arguments."""
    name, *arguments = call
    try:
        if name == "claim":
            run_id, owner, previous = arguments
            return await store.claim(run_id, owner, previous=previous)  # type: ignore[arg-type]
        value = await getattr(store, str(name))(*arguments)
    except OrchwfError as error:
        return type(error)
    return [type(outcome) for outcome in value] if name == "append" else value


async def everything(store: Store) -> list[object]:
    """All that can be read from a store."""
    runs = await store.runs(RunQuery())
    logs = [await store.read(run.id) for run in runs]
    inboxes = [await store.inbox(owner) for owner in ("me", "you")]
    definitions = [await store.definition("f1"), await store.definition("f2")]
    return [runs, logs, inboxes, definitions, await store.schedules(), await store.published_names()]


@settings(max_examples=100, deadline=None)
@given(st.lists(calls, min_size=1, max_size=25))
def test_the_stores_answer_alike(history: list[tuple[object, ...]]):
    """After every call the two stores have said the same and hold the same."""

    async def compare() -> None:
        with tempfile.TemporaryDirectory() as folder:
            await alike(await open_sqlite(Path(folder) / "x.db", durability="process"), history)

    asyncio.run(compare())


@settings(max_examples=60, deadline=None)
@given(st.lists(calls, min_size=1, max_size=25))
def test_postgresql_answers_alike(postgres_emptied: Emptied, history: list[tuple[object, ...]]):
    """As the store in memory does, after every call."""

    async def compare() -> None:
        await alike(await open_postgres(postgres_emptied.empty()), history)

    asyncio.run(compare())


async def alike(store: Store, history: list[tuple[object, ...]]) -> None:
    """See that a store says and holds the same as one in memory after each call."""
    memory = MemoryStore()
    try:
        for call in history:
            assert await answer(memory, call) == await answer(store, call)
            assert await everything(memory) == await everything(store)
    finally:
        await store.close()
