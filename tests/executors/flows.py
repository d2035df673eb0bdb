"""Workflows whose heavy steps run on the executor `there`, whatever that is."""

import asyncio
import datetime
import os
import signal
import time
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import attrs

import orchwf
from orchwf import Finish, NonRetryable, Retry, RetryAfter, Skip, StepContext, WorkerDiedError, step, workflow

AT_ONCE = Retry(3, initial=0)


class Color(Enum):
    """A class of the module of a workflow, as users have them."""

    RED = "red"


class Pair(NamedTuple):
    """Another one."""

    left: int
    right: str


@attrs.frozen
class Point:
    """Another one."""

    x: float
    tags: frozenset[str]


class Flaky(Exception):
    """What is worth another attempt."""


class Broken(Exception):
    """What is not."""


MANY: tuple[Any, ...] = (
    None, True, 3, 2**80, 1.5, "text \u00e4\u2028", b"\x00\xff", Color.RED, Pair(1, "b"), Point(0.5, frozenset({"a"})),
    Decimal("1.10"), datetime.datetime(2026, 11, 2, tzinfo=datetime.UTC), datetime.timedelta(days=2), Path("a/b"),
    {"nested": [1, (2, {3})]}, {4, 5},
)  # fmt: skip


@workflow
class Values:
    """All the ways in which values come and go."""

    points: list[Point]
    count: int = 4

    @step
    def numbers(self) -> list[int]:
        return list(range(self.count))

    @step(executor="there")
    def many(self) -> tuple[Any, ...]:
        return MANY

    @step(executor="there")
    async def back(self, given: tuple[Any, ...] = many.result) -> tuple[Any, ...]:
        await asyncio.sleep(0)
        return given

    @step(executor="there")
    def first(self) -> Point:
        return self.points[0]

    @step(executor="there", max_parallel=2, tolerate=1)
    def square(self, number: int = numbers.each) -> int:
        if number == 2:
            raise Broken(number)
        return number * number

    @step(executor="there", depends_on=first)
    def total(self, squares: Sequence[int | None] = square.all, **outputs: object) -> tuple[int, list[str]]:
        return sum(each or 0 for each in squares), sorted(outputs)

    @step
    def seed(self) -> int:
        return 0

    @step(executor="there", until=lambda output: output >= 3)
    def grow(self, size: int = seed.result) -> int:
        return size + 1

    @step(executor="there")
    def text(self) -> str:
        return "x" * 3_000_000

    @step(executor="there")
    def length(self, text: str) -> int:
        return len(text)


@workflow
class Knows:
    """What a body knows of itself."""

    @step
    def items(self) -> list[str]:
        return ["a"]

    @step(executor="there", retries=AT_ONCE)
    def look(self, item: str = items.each, *, ctx: StepContext) -> dict[str, Any]:
        if ctx.attempt == 1:
            ctx.heartbeat({"row": 7})
            ctx.log.warning("begins %s", "well", row=7, item_name=item)
            raise Flaky
        same = orchwf.current()
        return {
            "run": ctx.run_id, "step": ctx.step, "item": ctx.item, "attempt": same.attempt, "most": ctx.max_attempts,
            "key": same.idempotency_key, "metadata": dict(ctx.metadata), "last": ctx.last_heartbeat,
            "told": ctx.cancelled, "pid": os.getpid(),
        }  # fmt: skip

    @step
    def whole(self, known: list[dict[str, Any]] = look.all) -> list[dict[str, Any]]:
        return known


@workflow(fail_fast=False)
class Ends:
    """All the ways in which a body may end that lives."""

    @step(executor="there", required=False)
    def broken(self) -> None:
        raise Broken("row 3")

    @step(executor="there", required=False)
    async def broken_coroutine(self) -> None:
        raise Broken("row 4")

    @step(executor="there", retries=Retry(3, initial=0, retry_on=(Flaky,)))
    def flaky(self, ctx: StepContext) -> int:
        if ctx.attempt < 3:
            raise Flaky
        return ctx.attempt

    @step(executor="there", retries=Retry(3, initial=0, give_up_on=lambda error: "row" in str(error)), required=False)
    def given_up(self) -> None:
        raise Broken("row 5")

    @step(executor="there", retries=1)
    def later(self, ctx: StepContext) -> int:
        if ctx.attempt == 1:
            raise RetryAfter(0)
        return ctx.attempt

    @step(executor="there", retries=3, required=False)
    def never(self) -> None:
        raise NonRetryable("no use")

    @step(executor="there")
    def skips(self) -> None:
        raise Skip("nothing to do")

    @step(executor="there", required=False)
    def unstorable(self) -> object:
        return object()

    @step(executor="there", required=False)
    def exits(self) -> None:
        raise SystemExit(3)

    @step(executor="there", required=False)
    async def interrupts(self) -> None:
        raise KeyboardInterrupt

    @step(executor="there", required=False, retries=AT_ONCE)
    def undecided(self) -> None:
        raise Undecided


class Undecided(Exception):
    """Fails to say what it is."""

    def __str__(self) -> str:
        raise ValueError


@workflow
class Finishes:
    """Ends its run early."""

    @step(executor="there")
    def look(self) -> int:
        raise Finish(7)

    @step
    def use(self, look: int) -> int:
        return look


@workflow
class Dies:
    """Its workers die."""

    file: str

    @step(executor="there", retries=Retry(1, initial=0, retry_on=(WorkerDiedError,)))
    def dies(self, ctx: StepContext) -> int:
        if ctx.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return ctx.attempt

    @step(executor="there", retries=AT_ONCE, delivery="at_most_once", depends_on=dies)
    def once(self) -> None:
        with Path(self.file).open("a") as file:
            file.write("once\n")
        os._exit(3)


@workflow
class Endless:
    """Runs until it is stopped; where it cannot be it notices and says so."""

    file: str

    @step(executor="there", required=False, timeout=1)
    def late(self, ctx: StepContext) -> None:
        self._run(ctx, "late")

    @step(executor="there")
    def long(self, ctx: StepContext, late: object = late.maybe) -> None:
        self._run(ctx, "long")

    @long.compensate
    def undo(self) -> None:
        self._note(f"undone by {os.getpid()}")

    def _run(self, ctx: StepContext, name: str) -> None:
        ctx.heartbeat(os.getpid())
        self._note(f"{name} {os.getpid()}")
        while not ctx.cancelled:
            time.sleep(0.01)
        self._note(f"{name} told")

    def _note(self, text: str) -> None:
        with Path(self.file).open("a") as file:
            file.write(f"{text}\n")


def noted(file: Path) -> Sequence[str]:
    """What bodies wrote down."""
    return file.read_text().splitlines() if file.exists() else []
