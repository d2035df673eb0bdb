"""The processes of the executor `process`: how they end, and what they leave alone."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchwf import ExecutorError, ExecutorUnavailableError, Orchestrator, RunFailed, WorkerDiedError
from orchwf.core.events import StepStarted
from orchwf.executors import ProcessExecutor, child, process
from orchwf.executors.frames import Kind, read_frame, write_frame
from orchwf.ports import Call, Line
from tests.conftest import ROOT
from tests.executors.flows import noted
from tests.executors.program_flows import Late, Long, LongOnce, Number, Odd
from tests.executors.test_contract import is_gone
from tests.runtime.flows import log_of, until

PATIENCE = 60.0
"""Seconds for what takes one or two where the machine is not busy."""


def there(workers: int = 1) -> dict[str, ProcessExecutor]:
    return {"there": ProcessExecutor(max_workers=workers)}


def begun(*arguments: str, flags: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    command = [sys.executable, *flags, "-m", "tests.executors.program", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def numbers(file: Path) -> list[int]:
    """The processes that a body has noted: its own, and that which it began."""
    return [int(word) for line in noted(file) for word in line.split()]


async def test_what_is_out_of_time_is_gone_with_all_that_it_began(tmp_path: Path):
    """A fresh process takes its place."""
    file = tmp_path / "notes"
    async with Orchestrator("memory:", executors=there()) as orchestrator:
        result = await orchestrator.run(Late(file=str(file)))
        own, other = numbers(file)
        await until(lambda: is_gone(own) and is_gone(other))
        after = (await orchestrator.run(Number()))[Number.look]

    assert "StepTimeoutError" in str(result.steps["look"].error)
    assert after not in (own, other, os.getpid())
    assert is_gone(after)


@pytest.mark.parametrize(("workflow", "end"), [("Long", "completed"), ("LongOnce", "paused")])
async def test_processes_end_with_a_program_that_is_killed(tmp_path: Path, workflow: str, end: str):
    """With all that they began. Who goes on runs the body again, unless that may be done once only."""
    file, store = tmp_path / "notes", f"sqlite:///{tmp_path / 'runs.db'}"
    with begun(store, workflow, str(file)) as program:
        await until(lambda: len(numbers(file)) == 2)
        program.kill()
        program.communicate(timeout=PATIENCE)
    own, other = numbers(file)
    await until(lambda: is_gone(own) and is_gone(other))

    flow = {"Long": Long, "LongOnce": LongOnce}[workflow]
    async with Orchestrator(store, workflows=[flow], executors=there()) as orchestrator:
        run = await orchestrator.get("r")
        await run.wait()
        log = await log_of(run)

    assert f"run.{end}" == log[-1].kind
    assert [1, 2][: 2 if end == "completed" else 1] == [each.attempt for each in log if isinstance(each, StepStarted)]
    assert [own, other] == numbers(file)


async def test_what_bodies_print_mixes_with_nothing(tmp_path: Path):
    """It goes to standard error; what a program reads from its input is its own. No warning is given in all this."""
    with begun("memory:", "Loud", str(tmp_path / "notes"), flags=["-W", "error", "-X", "dev"]) as program:
        out, err = program.communicate(b"for the program", timeout=PATIENCE)

    assert (0, b"result ''\n") == (program.returncode, out)
    # On a busy machine asyncio says, in development mode, what took it long.
    said = [line for line in err.decode().splitlines() if not line.startswith("Executing <")]
    assert ["printed by a body", "written by a body", "said by what a body began"] == said


async def test_an_idle_process_that_has_died_is_replaced():
    """Nobody is told: it ran nothing."""
    async with Orchestrator("memory:", executors=there()) as orchestrator:
        first = (await orchestrator.run(Number()))[Number.look]
        again = (await orchestrator.run(Number()))[Number.look]
        os.kill(first, signal.SIGKILL)
        await until(lambda: is_gone(first))
        other = (await orchestrator.run(Number()))[Number.look]

    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("python", "reason"),
    [("/nowhere/python", "a process cannot be started: "), ("/bin/false", "a process did not start, its standard er")],
)
async def test_a_process_that_cannot_begin(monkeypatch: pytest.MonkeyPatch, python: str, reason: str):
    """The body has not begun, so what may be done once only may be tried again."""
    monkeypatch.setattr(sys, "executable", python)
    async with Orchestrator("memory:", executors=there()) as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(Number())

    cause = caught.value.__cause__
    assert isinstance(cause, ExecutorUnavailableError)
    assert not cause.runs_on
    assert f"executor 'there': {reason}" in str(cause)


@pytest.mark.parametrize("how", ["closes all", "closes its way home"])
async def test_a_body_that_closes_all_files_has_no_way_home(monkeypatch: pytest.MonkeyPatch, how: str):
    """It is taken for dead, and is soon."""
    monkeypatch.setattr(process, "_PATIENCE", 0.1)
    async with Orchestrator("memory:", executors=there()) as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(Odd(how=how))

    assert isinstance(caught.value.__cause__, WorkerDiedError)
    assert "it was killed by SIGKILL, as the system does when memory runs out" in str(caught.value)


async def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch):
    """A thread that a body has left behind keeps nobody waiting."""
    async with Orchestrator("memory:", executors=there()) as orchestrator:
        result = await orchestrator.run(Odd(how="leaves a thread"))
        monkeypatch.setattr(process, "_PATIENCE", 0.1)

    assert "done" == result.outputs["look"]


def test_what_is_sent_to_a_process():
    """It is called, told, and at last there is nothing more; what it says goes the other way."""
    ends: list[str] = []
    (request, sender), (receiver, answer) = os.pipe(), os.pipe()
    home = child._Home(request, answer, lambda: ends.append("end"))
    for kind, text in ((Kind.CALL, "first"), (Kind.TOLD, ""), (Kind.CALL, "second")):
        write_frame(sender, kind, text)
    os.close(sender)
    threading.Thread(target=home.listen).start()

    assert ["first", "second", None] == [home.next(), home.next(), home.next()]
    home.say("a \u00e4")
    assert (Kind.SAID, "a \u00e4") == read_frame(receiver)
    assert not home.is_told()
    os.close(receiver)
    assert ends in ([], ["end"])
    home.say("nobody is there")
    assert "end" == ends[-1]
    os.close(request)
    os.close(answer)


def test_a_process_whose_orchestrator_is_gone_ends_in_the_midst_of_a_body():
    """Nobody waits for it any more; where nothing runs it comes to its end by itself."""
    ends: list[str] = []
    (request, sender), (receiver, answer) = os.pipe(), os.pipe()
    home = child._Home(request, answer, lambda: ends.append("end"))
    listening = threading.Thread(target=home.listen)
    listening.start()
    write_frame(sender, Kind.CALL, "first")
    call = home.next()
    os.close(sender)
    listening.join()

    assert ("first", ["end"], None) == (call, ends, home.next())
    for each in (request, receiver, answer):
        os.close(each)


def test_what_a_process_says_of_what_it_calls():
    """That it is ready, that it has taken a call, and its answer, or what of ours went wrong in it."""
    (request, sender), (receiver, answer) = os.pipe(), os.pipe()
    for function in (right, wrong):
        write_frame(sender, Kind.CALL, f"{__name__}:{function.__name__}\nx")
    os.close(sender)

    # There is nobody to end it: it has to come to its end when all is done, or this does not.
    child._serve(child._Home(request, answer, lambda: None))

    os.close(answer)
    said = iter(lambda: read_frame(receiver), None)
    kinds, texts = zip(*said, strict=True)
    assert (Kind.READY, Kind.TAKEN, Kind.ANSWER, Kind.TAKEN, Kind.BUG) == kinds
    assert (str(os.getpid()), "", "right x", "") == texts[:4]
    assert "ValueError: x" in texts[4]
    os.close(request)
    os.close(receiver)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups of processes")
@pytest.mark.parametrize(("leads", "ended"), [(True, ["group", "own"]), (False, ["own"])])
def test_a_process_ends_with_all_that_its_body_began(
    monkeypatch: pytest.MonkeyPatch, leads: bool, ended: Sequence[str]
):
    """If it leads a group: in that of another one are processes that are not its own."""
    ends: list[str] = []
    monkeypatch.setattr(os, "getpgrp", lambda: os.getpid() if leads else 1)
    monkeypatch.setattr(os, "killpg", lambda *_: ends.append("group"))
    monkeypatch.setattr(os, "_exit", lambda _: ends.append("own"))

    child._end()

    assert ended == ends


def test_no_body_finds_the_pipes(monkeypatch: pytest.MonkeyPatch):
    """Its input is empty, its output is standard error; a program may have no stream for that."""
    kept = [os.dup(0), os.dup(1)]
    (request, sender), (receiver, answer) = os.pipe(), os.pipe()
    try:
        os.dup2(request, 0)
        os.dup2(answer, 1)
        monkeypatch.setattr(sys, "stdout", None)
        pipes = child._private_pipes()
        is_empty, is_error = os.read(0, 1) == b"", os.path.sameopenfile(1, 2)
    finally:
        for own, each in enumerate(kept):
            os.dup2(each, own)
    write_frame(sender, Kind.CALL, "in")
    write_frame(pipes[1], Kind.SAID, "out")

    assert is_empty
    assert is_error
    assert (Kind.CALL, "in") == read_frame(pipes[0])
    assert (Kind.SAID, "out") == read_frame(receiver)
    for each in (*kept, *pipes, request, sender, receiver, answer):
        os.close(each)


async def test_a_process_that_is_gone_takes_nothing():
    """Whoever wants to have it run something takes another one; to kill it once more is harmless."""
    worker = process._Worker("there", lambda _: None)
    worker.kill()
    await worker.gone.wait()

    with pytest.raises(process._UntakenError):
        await worker.run(Call(label="step 'a'", function=wrong, text="x", resources={}, heard=lambda text: None))
    worker.kill()


def test_a_message_that_is_cut_off_is_none():
    """Whoever wrote it has died."""
    receiver, sender = os.pipe()
    os.write(sender, b"s\0\0\0\0\0\0\0\x09half")
    os.close(sender)

    assert read_frame(receiver) is None
    os.close(receiver)


def test_how_a_process_died():
    """In words."""
    assert "it ended with exit code 3" == process._death(3)
    assert "it was killed by SIGSEGV" == process._death(-signal.SIGSEGV)
    assert "it was killed by signal 250" == process._death(-250)


def right(text: str, line: Line) -> str:
    """A function that is called in a process."""
    return f"right {text}"


def wrong(text: str, line: Line) -> str:
    """A function that raises, which it must not."""
    raise ValueError(text)


async def test_a_bug_of_ours_is_told_as_one():
    """Not as an answer, nor as a death."""
    workers = ProcessExecutor(max_workers=1).open("there")
    call = Call(label="step 'a'", function=wrong, text="x", resources={}, heard=lambda text: None)
    with pytest.raises(ExecutorError, match="a bug in orchwf: Traceback"):
        await workers.run(call)
    await workers.close()
    await workers.close()

    assert 1 == workers.room
