"""
For tests of workflows: time that leaps, bodies that are replaced.
"""

from .clock import FakeClock
from .orchestrator import TestOrchestrator
from .overriding import override
from .recorder import Recorder

__all__ = ["FakeClock", "Recorder", "TestOrchestrator", "override"]
