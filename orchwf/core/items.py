"""What can be wrong with steps that have items: found once all steps are bound."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import Problem
from .definition import FromEach, Node, Several
from .options import Join, StepOptions
from .plan import item_steps
from .types import list_of_results, list_type


def results_type(node: Node, item: Any, nodes: Mapping[str, Node]) -> Any:
    """The type of a list with a value of a type for each item of this step, or None if some need not be there."""
    return list_of_results(item) if _has_gaps(node, nodes) else list_type(item)


def _has_gaps(node: Node, nodes: Mapping[str, Node]) -> bool:
    """Whether items of this step may fail, or be missing, and it completes without them; also those it follows."""
    seen, waiting = {node.name}, [node]
    while waiting:
        node = waiting.pop()
        if node.options.tolerate or node.options.need is not None:
            return True
        sources = {each.binding.step for each in node.arguments if isinstance(each.binding, FromEach)}
        waiting += [nodes[name] for name in sources - seen if nodes[name].several is Several.EACH]
        seen |= sources
    return False


def check_items(nodes: Sequence[Node]) -> list[Problem]:
    """The problems of steps that run once per item, of loops, and of generators."""
    special = [
        node
        for node in nodes
        if node.several is not None or _has_item_options(node) or (node.waits is not None and node.compensation)
    ]
    if not special:
        return []
    by_name = {node.name: node for node in nodes}
    return [problem for node in special for problem in _problems(node, by_name)]


def _has_item_options(node: Node) -> bool:
    options = node.options
    return bool(
        options.max_parallel is not None or options.tolerate or options.need is not None or options.item_key is not None
    )


def _problems(node: Node, nodes: Mapping[str, Node]) -> Iterator[Problem]:
    options = node.options

    def problem(code: str, message: str, hint: str) -> Problem:
        return Problem(code, node.name, f"step {node.name!r} {message}", node.location, hint)

    if node.several is not Several.EACH and _has_item_options(node):
        names = ("max_parallel", "tolerate", "need", "item_key")
        given = next(name for name in names if getattr(options, name))
        hint = "Take the items of another step:  item = load.each"
        yield problem("bad-option", f"has {given}=..., but does not run once per item", hint)
    if node.several is not None and node.several is not Several.STREAM and options.join is not Join.ALL:
        yield problem("bad-option", f"runs several times, and cannot join {str(options.join)!r}", "Leave join out.")
    if node.several is Several.STREAM:
        for message, hint in _wrong_of_stream(options):
            yield problem("bad-option", f"is a generator, {message}", hint)
    if any(item_steps(node)):
        if node.several is Several.LOOP:
            hint = "Put the loop into a workflow of its own, started by a @subflow that runs once per item."
            yield problem("bad-option", "is a loop (until=...) and runs once per item: it can be one of them", hint)
        if node.several is Several.STREAM:
            yield problem("bad-option", "is a generator and runs once per item", "Return a list instead.")
        roots = {_root(name, nodes) for name in item_steps(node)}
        if len(roots) > 1:
            shown = " and ".join(map(repr, sorted(roots)))
            hint = "Make one step return the pairs, such as list(zip(...)), and take its items."
            yield problem("mapped-result", f"takes items that do not belong together: those of {shown}", hint)
        if options.item_key is not None and any(nodes[name].several is Several.EACH for name in item_steps(node)):
            hint = "Give it to the first of them, whose items it is that have keys."
            yield problem("bad-option", "has item_key=..., but follows the items of another step", hint)
    if node.compensation is not None and node.waits is not None:
        hint = "The run that it starts undoes its own steps."
        yield problem("bad-compensation", "is a subflow, and has a compensation", hint)


def _wrong_of_stream(options: StepOptions) -> Iterator[tuple[str, str]]:
    """What a generator cannot have, and the way out."""
    if options.cache is not None:
        yield "of which nothing can be kept (cache=...)", "Cache the step that runs once for each of its items."
    if options.executor is not None:
        hint = "What it gives is stored here, one by one: leave executor out, or return a list."
        yield f"and cannot run on an executor ({options.executor!r})", hint
    if options.until is not None:
        hint = "A generator ends by itself: leave until out, or return what it gives."
        yield "and cannot be a loop (until=...)", hint


def _root(name: str, nodes: Mapping[str, Node]) -> str:
    """The step whose items are followed, through all that run once for each of them."""
    seen = set[str]()
    while name not in seen and nodes[name].several is Several.EACH:
        seen.add(name)
        name = next(item_steps(nodes[name]), name)
    return name
