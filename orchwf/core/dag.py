"""In which order the steps of a workflow can run."""

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import UnknownStepError, UsageError
from . import serialization
from .codec import Codec
from .definition import DAG_ATTRIBUTE as DAG_ATTRIBUTE
from .definition import UNKNOWN, ForChild, FromStep, Input, Node, Several
from .difference import Difference, compare
from .impact import Impact
from .options import WorkflowOptions
from .pictures import graph_picture, node_text
from .references import Ref
from .suggestions import did_you_mean
from .types import list_of_results

if TYPE_CHECKING:
    # For types only: importing networkx takes long, and few programs look at the graph through it, or draw it.
    import networkx

    from ..drawing import Picture


def _read_only(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(mapping)


@attrs.frozen
class CriticalPath:
    """The path that takes longest: no run can be shorter than its `duration` (seconds), whatever its resources."""

    steps: tuple[str, ...]
    duration: float


@attrs.frozen(kw_only=True, eq=False, slots=False, repr=False)
class Dag:
    """
    The graph of a workflow; it cannot be changed.

    Where steps are named, a name or the `Step` itself will do.

    Attributes:
        name: The name of the workflow.
        version: Its version.
        description: The docstring of its class, cleaned.
        inputs: Name -> input, in the order of definition.
        nodes: Name -> step, dependencies before dependents; among equals in the order of definition.
        options: What `@workflow(...)` was given.
        workflow: The class; None in a graph that was read from a store.
        entrypoint: Where the class can be imported from: `module:Class`, or `/path/file.py:Class`.
    """

    name: str
    version: str = "1"
    description: str = ""
    inputs: Mapping[str, Input] = attrs.field(factory=dict, converter=_read_only)
    nodes: Mapping[str, Node] = attrs.field(factory=dict, converter=_read_only)
    options: WorkflowOptions = attrs.field(factory=WorkflowOptions)
    workflow: type | None = None
    entrypoint: str = ""

    def __repr__(self) -> str:
        return f"<Dag {self.name}: {len(self.nodes)} steps, {len(self.edges)} edges>"

    def __deepcopy__(self, memo: object) -> "Dag":
        # It cannot be changed, and its class and the functions of its steps have no copies.
        return self

    @property
    def module(self) -> str:
        """The name of the module that has the class; empty in a graph that was read from a store."""
        return "" if self.workflow is None else self.workflow.__module__

    @cached_property
    def codec(self) -> Codec:
        """What writes and reads the values of its runs."""
        return Codec(self.module)

    @cached_property
    def started(self) -> tuple[type, ...]:
        """The workflows of which its subflows start runs, as far as they are known."""
        waits = [node.waits for node in self.nodes.values() if node.waits is not None]
        found = [each.workflow for each in waits if isinstance(each, ForChild)]
        return tuple(dict.fromkeys(each for each in found if each is not None))

    def output_type(self, step: str) -> Any:
        """The type of what this step gives to who reads all of it; UNKNOWN if that is not known."""
        node = self.nodes.get(step)
        if node is None:
            return UNKNOWN
        return list_of_results(node.returns) if node.several is Several.EACH else node.returns

    @cached_property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """All pairs (dependency, dependent), distinct, by dependent in topological order."""
        return tuple((parent, node.name) for node in self.nodes.values() for parent in node.dependencies)

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Name -> the steps that wait for it directly, in topological order."""
        children: dict[str, list[str]] = {name: [] for name in self.nodes}
        for parent, child in self.edges:
            children[parent].append(child)
        return MappingProxyType({name: tuple(row) for name, row in children.items()})

    @property
    def graph(self) -> "networkx.DiGraph[str]":
        """
        The graph for networkx, made anew: whatever is done to it does not change this one.

        Its nodes have the attributes `step`, `required`, `priority` and `position`; its edges `via`: the parameters
        that take the output, or empty where only the order matters.
        """
        import networkx  # It takes long to import, and few programs need it.

        graph: networkx.DiGraph[str] = networkx.DiGraph(name=self.name, version=self.version)
        for name, node in self.nodes.items():
            graph.add_node(
                name, step=node, required=node.options.required, priority=node.options.priority, position=node.position
            )
        for parent, child in self.edges:
            graph.add_edge(parent, child, via=_readers(self.nodes[child], parent))
        return graph

    @cached_property
    def _levels(self) -> Mapping[str, int]:
        levels: dict[str, int] = {}
        for name, node in self.nodes.items():
            levels[name] = 1 + max((levels[parent] for parent in node.dependencies), default=-1)
        return levels

    @cached_property
    def generations(self) -> tuple[tuple[str, ...], ...]:
        """
        The steps by their distance from the roots: each has all its dependencies in earlier generations.

        A view for people and pictures; a run knows no such barriers.
        """
        rows: list[list[Node]] = [[] for _ in range(1 + max(self._levels.values(), default=-1))]
        for name, level in self._levels.items():
            rows[level].append(self.nodes[name])
        return tuple(tuple(node.name for node in sorted(row, key=lambda node: node.position)) for row in rows)

    @property
    def roots(self) -> tuple[str, ...]:
        """The steps that wait for none."""
        return tuple(name for name, node in self.nodes.items() if not node.dependencies)

    @property
    def leaves(self) -> tuple[str, ...]:
        """The steps that none waits for."""
        return tuple(name for name, row in self.children.items() if not row)

    def _name_of(self, step: str | Ref[Any]) -> str:
        if not isinstance(step, str | Ref):
            raise UsageError(f"a step is named by its name or by itself, not by {step!r}")
        name = step if isinstance(step, str) else step.name
        if name not in self.nodes:
            raise UnknownStepError(name, self.name, did_you_mean(name, list(self.nodes), "steps"))
        return name

    def ancestors(self, step: str | Ref[Any]) -> frozenset[str]:
        """
        All that this step waits for, directly or not.

        Raises:
            UnknownStepError: there is no such step.
        """
        return self._reachable(self._name_of(step), {name: node.dependencies for name, node in self.nodes.items()})

    def descendants(self, step: str | Ref[Any]) -> frozenset[str]:
        """
        All that waits for this step, directly or not.

        Raises:
            UnknownStepError: there is no such step.
        """
        return self._reachable(self._name_of(step), self.children)

    @staticmethod
    def _reachable(start: str, neighbours: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            fresh = [name for name in neighbours[waiting.pop()] if name not in found]
            found.update(fresh)
            waiting += fresh
        return frozenset(found)

    def paths(self, start: str | Ref[Any], end: str | Ref[Any]) -> Iterator[tuple[str, ...]]:
        """
        Every path from one step to another, one after the other: there may be very many.

        Raises:
            UnknownStepError: there is no such step.
        """
        first, last = self._name_of(start), self._name_of(end)
        return self._walk(first, last, self.ancestors(last) | {last})

    def _walk(self, first: str, last: str, useful: frozenset[str]) -> Iterator[tuple[str, ...]]:
        if first not in useful:
            return
        path = [first]
        branches = [iter(self.children[first])]
        if first == last:
            yield tuple(path)
            return
        while branches:
            child = next((name for name in branches[-1] if name in useful), None)
            if child is None:
                branches.pop()
                path.pop()
            elif child == last:
                yield (*path, child)
            else:
                path.append(child)
                branches.append(iter(self.children[child]))

    def critical_path(self, durations: Mapping[str, float]) -> CriticalPath:
        """
        The path of steps that takes longest, and how long.

        Args:
            durations: Name -> seconds; a step that is not in it takes none.

        Raises:
            UnknownStepError: a duration is given for a step that there is not.
            UsageError: a duration is negative or not a number, or there is no mapping of them.
        """
        if not isinstance(durations, Mapping):
            raise UsageError(f"critical_path takes a mapping of names of steps to seconds, not {durations!r}")
        for name, duration in durations.items():
            _check_duration(self._name_of(name), duration)
        finish: dict[str, float] = {}
        before: dict[str, str | None] = {}
        for name, node in self.nodes.items():
            slowest = max(node.dependencies, key=finish.__getitem__, default=None)
            before[name] = slowest
            finish[name] = durations.get(name, 0.0) + (0.0 if slowest is None else finish[slowest])
        # No duration is negative, so the longest path can be taken to end where nothing follows.
        step = max(self.leaves, key=finish.__getitem__, default=None)
        total = 0.0 if step is None else finish[step]
        path: list[str] = []
        while step is not None:
            path.append(step)
            step = before[step]
        return CriticalPath(tuple(reversed(path)), float(total))

    @property
    def _head(self) -> dict[str, Any]:
        return serialization.head_document(
            name=self.name,
            version=self.version,
            description=self.description,
            entrypoint=self.entrypoint,
            inputs=self.inputs.values(),
            tags=self.options.tags,
        )

    @cached_property
    def fingerprint(self) -> str:
        """
        What tells this definition from others, the same in every process: 64 hexadecimal digits.

        It covers the graph, what decides whether a step runs, the types, and the code of the bodies; not how often
        or how long they are tried.
        """
        return serialization.fingerprint(self._head, self.nodes.values())

    def to_dict(self) -> dict[str, Any]:
        """The graph as JSON-able values: enough for pictures and comparisons without the code of the workflow."""
        return serialization.to_document({"fingerprint": self.fingerprint, **self._head}, self.nodes.values())

    def to_json(self) -> str:
        """What `to_dict` gives, as JSON text: what a store keeps. Made anew, as that of a large graph is large."""
        return serialization.to_text({"fingerprint": self.fingerprint, **self._head}, self.nodes.values())

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Dag":
        """
        The graph that `to_dict` gave; it can be looked at, not run.

        Raises:
            UsageError: this is no such document, or of a newer orchwf.
        """
        return cls(**serialization.from_document(document))

    def diff(self, other: "Dag") -> Difference:
        """
        What is different in `other`, the newer one.

        Raises:
            UsageError: that is no `Dag`.
        """
        if not isinstance(other, Dag):
            raise UsageError(f"a Dag is compared with another one, such as compile_workflow(...), not with {other!r}")
        return attrs.evolve(compare(self.to_dict(), other.to_dict()), graphs=(self, other))

    def impact_of(self, step: str | Ref[Any]) -> Impact:
        """
        What depends on a step: all that another output of it would reach, or that waits while it runs.

        Raises:
            UnknownStepError: there is no such step.
        """
        name = self._name_of(step)
        reached = self._reachable(name, self.children)
        steps = tuple(each for each in self.nodes if each in reached)
        spared = len(self.nodes) - len(steps) - 1
        return Impact(step=name, direct=self.children[name], steps=steps, spared=spared, picture=self.picture())

    def around(self, step: str | Ref[Any]) -> "Picture":
        """
        What is drawn of a step: what it waits for directly, and what waits for it.

        Raises:
            UnknownStepError: there is no such step.
        """
        name = self._name_of(step)
        names = {name, *self.nodes[name].dependencies, *self.children[name]}
        nodes = {each: node for each, node in self.nodes.items() if each in names}
        note = node_text(self.nodes[name]).replace("\n", " · ")
        return graph_picture(f"{self.name}.{name}", nodes, note)

    def to_svg(self) -> str:
        """The picture as a self-contained SVG document, for light and dark pages."""
        from .. import drawing  # Above this layer, and only wanted by who looks.

        return drawing.to_svg(self.picture())

    def to_mermaid(self) -> str:
        """The picture as a Mermaid flowchart."""
        from .. import drawing  # As above.

        return drawing.to_mermaid(self.picture())

    def to_dot(self) -> str:
        """The picture in Graphviz' DOT."""
        from .. import drawing  # As above.

        return drawing.to_dot(self.picture())

    def to_text(self) -> str:
        """The picture as lines of text."""
        from .. import drawing  # As above.

        return drawing.to_text(self.picture())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from .. import drawing  # As above.

        return drawing.mimebundle(self.picture())

    def picture(self) -> "Picture":
        """What is drawn of it, in which no step has a status."""
        return graph_picture(self.name, self.nodes)


def _readers(node: Node, parent: str) -> tuple[str, ...]:
    return tuple(
        argument.parameter
        for argument in node.arguments
        if isinstance(argument.binding, FromStep) and parent in argument.binding.steps
    )


def _check_duration(step: str, duration: object) -> None:
    is_number = isinstance(duration, int | float) and not isinstance(duration, bool)
    if not is_number or math.isnan(float(duration)) or float(duration) < 0:  # type: ignore[arg-type]
        raise UsageError(f"the duration of step {step!r} is {duration!r}; give seconds, 0 or more")


def dag_of(workflow: type) -> Dag:
    """
    The graph of a workflow class.

    Raises:
        UsageError: it is no class decorated with `@workflow`.
    """
    dag = vars(workflow).get(DAG_ATTRIBUTE) if isinstance(workflow, type) else None
    if not isinstance(dag, Dag):
        name = getattr(workflow, "__qualname__", repr(workflow))
        raise UsageError(f"{name} is not a workflow; decorate the class with @workflow")
    return dag
