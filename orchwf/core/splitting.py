"""Taking a stored value apart, for a step that runs once per item of it."""

import json
from collections import abc, deque
from typing import Any, get_args, get_origin

from ..errors import EncodingError
from .codec import Codec
from .definition import UNKNOWN
from .types import describe_type, item_type

_ARRAYS = (
    list, set, frozenset, deque,
    abc.Iterable, abc.Collection, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet,
)  # fmt: skip
_SPACE = " \t\n\r,"


def split(text: str, codec: Codec, type_: Any) -> list[str]:
    """
    The items of an encoded value, each encoded as of the type of an item; of a mapping, its keys.

    Their order is the same whoever asks: sets are in the order of the texts of their items.

    Raises:
        EncodingError: the value has no items, or cannot be read.
    """
    if text.startswith("[") and _is_array(type_):
        return elements(text)
    value = codec.decode(text, type_)
    if isinstance(value, str | bytes) or not isinstance(value, abc.Iterable):
        raise EncodingError(f"a value of type {describe_type(type(value))} has no items to run once for; give a list")
    item = item_type(type_)
    texts = [codec.encode(each, item) for each in value]
    return sorted(texts) if isinstance(value, set | frozenset) else texts


def _is_array(type_: Any) -> bool:
    """Whether what is stored of this type as an array is an array of its items; False if that is not known."""
    origin = get_origin(type_) or type_
    # A tuple of fixed length has a type for each position; a mapping may be an array of pairs.
    if origin is tuple:
        return Ellipsis in get_args(type_)
    return type_ is UNKNOWN or type_ is Any or origin in _ARRAYS


def elements(text: str) -> list[str]:
    """The texts of the elements of a JSON array."""
    scan = json.JSONDecoder().raw_decode
    found: list[str] = []
    position, last = 1, len(text) - 1
    while True:
        while position < last and text[position] in _SPACE:
            position += 1
        if position >= last:
            return found
        _, end = scan(text, position)
        found.append(text[position:end])
        position = end
