"""
Durable workflows: declared as a graph, checked before they run, resumed where they were.

Everything public can be imported from here. What is not used is not loaded: who declares a workflow does not wait for
what runs it, and `orchwf --help` for neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # What a type checker, an editor and the reference see; when it runs, `__getattr__` gives the same.
    from .blocking import run
    from .client import Client
    from .context import RunContext, StepContext, current
    from .core.caching import Cache
    from .core.children import ChildResult
    from .core.dag import Dag
    from .core.history import StepRecord
    from .core.limits import Mutex, Queue
    from .core.options import Quorum, Retry
    from .core.schedules import ScheduleRecord
    from .core.state import RunStatus, StepStatus
    from .decorators import compile_workflow, make_workflow, step, workflow
    from .errors import (
        BadOptionError,
        CallFailedError,
        CallPostponedError,
        CallRefusedError,
        ConflictError,
        DefinitionError,
        EncodingError,
        ExecutorError,
        ExecutorUnavailableError,
        Finish,
        InputError,
        LargeOutputError,
        LoopLimitError,
        MissingArgumentError,
        NonRetryable,
        NotImportableError,
        NotResumableError,
        OrchwfError,
        OrchwfWarning,
        Problem,
        RecordedError,
        RetryAfter,
        RunCancelled,
        RunEndedError,
        RunExistsError,
        RunFailed,
        RunInterruptedError,
        RunNotFoundError,
        RunOwnedError,
        RunPaused,
        ScheduleNotFoundError,
        SignatureError,
        Skip,
        StepTimeoutError,
        StoreBusyError,
        StoreError,
        TooFewItemsError,
        UnknownStepError,
        UnknownWorkflowError,
        UnpublishedWorkflowError,
        UsageError,
        WaitTimeoutError,
        WorkerDiedError,
        WorkflowChangedError,
    )
    from .moving import CopyReport, copy_runs
    from .observers.log import configure_logging
    from .observers.records import StepLogFilter
    from .observers.redaction import SECRET_KEYS, Redaction
    from .orchestrator import Orchestrator
    from .ports import BlobStore, PayloadCodec, RunRecord
    from .runtime.backfill import ScheduledRun
    from .runtime.copying import CopiedRun
    from .runtime.handle import RunHandle
    from .runtime.listing import RunPage
    from .runtime.result import RunResult
    from .runtime.schedule import Schedule
    from .steps import Step
    from .stores import open_store
    from .waits import Signal, Sleep, Subflow, signal, sleep, subflow

__version__ = "0.1.0"

__all__ = [
    "SECRET_KEYS",
    "BadOptionError",
    "BlobStore",
    "Cache",
    "CallFailedError",
    "CallPostponedError",
    "CallRefusedError",
    "ChildResult",
    "Client",
    "ConflictError",
    "CopiedRun",
    "CopyReport",
    "Dag",
    "DefinitionError",
    "EncodingError",
    "ExecutorError",
    "ExecutorUnavailableError",
    "Finish",
    "InputError",
    "LargeOutputError",
    "LoopLimitError",
    "MissingArgumentError",
    "Mutex",
    "NonRetryable",
    "NotImportableError",
    "NotResumableError",
    "Orchestrator",
    "OrchwfError",
    "OrchwfWarning",
    "PayloadCodec",
    "Problem",
    "Queue",
    "Quorum",
    "RecordedError",
    "Redaction",
    "Retry",
    "RetryAfter",
    "RunCancelled",
    "RunContext",
    "RunEndedError",
    "RunExistsError",
    "RunFailed",
    "RunHandle",
    "RunInterruptedError",
    "RunNotFoundError",
    "RunOwnedError",
    "RunPage",
    "RunPaused",
    "RunRecord",
    "RunResult",
    "RunStatus",
    "Schedule",
    "ScheduleNotFoundError",
    "ScheduleRecord",
    "ScheduledRun",
    "Signal",
    "SignatureError",
    "Skip",
    "Sleep",
    "Step",
    "StepContext",
    "StepLogFilter",
    "StepRecord",
    "StepStatus",
    "StepTimeoutError",
    "StoreBusyError",
    "StoreError",
    "Subflow",
    "TooFewItemsError",
    "UnknownStepError",
    "UnknownWorkflowError",
    "UnpublishedWorkflowError",
    "UsageError",
    "WaitTimeoutError",
    "WorkerDiedError",
    "WorkflowChangedError",
    "compile_workflow",
    "configure_logging",
    "copy_runs",
    "current",
    "make_workflow",
    "open_store",
    "run",
    "signal",
    "sleep",
    "step",
    "subflow",
    "workflow",
]

_NAMES = {
    "blocking": ("run",),
    "client": ("Client",),
    "context": ("RunContext", "StepContext", "current"),
    "core.caching": ("Cache",),
    "core.children": ("ChildResult",),
    "core.dag": ("Dag",),
    "core.history": ("StepRecord",),
    "core.limits": ("Mutex", "Queue"),
    "core.options": ("Quorum", "Retry"),
    "core.schedules": ("ScheduleRecord",),
    "core.state": ("RunStatus", "StepStatus"),
    "decorators": ("compile_workflow", "make_workflow", "step", "workflow"),
    "moving": ("CopyReport", "copy_runs"),
    "observers.log": ("configure_logging",),
    "observers.records": ("StepLogFilter",),
    "observers.redaction": ("SECRET_KEYS", "Redaction"),
    "orchestrator": ("Orchestrator",),
    "ports": ("BlobStore", "PayloadCodec", "RunRecord"),
    "runtime.backfill": ("ScheduledRun",),
    "runtime.copying": ("CopiedRun",),
    "runtime.handle": ("RunHandle",),
    "runtime.listing": ("RunPage",),
    "runtime.result": ("RunResult",),
    "runtime.schedule": ("Schedule",),
    "steps": ("Step",),
    "stores": ("open_store",),
    "waits": ("Signal", "Sleep", "Subflow", "signal", "sleep", "subflow"),
}
"""Module -> the names that are taken from it. All others are of `errors`."""

_PARTS = ("blobs", "core", "drawing", "errors", "executors", "observers", "ports", "runtime", "stores")
"""The modules that are there without being imported."""

_HOMES = {name: home for home, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """What is taken from here for the first time: loaded now, and kept."""
        if name in _PARTS:
            return import_module(f".{name}", __name__)
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
        return value

    def __dir__() -> list[str]:
        """All that is public, loaded or not."""
        return sorted({*globals(), *__all__, *_PARTS})
