"""Under which key the output of a step is kept for other runs."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NoReturn

from ..core.caching import Cache, cache_key
from ..core.checks import given_item
from ..core.children import child_output, child_output_text, decoded_child, decoded_output
from ..core.definition import Argument, ForChild, FromAll, FromChild, FromEach, FromInput, FromOutputs, FromStep, Node
from ..core.types import describe_type
from ..core.values.pieces import LARGE
from .attempt import Item, Taken
from .execution import Execution

Keying = Callable[[], str]
"""
Gives the key; it may be called in a thread.

Raises:
    EncodingError: what the user's function gave cannot be stored.
    Exception: whatever the user's function raises.
"""


def keying(execution: Execution, node: Node, cache: Cache, taken: Taken) -> Keying:
    """What gives the key for a step of a run, or an item of one, that takes this."""
    outputs, item = taken.outputs, taken.item
    # Of another type it could not be read.
    identity = [*cache.identity(execution.dag.name, node.name), describe_type(node.returns)]
    if cache.key is None:
        return lambda: cache_key([*identity, execution.inputs, *_texts(node, outputs, item)])

    def by_user() -> str:
        arguments = _values(execution, node, outputs, item)
        return cache_key([*identity, execution.codec.encode(cache.call_key(execution.instance(), arguments))])

    return by_user


def is_quick(execution: Execution, taken: Taken) -> bool:
    """Whether the key is made of so little that it takes no time."""
    if taken.item is not None and not taken.item.is_near:
        return False
    return len(execution.inputs) + sum(map(len, taken.outputs.values())) < LARGE


async def done_in_thread(work: Keying) -> Keying:
    """What gives the same key, or raises the same, at once: it has been found out in a thread."""
    try:
        key = await asyncio.to_thread(work)
    # Foreign code: it is raised where the key is asked for.
    except Exception as error:
        return failing(error)
    return lambda: key


def failing(error: Exception) -> Keying:
    """What raises this."""

    def fail() -> NoReturn:
        raise error

    return fail


def _texts(node: Node, outputs: Mapping[str, str], item: Item | None) -> list[str]:
    """The arguments that a step takes from others: their names, and what is stored of each; empty of None."""
    texts: list[str] = []
    for argument in node.arguments:
        match argument.binding:
            case FromStep() if item is not None and item.carried is not None and argument.parameter == node.carries:
                texts += [argument.parameter, item.carried]
            case FromStep(steps):
                texts += [argument.parameter, next((outputs[name] for name in steps if name in outputs), "")]
            case FromOutputs(steps):
                texts += [text for name in steps if name in outputs for text in (name, outputs[name])]
            case FromEach(name):
                texts += [argument.parameter, "" if item is None else item.text(name)]
            case FromAll(name):
                texts += [argument.parameter, outputs[name]]
            case FromChild(name, output):
                texts += [argument.parameter, child_output_text(outputs[name], output)]
            case _:
                pass
    if item is not None and item.carried is not None:
        # Of an input it is the output before that counts.
        texts += ["", item.carried]
    return texts


def _values(execution: Execution, node: Node, outputs: Mapping[str, str], item: Item | None) -> dict[str, object]:
    """The arguments of a step by name, but for its context."""

    def output(name: str) -> object:
        return decoded_output(execution.dag, name, outputs[name])

    def value(argument: Argument) -> dict[str, object]:
        parameter = argument.parameter
        if item is not None and item.carried is not None and parameter == node.carries:
            return {parameter: execution.codec.decode(item.carried, node.returns)}
        match argument.binding:
            case FromStep(steps):
                found = (name for name in steps if name in outputs)
                return {parameter: next(map(output, found), None)}
            case FromInput(name):
                return {parameter: getattr(execution.instance(), name)}
            case FromOutputs(steps):
                return {name: output(name) for name in steps if name in outputs}
            case FromAll(name):
                return {parameter: output(name)}
            case FromEach(name) if item is not None:
                return {parameter: _item(execution, name, item.text(name))}
            case FromChild(name, step):
                return {parameter: child_output(outputs[name], execution.child(name), step)}
            case _:
                return {}

    return {name: each for argument in node.arguments for name, each in value(argument).items()}


def _item(execution: Execution, name: str, text: str) -> object:
    node = execution.dag.nodes[name]
    if isinstance(node.waits, ForChild):
        return decoded_child(text, execution.child(name))
    return execution.codec.decode(text, given_item(node))
