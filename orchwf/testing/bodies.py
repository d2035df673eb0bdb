"""Other bodies for the steps of a workflow, for a while."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from ..core.dag import DAG_ATTRIBUTE, Dag, dag_of
from ..core.definition import Node

_LAYERS = "__orchwf_layers__"
"""Where a workflow class keeps what is changed of its graph for now."""

Change = Callable[[Node], Node]
"""What stands in the place of a step; the step itself if it is not meant."""


@attrs.define
class _Layers:
    """The graph as it was compiled, and what is changed of it, the first change first."""

    compiled: Dag
    changes: list[Change] = attrs.field(factory=list)

    def dag(self) -> Dag:
        nodes = dict(self.compiled.nodes)
        for change in self.changes:
            nodes = {name: _here(node, change(node)) for name, node in nodes.items()}
        # Graph, digests and so the fingerprint are the same: for a store nothing has changed.
        return attrs.evolve(self.compiled, nodes=nodes)


def _here(node: Node, changed: Node) -> Node:
    """The step as it was changed. Another body than its own runs here: no worker could import it."""
    if changed.function is node.function or changed.options.executor is None:
        return changed
    return attrs.evolve(changed, options=attrs.evolve(changed.options, executor=None))


@contextmanager
def changed(workflow: type, change: Change) -> Iterator[None]:
    """Change the steps of a workflow class for the runs that are started or resumed in the block."""
    layers: _Layers = vars(workflow).get(_LAYERS) or _Layers(dag_of(workflow))
    setattr(workflow, _LAYERS, layers)
    layers.changes.append(change)
    setattr(workflow, DAG_ATTRIBUTE, layers.dag())
    try:
        yield
    finally:
        # Blocks may end in another order than they began.
        layers.changes = [each for each in layers.changes if each is not change]
        setattr(workflow, DAG_ATTRIBUTE, layers.dag() if layers.changes else layers.compiled)
        if not layers.changes:
            delattr(workflow, _LAYERS)


def compiled_dag(workflow: type) -> Dag | None:
    """The graph of a class as it was compiled, whatever is changed of it for now; None if it is no workflow."""
    layers: _Layers | None = vars(workflow).get(_LAYERS)
    dag: Dag | None = vars(workflow).get(DAG_ATTRIBUTE) if layers is None else layers.compiled
    return dag
