"""From what was given to `@step(...)` and `@workflow(...)` to checked options, and what is wrong with them."""

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from ..errors import BadOptionError, Problem
from .arity import takes_one
from .caching import Cache
from .limits import Mutex, Queue
from .names import bad_name
from .options import (
    NO_RETRY,
    Join,
    Quorum,
    Retry,
    StepOptions,
    WorkflowOptions,
    bad_option,
    positive_seconds,
)  # fmt: skip
from .references import Condition, Ref, Source
from .suggestions import closest, did_you_mean

Reader = Callable[[object], dict[str, Any]]
"""Gives what one value means, or raises `BadOptionError`."""

_DEEPEST_CONDITION = 100

DEFAULT_OPTIONS = StepOptions()

AUTO = "auto"
"""The executor that is none: the orchestrator runs the body itself, on its loop or in a thread."""


def step_options(given: Mapping[str, object]) -> tuple[StepOptions, tuple[Problem, ...]]:
    """The options that `@step(...)` was given, and what is wrong with them; a wrong one keeps its default."""
    if not given:
        return DEFAULT_OPTIONS, ()
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for option, value in given.items():
        try:
            values |= _read_step_option(option, value)
        except BadOptionError as error:
            problems += error.problems
    options = StepOptions(**values)
    if options.max_iterations is not None and options.until is None:
        hint = "Say when the loop ends:  until=lambda output: ..."
        problems.append(Problem("bad-option", "", "max_iterations goes with until, which is not given", hint=hint))
    if options.cancel_rest and not (options.join is Join.FIRST or isinstance(options.join, Quorum)):
        message = f"cancel_rest=True goes with join='first' or Quorum(n), not with join={str(options.join)!r}"
        problems.append(Problem("bad-option", "", message, hint="With this join the others have ended anyway."))
    if options.resources and options.executor is None:
        hint = "Say which one gives them, such as executor='dask'; or let a queue bound it: queue=Queue('gpu', 1)."
        problems.append(Problem("bad-option", "", "resources are of an executor, and none is given", hint=hint))
    return options, tuple(problems)


def options_of(
    kind: str, known: Collection[str], given: Mapping[str, object]
) -> tuple[StepOptions, tuple[Problem, ...]]:
    """
    The options that something was given which takes only those `known` of `@step(...)`, and what is wrong with them.

    Args:
        kind: What it is, such as `a signal`.
    """
    options, problems = step_options({option: value for option, value in given.items() if option in known})
    foreign = [
        Problem("bad-option", "", f"{kind} has no option {option!r}", hint=did_you_mean(option, known, "options"))
        for option in given
        if option not in known
    ]
    return options, (*problems, *foreign)


def compensation_options(given: Mapping[str, object]) -> tuple[StepOptions, tuple[Problem, ...]]:
    """The options that `@charge.compensate(...)` was given, and what is wrong with them."""
    known = {option: value for option, value in given.items() if option in _COMPENSATION_OPTIONS}
    options, wrong = step_options(known)
    problems = [attrs.evolve(each, message=f"has a bad option: {each.message}") for each in wrong]
    foreign = [
        Problem("bad-option", "", f"has no option {option!r}", hint=did_you_mean(option, _COMPENSATION_OPTIONS))
        for option in given
        if option not in known
    ]
    return options, (*problems, *foreign)


_COMPENSATION_OPTIONS = ("retries", "timeout", "total_timeout", "queue", "mutex")


def _read_step_option(option: str, value: object) -> dict[str, Any]:
    reader = _STEP_READERS.get(option)
    if reader is not None:
        return reader(value)
    raise bad_option(option, f"@step has no option {option!r}", did_you_mean(option, list(_STEP_READERS), "options"))


def _depends_on(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, (list, tuple)):
        return {"depends_on": _each_dependency(value)}
    if isinstance(value, Mapping):
        return {"sources": {_parameter_name(name): _source(source) for name, source in value.items()}}
    if isinstance(value, str | Ref):
        return {"depends_on": (value,)}
    if isinstance(value, Source | Condition) or not isinstance(value, Iterable):
        raise _bad_dependency(value)
    if isinstance(value, set | frozenset):
        # The order of a set differs from process to process.
        value = sorted(value, key=lambda one: one.name if isinstance(one, Ref) else str(one))
    return {"depends_on": _each_dependency(value)}


def _each_dependency(values: Iterable[object]) -> tuple[object, ...]:
    each = tuple(values)
    for one in each:
        # Not `str | Ref`, which would be made anew for each of them.
        if not isinstance(one, (str, Ref)):
            raise _bad_dependency(one)
    return each


def _bad_dependency(value: object) -> BadOptionError:
    hint = ""
    if isinstance(value, Source):
        hint = f"Name the step itself:  depends_on=[{value.ref.name}]"
    elif isinstance(value, Condition):
        hint = "A condition goes into when=..."
    elif callable(value):
        hint = f"Decorate {getattr(value, '__name__', repr(value))!r} with @step first."
    return bad_option("depends_on", f"depends_on takes steps and names of steps, not {value!r}", hint)


def _parameter_name(name: object) -> str:
    if not isinstance(name, str):
        raise bad_option("depends_on", f"a mapping in depends_on goes from names of parameters, not from {name!r}")
    return name


def _source(source: object) -> Source:
    if isinstance(source, Source):
        return source
    raise bad_option(
        "depends_on",
        f"a mapping in depends_on goes to sources, not to {source!r}",
        "For example: depends_on={'order': validate.result}",
    )


def _retries(value: object) -> dict[str, Any]:
    if isinstance(value, Retry):
        return {"retry": value}
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise bad_option(
            "retries", f"retries takes a whole number of at least 0, or a Retry, not {value!r}",
            "It counts the attempts after the first one.",
        )  # fmt: skip
    return {"retry": Retry(value) if value else NO_RETRY}


def _time(option: str) -> Reader:
    return lambda value: {option: None if value is None else positive_seconds(value, option)}


def _flag(option: str) -> Reader:
    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, bool):
            raise bad_option(option, f"{option} takes True or False, not {value!r}")
        return {option: value}

    return read


def _one_of(option: str, *choices: str) -> Reader:
    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, str) or value not in choices:
            match = closest(value, choices) if isinstance(value, str) else None
            hint = f"Did you mean {match!r}?" if match else ""
            raise bad_option(option, f"{option} takes {' or '.join(map(repr, choices))}, not {value!r}", hint)
        return {option: value}

    return read


def _priority(value: object) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_option("priority", f"priority takes a whole number, not {value!r}", "Higher goes first.")
    return {"priority": value}


def _when(value: object) -> dict[str, Any]:
    if isinstance(value, Condition) and value.depth > _DEEPEST_CONDITION:
        # Answering it calls itself as deep as it is nested.
        raise bad_option("when", f"the condition is nested {value.depth} deep", "Combine fewer conditions.")
    if value is None or isinstance(value, Condition):
        return {"when": value}
    if isinstance(value, Ref | Source):
        name = value.name if isinstance(value, Ref) else value.ref.name
        message = f"when takes a condition on {name!r}, not the step itself"
        raise bad_option("when", message, f"For example: when={name}.is_(True)")
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        raise bad_option("when", "when takes a plain function of the instance, not a coroutine function")
    if not callable(value) or isinstance(value, type):
        raise bad_option(
            "when", f"when takes a condition or a function of the instance, not {value!r}",
            "For example: when=assess.is_('approve'), or when=lambda self: self.express",
        )  # fmt: skip
    if not takes_one(value):
        raise bad_option(
            "when", "when takes a function of the instance alone", "For example: when=lambda self: self.express"
        )
    return {"when": value}


def _join(value: object) -> dict[str, Any]:
    if isinstance(value, Quorum):
        return {"join": value}
    if isinstance(value, str) and value in list(Join):
        return {"join": Join(value)}
    kinds = [str(join) for join in Join]
    match = closest(value, kinds) if isinstance(value, str) else None
    hint = f"Did you mean {match!r}?" if match else ""
    if isinstance(value, int) and not isinstance(value, bool):
        hint = f"For so many of them: join=Quorum({value})"
    raise bad_option("join", f"join takes {', '.join(map(repr, kinds))} or Quorum(n), not {value!r}", hint)


def _count(option: str) -> Reader:
    def read(value: object) -> dict[str, Any]:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise bad_option(option, f"{option} takes a whole number of at least 1, not {value!r}")
        return {option: value}

    return read


def _tolerate(value: object) -> dict[str, Any]:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    is_share = isinstance(value, float) and 0 <= value <= 1
    if value is not None and not is_count and not is_share:
        raise bad_option(
            "tolerate", f"tolerate takes how many items may fail, not {value!r}",
            "A whole number counts them, a number from 0.0 to 1.0 is a share of all.",
        )  # fmt: skip
    return {"tolerate": value or 0}


def _item_key(value: object) -> dict[str, Any]:
    # A class such as str makes a key of an item, too.
    if value is not None and not isinstance(value, type):
        checked_function(value, "item_key", "an item", "Such as item_key=lambda order: order.id")
    return {"item_key": value}


def _until(value: object) -> dict[str, Any]:
    if value is not None:
        checked_function(value, "until", "the output", "Such as until=lambda draft: draft.is_good")
    return {"until": value}


def checked_function(value: object, option: str, of: str, hint: str) -> None:
    """
    See that a value is a plain function that can be called with one argument.

    Args:
        of: What it is called with.

    Raises:
        BadOptionError: it is none.
    """
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        raise bad_option(option, f"{option} takes a plain function of {of}, not a coroutine function", hint)
    if not callable(value) or isinstance(value, type | Ref):
        raise bad_option(option, f"{option} takes a function of {of}, not {value!r}", hint)
    if not takes_one(value):
        raise bad_option(option, f"{option} takes a function of {of} alone", hint)


def _tags(value: object) -> dict[str, Any]:
    each: tuple[Any, ...] = (value,)
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        each = tuple(value)
    if isinstance(value, str) or not all(isinstance(tag, str) and tag for tag in each):
        hint = f"For one: tags=[{value!r}]" if isinstance(value, str) else ""
        raise bad_option("tags", f"tags takes a list of texts that are not empty, not {value!r}", hint)
    return {"tags": tuple(sorted(each)) if isinstance(value, set | frozenset) else each}


def _name(value: object) -> dict[str, Any]:
    if value is not None and (reason := bad_name(value)):
        raise bad_option("name", f"name={value!r} cannot be: {reason}")
    return {"name": value}


def _queue(value: object) -> dict[str, Any]:
    if isinstance(value, str) and (reason := bad_name(value)):
        raise bad_option("queue", f"queue={value!r} cannot be: {reason}")
    if value is None or isinstance(value, str | Queue):
        return {"queue": value}
    raise bad_option(
        "queue", f"queue takes the name of one, or a Queue, not {value!r}",
        "For example: queue='api', and Orchestrator(queues=[Queue('api', concurrency=4)])",
    )  # fmt: skip


def _cache(value: object) -> dict[str, Any]:
    if value is None or isinstance(value, Cache):
        return {"cache": value}
    hint = "Cache() keeps outputs for ever." if value is True else "For example: cache=Cache(ttl='1d')"
    raise bad_option("cache", f"cache takes a Cache, not {value!r}", hint)


def _executor(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, str):
        hint = "Give it to the orchestrator under a name, Orchestrator(executors={'gpu': ...}), and the name here."
        raise bad_option("executor", f"executor takes 'auto', 'process' or the name of one, not {value!r}", hint)
    if reason := bad_name(value):
        raise bad_option("executor", f"executor={value!r} cannot be: {reason}")
    return {} if value == AUTO else {"executor": value}


def _resources(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    hint = "For example: resources={'gpu': 1}"
    if not isinstance(value, Mapping):
        raise bad_option("resources", f"resources takes names with how much of each, not {value!r}", hint)
    for name, amount in value.items():
        is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not isinstance(name, str) or not name or not is_number or not 0 < amount < math.inf:
            message = f"resources takes names with a positive number for each, not {name!r}: {amount!r}"
            raise bad_option("resources", message, hint)
    return {"resources": MappingProxyType(dict(value))} if value else {}


def _mutex(value: Any) -> dict[str, Any]:
    return {"mutex": value if value is None or isinstance(value, Mutex) else Mutex(value)}


_STEP_READERS: dict[str, Reader] = {
    "depends_on": _depends_on,
    "retries": _retries,
    "timeout": _time("timeout"),
    "total_timeout": _time("total_timeout"),
    "heartbeat_timeout": _time("heartbeat_timeout"),
    "delivery": _one_of("delivery", "at_least_once", "at_most_once"),
    "on_exhausted": _one_of("on_exhausted", "fail", "pause"),
    "required": _flag("required"),
    "priority": _priority,
    "when": _when,
    "join": _join,
    "cancel_rest": _flag("cancel_rest"),
    "max_parallel": _count("max_parallel"),
    "tolerate": _tolerate,
    "need": _count("need"),
    "item_key": _item_key,
    "until": _until,
    "max_iterations": _count("max_iterations"),
    "tags": _tags,
    "name": _name,
    "queue": _queue,
    "mutex": _mutex,
    "cache": _cache,
    "executor": _executor,
    "resources": _resources,
}


@attrs.frozen(kw_only=True)
class NamedOptions:
    """What `@workflow(...)` was given. `name` is None if it is that of the class."""

    name: str | None = None
    version: str = "1"
    options: WorkflowOptions = attrs.field(factory=WorkflowOptions)


def workflow_options(given: Mapping[str, object]) -> tuple[NamedOptions, tuple[Problem, ...]]:
    """The options that `@workflow(...)` was given, and what is wrong with them; a wrong one keeps its default."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for option, value in given.items():
        try:
            values |= _read_workflow_option(option, value)
        except BadOptionError as error:
            problems += error.problems
    named = {key: values.pop(key) for key in ("name", "version") if key in values}
    return NamedOptions(**named, options=WorkflowOptions(**values)), tuple(problems)


def _read_workflow_option(option: str, value: object) -> dict[str, Any]:
    reader = _WORKFLOW_READERS.get(option)
    if reader is None:
        hint = did_you_mean(option, list(_WORKFLOW_READERS), "options")
        raise bad_option(option, f"@workflow has no option {option!r}", hint)
    return reader(value)


def _version(value: object) -> dict[str, Any]:
    if not isinstance(value, str):
        hint = f'For example: version="{value}"' if isinstance(value, int | float) else ""
        raise bad_option("version", f"version takes a text, not {value!r}", hint)
    if reason := bad_name(value):
        raise bad_option("version", f"version={value!r} cannot be: {reason}")
    return {"version": value}


def _deadline(value: object) -> dict[str, Any]:
    return {"deadline": None if value is None else positive_seconds(value, "deadline")}


_WORKFLOW_READERS: dict[str, Reader] = {
    "name": _name,
    "version": _version,
    "deadline": _deadline,
    "fail_fast": _flag("fail_fast"),
    "on_change": _one_of("on_change", "refuse", "adopt"),
    "tags": _tags,
}
