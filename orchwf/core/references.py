"""What users point at: nodes, the sources they are to parameters, and conditions on them."""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, StrEnum
from typing import Any, Generic, TypeVar, cast, overload

import attrs

from ..errors import BadOptionError, Problem

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
V = TypeVar("V")
T_co = TypeVar("T_co", covariant=True)


class Mode(StrEnum):
    """How a parameter takes what a node gave."""

    RESULT = "result"
    MAYBE = "maybe"
    EACH = "each"
    ALL = "all"


@attrs.frozen(eq=False, repr=False)
class Source:
    """What the default of a parameter such as `order: Order = validate.result` really is."""

    ref: "Ref[Any]"
    mode: Mode

    def __repr__(self) -> str:
        name = f"({self.ref.name})" if isinstance(self.ref, Choice) else self.ref.name
        return f"{name}.{self.mode}"


class Each:
    """Gives what `ref.each` is: to a type checker an item of what the node gives, or that itself if it has no items."""

    # A node that runs once per item itself gives one of them each time: it is followed item by item.
    @overload
    def __get__(self, instance: "Ref[Iterable[T]]", owner: type) -> T: ...
    @overload
    def __get__(self, instance: "Ref[T]", owner: type) -> T: ...
    def __get__(self, instance: "Ref[Any] | None", owner: type) -> Any:
        return self if instance is None else Source(instance, Mode.EACH)


class Ref(Generic[T_co]):
    """
    Anything in a workflow that gives a value: a step, or a choice between steps.

    Used as the default of a parameter, `ref.result` and its siblings say where the value comes from; to a type
    checker they have the type of that value.
    """

    each = Each()
    """One item of the output of this node, or of those of a node that runs once per item: the step runs for each."""
    name: str = "?"
    owner: type | None = None
    """The class in whose body it stands; None if there is none, or it is not known."""

    @property
    def result(self) -> T_co:
        """The output of this node."""
        return cast(T_co, Source(self, Mode.RESULT))

    @property
    def maybe(self) -> T_co | None:
        """The output of this node, or None if it was skipped, or was optional and failed."""
        return cast("T_co | None", Source(self, Mode.MAYBE))

    @property
    def all(self) -> list[T_co]:
        """All results of a node that runs once per item, in input order."""
        return cast("list[T_co]", Source(self, Mode.ALL))

    def is_(self: "Ref[A]", value: A) -> "Condition":
        """The condition that the output equals `value`."""
        return Test(self, lambda output: output == value, f"is {shown_value(value)}", value)

    def contains(self, item: object) -> "Condition":
        """The condition that `item` is in the output."""
        return Test(self, lambda output: item in cast("Iterable[object]", output), f"contains {shown_value(item)}")

    def where(self, test: Callable[[T_co], object]) -> "Condition":
        """The condition that `test(output)` is true."""
        return Test(self, cast("Callable[[object], object]", test), f"where {_named(test)}")

    def __or__(self, other: "Ref[B]") -> "Ref[T_co | B]":
        return Choice([*alternatives(self), *alternatives(other)])


def shown_value(value: object) -> str:
    """A value with which outputs are compared, for people; the same in every process."""
    # This text is part of the fingerprint: it must not hold the order of a set, or an address.
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(shown_value, value)))}}}"
    if isinstance(value, Enum):
        # Its repr says the value, too, which is nobody's business.
        return f"{type(value).__name__}.{value.name}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _named(function: object) -> str:
    """The name of a function; dots for one that has none."""
    name = getattr(function, "__name__", "")
    return name if isinstance(name, str) and name.isidentifier() else "..."


class Choice(Ref[T_co]):
    """`a | b`: whichever of these nodes completed, the first one first."""

    def __init__(self, refs: Iterable[Ref[Any]]) -> None:
        self.refs = tuple(refs)
        self.name = " | ".join(ref.name for ref in self.refs)

    def __repr__(self) -> str:
        return f"<{self.name}>"


class SignalRef(Ref[T_co], Generic[V, T_co]):
    """A node that waits for a message, which holds a `V`."""


class ChildOutput(Ref[T_co]):
    """`ship[Shipping.book]`: the output of a step of the run that a subflow started."""

    def __init__(self, subflow: Ref[Any], step: Ref[Any]) -> None:
        self.subflow = subflow
        self.step = step
        self.name = f"{subflow.name}[{step.name}]"

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Named(Ref[T_co]):
    """A node of a compiled workflow, by its name."""

    def __init__(self, name: str) -> None:
        self.name = name


def alternatives(ref: Ref[Any]) -> tuple[Ref[Any], ...]:
    """The nodes of a choice; of any other reference, itself."""
    return ref.refs if isinstance(ref, Choice) else (ref,)


MISSING: Any = object()
"""Stands for the output of a node that has none."""

Lookup = Callable[[Ref[Any]], object]
"""Gives the output of a node, or MISSING."""

Rename = Callable[[Ref[Any]], Ref[Any]]
"""Gives the node that is meant for the one that was written."""


class Condition:
    """
    What `when=` takes: a question about outputs, to be combined with `&`, `|` and `~`.

    It is answered in three values (Kleene's logic): a test of a node without an output is unknown, None here; what is
    unknown in the end is not true, and the step is skipped.
    """

    @property
    def depth(self) -> int:
        """How deep the combinations are nested, counted from 1. A long row of one operator is one level."""
        return 1

    def answer(self, lookup: Lookup) -> bool | None:
        """True, False, or None if it cannot be known."""
        raise NotImplementedError

    def tests(self) -> "Iterator[Test]":
        """Every test in it."""
        raise NotImplementedError

    def rebound(self, rename: Rename) -> "Condition":
        """The same condition, asking the nodes that `rename` gives for those it names."""
        raise NotImplementedError

    def __and__(self, other: "Condition") -> "Condition":
        return Both(_row(Both, self, other))

    def __or__(self, other: "Condition") -> "Condition":
        return Either(_row(Either, self, other))

    def __invert__(self) -> "Condition":
        return Not(self)

    def __bool__(self) -> bool:
        message = "a condition has no truth value before the run"
        raise BadOptionError("when", [Problem("bad-option", "", message, hint="Combine conditions with &, | and ~.")])


@attrs.frozen(eq=False)
class Test(Condition):
    """A question about the output of one node. `value` is what `is_` compares with, else MISSING."""

    ref: Ref[Any]
    predicate: Callable[[object], object]
    text: str
    value: object = MISSING

    def answer(self, lookup: Lookup) -> bool | None:
        output = lookup(self.ref)
        return None if output is MISSING else bool(self.predicate(output))

    def tests(self) -> "Iterator[Test]":
        yield self

    def rebound(self, rename: Rename) -> Condition:
        return attrs.evolve(self, ref=rename(self.ref))

    def __str__(self) -> str:
        return f"{self.ref.name} {self.text}"


# Measured when they are made: measuring later would call itself as deep as they are nested.
def _depth_of_row(row: "_Row") -> int:
    return 1 + max(term.depth for term in row.terms)


def _depth_of_inverse(inverse: "Not") -> int:
    return 1 + inverse.condition.depth


@attrs.frozen(eq=False)
class _Row(Condition):
    terms: tuple[Condition, ...]

    _depth: int = attrs.field(init=False, default=attrs.Factory(_depth_of_row, takes_self=True))

    @property
    def depth(self) -> int:
        return self._depth

    def tests(self) -> Iterator[Test]:
        for term in self.terms:
            yield from term.tests()

    def rebound(self, rename: Rename) -> Condition:
        return type(self)(tuple(term.rebound(rename) for term in self.terms))


class Both(_Row):
    """`left & right`, and any more of them."""

    def answer(self, lookup: Lookup) -> bool | None:
        return _kleene(self.terms, lookup, decisive=False)

    def __str__(self) -> str:
        return f"({' & '.join(map(str, self.terms))})"


class Either(_Row):
    """`left | right`, and any more of them."""

    def answer(self, lookup: Lookup) -> bool | None:
        return _kleene(self.terms, lookup, decisive=True)

    def __str__(self) -> str:
        return f"({' | '.join(map(str, self.terms))})"


def _row(kind: type[_Row], *conditions: Condition) -> tuple[Condition, ...]:
    # A row of one operator is kept flat, so that a condition over thousands of nodes is not nested as deep.
    terms: list[Condition] = []
    for condition in conditions:
        terms += condition.terms if type(condition) is kind else (condition,)
    return tuple(terms)


def _kleene(terms: Iterable[Condition], lookup: Lookup, *, decisive: bool) -> bool | None:
    is_known = True
    for term in terms:
        answer = term.answer(lookup)
        if answer is decisive:
            return decisive
        is_known = is_known and answer is not None
    return (not decisive) if is_known else None


@attrs.frozen(eq=False)
class Not(Condition):
    """`~condition`"""

    condition: Condition
    _depth: int = attrs.field(init=False, default=attrs.Factory(_depth_of_inverse, takes_self=True))

    @property
    def depth(self) -> int:
        return self._depth

    def answer(self, lookup: Lookup) -> bool | None:
        inner = self.condition.answer(lookup)
        return None if inner is None else not inner

    def tests(self) -> Iterator[Test]:
        yield from self.condition.tests()

    def rebound(self, rename: Rename) -> Condition:
        return Not(self.condition.rebound(rename))

    def __str__(self) -> str:
        return f"~{self.condition}"
