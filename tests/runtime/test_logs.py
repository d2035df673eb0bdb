"""What is logged: every event as one structured line, and nothing until somebody listens."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchwf
from orchwf import Cache, Orchestrator, Retry, Skip, StepContext, make_workflow, signal, sleep, step, subflow, workflow
from orchwf.testing import TestOrchestrator
from tests.runtime.flows import log_of
from tests.slowness import without_slowness

LOGGER = logging.getLogger("orchwf")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Configuring logging is for the whole process: each test leaves it as it was."""
    handlers, level, propagate = list(LOGGER.handlers), LOGGER.level, LOGGER.propagate
    yield
    LOGGER.handlers[:], LOGGER.propagate = handlers, propagate
    LOGGER.setLevel(level)


def flow() -> type:
    @step(retries=Retry(1, initial=0))
    async def flaky(ctx: StepContext) -> str:
        ctx.log.info("trying", number=ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError("a secret: no, this is the error")
        return "the secret output"

    @step
    async def skips() -> None:
        raise Skip("nothing to do")

    @step(required=False, depends_on=flaky)
    async def fails() -> None:
        raise KeyError("x")

    return make_workflow("Logged", [flaky, skips, fails], inputs={"password": str})


async def test_every_event_is_one_line(caplog: pytest.LogCaptureFixture):
    """Its name is the kind, its fields say which run, workflow, step and attempt; never inputs or outputs."""
    caplog.set_level(logging.INFO, "orchwf")

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow()(password="hidden"), run_id="r")
        await run.wait()
        log = await log_of(run)

    lines = [record for record in caplog.records if record.name == "orchwf"]
    assert [event.kind for event in log] == [record.getMessage() for record in lines]
    retrying = next(vars(record) for record in lines if record.getMessage() == "step.retrying")
    assert ("r", "Logged", "flaky", 1) == tuple(retrying[name] for name in ("run_id", "workflow", "step", "attempt"))
    assert "WARNING" == retrying["levelname"]
    everything = " ".join(str(vars(record)) for record in lines)
    assert "hidden" not in everything
    assert "secret output" not in everything


async def test_a_hit_is_told(caplog: pytest.LogCaptureFixture):
    """With the run that computed the output, and the key; not with the output."""
    caplog.set_level(logging.INFO, "orchwf")
    made = make_workflow("Kept", {"a": step(cache=Cache())(lambda: "the secret output")})

    async with Orchestrator("memory:") as orchestrator:
        for run_id in ("one", "two"):
            await orchestrator.run(made(), run_id=run_id)

    (hit,) = [vars(record) for record in caplog.records if record.getMessage() == "cache.hit"]
    assert ("two", "a", 0, "one") == tuple(hit[name] for name in ("run_id", "step", "attempt", "cached_from"))
    assert 64 == len(hit["key"])
    assert "secret output" not in str(hit)


async def test_reasons_are_told(caplog: pytest.LogCaptureFixture):
    """Of a cancellation, of what was skipped, and of a resume."""
    caplog.set_level(logging.INFO, "orchwf")

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(flow()(password="hidden"))
        await run.cancel("enough")
        await run.wait()
        failing = make_workflow("Fails", {"x": step(fails)})
        await (await orchestrator.start(failing(), run_id="f")).wait()
        await (await orchestrator.resume("f")).wait()

    told = {record.getMessage(): vars(record) for record in caplog.records}
    assert "cancel" == told["signal.received"]["signal"]
    assert "retry" == told["run.resumed"]["reason"]
    assert ["x"] == told["run.failed"]["steps"]


async def fails() -> None:
    raise ValueError("bad")


async def test_steps_log_with_their_names_bound(caplog: pytest.LogCaptureFixture):
    """`ctx.log` says which attempt of which step of which run it is."""
    caplog.set_level(logging.INFO, "orchwf")

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(flow()(password="hidden"), run_id="r")

    said = [vars(record) for record in caplog.records if record.name == "orchwf.step"]
    assert [("trying", 1), ("trying", 2)] == [(line["msg"], line["number"]) for line in said]
    assert {("r", "Logged", "flaky")} == {(line["run_id"], line["workflow"], line["step"]) for line in said}


def test_nothing_is_printed_until_somebody_listens(tmp_path: Path):
    """Neither by failing steps nor by their own logging, in a program that configures nothing."""
    code = """
import orchwf
from orchwf import StepContext, make_workflow, step
def loud(ctx: StepContext) -> None:
    ctx.log.error("loud")
    raise ValueError("bad")
try:
    orchwf.run(make_workflow("Loud", {"loud": step(loud)})(), store="memory:")
except orchwf.RunFailed:
    pass
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ("", "") == (done.stdout, without_slowness(done.stderr))


def run_with(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, **options: object) -> list[str]:
    monkeypatch.setattr(sys, "stderr", stream)
    orchwf.configure_logging(**options)  # type: ignore[arg-type]
    orchwf.run(flow()(password="hidden"), store="memory:", run_id="r")
    return stream.getvalue().splitlines()


def test_configured_as_json(monkeypatch: pytest.MonkeyPatch):
    """One object a line, with the time, the level and the event."""
    lines = [json.loads(line) for line in run_with(io.StringIO(), monkeypatch, json=True)]

    assert {"timestamp", "level", "event", "run_id", "workflow", "seq"} <= set(lines[0])
    assert ("run.started", "info") == (lines[0]["event"], lines[0]["level"])
    assert "trying" in [line["event"] for line in lines]


def test_configured_for_people(monkeypatch: pytest.MonkeyPatch):
    """One line each, without colours where there is no terminal; a second call replaces the first."""
    orchwf.configure_logging(json=True)

    lines = run_with(io.StringIO(), monkeypatch, level="warning")

    assert ["step.retrying", "step.failed"] == [line.split("] ")[1].split()[0] for line in lines]
    assert "\x1b" not in "".join(lines)


def test_an_unknown_level_is_refused():
    """With what there is."""
    with pytest.raises(ValueError, match="level takes one of CRITICAL"):
        orchwf.configure_logging(level="loud")
    with pytest.raises(orchwf.OrchwfError, match="not None"):
        orchwf.configure_logging(level=None)  # type: ignore[arg-type]


async def test_items_are_told_apart(caplog: pytest.LogCaptureFixture):
    """Which item it was is bound to what happened to it, and to nothing else; what a step waits for is told, too."""
    caplog.set_level(logging.INFO, "orchwf")

    @workflow
    class Child:
        @step
        def work(self) -> int:
            return 1

    @workflow
    class Flow:
        @step
        def files(self) -> list[int]:
            return [10, 20]

        @step
        def parse(self, file: int = files.each) -> int:
            return file

        rest = sleep(0.25)
        paid = signal(int)

        @subflow
        def ship(self) -> Child:
            return Child()

    async with TestOrchestrator() as orchestrator:
        run = await orchestrator.start(Flow(), run_id="r")
        await run.send(Flow.paid, 1)
        await run.wait()

    lines = [vars(record) for record in caplog.records if vars(record).get("run_id") == "r"]
    parsed = [(line["msg"], line.get("item")) for line in lines if line.get("step") == "parse"]
    assert {("step.started", None), ("step.expanded", None), ("step.completed", None)} < set(parsed)
    assert {("step.started", 0), ("step.started", 1), ("step.completed", 0), ("step.completed", 1)} < set(parsed)
    told = {line["msg"]: line for line in lines}
    assert (2, "r/ship") == (told["step.expanded"]["count"], told["child.started"]["child"])
    assert {"rest": 0.25} == {
        line["step"]: line["delay"] for line in lines if line["msg"] == "timer.set" and line["step"] == "rest"
    }
