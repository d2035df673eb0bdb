"""From `--input name=value` and a JSON file to the inputs of a workflow."""

import json
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs

from ..core.codec import Codec
from ..core.dag import Dag
from ..core.definition import UNKNOWN, Input
from ..core.lines import brief
from ..core.options import seconds
from ..core.suggestions import did_you_mean
from ..core.types import describe_type
from ..core.values.hints import unwrapped
from ..errors import EncodingError, OrchwfError
from .exits import CommandError, Exit
from .samples import sample

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOTHING = ("null", "none")


def _boolean(text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise ValueError("it is neither true nor false") from None


def _duration(text: str) -> timedelta:
    try:
        return timedelta(seconds=seconds(text, "it"))
    except OrchwfError:
        raise ValueError("it is no duration") from None


_RULES: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "text"),
    bool: (_boolean, "true"),
    int: (int, "3"),
    float: (float, "2.5"),
    complex: (complex, "1+2j"),
    datetime: (datetime.fromisoformat, "2026-11-02T08:30:00+00:00"),
    date: (date.fromisoformat, "2026-11-02"),
    time: (time.fromisoformat, "08:30"),
    timedelta: (_duration, "1h30m"),
    Decimal: (Decimal, "9.99"),
    UUID: (UUID, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ZoneInfo: (ZoneInfo, "Europe/Zurich"),
}
"""Type -> how its values are made of text, and what such text looks like."""

_COLLECTIONS = (list, tuple, set, frozenset)
_UNIONS = (Union, types.UnionType)
# ArithmeticError is what Decimal raises, LookupError ZoneInfo; OrchwfError the codec and our durations.
NO_VALUE = (ValueError, ArithmeticError, LookupError, TypeError, OrchwfError)
"""What `from_text` raises for text that is no value of a type."""


def make_instance(dag: Dag, pairs: Sequence[str], file: str | None) -> object:
    """
    The workflow with its inputs.

    Args:
        pairs: `name=value` each, which win over the file.
        file: A JSON file with an object name -> value.

    Raises:
        CommandError: with everything that is wrong with the inputs.
    """
    reading = _read(dag, pairs, file)
    missing = [each for each in dag.inputs.values() if each.required and each.name not in reading.named]
    _check(dag, reading.problems + [_missing(each) for each in missing])
    return _instance(dag, reading.values)


def read_inputs(dag: Dag, pairs: Sequence[str], file: str | None) -> dict[str, object]:
    """
    Input name -> value, of those that are given; otherwise as `make_instance`.

    Raises:
        CommandError: with everything that is wrong with the inputs.
    """
    reading = _read(dag, pairs, file)
    _check(dag, reading.problems)
    return reading.values


def _read(dag: Dag, pairs: Sequence[str], file: str | None) -> "_Reading":
    reading = _Reading(dag, dag.codec)
    for name, given in _from_file(file).items():
        reading.add(name, given, _from_json)
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if equals:
            reading.add(name.strip(), text, from_text)
        else:
            reading.problems.append(f"an input is given as name=value, not {brief(pair)!r}")
    return reading


def _check(dag: Dag, problems: Sequence[str]) -> None:
    if problems:
        raise CommandError(_told(dag, problems))


@attrs.define
class _Reading:
    """Takes one input after the other; `named` are those that were given, right or wrong."""

    dag: Dag
    codec: Codec
    values: dict[str, object] = attrs.field(factory=dict)
    named: set[str] = attrs.field(factory=set)
    problems: list[str] = attrs.field(factory=list)

    def add(self, name: str, given: Any, read: Callable[[Any, Any, Codec], object]) -> None:
        field = self.dag.inputs.get(name)
        if field is None:
            known = did_you_mean(name, list(self.dag.inputs), "inputs") or "It takes none."
            self.problems.append(f"there is no input {brief(name)!r}. {known}")
            return
        self.named.add(name)
        try:
            self.values[name] = read(given, field.type, self.codec)
        except NO_VALUE as error:
            self.problems.append(_refused(field, error))


def _instance(dag: Dag, values: Mapping[str, object]) -> object:
    if dag.workflow is None:
        raise CommandError(f"{dag.name} was read from a store: it cannot be run")
    try:
        return dag.workflow(**values)
    # Foreign code: validators and converters of the user.
    except Exception as error:
        raise CommandError(f"{dag.name} refuses its inputs: {type(error).__name__}: {error}") from error


def _told(dag: Dag, problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return f"{dag.name} cannot be started: {problems[0]}"
    return "\n".join([f"{dag.name} cannot be started:", *(f"  {problem}" for problem in problems)])


def _missing(field: Input) -> str:
    type_text = describe_type(field.type)
    kind = f" ({type_text})" if type_text else ""
    return f"input {field.name!r}{kind} is missing: --input {field.name}={shell_text(example(field.type))}"


def shell_text(text: str) -> str:
    """The text as it is to be typed."""
    return f"'{text}'" if set(text) & set(' "[]{}') else text


def _from_file(file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        given = json.loads(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CommandError(f"there is no file {file} to read inputs from", Exit.NOT_FOUND) from None
    except (OSError, ValueError) as error:
        raise CommandError(f"the inputs in {file} cannot be read: {error}") from None
    if not isinstance(given, dict):
        raise CommandError(f'{file} has to hold a JSON object, such as {{"day": "monday"}}')
    return given


def _refused(field: Input, error: Exception) -> str:
    kind, text = describe_type(field.type), example(field.type)
    # The codec, made for what is read from a store, says where its values come from.
    reason = str(error).partition("\n")[0].replace("what is stored", "the value")
    return f"input {field.name!r} takes {kind}, such as {field.name}={shell_text(text)}: {brief(reason)}"


def example(hint: Any) -> str:
    """What a value of this type looks like on the command line."""
    hint = unwrapped(hint)
    origin = get_origin(hint)
    if origin in _UNIONS:
        return example(next(each for each in get_args(hint) if each is not types.NoneType))
    if origin is Literal:
        return str(get_args(hint)[0])
    if hint in _RULES:
        return _RULES[hint][1]
    kind = origin or hint
    if not isinstance(kind, type):
        return "value"
    if issubclass(kind, Enum):
        return next(iter(kind)).name if len(kind) else "value"
    if issubclass(kind, PurePath):
        return "path/to/file"
    if issubclass(kind, _COLLECTIONS) and not hasattr(kind, "_fields"):
        return '["a", "b"]' if str in get_args(hint) else "[1, 2]"
    if issubclass(kind, dict):
        return '{"key": 1}'
    return sample(kind) or "value"


def from_text(text: str, hint: Any, codec: Codec) -> object:
    """
    The value of this type that a person means by this text.

    Text stays text; a type of which a simple rule makes values of text does that; everything else is JSON.

    Raises:
        ValueError, ArithmeticError, LookupError, TypeError, OrchwfError: it is no such text.
    """
    hint = unwrapped(hint)
    if hint is UNKNOWN or hint in (Any, object):
        return json_or_text(text)
    if get_origin(hint) in _UNIONS:
        return _one_of(text, get_args(hint), codec)
    if get_origin(hint) is Literal:
        return _choice(text, {str(each): each for each in get_args(hint)})
    if hint is types.NoneType:
        return _choice(text.lower(), dict.fromkeys(_NOTHING))
    if hint in _RULES:
        return _RULES[hint][0](text)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(text, {str(each.value): each for each in hint} | dict(hint.__members__))
    if isinstance(hint, type) and issubclass(hint, PurePath):
        return hint(text)
    return codec.decode(text, hint)


def value_of(text: str, hint: Any, codec: Codec) -> object:
    """
    The value of this type that is meant by JSON, or by text as on the command line: that need not stand in quotes.

    Raises:
        ValueError, ArithmeticError, LookupError, TypeError, OrchwfError: it is neither.
    """
    try:
        json.loads(text)
        return codec.decode(text, hint)
    except (ValueError, EncodingError):
        pass
    return from_text(text, hint, codec)


def _choice(text: str, choices: Mapping[str, object]) -> object:
    if text not in choices:
        raise ValueError(f"it is not one of {', '.join(choices)}")
    return choices[text]


def _one_of(text: str, hints: Sequence[Any], codec: Codec) -> object:
    """The first of several types that the text fits; text, which everything fits, comes last."""
    # For an input that may be None and is no text, `none` says so.
    ranked = sorted(hints, key=lambda hint: 2 if unwrapped(hint) is str else 0 if hint is types.NoneType else 1)
    first: Exception | None = None
    for hint in ranked:
        if hint is types.NoneType and ranked[-1] is str:
            continue
        try:
            return from_text(text, hint, codec)
        except NO_VALUE as error:
            first = error if hint is not types.NoneType and first is None else first
    raise first or ValueError("nothing fits")


def json_or_text(text: str) -> object:
    """The JSON value of a text, or the text itself if it is none."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _from_json(given: object, hint: Any, codec: Codec) -> object:
    """The value that is written so in a JSON file: as the store writes it, or as text as on the command line."""
    try:
        return codec.decode(json.dumps(given), hint)
    except EncodingError:
        if not isinstance(given, str):
            raise
        return from_text(given, hint, codec)
