"""The dashboard for Grafana and the rules for alerts: they ask for what there is."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchwf.metrics import METRICS, Kind
from website.metrics import grafana_dashboard

from .prometheus import needs_prometheus, needs_promtool, scraping, until

ALERTS = Path(__file__).parents[2] / "docs" / "alerts.yml"
_SAMPLES = {
    metric.name + end: set(metric.labels)
    for metric in METRICS
    for end in (("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",))
}
"""Name of a sample -> its labels."""
_OF_SCRAPES = {"instance", "job", "le"}


def rules() -> list[str]:
    """The expressions of the rules, each on one line."""
    text = re.sub(r">-\n\s+(.*)\n\s+(.*)", r"\1 \2", ALERTS.read_text(encoding="utf-8"))
    return re.findall(r"expr: (.*)", text)


def panels() -> list[dict[str, Any]]:
    """Those of the dashboard that show something."""
    found: list[dict[str, Any]] = json.loads(grafana_dashboard())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Each query with the legend of its series."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]
    for expression in rules():
        yield expression, ""


@pytest.mark.parametrize(("query", "legend"), list(queries()))
def test_a_query_asks_for_what_there_is(query: str, legend: str):
    """Each metric that it names is one of ours, with the labels that it selects and groups by, and is called by."""
    names = re.findall(r"\borchwf_\w+", query)
    labels = set(re.findall(r'(\w+)=~?"', query))
    for group in re.findall(r"by \(([^)]*)\)", query):
        labels |= set(re.split(r",\s*", group))
    labels |= set(re.findall(r"{{(\w+)}}", legend))

    assert names
    assert set(names) <= set(_SAMPLES)
    for name in names:
        assert labels <= _SAMPLES[name] | _OF_SCRAPES


def test_every_metric_is_shown_or_told_of_a_scrape():
    """What nobody looks at need not be counted: these are for those who look closer."""
    asked = " ".join(query for query, _ in queries())

    unseen = {metric.name for metric in METRICS if not re.search(rf"\b{metric.name}(_\w+)?\b", asked)}
    assert {
        "orchwf_store_age_seconds", "orchwf_schedules", "orchwf_info", "orchwf_worker_ready", "orchwf_executed_runs",
        "orchwf_loop_lag_current_seconds", "orchwf_runs_started_total", "orchwf_run_pauses_total",
        "orchwf_run_resumptions_total", "orchwf_compensations_total", "orchwf_events_total",
    } == unseen  # fmt: skip


def test_the_dashboard_has_what_grafana_needs():
    """Numbers that are unique, places that do not overlap, and sources that are chosen on import."""
    document = json.loads(grafana_dashboard())
    numbers = [panel["id"] for panel in document["panels"]]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in document["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(numbers) == len(set(numbers))
    assert len(cells) == len(set(cells))
    assert all(0 <= x < 24 for x, _ in cells)
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(document)
    assert {"${datasource}"} == {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]}
    variables = {variable["name"] for variable in document["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", grafana_dashboard())) - {"__rate_interval", "__all"}
    assert used == variables


@needs_promtool
def test_the_rules_are_well_formed():
    """Prometheus' own tool has nothing to say."""
    done = subprocess.run(["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr), done.stdout


@pytest.mark.slow
@needs_prometheus
def test_prometheus_takes_all_queries(tmp_path: Path):
    """It loads the rules, which are well, and answers what the dashboard asks."""
    with scraping(tmp_path, [], rules=[ALERTS]) as prometheus:
        loaded = until(
            lambda: [rule["health"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]],
            lambda healths: healths and set(healths) == {"ok"},
        )
        asked = [query.replace("$__rate_interval", "1m").replace("$workflow", ".*") for query, _ in queries()]
        answers = [prometheus.query(query) for query in asked]

    assert ["ok"] * len(rules()) == loaded
    assert [[]] * len(asked) == answers
