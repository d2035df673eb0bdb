"""What the JSON of a class looks like, for whoever has to type it."""

import json
import typing

from ..core.values.hints import unwrapped

_SAMPLES: dict[object, object] = {bool: True, int: 3, float: 2.5, str: "text"}
_MOST_FIELDS = 4


def sample(kind: type) -> str:
    """`{"amount": 2.5, "currency": "text"}`: an object with the first fields of a class; empty if it has none."""
    try:
        annotations = typing.get_type_hints(kind)
    # Foreign code: an annotation may name what is not there.
    except Exception:
        return ""
    hints = {name: unwrapped(hint) for name, hint in annotations.items() if not name.startswith("_")}
    if not hints:
        return ""
    shown = list(hints.items())[:_MOST_FIELDS]
    return json.dumps({name: _SAMPLES.get(hint, "...") for name, hint in shown})
