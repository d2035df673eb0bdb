"""The heartbeats of one attempt: from any thread, often; to the log, seldom."""

from collections.abc import Callable

import attrs

from ..core.codec import Codec

_EVERY = 1.0
"""Seconds between two heartbeats of an attempt that are written."""


def _nothing() -> None:
    pass


@attrs.define(eq=False)
class Heart:
    """
    Takes what a body tells, and passes on what is to be written.

    Attributes:
        limit: Seconds without a heartbeat after which it is taken to stand still; None for no limit.
        codec: Encodes what is told.
        later: Calls back after so many seconds; returns what revokes that.
        soon: Calls back on the loop, from any thread.
        write: Is given the progress that is to be written (JSON), on the loop.
        stopped: Is called, on the loop, if the limit has passed.
        unwritten: The progress that was told and not passed on yet; None if there is none.
    """

    limit: float | None
    codec: Codec
    later: Callable[[float, Callable[[], None]], Callable[[], None]]
    soon: Callable[[Callable[[], None]], object]
    write: Callable[[str], None]
    stopped: Callable[[], None]
    unwritten: str | None = None
    _last: str = "null"
    _is_over: bool = False
    _is_noticed: bool = False
    _is_resting: bool = False
    _revoke_limit: Callable[[], None] = _nothing
    _revoke_rest: Callable[[], None] = _nothing

    def start(self) -> None:
        """Let the time run in which a heartbeat is expected."""
        self._revoke_limit()
        if self.limit is not None:
            self._revoke_limit = self.later(self.limit, self.stopped)

    def beat(self, progress: object) -> None:
        """
        The body lives; may be called from any thread.

        Raises:
            EncodingError: this progress cannot be stored.
        """
        if progress is not None:
            self._last = self.codec.encode(progress)
        self.unwritten = self._last
        if not self._is_noticed and not self._is_over:
            self._is_noticed = True
            self.soon(self._notice)

    def hear(self, progress: str) -> None:
        """A body in another process lives and is so far (JSON); called on the loop."""
        self._last = self.unwritten = progress
        self._notice()

    def stop(self) -> None:
        """The attempt is over: nothing is passed on any more."""
        self._is_over = True
        self._revoke_limit()
        self._revoke_rest()
        # These lead back to the attempt, whose context has this: nothing is to wait for the garbage collector.
        self._revoke_limit = self._revoke_rest = self.stopped = _nothing
        self.write = _unheard

    def _notice(self) -> None:
        self._is_noticed = False
        if self._is_over:
            return
        self.start()
        if not self._is_resting:
            self._pass_on()

    def _pass_on(self) -> None:
        self._is_resting = self.unwritten is not None
        if self.unwritten is not None:
            progress, self.unwritten = self.unwritten, None
            self.write(progress)
            self._revoke_rest = self.later(_EVERY, self._pass_on)


def _unheard(progress: str) -> None:
    """What is told when the attempt is over."""
