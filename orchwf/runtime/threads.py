"""Where plain functions run: daemon threads that cost little a call, and never keep the process alive."""

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
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

    async def call(self, work: Callable[[], T]) -> T:
        """What this returns or raises on a thread, with the context variables of here. It cannot be cancelled."""
        variables, answered = contextvars.copy_context(), self._loop.create_future()
        box: list[tuple[T | None, BaseException | None]] = []
        self.submit(lambda: box.append(variables.run(_outcome, work)), lambda: _answer(answered, box[0]))
        value, error = await answered
        if error is not None:
            try:
                raise error
            finally:
                # It knows this frame.
                del error
        return value  # type: ignore[no-any-return]

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


def _outcome(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except KeyboardInterrupt as error:
        # On the loop it would be taken for the end of the process, and this was raised by hand.
        failure = RuntimeError("KeyboardInterrupt was raised in a thread")
        failure.__cause__ = error
        return None, failure
    # Foreign code: whatever it raises belongs to whoever called.
    except BaseException as error:
        return None, error


def _answer(answered: "asyncio.Future[Any]", outcome: tuple[Any, BaseException | None]) -> None:
    if not answered.done():
        answered.set_result(outcome)
