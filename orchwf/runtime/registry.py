"""The workflows that an orchestrator knows: by name, and several versions of one side by side."""

import asyncio
from collections.abc import Sequence

from ..core.dag import Dag, dag_of
from ..core.plan import Plan
from ..errors import UsageError
from ..ports import RunRecord

_FEW = 500
"""How many steps a graph has that is prepared in no time."""


class Registry:
    """Finds the definition with which a run is executed here."""

    def __init__(self, workflows: Sequence[type]) -> None:
        # The classes, not their graphs: a test may put others in the place of bodies for a while.
        self._workflows: dict[str, dict[str, type]] = {}
        self._plans: dict[Dag, Plan] = {}
        for workflow in workflows:
            self.add(workflow)
        self._served = frozenset(self._workflows)

    def add(self, workflow: type) -> None:
        """
        Know this workflow, too.

        Raises:
            UsageError: another one has the same name and version, or this is no workflow.
        """
        dag = dag_of(workflow)
        known = self._workflows.setdefault(dag.name, {}).setdefault(dag.version, workflow)
        if known is not workflow:
            raise UsageError(
                f"two workflows are called {dag.name!r}, version {dag.version!r}: {dag_of(known).entrypoint} and "
                f"{dag.entrypoint}; give one of them another name or version with @workflow(name=..., version=...)"
            )

    def replace(self, workflow: type) -> None:
        """Know this one instead of that of the same name and version, as when a notebook cell is run again."""
        dag = dag_of(workflow)
        self._workflows.setdefault(dag.name, {})[dag.version] = workflow

    @property
    def names(self) -> list[str]:
        """The names of all that is known."""
        return list(self._workflows)

    def serves(self, record: RunRecord) -> bool:
        """Whether the workflow of this run was given at first: what came later was wanted for one run."""
        return record.workflow in self._served

    def find(self, record: RunRecord) -> Dag | None:
        """
        The definition for this run: that of the version it was started with, else the one that came last.

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
        """The graph of a definition, for counting; made once."""
        plan = self._plans.get(dag)
        if plan is None:
            plan = self._plans[dag] = Plan(dag)
        return plan
