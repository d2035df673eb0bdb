"""
Durable workflows: declared as a graph, checked before they run, resumed where they were.

Everything public can be imported from here.
"""

from .blocking import run
from .context import StepContext, current
from .core.dag import Dag
from .core.history import StepRecord
from .core.options import Quorum, Retry
from .core.state import RunStatus, StepStatus
from .decorators import compile_workflow, make_workflow, step, workflow
from .errors import (
    BadOptionError,
    ConflictError,
    DefinitionError,
    EncodingError,
    MissingArgumentError,
    NonRetryable,
    NotResumableError,
    OrchwfError,
    OrchwfWarning,
    Problem,
    RecordedError,
    RetryAfter,
    RunCancelled,
    RunExistsError,
    RunFailed,
    RunInterruptedError,
    RunNotFoundError,
    RunOwnedError,
    RunPaused,
    Skip,
    StepTimeoutError,
    StoreBusyError,
    StoreError,
    UnknownStepError,
    UnknownWorkflowError,
    UsageError,
    WaitTimeoutError,
    WorkflowChangedError,
)
from .observers.log import configure_logging
from .orchestrator import Orchestrator, RunPage
from .ports import RunRecord
from .runtime.handle import RunHandle
from .runtime.result import RunResult
from .steps import Step
from .stores import open_store

__version__ = "0.1.0"

__all__ = [
    "BadOptionError",
    "ConflictError",
    "Dag",
    "DefinitionError",
    "EncodingError",
    "MissingArgumentError",
    "NonRetryable",
    "NotResumableError",
    "Orchestrator",
    "OrchwfError",
    "OrchwfWarning",
    "Problem",
    "Quorum",
    "RecordedError",
    "Retry",
    "RetryAfter",
    "RunCancelled",
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
    "Skip",
    "Step",
    "StepContext",
    "StepRecord",
    "StepStatus",
    "StepTimeoutError",
    "StoreBusyError",
    "StoreError",
    "UnknownStepError",
    "UnknownWorkflowError",
    "UsageError",
    "WaitTimeoutError",
    "WorkflowChangedError",
    "compile_workflow",
    "configure_logging",
    "current",
    "make_workflow",
    "open_store",
    "run",
    "step",
    "workflow",
]
