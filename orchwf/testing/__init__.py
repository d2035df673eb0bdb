"""
For tests of workflows: time that leaps, bodies that are replaced, processes that die everywhere.
"""

from .clock import FakeClock
from .crashes import crash_everywhere
from .orchestrator import TestOrchestrator
from .overriding import override
from .recorder import Recorder
from .report import CrashError, CrashProblem, CrashReport, Fault

__all__ = [
    "CrashError",
    "CrashProblem",
    "CrashReport",
    "FakeClock",
    "Fault",
    "Recorder",
    "TestOrchestrator",
    "crash_everywhere",
    "override",
]
