"""Begins the runs of schedules: of whatever time, each at most once."""

import contextlib

from ..core.schedules import ScheduleRecord
from ..errors import EncodingError, RunExistsError, UnknownWorkflowError, UsageError
from .execution import decode_inputs
from .runs import Runs
from .schedules import table_of


async def begin(runs: Runs, schedule: ScheduleRecord, run_id: str, at: float) -> None:
    """
    See to it that there is the run of this id: it is begun here, unless it is there already.

    Args:
        at: The time that it is for (epoch seconds): the workflow finds it in its metadata.

    Raises:
        UnknownWorkflowError: the workflow is not known here.
        UsageError: the inputs of the schedule are none of the workflow, as it is now; or nothing can be begun here.
        StoreError: as it says.
    """
    workflow = _instance_of(runs, schedule)
    metadata = {"schedule": schedule.name, "scheduled_for": table_of(schedule).text(at)}
    # Somebody else may have been faster, or this process before it died.
    with contextlib.suppress(RunExistsError):
        await runs.start(workflow, run_id, metadata, {"schedule": schedule.name})


def _instance_of(runs: Runs, schedule: ScheduleRecord) -> object:
    dag = runs.registry.find(schedule)
    if dag is None:
        raise UnknownWorkflowError(schedule.workflow, runs.registry.names)
    try:
        return (dag.workflow or dict)(**decode_inputs(dag, dag.codec, schedule.inputs))
    except EncodingError as error:
        reason = str(error)
    # Foreign code: validators and converters of the user.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    raise UsageError(
        f"schedule {schedule.name!r} cannot be begun: {dag.name} does not take its inputs any more: {reason}; "
        "schedule it again with others"
    )
