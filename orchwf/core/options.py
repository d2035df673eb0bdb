"""What may be said about a step or a workflow beside its code, and what values that takes."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import attrs

from ..errors import BadOptionError, Problem
from .references import Condition, Ref

Duration = float | str | timedelta
"""Seconds, a `timedelta`, or text such as `"30s"`, `"1h30m"`, `"2d"`."""

ErrorFilter = tuple[type[BaseException], ...] | type[BaseException] | Callable[[BaseException], bool]
"""Exception classes, or a predicate over an exception."""

OnChange = Literal["refuse", "adopt"]
"""What is to be done with a run whose graph is another one now: to leave it, or to go on with the new one."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:\s*\d+(?:\.\d+)?\s*(?:ms|[smhdw])\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")


def bad_option(option: str, message: str, hint: str = "") -> BadOptionError:
    """The error that says that one value given to an option is wrong."""
    return BadOptionError(option, [Problem("bad-option", "", message, hint=hint)])


def seconds(value: object, option: str) -> float:
    """
    A duration as seconds.

    Raises:
        BadOptionError: it is negative, not finite, or no duration at all.
    """
    result: float
    match value:
        case bool():
            result = math.nan
        case int() | float():
            result = float(value) if abs(value) < 1e15 else math.inf
        case timedelta():
            result = value.total_seconds()
        case str() if _DURATION.fullmatch(value):
            result = sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(value))
        case _:
            result = math.nan
    if not (math.isfinite(result) and result >= 0):
        raise bad_option(
            option,
            f"{option} takes a duration, not {value!r}",
            "Give seconds (a number that is not negative), a timedelta, or text such as '30s', '1h30m', '2d'.",
        )
    return result


def positive_seconds(value: object, option: str) -> float:
    """A duration that is longer than nothing, as seconds; errors as of `seconds`."""
    result = seconds(value, option)
    if result == 0:
        raise bad_option(option, f"{option} must be longer than 0 seconds", "Leave it out for no limit.")
    return result


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


@attrs.frozen(kw_only=True, eq=False)
class StepOptions:
    """
    What `@step(...)` was given, checked and converted. Durations are seconds; None is "no limit".

    `depends_on` holds nodes and names as they were given, `sources` what a mapping given there bound to parameters.
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
    tags: tuple[str, ...] = ()
    name: str | None = None

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
