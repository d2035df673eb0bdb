"""The items of a step that has several: which there are, and how far they are."""

from collections import deque

import attrs

from .events import ErrorInfo


@attrs.define(eq=False)
class Row:
    """
    The items of one step, in their order. An item is a number like a step is.

    Attributes:
        step: The number of the step.
        items: The numbers of its items.
        dropped: The numbers of those that it had before, when it got others.
        keys: What tells them by their content, if that was asked for.
        known: Key -> encoded result, of items that need not run again.
        ended: How many have ended.
        completed: How many of these have completed.
        failed: How many of these have failed.
        error: What the first of those failed with.
        live: The items that have a place among those at work at once: offered, running, or waiting for another run.
        ready: The positions to look at: their items could start, or are to be skipped.
        is_touched: Whether it is among the steps to look at.
    """

    step: int
    items: list[int] = attrs.field(factory=list)
    dropped: list[int] = attrs.field(factory=list)
    keys: list[str] = attrs.field(factory=list)
    known: dict[str, str] = attrs.field(factory=dict)
    ended: int = 0
    completed: int = 0
    failed: int = 0
    error: ErrorInfo | None = None
    # What follows is no state: it tells a turn where to look, and would be found again without it.
    live: set[int] = attrs.field(factory=set)
    ready: deque[int] = attrs.field(factory=deque)
    is_touched: bool = False

    def find(self, item: int) -> int:
        """The number of an item, as its events name it: those before count on."""
        return self.items[item - len(self.dropped)] if item >= len(self.dropped) else self.dropped[item]


ITEMS = "@items"
"""What `step.completed` says instead of an output, if that is the list of the outputs of the items."""


def assembled(outputs: list[str]) -> str:
    """The encoded list of these encoded values."""
    return f"[{','.join(outputs)}]"
