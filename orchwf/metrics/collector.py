"""The collector that Prometheus' client asks at each scrape."""

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from .. import __version__
from ..core.options import Duration, positive_seconds
from ..errors import UsageError
from ..orchestrator import Orchestrator
from ..ports import Store
from ..runtime.clock import SystemClock
from ..runtime.health import Health
from ..runtime.histograms import Histogram
from ..runtime.measures import Opened
from .catalogue import INFO, METRICS, Kind, Metric, Source
from .reading import Reader
from .samples import Sample, of_process, of_store

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ImportError(
        "metrics need prometheus-client, which is not installed: pip install 'orchwf[telemetry]'", name=error.name
    ) from error

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

_PATIENCE = 5.0
"""Seconds that a store has to answer a scrape: Prometheus gives up after ten."""


class MetricsCollector(Collector):
    """
    What there is to know of an orchestrator and its store, or of a store alone, for a registry of Prometheus' client.

    ::

        collector = MetricsCollector(orchestrator)
        prometheus_client.REGISTRY.register(collector)

    The store is asked at each scrape, on its own event loop: so `generate_latest` belongs in a thread, as
    `start_http_server` has it. Called on that loop itself, which cannot wait for anything, it shows what was read last,
    and has the store read for the next time.

    Args:
        source: An orchestrator, open or not yet, whose runs and steps are counted from now on; or a store, within the
            event loop that it belongs to.
        patience: How long the store has to answer: a duration. Then `orchwf_store_up` is 0, and all that the process
            knows by itself is there nevertheless.

    Raises:
        UsageError: the source is something else, or a store outside of an event loop.
        BadOptionError: the patience is no duration.
    """

    def __init__(self, source: Orchestrator | Store, *, patience: Duration = _PATIENCE) -> None:
        self._patience = positive_seconds(patience, "patience")
        self._orchestrator = source if isinstance(source, Orchestrator) else None
        self._measures = None if self._orchestrator is None else self._orchestrator.measured()
        self._fixed = None if isinstance(source, Orchestrator) else _opened(source)
        self._reader: Reader | None = None

    def describe(self) -> Iterable[Family]:
        """Which metrics there are, without their values: a registry asks when this is registered."""
        for metric in METRICS:
            if self._measures is not None or metric.source is Source.STORE or metric is INFO:
                yield _family(metric)

    def collect(self) -> Iterable[Family]:
        """The metrics with their values."""
        health = self._looked_into()
        families: dict[str, Family] = {}
        for metric, labels, value in self._samples(health):
            if metric.name not in families:
                families[metric.name] = _family(metric)
            _add(families[metric.name], labels, value)
        return families.values()

    @property
    def _opened(self) -> Opened | None:
        return self._fixed if self._measures is None else self._measures.opened

    def _samples(self, health: Health | None) -> Iterator[Sample]:
        yield INFO, (__version__,), 1.0
        opened, reader = self._opened, self._reader
        if reader is None or opened is None or reader.is_asked:
            now = 0.0 if opened is None else opened.clock.now()
            yield from of_store(None if reader is None else reader.last, now)
        if self._measures is not None:
            yield from of_process(self._measures, health)

    def _looked_into(self) -> Health | None:
        """How the orchestrator is, once the store was read, or at least is being read."""
        opened = self._opened
        if opened is None:
            return None
        self._reader = self._reader or Reader(opened.store, opened.clock)
        if opened.loop.is_closed() or not opened.loop.is_running():
            self._reader.lose()
        elif _is_here(opened.loop):
            # The task is the reader's.
            self._reader.begin()
        else:
            with contextlib.suppress(TimeoutError, concurrent.futures.CancelledError):
                return self._asked(opened, self._reader)
            self._reader.lose()
        return self._health()

    def _asked(self, opened: Opened, reader: Reader) -> Health | None:
        async def look() -> Health | None:
            await reader.read(self._patience)
            return self._health()

        looking = asyncio.run_coroutine_threadsafe(look(), opened.loop)
        try:
            # A loop that is blocked does not even begin.
            return looking.result(self._patience + 1.0)
        finally:
            looking.cancel()

    def _health(self) -> Health | None:
        return None if self._orchestrator is None else self._orchestrator.health()


def _opened(store: object) -> Opened:
    if not hasattr(store, "census"):
        raise UsageError(f"MetricsCollector takes an Orchestrator or an open store, not {store!r}")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "a store belongs to an event loop: make its MetricsCollector in a coroutine, after open_store"
        ) from None
    return Opened(loop, store, SystemClock())  # type: ignore[arg-type]


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _family(metric: Metric) -> Family:
    match metric.kind:
        case Kind.COUNTER:
            return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        case Kind.GAUGE:
            return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        case Kind.HISTOGRAM:
            return HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)


def _add(family: Any, labels: tuple[str, ...], value: float | Histogram) -> None:
    if isinstance(value, Histogram):
        # Taken at once, so that the last class has as many as all together, though the loop goes on to count.
        counts = list(accumulate(list(value.counts)))
        bounds = [*(f"{bound:g}" for bound in value.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, counts, strict=True)), value.sum)
    else:
        family.add_metric(labels, value)
