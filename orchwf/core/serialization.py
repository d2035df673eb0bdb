"""A graph as JSON-able values, and its fingerprint."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar, assert_never

import attrs

from ..errors import UsageError
from .caching import cache_document, read_cache
from .definition import (
    NO_STEPS,
    UNKNOWN,
    Argument,
    Binding,
    ForChild,
    ForSignal,
    ForTime,
    FromAll,
    FromChild,
    FromContext,
    FromEach,
    FromInput,
    FromOutputs,
    FromStep,
    Input,
    Node,
    Several,
    Wait,
)
from .limits import limits_document, read_limits
from .options import NO_RESOURCES, NO_RETRY, Join, Quorum, Retry, StepOptions, WorkflowOptions
from .references import Condition, Lookup, Test
from .types import TypeName, describe_type

T = TypeVar("T")

_FUNCTION = "lambda self: ..."

SCHEMA = 1
"""Which form these documents have; raised when an older reader could not understand them."""

Document = dict[str, Any]
"""JSON-able values by name."""

DECISIVE = ("kind", "dependencies", "needs", "choices", "asked", "arguments", "join", "cancel_rest", "required", "when")
"""What of a step decides when, whether and with what it runs."""


@attrs.frozen(eq=False)
class Described(Condition):
    """A condition of which only the text is known."""

    text: str

    def answer(self, lookup: Lookup) -> bool | None:
        return None

    def tests(self) -> Iterator[Test]:
        return iter(())

    def __str__(self) -> str:
        return self.text


def condition_text(options: StepOptions) -> str:
    """What `when` says, for people; empty if the step has none."""
    match options.when:
        case None:
            return ""
        case Condition():
            return str(options.when)
        case function:
            name = str(getattr(function, "__name__", type(function).__name__))
            return _FUNCTION if name == "<lambda>" else f"{name}(self)"


def to_document(head: Document, nodes: Iterable[Node]) -> Document:
    """The graph as JSON-able values: `head`, then the steps."""
    return {**head, "steps": list(map(_node_document, nodes))}


def to_text(head: Document, nodes: Iterable[Node]) -> str:
    """What `to_document` gives, as JSON text."""
    return "".join(_pieces(_TEXT, {**head, "steps": []}, map(_node_document, nodes)))


def head_document(
    *, name: str, version: str, description: str, entrypoint: str, inputs: Iterable[Input], tags: Sequence[str] = ()
) -> Document:
    """What the document of a graph says beside its fingerprint and its steps."""
    return {
        "schema": SCHEMA,
        "name": name,
        "version": version,
        "description": description,
        "entrypoint": entrypoint,
        "inputs": [_input_document(each) for each in inputs],
        **({"tags": list(tags)} if tags else {}),
    }


def fingerprint(head: Document, nodes: Iterable[Node]) -> str:
    """The SHA-256 of what matters in a graph, in hexadecimal; the order of definition does not."""
    inputs = sorted([each["name"], each["type"], each["required"]] for each in head["inputs"])
    content = [head["schema"], head["name"], head["version"], inputs, []]
    digest = hashlib.sha256()
    pieces = _pieces(_ASCII, content, map(_content_of, _by_name(nodes)))
    # In parts of a megabyte: hashing lets other threads run, but of a small part for so short a time that none wakes up
    # for it, and each has to queue anew.
    for some in _parts(pieces, 64):
        # Lone surrogates, which source code may have, are escaped by JSON.
        digest.update("".join(some).encode())
    return digest.hexdigest()


# Whatever is one call into C lets no other thread run until it ends, and graphs are written down beside an event loop:
# so sorting and encoding go by parts.
def _by_name(nodes: Iterable[Node]) -> Iterator[Node]:
    key = attrgetter("name")
    return merge(*(sorted(some, key=key) for some in _parts(iter(nodes), 5000)), key=key)


def _parts(rows: Iterator[T], size: int) -> Iterator[list[T]]:
    while part := list(islice(rows, size)):
        yield part


_TEXT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ASCII = json.JSONEncoder(separators=(",", ":"))


def _pieces(encoder: json.JSONEncoder, outer: object, rows: Iterator[object]) -> Iterator[str]:
    """The JSON text of a value that ends with an empty list, with these rows in that list."""
    text = encoder.encode(outer)
    yield text[:-2]
    comma = ""
    # So few have fewer objects than wake the garbage collector up.
    for part in _parts(rows, 64):
        yield comma + encoder.encode(part)[1:-1]
        comma = ","
    yield text[-2:]


def _content_of(node: Node) -> list[object]:
    content = {**_decisive(node), "dependencies": sorted(node.dependencies)}
    text = [node.name, *map(content.__getitem__, DECISIVE), describe_type(node.returns), node.digest()]
    # So what has no items has the fingerprint that it had before there were any.
    return text if node.several is None else [*text, str(node.several), node.carries]


def _input_document(each: Input) -> Document:
    return {"name": each.name, "type": describe_type(each.type), "required": each.required}


def _decisive(node: Node) -> Document:
    """What `DECISIVE` names."""
    options = node.options
    return {
        "kind": node.kind,
        "dependencies": list(node.dependencies),
        "needs": sorted(node.needs),
        "choices": [list(choice) for choice in node.choices],
        "asked": sorted(node.asked),
        "arguments": [_argument_document(argument) for argument in node.arguments],
        "join": str(options.join),
        "cancel_rest": options.cancel_rest,
        "required": options.required,
        "when": condition_text(options),
    }


def _node_document(node: Node) -> Document:
    options = node.options
    return {
        "name": node.name,
        "kind": node.kind,
        "position": node.position,
        **_decisive(node),
        "priority": options.priority,
        "retries": options.retry.max_retries,
        "timeout": options.timeout,
        "total_timeout": options.total_timeout,
        "heartbeat_timeout": options.heartbeat_timeout,
        "delivery": options.delivery,
        "on_exhausted": options.on_exhausted,
        "compensation": _compensation_document(node.compensation),
        "tags": list(options.tags),
        "type": describe_type(node.returns),
        "description": node.description,
        "location": node.location,
        "digest": node.digest(),
        **_items_document(node),
        **({} if node.waits is None else {"waits": _wait_document(node.waits)}),
        **limits_document(options.queue, options.mutex),
        **cache_document(options.cache),
        **({} if options.executor is None else {"executor": options.executor, "resources": {**options.resources}}),
    }


def _items_document(node: Node) -> Document:
    """What a step that has items says of them; nothing of any other step."""
    if node.several is None:
        return {}
    options = node.options
    return {
        "several": str(node.several),
        "carries": node.carries,
        "max_parallel": options.max_parallel,
        "tolerate": options.tolerate,
        "need": options.need,
        "max_iterations": options.max_iterations,
    }


def _wait_document(waits: Wait) -> Document:
    match waits:
        case ForSignal():
            return {"type": describe_type(waits.type), "timeout": waits.timeout, "default": waits.default}
        case ForTime(until=until):
            if isinstance(until, datetime):
                return {"until": until.isoformat()}
            return {"until": until if isinstance(until, int | float) else _FUNCTION}
        case ForChild():
            name = waits.name if waits.workflow is None else waits.workflow.__name__
            return {"workflow": name, "on_parent_close": waits.on_parent_close, "max_depth": waits.max_depth}
        case _:
            assert_never(waits)


def _compensation_document(node: Node | None) -> Document | None:
    if node is None:
        return None
    return {
        "retries": node.options.retry.max_retries,
        "timeout": node.options.timeout,
        "total_timeout": node.options.total_timeout,
        "location": node.location,
        **limits_document(node.options.queue, node.options.mutex),
    }


def _argument_document(argument: Argument) -> Document:
    document: Document = {"parameter": argument.parameter}
    match argument.binding:
        case FromStep(steps, maybe):
            document |= {"source": "maybe" if maybe else "result", "names": list(steps)}
        case FromInput(name):
            document |= {"source": "input", "names": [name]}
        case FromContext():
            document |= {"source": "context", "names": []}
        case FromOutputs(steps):
            document |= {"source": "outputs", "names": list(steps)}
        case FromEach(step):
            document |= {"source": "each", "names": [step]}
        case FromAll(step):
            document |= {"source": "all", "names": [step]}
        case FromChild(step, output):
            document |= {"source": "child", "names": [step], "output": output}
        case _:
            assert_never(argument.binding)
    return document


def from_document(document: Mapping[str, Any]) -> Document:
    """
    What a `Dag` is made of, from `to_document`.

    Raises:
        UsageError: this is no such document, or of a newer orchwf.
    """
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if not isinstance(schema, int):
        raise UsageError("this is not a graph that Dag.to_dict() gave: it has no schema number")
    if schema > SCHEMA:
        raise UsageError(
            f"this graph was written by a newer orchwf (schema {schema}, this one reads {SCHEMA}); upgrade orchwf"
        )
    try:
        return {
            "name": document["name"],
            "version": document["version"],
            "description": document["description"],
            "entrypoint": document["entrypoint"],
            "inputs": {each["name"]: _read_input(each) for each in document["inputs"]},
            "nodes": {each["name"]: _read_node(each) for each in document["steps"]},
            "options": WorkflowOptions(tags=tuple(document.get("tags", ()))),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"this is not a graph that Dag.to_dict() gave: {type(error).__name__} {error}") from error


def _read_type(text: str) -> Any:
    return TypeName(text) if text else UNKNOWN


def _read_input(document: Mapping[str, Any]) -> Input:
    return Input(document["name"], _read_type(document["type"]), document["required"])


def _read_node(document: Mapping[str, Any]) -> Node:
    return Node(
        name=document["name"],
        position=document["position"],
        arguments=tuple(map(_read_argument, document["arguments"])),
        dependencies=tuple(document["dependencies"]),
        needs=None if document["needs"] == sorted(document["dependencies"]) else frozenset(document["needs"]),
        choices=tuple(map(tuple, document["choices"])),
        asked=frozenset(document["asked"]) or NO_STEPS,
        options=StepOptions(
            retry=_read_retry(document["retries"]),
            timeout=document["timeout"],
            total_timeout=document["total_timeout"],
            # Those that follow are not in documents of the first releases.
            heartbeat_timeout=document.get("heartbeat_timeout"),
            delivery=document.get("delivery", "at_least_once"),
            on_exhausted=document.get("on_exhausted", "fail"),
            required=document["required"],
            priority=document["priority"],
            when=Described(document["when"]) if document["when"] else None,
            join=_read_join(document["join"]),
            cancel_rest=document["cancel_rest"],
            max_parallel=document.get("max_parallel"),
            tolerate=document.get("tolerate", 0),
            need=document.get("need"),
            max_iterations=document.get("max_iterations"),
            tags=tuple(document["tags"]),
            cache=read_cache(document),
            executor=document.get("executor"),
            resources=document.get("resources", NO_RESOURCES),
            **read_limits(document),
        ),
        several=Several(document["several"]) if "several" in document else None,
        carries=document.get("carries", ""),
        waits=_read_wait(document["kind"], document.get("waits", {})),
        returns=_read_type(document["type"]),
        description=document["description"],
        location=document["location"],
        digest=_constant(document["digest"]),
        compensation=_read_compensation(document["name"], document.get("compensation")),
    )


def _read_wait(kind: str, document: Mapping[str, Any]) -> Wait | None:
    match kind:
        case "signal":
            type_ = _read_type(document["type"])
            return ForSignal(type=type_, timeout=document["timeout"], default=document["default"])
        case "sleep":
            until = document["until"]
            if isinstance(until, str):
                until = _unknown_time if until == _FUNCTION else datetime.fromisoformat(until)
            return ForTime(until=until)
        case "subflow":
            return ForChild(
                name=document["workflow"], on_parent_close=document["on_parent_close"], max_depth=document["max_depth"]
            )
        case _:
            return None


def _unknown_time(instance: object) -> float:
    """Stands for a function of which the code is not known; nobody calls it."""
    return 0.0


def _read_compensation(step: str, document: Mapping[str, Any] | None) -> Node | None:
    if document is None:
        return None
    options = StepOptions(
        retry=_read_retry(document["retries"]), timeout=document["timeout"], total_timeout=document["total_timeout"],
        **read_limits(document),
    )  # fmt: skip
    return Node(name=step, options=options, location=document["location"])


def _read_retry(retries: int) -> Retry:
    return Retry(retries) if retries else NO_RETRY


# Steps that share a body have the same digest, and often stand together.
@lru_cache(maxsize=16)
def _constant(text: str) -> Callable[[], str]:
    return lambda: text


def _read_join(text: str) -> Join | Quorum:
    if text.startswith("quorum("):
        return Quorum(int(text.removeprefix("quorum(").removesuffix(")")))
    return Join(text)


def _read_argument(document: Mapping[str, Any]) -> Argument:
    names = tuple(document["names"])
    binding: Binding
    match document["source"]:
        case "input":
            binding = FromInput(names[0])
        case "context":
            binding = FromContext()
        case "outputs":
            binding = FromOutputs(names)
        case "each":
            binding = FromEach(names[0])
        case "all":
            binding = FromAll(names[0])
        case "child":
            binding = FromChild(names[0], document["output"])
        case source:
            binding = FromStep(names, source == "maybe")
    return Argument(document["parameter"], binding)
