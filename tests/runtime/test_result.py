"""What a handle and a result say, and how they show themselves."""

import base64
from pathlib import Path

import pytest

from orchwf import Orchestrator, RunNotFoundError, RunStatus, UnknownStepError, UsageError, make_workflow, step
from orchwf.core.events import RunPaused, RunStarted
from orchwf.core.history import History
from tests.runtime.flows import Gate


@step
async def one() -> int:
    return 1


@step(required=False)
async def bad() -> int:
    raise ValueError("bad")


@step
async def both(one: int, bad: int | None = bad.maybe) -> list[int]:
    return [one]


Flow = make_workflow("Flow", [one, bad, both])


def svg_of(bundle: dict[str, str]) -> str:
    encoded = bundle["text/html"].split("base64,")[1].split('"')[0]
    return base64.b64decode(encoded).decode()


async def test_a_result_shows_itself():
    """As text for a prompt, and as a picture in which each step has its state."""
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(Flow(), run_id="r")
    bundle = result._repr_mimebundle_()

    assert repr(result).startswith("<Flow run r completed in ")
    assert "(2 completed, 1 failed)" in repr(result)
    assert {"text/html", "text/plain"} == set(bundle)
    assert "failed" in svg_of(bundle)


async def test_a_handle_shows_itself():
    """While the run goes on, and where nothing is known of it."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", [waits])(), run_id="r")
        await gate.came.get()
        during = run._repr_mimebundle_()
        gate.open()
        await run.wait()
        after = run._repr_mimebundle_()
        stranger = await orchestrator.get("r")

    assert "running" in svg_of(during)
    assert "completed" in svg_of(after)
    assert {"text/plain": "<run r>"} == stranger._repr_mimebundle_()


async def test_outputs_are_a_mapping():
    """Of the steps that completed, and no others."""
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(Flow())

    assert 2 == len(result.outputs)
    assert "{'one': 1, 'both': [1]}" == repr(result.outputs)
    with pytest.raises(UsageError, match=r"it is failed \(ValueError: bad\)"):
        result["bad"]
    with pytest.raises(UsageError, match=r"Flow has no step 'x'\. Known steps: one, bad, both"):
        result["x"]
    with pytest.raises(UnknownStepError, match="Did you mean 'both'"):
        result["boht"]
    with pytest.raises(UsageError, match="a result is asked for a step or the name of one, not for 3"):
        result[3]  # type: ignore[index]


async def test_a_result_in_a_process_without_the_code(tmp_path: Path):
    """The definition in the store is enough for steps and pictures; values come as they are stored."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    async with Orchestrator(url) as orchestrator:
        await orchestrator.run(Flow(), run_id="r")

    async with Orchestrator(url) as orchestrator:
        result = await (await orchestrator.get("r")).wait()

    assert ["one", "bad", "both"] == list(result.steps)
    assert [1] == result["both"]
    assert "text/html" in result._repr_mimebundle_()


async def test_a_run_in_the_middle():
    """It has no end and no duration yet."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", [waits])(), run_id="r")
        await gate.came.get()
        result = await run._result(await run._ledger.record(run.id))
        gate.open()

    assert (RunStatus.RUNNING, None, None) == (result.status, result.duration, result.steps["waits"].duration)
    assert repr(result) == "<Waits run r running (1 running)>"


def test_history_knows_pauses():
    """The status follows the log."""
    log = [
        RunStarted(seq=1, at=1.0, workflow="F", version="1", fingerprint="f", inputs="{}"),
        RunPaused(seq=2, at=2.0),
    ]

    assert RunStatus.PAUSED is History("r").extend(log).status


async def test_the_result_of_a_run_that_was_deleted():
    """Whoever still has its handle is told so."""

    async def nothing() -> None:
        pass

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Gone", [nothing])(), run_id="r")
        await run.result()
        await orchestrator.delete("r")

        with pytest.raises(RunNotFoundError, match="'r'"):
            await run.result()
