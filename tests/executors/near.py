"""Workflows for what happens here, where somebody waits for a body that runs elsewhere."""

import os
import threading
from pathlib import Path
from typing import Any

from orchwf import (
    Cache,
    ChildResult,
    Finish,
    Mutex,
    Queue,
    Retry,
    Skip,
    StepContext,
    make_workflow,
    step,
    subflow,
    workflow,
)

SEEN: list[Any] = []
"""What bodies leave that run in this process."""

GO = threading.Event()
"""For what bodies wait."""


@workflow
class Plain:
    """One step of a sort."""

    how: str = "returns"

    @step(executor="there", required=False)
    def look(self) -> int:
        match self.how:
            case "skips":
                raise Skip("nothing")
            case "finishes":
                raise Finish(8)
            case "raises":
                raise ValueError("no")
        return 7


@workflow
class Late:
    """Never begins."""

    @step(executor="there", total_timeout=0.05, retries=3)
    def look(self) -> None: ...


@workflow
class Silent:
    """Begins, and is not heard of any more."""

    @step(executor="there", timeout=20, heartbeat_timeout=0.05, total_timeout=30)
    def look(self) -> None:
        GO.wait()


@workflow
class Patient:
    """Ends when it is told to."""

    @step(executor="there")
    def look(self, ctx: StepContext) -> str:
        SEEN.append("begun")
        while not ctx.cancelled:
            GO.wait(0.001)
        SEEN.append("told")
        return "told"


@workflow
class Kept:
    """Its output is kept, and there are limits."""

    @step(
        executor="there", cache=Cache(), queue=Queue("api", concurrency=1), mutex=Mutex("door"), resources={"gpu": 0.5}
    )  # fmt: skip
    def look(self) -> int:
        SEEN.append("ran")
        return 7


@workflow
class Child:
    """Is started by another run."""

    @step(executor="there")
    def book(self) -> str:
        return "booked"


@workflow
class Parent:
    """Reads what a run of its own gave, and undoes a step."""

    @subflow
    def ship(self) -> Child:
        return Child()

    @step(executor="there")
    def label(self, one: str = ship[Child.book].result, whole: ChildResult[Child] = ship.result) -> str:
        return f"{one} {whole['book']}"

    @label.compensate
    def unlabel(self, label: str) -> None:
        SEEN.append(("undone", label, os.getpid()))

    @step(depends_on=label)
    def last(self) -> None:
        raise ValueError("no")


@workflow
class Crowd:
    """Many bodies, for one at a time; and one of another sort."""

    @step
    def numbers(self) -> list[int]:
        return [1, 2, 3]

    @step(executor="there")
    def heavy(self, number: int = numbers.each) -> int:
        SEEN.append(("begins", number))
        GO.wait()
        SEEN.append(("ends", number))
        return number


@workflow
class Light:
    """Needs a place, and no worker."""

    @step
    async def look(self) -> int:
        return 1


@workflow
class Reads:
    """Beats while it works."""

    file: str

    @step(executor="there", retries=Retry(1, initial=0))
    async def count(self, *, ctx: StepContext) -> list[Any]:
        last = ctx.last_heartbeat
        for row in range(1_000):
            ctx.heartbeat(row)
        ctx.heartbeat()
        if ctx.attempt == 1:
            raise ValueError(Path(self.file).name)
        return [last, ctx.last_heartbeat]


def double(look: int) -> int:
    """A step of a workflow without a class."""
    return look * 2


def look(start: int) -> int:
    """Another one."""
    return start + 1


made = make_workflow("Made", [step(executor="there")(look), step(executor="there")(double)], {"start": int})
