"""What a form is: how the values of one class are written. And how it says what it cannot."""

import reprlib
from collections.abc import Callable
from types import NoneType
from typing import Any, Protocol

Json = Any
"""What `json.loads` gives: None, bool, int, float, str, list or dict with text keys."""

MAX_DEPTH = 100
"""How deep containers may be nested. A level takes up to six Python frames, and there are 1,000."""

_SHOWN_STEPS = 10

IS_NESTED_TOO_DEEPLY = f"it is nested more than {MAX_DEPTH} levels deep; flatten it"
CONTAINS_ITSELF = "it contains itself; refer to parts by an id or a key instead"


class Trouble(Exception):
    """Why a part of a value cannot be written or read, and, once it has travelled up, where that part is."""

    def __init__(self, reason: str, *, endless: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self._endless = endless
        self._steps: list[str] = []

    def at(self, step: str, container: object = None) -> None:
        """Note that it happened in this part of this container."""
        self._steps.append(step)
        if container is not None and container is self._endless:
            self.reason = CONTAINS_ITSELF
            self._steps.clear()

    @property
    def path(self) -> str:
        """Where in the value, such as `$.items[3].owner`."""
        steps = self._steps[::-1]
        if len(steps) > 2 * _SHOWN_STEPS:
            steps = [*steps[:_SHOWN_STEPS], " ... ", *steps[-_SHOWN_STEPS:]]
        return "$" + "".join(steps)


def too_deep(container: object) -> Trouble:
    """The trouble that this container lies too deep; it turns out on the way up whether it contains itself."""
    return Trouble(IS_NESTED_TOO_DEEPLY, endless=container)


def type_name(cls: type) -> str:
    """How messages name a class."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def shown(value: object) -> str:
    """How messages show a value: its repr, cut short."""
    try:
        return reprlib.repr(value)
    # Of an integer of over 4,300 digits there is none.
    except ValueError:
        return type_name(type(value))


_JSON_NAMES: dict[type, str] = {
    NoneType: "null", bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "an array",
    dict: "an object",
}  # fmt: skip


def unexpected(expected: str, json: Json) -> Trouble:
    """The trouble that the stored JSON is of another kind."""
    return Trouble(f"expected {expected}, found {_JSON_NAMES[type(json)]}: {shown(json)}")


class Form(Protocol):
    """
    How the values of one exact class are written, if the class is known, and read.

    What `write` returns never is an object with the key "$", so that it can be told from a tagged value. If it is
    of the class itself (text for a str), it needs no tag anywhere.
    """

    @property
    def cls(self) -> type:
        """The class; not its subclasses."""
        ...

    @property
    def tag(self) -> str:
        """What names the class in a tagged value."""
        ...

    @property
    def is_record(self) -> bool:
        """Whether `write` gives an object of named fields."""
        ...

    @property
    def write(self) -> Callable[[Any, int], Json]:
        """A value, and how deep it lies -> JSON."""
        ...

    def read(self, json: Json) -> Any:
        """The value that was written so."""
        ...
