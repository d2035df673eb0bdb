"""
Every error that orchwf raises, in one tree.

::

    OrchwfError
    ├── DefinitionError          the author of a workflow: it cannot be compiled (also a TypeError)
    │   └── BadOptionError       one value given to an option is wrong (also a ValueError)
    ├── EncodingError            the author of a step: a value cannot be stored, or not be read back
    ├── UsageError               the caller: what was asked for cannot be done
    │   ├── MissingArgumentError     a direct call lacks what a run would fill in (also a TypeError)
    │   ├── UnknownStepError         (also a LookupError)
    │   ├── RunNotFoundError         (also a LookupError)
    │   ├── RunExistsError
    │   ├── RunOwnedError            another living process has the run
    │   ├── NotResumableError
    │   ├── RunEndedError            it is too late to say something to the run
    │   ├── ScheduleNotFoundError    (also a LookupError)
    │   ├── WorkflowChangedError     the graph is not the one the run was started with
    │   ├── UnknownWorkflowError     (also a LookupError)
    │   ├── UnpublishedWorkflowError nothing is known in the store of the workflow of this name (also a LookupError)
    │   └── InputError               a run cannot begin with these inputs
    ├── RunError                 how a run ended
    │   ├── RunFailed
    │   ├── RunCancelled
    │   ├── RunPaused                not yet: it waits for somebody to resume it
    │   ├── RunInterruptedError      not at all: its orchestrator was closed before, and it can be resumed
    │   └── WaitTimeoutError         not yet: somebody waited no longer (also a TimeoutError)
    ├── StepTimeoutError         an attempt, or all of them together, took too long (also a TimeoutError)
    ├── LoopLimitError           a loop did not settle
    ├── TooFewItemsError         of a step that runs once per item too few completed
    ├── RecordedError            what a body raised in another process, rebuilt from the log
    ├── ExecutorError            the operator: what was to run a body elsewhere did not do so
    │   ├── WorkerDiedError          the process that ran the body has died, or was taken away from it
    │   ├── ExecutorUnavailableError it cannot be reached, or was lost while a body ran
    │   ├── NotImportableError       a worker cannot import the workflow, or has other code of it than is here
    │   └── LargeOutputError         a worker could not put a large output where it is looked for
    ├── CallFailedError          a call over HTTP did not succeed, and may do so the next time
    │   └── CallPostponedError       and the other side said when (also a RetryAfter)
    ├── SignatureError           a request is not of whom it says it is
    ├── StoreError               the operator: the store cannot be used
    │   ├── StoreBusyError           another process holds its lock: try again
    │   ├── StoreNotFoundError       there is none, and it was not to be made
    │   └── ConflictError            somebody else wrote to this run: this process is not its owner
    ├── IllegalTransitionError   us: a bug in orchwf
    ├── testing.CrashError       a workflow does not survive its process (also an AssertionError)
    └── StepControl              raised by bodies to steer their step
        ├── RetryAfter
        ├── NonRetryable
        │   └── CallRefusedError     a call over HTTP would never succeed
        ├── Skip
        └── Finish
"""

import shlex
from collections.abc import Callable, Sequence
from typing import Any

import attrs


class OrchwfError(Exception):
    """The base of every error that orchwf raises. Each can be copied and pickled, its notes with it."""

    # Python would make the copy by calling the class with the message, where most of these take something else.
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        return _remade, (type(self), self.args), vars(self)


def _remade(cls: type[OrchwfError], args: tuple[Any, ...]) -> OrchwfError:
    error = cls.__new__(cls)
    error.args = args
    return error


@attrs.frozen
class Problem:
    """
    One thing that is wrong with a definition.

    `code` is one of the codes of the reference page, `node` the name of the step (empty if the workflow itself
    is meant), `location` is `file:line` or empty, `hint` says the way out and may have several lines.
    """

    code: str
    node: str
    message: str
    location: str = ""
    hint: str = ""

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.message}"]
        if self.location:
            lines.append(f"at {self.location}")
        lines += self.hint.splitlines()
        return "\n".join(lines)


class DefinitionError(OrchwfError, TypeError):
    """
    A workflow cannot be compiled; `problems` holds everything that is wrong with it.
    """

    def __init__(self, workflow: str, problems: Sequence[Problem]) -> None:
        self.workflow = workflow
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{workflow} cannot be compiled: {count} problem{'' if count == 1 else 's'}"]
        for number, problem in enumerate(self.problems, 1):
            first, *rest = str(problem).split("\n")
            lines += ["", f"  {number}. {first}", *(f"     {line}" for line in rest)]
        super().__init__("\n".join(lines))


class BadOptionError(DefinitionError, ValueError):
    """A value given to an option, such as `Retry(max_retries=-1)`, is wrong by itself."""

    def __init__(self, option: str, problems: Sequence[Problem]) -> None:
        super().__init__(option, problems)
        # It may be raised far from any workflow, so nothing is said of compiling one.
        self.args = ("\n".join(text for problem in problems for text in (problem.message, problem.hint) if text),)


class EncodingError(OrchwfError):
    """A value cannot be stored as JSON, or what is stored does not fit the type it is read as."""


class UsageError(OrchwfError):
    """What the caller asked for cannot be done; nothing has changed."""


class MissingArgumentError(UsageError, TypeError):
    """A body was called directly without an argument that a run would have filled in."""

    def __init__(self, step: str, parameter: str, source: str, arguments: Sequence[str]) -> None:
        self.step = step
        self.parameter = parameter
        name = step.rpartition(".")[2]
        super().__init__(
            f"{step}() is missing the argument {parameter!r}. "
            + (f"In a run it is {source}; in a direct call you pass it yourself: " if source else "Pass it: ")
            + f"{name}({', '.join(arguments)})"
        )


class UnknownStepError(UsageError, LookupError):
    """The graph has no step of this name."""

    def __init__(self, step: str, workflow: str, hint: str = "") -> None:
        self.step = step
        self.workflow = workflow
        super().__init__(f"{workflow} has no step {step!r}. {hint}".rstrip())


class RunNotFoundError(UsageError, LookupError):
    """The store has no run of this id."""

    def __init__(self, run_id: str, store: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no run {run_id!r} in {store}")


class RunExistsError(UsageError):
    """A run of this id was started before."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id!r} exists already; choose another run_id, "
            "or pass on_duplicate='attach' to get the run that is there"
        )


class RunOwnedError(UsageError):
    """Another process, which is alive, executes the run."""

    def __init__(self, run_id: str, owner: str) -> None:
        self.run_id = run_id
        self.owner = owner
        super().__init__(
            f"run {run_id!r} is being executed by {owner}, which is alive; "
            "wait for it with get(run_id), or stop that process first"
        )


class NotResumableError(UsageError):
    """The run has ended in a way that leaves nothing to resume."""

    def __init__(self, run_id: str, status: str, *, compensated: bool = False) -> None:
        self.run_id = run_id
        self.status = status
        undone = ", and what it did is undone" if compensated else ""
        way_out = "fork it, or start a new run instead" if compensated else "start a new run instead"
        super().__init__(f"run {run_id!r} is {status}{undone}: there is nothing to resume; {way_out}")


class RunEndedError(UsageError):
    """The run has ended, and hears nothing any more."""

    def __init__(self, run_id: str, status: str) -> None:
        self.run_id = run_id
        self.status = status
        super().__init__(f"run {run_id!r} is {status}: what is said to it now comes too late; nothing was sent")


class ScheduleNotFoundError(UsageError, LookupError):
    """The store has no schedule of this name."""

    def __init__(self, name: str, store: str, hint: str = "") -> None:
        self.name = name
        super().__init__(f"there is no schedule {name!r} in {store}{f'. {hint}' if hint else ''}")


class WorkflowChangedError(UsageError):
    """The graph of the workflow is not the one that the run was started with."""

    def __init__(self, run_id: str, workflow: str, difference: str, lacking: Sequence[str] = ()) -> None:
        self.run_id = run_id
        self.workflow = workflow
        self.difference = difference
        self.lacking = tuple(lacking)
        way_out = (
            "Restore that graph, or accept the change: for this run with resume(..., on_change='adopt'), "
            "for all with @workflow(on_change='adopt')."
        )
        if lacking:
            names = ", ".join(map(repr, lacking))
            way_out = f"The run has no value for the new input {names}: give it a default, or fork the run with inputs."
        super().__init__(
            f"run {run_id!r} was started with another graph of {workflow}, so it was not resumed:\n"
            f"{difference}\n{way_out}"
        )


class UnknownWorkflowError(UsageError, LookupError):
    """This orchestrator was not given the workflow that a run belongs to."""

    def __init__(self, workflow: str, known: Sequence[str], hint: str = "") -> None:
        self.workflow = workflow
        names = ", ".join(map(repr, sorted(known))) or "none"
        super().__init__(
            f"this orchestrator does not know the workflow {workflow!r} (it knows: {names}); "
            + (hint or "give its class in Orchestrator(..., workflows=[...])")
        )


class UnpublishedWorkflowError(UsageError, LookupError):
    """The store does not know a workflow of this name, so that no run of it can be started without its class."""

    def __init__(self, workflow: str, store: str, hint: str = "") -> None:
        self.workflow = workflow
        super().__init__(
            f"no workflow {workflow!r} is known in {store}. {f'{hint} ' if hint else ''}"
            "It is known as soon as a process serves it: orchwf worker FILE.py, or "
            "Orchestrator(..., workflows=[...]); or start an instance of its class"
        )


class InputError(UsageError):
    """A run of a workflow cannot begin with these inputs; `problems` says of each what is wrong with it."""

    def __init__(self, workflow: str, problems: Sequence[str]) -> None:
        self.workflow = workflow
        self.problems = tuple(problems)
        super().__init__(f"{workflow} cannot be started: {'; '.join(problems)}")


class RunError(OrchwfError):
    """How a run ended, where it did not complete."""

    def __init__(self, run_id: str, message: str) -> None:
        self.run_id = run_id
        super().__init__(message)


def command_line(command: str, run_id: str, store: str = "", options: Sequence[str] = ()) -> str:
    """
    What to type for a run: `orchwf resume 7f3a`. It can be pasted into a shell.

    Args:
        store: Its URL, or empty if it is the one that is taken by itself.
        options: What follows.
    """
    run = [*options, "--", run_id] if run_id.startswith("-") else [run_id, *options]
    return shlex.join(["orchwf", command, *(["--store", store] if store else []), *run])


def send_command(run_id: str, store: str, signal: str, payload: str) -> str:
    """What to type to send a signal to a run; `payload` is empty if it holds nothing."""
    words = [run_id, signal, *([payload] if payload else [])]
    separator = ["--"] if any(word.startswith("-") for word in words) else []
    return shlex.join(["orchwf", "send", *(["--store", store] if store else []), *separator, *words])


def resume_command(run_id: str, store: str = "", answer: str = "", steps: Sequence[str] = ()) -> str:
    """
    What to type to resume a run. A store in memory no other process can see: there it is a call.

    Args:
        store: Its URL, or empty if it is the one that is taken by itself.
        answer: What is to become of the steps: `rerun`, `skip` or `values`; empty if nothing has to be said.
        steps: Their names.
    """
    if not store.startswith("memory:"):
        options = [("--value", f"{step}=JSON") if answer == "values" else (f"--{answer}", step) for step in steps]
        return command_line("resume", run_id, store, [word for option in options for word in option])
    said = {"": "", "values": f", values={{{', '.join(f'{step!r}: ...' for step in steps)}}}"}
    return f"orchestrator.resume({run_id!r}{said.get(answer, f', {answer}={list(steps)!r}')})"


class RunFailed(RunError):
    """
    A run failed; `__cause__` is what the step raised, or an `ExceptionGroup` of all if several did.

    `steps` names the steps that failed. What ran, what failed where, what was left and how to go on is in its note.
    """

    def __init__(self, run_id: str, workflow: str, steps: Sequence[str], reason: str) -> None:
        self.workflow = workflow
        self.steps = tuple(steps)
        super().__init__(run_id, f"run {run_id!r} of {workflow} failed: {reason}")


class RunCancelled(RunError):
    """A run was cancelled; `reason` is what was said then. If what it did could not be undone, that is the cause."""

    def __init__(self, run_id: str, workflow: str, reason: str) -> None:
        self.workflow = workflow
        self.reason = reason
        super().__init__(run_id, f"run {run_id!r} of {workflow} was cancelled" + (f": {reason}" if reason else ""))


class RunPaused(RunError):
    """A run waits for somebody to resume it; `reason` says why."""

    def __init__(self, run_id: str, workflow: str, reason: str, *, store: str = "") -> None:
        self.workflow = workflow
        self.reason = reason
        super().__init__(
            run_id,
            f"run {run_id!r} of {workflow} is paused{f': {reason}' if reason else ''}; "
            f"when it may go on: {resume_command(run_id, store)}",
        )


class RunInterruptedError(RunError):
    """
    The orchestrator was closed before the run had ended; the run can be resumed.

    `store` is the URL of its store, empty for the one that is taken by itself.
    """

    def __init__(self, run_id: str, workflow: str, *, store: str = "") -> None:
        self.workflow = workflow
        super().__init__(
            run_id,
            f"run {run_id!r} of {workflow} was interrupted before it ended; "
            f"what has completed is kept: {resume_command(run_id, store)}",
        )


class WaitTimeoutError(RunError, TimeoutError):
    """A run had not ended when the time was up for which somebody waited; it goes on."""

    def __init__(self, run_id: str, timeout: float) -> None:
        self.timeout = timeout
        super().__init__(
            run_id, f"run {run_id!r} had not ended after {timeout:g} s; it goes on: wait again, or cancel it"
        )


class StepTimeoutError(OrchwfError, TimeoutError):
    """An attempt took longer than its step's `timeout`, or all attempts together than its `total_timeout`."""


class LoopLimitError(OrchwfError):
    """A loop did not settle in as many iterations as it may have."""


class TooFewItemsError(OrchwfError):
    """Of the items of a step fewer completed than it needs."""


class RecordedError(OrchwfError):
    """
    What a body raised, rebuilt from the log: in another process, or after a restart.

    `type_name` is the qualified name of the exception class and `traceback` the text of the original traceback.
    """

    def __init__(self, type_name: str, message: str, traceback: str) -> None:
        self.type_name = type_name
        self.message = message
        self.traceback = traceback
        super().__init__(f"{type_name}: {message}" if message else type_name)


class ExecutorError(OrchwfError):
    """
    An executor did not run a body to its end; the retry policy of the step sees it as if the body had raised it.

    `executor` is its name, `runs_on` whether the body may have begun: what it does outside may have happened, or may
    yet. Then a step with `delivery="at_most_once"` is not tried again.
    """

    def __init__(self, executor: str, message: str, *, runs_on: bool = False) -> None:
        self.executor = executor
        self.runs_on = runs_on
        super().__init__(f"executor {executor!r}: {message}")


class WorkerDiedError(ExecutorError):
    """The process that ran the body has died, or was taken away from it: `reason` says how, as far as is known."""

    def __init__(self, executor: str, call: str, reason: str) -> None:
        self.reason = reason
        super().__init__(executor, f"the worker that ran {call} {reason}", runs_on=True)


class ExecutorUnavailableError(ExecutorError):
    """The executor cannot be reached or started, or was lost while the body ran; it is asked again next time."""


class NotImportableError(ExecutorError):
    """A worker cannot import the workflow, or what it imports is not what is here; the body has not begun."""


class LargeOutputError(ExecutorError):
    """The body has run, and its output is too large to be told; but it is not, or not sure to be, in the blob store."""

    def __init__(self, executor: str, call: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            executor,
            f"the output of {call} is large, and is lost: {reason}; see that workers reach the blob store as the "
            "orchestrator does, give another one (a bucket, or a folder that all share), or none: blobs='none'",
            runs_on=True,
        )


class CallFailedError(OrchwfError):
    """
    A call over HTTP did not succeed, and may do so the next time; the retry policy of the step says when that is.

    `url` says where it went, without what may be secret; `status` is that of the answer, None if there was none.
    """

    def __init__(self, url: str, reason: str, status: int | None = None) -> None:
        self.url = url
        self.status = status
        # By its name: what comes next is another class in the one below.
        OrchwfError.__init__(self, f"{url} {reason}")


class SignatureError(OrchwfError):
    """A request is not of whom it says it is, or is too old: nothing was done for it."""


class StoreError(OrchwfError):
    """The store cannot be used; the message names it, the reason and the way out."""


class StoreBusyError(StoreError):
    """Another process held the lock of the store for too long. Nothing was written; the call may be tried again."""


class StoreNotFoundError(StoreError):
    """There is no store where one was to be, and none was to be made."""


class ConflictError(StoreError):
    """The log of a run does not end where this process thinks it does: another process owns the run now."""

    def __init__(self, run_id: str, expected: int) -> None:
        self.run_id = run_id
        self.expected = expected
        super().__init__(
            f"the log of run {run_id!r} does not end at event {expected}: "
            "another process has taken it over, so nothing was written here"
        )


class IllegalTransitionError(OrchwfError):
    """A pair of state and event that the table of transitions does not have: a bug in orchwf."""

    def __init__(self, subject: str, state: str, event: str) -> None:
        self.subject = subject
        self.state = state
        self.event = event
        super().__init__(
            f"{subject} is {state!r}, where {event!r} may not happen; this is a bug in orchwf, please report it"
        )


class StepControl(OrchwfError):
    """What a body raises to steer its own step."""


class RetryAfter(StepControl):
    """
    Try this step again after so many seconds (a number, a `timedelta` or text such as `"30s"`).

    It counts as a failed attempt and uses up one retry; only the wait is another.
    """

    def __init__(self, seconds: object, message: str = "") -> None:
        self.seconds = seconds
        super().__init__(message or f"asked to be tried again after {seconds}")


class NonRetryable(StepControl):
    """This step has failed for good, whatever retries are left."""


class CallPostponedError(CallFailedError, RetryAfter):
    """A call over HTTP did not succeed, and the other side said after how many `seconds` it may be tried again."""

    def __init__(self, url: str, reason: str, status: int, seconds: float) -> None:
        CallFailedError.__init__(self, url, reason, status)
        self.seconds = seconds


class CallRefusedError(NonRetryable):
    """
    A call over HTTP that would never succeed: the step has failed for good.

    `url` says where it went, without what may be secret; `status` is that of the answer, None if there was none.
    """

    def __init__(self, url: str, reason: str, status: int | None = None) -> None:
        self.url = url
        self.status = status
        super().__init__(f"{url} {reason}")


class Skip(StepControl):
    """This step has nothing to do: it ends `skipped`, and so does what needs its output."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason or "the step skipped itself")


class Finish(StepControl):
    """The run has come to its end with this step, whose output is `output`: all else is cancelled."""

    def __init__(self, output: object = None) -> None:
        self.output = output
        super().__init__("the step ended the run")


class OrchwfWarning(UserWarning):
    """What works, but probably does not do what was meant: most often a definition. The text begins with its code."""
