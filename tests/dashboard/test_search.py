"""The language in which runs are looked for."""

import attrs
import pytest

import orchwf
from orchwf import Orchestrator, RunStatus
from orchwf.dashboard.search import MOST_READ, find_runs, parse_search
from orchwf.ports import RunQuery
from orchwf.stores.memory import MemoryStore
from tests.dashboard.browsers import Sales

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("text", "query", "words"),
    [
        ("", RunQuery(), ()),
        ("status:failed", RunQuery(statuses=[RunStatus.FAILED]), ()),
        ("STATUS:Failed,paused", RunQuery(statuses=[RunStatus.FAILED, RunStatus.PAUSED]), ()),
        ("workflow:Sales since:2d", RunQuery(workflow="Sales", since=NOW - 172_800), ()),
        ('workflow:"Daily sales" Amount', RunQuery(workflow="Daily sales"), ("Amount",)),
        ("tag:shop=eu tag:nightly", RunQuery(tags={"shop": "eu", "nightly": ""}), ()),
        ("id:7f3a until:1970-01-02T00:00:00+00:00", RunQuery(id_prefix="7f3a", until=86_400.0), ()),
        ('"two words" other', RunQuery(), ("two words", "other")),
    ],
)
def test_what_is_meant(text: str, query: RunQuery, words: tuple[str, ...]):
    """Filters become a query of the store; everything else is a word."""
    search = parse_search(text, NOW)

    assert (search.query, search.words, search.problems) == (query, words, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("status:broken", "status:broken cannot be: it takes one or several of scheduled"),
        ("stauts:failed", "there is no filter 'stauts'. Did you mean 'status'?"),
        ("since:yesterday", "since:yesterday cannot be: it takes how long ago (30m, 12h, 2d)"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, problem: str):
    """What is wrong is told with the way out, and the rest still counts."""
    search = parse_search(f"{text} workflow:Sales", NOW)

    assert search.query == RunQuery(workflow="Sales")
    assert len(search.problems) == 1
    assert search.problems[0].startswith(problem)


async def test_words_are_looked_for_in_all_that_is_shown():
    """A word may stand in the id, the workflow, a tag or the error of a run; all of them must stand somewhere."""
    store = await orchwf.open_store("memory:")
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        run = await orchestrator.start(Sales(day="sunday"), "A1", tags={"shop": "eu"})
        await run.wait()
        await (await orchestrator.start(Sales(), "B2")).wait()

    texts = ["a1", "SALES", "shop=eu", "closed", "closed eu", "closed us", "id:A closed", "id:B closed"]
    found = [len((await find_runs(store, parse_search(each, NOW), before=None, limit=5)).runs) for each in texts]

    assert found == [1, 2, 1, 1, 1, 0, 1, 0]
    await store.close()


class _Counted(MemoryStore):
    """Many runs that are all alike, made as they are asked for."""

    async def runs(self, query: RunQuery) -> list[orchwf.RunRecord]:
        if query.id_prefix is not None:
            return [attrs.evolve(await self.one(), id=query.id_prefix, number=1)] if query.id_prefix == "run 1" else []
        first = 9_000 if query.before is None else query.before - 1
        record = await self.one()
        numbers = range(first, max(0, first - (query.limit or 0)), -1)
        return [attrs.evolve(record, id=f"run {number}", number=number) for number in numbers]

    async def one(self) -> orchwf.RunRecord:
        """One of them."""
        return orchwf.RunRecord(
            id="A", workflow="W", version="1", fingerprint="", entrypoint="", status=RunStatus.COMPLETED, metadata={},
            tags={}, created_at=NOW,
        )  # fmt: skip


async def test_an_id_is_found_however_old():
    """A word with which an id begins finds that run, though it is not among the newest."""
    found = await find_runs(_Counted(), parse_search('"run 1"', NOW), before=None, limit=5_000)

    assert [record.id for record in found.runs] == ["run 1"]


async def test_a_word_that_stands_nowhere_does_not_read_everything():
    """After so many runs the rest is left to the next page, which goes on where this one ended."""
    store, search = _Counted(), parse_search("nowhere", NOW)

    first = await find_runs(store, search, before=None, limit=50)
    second = await find_runs(store, search, before=first.cursor, limit=50)

    assert (first.runs, first.cursor, first.is_partial) == ((), 9_001 - MOST_READ, True)
    assert second.cursor == 9_001 - 2 * MOST_READ


async def test_pages_by_key():
    """A page begins behind the last run of the one before, whatever was begun meanwhile."""
    store = _Counted()

    first = await find_runs(store, parse_search("run", NOW), before=None, limit=50)
    second = await find_runs(store, parse_search("", NOW), before=first.cursor, limit=50)

    assert [first.runs[-1].number, second.runs[0].number] == [8_951, 8_950]
