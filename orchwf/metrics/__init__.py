"""Metrics for Prometheus: `pip install 'orchwf[telemetry]'`."""

from .catalogue import METRICS, Kind, Metric, Source
from .collector import MetricsCollector
from .rendering import CONTENT_TYPE, registry_of, rendered

__all__ = ["CONTENT_TYPE", "METRICS", "Kind", "Metric", "MetricsCollector", "Source", "registry_of", "rendered"]
