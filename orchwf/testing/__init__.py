"""
For tests of workflows: time that leaps.
"""

from .clock import FakeClock
from .orchestrator import TestOrchestrator
from .recorder import Recorder

__all__ = ["FakeClock", "Recorder", "TestOrchestrator"]
