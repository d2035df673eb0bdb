"""
Which fields of what is stored are payloads: what users gave, what their steps returned, and what was said of either.

A codec changes these and nothing else. Each field that may hold text has to stand here, as coded or as plain.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import attrs

from ..core import events as ev
from ..core.caching import CacheEntry
from ..core.schedules import ScheduleRecord
from ..core.values.pieces import is_large
from ..ports import Message, RunRecord, Summary

T = TypeVar("T", bound=attrs.AttrsInstance)


class Kind(StrEnum):
    """What a field holds: `plain` is never coded, `text` is any text, `nested` a value that has a table of its own."""

    PLAIN = "plain"
    TEXT = "text"
    JSON = "json"
    OBJECT = "object"
    """JSON that has to stay an object."""
    VALUES = "values"
    """A mapping of names, which are not coded, to JSON values."""
    NESTED = "nested"
    TEXTS = "texts"
    """Several texts."""


PLAIN, TEXT, JSON, OBJECT, VALUES, NESTED, TEXTS = Kind

FIELDS: dict[type[attrs.AttrsInstance], dict[str, Kind]] = {
    ev.ErrorInfo: {"type_name": PLAIN, "message": TEXT, "traceback": TEXT, "location": PLAIN, "source": TEXT},
    ev.RunStarted: {
        "workflow": PLAIN, "version": PLAIN, "fingerprint": PLAIN, "inputs": OBJECT, "origin": PLAIN,
        "parent": PLAIN, "parent_step": PLAIN, "known": OBJECT, "traceparent": PLAIN, "tracestate": PLAIN,
        "linked": PLAIN,
    },
    ev.RunPaused: {"reason": TEXT, "cause": PLAIN},
    # Its reason is a word of ours.
    ev.RunResumed: {"reason": PLAIN, "fingerprint": PLAIN, "rerun": PLAIN, "reset": PLAIN, "changed": PLAIN},
    ev.RunFailed: {"steps": PLAIN, "error": TEXT, "compensation": PLAIN},
    ev.RunCancelled: {"reason": TEXT, "compensation": PLAIN},
    ev.StepEvent: {"step": PLAIN},
    ev.StepCompleted: {"output": JSON},
    ev.StepRetrying: {"error": NESTED},
    ev.StepFailed: {"error": NESTED},
    ev.StepSkipped: {"reason": TEXT, "cause": PLAIN},
    ev.StepCancelled: {"reason": TEXT, "cause": PLAIN},
    ev.StepHeartbeat: {"progress": JSON},
    ev.StepExpanded: {"keys": TEXTS},
    ev.ChildStarted: {"child": PLAIN, "workflow": PLAIN, "version": PLAIN, "inputs": OBJECT},
    ev.CacheHit: {"key": PLAIN, "run": PLAIN},
    ev.CompensationEvent: {"step": PLAIN},
    ev.CompensationFailed: {"error": NESTED},
    ev.SignalReceived: {"signal": PLAIN, "message_id": PLAIN, "payload": JSON},
    RunRecord: {
        "id": PLAIN, "workflow": PLAIN, "version": PLAIN, "fingerprint": PLAIN, "entrypoint": PLAIN,
        "metadata": VALUES, "tags": PLAIN, "error": TEXT, "owner": PLAIN,
    },
    ScheduleRecord: {
        "name": PLAIN, "workflow": PLAIN, "version": PLAIN, "entrypoint": PLAIN, "inputs": OBJECT, "cron": PLAIN,
        "tz": PLAIN, "overlap": PLAIN, "phase": PLAIN, "last_run": PLAIN, "skipped": PLAIN, "asked": PLAIN,
    },
    CacheEntry: {"key": PLAIN, "run_id": PLAIN, "step": PLAIN, "output": JSON},
    Summary: {"fingerprint": PLAIN, "error": TEXT},
    Message: {"run_id": PLAIN, "id": PLAIN, "signal": PLAIN, "payload": JSON},
}  # fmt: skip
"""Class -> what its fields hold that may hold text; those of its base classes count, too."""


def fields_of(cls: type) -> dict[str, Kind]:
    """What the table says of the fields of this class."""
    return {name: kind for base in reversed(cls.__mro__) for name, kind in FIELDS.get(base, {}).items()}


def _coded(cls: type) -> tuple[tuple[str, Kind], ...]:
    return tuple((name, kind) for name, kind in fields_of(cls).items() if kind is not PLAIN)


_CODED: Mapping[type, tuple[tuple[str, Kind], ...]] = {
    cls: coded for cls in (*FIELDS, *ev.EVENT_TYPES.values()) if (coded := _coded(cls))
}

_EACH = 1_000
"""What it costs to code one text, however short, as so many characters of a long one."""
_MUCH = 1_000_000


def payloads(thing: attrs.AttrsInstance) -> Iterator[Any]:
    """All payloads of this, one after the other."""
    for name, kind in _CODED.get(type(thing), ()):
        value = getattr(thing, name)
        if kind is NESTED:
            yield from () if value is None else payloads(value)
        elif kind is VALUES:
            yield from value.values()
        elif kind is TEXTS:
            yield from value
        else:
            yield value


def cost(thing: attrs.AttrsInstance) -> int:
    """About how long it takes to code this, in characters."""
    return sum([_cost(value) for value in payloads(thing)])


def _cost(value: object) -> int:
    if isinstance(value, str):
        return _EACH + len(value) if value else 0
    return _MUCH if is_large(value) else _EACH


def changed(thing: T, change: Callable[[Kind, Any], Any]) -> T:
    """This with each payload as `change` gives it, which is told what it is; itself if that changes nothing."""
    changes: dict[str, Any] = {}
    for name, kind in _CODED.get(type(thing), ()):
        old = getattr(thing, name)
        if kind is NESTED:
            new = None if old is None else changed(old, change)
        else:
            new = change(kind, old)
        if new is not old:
            changes[name] = new
    if not changes:
        return thing
    # Its type for evolve() is a variable, which mypy does not see to be of an attrs class.
    return attrs.evolve(thing, **changes)  # type: ignore[misc]
