"""What may be said about a step or a workflow beside its code, and what values that takes."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

import attrs

from ..errors import BadOptionError
from .caching import Cache
from .durations import Duration as Duration
from .durations import bad_option as bad_option
from .durations import positive_seconds as positive_seconds
from .durations import seconds as seconds
from .limits import Mutex, Queue
from .references import Condition, Ref

ErrorFilter = tuple[type[BaseException], ...] | type[BaseException] | Callable[[BaseException], bool]
"""Exception classes, or a predicate over an exception."""

OnChange = Literal["refuse", "adopt"]
"""What is to be done with a run whose graph is another one now: to leave it, or to go on with the new one."""


def checked_time(until: object, option: str) -> float | datetime:
    """
    Seconds from now, or an aware datetime.

    Raises:
        BadOptionError: it is neither a duration nor an aware datetime.
    """
    if not isinstance(until, datetime):
        try:
            return seconds(until, option)
        except BadOptionError as error:
            hint = f"{error.problems[0].hint} Or an aware datetime."
            raise bad_option(option, f"{option} takes a duration or a time, not {until!r}", hint) from None
    if until.tzinfo is None:
        hint = "Such as datetime.now(UTC) + timedelta(hours=1)."
        raise bad_option(option, f"{option} takes an aware datetime, not the naive {until!r}", hint)
    return until


class Join(StrEnum):
    """For what ends of its dependencies a step waits, and which of them let it run."""

    ALL = "all"
    ANY = "any"
    FIRST = "first"
    SETTLED = "settled"


def _at_least(minimum: int) -> Callable[[object, "attrs.Attribute[int]", int], None]:
    def check(instance: object, attribute: "attrs.Attribute[int]", value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            name = f"{type(instance).__name__}({attribute.name}=...)"
            raise bad_option(name, f"{name} takes a whole number of at least {minimum}, not {value!r}")

    return check


@attrs.frozen
class Quorum:
    """The join that runs a step as soon as `count` of its dependencies have completed."""

    count: int = attrs.field(validator=_at_least(1))

    def __str__(self) -> str:
        return f"quorum({self.count})"


def _filter_option(value: ErrorFilter) -> ErrorFilter:
    if callable(value) and not isinstance(value, type):
        return value
    classes: tuple[object, ...] = tuple(value) if isinstance(value, tuple | list) else (value,)
    errors = tuple(each for each in classes if isinstance(each, type) and issubclass(each, BaseException))
    if len(errors) == len(classes):
        return errors
    raise bad_option(
        "Retry", f"retry_on and give_up_on take exception classes or a predicate, not {value!r}",
        "For example: retry_on=(ConnectionError, TimeoutError)",
    )  # fmt: skip


def _check_multiplier(instance: object, attribute: "attrs.Attribute[float]", value: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value >= 1):
        raise bad_option("Retry", f"Retry(multiplier=...) takes a number of at least 1, not {value!r}")


def _check_jitter(instance: object, attribute: object, value: object) -> None:
    if value not in ("full", None):
        raise bad_option("Retry", f"Retry(jitter=...) takes 'full' or None, not {value!r}")


def _interval(value: Duration) -> float:
    return seconds(value, "Retry(initial=..., max_interval=...)")


@attrs.frozen
class Retry:
    """
    When a failed step is tried again.

    The n-th wait (n counts from 1) is drawn from `[0, min(max_interval, initial * multiplier**(n-1))]`, or is that
    bound itself with `jitter=None`.

    Args:
        max_retries: How many times to try again after the first attempt.
        initial: The bound of the first wait: a duration.
        multiplier: By what each bound is larger than the one before; at least 1.
        max_interval: What no bound exceeds: a duration.
        jitter: `"full"` draws the wait, `None` takes the bound.
        retry_on: Exception classes, or a predicate: only these are tried again.
        give_up_on: Exception classes, or a predicate: these are not, whatever `retry_on` says.

    Raises:
        BadOptionError: at once, for a value that makes no sense.

    Source: capped exponential back-off with full jitter,
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    max_retries: int = attrs.field(validator=_at_least(0))
    initial: float = attrs.field(default=1.0, converter=_interval)
    multiplier: float = attrs.field(default=2.0, validator=_check_multiplier)
    max_interval: float = attrs.field(default=30.0, converter=_interval)
    jitter: Literal["full"] | None = attrs.field(default="full", validator=_check_jitter)
    retry_on: ErrorFilter = attrs.field(default=(Exception,), converter=_filter_option)
    give_up_on: ErrorFilter = attrs.field(default=(), converter=_filter_option)

    def bound(self, failures: int) -> float:
        """
        The longest wait after so many failed attempts (counted from 1), in seconds.

        It is capped before it is multiplied out, so that no number of failures overflows.
        """
        if self.initial == 0 or self.initial >= self.max_interval:
            return min(self.initial, self.max_interval)
        if self.multiplier > 1 and failures - 1 >= math.log(self.max_interval / self.initial, self.multiplier):
            return self.max_interval
        return min(self.max_interval, self.initial * self.multiplier ** (failures - 1))

    def delay(self, failures: int, spread: float) -> float:
        """
        How long to wait before the next attempt, in seconds.

        Args:
            failures: How many attempts failed, counted from 1.
            spread: A number drawn from [0, 1): randomness comes in as a value.
        """
        bound = self.bound(failures)
        return bound * spread if self.jitter == "full" else bound

    def allows(self, error: BaseException) -> bool:
        """Whether an error of this kind is worth another attempt."""
        return _matches(self.retry_on, error) and not _matches(self.give_up_on, error)


def _matches(errors: ErrorFilter, error: BaseException) -> bool:
    if isinstance(errors, tuple | type):
        return isinstance(error, errors)
    return bool(errors(error))


NO_RETRY = Retry(0)

# One for all: most steps have none, and an empty dict for each would be one object more to keep and to traverse.
_NO_SOURCES: Mapping[str, object] = MappingProxyType({})
NO_RESOURCES: Mapping[str, float] = MappingProxyType({})
"""The same of resources."""


@attrs.frozen(kw_only=True, eq=False)
class StepOptions:
    """
    What `@step(...)` was given, checked and converted. Durations are seconds; None is "no limit".

    `depends_on` holds nodes and names as they were given, `sources` what a mapping given there bound to parameters.
    `executor` is the name of the one that runs the body, None if the orchestrator does so itself.
    """

    depends_on: tuple["Ref[object] | str", ...] = ()
    sources: Mapping[str, object] = _NO_SOURCES
    retry: Retry = NO_RETRY
    timeout: float | None = None
    total_timeout: float | None = None
    heartbeat_timeout: float | None = None
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    on_exhausted: Literal["fail", "pause"] = "fail"
    required: bool = True
    priority: int = 0
    when: "Condition | Callable[[object], object] | None" = None
    join: Join | Quorum = Join.ALL
    cancel_rest: bool = False
    max_parallel: int | None = None
    tolerate: int | float = 0
    need: int | None = None
    item_key: Callable[[Any], object] | None = None
    until: Callable[[Any], object] | None = None
    max_iterations: int | None = None
    tags: tuple[str, ...] = ()
    name: str | None = None
    queue: Queue | str | None = None
    mutex: Mutex | None = None
    cache: Cache | None = None
    executor: str | None = None
    resources: Mapping[str, float] = NO_RESOURCES

    @property
    def is_limited(self) -> bool:
        """Whether an attempt may take so long only."""
        return self.timeout is not None or self.total_timeout is not None


@attrs.frozen(kw_only=True)
class WorkflowOptions:
    """What `@workflow(...)` was given, checked and converted. `deadline` is seconds from the start of a run."""

    deadline: float | None = None
    fail_fast: bool = True
    on_change: OnChange = "refuse"
    tags: tuple[str, ...] = ()
