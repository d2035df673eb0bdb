"""The reference of the log of a run, from the classes of its events."""

import inspect
import re
from typing import Any

import attrs

from orchwf.core.events import EVENT_TYPES, ErrorInfo, Event

INTRODUCTION = """\
# Events

A run is its log: these facts, in the order in which they happened, numbered from 1. `orchwf events RUN --json` prints
them, `run.events()` gives them, observers are told of them after they are written, and the [tables](database.md) hold
them. This page is made from `orchwf.core.events`.

Each event has `seq` (counted from 1, without gaps), `at` (epoch seconds in UTC; in JSON of the command line ISO 8601)
and `kind`. A field that is left at its default is not stored. Values of users are JSON texts as they were
[encoded](../values.md).
"""


def events_page() -> str:
    """The page, as Markdown: each kind of event with its fields."""
    parts = [INTRODUCTION, *(_entry(kind, EVENT_TYPES[kind]) for kind in EVENT_TYPES)]
    parts.append(f"## ErrorInfo\n\n{_told(ErrorInfo)}\n\n{_table(ErrorInfo, known=())}\n")
    return "\n".join(parts)


def _entry(kind: str, cls: type[Event]) -> str:
    known = [field.name for field in attrs.fields(Event)]
    return f"## {kind}\n\n{_told(cls)}\n\n{_table(cls, known=known)}".rstrip() + "\n"


def _told(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _table(cls: type[Any], known: Any) -> str:
    fields = [field for field in attrs.fields(cls) if field.name not in known]
    rows = [f"| `{field.name}` | `{_type_name(field.type)}` | {_default(field.default)} |" for field in fields]
    return "\n".join(["| field | type | unless given |", "|---|---|---|", *rows]) if rows else ""


def _type_name(annotation: object) -> str:
    text = annotation.__name__ if isinstance(annotation, type) and not _is_generic(annotation) else str(annotation)
    return re.sub(r"\b[a-z_.]+\.(?=[A-Z])", "", text).replace("|", "\\|")


def _is_generic(annotation: object) -> bool:
    return bool(getattr(annotation, "__args__", ()))


def _default(value: object) -> str:
    return "" if value is attrs.NOTHING else f"`{value!r}`"
