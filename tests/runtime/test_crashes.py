"""Processes that are killed, and what is left of their runs."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from orchwf import Orchestrator, RunOwnedError, RunStatus
from orchwf.core import events as ev
from orchwf.runtime.owner import Owner, is_dead, parse_owner, this_process
from tests.conftest import ROOT
from tests.runtime import crashing
from tests.runtime.crashing import Branching
from tests.runtime.flows import log_of

PROGRAM = ROOT / "tests" / "runtime" / "crashing.py"


@pytest.fixture(autouse=True)
def bodies_here_leave_no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workflow of the program is run in this process, too."""
    monkeypatch.setattr(crashing, "note", lambda line: None)


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def program(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False)


def killed_at(count: int, *arguments: object) -> None:
    """Run the program until its bodies have begun so often: that one kills the process."""
    assert -signal.SIGKILL == program(*arguments, count).returncode


@needs_kill
@pytest.mark.parametrize("count", range(1, 8))
async def test_a_killed_run_is_taken_up_and_no_finished_step_runs_twice(tmp_path: Path, count: int):
    """
    Invariants 1, 2 and 4: killed anywhere, the run ends with the same figures; no step starts after its completion was
    stored; each body began after its start was stored.
    """
    store, effects = f"sqlite:///{tmp_path / 'runs.db'}", tmp_path / "effects"
    killed_at(count, store, "r", effects)
    before = [event for event in await _log(store) if isinstance(event, ev.StepCompleted)]

    output = program(store, "r", effects).stdout

    log = await _log(store)
    completed = [event.step for event in log if isinstance(event, ev.StepCompleted)]
    started = Counter(event.step for event in log if isinstance(event, ev.StepStarted))
    assert "34\n" == output
    assert sorted(set(completed)) == sorted(completed)
    assert before == [event for event in log if isinstance(event, ev.StepCompleted)][: len(before)]
    assert not {event.step for event in before} & {event.step for event in _after_resume(log)}
    assert Counter(effects.read_text().split()) <= started
    assert _integrity(tmp_path / "runs.db") == "ok"


async def _log(store: str) -> list[ev.Event]:
    async with Orchestrator(store) as orchestrator:
        return await log_of(await orchestrator.get("r"))


def _after_resume(log: list[ev.Event]) -> list[ev.StepStarted]:
    resumed = [event.seq for event in log if isinstance(event, ev.RunResumed)]
    return [event for event in log if isinstance(event, ev.StepStarted) and resumed and event.seq > resumed[0]]


def _integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


@needs_kill
async def test_resume_takes_up_a_run_whose_owner_died(tmp_path: Path):
    """At once: its process is known to be gone."""
    store, effects = f"sqlite:///{tmp_path / 'runs.db'}", tmp_path / "effects"
    killed_at(2, store, "r", effects)

    async with Orchestrator(store) as orchestrator:
        assert RunStatus.RUNNING is await (await orchestrator.get("r")).status()
        # The class runs under another module name here: its graph is what counts.
        orchestrator._runs.registry.add(Branching)
        result = await (await orchestrator.resume("r")).result()

    assert 34 == result[Branching.total]


@needs_kill
async def test_a_request_to_cancel_outlives_the_owner(tmp_path: Path):
    """Asked while nobody executes the run, it is heeded by whoever takes the run up."""
    store, effects = f"sqlite:///{tmp_path / 'runs.db'}", tmp_path / "effects"
    killed_at(1, store, "r", effects)
    async with Orchestrator(store) as stranger:
        await (await stranger.get("r")).cancel("late")

    async with Orchestrator(store, workflows=[Branching]) as orchestrator:
        result = await (await orchestrator.get("r")).wait()

    assert (RunStatus.CANCELLED, "late") == (result.status, result.error)


@needs_kill
async def test_cancelling_an_orphan_takes_it_up(tmp_path: Path):
    """If its workflow is known here."""
    store, effects = f"sqlite:///{tmp_path / 'runs.db'}", tmp_path / "effects"
    killed_at(1, store, "r", effects)

    async with Orchestrator(store) as orchestrator:
        orchestrator._runs.registry.add(Branching)
        run = await orchestrator.get("r")
        await run.cancel("mine")
        result = await run.wait()

    assert (RunStatus.CANCELLED, "mine") == (result.status, result.error)


async def test_a_run_of_a_living_process_is_left_alone(tmp_path: Path):
    """Neither on entry nor by resume."""
    store, effects = f"sqlite:///{tmp_path / 'runs.db'}", tmp_path / "effects"
    code = textwrap.dedent(
        f"""
        import asyncio, sys
        sys.argv[1:] = ["x", "r", {str(effects)!r}]
        from orchwf import Orchestrator, make_workflow, step
        async def waits() -> None:
            print("waiting", flush=True)
            await asyncio.Event().wait()
        async def main():
            async with Orchestrator({store!r}, grace=0) as orchestrator:
                await (await orchestrator.start(make_workflow("Waits", dict(a=step(waits)))(), run_id="r")).wait()
        asyncio.run(main())
        """
    )
    owner = subprocess.Popen(  # noqa: ASYNC220 - it is waited for in a thread
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        assert owner.stdout is not None
        await asyncio.to_thread(owner.stdout.readline)
        async with Orchestrator(store, workflows=[Branching]) as orchestrator:
            with pytest.raises(RunOwnedError, match=f"process {owner.pid} on"):
                await orchestrator.resume("r")
            kinds = [event.kind for event in await log_of(await orchestrator.get("r"))]
    finally:
        owner.kill()
        owner.communicate()

    assert ["run.started", "step.started"] == kinds


@needs_kill
def test_everything_is_stored_when_run_returns(tmp_path: Path):
    """Killed at once after `orchwf.run` came back from a run of 1,000 steps, the store has every one."""
    path = tmp_path / "runs.db"
    code = textwrap.dedent(
        f"""
        import os, signal, orchwf
        from orchwf import make_workflow, step
        async def one() -> int:
            return 1
        flow = make_workflow("Wide", {{f"s{{n}}": step(one) for n in range(1000)}})
        orchwf.run(flow(), store={f"sqlite:///{path}"!r}, run_id="r")
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )

    process = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=False)

    connection = sqlite3.connect(path)
    counts = dict(connection.execute("SELECT status, count(*) FROM steps WHERE run = 'r' GROUP BY status"))
    connection.close()
    assert -signal.SIGKILL == process.returncode
    assert {"completed": 1000} == counts


def test_owners():
    """A process is known by its pid and the time of its start."""
    here = this_process("k")

    assert here == parse_owner(str(here))
    assert not is_dead(here)
    assert is_dead(Owner(here.host, here.pid, "another start", "k"))
    assert is_dead(Owner(here.host, 2**22 + 1, here.birth, "k"))
    assert not is_dead(Owner("elsewhere/m/b/p", 1, "1", "k"))
    assert f"process {os.getpid()} on {here.host.partition('/')[0]}" == here.label


def test_a_reboot_ends_all_owners():
    """The same machine and space of process ids, but another boot."""
    here = this_process("k")
    name, machine, boot, space = here.host.split("/", 3)

    if boot:
        assert is_dead(Owner(f"{name}/{machine}/before/{space}", here.pid, here.birth, "k"))
    assert not is_dead(Owner(f"{name}/another/before/{space}", here.pid, here.birth, "k"))
