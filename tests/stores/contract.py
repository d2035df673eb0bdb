"""What every store must do: the tests of a store are a subclass with a fixture `store`."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.census import Census, Place
from orchwf.core.events import EVENT_TYPES
from orchwf.core.limits import Limit
from orchwf.core.schedules import Phase
from orchwf.core.slots import SlotRequest
from orchwf.core.state import RunStatus
from orchwf.errors import ConflictError, RunEndedError, RunExistsError, RunNotFoundError, StoreError
from orchwf.ports import Append, Hint, HintKind, Message, RunQuery, Store, Summary, Wanted

from .samples import ALL_KINDS, NOW, completed, creation, ended, more, received, record, schedule, started, written

ENDS = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)
ODD_TEXTS = ["naïve – 注文 🛒", 'it\'s "quoted"; DROP TABLE runs;--', "two\nlines\t\\", "%_*?[a]", " ", "x" * 5_000]


class Ears:
    """Listens to a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hints: asyncio.Queue[Hint] = asyncio.Queue()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Listen in this block."""
        listening = asyncio.create_task(self._store.listen(self._hints.put_nowait))
        try:
            assert Hint(HintKind.BEGUN) == await self._hints.get()
            yield self
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def next(self) -> Hint:
        """The next hint."""
        return await self._hints.get()

    async def heard(self) -> list[Hint]:
        """What was told since the last time."""
        # What is told comes in order: so nothing is missed that comes before this.
        await self._store.put_schedule(schedule(f"mark {secrets.token_hex(4)}"))
        hints = []
        while (hint := await self.next()) != Hint(HintKind.SCHEDULE):
            hints.append(hint)
        return hints


async def owners(store: Store) -> dict[str, str | None]:
    """Run -> who owns it."""
    return {run.id: run.owner for run in await store.runs(RunQuery())}


async def taken_ids(store: Store, wanted: Wanted) -> list[str]:
    """The runs that `me` gets of those that it wants."""
    return [run.id for run in (await store.take("me", wanted)).runs]


class StoreContract:
    """The fixture `store` of a subclass gives an open, empty store."""

    # Appending and reading

    async def test_every_kind_of_event_comes_back_equal(self, store: Store):
        """What is read is what was appended, in order, whatever its kind."""
        assert set(EVENT_TYPES) == {event.kind for event in ALL_KINDS}

        await written(store, creation("A1", *ALL_KINDS))

        assert list(ALL_KINDS) == await store.read("A1")

    async def test_the_log_goes_on_from_what_is_expected(self, store: Store):
        """An append that expects the end of the log is written after it."""
        await written(store, creation("A1", started(1)))

        await written(store, Append(run_id="A1", expected=1, events=[completed(2)]))

        assert [started(1), completed(2)] == await store.read("A1")

    @pytest.mark.parametrize("expected", [0, 1, 3])
    async def test_an_append_that_expects_another_end_is_a_conflict(self, store: Store, expected: int):
        """Whoever is behind, or ahead, of the log writes nothing."""
        await written(store, creation("A1", started(1, "a"), started(2, "b")))

        summary = Summary(status=RunStatus.FAILED, fingerprint="f2")
        stale = Append(run_id="A1", expected=expected, events=[completed(expected + 1)], summary=summary)
        [outcome] = await store.append([stale])

        assert isinstance(outcome, ConflictError)
        assert ("A1", expected) == (outcome.run_id, outcome.expected)
        assert [started(1, "a"), started(2, "b")] == await store.read("A1")
        assert record(number=1) == await store.get("A1")

    async def test_a_run_that_exists_is_not_created_again(self, store: Store):
        """The second creation has no effect, in its own batch or in the same one."""
        await written(store, creation("A1", started(1)))

        outcomes = await store.append([creation("A1", workflow="Other"), creation("B1"), creation("B1")])

        assert [RunExistsError, type(None), RunExistsError] == [type(outcome) for outcome in outcomes]
        assert record(number=1) == await store.get("A1")
        assert [started(1)] == await store.read("A1")

    async def test_an_append_to_an_unknown_run_is_refused(self, store: Store):
        """There is no log without its run."""
        [outcome] = await store.append([more("nobody", started(1))])

        assert isinstance(outcome, RunNotFoundError)
        assert "'nobody'" in str(outcome)
        assert store.url in str(outcome)
        assert [] == await store.read("nobody")

    async def test_one_conflict_leaves_the_others_written(self, store: Store):
        """Each append of a batch has its own outcome."""
        await written(store, *(creation(f"R{number}", started(1)) for number in range(5)))

        outcomes = await store.append(
            [Append(run_id=f"R{number}", expected=0 if number == 2 else 1, events=[completed(1 + (number != 2))])
             for number in range(5)]
        )  # fmt: skip

        assert [None, None, ConflictError("R2", 0).args, None, None] == [each and each.args for each in outcomes]
        assert [2, 2, 1, 2, 2] == [len(await store.read(f"R{number}")) for number in range(5)]

    async def test_appends_of_one_batch_see_each_other(self, store: Store):
        """Two appends to one run in one batch follow each other, and the fence holds between them."""
        batch = [creation("A1", started(1)), more("A1", completed(2)), more("A1", completed(2)), more("A1", started(3))]

        outcomes = await store.append(batch)

        assert [type(None), type(None), ConflictError, type(None)] == [type(outcome) for outcome in outcomes]
        assert [started(1), completed(2), started(3)] == await store.read("A1")

    async def test_events_with_a_gap_in_their_numbers_are_refused(self, store: Store):
        """A log has no gaps."""
        await written(store, creation("A1", started(1)))

        [outcome] = await store.append([Append(run_id="A1", expected=1, events=[completed(2), started(4)])])

        assert isinstance(outcome, StoreError)
        assert "without gaps" in str(outcome)
        assert [started(1)] == await store.read("A1")

    async def test_nothing_to_append_is_harmless(self, store: Store):
        """No appends, and an append without events, are written as such."""
        await written(store, creation("A1"))

        assert [] == await store.append([])
        assert [None] == await store.append([Append(run_id="A1", expected=0, events=[])])
        assert [] == await store.read("A1")

    async def test_ten_thousand_events_in_one_append(self, store: Store):
        """The size of an append has no limit that one would meet."""
        log = [started(seq, f"step {seq}") for seq in range(1, 10_001)]

        await written(store, creation("A1", *log))

        assert log == await store.read("A1")

    async def test_reading_a_part_of_the_log(self, store: Store):
        """`after` is exclusive and `limit` the most that comes."""
        log = [started(seq) for seq in range(1, 11)]
        await written(store, creation("A1", *log))

        assert log[3:] == await store.read("A1", after=3)
        assert log[3:5] == await store.read("A1", after=3, limit=2)
        assert log[8:] == await store.read("A1", after=8, limit=100)
        assert [] == await store.read("A1", after=10)
        assert [] == await store.read("A1", limit=0)

    async def test_a_log_of_large_outputs_is_read_in_pieces(self, store: Store):
        """A call gives fewer than there are, if they are large, but one at least; after the last one it gives none."""
        log: list[ev.Event] = [
            ev.StepCompleted(seq=seq, at=1.0, step="large", attempt=1, output="1" * 1_000_000) for seq in range(1, 121)
        ]
        await written(store, creation("A1", *log))

        found: list[ev.Event] = []
        while page := await store.read("A1", after=len(found)):
            found += page

        assert log == found

    async def test_concurrent_appends_to_many_runs_are_all_written(self, store: Store):
        """Tasks need not know of each other."""

        async def live(run_id: str) -> None:
            await written(store, creation(run_id))
            for seq in range(1, 11):
                await written(store, more(run_id, started(seq)))

        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                tasks.create_task(live(f"R{number}"))

        assert [10] * 20 == [len(await store.read(f"R{number}")) for number in range(20)]

    async def test_of_concurrent_appends_to_one_place_one_is_written(self, store: Store):
        """The fence lets one through, however many come at once."""
        await written(store, creation("A1"))

        outcomes = await asyncio.gather(*(store.append([more("A1", started(1, f"s{n}"))]) for n in range(10)))

        flat = [outcome for [outcome] in outcomes]
        assert 1 == flat.count(None)
        assert 9 == sum(isinstance(outcome, ConflictError) for outcome in flat)
        assert 1 == len(await store.read("A1"))

    @pytest.mark.parametrize("text", ODD_TEXTS)
    async def test_any_text_may_be_a_name(self, store: Store, text: str):
        """Ids, names, tags, metadata and payloads come back as they were."""
        changes: dict[str, Any] = {
            "workflow": text,
            "tags": {text: text},
            "metadata": {text: [text]},
            "error": text,
            "owner": text,
        }
        await written(store, creation(text, started(1, text), completed(2, text, output=text), **changes))
        await store.send(Message(run_id=text, id=text, signal=text, payload=text))

        assert [started(1, text), completed(2, text, output=text)] == await store.read(text)
        assert record(text, number=1, **changes) == await store.get(text)
        assert [text] == [run.id for run in await store.runs(RunQuery(tags={text: text}, workflow=text))]
        assert [text] == [run.id for run in await store.runs(RunQuery(id_prefix=text))]
        assert [Message(run_id=text, id=text, signal=text, payload=text)] == await store.inbox(text)
        assert 1 == await store.delete([text])

    # Summaries

    async def test_a_run_comes_back_with_its_summary(self, store: Store):
        """Metadata is JSON, and `number` is the only thing that the store adds."""
        labels: dict[str, Any] = {
            "metadata": {"trace_id": "t", "nested": {"list": [1, 2.5, None, True]}},
            "tags": {"shop": "eu"},
        }

        await written(store, creation("A1", version="2", owner="me", **labels))

        assert record("A1", version="2", owner="me", number=1, **labels) == await store.get("A1")
        assert await store.get("A2") is None

    async def test_a_summary_is_written_with_the_events(self, store: Store):
        """Status, fingerprint, end and error change; the rest stays."""
        await written(store, creation("A1", started(1), tags={"shop": "eu"}))

        end = Summary(status=RunStatus.FAILED, fingerprint="f2", ended_at=NOW + 9, error="CardError: declined")
        await written(store, more("A1", completed(2), summary=end))

        expected = record(
            status=RunStatus.FAILED, fingerprint="f2", ended_at=NOW + 9, error="CardError: declined",
            tags={"shop": "eu"}, number=1,
        )  # fmt: skip
        assert expected == await store.get("A1")

    async def test_what_is_given_is_copied(self, store: Store):
        """Nobody changes what is stored by changing what he gave, or got."""
        tags = {"shop": "eu"}
        await written(store, creation("A1", tags=tags, metadata={"list": [1]}))

        tags["shop"] = "us"
        got = await store.get("A1")
        assert got is not None
        assert isinstance(got.metadata, dict)
        got.metadata["list"] = None

        assert record("A1", tags={"shop": "eu"}, metadata={"list": [1]}, number=1) == await store.get("A1")

    @pytest.mark.parametrize("value", [object(), float("nan"), "\ud800", {1, 2}])
    async def test_metadata_that_is_not_json_is_refused(self, store: Store, value: object):
        """It is said which run and why, and the other appends are written."""
        outcomes = await store.append([creation("A1", started(1), metadata={"x": value}), creation("B1")])

        assert isinstance(outcomes[0], StoreError)
        assert "metadata of run 'A1'" in str(outcomes[0])
        assert outcomes[1] is None
        assert ["B1"] == [run.id for run in await store.runs(RunQuery())]
        assert [] == await store.read("A1")

    async def test_numbers_grow_with_creation_and_are_not_given_twice(self, store: Store):
        """The number of a deleted run stays unused, so that a cursor does not skip."""
        await written(store, creation("A1"), creation("A2"))
        await store.delete(["A2"])

        await written(store, creation("A3"))

        assert [("A3", 3), ("A1", 1)] == [(run.id, run.number) for run in await store.runs(RunQuery())]

    # Definitions

    async def test_a_definition_is_kept_once_for_all_its_runs(self, store: Store):
        """It goes with the last run that was started or resumed with it. Its text is asked for once."""
        texts = ["{}"]
        await written(store, creation("A1", definition=texts.pop), creation("A2", definition=texts.pop))

        await store.delete(["A1"])
        assert await store.definition("f1") == "{}"
        await store.delete(["A2"])
        assert await store.definition("f1") is None

    async def test_a_run_that_goes_on_with_another_definition_keeps_both(self, store: Store):
        """The definition it was started with still explains the beginning of its log."""
        await written(store, creation("A1", definition=lambda: "old"))
        summary = Summary(status=RunStatus.RUNNING, fingerprint="f2")

        await written(store, Append(run_id="A1", expected=0, events=[], summary=summary, definition=lambda: "new"))

        assert ("old", "new") == (await store.definition("f1"), await store.definition("f2"))
        await store.delete(["A1"])
        assert (None, None) == (await store.definition("f1"), await store.definition("f2"))

    # Listing

    @pytest.fixture
    async def shop(self, store: Store) -> Store:
        """
        Eight runs, R0 to R7, a minute apart: workflows Orders and Refunds in turn, three statuses in turn; the first
        four are of shop eu, the others of shop us, every third is urgent.
        """
        statuses = [RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.FAILED]
        await written(
            store,
            *(
                creation(
                    f"R{number}",
                    workflow=("Orders", "Refunds")[number % 2],
                    status=statuses[number % 3],
                    created_at=NOW + 60 * number,
                    tags={"shop": "eu" if number < 4 else "us"} | ({"urgent": "yes"} if number % 3 == 0 else {}),
                )
                for number in range(8)
            ),
        )
        return store

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (RunQuery(), "76543210"),
            (RunQuery(workflow="Orders"), "6420"),
            (RunQuery(workflow="orders"), ""),
            (RunQuery(statuses=[RunStatus.FAILED]), "52"),
            (RunQuery(statuses=[RunStatus.FAILED, RunStatus.RUNNING, RunStatus.FAILED]), "65320"),
            (RunQuery(statuses=[]), ""),
            (RunQuery(statuses=list(RunStatus)), "76543210"),
            (RunQuery(tags={"shop": "eu"}), "3210"),
            (RunQuery(tags={"shop": "eu", "urgent": "yes"}), "30"),
            (RunQuery(tags={"shop": "asia"}), ""),
            (RunQuery(tags={"eu": "shop"}), ""),
            (RunQuery(since=NOW + 120), "765432"),
            (RunQuery(until=NOW + 120), "10"),
            (RunQuery(since=NOW + 60, until=NOW + 240), "321"),
            (RunQuery(since=NOW + 9_999), ""),
            (RunQuery(until=NOW), ""),
            (RunQuery(id_prefix="R"), "76543210"),
            (RunQuery(id_prefix="R3"), "3"),
            (RunQuery(id_prefix="r"), ""),
            (RunQuery(id_prefix=""), "76543210"),
            (RunQuery(before=4), "210"),
            (RunQuery(limit=3), "765"),
            (RunQuery(limit=0), ""),
            (RunQuery(limit=3, before=6), "432"),
            (RunQuery(workflow="Orders", statuses=[RunStatus.FAILED, RunStatus.COMPLETED]), "42"),
            (RunQuery(workflow="Orders", tags={"shop": "us"}, since=NOW + 300), "6"),
            (RunQuery(statuses=[RunStatus.RUNNING, RunStatus.FAILED], tags={"urgent": "yes"}, limit=2), "63"),
            (RunQuery(statuses=[RunStatus.RUNNING, RunStatus.FAILED], limit=2, before=6), "32"),
            (RunQuery(statuses=[RunStatus.RUNNING, RunStatus.FAILED], id_prefix="R", until=NOW + 200), "320"),
            (RunQuery(workflow="Refunds", id_prefix="R5", before=7, limit=1), "5"),
            (RunQuery(tags={"shop": "us"}, before=8, limit=1), "6"),
        ],
        ids=str,
    )  # fmt: skip
    async def test_runs_are_listed_newest_first(self, shop: Store, query: RunQuery, expected: str):
        """Every filter must match; `before` and `limit` cut the list."""
        assert [f"R{digit}" for digit in expected] == [run.id for run in await shop.runs(query)]

    @pytest.mark.parametrize(
        "query", [{}, {"statuses": [RunStatus.FAILED, RunStatus.RUNNING]}, {"tags": {"shop": "eu"}}]
    )
    async def test_pages_by_before_give_all_runs_once(self, shop: Store, query: dict[str, Any]):
        """Page after page is the list in one go."""
        everything = await shop.runs(RunQuery(**query))
        pages = []
        before = None

        while page := await shop.runs(RunQuery(limit=2, before=before, **query)):
            pages += page
            before = page[-1].number

        assert everything == pages

    async def test_the_listing_follows_a_new_status(self, shop: Store):
        """A summary that was written counts for the next listing."""
        await written(
            shop, Append(run_id="R0", expected=0, events=[], summary=Summary(status=RunStatus.FAILED, fingerprint="f1"))
        )

        assert ["R5", "R2", "R0"] == [run.id for run in await shop.runs(RunQuery(statuses=[RunStatus.FAILED]))]

    async def test_runs_whose_clock_went_back_are_found_by_time(self, store: Store):
        """The order of a listing is that of creation, whatever the clock said then."""
        times = [30.0, 10.0, 20.0, 5.0, 40.0]
        await written(store, *(creation(f"R{number}", created_at=at) for number, at in enumerate(times)))

        assert ["R4", "R2", "R0"] == [run.id for run in await store.runs(RunQuery(since=20.0))]
        assert ["R3", "R1"] == [run.id for run in await store.runs(RunQuery(until=20.0))]

    async def test_runs_are_found_by_what_became_of_undoing_them(self, store: Store):
        """What the last end of a run says counts; one in which nothing was undone has none."""
        begun = ev.CompensationStarted(seq=1, at=NOW, step="a", attempt=1)
        await written(
            store,
            creation("good", begun, ended(2, "done"), status=RunStatus.FAILED),
            creation("bad", begun, ended(2, "failed"), status=RunStatus.FAILED),
            creation("mended", begun, ended(2, "failed"), ended(3, "done"), status=RunStatus.FAILED),
            creation("plain", started(1), ended(2, ""), status=RunStatus.FAILED),
            creation("again", begun, ended(2, "failed"), status=RunStatus.RUNNING),
        )

        failed, done, none = [
            [run.id for run in await store.runs(RunQuery(statuses=statuses, compensation=which))]
            for statuses, which in (([RunStatus.FAILED], "failed"), (None, "done"), ([RunStatus.RUNNING], "done"))
        ]

        assert (["bad"], ["mended", "good"], []) == (failed, done, none)

    async def test_facts_count_the_runs(self, store: Store):
        """By status, and only those that any run has; what is whole is ok."""
        for number, status in enumerate((RunStatus.FAILED, RunStatus.PAUSED, RunStatus.FAILED)):
            await written(store, creation(f"R{number}", status=status))

        facts = await store.facts()

        counts = {name: value for name, value in facts.items() if name.startswith("runs.")}
        assert {"runs.failed": "2", "runs.paused": "1"} == counts
        assert "ok" == facts["integrity"]
        assert facts["kind"]

    # Owners

    async def test_a_claim_compares_and_sets(self, store: Store):
        """Only who knows the owner before becomes the owner."""
        await written(store, creation("A1"))

        assert await store.claim("A1", "me", previous=None)
        assert not await store.claim("A1", "you", previous=None)
        assert not await store.claim("A1", "you", previous="another")
        assert await store.claim("A1", "you", previous="me")
        assert record("A1", owner="you", number=1) == await store.get("A1")
        assert await store.claim("A1", None, previous="you")
        assert record("A1", number=1) == await store.get("A1")

    async def test_nobody_can_claim_an_unknown_run(self, store: Store):
        """It is no error: the run may have been deleted."""
        assert not await store.claim("nobody", "me", previous=None)

    async def test_an_owner_lets_go_of_all_its_runs(self, store: Store):
        """And of its lease. Those of others stay as they are."""
        await written(store, creation("A1", owner="me"), creation("A2", owner="me"), creation("A3", owner="you"))
        paused = Summary(status=RunStatus.PAUSED, fingerprint="f1")
        await written(store, Append(run_id="A2", expected=0, events=[], summary=paused))
        await store.renew("me", 60)

        await store.release("me")

        owners = {run.id: run.owner for run in await store.runs(RunQuery())}
        assert {"A1": None, "A2": None, "A3": "you"} == owners
        assert not (await store.renew("me", 60)).was_live

    async def test_of_many_claims_one_wins(self, store: Store):
        """Also if they come at once."""
        await written(store, creation("A1"))

        claims = await asyncio.gather(*(store.claim("A1", f"owner {n}", previous=None) for n in range(20)))

        assert 1 == sum(claims)

    # Taking

    @pytest.mark.parametrize("limit", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20])
    async def test_workflows_have_turns(self, store: Store, limit: int):
        """The oldest run of each, then the next one of each: a long row keeps no short one waiting."""
        rows = {"A": ["a1", "a2", "a3", "a4", "a5"], "B": ["b1", "b2"], "C": [], "D": ["d1"]}
        for name, ids in rows.items():
            await written(store, *(creation(each, workflow=name) for each in ids))

        taken, is_all = attrs.astuple(
            await store.take("me", Wanted(awake=["B", "C", "A", "D"], limit=limit)), recurse=False
        )

        in_turn = ["b1", "a1", "d1", "b2", "a2", "a3", "a4", "a5"][:limit]
        assert sorted(in_turn) == [run.id for run in taken]
        assert (limit > 8) is is_all
        assert {*in_turn} == {run.id for run in await store.runs(RunQuery(owners=["me"]))}

    async def test_what_is_taken_is_given_as_it_was(self, store: Store):
        """By age, with the owner before: so it can be given back."""
        await store.renew("him", 60)
        await written(store, creation("A2", owner="you", tags={"k": "v"}), creation("A1"), creation("A3", owner="him"))

        taken = list((await store.take("me", Wanted(awake=["Orders"], limit=9))).runs)

        assert [record("A2", owner="you", tags={"k": "v"}, number=1), record("A1", number=2)] == taken
        assert [True, False] == [run.has_lapsed for run in taken]
        assert {"A1": "me", "A2": "me", "A3": "him"} == await owners(store)

    async def test_only_what_nobody_executes_is_taken(self, store: Store):
        """Nor what is of another workflow, does not go on by itself, or is not wanted; and never one's own."""
        await written(
            store,
            creation("mine", owner="me"),
            creation("his", owner="him"),
            creation("hers", owner="her"),
            creation("left"),
            creation("not that"),
            creation("other", workflow="Refunds"),
            creation("asleep", wake_at=NOW),
            creation("later", status=RunStatus.SCHEDULED, wake_at=NOW),
            creation("paused", status=RunStatus.PAUSED),
            creation("ended", status=RunStatus.COMPLETED),
        )
        for living in ("him", "her"):
            await store.renew(living, 60)

        one, two, none = [
            await taken_ids(store, Wanted(awake=["Orders"], gone=gone, but=["not that"], limit=9))
            for gone in ([], ["her", "nobody"], [])
        ]

        assert (["left"], ["hers"], []) == (one, two, none)

    async def test_what_was_left_comes_before_what_was_never_begun(self, store: Store):
        """Its owner is gone: others have waited for it for longer."""
        await written(store, creation("new"), creation("left", owner="you"))

        taken = [await taken_ids(store, Wanted(awake=["Orders"], limit=1)) for _ in range(3)]

        assert [["left"], ["new"], []] == taken

    async def test_what_sleeps_is_taken_when_it_is_due_or_called(self, store: Store):
        """What is due first comes first, then what fell asleep in the future, then what was said something."""
        await store.renew("him", 60)
        await written(
            store,
            creation("called", wake_at=math.inf),
            creation("silent", wake_at=math.inf),
            creation("begins later", status=RunStatus.SCHEDULED, wake_at=NOW + 1),
            creation("second", wake_at=NOW),
            creation("first", status=RunStatus.SCHEDULED, wake_at=NOW - 1),
            creation("set back", wake_at=NOW + 5, slept_at=NOW + 1),
            creation("his", owner="him", wake_at=NOW),
            creation("yours", owner="you", wake_at=NOW + 5, slept_at=NOW + 2),
            creation("other", workflow="Refunds", wake_at=NOW),
            creation("awake"),
        )
        for each in ("called", "first", "awake", "begins later"):
            await store.send(Message(run_id=each, id="m", signal="paid"))

        taken = [await taken_ids(store, Wanted(asleep=["Orders"], due_by=NOW, limit=1)) for _ in range(7)]

        order = ["first", "second", "set back", "yours", "called"]
        assert [*([each] for each in order), [], []] == taken

    async def test_what_is_awake_comes_first(self, store: Store):
        """And no more is taken than is wanted of both together."""
        await written(
            store, *(creation(f"A{number}", wake_at=NOW) for number in range(3)), creation("B"), creation("C")
        )
        wanted = Wanted(awake=["Orders"], asleep=["Orders"], due_by=NOW, limit=3)

        taken = [await taken_ids(store, wanted) for _ in range(3)]

        assert [["A0", "B", "C"], ["A1", "A2"], []] == taken

    async def test_no_run_is_taken_twice(self, store: Store):
        """However many take at once; and among them they take all."""
        await written(store, *(creation(f"A{number}", workflow=f"W{number % 3}") for number in range(40)))
        wanted = Wanted(awake=["W0", "W1", "W2"], limit=7)

        async def take(owner: str) -> list[str]:
            await store.renew(owner, 3600)
            taken: list[str] = []
            is_all = False
            while not is_all:
                found = await store.take(owner, wanted)
                taken += [run.id for run in found.runs]
                is_all = found.is_all
            return taken

        each = await asyncio.gather(*(take(f"owner {number}") for number in range(6)))

        assert sorted(f"A{number}" for number in range(40)) == sorted(run_id for taken in each for run_id in taken)

    # Leases

    async def test_a_renewal_tells_who_is_gone(self, store: Store):
        """Of whom runs are left that have not ended; and who lives, of those that are asked for."""
        for name, status in (("gone", RunStatus.RUNNING), ("done", RunStatus.COMPLETED), ("late", RunStatus.SCHEDULED)):
            await store.renew(name, 60)
            await written(store, creation(f"{name}'s", owner=name, status=status))
        for name in ("gone", "done", "late"):
            await store.renew(name, 1e-6)
        await store.renew("here/you", 60)
        await store.renew("there/her", 60)

        first = await store.renew("here/me", 60, near="here/")
        again = await store.renew("here/me", 60)

        assert (False, ("gone", "late"), ("here/you",)) == (first.was_live, first.lapsed, first.near)
        assert (True, ("gone", "late"), ()) == (again.was_live, again.lapsed, again.near)

    # Sleep

    @pytest.mark.parametrize("wake_at", [NOW + 60, math.inf, 0.0])
    async def test_a_run_can_be_created_asleep(self, store: Store, wake_at: float):
        """Until when stands in its summary; nobody owns it."""
        await written(store, creation("A1", status=RunStatus.SCHEDULED, wake_at=wake_at))

        assert record(number=1, status=RunStatus.SCHEDULED, wake_at=wake_at) == await store.get("A1")

    async def test_a_run_falls_asleep_and_wakes_with_what_is_written(self, store: Store):
        """Its owner lets go of it in the same append; a conflict changes nothing."""
        await written(store, creation("A1", owner="me"))
        asleep = Summary(status=RunStatus.RUNNING, fingerprint="f1", wake_at=NOW + 60)
        awake = Summary(status=RunStatus.RUNNING, fingerprint="f1")

        [conflict] = await store.append(
            [Append(run_id="A1", expected=1, events=[started(2)], summary=asleep, releases=True)]
        )
        before = await store.get("A1")
        await written(
            store, Append(run_id="A1", expected=0, owner="me", events=[started(1)], summary=asleep, releases=True)
        )
        sleeping = await store.get("A1")
        await store.claim("A1", "you", previous=None)
        await written(store, Append(run_id="A1", expected=1, owner="you", events=[completed(2)], summary=awake))

        assert isinstance(conflict, ConflictError)
        assert record(number=1, owner="me") == before
        assert record(number=1, wake_at=NOW + 60) == sleeping
        assert record(number=1, owner="you") == await store.get("A1")

    async def test_when_the_next_run_wakes(self, store: Store):
        """The first one later than an instant; infinity if only messages wake those that sleep, None if none does."""
        none = await store.next_wake(-1.0)
        await written(store, creation("A1"), creation("A2", wake_at=math.inf))
        only_messages = await store.next_wake(NOW)
        await written(
            store, creation("A3", wake_at=NOW + 5), creation("A4", status=RunStatus.SCHEDULED, wake_at=NOW + 2)
        )

        assert (None, math.inf) == (none, only_messages)
        wakes = [await store.next_wake(after) for after in (-1.0, NOW, NOW + 2, NOW + 4.9, NOW + 5, math.inf)]
        assert [NOW + 2, NOW + 2, NOW + 5, NOW + 5, math.inf, None] == wakes

    async def test_a_census_says_where_the_runs_are(self, store: Store):
        """Those that have ended, and those that are another workflow's, are not among them."""
        await store.renew("me", 60)
        await written(
            store,
            creation("E1", owner="me"),
            creation("W1", started(1), started(2)),
            creation("W2", slept_at=NOW - 5),
            creation("W3", started(1), owner="gone"),
            creation("W4", wake_at=NOW - 50, slept_at=NOW - 99),
            creation("W5", status=RunStatus.SCHEDULED, wake_at=NOW),
            creation("A1", wake_at=NOW + 5, slept_at=NOW),
            creation("A2", wake_at=math.inf),
            creation("E2", wake_at=NOW - 70, owner="me"),
            creation("S1", status=RunStatus.SCHEDULED, wake_at=NOW + 0.5),
            creation("D1", status=RunStatus.COMPLETED, ended_at=NOW),
            creation("D2", status=RunStatus.FAILED, ended_at=NOW),
            creation("D3", status=RunStatus.CANCELLED, ended_at=NOW),
            creation("R1", workflow="Refunds", owner="me"),
        )

        census = await store.census(NOW)

        assert {
            ("Orders", Place.EXECUTED): 2, ("Orders", Place.WAITING): 5, ("Orders", Place.ASLEEP): 2,
            ("Orders", Place.SCHEDULED): 1, ("Refunds", Place.EXECUTED): 1,
        } == census.runs  # fmt: skip
        assert {"Orders": NOW - 50} == census.waiting_since
        assert (1, 0) == (census.held, census.lapsed)

    @pytest.mark.parametrize(
        ("creations", "since"),
        [
            ([creation("A1", started(1), started(2))], NOW + 2),
            ([creation("A1", slept_at=NOW - 5)], NOW - 5),
            ([creation("A1", created_at=NOW - 9)], NOW - 9),
            ([creation("A1", started(9)), creation("A2", started(1), started(4))], NOW + 4),
            ([creation("A1", wake_at=NOW - 1, slept_at=NOW - 2)], NOW - 1),
        ],
        ids=["let go of", "left to others", "of which nothing happened", "of several", "due"],
    )
    async def test_since_when_runs_wait(self, store: Store, creations: list[Append], since: float):
        """Since the last of what happened to it, since it was to go on, or since it was made for others."""
        for each in creations:
            await written(store, Append(run_id=each.run_id, expected=0, create=each.create, events=[]))
            for n, event in enumerate(each.events):
                await written(store, Append(run_id=each.run_id, expected=n, events=[attrs.evolve(event, seq=n + 1)]))

        census = await store.census(NOW)

        assert {"Orders": since} == census.waiting_since

    async def test_a_census_says_why_runs_are_paused(self, store: Store):
        """By the last time that they were, whatever was said to them since."""
        taken, asked = ev.RunPaused(seq=1, at=NOW, reason="x", cause="takeovers"), ev.RunPaused(seq=2, at=NOW)
        await written(
            store,
            creation("A1", taken, received(2, "m1"), status=RunStatus.PAUSED),
            creation("A2", taken, asked, status=RunStatus.PAUSED),
            creation("A3", status=RunStatus.PAUSED),
            creation("A4", taken, status=RunStatus.COMPLETED),
            creation("B1", taken, workflow="Refunds", status=RunStatus.PAUSED, owner="me"),
        )

        census = await store.census(NOW)

        assert {("Orders", Place.PAUSED): 3, ("Refunds", Place.PAUSED): 1} == census.runs
        assert {
            ("Orders", "takeovers"): 1, ("Orders", "request"): 2, ("Refunds", "takeovers"): 1,
        } == census.paused  # fmt: skip

    async def test_a_census_counts_leases_and_slots(self, store: Store):
        """Of the slots those of queues, all keys of one together; of leases that ran out those that matter."""
        names = ['["queue", "api"]', '["queue", "api", "eu"]', '["mutex", "ledger"]']
        limits = [Limit(name=name, concurrency=5) for name in names]
        await store.renew("me", 60)
        await store.renew("you", 60)
        await store.take_slots(
            "me", [SlotRequest(limits=[limit], run_id="A1", step="charge", attempt=1) for limit in limits]
        )
        await written(store, creation("A1", owner="gone"), creation("A2", owner="done", status=RunStatus.COMPLETED))
        for name in ("gone", "done"):
            await store.renew(name, 1e-6)

        census = await store.census(NOW)

        assert (2, 1, {"api": 2}) == (census.held, census.lapsed, census.slots)

    async def test_a_census_of_nothing(self, store: Store):
        """All of it is empty."""
        assert Census() == await store.census(NOW)

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (RunQuery(is_asleep=True), "5432"),
            (RunQuery(is_asleep=False), "10"),
            (RunQuery(due_by=NOW), ""),
            (RunQuery(due_by=NOW + 2), "2"),
            (RunQuery(due_by=NOW + 10), "532"),
            (RunQuery(due_by=math.inf), "5432"),
            (RunQuery(due_by=NOW + 10, statuses=[RunStatus.RUNNING]), "32"),
            (RunQuery(due_by=NOW + 10, limit=1), "5"),
            (RunQuery(due_by=NOW + 10, before=5), "32"),
            (RunQuery(has_mail=True), "40"),
            (RunQuery(has_mail=False), "5321"),
            (RunQuery(is_asleep=True, has_mail=True), "4"),
            (RunQuery(is_asleep=True, has_mail=True, statuses=[RunStatus.RUNNING, RunStatus.SCHEDULED]), "4"),
            (RunQuery(is_asleep=False, has_mail=True, workflow="Orders"), "0"),
            (RunQuery(statuses=[RunStatus.SCHEDULED], asked=["cancel"]), ""),
        ],
        ids=str,
    )  # fmt: skip
    async def test_runs_are_found_by_their_sleep(self, store: Store, query: RunQuery, expected: str):
        """Those that sleep, those that are due, and those to which something was said."""
        wakes = [None, None, NOW + 2, NOW + 5, math.inf, NOW + 7]
        await written(
            store,
            *(
                creation(
                    f"R{number}", wake_at=at, owner=None,
                    status=RunStatus.SCHEDULED if number == 5 else RunStatus.RUNNING,
                )
                for number, at in enumerate(wakes)
            ),
        )  # fmt: skip
        for run_id in ("R0", "R3", "R4"):
            await store.send(Message(run_id=run_id, id="m", signal="paid"))
        await written(store, more("R3", received(1, "m", "paid")))

        assert [f"R{digit}" for digit in expected] == [run.id for run in await store.runs(query)]

    # Items

    async def test_events_of_items_come_back_with_them(self, store: Store):
        """Of steps and of compensations; 0 is an item, and none is none."""
        log: list[ev.Event] = [
            ev.StepExpanded(seq=1, at=NOW, step="pack", attempt=1, count=3),
            *(ev.StepStarted(seq=2 + item, at=NOW, step="pack", attempt=1, item=item) for item in range(3)),
            ev.StepHeartbeat(seq=5, at=NOW, step="pack", attempt=1, item=0, progress="1"),
            ev.StepCompleted(seq=6, at=NOW, step="pack", attempt=1, item=0, output="7"),
            ev.ChildStarted(seq=7, at=NOW, step="pack", attempt=1, item=1, child="A1/pack/1"),
            ev.StepCompleted(seq=8, at=NOW, step="pack", attempt=1, output="@items"),
            ev.CompensationStarted(seq=9, at=NOW, step="pack", attempt=1, item=2),
            ev.CompensationCompleted(seq=10, at=NOW, step="pack", attempt=1, item=2),
            ev.StepStarted(seq=11, at=NOW, step="pack", attempt=1, item=10_000_000),
        ]

        await written(store, creation("A1", *log))

        assert log == await store.read("A1")

    # Messages that are written with events

    async def test_what_a_run_says_is_written_with_its_events(self, store: Store):
        """In the order in which it is said, beside what others have sent."""
        await written(store, creation("A1", owner="me"), creation("A2", owner="you"))
        sent = Message(run_id="A2", id="sent", signal="cancel")
        said = [Message(run_id="A2", id=f"said {n}", signal="child", payload=f'{{"n":{n}}}') for n in range(3)]

        await store.send(sent)
        await written(store, Append(run_id="A1", expected=0, events=[started(1)], messages=said))

        assert [sent, *said] == await store.inbox("you")
        assert [started(1)] == await store.read("A1")

    async def test_nothing_is_said_by_an_append_that_is_refused(self, store: Store):
        """Nor by one that cannot be stored."""
        await written(store, creation("A1", started(1)), creation("A2", owner="you"))
        message = Message(run_id="A2", id="m", signal="child")
        bad: dict[str, Any] = {"metadata": {"x": object()}}

        outcomes = await store.append(
            [
                Append(run_id="A1", expected=0, events=[started(1)], messages=[message]),
                Append(run_id="nobody", expected=0, events=[started(1)], messages=[message]),
                Append(run_id="B1", expected=0, events=[], create=record("B1", **bad), messages=[message]),
            ]
        )

        assert [ConflictError, RunNotFoundError, StoreError] == [type(outcome) for outcome in outcomes]
        assert [] == await store.inbox("you")

    async def test_what_is_said_to_a_run_that_there_is_not_or_that_has_ended_is_not_kept(self, store: Store):
        """It is no error: whoever says it cannot know."""
        await written(store, creation("A1"), *(creation(str(end), status=end, owner="me") for end in ENDS))
        messages = [Message(run_id=run_id, id="m", signal="cancel") for run_id in ("nobody", *ENDS)]

        await written(store, Append(run_id="A1", expected=0, events=[started(1)], messages=messages))
        await written(store, creation("nobody", owner="me"))

        assert [] == await store.inbox("me")

    async def test_what_is_said_counts_after_all_that_is_written_with_it(self, store: Store):
        """A run that the same call creates hears it, one that the same call lets end does not, whatever their order."""
        end = Summary(status=RunStatus.COMPLETED, fingerprint="f1", ended_at=NOW)
        await written(store, creation("A1"), creation("old", owner="me"), creation("older", owner="me"))
        messages = [Message(run_id=run_id, id="m", signal="child") for run_id in ("new", "newer", "old", "older")]

        await written(
            store,
            creation("newer", owner="me"),
            Append(run_id="older", expected=0, events=[], summary=end),
            Append(run_id="A1", expected=0, events=[started(1)], messages=messages),
            creation("new", owner="me"),
            Append(run_id="old", expected=0, events=[], summary=end),
        )

        assert ["new", "newer"] == [message.run_id for message in await store.inbox("me")]

    async def test_what_is_said_twice_is_heard_once(self, store: Store):
        """Also if it was folded meanwhile."""
        await written(store, creation("A1"), creation("A2", owner="you"))
        message = Message(run_id="A2", id="m", signal="child")

        await written(store, Append(run_id="A1", expected=0, events=[started(1)], messages=[message, message]))
        once = await store.inbox("you")
        await written(store, more("A2", received(1, "m", "child")))
        await written(store, Append(run_id="A1", expected=1, events=[completed(2)], messages=[message]))

        assert [message] == once
        assert [] == await store.inbox("you")

    async def test_a_run_may_be_said_what_the_same_call_folds(self, store: Store):
        """Folded it is, and stays so."""
        await written(store, creation("A1"), creation("A2", owner="you"))
        message = Message(run_id="A2", id="m", signal="child")

        await written(
            store,
            Append(run_id="A1", expected=0, events=[started(1)], messages=[message]),
            more("A2", received(1, "m", "child")),
        )

        assert [] == await store.inbox("you")

    async def test_nothing_can_be_sent_to_a_run_that_has_ended(self, store: Store):
        """Whoever sends is told, and nothing is kept; what was sent before waits on."""
        await written(store, creation("A1", owner="me"))
        before = Message(run_id="A1", id="before", signal="paid")
        await store.send(before)
        end = Summary(status=RunStatus.FAILED, fingerprint="f1", ended_at=NOW)
        await written(store, more("A1", ended(1, ""), summary=end))

        with pytest.raises(RunEndedError, match="run 'A1' is failed"):
            await store.send(Message(run_id="A1", id="after", signal="paid"))

        assert [before] == await store.inbox("me")

    # Messages

    async def test_messages_wait_for_the_owner_of_their_run(self, store: Store):
        """Oldest first, over all runs of the owner, and as often as asked."""
        await written(store, creation("A1", owner="me"), creation("A2", owner="me"), creation("B1", owner="you"))
        sent = [Message(run_id=run, id="m", signal="cancel", payload=f'"{run}"') for run in ("A2", "B1", "A1")]

        for message in sent:
            await store.send(message)

        assert [sent[0], sent[2]] == await store.inbox("me")
        assert [sent[0], sent[2]] == await store.inbox("me")
        assert [sent[1]] == await store.inbox("you")
        assert [] == await store.inbox("nobody")

    async def test_messages_follow_the_run_to_its_next_owner(self, store: Store):
        """They belong to the run."""
        await written(store, creation("A1"))
        message = Message(run_id="A1", id="m", signal="cancel")
        await store.send(message)

        await store.claim("A1", "me", previous=None)

        assert [message] == await store.inbox("me")

    async def test_a_message_with_the_id_of_another_is_ignored(self, store: Store):
        """The first one stays; another run may have one of the same id."""
        await written(store, creation("A1", owner="me"), creation("A2", owner="me"))
        first = Message(run_id="A1", id="m", signal="cancel", payload="1")
        other = Message(run_id="A2", id="m", signal="cancel", payload="3")

        await store.send(first)
        await store.send(Message(run_id="A1", id="m", signal="pause", payload="2"))
        await store.send(other)

        assert [first, other] == await store.inbox("me")

    async def test_a_folded_message_is_gone_and_does_not_come_back(self, store: Store):
        """Once its `SignalReceived` is in the log, sending it again is ignored."""
        await written(store, creation("A1", owner="me"))
        message, other = (Message(run_id="A1", id=id_, signal="cancel") for id_ in ("m1", "m2"))
        await store.send(message)
        await store.send(other)

        await written(store, more("A1", received(1, "m1")))
        await store.send(message)

        assert [other] == await store.inbox("me")

    async def test_a_message_that_was_folded_before_it_was_sent_is_ignored(self, store: Store):
        """The owner may write a signal to the log without the inbox."""
        await written(store, creation("A1", received(1, "m1"), owner="me"))

        await store.send(Message(run_id="A1", id="m1", signal="cancel"))

        assert [] == await store.inbox("me")

    async def test_a_conflict_leaves_the_message_in_the_inbox(self, store: Store):
        """Only who writes the log folds."""
        await written(store, creation("A1", started(1), owner="me"))
        message = Message(run_id="A1", id="m1", signal="cancel")
        await store.send(message)

        [outcome] = await store.append([Append(run_id="A1", expected=0, events=[received(1, "m1")])])

        assert isinstance(outcome, ConflictError)
        assert [message] == await store.inbox("me")

    async def test_a_message_to_an_unknown_run_is_an_error(self, store: Store):
        """Whoever sends learns that nobody will get it."""
        with pytest.raises(RunNotFoundError, match="'nobody'"):
            await store.send(Message(run_id="nobody", id="m", signal="cancel"))

    # Schedules

    async def test_a_schedule_comes_back_as_it_was_put(self, store: Store):
        """With all that is known of it, whatever its texts are; and by its name alone."""
        full = schedule(
            "naïve – 注文", inputs='{"a":"\\u0000 🛒"}', catchup=3600.0, jitter=0.5, phase=Phase.WAITING,
            is_paused=True, last_at=NOW, last_run="r", skipped_at=NOW + 1, skipped="missed",
            asked={"x@1": NOW, "y": NOW + 2.5},
        )  # fmt: skip

        stored = await store.put_schedule(full)
        other = await store.put_schedule(schedule("b"))

        assert stored is not None
        assert full == attrs.evolve(stored, revision=0)
        assert [other, stored] == await store.schedules()
        assert [stored] == await store.schedules("naïve – 注文")
        assert [] == await store.schedules("nobody")

    async def test_a_schedule_is_put_in_the_place_of_what_was_read(self, store: Store):
        """A compare-and-set: whoever read it before somebody else changed it writes nothing."""
        first = await store.put_schedule(schedule("a"))
        assert first is not None

        second = await store.put_schedule(attrs.evolve(first, next_at=NOW + 60))
        stale = await store.put_schedule(attrs.evolve(first, next_at=NOW + 90))
        again = await store.put_schedule(schedule("a"))

        assert second is not None
        assert (None, None) == (stale, again)
        assert [second] == await store.schedules()
        assert 0 < first.revision < second.revision

    async def test_of_many_that_change_a_schedule_one_does(self, store: Store):
        """At the same time."""
        first = await store.put_schedule(schedule("a"))
        assert first is not None

        changed = [attrs.evolve(first, next_at=NOW + number) for number in range(10)]
        outcomes = await asyncio.gather(*(store.put_schedule(each) for each in changed))

        (winner,) = [outcome for outcome in outcomes if outcome is not None]
        assert [winner] == await store.schedules()

    async def test_a_deleted_schedule_is_not_brought_back(self, store: Store):
        """By somebody who has read it before; nor is one of the same name taken for it."""
        first = await store.put_schedule(schedule("a"))
        assert first is not None

        assert await store.delete_schedule("a")
        assert not await store.delete_schedule("a")
        assert await store.put_schedule(first) is None
        second = await store.put_schedule(schedule("a"))

        assert second is not None
        assert first.revision != second.revision
        assert await store.put_schedule(first) is None
        assert [second] == await store.schedules()

    async def test_what_a_schedule_was_asked_for_is_copied(self, store: Store):
        """What the caller does with it later changes nothing."""
        asked = {"r": NOW}
        await store.put_schedule(schedule("a", asked=asked))
        asked.clear()

        assert [{"r": NOW}] == [each.asked for each in await store.schedules()]

    # Definitions that were published

    async def test_a_published_definition_takes_the_place_of_the_one_before(self, store: Store):
        """By the name of its workflow; no run goes with it, and none is needed."""
        await store.publish({"naïve – 注文": '{"a":"\\u0000 🛒"}', "Other": "{}"})
        await store.publish({"Other": '{"version":"2"}'})
        await store.publish({})

        assert '{"a":"\\u0000 🛒"}' == await store.published("naïve – 注文")
        assert '{"version":"2"}' == await store.published("Other")
        assert await store.published("nobody") is None
        assert ["Other", "naïve – 注文"] == await store.published_names()
        assert await store.definition("Other") is None

    async def test_what_is_published_outlives_runs(self, store: Store):
        """A definition of a run goes with the last one; what can be started by its name does not."""
        await store.publish({"Orders": '{"name":"Orders"}'})
        await written(store, attrs.evolve(creation("A1", started(1)), definition=lambda: '{"name":"Orders"}'))

        await store.delete(["A1"])

        assert await store.definition("f1") is None
        assert '{"name":"Orders"}' == await store.published("Orders")

    async def test_many_publish_the_same_at_once(self, store: Store):
        """As when many workers begin together."""
        names = [f"W{number}" for number in range(20)]

        await asyncio.gather(*(store.publish(dict.fromkeys(names[turn:] + names[:turn], "{}")) for turn in range(9)))

        assert sorted(names) == await store.published_names()

    async def test_a_run_is_let_go_of_by_an_append_without_events(self, store: Store):
        """As when its owner is told to end and nothing of the run is in flight."""
        await written(store, creation("A1", started(1), owner="me"))

        (first,) = await store.append([Append(run_id="A1", expected=1, owner="me", events=[], releases=True)])
        (second,) = await store.append([Append(run_id="A1", expected=1, owner="me", events=[], releases=True)])

        assert first is None
        assert isinstance(second, ConflictError)
        run = await store.get("A1")
        assert run is not None
        assert (None, RunStatus.RUNNING) == (run.owner, run.status)

    # Deleting and closing

    async def test_a_deleted_run_leaves_nothing_behind(self, store: Store):
        """Its log, tags and messages are gone, and its id is free again; other runs are untouched."""
        await written(store, creation("A1", started(1), tags={"shop": "eu"}, owner="me"), creation("B1", started(1)))
        await store.send(Message(run_id="A1", id="m", signal="cancel"))

        assert 1 == await store.delete(["A1", "nobody"])

        assert await store.get("A1") is None
        assert [] == await store.read("A1")
        assert [] == await store.inbox("me")
        assert [] == await store.runs(RunQuery(tags={"shop": "eu"}))
        assert [started(1)] == await store.read("B1")
        await written(store, creation("A1", owner="me"))
        assert [] == await store.read("A1")
        assert [] == await store.inbox("me")

    async def test_deleting_many_runs_counts_each_once(self, store: Store):
        """More than go into one portion, and one of them twice."""
        ids = [f"R{number}" for number in range(250)]
        await written(store, *(creation(run_id, started(1)) for run_id in ids))

        assert 250 == await store.delete([*ids, ids[0]])
        assert 0 == await store.delete(ids)
        assert [] == await store.runs(RunQuery())

    async def test_closing_twice_is_harmless_and_then_nothing_goes(self, store: Store):
        """What is called afterwards says that the store is closed."""
        await written(store, creation("A1"))

        await store.close()
        await store.close()

        for call in (store.get("A1"), store.append([creation("A2")]), store.runs(RunQuery()), store.inbox("me"),
                     store.schedules(), store.put_schedule(schedule("a")), store.delete_schedule("a"),
                     store.publish({"W": "{}"}), store.published("W"), store.published_names()):  # fmt: skip
            with pytest.raises(StoreError, match="closed"):
                await call


Open = Callable[[], Awaitable[Store]]
"""Opens a store, which is closed after the test."""


class SharedContract:
    """The fixture `opened` of a subclass opens one more store with each call, at a place where at first nothing is."""

    async def test_two_processes_fence_each_other(self, opened: Open):
        """Whoever appends second to one place gets the conflict."""
        one, other = await opened(), await opened()
        await written(one, creation("A1"))

        for seq in range(1, 21):
            first, second = (one, other) if seq % 2 else (other, one)
            await written(first, more("A1", started(seq, f"by {seq % 2}")))
            [outcome] = await second.append([more("A1", started(seq, "late"))])
            assert isinstance(outcome, ConflictError)

        assert [started(seq, f"by {seq % 2}") for seq in range(1, 21)] == await one.read("A1")

    async def test_many_open_a_new_one_at_once(self, opened: Open):
        """One makes it, the others wait for that, and all can write."""
        stores = await asyncio.gather(*(opened() for _ in range(8)))

        await asyncio.gather(*(written(store, creation(f"R{number}")) for number, store in enumerate(stores)))

        assert {f"R{number}" for number in range(8)} == {run.id for run in await stores[0].runs(RunQuery())}

    async def test_a_listing_shows_all_that_was_there_when_it_began(self, opened: Open):
        """In whatever order others commit what they create meanwhile."""
        one, other = await opened(), await opened()
        await written(one, *(creation(f"R{number}") for number in range(20)))

        listed: list[str] = []
        query = RunQuery(limit=3)
        while page := await one.runs(query):
            await asyncio.gather(*(written(each, creation(f"{len(listed)}{each is one}")) for each in (one, other)))
            listed += [run.id for run in page]
            query = attrs.evolve(query, before=page[-1].number)

        assert [f"R{number}" for number in reversed(range(20))] == [each for each in listed if each.startswith("R")]


class HintContract:
    """What every store does that tells others what is written. A subclass gives the fixtures `store` and `ears`."""

    async def test_what_waits_for_somebody_is_told(self, store: Store, ears: Ears):
        """A run without an owner, or let go of by any way; nothing is told of what somebody executes, or what rests."""
        await written(store, creation("mine", owner="me"), creation("paused", status=RunStatus.PAUSED))
        silence = await ears.heard()
        await written(store, creation("A1"))
        created = await ears.heard()
        await store.claim("A1", "me", previous=None)
        await store.claim("A1", None, previous="me")
        given_back = await ears.heard()
        await store.claim("paused", "me", previous=None)
        await store.claim("paused", None, previous="me")
        rests = await ears.heard()
        await written(store, Append(run_id="mine", expected=0, events=[], owner="me", releases=True))
        let_go = await ears.heard()
        await store.claim("mine", "me", previous=None)
        await store.release("me")
        released = await ears.heard()
        await store.renew("me", 0)
        given_up = await ears.heard()

        free = [Hint(HintKind.FREE)]
        assert ([], free, free, []) == (silence, created, given_back, rests)
        assert (free, free, free) == (let_go, released, given_up)

    async def test_when_what_sleeps_goes_on_is_told(self, store: Store, ears: Ears):
        """Of several that fall asleep at once the first one; also if it is only let go of."""
        asleep = Summary(status=RunStatus.RUNNING, fingerprint="f1", wake_at=NOW + 60)
        await written(store, creation("A1", owner="me"), creation("A2", owner="me", wake_at=NOW + 7.5))
        await written(store, creation("A3", status=RunStatus.SCHEDULED, wake_at=math.inf))
        created = await ears.heard()
        await written(
            store, Append(run_id="A1", expected=0, owner="me", events=[started(1)], summary=asleep, releases=True)
        )
        fallen = await ears.heard()
        await store.claim("A2", None, previous="me")
        let_go = await ears.heard()

        expected = [[Hint(HintKind.ASLEEP, at=at)] for at in (math.inf, NOW + 60, NOW + 7.5)]
        assert expected == [created, fallen, let_go]

    async def test_what_is_said_to_a_run_is_told(self, store: Store, ears: Ears):
        """To whom belongs the run; also if it is said with an append; not what was said before."""
        await written(store, creation("A1", owner="me"), creation("A2", wake_at=math.inf))
        await ears.heard()
        for run_id in ("A1", "A2", "A1"):
            await store.send(Message(run_id=run_id, id="m", signal="hello"))
        sent = await ears.heard()
        told = Message(run_id="A1", id="n", signal="child")
        await written(store, attrs.evolve(more("A2", started(1)), messages=[told]))
        with_append = await ears.heard()

        mine, nobodys = Hint(HintKind.MESSAGE, "A1", "me"), Hint(HintKind.MESSAGE, "A2")
        assert [mine, nobodys] == sent[:2]
        assert [mine] == with_append

    @pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.PAUSED])
    async def test_that_a_run_rests_is_told_if_somebody_watches_it(self, store: Store, ears: Ears, status: RunStatus):
        """Once: who goes on to wait says so again."""
        await written(store, creation("A1", owner="me"), creation("A2", owner="me"))
        is_watched = [await store.watch("A1"), await store.watch("A1"), await store.watch("nobody")]
        rests = Summary(status=status, fingerprint="f1")
        runs = Summary(status=RunStatus.RUNNING, fingerprint="f1")
        await ears.heard()
        heard = []
        for number, summary in enumerate((runs, rests, rests)):
            await written(
                store,
                *(
                    Append(run_id=run_id, expected=number, events=[started(number + 1)], summary=summary)
                    for run_id in ("A1", "A2")
                ),
            )
            heard.append(await ears.heard())

        assert [True, True, False] == is_watched
        assert [[], [Hint(HintKind.RESTS, "A1")], []] == heard
        assert not await store.watch("A1")

    async def test_that_a_run_is_deleted_is_told_to_who_watches_it(self, store: Store, ears: Ears):
        """There is nothing to wait for any more."""
        await written(store, creation("A1", owner="me"), creation("A2", owner="me"))
        await store.watch("A2")

        await store.delete(["A1", "A2"])

        assert [Hint(HintKind.RESTS, "A2")] == await ears.heard()

    async def test_a_changed_schedule_is_told(self, store: Store, ears: Ears):
        """Whoever changed it; but not that somebody could not."""
        made = await store.put_schedule(schedule("a"))
        refused = await store.put_schedule(schedule("a"))
        await store.delete_schedule("a")
        await store.delete_schedule("a")
        await written(store, creation("A1"))
        heard = [await ears.next() for _ in range(3)]

        assert made is not None
        assert refused is None
        assert [Hint(HintKind.SCHEDULE), Hint(HintKind.SCHEDULE), Hint(HintKind.FREE)] == heard

    async def test_nothing_is_told_of_what_is_refused(self, store: Store, ears: Ears):
        """Nor of a message to nobody."""
        await written(store, creation("A1", owner="me"))
        await store.append([creation("A1"), Append(run_id="A1", expected=7, events=[], releases=True)])
        with pytest.raises(RunNotFoundError):
            await store.send(Message(run_id="A2", id="m", signal="hello"))

        assert [] == await ears.heard()
