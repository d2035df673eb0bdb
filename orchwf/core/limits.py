"""How many steps may run at once, or begin per time: queues and mutexes, for all who share a store."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from ..errors import BadOptionError
from .arity import check_function_of_instance
from .durations import bad_option, positive_seconds
from .names import bad_name

_RATE = re.compile(r"\s*(\d{1,9})\s*/\s*(\S.*)")
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
BY_FUNCTION, WITHIN_RUN = "lambda self: ...", " (within a run)"
"""What stands in a document for a mutex that a function names, and behind the name of one whose scope is a run."""
_EXAMPLE = "key=lambda flow: flow.customer"


@attrs.frozen
class Rate:
    """`count` steps per `period` (seconds), evenly; after a rest as many may begin at once."""

    count: int
    period: float

    @property
    def interval(self) -> float:
        """Seconds after which one more may begin."""
        return self.period / self.count


@attrs.frozen(kw_only=True)
class Limit:
    """
    What a step has to observe before it starts, for all who share a store.

    Attributes:
        name: Which limit: equal names are one. JSON.
        concurrency: How many may hold it at once; None for no bound.
        rate: How many may take it per time; None for no bound.
    """

    name: str
    concurrency: int | None = None
    rate: Rate | None = None


def _read_rate(value: str | Rate | None) -> Rate | None:
    if value is None or isinstance(value, Rate):
        return value
    option, match = "Queue(rate=...)", _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is not None and int(match[1]) > 0:
        try:
            return Rate(int(match[1]), _PERIODS.get(match[2].strip()) or positive_seconds(match[2], option))
        except BadOptionError:
            pass
    raise bad_option(
        option, f"{option} takes a number of steps per time, not {value!r}",
        "For example: rate='10/second', rate='100/minute', rate='5/90s'",
    )  # fmt: skip


def _check_name(instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if reason := bad_name(value):
        raise bad_option("Queue", f"Queue({value!r}) cannot be: {reason}")


def _check_concurrency(instance: object, attribute: "attrs.Attribute[int | None]", value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        option = "Queue(concurrency=...)"
        raise bad_option(option, f"{option} takes a whole number of at least 1, or None for no bound, not {value!r}")


def _check_key(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None:
        check_function_of_instance("Queue(key=...)", value, _EXAMPLE)


@attrs.frozen
class Queue:
    """
    A named limit: how many of the steps that name it may run at once, and how many may begin per time.

    It holds over all runs, and all orchestrators in all processes that share a store and know it.

    Args:
        name: How `@step(queue=...)` names it.
        concurrency: How many may run at once; None for no bound.
        rate: How many may begin per time, as `"10/second"`, `"100/minute"`, `"5/90s"`: of `"N/..."` as many as N may
            begin at once after a rest. None for no bound.
        key: A function of the workflow's instance that gives a text or a whole number: both bounds hold for each of
            these by itself. None for one bound over all.

    Raises:
        BadOptionError: at once, for a value that makes no sense.
    """

    name: str = attrs.field(validator=_check_name)
    concurrency: int | None = attrs.field(default=None, kw_only=True, validator=_check_concurrency)
    rate: Rate | None = attrs.field(default=None, kw_only=True, converter=_read_rate)
    key: Callable[[Any], object] | None = attrs.field(default=None, kw_only=True, validator=_check_key)

    def __attrs_post_init__(self) -> None:
        if self.concurrency is None and self.rate is None:
            raise bad_option(
                "Queue", f"Queue({self.name!r}) bounds nothing",
                "Say how many may run at once, concurrency=4, or begin per time, rate='10/second'.",
            )  # fmt: skip

    def limit_for(self, workflow: object) -> Limit:
        """
        The limit for a step of this instance of a workflow.

        Raises:
            BadOptionError: `key` gave neither a text nor a whole number.
            Exception: whatever `key` raises.
        """
        of = ["queue", self.name] if self.key is None else ["queue", self.name, self._key_of(workflow)]
        return Limit(name=json.dumps(of), concurrency=self.concurrency, rate=self.rate)

    def _key_of(self, workflow: object) -> object:
        key = self.key(workflow) if self.key is not None else None
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise bad_option("key", f"key of Queue({self.name!r}) gives a text or a whole number, not {key!r}")
        return key


def _check_mutex(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if isinstance(value, str):
        if reason := bad_name(value):
            raise bad_option("mutex", f"mutex={value!r} cannot be: {reason}")
    elif callable(value):
        check_function_of_instance("mutex", value, 'mutex=lambda self: f"account-{self.account}"')
    else:
        raise bad_option(
            "mutex", f"mutex takes a name, or a function of the workflow's instance that gives one, not {value!r}",
            'For example: mutex="ledger", or mutex=lambda self: f"account-{self.account}"',
        )  # fmt: skip


def _check_scope(instance: object, attribute: object, value: object) -> None:
    if value not in ("store", "run"):
        raise bad_option("Mutex", f"Mutex(scope=...) takes 'store' or 'run', not {value!r}")


@attrs.frozen
class Mutex:
    """
    Mutual exclusion: of the steps with a mutex of one name one runs at a time.

    Args:
        name: Its name, or a function of the workflow's instance that gives one.
        scope: Over all runs of the `"store"`, whoever executes them, or within each `"run"` by itself.

    Raises:
        BadOptionError: at once, for a value that makes no sense.
    """

    name: str | Callable[[Any], str] = attrs.field(validator=_check_mutex)
    scope: Literal["store", "run"] = attrs.field(default="store", kw_only=True, validator=_check_scope)

    def limit_for(self, workflow: object, run_id: str) -> Limit:
        """
        The limit for a step of this instance of a workflow.

        Raises:
            BadOptionError: the function gave no name.
            Exception: whatever the function raises.
        """
        name = self.name if isinstance(self.name, str) else self.name(workflow)
        if reason := bad_name(name):
            raise bad_option("mutex", f"the function given as mutex gave {name!r}: {reason}")
        of = ["mutex", name] if self.scope == "store" else ["mutex", name, run_id]
        return Limit(name=json.dumps(of), concurrency=1)

    def __str__(self) -> str:
        name = self.name if isinstance(self.name, str) else BY_FUNCTION
        return name if self.scope == "store" else f"{name}{WITHIN_RUN}"


def limits_document(queue: Queue | str | None, mutex: Mutex | None) -> dict[str, str]:
    """How a step is limited, for the document of its graph; empty if it is not."""
    document: dict[str, str] = {}
    if queue is not None:
        document["queue"] = queue if isinstance(queue, str) else queue.name
    if mutex is not None:
        document["mutex"] = str(mutex)
    return document


def read_limits(document: Mapping[str, Any]) -> dict[str, Any]:
    """The options that `limits_document` made this part of a document of."""
    mutex = document.get("mutex")
    return {"queue": document.get("queue"), "mutex": None if mutex is None else Mutex(mutex)}
