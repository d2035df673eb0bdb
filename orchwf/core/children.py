"""Runs that other runs start: their names, and what is read of them."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

import attrs

from .codec import Codec
from .dag import Dag, dag_of
from .definition import UNKNOWN, ForChild, Several
from .history import StepRecord
from .references import Ref
from .splitting import elements

W = TypeVar("W")
T = TypeVar("T")

_LONGEST = 200


def child_id(run_id: str, step: str, item: int | None) -> str:
    """
    The id of the run that a step starts, or an item of it: `parent/step/item`.

    If that is long, or could be that of another step, its end is a digest instead.
    """
    name = f"{run_id}/{step}" if item is None else f"{run_id}/{step}/{item}"
    # What begins with a tilde could be a digest.
    is_plain = "/" not in step and not step.startswith("~")
    if is_plain and len(name) <= _LONGEST and name.isprintable() and name == name.strip():
        return name
    digest = hashlib.sha256(json.dumps([run_id, step, item]).encode()).hexdigest()[:24]
    return f"{run_id[: _LONGEST - 40]}/~{digest}"


@attrs.frozen
class ChildResult(Generic[W]):
    """
    What became of the run that a subflow started: what `ship.result` gives.

    `result[Shipping.book]` is the output of a step of it, with its type; `result["book"]` the same by name.

    Attributes:
        run_id: The id of that run.
        outputs: Step name -> output, of its steps that completed and that the workflow reads.
    """

    run_id: str
    outputs: Mapping[str, object] = attrs.field(factory=dict)

    def __getitem__(self, step: Ref[T] | str) -> T:
        """
        The output of a step.

        Raises:
            KeyError: there is none of it.
        """
        value: Any = self.outputs[step if isinstance(step, str) else step.name]
        result: T = value
        return result


def encoded_child(run_id: str, steps: Mapping[str, StepRecord], wanted: Iterable[str] | None) -> str:
    """
    What a subflow gives, as it is stored: the id of its run, and the outputs of these steps, of all that have any if
    None.
    """
    names = list(steps) if wanted is None else wanted
    outputs = [
        f"{json.dumps(name, ensure_ascii=False)}:{text}"
        for name in names
        if name in steps and (text := steps[name].result) is not None
    ]
    return f'{{"run":{json.dumps(run_id, ensure_ascii=False)},"outputs":{{{",".join(outputs)}}}}}'


def decoded_child(text: str, dag: Dag | None) -> ChildResult[Any]:
    """What `encoded_child` wrote, with the outputs as the workflow of that run declares them."""
    stored = json.loads(text)
    return ChildResult(stored["run"], {name: _decoded(dag, name, raw) for name, raw in stored["outputs"].items()})


def child_output(text: str, dag: Dag | None, name: str) -> object:
    """
    One of the outputs that `encoded_child` wrote, None if it is not there. Of an array of such texts, a list of that.
    """
    return _of_each(text, name, partial(_decoded, dag, name))


def child_output_text(text: str, name: str) -> str:
    """The same as it is stored, which does not say by which run."""
    return json.dumps(_of_each(text, name, lambda raw: raw), ensure_ascii=False)


def _of_each(text: str, name: str, read: Callable[[object], object]) -> object:
    def value(stored: Any) -> object:
        # Of an item that failed there is no run.
        return None if stored is None or name not in stored["outputs"] else read(stored["outputs"][name])

    stored = json.loads(text)
    return list(map(value, stored)) if isinstance(stored, list) else value(stored)


def _decoded(dag: Dag | None, name: str, raw: object) -> object:
    # It may be that of a subflow itself.
    return decoded_output(dag, name, json.dumps(raw, ensure_ascii=False))


def decoded_output(dag: Dag | None, step: str, text: str) -> Any:
    """The value of an encoded output, as `StepRecord.result` gives it; without the code, what the text says itself."""
    node = None if dag is None else dag.nodes.get(step)
    codec = Codec() if dag is None else dag.codec
    if dag is None or node is None:
        return codec.decode(text, UNKNOWN)
    if not isinstance(node.waits, ForChild):
        return codec.decode(text, dag.output_type(step))
    child = None if node.waits.workflow is None else dag_of(node.waits.workflow)
    if node.several is not Several.EACH:
        return decoded_child(text, child)
    return [None if each == "null" else decoded_child(each, child) for each in elements(text)]
