"""Fakes in the place of the bodies of steps."""

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs

from ..core.dag import dag_of
from ..core.definition import FromOutputs, Node, Several
from ..core.references import MISSING, Ref
from ..core.suggestions import did_you_mean
from ..errors import UnknownStepError, UsageError
from ..introspection import gives_coroutine
from ..steps import Step
from .bodies import changed, compiled_dag


@contextmanager
def override(
    step: Ref[Any] | str,
    fake: object = MISSING,
    *,
    compensation: object = MISSING,
    workflow: type | None = None,
) -> Iterator[None]:
    """
    Replace the body of a step, for the runs that are started or resumed in the block.

    ::

        with override(Fulfilment.charge, lambda order: f"receipt of {order.id}"):
            result = await orchestrator.run(Fulfilment(order_id="A1"))

    All workflows that have this body are meant: the class in which it stands, and those that inherit it. What is
    replaced are runs only; `Fulfilment(...).charge(...)` is the body itself. Blocks may be nested.

    Args:
        step: The step, or its name if `workflow` is given.
        fake: Stands in for the body. A callable, coroutine function or not, takes any of the parameters of the body by
            their names, and `self` if it wants to; an exception is raised; any other value is what the step returns. In
            the place of a generator it gives the items: a list, say.
        compensation: The same for how the step is undone.
        workflow: The only class that is meant, with those that inherit from it. Has to be given for steps of
            `make_workflow`.

    Raises:
        UsageError: there is no such step in a workflow, or the fake asks for what it cannot get.
    """
    if fake is MISSING and compensation is MISSING:
        raise UsageError("override takes a fake for the body of a step, or one for its compensation")
    found = _nodes_of(step, workflow)
    with ExitStack() as stack:
        for cls, nodes in found.items():
            for node in nodes:
                stack.enter_context(changed(cls, _change_of(node, fake, compensation)))
        yield


def _nodes_of(step: object, workflow: type | None) -> Mapping[type, list[Node]]:
    """Workflow class -> its steps that have this body."""
    if isinstance(step, str):
        if workflow is None:
            raise UsageError(f"override({step!r}, ...) names a step: say of which workflow, by workflow=")
        dag = compiled_dag(workflow) or dag_of(workflow)
        if step not in dag.nodes:
            raise UnknownStepError(step, dag.name, did_you_mean(step, dag.nodes, "steps"))
        return {workflow: [dag.nodes[step]]}
    if not isinstance(step, Step):
        raise UsageError(
            f"override takes a step, such as Fulfilment.charge of the class itself, or the name of one, not {step!r}"
        )
    root = workflow or step.owner
    if root is None:
        raise UsageError(f"step {step.name!r} belongs to no class: say of which workflow it is, by workflow=")
    found = {cls: matching for cls in _family(root) if (matching := _matching(cls, step))}
    if not found:
        raise UsageError(
            f"step {step.__qualname__!r} is in no workflow: neither {root.__name__} nor a class that inherits from it "
            "is a workflow with this step"
        )
    return found


def _family(root: type) -> Iterator[type]:
    """A class and all that inherit from it, each once."""
    seen = {root}
    waiting = [root]
    while waiting:
        cls = waiting.pop()
        yield cls
        children: list[type] = cls.__subclasses__()
        fresh = [child for child in children if child not in seen]
        seen.update(fresh)
        waiting += fresh


def _matching(cls: type, step: "Step[Any, ..., Any, Any]") -> list[Node]:
    dag = compiled_dag(cls)
    same = [node for node in dag.nodes.values() if node.function is step.function] if dag is not None else []
    # Several steps may share a function; under another name than its own it is found by that alone.
    return [node for node in same if node.name == step.name] or same


def _change_of(node: Node, fake: object, compensation: object) -> Callable[[Node], Node]:
    undo = node.compensation
    if compensation is not MISSING and undo is None:
        raise UsageError(f"step {node.name!r} has no compensation that could be replaced")
    body = None if fake is MISSING else _StandIn.of(node, fake)
    undoing = None if undo is None or compensation is MISSING else _StandIn.of(undo, compensation)

    def change(present: Node) -> Node:
        if present.name != node.name:
            return present
        if body is not None:
            present = body.instead_of(present)
        if undoing is not None and present.compensation is not None:
            present = attrs.evolve(present, compensation=undoing.instead_of(present.compensation))
        return present

    return change


@attrs.frozen(eq=False)
class _StandIn:
    """
    A fake, called as the body would be, and given what it asks for.

    `wants` are the names that it takes, None for all; `defaults` what the body has for parameters that a run leaves
    alone.
    """

    node: Node
    fake: Callable[..., object]
    wants: frozenset[str] | None
    defaults: Mapping[str, object]

    @classmethod
    def of(cls, node: Node, fake: object) -> "_StandIn":
        function = _callable_of(fake)
        if function is None:
            return cls(node, lambda: fake, frozenset(), {})
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            raise UsageError(f"the fake {fake!r} has no signature that Python knows: wrap it in a function") from None
        body = inspect.signature(node.function).parameters if node.function is not None else {}
        defaults = {name: each.default for name, each in body.items() if each.default is not each.empty}
        offered = {*body, *_names(node), *(["self"] if node.takes_self else [])}
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        named = [each for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
        for parameter in named:
            is_strange = parameter.name not in offered and parameter.default is parameter.empty
            if is_strange or parameter.kind is parameter.POSITIONAL_ONLY:
                raise UsageError(
                    f"the fake for step {node.name!r} takes {parameter.name!r}, which it cannot get: it may take, by "
                    f"name, any of {', '.join(sorted(offered)) or 'nothing'}"
                )
        return cls(node, function, None if takes_all else frozenset(each.name for each in named), defaults)

    def instead_of(self, present: Node) -> Node:
        # What is not a coroutine function stays where the body was: on the loop, or in a thread.
        is_async = present.is_async or gives_coroutine(self.fake) or inspect.isasyncgenfunction(self.fake)
        function: Callable[..., object] = self
        if present.several is Several.STREAM:
            function = self._async_items if is_async else self._items
        return attrs.evolve(present, function=function, is_async=is_async)

    def _items(self, /, *args: object, **given: object) -> Iterator[object]:
        """What a fake of a generator gives: it may be one itself, or give all at once."""
        values: Any = self(*args, **given)
        yield from values

    async def _async_items(self, /, *args: object, **given: object) -> AsyncIterator[object]:
        values: Any = self(*args, **given)
        values = await values if inspect.isawaitable(values) else values
        if isinstance(values, AsyncIterable):
            async for value in values:
                yield value
        else:
            for value in values:
                yield value

    def __call__(self, /, *args: object, **given: object) -> object:
        names = ["self"] if self.node.takes_self else []
        names += [each.parameter for each in self.node.arguments if each.positional_only]
        values = {**self.defaults, **dict(zip(names, args, strict=True)), **given}
        wants = values.keys() - {"self"} if self.wants is None else self.wants
        # What neither a run nor the body has a value for has one in the fake.
        return self.fake(**{name: value for name, value in values.items() if name in wants})


def _callable_of(fake: object) -> Callable[..., object] | None:
    if isinstance(fake, BaseException) or (isinstance(fake, type) and issubclass(fake, BaseException)):
        error = fake

        def raises() -> object:
            raise error

        return raises
    return fake if callable(fake) else None


def _names(node: Node) -> Iterator[str]:
    """What a run gives to a body, by name."""
    for argument in node.arguments:
        if isinstance(argument.binding, FromOutputs):
            yield from argument.binding.steps
        else:
            yield argument.parameter
