"""What tells two graphs apart."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from .pictures import difference_picture
from .serialization import DECISIVE
from .wording import plural

if TYPE_CHECKING:
    # For a type only: what draws is loaded by who looks.
    from ..drawing import Picture

_SHOWN = 20
_MANNERS = {None: "runs once", "each": "runs once per item", "loop": "runs in a loop", "stream": "is a generator"}
_COMPARED = (*DECISIVE, "several", "carries")


class Graph(Protocol):
    """What can be drawn: a `Dag`."""

    def picture(self) -> "Picture":
        """What is drawn of it."""
        ...


@attrs.frozen(kw_only=True)
class Difference:
    """
    What is different in the newer of two graphs; false if nothing is.

    Attributes:
        added: Steps that only the newer one has.
        removed: Steps that only the older one has.
        rewired: Steps that wait for others, take their values from elsewhere, or run under other conditions.
        retyped: Steps whose output has another type.
        changed: Steps whose code changed.
        inputs: Inputs that were added, removed or changed.
        lines: All of it for people, a line for each.
        graphs: The older and the newer one, to draw them; None if they are not known.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    rewired: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    lines: tuple[str, ...] = attrs.field(default=(), repr=False)
    graphs: "tuple[Graph, Graph] | None" = attrs.field(default=None, repr=False, eq=False)

    @property
    def is_structural(self) -> bool:
        """Whether anything but the code of bodies is different."""
        return bool(self.added or self.removed or self.rewired or self.retyped or self.inputs)

    def __bool__(self) -> bool:
        return self.is_structural or bool(self.changed)

    def picture(self) -> "Picture | None":
        """Both graphs as one, in which what is new, gone and changed is marked; None if they are not known."""
        if self.graphs is None:
            return None
        before, after = self.graphs
        changed = [*self.rewired, *self.retyped, *self.changed]
        figures = ((self.added, "new"), (self.removed, "gone"), (dict.fromkeys(changed), "changed"))
        said = ", ".join(f"{plural(len(names), 'step')} {word}" for names, word in figures if names)
        inputs = f"; inputs changed: {', '.join(self.inputs)}" if self.inputs else ""
        note = f"{said or 'no step differs'}{inputs}."
        return difference_picture(before.picture(), after.picture(), changed, note)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from .. import drawing  # Only wanted by who looks.

        picture = self.picture()
        if picture is None or not self:
            return {"text/plain": str(self)}
        shown = drawing.mimebundle(picture)
        return {**shown, "text/plain": f"{shown['text/plain']}\n{self}\n"}

    def __str__(self) -> str:
        if not self:
            return "no difference"
        left = len(self.lines) - _SHOWN
        return "\n".join([*self.lines[:_SHOWN], *([f"... and {left} more"] if left > 0 else [])])


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """What is different between two documents that `to_document` gave."""
    before = {step["name"]: step for step in old["steps"]}
    after = {step["name"]: step for step in new["steps"]}
    both = [(before[name], step) for name, step in after.items() if name in before]
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    rewired = [(was, step) for was, step in both if any(_value(was, key) != _value(step, key) for key in _COMPARED)]
    retyped = [(was, step) for was, step in both if was["type"] != step["type"]]
    changed = tuple(step["name"] for was, step in both if was["digest"] != step["digest"])
    inputs = _inputs(old["inputs"], new["inputs"])
    lines = [
        *(f"+ step {name!r} is new" for name in added),
        *(f"- step {name!r} is gone" for name in removed),
        *(f"~ step {step['name']!r} {_rewiring(was, step)}" for was, step in rewired),
        *(f"~ step {step['name']!r} gives {_type(step)}, not {_type(was)}" for was, step in retyped),
        *(f"~ {line}" for line in inputs.values()),
        *(f"* step {name!r} has other code" for name in changed),
    ]
    return Difference(
        added=added,
        removed=removed,
        rewired=tuple(step["name"] for _, step in rewired),
        retyped=tuple(step["name"] for _, step in retyped),
        changed=changed,
        inputs=tuple(inputs),
        lines=tuple(lines),
    )


def _value(step: Mapping[str, Any], key: str) -> object:
    return sorted(step[key]) if key == "dependencies" else step.get(key)


def _type(each: Mapping[str, Any]) -> str:
    return each["type"] or "anything"


def _rewiring(was: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    """What changed, the plainest part of it: whom it waits for, else which of its options, else its sources."""
    gone = [name for name in was["dependencies"] if name not in step["dependencies"]]
    new = [name for name in step["dependencies"] if name not in was["dependencies"]]
    if gone or new:
        parts = [f"no longer waits for {', '.join(gone)}"] * bool(gone) + [f"waits for {', '.join(new)}"] * bool(new)
        return " and ".join(parts)
    if was.get("several") != step.get("several"):
        return f"{_MANNERS[step.get('several')]}, and no more {_MANNERS[was.get('several')]}"
    if was["kind"] != step["kind"]:
        return f"is a {step['kind']}, not a {was['kind']}"
    for key in ("when", "join", "required", "cancel_rest"):
        if was[key] != step[key]:
            return f"has {key}={step[key]!r}, not {was[key]!r}"
    return "takes its values from elsewhere"


def _inputs(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    before, after = ({each["name"]: each for each in side} for side in (old, new))
    lines: dict[str, str] = {}
    for name, each in after.items():
        was = before.get(name)
        if was is None:
            lines[name] = f"input {name!r} is new"
        elif was["type"] != each["type"]:
            lines[name] = f"input {name!r} is {_type(each)}, not {_type(was)}"
        elif was["required"] != each["required"]:
            lines[name] = f"input {name!r} is {'now' if each['required'] else 'no longer'} required"
    lines |= {name: f"input {name!r} is gone" for name in before if name not in after}
    return lines
