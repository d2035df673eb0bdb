"""Workflows that are known by what is published of them in the store: their runs can begin without their code."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import attrs

from ..core.codec import Codec
from ..core.dag import Dag
from ..core.lines import brief
from ..core.serialization import SCHEMA
from ..core.suggestions import did_you_mean
from ..errors import EncodingError, InputError, StoreError, UnpublishedWorkflowError, UsageError
from ..ports import Store

_CLASSES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "bytes": (bytes,), "None": (NoneType,),
    "list": (list,), "dict": (dict,), "tuple": (tuple, list), "set": (set, list), "frozenset": (frozenset, list),
}  # fmt: skip
"""The types that are told by their names alone -> the classes of the values of which they can be read."""


@attrs.frozen(kw_only=True)
class Published:
    """
    What the store says of a workflow.

    Attributes:
        inputs: Name -> its type, as text, which may be empty; and whether it has to be given.
        tags: Labels of all its runs.
        text: The JSON text of its definition.
    """

    name: str
    version: str
    fingerprint: str
    entrypoint: str
    inputs: Mapping[str, tuple[str, bool]]
    tags: Sequence[str]
    text: str

    def to_json(self) -> str:
        """The JSON text of its definition."""
        return self.text

    async def dag(self) -> Dag:
        """Its definition, without code."""
        # Of a large graph this takes seconds.
        return await asyncio.to_thread(lambda: Dag.from_dict(json.loads(self.text)))

    def encoded(self, inputs: Mapping[str, object]) -> str:
        """
        These inputs as a JSON object: name -> the value, encoded so that it keeps its type.

        Checked is what can be without the code; whoever executes the run does the rest.

        Raises:
            InputError: one is missing, unknown, certainly of another type, or cannot be stored.
            UsageError: that is no mapping.
        """
        if not isinstance(inputs, Mapping):
            raise UsageError(f"the inputs of {self.name} are a mapping of names to values, not {inputs!r}")
        problems, texts, codec = [], [], Codec()
        for name, value in inputs.items():
            if name not in self.inputs:
                hint = did_you_mean(str(name), list(self.inputs), "inputs") or "It takes none."
                problems.append(f"there is no input {brief(repr(name))}. {hint}")
            elif not _may_hold(self.inputs[name][0], value):
                shown = f"{brief(repr(value))} ({type(value).__name__})"
                problems.append(f"input {name!r} takes {self.inputs[name][0]}, not {shown}")
            else:
                try:
                    texts.append(f"{json.dumps(name, ensure_ascii=False)}:{codec.encode(value)}")
                except EncodingError as error:
                    problems.append(f"input {name!r} cannot be stored: {error}")
        for name, (kind, is_required) in self.inputs.items():
            if is_required and name not in inputs:
                problems.append(f"input {name!r}{f' ({kind})' if kind else ''} is missing")
        if problems:
            raise InputError(self.name, problems)
        return "{" + ",".join(texts) + "}"


def _may_hold(kind: str, value: object) -> bool:
    """Whether this value may be one of the type of this text: no is certain, yes is not."""
    allowed: list[type] = []
    for each in kind.split(" | "):
        classes = _CLASSES.get(each.partition("[")[0])
        if classes is None:
            return True
        allowed += classes
    # To Python a bool is an int, too.
    return bool in allowed if isinstance(value, bool) else isinstance(value, tuple(allowed))


async def publish(store: Store, dags: Sequence[Dag]) -> None:
    """Let others start runs of these workflows by their names."""
    if dags:
        # Of a large graph this takes seconds.
        await store.publish(await asyncio.to_thread(lambda: {dag.name: dag.to_json() for dag in dags}))


async def published(store: Store, workflow: str) -> Published:
    """
    What is published of the workflow of this name.

    Raises:
        UnpublishedWorkflowError: nothing is.
        StoreError: what is there cannot be read.
    """
    text = await store.published(workflow)
    if text is None:
        hint = did_you_mean(workflow, await store.published_names(), "workflows")
        raise UnpublishedWorkflowError(workflow, store.url, hint)
    try:
        return _read(json.loads(text), text)
    except (KeyError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"what is published of {workflow!r} in {store.url} cannot be read ({type(error).__name__}: {error}): "
            "it was written by a newer orchwf, or it is damaged; serve the workflow anew"
        ) from error


def _read(document: Any, text: str) -> Published:
    if document["schema"] > SCHEMA:
        raise ValueError(f"it has the schema {document['schema']}")
    return Published(
        name=document["name"], version=document["version"], fingerprint=document["fingerprint"],
        entrypoint=document["entrypoint"], tags=document.get("tags", []), text=text,
        inputs={each["name"]: (each["type"], each["required"]) for each in document["inputs"]},
    )  # fmt: skip
