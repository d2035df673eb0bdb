"""The executors that an orchestrator knows, and which of its steps may run on them."""

import sys
from collections.abc import Mapping

from ..core.dag import Dag
from ..core.definition import Node
from ..core.names import bad_name
from ..core.parsing import AUTO
from ..core.suggestions import closest
from ..errors import ExecutorUnavailableError, UsageError
from ..importing import workflow_in
from ..ports import Executor, Workers


def checked_executors(given: Mapping[str, Executor] | None) -> Mapping[str, Executor]:
    """
    Name -> executor, as they were given.

    Raises:
        UsageError: these are none.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(f"executors takes a mapping, such as {{'dask': DaskExecutor(address=...)}}, not {given!r}")
    if AUTO in given:
        raise UsageError(f"executors cannot have one called {AUTO!r}: that is the orchestrator itself")
    for name, executor in given.items():
        if reason := bad_name(name):
            raise UsageError(f"executors has {name!r}, which cannot be a name: {reason}")
        if isinstance(executor, type) or not callable(getattr(executor, "open", None)):
            raise UsageError(f"executors[{name!r}] takes an executor, such as ProcessExecutor(), not {executor!r}")
    return given


class Executors:
    """
    Finds the executor that a step names, and opens each when it is first wanted.

    Args:
        given: Name -> executor.
    """

    def __init__(self, given: Mapping[str, Executor]) -> None:
        self._given = dict(given)
        self._open: dict[str, Workers] = {}
        self._is_closed = False

    def check(self, dag: Dag) -> None:
        """
        See that each step of this definition can run where it says.

        Raises:
            UsageError: it cannot; the message names the step and the way out.
        """
        for node in dag.nodes.values():
            if node.options.executor is not None and node.function is not None:
                self._check(node, node.options.executor, dag)

    def _check(self, node: Node, name: str, dag: Dag) -> None:
        where = f"step {node.name!r} of {dag.name} runs on the executor {name!r}"
        executor = self._given.get(name)
        if executor is None:
            known = ", ".join(map(repr, self._given)) or "none"
            match = closest(name, self._given)
            raise UsageError(
                f"{where}, which this orchestrator does not have (it has: {known}). "
                + (f"Did you mean {match!r}? " if match else "")
                + f"Give it:  Orchestrator(..., executors={{{name!r}: ...}})"
            )
        if node.options.resources and not executor.takes_resources:
            raise UsageError(
                f"{where}, which knows no resources, and asks for {dict(node.options.resources)!r}; "
                "leave them out, or bound how many run at once by a queue:  queue=Queue('gpu', concurrency=1)"
            )
        reason = _unimportable(dag)
        if reason:
            raise UsageError(f"{where}, whose workers import the workflow by its name, and {reason}")
        # It goes by the source, which may change while this process goes on with what it has.
        node.digest()
        self.workers(name)

    def workers(self, name: str) -> Workers:
        """
        What runs the bodies of a step that was checked.

        Raises:
            UsageError: a package is missing.
            ExecutorUnavailableError: the orchestrator is closed.
        """
        if self._is_closed:
            raise ExecutorUnavailableError(name, "the orchestrator is closed")
        if name not in self._open:
            self._open[name] = self._given[name].open(name)
        return self._open[name]

    async def close(self) -> None:
        """End all that was started."""
        self._is_closed = True
        while self._open:
            _, workers = self._open.popitem()
            await workers.close()


def _unimportable(dag: Dag) -> str:
    """Why a worker could not import the class of a workflow, and the way out; empty if it can."""
    cls = dag.workflow
    if cls is None or cls.__module__ == "__main__":
        return (
            "it stands in the program itself (__main__), which cannot be imported: move the class into a module, such "
            "as flows.py, and import it here; or let the command run the file: orchwf run file.py"
        )
    if "<locals>" in cls.__qualname__:
        return "it is made in a function, where no import finds it: move the class to the top level of its module"
    module = sys.modules.get(cls.__module__)
    if module is None or workflow_in(module, cls.__qualname__, dag.name) is not cls:
        return (
            f"the name {cls.__module__}:{cls.__qualname__} does not lead to it (any more): let it stand at the top "
            "level of its module under its own name"
        )
    return ""
