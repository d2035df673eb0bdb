"""Where plain functions run: daemon threads that cost little a call, and never keep the process alive."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

Call = Callable[[], None]


class Threads:
    """
    A pool that grows with the calls in flight; the caller bounds them.

    One queue leads in. Out leads one list, which the loop empties in one go per burst: `run_in_executor` wakes it for
    each call and costs some 160 microseconds, this 2 to 5.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[tuple[Call, Call] | None] = SimpleQueue()
        self._ended: deque[Call] = deque()
        self._lock = threading.Lock()
        self._idle = 0
        self._count = 0
        self._is_closed = False

    def submit(self, call: Call, then: Call) -> None:
        """
        Run `call` on a thread, and `then` on the loop after it. Neither may raise.

        A call that never returns keeps its thread, for which the next one gets another.
        """
        with self._lock:
            starts = self._idle == 0
            self._idle -= not starts
            self._count += starts
        self._calls.put((call, then))
        if starts:
            threading.Thread(target=self._work, name=f"orchwf-{self._count}", daemon=True).start()

    def close(self) -> None:
        """Let all threads end that are not in a call; the others end after it. What they still report is dropped."""
        with self._lock:
            self._is_closed = True
        for _ in range(self._count):
            self._calls.put(None)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, then = item
            call()
            self._report(then)
            # A thread must not keep the last arguments and outputs alive while it waits.
            del item, call, then

    def _report(self, then: Call) -> None:
        with self._lock:
            self._idle += 1
            if self._is_closed:
                return
            is_first = not self._ended
            self._ended.append(then)
        if is_first:
            try:
                self._loop.call_soon_threadsafe(self._flush)
            except RuntimeError:
                # The loop was closed while the call ran on, and nobody waits for it any more.
                self._ended.clear()

    def _flush(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, deque()
        for then in ended:
            then()
