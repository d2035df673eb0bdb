"""What happens here, where somebody waits for a body that runs elsewhere."""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchwf import ExecutorError, NotImportableError, Orchestrator, RunFailed, Skip, StepContext, StepTimeoutError
from orchwf.core.events import StepHeartbeat
from orchwf.runtime import worklog
from orchwf.stores import MemoryStore
from orchwf.testing import TestOrchestrator, override
from tests.executors import near
from tests.executors.fakes import Near
from tests.executors.flows import MANY, Ends, Knows, Point, Values
from tests.executors.near import (
    GO,
    SEEN,
    Crowd,
    Kept,
    Late,
    Light,
    Parent,
    Patient,
    Plain,
    Reads,
    Silent,
)
from tests.runtime.flows import log_of, until


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing was seen, and everybody waits; at the end nobody does."""
    SEEN.clear()
    GO.clear()
    yield
    GO.set()


class Around:
    """A layer that keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
        try:
            value = await call()
        except Exception as error:
            self.seen.append(f"{type(error).__name__}: {error}")
            raise
        self.seen.append(value)
        return value


@pytest.mark.parametrize(
    ("how", "seen", "end"),
    [
        ("returns", 7, "completed 7"),
        ("skips", "Skip: nothing", "skipped nothing"),
        ("finishes", "Finish: the step ended the run", "completed 8"),
        ("raises", "RecordedError: ValueError: no", "failed ValueError: no"),
    ],
)
async def test_middleware_stands_around_a_body_that_runs_elsewhere(how: str, seen: object, end: str):
    """Here: it sees what the body gave or raised, and what passes it is as if it was not there."""
    around = Around()
    async with Orchestrator("memory:", executors={"there": Near()}, middleware=[around]) as orchestrator:
        result = await orchestrator.run(Plain(how=how))
    async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
        plain = await orchestrator.run(Plain(how=how))

    assert [seen] == around.seen
    for record in (result.steps["look"], plain.steps["look"]):
        error = record.error
        said = error.headline if error is not None else record.reason or record.output
        assert end == f"{record.status} {said}"
        assert error is None or ('raise ValueError("no")', True) == (error.source, "near.py" in error.location)


async def test_a_layer_may_put_something_in_the_place_of_an_error():
    """As of any body."""

    class Forgiving:
        async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
            try:
                return await call()
            except Exception as error:
                raise Skip("forgiven") from error

    async with Orchestrator("memory:", executors={"there": Near()}, middleware=[Forgiving()]) as orchestrator:
        result = await orchestrator.run(Plain(how="raises"))

    assert "skipped" == str(result.steps["look"].status)


async def test_bodies_end_in_many_ways():
    """The contract of all executors, without a process."""
    async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
        result = await orchestrator.run(Ends())
        values = await orchestrator.run(Values(points=[Point(2.0, frozenset())]))

    assert (3, 2) == (result[Ends.flaky], result[Ends.later])
    assert "KeyboardInterrupt was raised in a body" == result.steps["interrupts"].error.message  # type: ignore[union-attr]
    assert MANY == values[Values.back]


async def test_what_bodies_log_is_logged_here(caplog: pytest.LogCaptureFixture):
    """With all that they say of it; a thread of their own has no way home."""
    with caplog.at_level(logging.INFO, logger="orchwf.step"):
        async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
            await orchestrator.run(Knows())
        worklog._LOGGER.info("by somebody else")

    told = [each for each in caplog.records if each.name == "orchwf.step" and each.pathname == "(elsewhere)"]
    assert [("begins well", 7)] == [(each.getMessage(), vars(each)["row"]) for each in told]


async def test_what_bodies_log_is_logged_here_whatever_a_record_has(caplog: pytest.LogCaptureFixture):
    """Also if the program, or Ray, makes records that have more, here and there: what is here stays."""
    factory = logging.getLogRecordFactory()

    def with_more(*args: Any, **options: Any) -> logging.LogRecord:
        record = factory(*args, **options)
        record.host = "here"
        return record

    logging.setLogRecordFactory(with_more)
    try:
        with caplog.at_level(logging.INFO, logger="orchwf.step"):
            async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
                await orchestrator.run(Knows())
    finally:
        logging.setLogRecordFactory(factory)

    told = [vars(each) for each in caplog.records if each.name == "orchwf.step" and each.pathname == "(elsewhere)"]
    assert [("here", 7)] == [(each["host"], each["row"]) for each in told]


async def test_time_that_is_waited_for_a_worker_counts_for_all_attempts_together():
    """And is over though no body has begun."""
    async with Orchestrator("memory:", executors={"there": Near(waits=True)}) as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(Late())

    assert isinstance(caught.value.__cause__, StepTimeoutError)
    assert "step 'look' took longer than its total_timeout of 0.05 s" in str(caught.value)


async def test_a_body_of_which_nothing_is_heard_is_given_up():
    """From when it began; and what comes later is not heard."""
    async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed, match=r"gave no heartbeat for 0\.05 s"):
            await orchestrator.run(Silent())
        GO.set()


async def test_a_body_is_told_when_its_orchestrator_closes():
    """It has the grace to end in."""
    store = MemoryStore()
    async with Orchestrator(store, executors={"there": Near()}, grace=60) as orchestrator:
        run = await orchestrator.start(Patient())
        await until(lambda: bool(SEEN))
    assert ["begun", "told"] == SEEN
    async with Orchestrator(store, executors={"there": Near()}) as orchestrator:
        result = await (await orchestrator.get(run.id, workflow=Patient)).steps()

    assert '"told"' == result["look"].output


async def test_limits_and_caches_are_those_of_every_step():
    """What is kept needs no worker; what the body needs is passed on."""
    near_by = Near()
    async with Orchestrator("memory:", executors={"there": near_by}) as orchestrator:
        outputs = [(await orchestrator.run(Kept())).outputs["look"] for _ in range(2)]

    assert ([7, 7], ["ran"]) == (outputs, SEEN)
    assert [{"gpu": 0.5}] == near_by.resources
    assert 1 == near_by.closed


async def test_child_runs_are_read_and_what_was_done_is_undone_here():
    """A body gets what it would get here; its compensation runs in the process of the orchestrator."""
    async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed):
            await orchestrator.run(Parent())

    assert [("undone", "booked booked", os.getpid())] == SEEN


async def test_functions_of_a_made_workflow():
    """They stand in a module, and so does the class."""
    async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
        result = await orchestrator.run(near.made(start=1))

    assert {"look": 2, "double": 4} == dict(result.outputs)


async def test_those_that_wait_for_a_worker_take_no_place_from_others():
    """As many begin as there is room for; the others do when it is their turn."""
    async with Orchestrator("memory:", executors={"there": Near(room=1)}, max_concurrency=2) as orchestrator:
        crowd = await orchestrator.start(Crowd())
        await until(lambda: bool(SEEN))
        light = await orchestrator.run(Light())
        began = [event for event in (await crowd.steps())["heavy"].items.values() if event.attempts]
        GO.set()
        result = await crowd.result()

    assert (1, 1) == (light.outputs["look"], len(began))
    assert [1, 2, 3] == result.outputs["heavy"]
    assert [(what, number) for number in (1, 2, 3) for what in ("begins", "ends")] == SEEN


async def test_a_run_that_is_terminated_gives_its_room_back():
    """Also that of what has not begun."""
    async with Orchestrator("memory:", executors={"there": Near(room=1)}, max_concurrency=4) as orchestrator:
        first = await orchestrator.start(Crowd())
        second = await orchestrator.start(Crowd())
        await until(lambda: bool(SEEN))
        await first.terminate()
        await first.wait()
        GO.set()
        result = await second.result()

    assert [1, 2, 3] == result.outputs["heavy"]


async def test_heartbeats_come_home(tmp_path: Path):
    """Not each of a thousand, but the last one in any case."""
    async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
        run = await orchestrator.start(Reads(file=str(tmp_path / "rows")))
        result = await run.result()
        log = await log_of(run)

    told = [event.progress for event in log if isinstance(event, StepHeartbeat)]
    assert [[999, 999], "rows"] == [result.outputs["count"], result.steps["count"].attempts[0].error.message]  # type: ignore[union-attr]
    assert "999" == told[-1]
    assert len(told) < 20


async def test_a_fake_runs_here():
    """No worker could import it."""
    async with TestOrchestrator(executors={"there": Near(waits=True)}) as orchestrator:
        with override(Plain.look, lambda: 9):
            result = await orchestrator.run(Plain())

    assert 9 == result.outputs["look"]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"kind": "song"}, ExecutorError, "what a worker answered is no answer: 'song'"),
        ({"kind": "unimportable", "reason": "because"}, NotImportableError, "for what it is here: because"),
    ],
)
async def test_what_is_answered_may_be_no_end_of_a_body(
    answer: Mapping[str, object], error: type[Exception], message: str
):
    """That is an error with a name."""
    strange = Near(answer=lambda text: json.dumps(answer))
    async with Orchestrator("memory:", executors={"there": strange}) as orchestrator:
        result = await orchestrator.run(Plain())

    told = result.steps["look"].error
    assert told is not None
    assert f"orchwf.errors.{error.__name__}" == told.type_name
    assert message in told.message


async def test_another_release_is_refused():
    """What is sent could mean something else to it."""

    def of_another_release(text: str) -> str:
        from orchwf.runtime.remote import answer

        return answer(json.dumps({**json.loads(text), "protocol": 0}), None)  # type: ignore[arg-type]

    async with Orchestrator("memory:", executors={"there": Near(answer=of_another_release)}) as orchestrator:
        result = await orchestrator.run(Plain())

    assert "orchwf is of another release there" in result.steps["look"].error.message  # type: ignore[union-attr]


async def test_nothing_is_logged_that_nobody_wants(caplog: pytest.LogCaptureFixture):
    """Levels are those of here."""
    with caplog.at_level(logging.ERROR, logger="orchwf.step"):
        said = json.dumps({"kind": "log", "level": logging.INFO, "message": "so", "extra": {}, "trace": None})
        loud = json.dumps({"kind": "log", "level": logging.ERROR, "message": "oh", "extra": {}, "trace": "Trace"})

        class Chatty(Near):
            async def run(self, call: Any) -> str:
                call.heard(said)
                call.heard(loud)
                return await super().run(call)

        async with Orchestrator("memory:", executors={"there": Chatty()}) as orchestrator:
            await orchestrator.run(Plain())

    assert ["oh"] == [each.getMessage() for each in caplog.records if each.name == "orchwf.step"]


async def test_an_orchestrator_that_is_closed_runs_nothing_more():
    """Nor does it open anything again."""
    from orchwf.runtime.executors import Executors

    executors = Executors({"there": Near()})
    await executors.close()

    with pytest.raises(ExecutorError, match="the orchestrator is closed"):
        executors.workers("there")
    await asyncio.sleep(0)
