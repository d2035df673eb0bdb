"""Keeps the garbage collector away from where there is no garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """
    The garbage collector does not run by itself in here.

    For code that makes very many objects and keeps them all: the collector looks through all that is alive whenever
    there is a quarter more of it, again and again, and finds nothing. Afterwards it is as it was, also after an error.
    Two threads in here at once may let it run too early, never too late.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
