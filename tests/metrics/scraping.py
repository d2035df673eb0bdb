"""What a scrape shows, for tests."""

import asyncio
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from orchwf.metrics import MetricsCollector

Shown = dict[tuple[str, frozenset[tuple[str, str]]], float]


def registry_of(source: Any, **options: Any) -> CollectorRegistry:
    """A registry with nothing but a collector of this."""
    registry = CollectorRegistry()
    registry.register(MetricsCollector(source, **options))
    return registry


def shown(text: str) -> Shown:
    """Name of a sample, labels -> value."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(registry: CollectorRegistry) -> Shown:
    """What a scrape from another thread shows."""
    return shown((await asyncio.to_thread(generate_latest, registry)).decode())


def of(found: Shown, name: str, **labels: str) -> float | None:
    """The value of this sample; None if there is none."""
    return found.get((name, frozenset(labels.items())))
