"""The workflows that an orchestrator knows: by name, and several versions of one side by side."""

import asyncio
from collections.abc import Callable, Sequence

from ..core.dag import Dag, dag_of
from ..core.plan import Plan
from ..core.schedules import ScheduleRecord
from ..errors import UsageError
from ..ports import RunRecord
from .executors import Executors
from .queues import Queues

_FEW = 500
"""How many steps a graph has that is prepared in no time."""


class Registry:
    """
    Finds the definition with which a run is executed here.

    Args:
        queues, executors: The queues, and the executors, that steps may name; None if nothing is to be executed.

    Attributes:
        served_names: The names of the workflows that were given at first: their runs are executed here, whoever started
            them.
    """

    def __init__(
        self, workflows: Sequence[type], queues: Queues | None = None, executors: Executors | None = None
    ) -> None:
        self._checks = [each.check for each in (queues, executors) if each is not None]
        # The classes, not their graphs: a test may put others in the place of bodies for a while.
        self._workflows: dict[str, dict[str, type]] = {}
        self._plans: dict[Dag, Plan] = {}
        # Is called when there is a workflow of a name that was not known.
        self.note_new: Callable[[], object] = _nothing_to_do
        for workflow in workflows:
            self.add(workflow)
        self.served_names = tuple(self._workflows)

    def add(self, workflow: type) -> None:
        """
        Know this workflow, too.

        Raises:
            UsageError: another one has the same name and version, this is no workflow, or a step names a queue, or an
                executor, that there is not.
        """
        dag = dag_of(workflow)
        self._check(dag)
        known = self._versions(dag.name).setdefault(dag.version, workflow)
        if known is not workflow:
            raise UsageError(
                f"two workflows are called {dag.name!r}, version {dag.version!r}: {dag_of(known).entrypoint} and "
                f"{dag.entrypoint}; give one of them another name or version with @workflow(name=..., version=...)"
            )
        for child in self._unknown_children(dag):
            self.add(child)

    def _check(self, dag: Dag) -> None:
        for check in self._checks:
            check(dag)

    def _versions(self, name: str) -> dict[str, type]:
        if name not in self._workflows:
            self._workflows[name] = {}
            self.note_new()
        return self._workflows[name]

    def _unknown_children(self, dag: Dag) -> list[type]:
        """The workflows that this one starts runs of, and that are not known."""
        return [each for each in dag.started if self.named(dag_of(each).name, dag_of(each).version) is None]

    def replace(self, workflow: type) -> None:
        """Know this one instead of that of the same name and version, as when a notebook cell is run again."""
        dag = dag_of(workflow)
        self._versions(dag.name)[dag.version] = workflow
        for child in self._unknown_children(dag) if dag.started else ():
            self.add(child)

    def named(self, name: str, version: str) -> Dag | None:
        """The definition of this name and version; None if it is not known."""
        workflow = self._workflows.get(name, {}).get(version)
        return None if workflow is None else dag_of(workflow)

    @property
    def names(self) -> list[str]:
        """The names of all that is known."""
        return list(self._workflows)

    @property
    def serves_any(self) -> bool:
        """Whether any workflow was given at first."""
        return bool(self.served_names)

    @property
    def served(self) -> list[Dag]:
        """The definitions of what was given at first; of several versions of one that which came last."""
        return [dag_of(next(reversed(self._workflows[name].values()))) for name in sorted(self.served_names)]

    def serves(self, record: RunRecord | ScheduleRecord) -> bool:
        """
        Whether the workflow of this run, or schedule, is executed here, whoever started it: it was given at first.

        What came later was wanted for one run; but of what sleeps nobody else may know.
        """
        if record.workflow in self.served_names:
            return True
        return isinstance(record, RunRecord) and record.wake_at is not None and record.workflow in self._workflows

    def find(self, record: RunRecord | ScheduleRecord) -> Dag | None:
        """
        The definition for this run or schedule: that of the version it was made with, else the one that came last.

        None if none of its name is known.
        """
        versions = self._workflows.get(record.workflow)
        if not versions:
            return None
        return dag_of(versions.get(record.version) or next(reversed(versions.values())))

    async def prepare(self, dag: Dag) -> None:
        """
        See that the definition is ready for its first run: its fingerprint, its graph for counting.

        Of a large one that takes seconds, so it is done in a thread, and the loop goes on meanwhile.
        """
        if dag not in self._plans and len(dag.nodes) > _FEW:
            await asyncio.to_thread(self._prepare, dag)

    def _prepare(self, dag: Dag) -> None:
        _ = dag.fingerprint
        self.plan(dag)

    def plan(self, dag: Dag) -> Plan:
        """
        The graph of a definition, for counting; made once.

        Raises:
            UsageError: a step names a queue that there is not, or cannot run on the executor that it names.
        """
        plan = self._plans.get(dag)
        if plan is None:
            self._check(dag)
            plan = self._plans[dag] = Plan(dag)
        return plan


def _nothing_to_do() -> None:
    pass
