"""What is true of a run before it goes on here, for whoever shows it."""

from collections.abc import Collection

import attrs

from ..core.adoption import changed_inputs
from ..core.dag import Dag
from ..core.failures import item_name
from ..core.history import StepRecord
from ..core.state import StepStatus
from ..views import Found, Resumption, is_undoing, resume_lines
from .answers import Given
from .scene import Beginning


def resumed(found: Found, dag: Dag, given: Given) -> Beginning:
    """What is true of a run that is going to be resumed, with what somebody says of its steps."""
    steps, report = found.history.steps.values(), found.report()
    keeps_budget = is_undoing(report)
    resumption = Resumption(rerun=given.rerun, skip=given.skip, given=given.valued)
    if found.dag is not None and found.dag.fingerprint != dag.fingerprint:
        difference = found.dag.diff(dag)
        resumption = attrs.evolve(
            resumption, changed=difference.changed, reset=sorted(changed_inputs(found.dag, dag)),
            added=difference.added, removed=difference.removed,
        )  # fmt: skip
    return Beginning(
        dag=dag,
        kept={record.name: record.status for record in steps if _is_kept(record.status, keeps_budget)},
        spent=_spent(steps, keeps_budget=keeps_budget),
        opening=resume_lines(report, resumption),
        begun=[record for record in steps if _is_begun(record) and record.name not in resumption.reset],
    )


def taken_up(found: Found, dag: Dag) -> Beginning:
    """What is true of a run that is taken up to be ended."""
    steps = found.history.steps.values()
    return Beginning(
        dag=dag,
        kept={record.name: record.status for record in steps if record.status.is_final},
        spent=_spent(steps, keeps_budget=True),
        begun=[record for record in steps if _is_begun(record)],
    )


def _is_kept(status: StepStatus, is_undoing: bool) -> bool:
    return status is StepStatus.COMPLETED or (is_undoing and status.is_final)


def _is_begun(record: StepRecord) -> bool:
    """Whether a step waits, or some of its items are known."""
    return record.status is StepStatus.WAITING or record.count is not None


def _spent(steps: Collection[StepRecord], *, keeps_budget: bool) -> dict[str, int]:
    """Name of a step, or of an item that has not completed -> how many of its attempts count no more."""
    items = [item for record in steps for item in record.begun if item.status is not StepStatus.COMPLETED]
    records = [*steps, *items]
    return {item_name(each.name, each.item): each.spent if keeps_budget else each.attempt for each in records}
