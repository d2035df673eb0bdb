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
        self._spawn = spawn
        self._submitted: deque[tuple[Attempt, Context]] = deque()
        self._coming = 0

    def submit(self, attempt: Attempt, variables: Context) -> None:
        """Run this attempt soon, with these context variables."""
        self._submitted.append((attempt, variables))
        if not self._coming:
            self._call(1)

    def _call(self, count: int) -> None:
        for _ in range(min(count, len(self._submitted) - self._coming)):
            self._coming += 1
            self._spawn(self._work())

    async def _work(self) -> None:
        self._coming -= 1
        task: Any = asyncio.current_task()
        has_waited = False
        # A task that was told to end is never quite as before.
        while self._submitted and not has_waited and not task.cancelling():
            attempt, variables = self._submitted.popleft()
            has_waited = await _driven(attempt.run(task), variables, self._go_on)
        if self._submitted and not self._coming:
            self._call(1)

    def _go_on(self) -> None:
        # Where one body waits the others may, too: so all are under way after a few turns of the loop.
        self._call(2)


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
