"""Graphs as pictures: what is drawn of their steps, of what became of them, and of what a change reaches."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from .definition import UNKNOWN, FromEach, Node, Several
from .options import StepOptions
from .serialization import condition_text
from .types import describe_type
from .wording import duration_text, plural

if TYPE_CHECKING:
    # For types only: what draws is loaded by who looks.
    from ..drawing import Arrow, Picture, Shape

_SEVERAL = {Several.EACH: "each", Several.LOOP: "until", Several.STREAM: "stream"}
"""What a picture calls a step that has items, by how it comes to have them."""

_LONGEST_SAID = 240


def graph_picture(title: str, nodes: Mapping[str, Node], note: str = "") -> "Picture":
    """What is drawn of these steps, in which none has a status; arrows from others are left out."""
    from ..drawing import Picture  # Only wanted by who looks.

    shapes = [_shape(node) for node in sorted(nodes.values(), key=lambda node: node.position)]
    arrows = [
        _arrow(node, parent) for node in nodes.values() for parent in node.dependencies if parent in nodes
    ]  # fmt: skip
    return Picture(title, tuple(shapes), tuple(arrows), note)


def _shape(node: Node) -> "Shape":
    from ..drawing import Shape  # As above.

    return Shape(
        id=node.name,
        label=node.name,
        kind=node.kind,
        required=node.options.required,
        several="" if node.several is None else _SEVERAL[node.several],
        condition=condition_text(node.options),
        tooltip=node_text(node),
    )


def _arrow(node: Node, parent: str) -> "Arrow":
    from ..drawing import Arrow  # As above.

    return Arrow(parent, node.name, optional=parent not in node.needs, each=takes_items(node, parent))


def takes_items(node: Node, parent: str) -> bool:
    """Whether this step runs once for each item of that one."""
    return node.several is Several.EACH and any(argument.binding == FromEach(parent) for argument in node.arguments)


def node_text(node: Node) -> str:
    """What is said where somebody points at a step: its docstring, what it gives, its options, where it stands."""
    returns = "" if node.returns is UNKNOWN else describe_type(node.returns)
    lines = [
        first_paragraph(node.description),
        f"gives {returns}" if returns else "",
        ", ".join(options_texts(node.options)),
        node.location,
    ]
    return "\n".join(filter(None, lines))


def first_paragraph(description: str) -> str:
    """The first paragraph of a docstring on one line, cut where nobody reads on."""
    text = " ".join(description.split("\n\n", 1)[0].split())
    return text if len(text) <= _LONGEST_SAID else f"{text[:_LONGEST_SAID]}…"


def options_texts(options: StepOptions) -> Iterator[str]:
    """`3 retries`, `timeout 30 s`: those options that are not as they are by themselves."""
    if options.retry.max_retries:
        retries = options.retry.max_retries
        yield "1 retry" if retries == 1 else f"{retries:,} retries"
    for name, limit in (("timeout", options.timeout), ("total timeout", options.total_timeout)):
        if limit is not None:
            yield f"{name} {duration_text(limit)}"
    if options.delivery == "at_most_once":
        yield "at most once"
    if str(options.join) != "all":
        yield f"join {options.join}"
    if options.executor is not None:
        yield f"executor {options.executor}"
    if options.priority:
        yield f"priority {options.priority}"
    if options.cache is not None:
        yield "cached"


def marked(picture: "Picture", statuses: Mapping[str, str], note: str) -> "Picture":
    """
    The picture in which these steps have these marks.

    Args:
        statuses: Name -> one of `added`, `removed`, `changed`, `reached`.
    """
    shapes = [attrs.evolve(shape, status=statuses.get(shape.id, "")) for shape in picture.shapes]
    return attrs.evolve(picture, shapes=shapes, note=note)


def difference_picture(before: "Picture", after: "Picture", changed: Collection[str], note: str) -> "Picture":
    """
    Both graphs as one: what is new, what is gone, and what changed.

    What is gone would close a circle where a dependency was turned round; that arrow is left out.
    """
    old, new = ({shape.id: shape for shape in picture.shapes} for picture in (before, after))
    statuses = {name: "changed" for name in changed if name in new}
    statuses |= {name: "removed" for name in old if name not in new} | {
        name: "added" for name in new if name not in old
    }
    were = {(arrow.source, arrow.target) for arrow in before.arrows}
    are = {(arrow.source, arrow.target) for arrow in after.arrows}
    arrows = [
        arrow if (arrow.source, arrow.target) in were else attrs.evolve(arrow, status="added") for arrow in after.arrows
    ]
    gone = [
        attrs.evolve(arrow, status="removed", optional=True)
        for arrow in before.arrows
        if (arrow.source, arrow.target) not in are
    ]
    figures = ((len(arrows) - len(are & were), "new"), (len(gone), "gone"))
    if said := ", ".join(f"{plural(count, 'arrow')} {word}" for count, word in figures if count):
        note = f"{note} {said}."
    kept = list(_without_circles(list(new), are, gone))
    if len(kept) < len(gone):
        note = f"{note} Left out: {plural(len(gone) - len(kept), 'arrow')} that turned round."
    shapes = [*after.shapes, *(shape for name, shape in old.items() if name not in new)]
    whole = attrs.evolve(after, shapes=tuple(shapes), arrows=(*arrows, *kept))
    return marked(whole, statuses, note)


def _without_circles(names: list[str], edges: set[tuple[str, str]], gone: "list[Arrow]") -> "Iterator[Arrow]":
    """Those of the arrows that are gone that close no circle with those that are there."""
    after: dict[str, set[str]] = {name: set() for name in names}
    for source, target in edges:
        after[source].add(target)
    for arrow in gone:
        if not _reaches(after, arrow.target, arrow.source):
            after.setdefault(arrow.source, set()).add(arrow.target)
            yield arrow


def _reaches(after: Mapping[str, set[str]], start: str, end: str) -> bool:
    found, waiting = {start}, [start]
    while waiting:
        name = waiting.pop()
        if name == end:
            return True
        fresh = after.get(name, set()) - found
        found |= fresh
        waiting += fresh
    return False
