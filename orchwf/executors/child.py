"""A process that runs bodies for an orchestrator, one after the other, until that closes its input or dies."""

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from .frames import Kind, read_frame, write_frame


class _Home:
    """
    The line to the orchestrator, and what it sends.

    Args:
        requests, answers: The pipes from there, and to there.
        end: Ends this process at once, as nobody waits for what it does.
    """

    def __init__(self, requests: int, answers: int, end: Callable[[], None]) -> None:
        self._end = end
        self._requests = requests
        self._answers = answers
        self._lock = threading.Lock()
        self._calls: SimpleQueue[str | None] = SimpleQueue()
        self._told = threading.Event()
        self._is_busy = False

    def say(self, text: str) -> None:
        self.send(Kind.SAID, text)

    def is_told(self) -> bool:
        return self._told.is_set()

    def send(self, kind: Kind, text: str) -> None:
        """Send this, from whatever thread. If nobody hears it, this process ends."""
        with self._lock:
            try:
                write_frame(self._answers, kind, text)
            except OSError:
                self._end()

    def next(self) -> str | None:
        """What is to be called next; None if nothing ever is."""
        self._is_busy = False
        call = self._calls.get()
        self._told.clear()
        self._is_busy = call is not None
        return call

    def listen(self) -> None:
        """Take what is sent until nothing more will be; a body that runs then has nobody any more."""
        while (frame := read_frame(self._requests)) is not None:
            kind, text = frame
            if kind is Kind.CALL:
                self._calls.put(text)
            else:
                self._told.set()
        if self._is_busy:
            self._end()
        self._calls.put(None)


def _end() -> None:
    """End this process at once, and what its body started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Serve the orchestrator that started this process."""
    _serve(_Home(*_private_pipes(), _end))


def _serve(home: _Home) -> None:
    """Call what is to be called, one after the other, until nothing will be any more."""
    threading.Thread(target=home.listen, name="orchwf-listen", daemon=True).start()
    home.send(Kind.READY, str(os.getpid()))
    while (call := home.next()) is not None:
        home.send(Kind.TAKEN, "")
        name, _, text = call.partition("\n")
        try:
            answer = _function(name)(text, home)
        # What is raised here is a bug of ours, and is told as one. But what ends a process does.
        except Exception:
            home.send(Kind.BUG, traceback.format_exc())
        else:
            home.send(Kind.ANSWER, answer)


def _private_pipes() -> tuple[int, int]:
    """
    The pipes to the orchestrator, where no body finds them.

    It reads nothing from its standard input, and what it prints goes to standard error: to standard output the program
    that started the orchestrator may write something that others read.
    """
    requests, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    # A program without a console has no standard error either.
    with suppress(OSError):
        os.dup2(2, 1)
    # Line by line: who is killed flushes nothing. There is no such stream where there was no pipe.
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return requests, answers


def _function(name: str) -> Callable[[str, _Home], str]:
    module, _, function = name.partition(":")
    found: Callable[[str, _Home], str] = getattr(importlib.import_module(module), function)
    return found
