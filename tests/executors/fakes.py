"""Executors for tests that want no process."""

import asyncio
import json
from collections.abc import Callable

import attrs

from orchwf.ports import Call


def heard(text: str) -> None:
    """What is said to nobody."""


@attrs.define(eq=False)
class Home:
    """A line whose other end is on the same loop."""

    call: Call
    is_ending: bool = False
    loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.get_running_loop)

    def say(self, text: str) -> None:
        self.loop.call_soon_threadsafe(self.call.heard, text)

    def is_told(self) -> bool:
        return self.is_ending

    def end(self) -> None:
        self.is_ending = True


@attrs.define(eq=False)
class Near:
    """
    Runs bodies in threads of this process, as if it was another one.

    Attributes:
        room: How many it takes at once.
        answer: What it answers in place of the body, given what was asked; None to run that.
        waits: Whether it lets every call wait for ever.
        closed: How often what it opened was closed.
    """

    room: int | None = None
    answer: Callable[[str], str] | None = None
    waits: bool = False
    takes_resources: bool = True
    closed: int = 0
    resources: list[object] = attrs.field(factory=list)

    def open(self, name: str) -> "Near":
        return self

    async def run(self, call: Call) -> str:
        self.resources.append(dict(call.resources))
        home = Home(call)
        call.tell = home.end
        if self.waits:
            await asyncio.Event().wait()
        if self.answer is not None:
            call.heard(json.dumps({"kind": "begun"}))
            return self.answer(call.text)
        return await asyncio.to_thread(call.function, call.text, home)

    async def close(self) -> None:
        self.closed += 1
