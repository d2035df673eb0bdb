"""An event loop in which no time passes but what is waited for, and nothing happens but what was asked for."""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from typing import Any

EPOCH = 1_800_000_000.0


class _Nothing(selectors.BaseSelector):
    """Has nothing to tell; instead of waiting it lets the time of its loop go on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = selectors.SelectorKey(fileobj, len(self._keys), events, data)
        self._keys[id(fileobj)] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(id(fileobj))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        self.now += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The same program does the same on it, each time, in no time."""

    def __init__(self) -> None:
        self.selector = _Nothing()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


class Inline:
    """Stands for the threads of an engine: what is to run on one runs on the loop, soon."""

    def submit(self, call: Callable[[], None], then: Callable[[], None]) -> None:
        def both() -> None:
            call()
            then()

        asyncio.get_running_loop().call_soon(both)

    def close(self) -> None:
        pass


async def in_line(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Stands for `asyncio.to_thread`."""
    await asyncio.sleep(0)
    return function(*args, **kwargs)


class SimulatedClock:
    """What the wall clock of one process says: right, or an hour slow, or a day fast."""

    def __init__(self, loop: SimulatedLoop, error: float = 0.0) -> None:
        self._loop = loop
        self._error = error

    def now(self) -> float:
        return EPOCH + self._loop.time() + self._error

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        return self._loop.call_later(max(0.0, when - self.now()), callback).cancel
