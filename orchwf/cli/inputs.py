"""From `--input name=value` and a JSON file to the inputs of a workflow."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ..core.codec import Codec
from ..core.dag import Dag
from ..core.definition import Input
from ..core.lines import brief
from ..core.suggestions import did_you_mean
from ..core.types import describe_type
from ..errors import EncodingError
from ..views import NO_VALUE, example, from_text
from .exits import CommandError, Exit


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


def _from_json(given: object, hint: Any, codec: Codec) -> object:
    """The value that is written so in a JSON file: as the store writes it, or as text as on the command line."""
    try:
        return codec.decode(json.dumps(given), hint)
    except EncodingError:
        if not isinstance(given, str):
            raise
        return from_text(given, hint, codec)
