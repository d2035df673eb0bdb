"""Where processes share a store, and the processes: how a test starts them, tells them what to do, and ends them."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from orchwf import compile_workflow
from orchwf.core.events import Event, StepStarted
from orchwf.core.history import History
from orchwf.core.plan import Plan
from orchwf.ports import RunRecord
from orchwf.stores import open_store
from tests.kernel.oracles import check_effects, check_end, check_fates, check_start
from tests.processes.flows import WORKFLOWS
from tests.processes.shared import Shared, SharedFile

PATIENCE = 60.0
"""Seconds after which a test gives up that waits for something; nothing takes so long, however busy the machine is."""


class Noted(NamedTuple):
    """One line of the file of effects; see `flows`."""

    run: str
    step: str
    attempt: int
    pid: int
    what: str


def parse_noted(line: str) -> Noted:
    run, step, attempt, pid, what = line.split(" ")
    return Noted(run, step, int(attempt), int(pid), what)


class Refused(Exception):
    """What a command of a worker raised there: the name of the class, and its text."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text
        super().__init__(f"{kind}: {text}")


class Worker:
    """One process with an orchestrator; see `tests.processes.worker`."""

    def __init__(self, place: "Place", options: Mapping[str, object]) -> None:
        self._store = place.store
        self._process = place.begin("tests.processes.worker", place.url, json.dumps(options))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._told, self._said = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def enter(self) -> "Worker":
        """Let it enter its orchestrator; it is entered when this returns."""
        self.send("enter")
        return self.arrived()

    def arrived(self) -> "Worker":
        """It has entered when this returns, as it was told to."""
        while self.answer() != "entered":
            pass
        return self

    def send(self, *command: object) -> None:
        """Tell it what to do, and wait for nothing; one that is dead hears nothing."""
        with suppress(BrokenPipeError):
            os.write(self._told.fileno(), json.dumps(command).encode() + b"\n")

    def answer(self) -> Any:
        """What it says next."""
        line = self._said.readline()
        assert line, f"process {self.pid} has ended with {self.ended()}"
        return json.loads(line)

    def result(self) -> Any:
        """What came of the command that was not answered yet; raises `Refused` if it raised."""
        answer = self.answer()
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer["value"]

    def do(self, *command: object) -> Any:
        """Tell it what to do, and what came of it."""
        self.send(*command)
        return self.result()

    def start(self, workflow: type, run_id: str = "r", on_duplicate: str = "raise", **inputs: object) -> str:
        return str(self.do("start", workflow.__name__, run_id, inputs, on_duplicate))

    def wait(self, run_id: str = "r") -> dict[str, Any]:
        """Status, error and outputs of a run, once it has ended or pauses."""
        return dict(self.do("wait", run_id))

    def stop(self) -> None:
        """Let it stand still, wherever it is, but where others would have to wait for it: in the midst of a write."""
        while True:
            self._process.send_signal(signal.SIGSTOP)
            os.waitpid(self.pid, os.WUNTRACED)
            if self._store.can_be_written():
                return
            self.go_on()

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it; it is dead when this returns."""
        self._process.kill()
        self.ended()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def leave(self) -> int:
        """Let it leave in good order, and its exit code."""
        self._told.close()
        return self.ended()

    def ended(self) -> int:
        """The exit code, once it has ended."""
        code = self._process.wait(PATIENCE)
        self._told.close()
        self._said.close()
        return code


class Command:
    """One process of the command `orchwf`, on the store of a place."""

    def __init__(self, place: "Place", *words: str) -> None:
        self._process = place.begin("orchwf", *words, "--store", place.url)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """Kill it; it is dead when this returns."""
        self._process.kill()
        self.ended()

    def leave(self) -> int:
        """Let it leave in good order, as a supervisor would, and its exit code."""
        self._process.terminate()
        return self.ended()

    def ended(self) -> int:
        """The exit code, once it has ended."""
        self._process.communicate(timeout=PATIENCE)
        return self._process.returncode


@attrs.define
class Place:
    """
    A store, what bodies noted, and the processes on it.

    Attributes:
        folder: Where all of that is.
        store: The store that the processes share; a file in the folder if no other is given.
        seen: What was noted and has come through the pipe.
    """

    folder: Path
    store: Shared = attrs.field()
    seen: list[Noted] = attrs.field(factory=list)
    _begun: list["subprocess.Popen[bytes]"] = attrs.field(factory=list)
    _pipe: tuple[int, int] = attrs.field(factory=os.pipe)
    _rest: bytes = b""

    @store.default
    def _file(self) -> Shared:
        return SharedFile(self.folder / "runs.db")

    @property
    def url(self) -> str:
        return self.store.url

    @property
    def effects(self) -> Path:
        return self.folder / "effects"

    @property
    def errors(self) -> Path:
        """What all processes wrote to stderr."""
        return self.folder / "errors"

    # Processes.

    def begin(self, module: str, *words: str) -> "subprocess.Popen[bytes]":
        """A process that runs a program; warnings are errors in it."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "EFFECTS": str(self.effects),
            "EVENTS": str(self._pipe[1]),
        }
        with self.errors.open("ab") as errors:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", module, *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment,
                pass_fds=[self._pipe[1]],
            )  # fmt: skip
        self._begun.append(process)
        return process

    def worker(self, **options: object) -> Worker:
        """One that waits to be told to enter."""
        return Worker(self, options)

    def entered(self, *options: Mapping[str, object]) -> list[Worker]:
        """One for each of these options that has entered; they begin at the same time."""
        workers = [self.worker(**each) for each in options]
        return [worker.enter() for worker in workers]

    def close(self) -> None:
        """Kill what still lives."""
        for process in self._begun:
            with process:
                process.kill()
        for descriptor in self._pipe:
            os.close(descriptor)

    # What was noted.

    def hear(self, seconds: float) -> list[Noted]:
        """What has been noted since the last time, once anything is; nothing if nothing is in so many seconds."""
        if not select.select([self._pipe[0]], [], [], max(0.0, seconds))[0]:
            return []
        *lines, self._rest = (self._rest + os.read(self._pipe[0], 1 << 16)).split(b"\n")
        heard = [parse_noted(line.decode()) for line in lines]
        self.seen += heard
        return heard

    def until(self, step: str, attempt: int, what: str, run: str = "r") -> Noted:
        """Wait until this has been noted, if it was not long ago."""
        begin = time.monotonic()
        while True:
            for noted in self.seen:
                if (run, step, attempt, what) == (noted.run, noted.step, noted.attempt, noted.what):
                    return noted
            left = PATIENCE - (time.monotonic() - begin)
            assert left > 0, f"{run} {step} {attempt} {what} was never noted"
            self.hear(left)

    def noted(self, what: str, run: str = "r") -> list[tuple[str, int]]:
        """Step and attempt of all that this happened to, in that order."""
        lines = map(parse_noted, self.effects.read_text().splitlines())
        return [(noted.step, noted.attempt) for noted in lines if (run, what) == (noted.run, noted.what)]

    # What is in the store.

    def read(self, run_id: str = "r") -> tuple[RunRecord, list[Event]]:
        """Summary and log of a run."""

        async def read() -> tuple[RunRecord | None, list[Event]]:
            store = await open_store(self.url)
            try:
                return await store.get(run_id), await store.read(run_id)
            finally:
                await store.close()

        record, log = asyncio.run(read())
        assert record is not None
        return record, log

    def check(self, run_id: str = "r") -> list[Event]:
        """The log of a run that has ended, in which all holds that must, and which its summary agrees with."""
        record, log = self.read(run_id)
        check_ended(record, log)
        assert "ok" == self.store.integrity()
        return log


def check_ended(record: RunRecord, log: Sequence[Event]) -> None:
    """The invariants of the log of a run that has ended, and that its summary says the same."""
    plan = Plan(compile_workflow(WORKFLOWS[record.workflow]))
    check_end(log)
    for event in log:
        if isinstance(event, StepStarted):
            check_start(plan, event, log[: event.seq - 1])
    check_fates(plan, log)
    check_effects(plan, log)
    assert History(record.id).extend(log).status is record.status
    assert record.owner is None


def kinds(log: Sequence[Event]) -> list[str]:
    """`kind step`, or the kind alone for events of the run."""
    return [f"{event.kind} {getattr(event, 'step', '')}".strip() for event in log]
