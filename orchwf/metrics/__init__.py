"""Metrics for Prometheus: `pip install 'orchwf[telemetry]'`."""

from .catalogue import METRICS, Kind, Metric, Source
from .collector import MetricsCollector

__all__ = ["METRICS", "Kind", "Metric", "MetricsCollector", "Source"]
