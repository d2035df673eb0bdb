"""Bodies around which, and in the midst of which, a process can die: then nothing of them goes on."""

import asyncio
import inspect
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any, TypeVar

import attrs

from ..context import RunContext, StepContext, current
from ..core.definition import Node, Several
from ..ports import AroundRun, AroundStep, RunRecord
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
    make = _MAKERS[node.several is Several.STREAM, node.is_async]
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
            with _until_death(life):
                return body(*args, **kwargs)
        finally:
            life.leave_thread()

    return run


def _generator_body(body: Callable[..., Any], life_here: Callable[[], Life | None]) -> Callable[..., object]:
    def run(*args: object, **kwargs: object) -> Generator[object, None, None]:
        life = life_here()
        if life is None:
            yield from body(*args, **kwargs)
            return
        values = body(*args, **kwargs)
        with _until_death(life):
            yield from _mortal_items(life, iter(values))

    return run


def _mortal_items(life: Life, values: Iterator[T]) -> Generator[T, None, None]:
    """What this gives, until the process dies. The thread is in the body only while it is asked for the next one."""
    try:
        while True:
            life.enter_thread()
            try:
                value = next(values)
            except StopIteration:
                return
            finally:
                life.leave_thread()
            yield value
    finally:
        if life.is_dead:
            life.left_open.append(values)


@contextmanager
def _until_death(life: Life) -> Iterator[None]:
    """The block in which a body runs on a thread: the process may die before it and after it."""
    context = current()
    if not life.begins(context):
        raise Died
    try:
        yield
    # Whatever it is that the body raises, the process may die before that is known.
    except BaseException as error:
        if not life.ends(context, error):
            raise Died from None
        raise
    if not life.ends(context):
        raise Died


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


def _async_generator_body(body: Callable[..., Any], life_here: Callable[[], Life | None]) -> Callable[..., object]:
    async def run(*args: object, **kwargs: object) -> AsyncGenerator[object, None]:
        life, values = life_here(), body(*args, **kwargs)
        if life is None:
            async for value in values:
                yield value
            return
        context = current()
        if not life.begins(context):
            await life.end()
        _life.set(life)
        try:
            async for value in _mortal_values(life, values):
                yield value
        # As above.
        except BaseException as error:
            if not life.ends(context, error):
                await life.end()
            raise
        if not life.ends(context):
            await life.end()

    return run


async def _mortal_values(life: Life, values: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same on the loop."""
    try:
        while True:
            try:
                value = await _mortal_await(life, anext(values))
            except StopAsyncIteration:
                return
            yield value
    finally:
        if life.is_dead:
            life.left_open.append(values)
        else:
            await values.aclose()


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


def mortal_middleware(life: Life, middleware: Sequence[AroundStep | AroundRun]) -> list[AroundStep | AroundRun]:
    """This middleware, of which nothing goes on once the process is dead."""
    return [_Mortal(life), *middleware] if middleware else []


class _Mortal:
    """Stands around all other middleware of a process that can die."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
        _life.set(self._life)
        return await _mortal_await(self._life, call())

    async def around_run(self, call: Callable[[], Awaitable[RunRecord]], context: RunContext) -> object:
        return await self.around_step(call, StepContext())


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


def close(coroutine: Coroutine[Any, Any, object] | Generator[Any, Any, object]) -> None:
    """End a coroutine, or a generator, that nobody drives any more, whatever it does about that."""
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


_MAKERS = {
    (False, False): _plain_body, (False, True): _coroutine_body, (True, False): _generator_body,
    (True, True): _async_generator_body,
}  # fmt: skip
"""(whether it is a generator, whether it is a coroutine) -> what makes a body that can die of it."""
