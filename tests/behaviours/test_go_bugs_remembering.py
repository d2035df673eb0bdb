"""
What the Go package of the same name was seen to do wrong with outputs, logs, listings and resumed runs.

The names of the tests have the numbers of our list of its bugs.
"""

import asyncio
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import orchwf
from orchwf import (
    Orchestrator,
    OrchwfError,
    Retry,
    RunFailed,
    StoreError,
    UsageError,
    WorkflowChangedError,
    make_workflow,
    step,
    workflow,
)
from orchwf.ports import Append
from orchwf.stores.memory import MemoryStore
from tests.behaviours.flows import (
    failing_first,
    log_of,
    nothing,
    raising,
    returning,
    start_and_wait,
)


@pytest.mark.parametrize("scheme", ["memory:", "sqlite:"])
async def test_bug_10_11_17_resume_runs_what_did_not_complete(scheme: str, tmp_path: Path):
    """A failed run goes on with the failed step: what completed is not run again, what follows runs once."""
    store = scheme if scheme == "memory:" else f"sqlite:///{tmp_path / 'runs.db'}"

    async with failing_first(store) as (orchestrator, flow, calls):
        run = await orchestrator.resume("mended")
        result = await run.result()

    assert calls == ["first", "second", "second", "third"]
    assert result[flow.third] == 3
    assert [record.name for record in result.steps.values()] == ["first", "second", "third"]


async def test_bug_10_resume_of_a_completed_run_is_an_error():
    """Where there is nothing to resume that is said, not silently done."""
    flow = make_workflow("Done", {"only": nothing})

    async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow(), run_id="done")
        await run.wait()
        with pytest.raises(UsageError, match="nothing to resume"):
            await orchestrator.resume("done")


def test_bug_12_what_needs_a_failed_optional_step_is_skipped_with_a_reason():
    """A dependent does not run on an empty output: it is skipped, or asks for None in so many words."""

    @workflow
    class Dependents:
        @step(required=False)
        async def extra(self) -> int:
            raise ValueError("none today")

        @step(depends_on=extra)
        async def after(self) -> None: ...

        @step
        async def without(self, extra: int | None = extra.maybe) -> bool:
            return extra is None

    result = orchwf.run(Dependents(), store="memory:")

    assert result.outputs == {"without": True}
    assert result.steps["after"].status == "skipped"
    assert "extra" in result.steps["after"].reason


async def test_bug_14_outputs_can_be_fetched_from_elsewhere(tmp_path: Path):
    """What a background run gave is read by its id, with its types, by an orchestrator that did not run it."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"

    @workflow
    class Timed:
        @step
        async def took(self) -> timedelta:
            return timedelta(minutes=3)

    await start_and_wait(Timed(), store, "timed")

    async with Orchestrator(store, workflows=[Timed]) as other:
        result = await (await other.get("timed")).result()

    assert result[Timed.took] == timedelta(minutes=3)


def test_bug_15_two_hundred_threads_lose_nothing():
    """Plain functions in threads finish at the same moment, and every output arrives."""
    steps = {f"s{number}": returning(number) for number in range(200)}
    flow = make_workflow("Threads", {**steps, "all": step(depends_on=list(steps))(collected)})

    result = orchwf.run(flow(), store="memory:")

    assert result["all"] == sorted(range(200))


def collected(**outputs: int) -> list[int]:
    return sorted(outputs.values())


async def test_bug_16_45_every_attempt_is_kept_with_error_and_delay(tmp_path: Path):
    """From the store alone one sees each attempt, why it failed, and how long the wait was."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    flow = make_workflow(
        "Failing", {"bad": step(retries=Retry(2, initial=0.001, jitter=None))(raising(OSError("disk")))}
    )
    await start_and_wait(flow(), store, "failing")

    async with Orchestrator(store, workflows=[flow]) as other:
        events = await log_of(await other.get("failing"))

    assert [event.attempt for event in events if event.kind == "step.started"] == [1, 2, 3]
    retries = [event for event in events if event.kind == "step.retrying"]
    assert [(event.attempt, event.error.headline, event.delay) for event in retries] == [
        (1, "OSError: disk", 0.001),
        (2, "OSError: disk", 0.002),
    ]


def test_bug_18_outputs_do_not_overwrite_each_other():
    """Keys of an output that equal an input, a step or another output change neither."""

    @workflow
    class Keys:
        i: int

        @step
        def a(self) -> dict[str, int]:
            return {"b": -1, "i": 99}

        @step
        def b(self, a: dict[str, int] = a.result) -> dict[str, int]:
            return {"i": self.i, "a": a["b"]}

    result = orchwf.run(Keys(i=1), store="memory:")

    assert result.outputs == {"a": {"b": -1, "i": 99}, "b": {"i": 1, "a": -1}}


@pytest.mark.parametrize(
    "arguments",
    [{"workflow_id": "x"}, {"status": "complete"}, {"limit": -1}, {"cursor": "nonsense"}],
    ids=["bug_21_name", "bug_23_status", "bug_24_limit", "bug_24_cursor"],
)
async def test_bug_21_23_24_wrong_filters_are_errors(arguments: dict[str, Any]):
    """A filter that does not exist, or a value that it cannot have, finds an error and not everything or nothing."""
    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises((TypeError, UsageError)):
            await orchestrator.list_runs(**arguments)


def test_bug_26_a_changed_value_does_not_leak():
    """What one dependent does to the value that it was given is seen neither by the other one nor in the result."""
    kept: list[dict[str, list[int]]] = []

    @workflow
    class Leak:
        @step
        def make(self) -> dict[str, list[int]]:
            kept.append({"values": [1]})
            return kept[0]

        @step
        def spoil(self, made: dict[str, list[int]] = make.result) -> None:
            made["values"].append(2)
            kept[0]["values"].append(3)

        @step(depends_on=spoil)
        def look(self, made: dict[str, list[int]] = make.result) -> list[int]:
            return made["values"]

    result = orchwf.run(Leak(), store="memory:")

    assert result[Leak.look] == [1]
    assert result[Leak.make] == {"values": [1]}


async def test_bug_38_two_resumes_run_it_once():
    """Who asks twice at the same moment gets one execution."""
    async with failing_first("memory:") as (orchestrator, _, calls):
        outcomes = await asyncio.gather(
            orchestrator.resume("mended"), orchestrator.resume("mended"), return_exceptions=True
        )
        await (await orchestrator.get("mended")).wait()

    assert calls == ["first", "second", "second", "third"]
    assert [
        outcome for outcome in outcomes if isinstance(outcome, BaseException) and not isinstance(outcome, UsageError)
    ] == []


async def test_bug_40_a_changed_graph_is_refused(tmp_path: Path):
    """A run is not resumed with a graph that it was not started with, and the error says what is different."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"
    before = make_workflow("Changing", {"only": raising(OSError("down"))})
    after = make_workflow("Changing", {"only": raising(OSError("down")), "added": nothing})
    await start_and_wait(before(), store, "changing")

    async with Orchestrator(store, workflows=[after]) as orchestrator:
        with pytest.raises(WorkflowChangedError, match="added"):
            await orchestrator.resume("changing")


async def test_bug_42_the_error_of_a_background_run_is_not_lost():
    """Who asks for the result of a background run later gets its error."""
    error = ValueError("unseen")
    flow = make_workflow("Unseen", {"bad": raising(error)})

    async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow())
        result = await run.wait()
        with pytest.raises(RunFailed) as caught:
            await run.result()

    assert result.error == "ValueError: unseen"
    assert caught.value.__cause__ is error


async def test_bug_43_old_runs_can_be_removed():
    """What ended longer ago than a given time is pruned."""
    flow = make_workflow("Old", {"only": nothing})

    async with Orchestrator("memory:", workflows=[flow]) as orchestrator:
        run = await orchestrator.start(flow(), run_id="old")
        await run.wait()
        await orchestrator.prune(older_than="0.000001s")
        left = await orchestrator.list_runs()

    assert list(left) == []


def threading_lock() -> object:
    return threading.Lock()


def test_bug_44_an_output_that_cannot_be_stored_names_step_and_type():
    """A step whose output is no value fails, and is not said to have completed."""
    flow = make_workflow("Unstorable", {"opened": threading_lock})

    with pytest.raises(RunFailed) as caught:
        orchwf.run(flow(), store="memory:")

    assert "opened" in str(caught.value)
    assert "lock" in str(caught.value.__cause__)


def test_bug_31_every_event_is_logged(caplog: pytest.LogCaptureFixture):
    """What happens in a run goes to the logger of the library, one line per event and without values."""
    flow = make_workflow("Logs", {"secret": lambda: "hunter2"})

    with caplog.at_level("DEBUG", logger="orchwf"):
        orchwf.run(flow(), store="memory:", run_id="logs")

    messages = [record.getMessage() for record in caplog.records if record.name.startswith("orchwf")]
    for kind in ("run.started", "step.started", "step.completed", "run.completed"):
        assert any(kind in message for message in messages), kind
    assert not any("hunter2" in message for message in messages)


class Forgetful(MemoryStore):
    """A store that cannot keep that a step completed."""

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        if any(event.kind == "step.completed" for append in appends for event in append.events):
            raise StoreError("the disk is full")
        return await super().append(appends)


async def test_bug_20_31_what_cannot_be_written_has_not_happened():
    """If the store fails, the run stops there and says so; the log has no half of a completion."""
    store = Forgetful()
    flow = make_workflow("Lost", {"first": returning(1), "second": step(depends_on="first")(nothing)})

    with pytest.raises(OrchwfError, match="lost") as caught:
        async with Orchestrator(store, workflows=[flow]) as orchestrator:
            await orchestrator.run(flow(), run_id="lost")

    assert "the disk is full" in str(caught.value.__cause__)
    assert [event.kind for event in await store.read("lost")] == ["run.started", "step.started"]
