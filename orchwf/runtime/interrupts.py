"""What Ctrl-C and SIGTERM do while runs are executed: the first one asks to stop, the second one ends at once."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import attrs

SHOW_CURSOR = "\x1b[?25h"
"""What makes the cursor of a terminal visible again."""


@attrs.define
class Interrupt:
    """
    Whether to stop.

    Attributes:
        asked: Is set by the first signal.
        number: The number of that signal; 0 before.
    """

    asked: asyncio.Event = attrs.field(factory=asyncio.Event)
    number: int = 0

    @property
    def exit_code(self) -> int:
        """What a shell reports for a program that this signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


def _nothing(number: int) -> None:
    pass


@contextmanager
def listening(
    signals: Sequence[signal.Signals], last_words: str, on_first: Callable[[int], None] = _nothing
) -> Iterator[Interrupt]:
    """
    Listen to these signals in the block. Only in the main thread, as Python has it; elsewhere nothing is changed.

    A handler of the application's own that was there before is called, too; it is there again after the block.

    Args:
        last_words: What is said when the second one ends the process, in the midst of anything.
        on_first: Is called with the number of the first one, at once: also while the event loop is blocked.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupt.number:
            # Bodies in threads cannot be stopped, and nothing is to be waited for.
            end_at_once(128 + number, last_words)
        interrupt.number = number
        on_first(number)
        loop.call_soon_threadsafe(interrupt.asked.set)
        own = before[number]
        if callable(own) and not _is_pythons(own):
            own(number, frame)

    before = {int(number): signal.getsignal(number) for number in signals}
    for number in signals:
        signal.signal(number, handle)
    try:
        yield interrupt
    finally:
        for number_before, handler in before.items():
            # None is one that was not set by Python.
            signal.signal(number_before, handler if handler is not None else signal.SIG_DFL)


def _is_pythons(handler: Callable[..., object]) -> bool:
    """Whether this is what Python itself, or asyncio.run, does on Ctrl-C: we stand in for it."""
    method = getattr(handler, "func", None)
    return handler is signal.default_int_handler or isinstance(getattr(method, "__self__", None), asyncio.Runner)


def end_at_once(code: int, last_words: str) -> None:
    """End the process with this code, in the midst of anything; the words go to standard error."""
    # By the descriptor: the stream may be in the midst of a write itself.
    os.write(2, f"{SHOW_CURSOR if os.isatty(2) else ''}\n{last_words}\n".encode())
    os._exit(code)
