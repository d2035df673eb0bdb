"""From a registry to what a scrape is answered."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.process_collector import ProcessCollector

from ..orchestrator import Orchestrator
from ..ports import Store
from .collector import MetricsCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""Of what is rendered."""


def registry_of(source: Orchestrator | Store, *, has_process: bool = False) -> CollectorRegistry:
    """
    A registry of these metrics alone.

    Args:
        has_process: Whether it also has `process_…`: the memory, processor time and files of the process, where the
            system tells them.
    """
    registry = CollectorRegistry()
    registry.register(MetricsCollector(source))
    if has_process:
        ProcessCollector(registry=registry)
    return registry


async def rendered(registry: CollectorRegistry) -> bytes:
    """What a scrape is answered, in the text format."""
    # In a thread: the loop is asked for what the store has.
    return await asyncio.to_thread(generate_latest, registry)
