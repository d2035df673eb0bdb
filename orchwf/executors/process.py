"""The executor `process`: processes of this machine, that can be killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue

import attrs

from ..errors import ExecutorError, ExecutorUnavailableError, UsageError, WorkerDiedError
from ..ports import Call
from .frames import Kind, read_frame, write_frame

_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.raw.readline()); "
    "from orchwf.executors.child import main; main()"
)
"""Its input is read without a buffer, which would keep what follows."""

_PATIENCE = 5.0
"""Seconds that an idle process has to end when its input was closed; then it is killed."""


@attrs.frozen
class ProcessExecutor:
    """
    Runs bodies in processes of this machine, as many as there are processors.

    Each begins as a fresh interpreter when it is first needed, imports the workflow by its name, and stays for the next
    body. One whose body is cancelled or out of time is killed, with what it started, and replaced. They end with the
    orchestrator, however that ends. What bodies print goes to standard error.

    Args:
        max_workers: How many at most; by default as many as there are processors.

    Raises:
        UsageError: there cannot be so many.
    """

    max_workers: int | None = None

    def __attrs_post_init__(self) -> None:
        count = self.max_workers
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise UsageError(f"ProcessExecutor(max_workers=...) takes a whole number of at least 1, not {count!r}")

    @property
    def takes_resources(self) -> bool:
        return False

    def open(self, name: str) -> "_Pool":
        return _Pool(name, self.max_workers or os.cpu_count() or 1)


class _Pool:
    """Processes that run bodies, one each."""

    def __init__(self, name: str, room: int) -> None:
        self._name = name
        self._room = room
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    @property
    def room(self) -> int:
        return self._room

    async def run(self, call: Call) -> str:
        while self._idle:
            # The last one: it has most at hand.
            try:
                return await self._run_by(self._idle.pop(), call)
            except _UntakenError:
                # It has died while it had nothing to do: the next one takes the call.
                continue
        try:
            return await self._run_by(self._new_worker(), call)
        except _UntakenError as error:
            raise ExecutorUnavailableError(self._name, f"a process died as soon as it was started: {error}") from error

    async def _run_by(self, worker: "_Worker", call: Call) -> str:
        try:
            answer = await worker.run(call)
        except BaseException:
            # Nobody waits for it any more, or it is no good.
            worker.kill()
            raise
        self._idle.append(worker)
        return answer

    def _new_worker(self) -> "_Worker":
        worker = _Worker(self._name, self._forget)
        self._all.add(worker)
        return worker

    def _forget(self, worker: "_Worker") -> None:
        """This one has ended."""
        self._all.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)

    async def close(self) -> None:
        workers = list(self._all)
        for worker in workers:
            worker.hang_up()
        try:
            async with asyncio.timeout(_PATIENCE):
                await _until_gone(workers)
        except TimeoutError:
            for worker in workers:
                worker.kill()
            await _until_gone(workers)


class _UntakenError(Exception):
    """A process has died before it has begun what it was to run."""


async def _until_gone(workers: "Iterable[_Worker]") -> None:
    for worker in workers:
        await worker.gone.wait()


class _Worker:
    """
    One process, and the two threads that talk to it. Everything is called on the loop.

    Threads do so on every platform and every event loop, and asyncio's own pipes do not.

    Args:
        executor: The name of the executor.
        ended: Is told when the process has ended.

    Attributes:
        gone: Is set when the process has ended.
    """

    def __init__(self, executor: str, ended: "Callable[[_Worker], None]") -> None:
        self.gone = asyncio.Event()
        self._executor = executor
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._is_ready = self._is_taken = False
        self._call: Call | None = None
        self._answer: asyncio.Future[str] = self._loop.create_future()
        self._outgoing: SimpleQueue[tuple[Kind, str] | None] = SimpleQueue()
        flags = [*(f"-W{each}" for each in sys.warnoptions), *(["-Xdev"] if sys.flags.dev_mode else [])]
        command = [sys.executable, *flags, "-c", _BOOTSTRAP]
        try:
            self._process = subprocess.Popen(
                command, stdin=_PIPE, stdout=_PIPE, bufsize=0, creationflags=_FLAGS, start_new_session=True
            )
        except OSError as error:
            raise ExecutorUnavailableError(executor, f"a process cannot be started: {error}") from error
        threading.Thread(target=self._write, name="orchwf-process-in", daemon=True).start()
        threading.Thread(target=self._read, name="orchwf-process-out", daemon=True).start()

    async def run(self, call: Call) -> str:
        """As of `Workers`; one call at a time."""
        function = call.function
        self._call, self._answer, self._is_taken = call, self._loop.create_future(), False
        if self.gone.is_set():
            raise _UntakenError
        call.tell = lambda: self._outgoing.put((Kind.TOLD, ""))
        self._outgoing.put((Kind.CALL, f"{function.__module__}:{function.__qualname__}\n{call.text}"))
        try:
            return await self._answer
        finally:
            self._call = None
            call.tell = _nothing

    def hang_up(self) -> None:
        """Let the process end: it gets no more calls, and if it runs one it ends at once."""
        self._outgoing.put(None)

    def kill(self) -> None:
        """End the process at once, and what its body started."""
        if self._process.poll() is not None:
            return
        with suppress(OSError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    # What comes from the process, on the loop.

    def _arrived(self, kind: Kind, text: str) -> None:
        match kind:
            case Kind.READY:
                self._is_ready = True
            case Kind.TAKEN:
                self._is_taken = True
            case Kind.SAID if self._call is not None:
                self._call.heard(text)
            case Kind.ANSWER if not self._answer.done():
                self._answer.set_result(text)
            case Kind.BUG if not self._answer.done():
                self._answer.set_exception(ExecutorError(self._executor, f"a bug in orchwf: {text}", runs_on=True))
            case _:
                pass

    def _lost(self, code: int) -> None:
        self._ended(self)
        self.gone.set()
        if self._call is None or self._answer.done():
            return
        error: Exception = WorkerDiedError(self._executor, self._call.label, f"died: {_death(code)}")
        if not self._is_ready:
            reason = f"a process did not start, its standard error says why: {_death(code)}"
            error = ExecutorUnavailableError(self._executor, reason)
        elif not self._is_taken:
            error = _UntakenError(_death(code))
        self._answer.set_exception(error)

    # On the two threads.

    def _write(self) -> None:
        process = self._process
        if process.stdin is None:
            raise NotImplementedError
        with suppress(OSError):
            process.stdin.write(json.dumps(list(map(str, sys.path))).encode() + b"\n")
        while (message := self._outgoing.get()) is not None:
            # If it has died the other thread tells.
            with suppress(OSError):
                write_frame(process.stdin.fileno(), *message)
        process.stdin.close()

    def _read(self) -> None:
        process = self._process
        if process.stdout is None:
            raise NotImplementedError
        while (frame := read_frame(process.stdout.fileno())) is not None:
            self._on_loop(partial(self._arrived, *frame))
        self._outgoing.put(None)
        try:
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            # It has closed what it talks by, or does not come to an end.
            self.kill()
            code = process.wait()
        process.stdout.close()
        self._on_loop(partial(self._lost, code))

    def _on_loop(self, callback: Callable[[], None]) -> None:
        # The loop may be closed: then nobody waits any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)


_PIPE = subprocess.PIPE

# A process of its own session, or group, is not interrupted with the program, which ends it in its own time.
_FLAGS = 0
if sys.platform == "win32":
    _FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP


def _nothing() -> None:
    pass


def _death(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"it was killed by {name}{hint}"
