"""One try of one step: user code in, an outcome (a value) out."""

import asyncio
import contextlib
import inspect
import random
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextvars import Context
from types import CoroutineType
from typing import Any

import attrs

from ..advice import advise
from ..context import StepContext, enter
from ..core.checks import given_item
from ..core.children import ChildResult, child_output, decoded_child
from ..core.codec import Codec
from ..core.dag import Dag
from ..core.definition import (
    Argument,
    FromAll,
    FromChild,
    FromEach,
    FromInput,
    FromOutputs,
    FromStep,
    Node,
    Several,
)
from ..core.events import ErrorInfo
from ..core.options import seconds
from ..core.outcome import Finished, Outcome, Raised, Returned, SkippedItself, Split, Stopped
from ..core.rows import ITEMS
from ..core.splitting import elements
from ..core.types import item_type, list_of_results
from ..core.values.pieces import LARGE, is_large
from ..core.wording import size_text
from ..errors import (
    BadOptionError,
    EncodingError,
    ExecutorError,
    Finish,
    NonRetryable,
    RecordedError,
    RetryAfter,
    Skip,
    StepTimeoutError,
    UsageError,
)
from ..ports import Call
from .failure import describe_error, without_ours
from .heart import Heart

_PATIENCE = 5.0
"""Seconds that a coroutine has to end after it got CancelledError; then it is closed, as by Python at its exit."""

_LAST_PATIENCE = 1.0
"""The same when the orchestrator closes."""

_BIG = 10_000_000
"""Characters of an output from which on it is told that they are many."""


_OUTCOMES = frozenset([Split, Returned, Raised, SkippedItself, Finished])
"""What is given in place of the output of a body that runs elsewhere, or of none."""

_GAVE_ITEMS = object()
"""Stands for the output of a generator, whose items are stored by themselves."""


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
        node: Gives a step by its name.
        type_of: Gives the type of the output of a step, by its name.
        child: Gives the workflow whose runs a subflow starts, by its name; None if its code is not known.
        spawn: Gives how an attempt of a subflow ends whose body gave this.
        give: Is told, from any thread, what a generator gave: its attempt, the position, and the encoded value. What it
            returns is done when the next one is wanted.
        context_for: Makes what a body may know of itself: step (its number in the plan), number of the attempt.
        later: Calls back after so many seconds; returns what revokes that.
        soon: Calls back on the loop; may be called from any thread.
        report: Is told, once and on the loop, how an attempt ended.
        pulse: Is told of heartbeats, on the loop.
        around: Gives what the body returns, with all that stands around it; None if nothing does.
        elsewhere: Has the body run by the executor of its step, and gives how it ended; None where it is to run here.
    """

    codec: Codec
    input_size: int
    instance: Callable[[], object]
    node: Callable[[str], Node]
    type_of: Callable[[str], object]
    child: Callable[[str], Dag | None]
    spawn: Callable[["Attempt", object], Outcome]
    give: Callable[["Attempt", int, str], "Future[None]"]
    context_for: Callable[[int, int], StepContext]
    later: Callable[[float, Callable[[], None]], Callable[[], None]]
    soon: Callable[[Callable[[], None]], object]
    report: Callable[["Attempt", Ending], None]
    pulse: Callable[["Attempt", str], None]
    around: Callable[["Attempt"], Coroutine[Any, Any, object]] | None = None
    elsewhere: Callable[["Attempt"], Coroutine[Any, Any, Outcome]] | None = None


@attrs.define(eq=False)
class Away:
    """
    What an attempt has to do with a body that runs elsewhere.

    Attributes:
        call: What was sent.
        raised: What the body raised, rebuilt, for those who stand around it; None if it did not.
        outcome: How the body ended that raised it.
    """

    call: Call
    raised: BaseException | None = None
    outcome: Outcome | None = None


@attrs.frozen(eq=False)
class Item:
    """
    One item of a step that has several.

    Attributes:
        text: Gives the item of another step that it takes, encoded, by the name of that step.
        carried: In a loop, the encoded output of the iteration before; None in the first one.
        is_near: Whether that is at hand, and costs nothing to look up.
        outputs: Name of another step -> the output of an item of it, which is the item that this one takes.
    """

    text: Callable[[str], str]
    carried: str | None = None
    is_near: bool = True
    outputs: Mapping[str, str] = attrs.field(factory=dict)

    def changed(self, change: Callable[[str], str]) -> "Item":
        """The same item, with each text as that gives it."""
        carried = None if self.carried is None else change(self.carried)
        return attrs.evolve(self, text=lambda name: change(self.text(name)), carried=carried, outputs={})


@attrs.frozen(eq=False)
class Taken:
    """
    What a body takes from other bodies.

    Attributes:
        outputs: Step name -> its encoded output, of what this step reads and what completed.
        item: Which item of its step this is, if that has several.
    """

    outputs: Mapping[str, str]
    item: Item | None = None

    @property
    def stored_texts(self) -> list[str]:
        """What of it bodies gave as it stands here, encoded; not what is taken out of another value first."""
        item = self.item
        if item is None:
            return list(self.outputs.values())
        return [*self.outputs.values(), *item.outputs.values(), *([] if item.carried is None else [item.carried])]

    def changed(self, change: Callable[[str], str]) -> "Taken":
        """The same, with each text as that gives it."""
        outputs = {name: change(text) for name, text in self.outputs.items()}
        return Taken(outputs, self.item and self.item.changed(change))


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
        item: Which item of its step this is, if that has several.
        task: The task in which a coroutine body runs; None before it has begun, and once it is over.
        away: The body, if it runs elsewhere and was sent; else None.
        since: Since when it may begin, where somebody counts how long it takes; else None.
    """

    host: Host
    node: Node
    step: int
    number: int
    outputs: Mapping[str, str]
    limit: float | None = None
    is_total: bool = False
    last_heartbeat: str | None = None
    item: Item | None = None
    task: asyncio.Task[Any] | None = None
    is_over: bool = False
    _is_past_stopping: bool = False
    _is_dropped: bool = False
    _is_told: bool = False
    _has_begun: bool = False
    _has_returned: bool = False
    _wants_end: Stopping | None = None
    _context: StepContext | None = None
    _heart: Heart | None = None
    _body: Coroutine[Any, Any, object] | None = None
    _given: "Future[None] | None" = None
    _revoke: Callable[[], None] = _nothing
    away: Away | None = None
    since: float | None = None

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

    def know(self, context: StepContext) -> None:
        """Take this for what the body may know of itself; somebody else hears its heartbeats."""
        self._context = context

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

    @property
    def taken(self) -> Taken:
        """What its body takes from others."""
        return Taken(self.outputs, self.item)

    def take(self, taken: Taken) -> None:
        """Let its body take this instead."""
        self.outputs, self.item = taken.outputs, taken.item

    def fail(self, error: Exception) -> None:
        """End it as if its body had raised this: what it takes to call that could not be had."""
        self.end(self._raised(error))

    def limit_time(self) -> None:
        """Let the time that the attempt may take begin."""
        if self.limit is not None:
            self._revoke()
            self._revoke = self.host.later(self.limit, self.expire)
        if self.node.options.heartbeat_timeout is not None:
            self._make_heart().start()

    def wait_at_most(self, left: float) -> None:
        """Let it end if this is all the time (seconds) that all its attempts have left, and its body has not begun."""
        self.limit, self.is_total = left, True
        self._revoke = self.host.later(left, self.expire)

    def tell_to_end(self) -> None:
        """Tell the body that it should end, by its context."""
        self._is_told = True
        if self._context is not None:
            self._context.cancel()
        if self.away is not None:
            self.away.call.tell()

    def hear(self, progress: str) -> None:
        """A body that runs elsewhere lives, and is so far (JSON)."""
        if not self.is_over:
            self._make_heart().hear(progress)

    async def run(self, task: asyncio.Task[Any]) -> None:
        """Run a coroutine body here, in this task, or whatever body with what stands around it."""
        if self.is_over:
            return
        self._has_begun = True
        self.task = task
        enter(self.context)
        try:
            if self.host.around is not None:
                result: object = self.host.around(self)
            elif self.node.options.executor is not None and self.host.elsewhere is not None:
                # Once it is sent, nobody knows how far it is: also if it is killed, something may have happened.
                self._is_past_stopping = True
                result = self.host.elsewhere(self)
            else:
                args, kwargs = self._arguments() if self.reads_little() else await asyncio.to_thread(self._arguments)
                result = self.node.function(*args, **kwargs)  # type: ignore[misc]
                if self.node.several is Several.STREAM:
                    result = self._drain(result)
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
            result = self.node.function(*args, **kwargs)  # type: ignore[misc]
            if self.node.several is Several.STREAM:
                result = self._exhaust(result)
            return self._returned(result)
        # Foreign code, as above. StopIteration and its like would hang whoever waits for the thread: a value does not.
        except BaseException as error:
            return self._raised(error)

    async def _drain(self, values: Any) -> object:
        """Take all that an asynchronous generator gives, one by one, each when the one before is stored."""
        position = 0
        async with contextlib.aclosing(values):
            async for value in values:
                await asyncio.wrap_future(self._gift(position, value))
                position += 1
        return _GAVE_ITEMS

    def _exhaust(self, values: Any) -> object:
        """The same for a plain generator, on a thread."""
        with contextlib.closing(values):
            for position, value in enumerate(values):
                self._gift(position, value).result()
        return _GAVE_ITEMS

    def _gift(self, position: int, value: object) -> "Future[None]":
        """What is done when the next value is wanted; it is cancelled when the attempt is over."""
        try:
            text = self.host.codec.encode(value, item_type(self.node.returns))
        except EncodingError as error:
            name = self.node.name
            raise EncodingError(f"item {position} of step {name!r} cannot be stored: {error}") from error.__cause__
        given = self._given = self.host.give(self, position, text)
        # It may be over by now. `end` looks the other way round, so that one of them sees the other.
        if self.is_over:
            given.cancel()
        return given

    # For what stands around the body: in a thread, or once it has returned, nobody stops what it does outside.

    async def body(self) -> object:
        """What a coroutine body returns."""
        args, kwargs = self._arguments() if self.reads_little() else await asyncio.to_thread(self._arguments)
        result = self.node.function(*args, **kwargs)  # type: ignore[misc]
        if self.node.several is Several.STREAM:
            result = self._drain(result)
        if inspect.isawaitable(result):
            result = await result
        self._is_past_stopping = True
        return result

    def plain_body(self) -> object:
        """What a plain body returns, on a thread; None if its attempt was stopped before it began."""
        self._is_past_stopping = True
        try:
            if self._wants_end is None:
                args, kwargs = self._arguments()
                result: object = self.node.function(*args, **kwargs)  # type: ignore[misc]
                return self._exhaust(result) if self.node.several is Several.STREAM else result
        except BaseException:
            self._is_past_stopping = False
            raise
        return None

    async def body_elsewhere(self) -> object:
        """What a body returns that runs elsewhere; raises what it raised, rebuilt."""
        self._is_past_stopping = True
        if self.host.elsewhere is None:
            raise NotImplementedError
        match outcome := await self.host.elsewhere(self):
            case Returned(output):
                return self.host.codec.decode(output, self.node.returns)
            case Finished(output):
                raise Finish(self.host.codec.decode(output, self.node.returns))
            case SkippedItself(reason):
                raise Skip(reason)
            case _:
                error = self._rebuilt(outcome)
                if self.away is not None:
                    self.away.raised, self.away.outcome = error, outcome
                raise error

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
        if self._is_past_stopping:
            self._wants_end = attrs.evolve(wanted[0], runs_on=True), wanted[1]
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
        if self._given is not None:
            self._given.cancel()
        if not self._is_dropped:
            self.host.report(self, ending)

    def reads_little(self) -> bool:
        """Whether the arguments are read in no time."""
        size = self.host.input_size + (sum(map(len, self.outputs.values())) if self.outputs else 0)
        return size < LARGE and (self.item is None or self.item.is_near)

    def _arguments(self) -> tuple[list[object], dict[str, object]]:
        """What the body is called with."""
        node = self.node
        args: list[object] = [self.host.instance()] if node.takes_self else []
        kwargs: dict[str, object] = {}
        for argument in node.arguments:
            if isinstance(argument.binding, FromOutputs):
                kwargs.update({name: self._any_output(name) for name in argument.binding.steps if name in self.outputs})
            elif argument.positional_only:
                args.append(self._value(argument))
            else:
                kwargs[argument.parameter] = self._value(argument)
        return args, kwargs

    def _value(self, argument: Argument) -> object:
        item = self.item
        if item is not None and item.carried is not None and argument.parameter == self.node.carries:
            return self.host.codec.decode(item.carried, self.node.returns)
        match argument.binding:
            case FromStep(steps):
                return next((self._output(name) for name in steps if name in self.outputs), None)
            case FromInput(name):
                return getattr(self.host.instance(), name)
            case FromEach(name):
                return self._item_of(name)
            case FromAll(name):
                return self._results(name)
            case FromChild(name, output):
                return child_output(self.outputs[name], self.host.child(name), output)
            case _:
                return self.context()

    def _output(self, name: str) -> object:
        # Decoded for each reader: what one step does to its copy no other can see, and a resumed run sees the same.
        type_ = self.host.type_of(name)
        if type_ is ChildResult:
            return decoded_child(self.outputs[name], self.host.child(name))
        return self.host.codec.decode(self.outputs[name], type_)

    def _any_output(self, name: str) -> object:
        return self._results(name) if self.host.node(name).several is Several.EACH else self._output(name)

    def _results(self, name: str) -> object:
        """The results of all items of another step."""
        type_, text = self.host.type_of(name), self.outputs[name]
        if type_ is ChildResult:
            dag = self.host.child(name)
            return [None if each == "null" else decoded_child(each, dag) for each in elements(text)]
        return self.host.codec.decode(text, list_of_results(type_))

    def _item_of(self, name: str) -> object:
        """The item of another step that this one is for."""
        text = "null" if self.item is None else self.item.text(name)
        if self.host.type_of(name) is ChildResult:
            return decoded_child(text, self.host.child(name))
        return self.host.codec.decode(text, given_item(self.host.node(name)))

    def _returned(self, value: object) -> Ending:
        if inspect.iscoroutine(value):
            value.close()
        if type(value) in _OUTCOMES:
            return value, self._rebuilt(value) if type(value) is Raised else None  # type: ignore[return-value]
        if value is _GAVE_ITEMS:
            return Returned(ITEMS), None
        try:
            if self.node.waits is not None:
                return self.host.spawn(self, value), None
            text = self.host.codec.encode(value, self.node.returns)
        except EncodingError as error:
            return self._failed_for_good(error, f"the output of step {self.node.name!r} cannot be stored: {error}")
        # Asked so, it costs no call for each step.
        if text[_BIG:]:
            self._advise(len(text))
        return Returned(text), None

    def _advise(self, size: int) -> None:
        """Tell of an output that would better be kept elsewhere."""
        filename, _, line = self.node.location.rpartition(":")
        advise(
            f"the output of step {self.node.name!r} takes {size_text(size)} in the store, and whatever reads it "
            "decodes all of it: keep large values in a file or a bucket, and return where they are",
            filename, int(line) if line.isdecimal() else 0,
        )  # fmt: skip

    def _failed_for_good(self, error: Exception, message: str) -> Ending:
        named = EncodingError(message)
        named.__cause__ = error.__cause__
        # No line of the user raised it: the step is where it comes from.
        info = attrs.evolve(describe_error(named), location=self.node.location)
        return Raised(error=info, retryable=False), named

    def _finished(self, output: object) -> Ending:
        if self.node.several is Several.STREAM:
            # What it gave before is its output.
            return Finished(ITEMS), None
        if self.node.waits is not None:
            wrong = UsageError(f"subflow {self.node.name!r} raised Finish: it gives a run; raise it in a step")
            return Raised(error=describe_error(wrong), retryable=False), wrong
        try:
            return Finished(self.host.codec.encode(output, self.node.returns)), None
        except EncodingError as error:
            return self._failed_for_good(error, f"the output of step {self.node.name!r} cannot be stored: {error}")

    def _rebuilt(self, outcome: Outcome) -> BaseException:
        """What a body raised elsewhere, of which there is the description."""
        info = outcome.error if isinstance(outcome, Raised) else ErrorInfo("Exception", "")
        return RecordedError(info.type_name, info.message, info.traceback)

    def _raised(self, error: BaseException) -> Ending:
        if self.away is not None and self.away.outcome is not None and error is self.away.raised:
            # Whether it is worth another attempt was judged there, where it was raised.
            return self.away.outcome, error
        if isinstance(error, Skip):
            return SkippedItself(error.reason), None
        if isinstance(error, Finish):
            return self._finished(error.output)
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
            Raised(
                error=describe_error(error), retryable=retryable, retry_after=retry_after, spread=random.random(),
                runs_on=isinstance(error, ExecutorError) and error.runs_on,
            ),
            error,
        )  # fmt: skip
