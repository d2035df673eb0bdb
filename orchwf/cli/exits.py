"""How a command ends: its exit code, and what is said where it could not do its work."""

from enum import IntEnum
from typing import TYPE_CHECKING

from ..core.state import RunStatus
from ..errors import (
    DefinitionError,
    InputError,
    OrchwfError,
    Problem,
    RunEndedError,
    RunInterruptedError,
    RunNotFoundError,
    ScheduleNotFoundError,
    StepTimeoutError,
    StoreError,
    UnknownStepError,
)

if TYPE_CHECKING:
    # Every command may fail, but not every one has a result.
    from ..core.events import ErrorInfo
    from ..runtime.result import RunResult


class Exit(IntEnum):
    """The exit codes; after a signal it is 128 and the number of the signal."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    TIMED_OUT = 3
    STORE = 4
    NOT_FOUND = 5
    INTERRUPTED = 130
    TERMINATED = 143


class CommandError(Exception):
    """
    A command cannot do what it was told.

    Attributes:
        message: What is said; it may have several lines.
        code: The exit code.
        problems: What is wrong with a definition, if that is the reason.
    """

    def __init__(self, message: str, code: Exit = Exit.USAGE, problems: tuple[Problem, ...] = ()) -> None:
        self.message = message
        self.code = code
        self.problems = problems
        super().__init__(message)


def as_command_error(error: OrchwfError) -> CommandError:
    """An error of the library as one of a command."""
    match error:
        case DefinitionError():
            return CommandError(str(error), Exit.USAGE, error.problems)
        case RunInterruptedError(__cause__=StoreError() as cause):
            return CommandError(str(cause), Exit.STORE)
        case StoreError():
            return CommandError(str(error), Exit.STORE)
        case RunEndedError():
            return CommandError(str(error), Exit.FAILED)
        case RunNotFoundError() | ScheduleNotFoundError() | UnknownStepError():
            return CommandError(str(error), Exit.NOT_FOUND)
        case _:
            return CommandError(str(error))


def exit_of(result: "RunResult[object]") -> Exit:
    """The exit code for how a run ended."""
    if result.status is RunStatus.COMPLETED:
        return Exit.DONE
    if result.status is not RunStatus.FAILED:
        return Exit.FAILED
    errors = [result.steps[name].error for name in result.failed_steps if name in result.steps]
    if not errors and result.error.startswith(InputError.__name__):
        return Exit.FAILED
    # Any other run that fails without a failed step has passed its deadline.
    return Exit.TIMED_OUT if all(map(_is_timeout, errors)) else Exit.FAILED


def _is_timeout(error: "ErrorInfo | None") -> bool:
    return error is not None and error.type_name.rpartition(".")[2] == StepTimeoutError.__name__
