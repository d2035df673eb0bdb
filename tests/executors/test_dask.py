"""A Dask cluster that others run: it goes, and comes back."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from orchwf import ExecutorError, ExecutorUnavailableError, NotImportableError, Orchestrator, RunFailed, UsageError
from orchwf.core.events import StepFailed
from orchwf.executors import DaskExecutor, dask
from orchwf.executors.dask import _sent, _taking
from orchwf.ports import Call
from orchwf.runtime.remote import answer
from tests.conftest import ROOT
from tests.executors.conftest import NEEDS_DASK
from tests.executors.flows import Endless, noted
from tests.executors.near import SEEN, Kept, Patient
from tests.runtime.flows import log_of, until

pytestmark = NEEDS_DASK


@contextmanager
def cluster(port: int = 0) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a scheduler, and the process in which all of its cluster is."""
    command = [sys.executable, "-m", "tests.executors.cluster", str(port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.kill()


@pytest.mark.slow
async def test_a_scheduler_that_is_lost_and_comes_back(tmp_path: Path):
    """What ran may have happened, and nobody knows: it is told of, and not done again. The next run is as ever."""
    file = tmp_path / "notes"
    with cluster() as (address, process):
        there = DaskExecutor(address=address, client_options={"timeout": "30s"})
        async with Orchestrator("memory:", executors={"there": there}) as orchestrator:
            first = (await orchestrator.run(Kept())).outputs["look"]
            run = await orchestrator.start(Endless(file=str(file)))
            await until(lambda: any(line.startswith("long") for line in noted(file)))
            process.send_signal(signal.SIGKILL)
            await run.wait()
            failed = [event for event in await log_of(run) if isinstance(event, StepFailed)][-1]
            with cluster(int(address.rpartition(":")[2])):
                again = (await orchestrator.run(Kept(), use_cache=False)).outputs["look"]

    assert (7, 7) == (first, again)
    assert ("long", True) == (failed.step, failed.runs_on)
    assert "orchwf.errors.ExecutorUnavailableError" == failed.error.type_name
    assert "what became of step 'long' of run" in failed.error.message


@pytest.fixture
async def here() -> AsyncIterator[DaskExecutor]:
    """A cluster in this process, with threads for workers."""
    from distributed import LocalCluster

    async with LocalCluster(
        processes=False, n_workers=1, threads_per_worker=2, protocol="tcp://", asynchronous=True,
        dashboard_address="127.0.0.1:0", resources={"gpu": 1},
    ) as made:  # fmt: skip
        yield DaskExecutor(address=made.scheduler_address)


async def test_what_a_worker_does(here: DaskExecutor):
    """It has the resources that are asked for, passes on what is said, and knows when a body was given up."""
    SEEN.clear()
    async with Orchestrator("memory:", executors={"there": here}) as orchestrator:
        kept = await orchestrator.run(Kept())
        run = await orchestrator.start(Patient())
        await until(lambda: "begun" in SEEN)
        await run.cancel()
        await run.wait()
        await until(lambda: "told" in SEEN)
        status = await run.status()

    assert 7 == kept[Kept.look]
    assert "cancelled" == str(status)


async def test_a_task_that_dask_begins_again_is_not_run_again(here: DaskExecutor):
    """As it does where a worker is lost, and the results that it kept; whoever waits is told."""
    from distributed import get_client, get_worker

    def twice() -> list[bool]:
        take, key = _taking(), str(get_worker().get_current_task())
        return [get_client().run_on_scheduler(take, key) for _ in range(2)]

    from distributed import Client

    async with Client(here.address, asynchronous=True) as client:
        assert [True, False] == await client.submit(twice)
        assert not await client.run_on_scheduler(_taking(), "nobody wants it")


def run_here(function: str, text: bytes, topic: str) -> str:
    """What a worker has in its module `orchwf.executors.dask`."""
    return f"{function} {text.decode()} {topic}"


def test_what_is_sent_by_value():
    """To a worker, how to find the rest; to the scheduler, how to see what is taken up a second time."""

    @attrs.define
    class Task:
        metadata: dict[str, bool] | None = None

    @attrs.define
    class Scheduler:
        tasks: dict[str, Task]

    scheduler = Scheduler({"task": Task(), "other": Task({"mine": True})})

    assert "f text topic" == _sent()(__name__, "f", b"text", "topic")
    assert [True, False] == [_taking()("task", scheduler) for _ in range(2)]
    assert [True, False] == [_taking()("other", scheduler), _taking()("gone", scheduler)]
    assert {"mine": True, "orchwf": True} == scheduler.tasks["other"].metadata


async def test_a_second_call_is_told_as_a_death(here: DaskExecutor, monkeypatch: pytest.MonkeyPatch):
    """That of the worker which had it first."""
    monkeypatch.setattr(dask, "_taking", lambda: lambda key, dask_scheduler: False)
    async with Orchestrator("memory:", executors={"there": here}) as orchestrator:
        with pytest.raises(RunFailed, match="has died or was retired; another one was kept from it"):
            await orchestrator.run(Kept())


async def test_other_errors_have_names_too():
    """What Dask raises for reasons of its own."""
    workers = DaskExecutor(address="tcp://127.0.0.1:1").open("there")
    call = Call(label="step 'a' of run 'r'", function=answer, text="", resources={}, heard=lambda text: None)

    told = [workers._told(error, call) for error in (ImportError("orchwf"), OSError("gone"), ValueError("odd"))]

    assert [
        (NotImportableError, "a worker cannot import orchwf: orchwf", False),
        (ExecutorUnavailableError, "what became of step 'a' of run 'r' is not known: gone", True),
        (ExecutorError, "step 'a' of run 'r' was not run: ValueError: odd", True),
    ] == [(type(each), str(each).removeprefix("executor 'there': "), each.runs_on) for each in told]
    assert workers.room is None
    with pytest.raises(UsageError, match="takes one such as"):
        DaskExecutor(address="")


async def test_a_scheduler_that_is_not_there():
    """Nothing has begun."""
    there = DaskExecutor(address="tcp://127.0.0.1:1", client_options={"timeout": "0.2s"})
    async with Orchestrator("memory:", executors={"there": there}) as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(Kept())

    cause = caught.value.__cause__
    assert isinstance(cause, ExecutorUnavailableError)
    assert not cause.runs_on
    assert "no scheduler can be reached at tcp://127.0.0.1:1" in str(cause)
