"""Stores of tests that stand before another one."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from ..core.slots import Answer, Slot, SlotRequest
from ..ports import Store
from ..stores.relay import Relay

__all__ = ["Held", "Relay"]

T = TypeVar("T")


class Held(Relay):
    """
    A store whose rates go by the time of a clock, and which tells that clock of each call that is in flight.

    Args:
        now: What time it is there, in epoch seconds.
        calling: What is entered for as long as a call takes.
    """

    def __init__(
        self, inner: Store, *, now: Callable[[], float], calling: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(inner)
        self._now = now
        self._calling = calling

    async def passed(self, call: Callable[[], Awaitable[T]]) -> T:
        with self._calling():
            return await call()

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        return await super().take_slots(owner, requests, frees=frees, now=self._now() if now is None else now)
