"""What callers give to a new run, or to an orchestrator for all of them, checked."""

import inspect
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from ..core.codec import Codec
from ..core.dag import Dag, dag_of
from ..core.definition import ForSignal
from ..core.options import Duration, checked_time
from ..core.suggestions import did_you_mean
from ..core.types import describe_type, holds
from ..errors import UnknownStepError, UsageError
from ..ports import AroundRun, AroundStep, TracerProvider

T = TypeVar("T")


def dag_of_instance(workflow: object) -> Dag:
    """
    The definition of a workflow that is given with its inputs.

    Raises:
        UsageError: it is a class, or no workflow.
    """
    if inspect.isawaitable(workflow):
        raise UsageError(
            "a run is started of an instance of a workflow, Flow(...), not of a coroutine: await that by itself; "
            "orchwf.run(Flow(...)) works also where an event loop runs already, as in a notebook"
        )
    if isinstance(workflow, type):
        name = workflow.__name__
        raise UsageError(f"start() takes an instance with its inputs, {name}(...), not the class {name}")
    return dag_of(type(workflow))


def check_on_duplicate(on_duplicate: object) -> None:
    """
    See that this says what to do if there is a run of the id.

    Raises:
        UsageError: it does not.
    """
    if on_duplicate not in ("raise", "attach"):
        raise UsageError(f"on_duplicate takes 'raise' or 'attach', not {on_duplicate!r}")


def checked_instant(moment: Duration | datetime, now: float) -> float:
    """
    When that is (epoch seconds), of what is given as an instant or as a duration from now.

    Raises:
        UsageError: it is neither.
    """
    checked = checked_time(moment, "not_before")
    return checked.timestamp() if isinstance(checked, datetime) else now + checked


def checked_run_id(run_id: str | None) -> str:
    """
    The id itself, or a new one.

    Raises:
        UsageError: it is no text of 1 to 255 printable characters.
    """
    if run_id is None:
        return secrets.token_hex(6)
    if not (isinstance(run_id, str) and 0 < len(run_id) <= 255 and run_id.isprintable() and run_id == run_id.strip()):
        raise UsageError(f"run_id takes text of 1 to 255 printable characters without blanks around, not {run_id!r}")
    return run_id


def checked_metadata(metadata: Mapping[str, object] | None) -> Mapping[str, object]:
    """
    The metadata as it will be read back.

    Raises:
        UsageError: it is no mapping of text to JSON-able values.
    """
    if not metadata:
        return {}
    try:
        values = dict(metadata)
        text = json.dumps(values, allow_nan=False)
        if all(isinstance(key, str) for key in values):
            restored: dict[str, object] = json.loads(text)
            return restored
    except (TypeError, ValueError) as error:
        raise UsageError(f"metadata takes a mapping of text to JSON-able values: {error}") from None
    raise UsageError(f"metadata takes a mapping of text to JSON-able values, not the keys {list(values)!r}")


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """
    The tags of a run, as they were given.

    Raises:
        UsageError: they are no mapping of text to text.
    """
    if tags is None:
        return {}
    if not isinstance(tags, Mapping) or not all(isinstance(text, str) for item in tags.items() for text in item):
        raise UsageError(f"tags take a mapping of text to text, such as {{'shop': 'eu'}}, not {tags!r}")
    return dict(tags)


def encoded_payload(dag: Dag | None, workflow: str, name: str, payload: object) -> str:
    """
    The payload of a signal, encoded as what it holds.

    Args:
        dag: The workflow of the run, as far as it is known.

    Raises:
        UnknownStepError: it has no such signal.
        UsageError: that is no signal, or the payload is not what it holds.
        EncodingError: the payload cannot be stored.
    """
    if dag is None:
        return Codec().encode(payload)
    node = dag.nodes.get(name)
    if node is None or not isinstance(node.waits, ForSignal):
        names = [each.name for each in dag.nodes.values() if isinstance(each.waits, ForSignal)]
        if node is None:
            raise UnknownStepError(name, workflow, did_you_mean(name, names, "signals"))
        raise UsageError(f"{name!r} of {workflow} is a {node.kind}, not a signal: nothing can be sent to it")
    type_ = node.waits.type
    if not holds(type_, payload):
        raise UsageError(
            f"signal {name!r} of {workflow} holds {describe_type(type_)}, not {payload!r} "
            f"({describe_type(type(payload))}); nothing was sent"
        )
    return dag.codec.encode(payload, type_)


def checked_middleware(middleware: Sequence[AroundStep | AroundRun]) -> tuple[list[AroundStep], list[AroundRun]]:
    """
    The middleware around steps, and that around runs; one may be both.

    Raises:
        UsageError: one is neither, or it is no list.
    """
    if not isinstance(middleware, Iterable):
        raise UsageError(f"middleware takes a list of objects with around_step or around_run, not {middleware!r}")
    given = list(middleware)
    for each in given:
        if isinstance(each, type):
            raise UsageError(f"middleware takes objects, {each.__name__}(...), not the class {each.__name__}")
        methods = [getattr(each, name) for name in ("around_step", "around_run") if hasattr(each, name)]
        if not methods:
            raise UsageError(f"a middleware has around_step or around_run, or both; {each!r} has neither")
        for method in methods:
            if not inspect.iscoroutinefunction(method):
                raise UsageError(f"the methods of a middleware are async functions; {method!r} is none")
    around_steps = [each for each in given if isinstance(each, AroundStep)]
    return around_steps, [each for each in given if isinstance(each, AroundRun)]


def checked_hook(name: str, hook: T | None) -> T | None:
    """
    The function itself.

    Raises:
        UsageError: it is none.
    """
    if hook is not None and not callable(hook):
        raise UsageError(f"{name} takes a function that is told of a run, by its handle, not {hook!r}")
    return hook


def checked_telemetry(telemetry: TracerProvider | str) -> TracerProvider | str:
    """
    Where traces go, as it was given.

    Raises:
        UsageError: it is neither a provider nor one of the words.
    """
    if telemetry in ("auto", "off"):
        return telemetry
    if isinstance(telemetry, type) or not callable(getattr(telemetry, "get_tracer", None)):
        raise UsageError(f"telemetry takes a TracerProvider of OpenTelemetry, 'auto' or 'off', not {telemetry!r}")
    return telemetry
