"""Where coroutines run: in tasks of the event loop, which cost nothing for a body that does not wait."""

import asyncio
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from typing import Any

from .attempt import Attempt


class Tasks:
    """
    A task for each attempt that waits for something; those that never do share one.

    An attempt that has waited had its task for itself from its first wait to its end, so what a library keeps by task
    is not seen by another step. Each has its own context variables in any case.

    Args:
        spawn: Makes a task of a coroutine, and owns it.
    """

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawn = spawn
        self._submitted: deque[tuple[Attempt, Context]] = deque()
        self._coming = 0
        self._resting: asyncio.Future[None] | None = None
        self._is_closed = False

    def submit(self, attempt: Attempt, variables: Context) -> None:
        """Run this attempt soon, with these context variables."""
        self._submitted.append((attempt, variables))
        if not self._coming:
            self._call()

    def close(self) -> None:
        """Let the task end that rests; the others end with what they run."""
        self._is_closed = True
        if self._resting is not None:
            self._resting.cancel()

    def _call(self) -> None:
        """Let one more task look for an attempt: the one that rests, or a new one."""
        self._coming += 1
        if self._resting is None or self._resting.done():
            self._spawn(self._work())
        else:
            self._resting.set_result(None)
            self._resting = None

    async def _work(self) -> None:
        task: Any = asyncio.current_task()
        while True:
            self._coming -= 1
            while self._submitted:
                attempt, variables = self._submitted.popleft()
                has_waited = await _driven(attempt.run(task), variables, self._go_on)
                # One in which a body waited is that body's own, and one that was told to end is never as before.
                if has_waited or task.cancelling():
                    self._go_on()
                    return
            if self._resting is not None or self._is_closed:
                return
            self._resting = self._loop.create_future()
            await self._resting

    def _go_on(self) -> None:
        """Others go on with what was submitted. Two, so that all bodies that wait are under way after a few turns."""
        for _ in range(min(2, len(self._submitted) - self._coming)):
            self._call()


@types.coroutine
def _driven(
    coroutine: Coroutine[Any, Any, None], variables: Context, waits: Callable[[], None]
) -> Generator[Any, Any, bool]:
    """
    Run a coroutine with these context variables, in the task of here.

    Args:
        waits: Is called when it first waits for something.

    Returns:
        Whether it has waited for anything.
    """
    resume: Callable[[], Any] = partial(coroutine.send, None)
    has_waited = False
    while True:
        try:
            awaited = variables.run(resume)
        except StopIteration:
            return has_waited
        if not has_waited:
            has_waited = True
            waits()
        try:
            resume = partial(coroutine.send, (yield awaited))
        except GeneratorExit:
            variables.run(coroutine.close)
            raise
        # It goes where the coroutine waits, as if there was nothing between.
        except BaseException as error:
            resume = partial(coroutine.throw, error)
