"""Who is next: each in turn, so that a long row keeps no short one waiting."""

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import TypeVar

T = TypeVar("T")

_NOBODY = object()


def in_turn(rows: Iterable[Iterable[T]]) -> Iterator[T]:
    """The first of each row, in the order of the rows, then the second of each, and so on."""
    rounds = zip_longest(*rows, fillvalue=_NOBODY)
    return (each for each in chain.from_iterable(rounds) if each is not _NOBODY)  # type: ignore[misc]
