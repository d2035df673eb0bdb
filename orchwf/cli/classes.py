"""From a run to the class of its workflow, which is where it was or where somebody says that it is now."""

import attrs

from ..core.dag import dag_of
from ..core.schedules import ScheduleRecord
from ..ports import RunRecord
from .exits import CommandError, Exit
from .loading import Loaded, load, load_one, parse_target
from .output import Output


def workflow_of(output: Output, record: RunRecord | ScheduleRecord, target: str | None) -> type:
    """
    The class of the workflow that a run or a schedule belongs to.

    Args:
        target: Where it is now, if not where it was when the run was started, or the schedule made.

    Raises:
        CommandError: it is not there.
    """
    loaded = _loaded_for(record, target) if target is not None else _recorded(record)
    for warning in loaded.warnings:
        output.warn(warning)
    return loaded.workflows[0]


def _loaded_for(record: RunRecord | ScheduleRecord, text: str) -> Loaded:
    """Of several workflows in one file the one of this name is meant."""
    loaded = load(parse_target(text))
    own = [workflow for workflow in loaded.workflows if dag_of(workflow).name == record.workflow]
    if own:
        return attrs.evolve(loaded, workflows=(own[0],))
    names = ", ".join(dag_of(workflow).name for workflow in loaded.workflows)
    raise CommandError(f"{_named(record)} is of the workflow {record.workflow!r}, and {text} has {names}")


def _recorded(record: RunRecord | ScheduleRecord) -> Loaded:
    where = record.entrypoint
    way_out = "say where it is now: --target file.py:Class"
    if where.startswith("__main__:") or "<locals>" in where:
        raise CommandError(f"{_named(record)} was started by code that no file is known of; {way_out}")
    try:
        return load_one(parse_target(where))
    except CommandError as error:
        if error.code is Exit.NOT_FOUND:
            raise CommandError(
                f"the workflow of {_named(record)} is not where it was, {where}: {error}\n{way_out}", Exit.NOT_FOUND
            ) from error
        raise


def _named(record: RunRecord | ScheduleRecord) -> str:
    return f"run {record.id!r}" if isinstance(record, RunRecord) else f"schedule {record.name!r}"
