"""Tells how late the event loop is, and which step blocks it."""

import asyncio
import sys
import threading
import traceback

from ..advice import advise
from .engine import Engine

_EVERY = 0.5
_BLOCKED = 1.0


class Watchdog:
    """
    Looks from a thread whether the loop still turns, and how soon it does what it is asked.

    A loop that is blocked renews nothing, commits nothing and starts nothing: the warning names the step and the line
    that it stands at.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._turned = threading.Event()
        self._closed = threading.Event()
        self._told: set[str] = set()
        threading.Thread(target=self._watch, name="orchwf-watchdog", daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(_EVERY):
            self._turned.clear()
            try:
                self._loop.call_soon_threadsafe(self._turn, self._engine.measures.lag.ask())
            except RuntimeError:
                return
            if not self._turned.wait(_BLOCKED) and not self._closed.is_set():
                self._warn()

    def _turn(self, asked_at: float) -> None:
        self._engine.measures.lag.note(asked_at)
        self._turned.set()

    def _warn(self) -> None:
        task = asyncio.current_task(self._loop)
        frame = sys._current_frames().get(self._loop_thread)
        blocking = [attempt for attempt in self._engine.in_flight if task is not None and attempt.task is task]
        if not blocking or frame is None:
            return
        # Not its own context, which the body may be making at this moment.
        context = blocking[0].host.context_for(blocking[0].step, blocking[0].number)
        name = f"step {context.step!r} of run {context.run_id!r}"
        if name in self._told:
            return
        self._told.add(name)
        line = traceback.extract_stack(frame)[-1]
        advise(
            f"{name} blocks the event loop for more than {_BLOCKED:g} s, at {line.filename}:{line.lineno} "
            f"in {line.name}: everything else waits. "
            "Make it a plain function, which runs in a thread, or await what takes long.",
            line.filename, line.lineno or 0,
        )  # fmt: skip
