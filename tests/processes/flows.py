"""
Workflows for processes that are killed, stopped and raced. What their bodies do is noted, one line each.

A line is `run step attempt pid what`; the name of a step that is being undone has a `~` behind it, that of an item its
position. It goes to the file that EFFECTS names, opened with O_APPEND, and after that to the pipe whose descriptor
EVENTS is, for those who wait.
"""

import asyncio
import contextlib
import os
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from signal import SIGKILL

import attrs

from orchwf import NonRetryable, Retry, StepContext, make_workflow, signal, sleep, step, subflow, workflow


@cache
def _effects() -> int:
    return os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def note(ctx: StepContext, what: str) -> None:
    """Say what a body does."""
    mark = "~" if ctx.compensates else ""
    _write(ctx.run_id, f"{ctx.step}{_position(ctx.item)}{mark}", ctx.attempt, what)


def note_kept(run_id: str, step: str, item: int | None, attempt: int) -> None:
    """Say that the completion of a step, or of an item of it, is in the store."""
    _write(run_id, f"{step}{_position(item)}", attempt, "kept")


def note_heard(run_id: str, name: str) -> None:
    """Say that a request is in the log of a run."""
    _write(run_id, name, 0, "heard")


def _position(item: str | int | None) -> str:
    return "" if item is None else f"[{item}]"


def _write(run_id: str, step: str, attempt: int, what: str) -> None:
    line = f"{run_id} {step} {attempt} {os.getpid()} {what}\n".encode()
    os.write(_effects(), line)
    # Whoever waited for it may be gone.
    with contextlib.suppress(BrokenPipeError):
        os.write(int(os.environ["EVENTS"]), line)


@attrs.frozen
class Gate:
    """Where bodies wait: coroutines for the one, threads for the other."""

    loop: asyncio.Event = attrs.field(factory=asyncio.Event)
    thread: threading.Event = attrs.field(factory=threading.Event)

    def open(self) -> None:
        self.loop.set()
        self.thread.set()


GATES: defaultdict[str, Gate] = defaultdict(Gate)
"""Name -> the gate of this process; it is opened by a word from outside."""


def die() -> None:
    """Kill this process, at once."""
    os.kill(os.getpid(), SIGKILL)


def _exists(path: str) -> bool:
    return Path(path).exists()


def _length(ctx: StepContext) -> float:
    """How long the work of this attempt takes: up to 10 ms, always the same."""
    return zlib.crc32(f"{ctx.run_id} {ctx.step} {ctx.attempt}".encode()) % 1000 / 100_000


async def _work(ctx: StepContext, value: int) -> int:
    note(ctx, "begin")
    await asyncio.sleep(_length(ctx))
    note(ctx, "end")
    return value


def _work_here(ctx: StepContext, value: int) -> int:
    note(ctx, "begin")
    time.sleep(_length(ctx))
    note(ctx, "end")
    return value


@workflow
class Order:
    """Branches on the loop and on threads, with retries, compensations, and a step that may fail. Some orders fail."""

    number: int

    @step
    async def receive(self, ctx: StepContext) -> int:
        return await _work(ctx, self.number)

    @step(retries=Retry(9, initial=0.01))
    async def reserve(self, ctx: StepContext, x: int = receive.result) -> int:
        value = await _work(ctx, x + 1)
        if self.number % 3 == 0 and ctx.attempt % 2:
            raise ConnectionError("not now")
        return value

    @reserve.compensate
    async def release(self, reserved: int | None, ctx: StepContext) -> None:
        await _work(ctx, 0)

    @step
    def pick(self, ctx: StepContext, x: int = receive.result) -> int:
        return _work_here(ctx, x + 10)

    @pick.compensate(retries=9)
    def put_back(self, picked: int | None, ctx: StepContext) -> None:
        _work_here(ctx, 0)

    @step
    def pack(self, ctx: StepContext, x: int = pick.result) -> int:
        return _work_here(ctx, x + 10)

    @step(required=False)
    async def advertise(self, ctx: StepContext, x: int = receive.result) -> int:
        value = await _work(ctx, x)
        if self.number % 4 == 0:
            raise ValueError("nobody listens")
        return value

    @step
    async def charge(self, ctx: StepContext, a: int = reserve.result, b: int = pack.result) -> int:
        value = await _work(ctx, a + b)
        if self.number % 5 == 0:
            raise NonRetryable("no money")
        return value

    @step
    def ship(self, ctx: StepContext, x: int = charge.result) -> int:
        return _work_here(ctx, x + 100)

    @step(depends_on=[ship, advertise], join="settled")
    async def close(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)


@workflow
class Fragile:
    """The second step fails until there is the file that is given."""

    mended: str

    @step
    async def first(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)

    @step
    async def second(self, ctx: StepContext, x: int = first.result) -> int:
        value = await _work(ctx, x + 1)
        if not _exists(self.mended):
            raise ValueError("broken")
        return value

    @step
    def third(self, ctx: StepContext, x: int = second.result) -> int:
        return _work_here(ctx, x + 1)


@workflow
class Stalled:
    """Three steps that wait at gates, and one after them."""

    async def _pass(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        try:
            await GATES[ctx.step].loop.wait()
        except asyncio.CancelledError:
            note(ctx, "cancelled")
            raise
        note(ctx, "end")
        return os.getpid()

    @step
    async def late(self, ctx: StepContext) -> int:
        return await self._pass(ctx)

    @step
    async def endless(self, ctx: StepContext) -> int:
        return await self._pass(ctx)

    @step
    def threaded(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        GATES[ctx.step].thread.wait()
        note(ctx, "end")
        return os.getpid()

    @step(depends_on=[late, endless, threaded])
    async def last(self, ctx: StepContext) -> int:
        return await _work(ctx, os.getpid())


@workflow
class Blocked:
    """One step waits at first, and the one beside it blocks the loop then, until somebody writes to the FIFO."""

    fifo: str

    @step
    async def beside(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        try:
            if ctx.attempt == 1:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            note(ctx, "cancelled")
            raise
        note(ctx, "end")
        return os.getpid()

    @step
    async def block(self, ctx: StepContext) -> int:
        note(ctx, "begin")
        if ctx.attempt == 1:
            Path(self.fifo).read_bytes()  # noqa: ASYNC240 - that it blocks is the point
        note(ctx, "end")
        return os.getpid()

    @step(depends_on=[beside, block])
    async def last(self, ctx: StepContext) -> int:
        return await _work(ctx, os.getpid())


@workflow
class Poison:
    """The second step kills its process, until there is the file that is given."""

    mended: str

    @step
    async def first(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)

    @step
    async def drink(self, ctx: StepContext, x: int = first.result) -> int:
        note(ctx, "begin")
        if not _exists(self.mended):
            die()
        note(ctx, "end")
        return x + 1


@workflow
class Once:
    """The second step runs at most once, and its first attempt kills the process."""

    @step
    async def prepare(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)

    @step(delivery="at_most_once")
    async def charge(self, ctx: StepContext, x: int = prepare.result) -> int:
        note(ctx, "begin")
        if ctx.attempt == 1:
            die()
        note(ctx, "end")
        return x + 1

    @step
    async def tell(self, ctx: StepContext, x: int | None = charge.maybe) -> int:
        return await _work(ctx, (x or 0) + 100)


@workflow
class Saga:
    """Three steps that can be undone, and one that fails. To undo the second one kills the process at first."""

    @step
    async def a(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)

    @a.compensate
    async def undo_a(self, output: int | None, ctx: StepContext) -> None:
        await _work(ctx, 0)

    @step
    def b(self, ctx: StepContext, x: int = a.result) -> int:
        return _work_here(ctx, x + 1)

    @b.compensate
    def undo_b(self, output: int | None, ctx: StepContext) -> None:
        note(ctx, "begin")
        if ctx.attempt == 1:
            die()
        note(ctx, "end")

    @step
    async def c(self, ctx: StepContext, x: int = b.result) -> int:
        return await _work(ctx, x + 1)

    @c.compensate
    async def undo_c(self, output: int | None, ctx: StepContext) -> None:
        await _work(ctx, 0)

    @step
    async def fail(self, ctx: StepContext, x: int = c.result) -> int:
        await _work(ctx, x)
        raise ValueError("it was to fail")


@workflow
class Patient:
    """A step that waits at a gate, one after it, and something to undo and to clean up."""

    @step
    async def first(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)

    @first.compensate
    async def undo_first(self, output: int | None, ctx: StepContext) -> None:
        await _work(ctx, 0)

    @step
    async def wait(self, ctx: StepContext, x: int = first.result) -> int:
        note(ctx, "begin")
        await GATES["wait"].loop.wait()
        note(ctx, "end")
        return x + 1

    @step
    async def later(self, ctx: StepContext, x: int = wait.result) -> int:
        return await _work(ctx, x + 1)

    @step(depends_on=[later], join="settled")
    async def tidy(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)


@workflow
class Heap:
    """Ten items, three at a time; the sixth kills the process at first. What comes of them goes on, item by item."""

    @step
    async def load(self, ctx: StepContext) -> list[int]:
        note(ctx, "begin")
        return list(range(10))

    @step(max_parallel=3)
    async def sift(self, ctx: StepContext, x: int = load.each) -> int:
        note(ctx, "begin")
        if x == 5 and ctx.attempt == 1:
            die()
        await asyncio.sleep(_length(ctx))
        note(ctx, "end")
        return x + 1

    @step
    def wash(self, ctx: StepContext, x: int = sift.each) -> int:
        return _work_here(ctx, x + 10)

    @step
    async def total(self, ctx: StepContext, x: Sequence[int] = wash.all) -> int:
        return await _work(ctx, sum(x))


@workflow
class Stream:
    """A generator, which kills its process before it gives the fourth item at first."""

    @step
    async def lines(self, ctx: StepContext) -> AsyncIterator[int]:
        note(ctx, "begin")
        for number in range(6):
            if number == 3 and ctx.attempt == 1:
                # The items before that have come through.
                await GATES["lines"].loop.wait()
                die()
            yield number

    @step
    async def parse(self, ctx: StepContext, x: int = lines.each) -> int:
        return await _work(ctx, x + 1)

    @step
    async def total(self, ctx: StepContext, x: Sequence[int] = parse.all) -> int:
        return await _work(ctx, sum(x))


@workflow
class Quiet:
    """Waits for a word, then for a moment, and ends."""

    @step
    async def first(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)

    word = signal(int, depends_on=[first])
    nap = sleep(0.3, depends_on=[word])

    @step(depends_on=[nap])
    async def last(self, ctx: StepContext, x: int = word.result) -> int:
        return await _work(ctx, x)


@workflow
class Parcel:
    """Its second step kills the process at first."""

    number: int

    @step
    async def pack(self, ctx: StepContext) -> int:
        return await _work(ctx, self.number)

    @step
    async def post(self, ctx: StepContext, x: int = pack.result) -> int:
        note(ctx, "begin")
        if self.number == 1 and ctx.attempt == 1:
            die()
        note(ctx, "end")
        return x + 100


@workflow
class Mail:
    """Three runs of another workflow, one for each item; one of them kills the process."""

    @step
    async def load(self, ctx: StepContext) -> list[int]:
        note(ctx, "begin")
        return [0, 1, 2]

    @subflow
    async def send(self, ctx: StepContext, x: int = load.each) -> Parcel:
        note(ctx, "begin")
        return Parcel(number=x)

    @step(depends_on=[send])
    async def tell(self, ctx: StepContext) -> int:
        return await _work(ctx, 1)


async def _next(ctx: StepContext) -> int:
    return await _work(ctx, ctx.attempt)


LINKS = 10
Chain = make_workflow(
    "Chain",
    {f"s{link}": step(name=f"s{link}", depends_on=[f"s{link - 1}"] * bool(link))(_next) for link in range(LINKS)},
)
"""Steps that follow one another."""

WORKFLOWS: dict[str, type] = {
    each.__name__: each
    for each in (
        Order, Fragile, Stalled, Blocked, Poison, Once, Saga, Patient, Heap, Stream, Quiet, Parcel, Mail, Chain,
    )
}  # fmt: skip
"""Name -> class."""
