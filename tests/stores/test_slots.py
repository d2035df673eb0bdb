"""The places within limits: every store gives out as many as there are, and no more."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchwf.core.limits import Limit, Rate
from orchwf.core.slots import Occupancy, Refusal, Slot, SlotRequest, Waiting
from orchwf.ports import Store
from orchwf.stores import MemoryStore, open_store
from orchwf.stores.sqlite import SQLiteStore, open_sqlite
from tests.postgres import Emptied

ONE, TWO = Limit(name="one", concurrency=1), Limit(name="two", concurrency=2)
PACED = Limit(name="paced", rate=Rate(3, 60.0))


class Time:
    """The clock of a store, in seconds; `followed` is told of each change."""

    def __init__(self, followed: Callable[[float], object] = lambda _: None) -> None:
        self.followed = followed
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "seconds":
            self.followed(value)


@contextmanager
def postgres(emptied: Emptied, time: Time) -> Iterator[str]:
    """The URL of a store whose clock this is."""
    url = emptied.empty()
    # So that there is a function to be replaced.
    asyncio.run(made(url))
    change = "CREATE OR REPLACE FUNCTION {}.lease_clock() RETURNS double precision LANGUAGE sql VOLATILE AS '{}'"
    own = "SELECT extract(epoch FROM clock_timestamp())::double precision"

    def follow(seconds: float) -> None:
        emptied.execute(change.format(emptied.schema, f"SELECT {seconds}::double precision"))

    time.followed = follow
    follow(time.seconds)
    yield url
    time.followed = lambda _: None
    emptied.execute(change.format(emptied.schema, own))


async def made(url: str) -> None:
    await (await open_store(url)).close()


async def sqlite(path: Path, time: Time) -> SQLiteStore:
    store = await open_sqlite(path, durability="process")
    await store._connection.call(lambda db: db.create_function("lease_clock", 0, time))
    return store


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, time: Time) -> Iterator[str]:
    """The kind of a store, or its URL."""
    if request.param != "postgres":
        yield request.param
        return
    with postgres(request.getfixturevalue("postgres_emptied"), time) as url:
        yield url


@pytest.fixture
async def store(url: str, tmp_path: Path, time: Time) -> AsyncIterator[Store]:
    """An open store, in which the owners `me` and `you` have a lease of a minute."""
    match url:
        case "memory":
            made: Store = MemoryStore(time)
        case "sqlite":
            made = await sqlite(tmp_path / "a.db", time)
        case _:
            made = await open_store(url)
    await made.renew("me", 60)
    await made.renew("you", 60)
    yield made
    await made.close()


def ask(step: str, *limits: Limit, run: str = "A1", attempt: int = 1, compensates: bool = False) -> SlotRequest:
    return SlotRequest(limits=limits, run_id=run, step=step, attempt=attempt, compensates=compensates)


async def test_as_many_are_taken_as_there_are(store: Store):
    """The others are told who has them."""
    answers = await store.take_slots("me", [ask("a", TWO), ask("b", TWO), ask("c", TWO)])

    assert [None, None, Refusal(limit="two", owners=("me",))] == answers
    assert [Refusal(limit="two", owners=("me",))] == await store.take_slots("you", [ask("d", TWO)])


async def test_what_is_given_back_can_be_taken(store: Store):
    """Also in the same call."""
    await store.take_slots("me", [ask("a", ONE)])

    assert [None] == await store.take_slots("me", [ask("b", ONE)], frees=ask("a", ONE).slots())
    assert [] == await store.take_slots("me", [], frees=ask("b", ONE).slots())
    assert [None] == await store.take_slots("you", [ask("c", ONE)])


async def test_nobody_gives_back_what_is_another_owners(store: Store):
    """Who lost a run may still tell the end of an attempt of it."""
    await store.take_slots("me", [ask("a", ONE)])

    answers = await store.take_slots("you", [ask("a", ONE)], frees=ask("a", ONE).slots())

    assert [Refusal(limit="one", owners=("me",))] == answers


async def test_all_limits_or_none(store: Store):
    """Who lacks one place holds no other meanwhile, and uses up no rate."""
    both = ask("b", ONE, PACED, TWO)
    await store.take_slots("you", [ask("a", TWO, run="R1"), ask("b", TWO, run="R1")])

    assert [Refusal(limit="two", owners=("you",))] * 4 == await store.take_slots("me", [both] * 4)
    assert [None] * 3 == await store.take_slots("me", [ask(f"p{n}", PACED) for n in range(3)])
    assert [None] == await store.take_slots("you", [ask("c", ONE)])


async def test_the_limits_of_a_key_are_its_own(store: Store):
    """Names tell limits apart."""
    limits = [Limit(name=f"queue {key}", concurrency=1) for key in ("x", "y")]

    assert [None, None] == await store.take_slots("me", [ask(limit.name, limit) for limit in limits])


async def test_undoing_a_step_is_another_attempt(store: Store):
    """It holds a place of its own."""
    doing, undoing = ask("a", TWO), ask("a", TWO, compensates=True)
    await store.take_slots("me", [doing, undoing])

    assert [Refusal(limit="two", owners=("me",))] == await store.take_slots("me", [ask("b", TWO)])
    assert [None] == await store.take_slots("me", [ask("b", TWO)], frees=doing.slots())
    assert [Refusal(limit="two", owners=("me",))] == await store.take_slots("me", [ask("c", TWO)])


async def test_the_slots_of_the_dead_are_free_when_their_lease_has_run_out(store: Store, time: Time):
    """Not before."""
    await store.take_slots("me", [ask("a", ONE)])

    time.seconds += 59
    await store.renew("you", 60)
    assert [Refusal(limit="one", owners=("me",))] == await store.take_slots("you", [ask("b", ONE)])
    time.seconds += 2
    assert [None] == await store.take_slots("you", [ask("b", ONE)])


async def test_who_gives_up_its_lease_holds_nothing(store: Store):
    """So whoever knows that an owner is dead can say so."""
    await store.take_slots("me", [ask("a", ONE)])

    await store.renew("me", 0)

    assert [None] == await store.take_slots("you", [ask("b", ONE)])


async def test_who_lets_go_of_all_holds_nothing(store: Store):
    """Not even with a new lease."""
    await store.take_slots("me", [ask("a", ONE), ask("b", TWO)])
    await store.take_slots("you", [ask("c", TWO)])

    await store.release("me")
    await store.renew("me", 60)

    assert [None, None] == await store.take_slots("me", [ask("a", ONE), ask("b", TWO)])
    assert [Refusal(limit="two", owners=("me", "you"))] == await store.take_slots("me", [ask("d", TWO)])


async def test_a_new_owner_waits_for_the_one_before(store: Store, time: Time):
    """Of the same attempt of the same run: the body of the one before may still run."""
    await store.take_slots("me", [ask("a", ONE)])

    assert [Refusal(limit="one", owners=("me",))] == await store.take_slots("you", [ask("a", ONE, attempt=2)])


async def test_a_rate_gives_a_burst_and_then_one_at_a_time(store: Store, time: Time):
    """Three a minute: three at once, and the next one after 20 seconds."""
    requests = [ask(f"s{n}", PACED) for n in range(4)]

    assert [None, None, None, Refusal(limit="paced", wait=20.0)] == await store.take_slots("me", requests)
    time.seconds += 15
    assert [Refusal(limit="paced", wait=5.0)] == await store.take_slots("you", [ask("t", PACED)])
    time.seconds += 5
    assert [None, Refusal(limit="paced", wait=20.0)] == await store.take_slots(
        "you", [ask("t", PACED), ask("u", PACED)]
    )


async def test_what_a_rate_does_not_give_is_not_saved_up(store: Store, time: Time):
    """After an hour of rest three may begin at once, not 180."""
    await store.take_slots("me", [ask("a", PACED)])
    time.seconds += 3_600
    await store.renew("me", 60)

    answers = await store.take_slots("me", [ask(f"s{n}", PACED) for n in range(4)])

    assert [None, None, None, Refusal(limit="paced", wait=20.0)] == answers


async def test_a_rate_can_go_by_another_clock(store: Store):
    """That of a test, say."""
    full = [ask(f"s{n}", PACED) for n in range(3)]

    assert [None] * 3 == await store.take_slots("me", full, now=5_000.0)
    assert [Refusal(limit="paced", wait=20.0)] == await store.take_slots("me", full[:1], now=5_000.0)
    assert [None] == await store.take_slots("me", full[:1], now=5_020.0)


async def test_a_clock_that_begins_anew_lets_nobody_wait_for_it(store: Store, time: Time):
    """After a reboot the burst is used up, and the rate goes on."""
    await store.take_slots("me", [ask(f"s{n}", PACED) for n in range(3)])
    time.seconds = 1.0
    await store.renew("me", 60)

    assert [Refusal(limit="paced", wait=20.0)] == await store.take_slots("me", [ask("a", PACED)])
    time.seconds = 21.0
    assert [None] == await store.take_slots("me", [ask("a", PACED)])


async def asks_each_second(store: Store, time: Time, seconds: int) -> None:
    """As an orchestrator does that waits for what another one has."""
    for _ in range(seconds):
        assert [Refusal(limit="one", owners=("me",))] == await store.take_slots("you", [ask("b", ONE)])
        time.seconds += 1


async def test_who_waits_too_long_is_left_a_place(store: Store, time: Time):
    """Though the other one gives its place back and takes it again in one call."""
    mine, yours = ask("a", ONE), ask("b", ONE)
    await store.take_slots("me", [mine])
    await asks_each_second(store, time, 4)
    assert [None] == await store.take_slots("me", [mine], frees=mine.slots())
    await asks_each_second(store, time, 1)

    assert [Refusal(limit="one", owners=("you",))] == await store.take_slots("me", [mine], frees=mine.slots())
    assert [None] == await store.take_slots("you", [yours])
    # Now it is the other way round.
    assert [Refusal(limit="one", owners=("you",))] == await store.take_slots("me", [mine])
    time.seconds += 3
    assert [Refusal(limit="one", owners=("you",))] == await store.take_slots("me", [mine])
    time.seconds += 3
    assert [Refusal(limit="one", owners=("me",))] == await store.take_slots("you", [yours], frees=yours.slots())
    assert [None] == await store.take_slots("me", [mine])


async def test_no_place_is_left_for_who_does_not_ask_any_more(store: Store, time: Time):
    """Its run may have been cancelled, or it waits for something else by now, or is dead."""
    mine = ask("a", ONE)
    for how in ("is silent", "lacks another", "dies"):
        await store.take_slots("me", [mine])
        await asks_each_second(store, time, 5)
        if how == "is silent":
            time.seconds += 5
        elif how == "dies":
            await store.renew("you", 0)
        else:
            await store.take_slots("x", [])
            await store.renew("x", 60)
            await store.take_slots("x", [ask("x", TWO), ask("y", TWO)])
            await store.take_slots("me", [], frees=mine.slots())
            assert [Refusal(limit="two", owners=("x",))] == await store.take_slots("you", [ask("b", ONE, TWO)])

        assert [None] == await store.take_slots("me", [mine], frees=mine.slots()), how
        await store.take_slots("me", [], frees=mine.slots())


async def test_others_go_on_beside_the_place_that_is_left(store: Store, time: Time):
    """Of two places one is left, and the other one is not."""
    first, second = ask("a", TWO), ask("b", TWO)
    await store.take_slots("me", [first, second])
    for _ in range(6):
        await store.take_slots("you", [ask("c", TWO)])
        time.seconds += 1

    answers = await store.take_slots("me", [first, second], frees=[*first.slots(), *second.slots()])

    assert [None, Refusal(limit="two", owners=("me", "you"))] == answers
    assert [None] == await store.take_slots("you", [ask("c", TWO)])


async def test_facts_count_the_slots(store: Store, time: Time):
    """Those of the living."""
    await store.take_slots("me", [ask("a", TWO), ask("b", ONE)])
    await store.take_slots("you", [ask("c", TWO)])

    assert "3" == (await store.facts())["slots"]
    await store.renew("me", 0)
    assert "1" == (await store.facts())["slots"]


async def test_who_holds_and_who_waits(store: Store, time: Time):
    """Of the living, by limit: which attempt since when, and who waits for how long."""
    await store.take_slots("me", [ask("a", ONE, attempt=3), ask("b", TWO, compensates=True)])
    await store.take_slots("you", [ask("c", ONE), ask("d", TWO, run="A2")])
    time.seconds += 2.0
    await store.renew("me", 10)
    await store.renew("you", 10)

    all_of_it = await store.occupancy()
    held = [(each.slot, each.owner) for each in all_of_it.holdings]

    assert held == [
        (Slot(limit="one", run_id="A1", step="a", attempt=3), "me"),
        (Slot(limit="two", run_id="A1", step="b", attempt=1, compensates=True), "me"),
        (Slot(limit="two", run_id="A2", step="d", attempt=1), "you"),
    ]
    assert all(each.taken_at > 1e9 for each in all_of_it.holdings)
    assert all_of_it.waiting == (Waiting(limit="one", owner="you", seconds=2.0),)
    assert [each.slot.step for each in (await store.occupancy("t")).holdings] == ["b", "d"]
    assert [each.slot.step for each in (await store.occupancy("", 1)).holdings] == ["a"]
    assert await store.occupancy("three") == Occupancy()


async def test_the_dead_hold_nothing_and_do_not_wait(store: Store, time: Time):
    """Whose lease has run out, is not told of; nor who has given up waiting."""
    await store.take_slots("me", [ask("a", ONE)])
    await store.take_slots("you", [ask("c", ONE)])
    time.seconds += 6.0
    await store.renew("me", 1_000)
    patient = await store.occupancy()
    time.seconds += 2_000.0

    assert [each.owner for each in patient.holdings] == ["me"]
    assert patient.waiting == ()
    assert await store.occupancy() == Occupancy()


async def test_odd_names(store: Store):
    """Limits, runs and steps are called as their authors like."""
    odd = Limit(name="naïve – 注文 🛒 'x'; --", concurrency=1)
    request = ask("a\nb", odd, run="naïve'")

    assert [None] == await store.take_slots("me", [request])
    assert [Refusal(limit=odd.name, owners=("me",))] == await store.take_slots("you", [request])
    assert [] == await store.take_slots("me", [], frees=request.slots())
    assert [None] == await store.take_slots("you", [request])
    assert [(each.slot, each.owner) for each in (await store.occupancy()).holdings] == [(request.slots()[0], "you")]


async def test_what_the_dead_left_does_not_stay(tmp_path: Path, time: Time):
    """Whoever comes next cleans up: limits may have names that never come again."""
    store = await sqlite(tmp_path / "a.db", time)
    await store.renew("me", 60)
    await store.take_slots("me", [ask("a", ONE), ask("b", PACED), ask("c", ONE)])
    time.seconds += 100

    await store.renew("you", 60)
    left = await store._connection.call(
        lambda db: [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("slots", "rates", "turns")]
    )
    await store.close()

    assert [0, 0, 0] == left


owners = st.sampled_from(["me", "you"])
limits = st.sampled_from([ONE, TWO, PACED, Limit(name="both", concurrency=2, rate=Rate(2, 10.0))])
requests = st.builds(
    ask, st.sampled_from(["a", "b", "c"]), limits, limits, run=st.sampled_from(["A1", "B1"]), compensates=st.booleans()
).filter(lambda request: len({limit.name for limit in request.limits}) == 2)
calls = st.one_of(
    st.tuples(st.just("take"), owners, st.lists(requests, max_size=4), st.lists(requests, max_size=2)),
    st.tuples(st.just("renew"), owners, st.sampled_from([0, 5, 60])),
    st.tuples(st.just("release"), owners),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 3.5, 7.0, 20.0])),
)


LATE: list[tuple[object, ...]] = [
    ("take", "you", [ask("a", ONE, TWO)], []),
    ("take", "me", [ask("a", TWO, PACED), ask("b", TWO, PACED), ask("c", TWO, ONE)], []),
    ("renew", "you", 5),
]
"""Somebody's lease had run out, and it is renewed after others have looked at one of the limits only."""


@settings(max_examples=80, deadline=None)
@example(LATE)
@given(st.lists(calls, min_size=1, max_size=25))
def test_the_stores_answer_alike(history: list[tuple[object, ...]]):
    """Whatever is asked of them, in whatever order."""

    async def compare() -> None:
        time = Time()
        with tempfile.TemporaryDirectory() as folder:
            await alike(MemoryStore(time), await sqlite(Path(folder) / "x.db", time), history, time)

    asyncio.run(compare())


@settings(max_examples=20, deadline=None)
@example(LATE)
@given(st.lists(calls, min_size=1, max_size=25))
def test_postgresql_answers_alike(postgres_emptied: Emptied, history: list[tuple[object, ...]]):
    """Whatever is asked of it, in whatever order."""
    time = Time()

    async def compare(url: str) -> None:
        await alike(MemoryStore(time), await open_store(url), history, time)

    with postgres(postgres_emptied, time) as url:
        asyncio.run(compare(url))


async def alike(one: Store, other: Store, history: list[tuple[object, ...]], time: Time) -> None:
    """See that both say the same after each call."""
    try:
        for call in history:
            first, second = [await answer(store, call, time) for store in (one, other)]
            assert first == second
            counts = [(await store.facts())["slots"] for store in (one, other)]
            assert counts[0] == counts[1]
    finally:
        await other.close()


async def answer(store: Store, call: tuple[object, ...], time: Time) -> object:
    match call:
        case ("take", str() as owner, list() as asked, list() as back):
            frees: list[Slot] = [slot for request in back for slot in request.slots()]
            return await store.take_slots(owner, asked, frees=frees)
        case ("renew", str() as owner, int() as lease):
            return await store.renew(owner, lease)
        case ("release", str() as owner):
            await store.release(owner)
        case ("wait", float() as seconds):
            # Once for both.
            time.seconds += seconds / 2
    return None
