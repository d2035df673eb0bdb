"""What stands around bodies: middleware, the first one outermost."""

from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any

from ..errors import UsageError
from ..ports import AroundStep
from .attempt import Attempt
from .threads import Threads


class Around:
    """
    Runs the body of an attempt with all that stands around it.

    All of it runs on the loop, in the task of the attempt; of a plain function only the body is in a thread.

    Args:
        layers: The middleware, the outermost first.
        threads: Where plain bodies run.
    """

    def __init__(self, layers: Sequence[AroundStep], threads: Threads) -> None:
        self._layers = tuple(layers)
        self._threads = threads

    async def __call__(self, attempt: Attempt) -> object:
        """What the outermost layer returns; raises what that raises."""
        try:
            return await self.inside(attempt, 0)
        except BaseException as error:
            error.__traceback__ = _without_layers(error.__traceback__)
            raise

    def inside(self, attempt: Attempt, depth: int) -> Coroutine[Any, Any, object]:
        """What is inside so many layers: one more, or the body."""
        if depth < len(self._layers):
            return self._layers[depth].around_step(_Call(self, attempt, depth + 1), attempt.context())
        if attempt.node.options.executor is not None:
            return attempt.body_elsewhere()
        return attempt.body() if attempt.node.is_async else self._threads.call(attempt.plain_body)


class _Call:
    """What a layer calls to have the rest of an attempt run, once."""

    def __init__(self, around: Around, attempt: Attempt, depth: int) -> None:
        self._around = around
        self._attempt = attempt
        self._depth = depth
        self._is_called = False

    def __call__(self) -> Coroutine[Any, Any, object]:
        name = self._attempt.node.name
        if self._is_called:
            raise UsageError(
                f"call() runs the body of step {name!r}, and was called a second time in one attempt; "
                "let the step try again instead: @step(retries=...)"
            )
        if self._attempt.is_over:
            raise UsageError(f"call() runs the body of step {name!r}, and this attempt of it is over")
        self._is_called = True
        return self._around.inside(self._attempt, self._depth)


# What is between two layers, or between the innermost one and the body.
_BETWEEN = {code.co_filename for code in (Around.inside.__code__, Attempt.body.__code__, Threads.call.__code__)}


def _without_layers(frames: TracebackType | None) -> TracebackType | None:
    """The traceback without what lies between those who wrote the layers and the body."""
    kept = []
    while frames is not None:
        if frames.tb_frame.f_code.co_filename not in _BETWEEN:
            kept.append(frames)
        frames = frames.tb_next
    rest: TracebackType | None = None
    for each in reversed(kept):
        rest = TracebackType(rest, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return rest
