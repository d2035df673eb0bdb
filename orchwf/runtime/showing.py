"""What is drawn again and again on the screen of a notebook, until there is nothing new to draw."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import attrs

from ..ports import Clock

_SHORTEST, _LONGEST = 0.25, 5.0
_SLOWER = 0.1
"""After so large a part of the time in which nothing happened it is looked again."""

_SHARE = 20
"""Drawing may take one part in so many of the loop, on which steps run, too."""


class Screen(Protocol):
    """A place in a notebook where something is shown. What is shown later takes the place of what was before."""

    def show(self, bundle: dict[str, str]) -> None:
        """Show this: MIME type -> content."""
        ...


@attrs.define
class NotebookScreen:
    """An output of a cell."""

    _handle: Any

    def show(self, bundle: dict[str, str]) -> None:
        self._handle.update(bundle, raw=True)


def open_screen(bundle: dict[str, str]) -> Screen | None:
    """
    The output of the cell that is being executed, which shows this; None where what is shown cannot be changed.

    That needs IPython and a front end that draws: IPython is not imported if it is not there already.
    """
    if not is_in_notebook():
        return None
    from IPython.display import display  # It is there already.

    return NotebookScreen(display(bundle, raw=True, display_id=True))  # type: ignore[no-untyped-call]


def is_in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def is_loop_running() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Showings:
    """The tasks that draw: each ends with what it shows, or when these are closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._rests: set[asyncio.Event] = set()
        self.is_closed = False

    def begin(self, follow: Coroutine[Any, Any, None]) -> None:
        """Let this coroutine draw, on the loop that runs here."""
        task = asyncio.get_running_loop().create_task(follow, name="orchwf-showing")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let all be drawn a last time, and end."""
        self.is_closed = True
        for rest in self._rests:
            rest.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def rest(self, clock: Clock, seconds: float) -> None:
        """Return after so many seconds of this clock, or once these are closed."""
        if self.is_closed:
            return
        over = asyncio.Event()
        self._rests.add(over)
        revoke = clock.call_at(clock.now() + seconds, over.set)
        try:
            await over.wait()
        finally:
            revoke()
            self._rests.discard(over)


@attrs.define
class Pace:
    """
    How often it is looked, and drawn: at most four times a second, and less often the less happens.

    Attributes:
        quiet: Seconds since something happened.
        due_at: When it may be drawn again (seconds of the clock).
    """

    quiet: float = 0.0
    due_at: float = 0.0

    @property
    def wait(self) -> float:
        """Seconds until it is looked again."""
        return min(max(_SHORTEST, self.quiet * _SLOWER), _LONGEST)

    def draw(self, drawing: Callable[[], None], clock: Clock) -> None:
        """Draw, and let the loop do something else for much longer than that took."""
        begun = time.thread_time()
        drawing()
        self.due_at = clock.now() + (time.thread_time() - begun) * _SHARE
