"""Bodies around which, and in the midst of which, a process can die: then nothing of them goes on."""

import asyncio
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, TypeVar

import attrs

from ..context import current
from ..core.definition import Node
from .dying import Died, Life

T = TypeVar("T")

_life: ContextVar[Life | None] = ContextVar("orchwf_life", default=None)
"""The process whose coroutine runs here, if it is one that can die."""


def mortal(node: Node, life_here: Callable[[], Life | None]) -> Node:
    """
    The step with a body around which the process can die, and with such a compensation.

    Args:
        life_here: The process that runs the body; None for one that does not die.
    """
    make = _coroutine_body if node.is_async else _plain_body
    undo = node.compensation
    return attrs.evolve(
        node,
        function=make(node.function, life_here) if node.function is not None else None,
        compensation=mortal(undo, life_here) if undo is not None else None,
    )


def _plain_body(body: Callable[..., object], life_here: Callable[[], Life | None]) -> Callable[..., object]:
    def run(*args: object, **kwargs: object) -> object:
        life = life_here()
        if life is None:
            return body(*args, **kwargs)
        life.enter_thread()
        try:
            return _until_death(life, lambda: body(*args, **kwargs))
        finally:
            life.leave_thread()

    return run


def _until_death(life: Life, body: Callable[[], object]) -> object:
    context = current()
    if not life.begins(context):
        raise Died
    try:
        result = body()
    # Whatever it is that the body raises, the process may die before that is known.
    except BaseException as error:
        if not life.ends(context, error):
            raise Died from None
        raise
    if not life.ends(context):
        raise Died
    return result


def _coroutine_body(body: Callable[..., object], life_here: Callable[[], Life | None]) -> Callable[..., object]:
    async def run(*args: object, **kwargs: object) -> object:
        life = life_here()
        if life is None:
            result = body(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        context = current()
        if not life.begins(context):
            await life.end()
        _life.set(life)
        try:
            result = body(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await _mortal_await(life, result)
        # As above.
        except BaseException as error:
            if not life.ends(context, error):
                await life.end()
            raise
        if not life.ends(context):
            await life.end()
        return result

    return run


async def _mortal_await(life: Life, awaitable: Awaitable[T]) -> T:
    """What this gives, unless the process dies meanwhile: then nothing of it goes on, not even what is `finally`."""
    coroutine = awaitable if inspect.iscoroutine(awaitable) else _awaiting(awaitable)
    return await _driven(life, coroutine)


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable


@types.coroutine
def _driven(life: Life, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    step: Callable[[Any], Any] = coroutine.send
    argument: Any = None
    while True:
        try:
            awaited = step(argument)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            argument, step = (yield awaited), coroutine.send
        except BaseException as error:
            argument, step = error, coroutine.throw
        if life.is_dead:
            # It is kept as it is: to close it would run what is `finally` in it, in the midst of the next life.
            life.remains.append(coroutine)
            yield from life.end().__await__()


def mortal_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, *, context: Context | None = None, **options: Any
) -> "asyncio.Task[Any]":
    """A task factory: what is started by a body that can die, dies with it."""
    life = _life.get() if context is None else context.get(_life)
    if life is None:
        return asyncio.Task(coroutine, loop=loop, context=context, **options)
    task: asyncio.Task[Any] = asyncio.Task(_mortal_await(life, coroutine), loop=loop, context=context, **options)
    life.tasks.append(task)
    return task


def close(coroutine: Coroutine[Any, Any, object]) -> None:
    """End a coroutine that nobody drives any more, whatever it does about that."""
    for _ in range(100):
        try:
            coroutine.close()
        # It awaits something while it is closed: once more, until it has come to its end.
        except RuntimeError:
            continue
        except (KeyboardInterrupt, SystemExit):
            raise
        # Foreign code: what its clean-up raises is nobody's. A task group raises a group of all that ended its tasks.
        except BaseException:
            return
        return
