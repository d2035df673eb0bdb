"""How workflow classes and their instances show themselves in a notebook."""

from types import MethodType
from typing import Any

import attrs

from .core.dag import DAG_ATTRIBUTE, Dag
from .core.lines import brief

SHOWN = "_repr_mimebundle_"
"""What a notebook asks things for that show themselves."""


class ShownGraph:
    """
    The method of a workflow class by which it shows its graph, and by which an instance shows it with its inputs.

    A notebook asks a class only for what is bound to it, as class methods are.
    """

    def __get__(self, instance: object, owner: type) -> MethodType:
        return MethodType(_bundle, owner if instance is None else instance)


def _bundle(shown: Any, include: object = None, exclude: object = None) -> dict[str, str]:
    from . import drawing  # Only wanted by who looks.

    dag: Dag = getattr(shown, DAG_ATTRIBUTE)
    note = dag.description.split("\n\n", 1)[0] if isinstance(shown, type) else brief(repr(shown))
    return drawing.mimebundle(attrs.evolve(dag.picture(), note=note))
