"""One try of one step: user code in, an outcome (a value) out."""

import asyncio
import contextlib
import inspect
import random
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from types import CoroutineType
from typing import Any

import attrs

from ..context import StepContext, enter
from ..core.codec import Codec
from ..core.definition import Argument, FromInput, FromOutputs, FromStep, Node
from ..core.options import seconds
from ..core.outcome import Outcome, Raised, Returned, SkippedItself, Stopped
from ..core.values.pieces import LARGE, is_large
from ..errors import BadOptionError, EncodingError, NonRetryable, RetryAfter, Skip, StepTimeoutError
from .failure import describe_error, without_ours
from .heart import Heart

_PATIENCE = 5.0
"""Seconds that a coroutine has to end after it got CancelledError; then it is closed, as by Python at its exit."""

_LAST_PATIENCE = 1.0
"""The same when the orchestrator closes."""


def _nothing() -> None:
    pass


Ending = tuple[Outcome, BaseException | None]
"""How an attempt ended, and what was raised (None if nothing was)."""

Stopping = tuple[Stopped | Raised, BaseException | None]
"""The same, of one that was ended from outside."""


@attrs.frozen(eq=False)
class Host:
    """
    What the attempts of one run have in common.

    Attributes:
        codec: Encodes and decodes.
        input_size: How long the encoded inputs are.
        instance: Gives the workflow's instance, with its inputs.
        type_of: Gives the type of the output of a step, by its name.
        context_for: Makes what a body may know of itself: step (its number in the plan), number of the attempt.
        later: Calls back after so many seconds; returns what revokes that.
        soon: Calls back on the loop; may be called from any thread.
        report: Is told, once and on the loop, how an attempt ended.
        pulse: Is told of heartbeats, on the loop.
    """

    codec: Codec
    input_size: int
    instance: Callable[[], object]
    type_of: Callable[[str], object]
    context_for: Callable[[int, int], StepContext]
    later: Callable[[float, Callable[[], None]], Callable[[], None]]
    soon: Callable[[Callable[[], None]], object]
    report: Callable[["Attempt", Ending], None]
    pulse: Callable[["Attempt", str], None]


@attrs.define(eq=False)
class Attempt:
    """
    One try of one step, with all that it needs.

    What few bodies ask for, a context and a heart, is made when it is asked for. Nothing here leads back to the attempt
    once it is over: so it goes at once, and does not wait for the garbage collector.

    Attributes:
        host: What it has in common with the others of its run.
        node: The step.
        step: Its number in the plan.
        number: Which try, counted from 1.
        outputs: Step name -> its encoded output, of what this step reads and what completed.
        limit: Seconds it may take; None for no limit.
        is_total: Whether `limit` is what was left of `total_timeout`.
        last_heartbeat: The progress that was told last, encoded; None if none was.
        task: The task in which a coroutine body runs; None before it has begun, and once it is over.
    """

    host: Host
    node: Node
    step: int
    number: int
    outputs: Mapping[str, str]
    limit: float | None = None
    is_total: bool = False
    last_heartbeat: str | None = None
    task: asyncio.Task[Any] | None = None
    is_over: bool = False
    _is_dropped: bool = False
    _is_told: bool = False
    _has_begun: bool = False
    _has_returned: bool = False
    _wants_end: Stopping | None = None
    _context: StepContext | None = None
    _heart: Heart | None = None
    _body: Coroutine[Any, Any, object] | None = None
    _revoke: Callable[[], None] = _nothing

    def context(self) -> StepContext:
        """What the body may know of itself."""
        if self._context is None:
            context = self.host.context_for(self.step, self.number)
            last = None if self.last_heartbeat is None else self.host.codec.decode(self.last_heartbeat)
            context.listen(self._make_heart().beat, last)
            self._context = context
            # It may be made in a thread. `tell_to_end` looks the other way round, so that one of them sees the other.
            if self._is_told:
                context.cancel()
        return self._context

    def _make_heart(self) -> Heart:
        if self._heart is None:
            self._heart = Heart(
                limit=self.node.options.heartbeat_timeout, codec=self.host.codec, later=self.host.later,
                soon=self.host.soon, write=lambda progress: self.host.pulse(self, progress),
                stopped=self._heart_stopped,
            )  # fmt: skip
            # A thread runs on though its attempt is over.
            if self.is_over:
                self._heart.stop()
        return self._heart

    @property
    def unwritten(self) -> str | None:
        """The progress that was told and not passed on yet; None if there is none."""
        return None if self._heart is None else self._heart.unwritten

    def limit_time(self) -> None:
        """Let the time that the attempt may take begin."""
        if self.limit is not None:
            self._revoke = self.host.later(self.limit, self.expire)
        if self.node.options.heartbeat_timeout is not None:
            self._make_heart().start()

    def tell_to_end(self) -> None:
        """Tell the body that it should end, by its context."""
        self._is_told = True
        if self._context is not None:
            self._context.cancel()

    async def run(self, task: asyncio.Task[Any]) -> None:
        """Run a coroutine body here, in this task."""
        if self.is_over:
            return
        self._has_begun = True
        self.task = task
        enter(self.context)
        try:
            args, kwargs = self._arguments() if self._reads_little() else await asyncio.to_thread(self._arguments)
            result = self.node.function(*args, **kwargs)  # type: ignore[misc]
            # A plain wrapper around a coroutine function may give either.
            if type(result) is CoroutineType or inspect.isawaitable(result):
                self._body = result if isinstance(result, CoroutineType) else None
                result = await result
            # From here on nothing stops it: what it did is done.
            self._has_returned = True
            ending = await asyncio.to_thread(self._returned, result) if is_large(result) else self._returned(result)
        except asyncio.CancelledError as error:
            # Stopped by us, or the body cancelled itself, which is a failure like any other.
            ending = self._raised(error)
        except KeyboardInterrupt:
            # The process is ending: nothing is known of the step, which a resume will run again.
            raise
        # Foreign code: whatever a body raises is the end of its attempt, SystemExit too, and never ours. A coroutine
        # that is closed with its loop gets GeneratorExit here, and may end so.
        except BaseException as error:
            ending = self._raised(error)
        self.end(self._settled(ending))

    def _settled(self, ending: Ending) -> Ending:
        """How it ended if it was told to: a body that completes though it was stopped has completed, in its time."""
        if self._wants_end is None:
            return ending
        was_in_time = isinstance(self._wants_end[0], Stopped)
        return ending if was_in_time and isinstance(ending[0], Returned) else self._wants_end

    def start_on(self, submit: Callable[[Callable[[], None], Callable[[], None]], None], variables: Context) -> None:
        """Run a plain body on a thread, with these context variables."""
        box: list[Ending] = []
        submit(lambda: box.append(variables.run(self._call)), lambda: self.end(box[0]))

    def _call(self) -> Ending:
        # `stop` looks the other way round: either it learns that the body runs, or this that it must not.
        self._has_begun = True
        if self._wants_end is not None:
            return self._wants_end
        enter(self.context)
        try:
            args, kwargs = self._arguments()
            return self._returned(self.node.function(*args, **kwargs))  # type: ignore[misc]
        # Foreign code, as above. StopIteration and its like would hang whoever waits for the thread: a value does not.
        except BaseException as error:
            return self._raised(error)

    def stop(self, ending: Stopping | None = None, *, patience: float | None = None) -> None:
        """
        End this attempt from outside: it counts as stopped, or as the ending given.

        A coroutine gets CancelledError, and the attempt is over when it has ended. One that has not after some seconds
        is closed. A thread cannot be stopped: it runs on, the attempt is over at once, and what it returns is dropped.
        A coroutine that has returned has completed, though its output may not be encoded yet.

        Args:
            patience: How many seconds it has to end.
        """
        if self._wants_end is not None or self.is_over or self._has_returned:
            return
        wanted = self._wants_end = ending or (Stopped(), None)
        self.tell_to_end()
        if self.task is None:
            # It runs on a thread, or has not begun.
            outcome, error = wanted
            self.end((attrs.evolve(outcome, runs_on=self._has_begun), error))
            return
        self.task.cancel()
        self._revoke()
        self._revoke = self.host.later(_PATIENCE if patience is None else patience, self._close)

    def close_soon(self) -> None:
        """Stop it, and drop how it ends: the engine ends, and the run will be resumed without it."""
        self._is_dropped = True
        self._wants_end = None
        self.stop(patience=_LAST_PATIENCE)

    def _close(self) -> None:
        """End a coroutine that goes on though it was cancelled."""
        body, task = self._body, self.task
        if self._wants_end is not None:
            self.end(self._wants_end)
        if body is not None and task is not None:
            # It may be in the midst of a call to us, or await something while it is closed. What it raises is nobody's.
            with contextlib.suppress(Exception):
                body.close()
            # It waits for what nobody will tell it any more.
            task.cancel()

    def expire(self) -> None:
        """End this attempt because its time is up."""
        option, value = "timeout", self.node.options.timeout
        if self.is_total:
            option, value = "total_timeout", self.node.options.total_timeout
        self._time_out(
            f"step {self.node.name!r} took longer than its {option} of {value or 0:g} s"
            + (f" (all {self.number} attempts together)" if self.is_total else f" (attempt {self.number})"),
            is_last=self.is_total,
        )

    def _heart_stopped(self) -> None:
        self._time_out(
            f"step {self.node.name!r} gave no heartbeat for {self.node.options.heartbeat_timeout or 0:g} s "
            f"(attempt {self.number})",
            is_last=False,
        )

    def _time_out(self, message: str, *, is_last: bool) -> None:
        error = StepTimeoutError(message)
        outcome = Raised(
            error=describe_error(error),
            retryable=not is_last and self.node.options.retry.allows(error),
            spread=random.random(),
        )
        self.stop((outcome, error))

    def end(self, ending: Ending) -> None:
        """Report how it ended, the first time; later endings (of a thread that went on) are dropped."""
        if self.is_over:
            return
        self.is_over = True
        self._revoke()
        if self._heart is not None:
            self._heart.stop()
        # The task has the context variables, which lead back here.
        self.task = self._body = None
        self._revoke = _nothing
        if not self._is_dropped:
            self.host.report(self, ending)

    def _reads_little(self) -> bool:
        """Whether the arguments are read in no time."""
        size = self.host.input_size + (sum(map(len, self.outputs.values())) if self.outputs else 0)
        return size < LARGE

    def _arguments(self) -> tuple[list[object], dict[str, object]]:
        """What the body is called with."""
        node = self.node
        args: list[object] = [self.host.instance()] if node.takes_self else []
        kwargs: dict[str, object] = {}
        for argument in node.arguments:
            if isinstance(argument.binding, FromOutputs):
                kwargs.update({name: self._output(name) for name in argument.binding.steps if name in self.outputs})
            elif argument.positional_only:
                args.append(self._value(argument))
            else:
                kwargs[argument.parameter] = self._value(argument)
        return args, kwargs

    def _value(self, argument: Argument) -> object:
        match argument.binding:
            case FromStep(steps):
                return next((self._output(name) for name in steps if name in self.outputs), None)
            case FromInput(name):
                return getattr(self.host.instance(), name)
            case _:
                return self.context()

    def _output(self, name: str) -> object:
        # Decoded for each reader: what one step does to its copy no other can see, and a resumed run sees the same.
        return self.host.codec.decode(self.outputs[name], self.host.type_of(name))

    def _returned(self, value: object) -> Ending:
        if inspect.iscoroutine(value):
            value.close()
        try:
            return Returned(self.host.codec.encode(value, self.node.returns)), None
        except EncodingError as error:
            return self._failed_for_good(error, f"the output of step {self.node.name!r} cannot be stored: {error}")

    def _failed_for_good(self, error: Exception, message: str) -> Ending:
        named = EncodingError(message)
        named.__cause__ = error.__cause__
        return Raised(error=describe_error(named), retryable=False), named

    def _raised(self, error: BaseException) -> Ending:
        if isinstance(error, Skip):
            return SkippedItself(error.reason), None
        # Whoever reads the traceback of the cause begins with a frame of their own.
        error.__traceback__ = without_ours(error.__traceback__)
        retry_after = None
        try:
            retryable = not isinstance(error, NonRetryable | EncodingError) and self.node.options.retry.allows(error)
            if isinstance(error, RetryAfter):
                retryable, retry_after = True, seconds(error.seconds, "RetryAfter")
        except BadOptionError as bad:
            bad.__cause__ = error
            error, retryable = bad, False
        # Foreign code: retry_on and give_up_on may be predicates of the user's.
        except Exception as failure:
            failure.__cause__ = error
            error, retryable = failure, False
        return (
            Raised(error=describe_error(error), retryable=retryable, retry_after=retry_after, spread=random.random()),
            error,
        )
