"""Scraped by a real Prometheus, and looked at by its tools."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from orchwf import Client
from orchwf.cli.loading import load_one, parse_target
from tests.cli.console import Shell, read_until
from tests.cli.ship import FLOW
from tests.slowness import without_slowness

from .prometheus import get, needs_prometheus, needs_promtool, problems_of, scraping, until


@pytest.fixture(autouse=True)
def ship(shell: Shell) -> None:
    """The flow is in the folder; its second step may be tried again."""
    shell.write("ship.py", FLOW.replace("@step\n    def send", "@step(retries=1)\n    def send"))


async def start(url: str, *orders: str) -> None:
    """Write a run for each of these orders, for whoever serves the flow."""
    (ship,) = load_one(parse_target("ship.py")).workflows
    async with Client(url) as client:
        for order in orders:
            await client.start(ship(order=order), run_id=order)


@contextmanager
def working(shell: Shell, url: str, *words: str) -> Iterator[str]:
    """A worker in the block; where it is scraped."""
    process = shell.start("worker", "ship.py", "--store", url, "--metrics-port", "0", *words)
    try:
        assert process.stdout is not None
        match = re.search(r"metrics at (\S+)\n", read_until(process.stdout, "metrics at"))
        assert match is not None
        yield match[1]
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert (0, "") == (process.returncode, without_slowness(err))


@pytest.mark.slow
@needs_prometheus
def test_two_workers_on_one_store(shell: Shell):
    """What they do is summed over them; what the store has is the same from both."""
    url = f"sqlite:///{shell.folder / 'runs.db'}"
    asyncio.run(start(url, "a", "b", "c"))
    with working(shell, url, "--max-runs", "1") as one, working(shell, url, "--max-runs", "1") as two:
        targets = [each.removeprefix("http://").removesuffix("/metrics") for each in (one, two)]
        with scraping(shell.folder, targets) as prometheus:
            assert 2 == prometheus.until_value("sum(up)", 2)
            assert 2 == prometheus.until_value("sum(orchwf_executed_runs)", 2)
            # One each, and the third one waits.
            assert 2 == prometheus.until_value('max(orchwf_open_runs{workflow="Ship",place="executed"})', 2)
            assert 1 == prometheus.until_value('max(orchwf_open_runs{workflow="Ship",place="waiting"})', 1)
            waited = prometheus.value("max(orchwf_oldest_waiting_run_seconds)")
            assert 2 == prometheus.until_value('max(orchwf_leases{state="held"})', 2)

            for order in "abc":
                shell.write(f"go-{order}", "")
            assert 3 == prometheus.until_value('sum(orchwf_runs_ended_total{outcome="completed"})', 3)
            assert 3 == prometheus.until_value('sum(orchwf_attempt_seconds_count{step="send"})', 3)
            left = until(lambda: prometheus.query('orchwf_open_runs{workflow="Ship"} > 0'), lambda found: not found)
            quantile = prometheus.value("histogram_quantile(0.9, sum by (le) (orchwf_commit_seconds_bucket))")
            instances = {labels["instance"] for labels, _ in prometheus.query("orchwf_commit_seconds_count > 0")}

    assert [] == left
    assert waited is not None
    assert 0 < waited < 600
    assert quantile is not None
    assert 0 < quantile <= 10
    assert set(targets) == instances


@pytest.mark.slow
@needs_promtool
def test_the_text_is_well_formed(shell: Shell):
    """While nothing has happened, and after something has: nothing is to be said of names, types or labels."""
    url = f"sqlite:///{shell.folder / 'runs.db'}"
    with working(shell, url) as address:
        _, before = get(address)
        shell.write("go-a", "")
        asyncio.run(start(url, "a"))
        while 'orchwf_runs_ended_total{outcome="completed",workflow="Ship"} 1.0' not in (after := get(address)[1]):
            pass
        missing, _ = get(address.removesuffix("/metrics"))

    assert ("", "") == (problems_of(before), problems_of(after))
    assert "process_resident_memory_bytes" in before
    assert 404 == missing


def test_a_worker_without_the_extra(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """It does not begin, and says what is missing."""
    monkeypatch.setitem(sys.modules, "orchwf.metrics", None)

    said = shell("worker", "ship.py", "--metrics-port", "0")

    assert 2 == said.code
    assert "metrics" in said.err


def test_a_worker_tells_where_it_is_scraped(shell: Shell):
    """Also those that read JSON."""
    process = shell.start("worker", "ship.py", "--metrics-port", "0", "--json")
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    status, text = get(f"{ready['metrics']}/metrics")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert (200, True) == (status, "orchwf_store_up 1.0" in text)
    assert ready["metrics"].startswith("http://127.0.0.1:")
