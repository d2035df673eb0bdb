"""
Durable workflows: declared as a graph, checked before they run, resumed where they were.

Everything public can be imported from here.
"""

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
