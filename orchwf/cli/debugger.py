"""Stops in a body: where it raised, or at its first line."""

import bdb
import inspect
import pdb  # noqa: T100  It is what this is about.
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType, TracebackType

from .exits import CommandError


class _AtFirstLine(pdb.Pdb):
    """Stops at the first line of one function, whoever calls it, in a coroutine too."""

    def __init__(self, code: CodeType) -> None:
        super().__init__()
        self._code = code
        self._has_begun = False

    def stop_here(self, frame: FrameType) -> bool:
        if self._has_begun:
            return super().stop_here(frame)
        self._has_begun = frame.f_code is self._code
        return self._has_begun

    def user_call(self, frame: FrameType, argument_list: None) -> None:
        # At the line `def` there is nothing to see yet.
        if frame.f_code is not self._code:
            super().user_call(frame, argument_list)


@contextmanager
def stopping_in(function: Callable[..., object]) -> Iterator[None]:
    """In the block a debugger stops at the first line of this function once it is called on this thread."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    # What is no function of Python, such as an object that can be called, has one behind it.
    code = code if isinstance(code, CodeType) else getattr(type(function).__call__, "__code__", None)
    if not isinstance(code, CodeType):
        raise CommandError("a debugger can stop only in what is written in Python; leave out --trace")
    debugger = _AtFirstLine(code)
    debugger.reset()
    with _tracing_kept():
        sys.settrace(debugger.trace_dispatch)
        yield


def look_at(traceback: TracebackType | None) -> None:
    """Let a debugger show where something was raised, until whoever looks leaves it."""
    with _tracing_kept(), suppress(bdb.BdbQuit):
        pdb.post_mortem(traceback)


@contextmanager
def _tracing_kept() -> Iterator[None]:
    """After the block whoever traced this thread before does so again: a debugger that is left ends that."""
    before = sys.gettrace()
    try:
        yield
    finally:
        sys.settrace(before)
