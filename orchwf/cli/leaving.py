"""Sees to it that a command which was told to end does so in time."""

import asyncio
import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from ..runtime.interrupts import SHOW_CURSOR

LIMIT = 4.5
"""Seconds from the first Ctrl-C or SIGTERM until the process ends in any case."""

_MOMENT = 0.5
"""Seconds that are left when all has been told, for tasks and threads that are not ours."""


class Deadline:
    """
    Ends this process if it still lives some seconds after a signal told it to end.

    What may keep it are bodies: a coroutine that blocks the event loop or does not let itself be closed, a thread that
    was not ours; or a store whose lock somebody else holds. All that is acknowledged is durable, so nothing is lost.

    Attributes:
        words: What is said then.
        stream: To which descriptor.
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self.words = "! ended without waiting any longer"
        self.stream = 1
        self._limit = limit
        self._number = 0
        self._begun, self._over = threading.Event(), threading.Event()
        # It is there before it is needed: a signal may come while another thread is being started, and a handler that
        # starts one would wait for that for ever.
        threading.Thread(target=self._watch, name="orchwf-deadline", daemon=True).start()

    def begin(self, number: int) -> None:
        """Let the time run; for a signal handler, which gives its number."""
        self._number = number
        self._begun.set()

    def lift(self) -> None:
        """Let the process live: nothing that could keep it is left."""
        self._over.set()
        self._begun.set()

    def hasten(self) -> None:
        """All is told: once a signal came, what is left of others has a moment to end, and no more is said."""
        if self._number:
            self.words = ""
            threading.Thread(target=self._end_after, args=(_MOMENT,), name="orchwf-moment", daemon=True).start()

    def _watch(self) -> None:
        self._begun.wait()
        self._end_after(self._limit)

    def _end_after(self, seconds: float) -> None:
        if self._over.wait(seconds):
            return
        if self.words:
            self._say()
        os._exit(128 + self._number)

    def _say(self) -> None:
        # By the descriptor: the stream may be in the midst of a write itself. Who does not read must not keep us, and
        # not every system can tell.
        with contextlib.suppress(OSError, ValueError):
            if select.select([], [self.stream], [], 0)[1]:
                cursor = SHOW_CURSOR if os.isatty(self.stream) else ""
                os.write(self.stream, f"{cursor}{self.words}\n".encode())


def run_in_time(main: Callable[[Deadline], Coroutine[Any, Any, int]], limit: float = LIMIT) -> int:
    """
    What this coroutine function returns, on an event loop; once a signal came it is left in time, whatever runs.

    Args:
        limit: How much time that is, in seconds.
    """
    deadline = Deadline(limit)

    async def told() -> int:
        code = await main(deadline)
        deadline.hasten()
        return code

    try:
        return asyncio.run(told())
    finally:
        deadline.lift()


def leave_threads_behind(code: int) -> None:
    """End the process with this code, if threads that were not ours would keep it for who knows how long."""
    others = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    if others:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
