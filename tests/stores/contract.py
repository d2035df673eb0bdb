"""What every store must do: the tests of a store are a subclass with a fixture `store`."""

import asyncio
from typing import Any

import pytest

from orchwf.core import events as ev
from orchwf.core.events import EVENT_TYPES
from orchwf.core.state import RunStatus
from orchwf.errors import ConflictError, RunExistsError, RunNotFoundError, StoreError
from orchwf.ports import Append, Message, RunQuery, Store, Summary

from .samples import ALL_KINDS, NOW, completed, creation, ended, more, received, record, started, written

ODD_TEXTS = ["naïve – 注文 🛒", 'it\'s "quoted"; DROP TABLE runs;--', "two\nlines\t\\", "%_*?[a]", " ", "x" * 5_000]


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
            ev.StepCompleted(seq=seq, at=1.0, step="large", attempt=1, output="1" * 1_000_000) for seq in range(1, 251)
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
        assert not await store.renew("me", 60)

    async def test_of_many_claims_one_wins(self, store: Store):
        """Also if they come at once."""
        await written(store, creation("A1"))

        claims = await asyncio.gather(*(store.claim("A1", f"owner {n}", previous=None) for n in range(20)))

        assert 1 == sum(claims)

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

        for call in (store.get("A1"), store.append([creation("A2")]), store.runs(RunQuery()), store.inbox("me")):
            with pytest.raises(StoreError, match="closed"):
                await call
