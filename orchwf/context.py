"""What a body may know of the attempt that it is."""

import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs

from .errors import UsageError
from .surroundings import log_values, trace_ids

if TYPE_CHECKING:
    # For the type of one property only.
    import structlog

_current: ContextVar[Callable[[], "StepContext"]] = ContextVar("orchwf_current")


@attrs.define
class _Line:
    """
    What a body has told of its progress, and whether it was told to end.

    `tell` hears of each heartbeat before its progress is kept, and may refuse it. `ask` says, in another process than
    the orchestrator's, whether it was told to end.
    """

    is_cancelled: bool = False
    last: Any = None
    tell: Callable[[object], None] | None = None
    ask: Callable[[], bool] | None = None

    def beat(self, progress: object) -> None:
        if self.tell is not None:
            self.tell(progress)
        if progress is not None:
            self.last = progress


@attrs.frozen(kw_only=True, slots=False)
class StepContext:
    """
    One attempt of a step, as its body sees it: a parameter annotated with this class, or `orchwf.current()`.

    It can be made by hand, to call a body in a test: `StepContext(run_id="test", step="charge")`.

    Attributes:
        run_id: The run.
        workflow: The name of its workflow.
        step: The name of the step.
        item: Which item this is, of a step that runs once per item; None otherwise.
        attempt: Which attempt this is, counted from 1.
        max_attempts: How many there may be.
        metadata: What the caller gave to the run: trace, correlation and business ids, say.
        last_heartbeat: The progress that was told last, in this attempt or one before; None if none was.
        compensates: Whether this undoes the step, instead of doing it.
    """

    run_id: str = "test"
    workflow: str = "test"
    step: str = "test"
    item: str | None = None
    attempt: int = 1
    max_attempts: int = 1
    metadata: Mapping[str, object] = attrs.field(factory=dict)
    compensates: bool = False
    _line: _Line = attrs.field(factory=_Line, init=False, repr=False, eq=False)

    @property
    def last_heartbeat(self) -> Any:
        return self._line.last

    def heartbeat(self, progress: object = None) -> None:
        """
        Say that this attempt lives, and how far it is; may be called as often as one likes, from any thread.

        What was said last is stored at most once a second, and when the attempt ends. The next attempt, after a
        failure or a crash, finds it as `last_heartbeat`, and `orchwf show` shows it.

        Args:
            progress: A value that can be stored: a number, a cursor, what was done so far. None keeps the one before.

        Raises:
            EncodingError: it cannot be stored.
        """
        self._line.beat(progress)

    @property
    def idempotency_key(self) -> str:
        """The same in every attempt of this step, and in no other step or run: for services that know such keys."""
        return f"{self.step_key}/compensation" if self.compensates else self.step_key

    @property
    def step_key(self) -> str:
        """
        The `idempotency_key` of the step itself, also in its compensation: what is to be undone is known by that.
        """
        return "/".join([self.run_id, self.step, *([self.item] if self.item is not None else [])])

    @property
    def cancelled(self) -> bool:
        """
        Whether this attempt was told to end: cancelled, or out of time.

        A coroutine is cancelled anyway; a plain function, whose thread cannot be stopped, may look here and return.
        """
        return self._line.is_cancelled or (self._line.ask is not None and self._line.ask())

    def listen(self, tell: Callable[[object], None], last: Any, ask: Callable[[], bool] | None = None) -> None:
        """Be told of heartbeats from now on; `last` is what an attempt before told last. The engine calls it."""
        self._line.tell, self._line.last, self._line.ask = tell, last, ask

    def cancel(self) -> None:
        """Make `cancelled` true. The engine calls it; in a test it shows how a body gives up."""
        self._line.is_cancelled = True

    @property
    def log_values(self) -> dict[str, object]:
        """What its log lines say of it: `run_id`, `workflow`, `step`, `attempt`, and `item` if it is that of one."""
        return log_values(self.run_id, self.workflow, self.step, self.attempt, self.item)

    @cached_property
    def log(self) -> "structlog.stdlib.BoundLogger":
        """
        A structlog logger over the standard logger `orchwf.step`, with run, workflow, step and attempt bound.

        It is silent until the application configures logging.
        """
        return _step_logger(self)


@attrs.frozen(kw_only=True)
class RunContext:
    """
    A run that is executed here, as `around_run` of a middleware sees it.

    Attributes:
        run_id: The run.
        workflow: The name of its workflow.
        inputs: The instance of the workflow, with its inputs.
        metadata: What the caller gave along.
        tags: The labels of the run.
    """

    run_id: str
    workflow: str
    inputs: Any
    metadata: Mapping[str, object]
    tags: Mapping[str, str]


def _step_logger(context: StepContext) -> "structlog.stdlib.BoundLogger":
    import structlog  # With it comes rich where that is installed; few bodies log.

    ours = logging.getLogger("orchwf")
    if not ours.handlers:
        # Without any handler the standard library prints warnings to stderr by itself.
        ours.addHandler(logging.NullHandler())
    # Structlog without a configuration prints to stdout; over a standard logger it does what that is told to.
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger("orchwf.step"),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level, structlog.stdlib.PositionalArgumentsFormatter(), _with_trace, _to_record,
        ],
    )  # fmt: skip
    return logger.bind(**context.log_values)


def _with_trace(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The event, with the span within which it was said."""
    return {**trace_ids(), **event}


# What a log record has of its own: a field of this name would make the standard library raise.
_TAKEN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})


def _to_record(logger: object, method: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    passed_on = {key: event.pop(key) for key in ("exc_info", "stack_info", "stacklevel") if key in event}
    text = str(event.pop("event", ""))
    extra = {f"{key}_" if key in _TAKEN else key: value for key, value in event.items()}
    return (text,), {**passed_on, "extra": extra}


@contextmanager
def running_in(context: StepContext) -> Iterator[None]:
    """Make `current()` give this context for as long as the block runs, in this task or thread."""
    token = _current.set(lambda: context)
    try:
        yield
    finally:
        _current.reset(token)


def enter(context: Callable[[], StepContext]) -> None:
    """Make `current()` give what this gives, for the rest of this task, or call in a copy of the context variables."""
    _current.set(context)


def running() -> StepContext | None:
    """The context of the attempt whose body is running here; None if no body is."""
    context = _current.get(None)
    return None if context is None else context()


def current() -> StepContext:
    """
    The context of the attempt whose body is running here.

    Raises:
        UsageError: no body is.
    """
    try:
        return _current.get()()
    except LookupError:
        raise UsageError(
            "orchwf.current() is for the bodies of steps, and none is running here; "
            "in a thread that a body starts itself, hand the context over"
        ) from None
