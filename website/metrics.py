"""The reference of the metrics, and a dashboard of them for Grafana, from the catalogue."""

import json
from collections.abc import Sequence
from typing import Any

from orchwf.metrics import METRICS, Metric, Source

INTRODUCTION = """\
# Metrics, name by name

What [a scrape](../metrics.md) shows. This page is made from `orchwf.metrics`.
"""
TITLES = {
    Source.STORE: "Of the store\n\nThe same from every process on it: take the `max` over them, never the `sum`.",
    Source.PROCESS: "Of the process\n\nEach process counts what it does itself: take the `sum`. All begin at 0.",
}

Target = tuple[str, str]
"""A query, and what its series are called."""


def metrics_page() -> str:
    """The page, as Markdown: a table for each source."""
    return "\n".join([INTRODUCTION, *(_section(source) for source in Source)])


def _section(source: Source) -> str:
    rows = [_row(metric) for metric in METRICS if metric.source is source]
    return "\n".join(
        [f"## {TITLES[source]}\n", "| metric | kind | labels | what it says |", "|---|---|---|---|", *rows, ""]
    )


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"


PANELS: Sequence[tuple[str, Sequence[tuple[str, str, Sequence[Target]]]]] = (
    (
        "Runs",
        (
            ("Runs that have not ended", "short", [
                ('max by (place) (sum by (place, instance) (orchwf_open_runs{workflow=~"$workflow"}))', "{{place}}"),
            ]),
            ("Waiting for a worker, the oldest", "s", [
                ('max by (workflow) (orchwf_oldest_waiting_run_seconds{workflow=~"$workflow"})', "{{workflow}}"),
            ]),
            ("Runs that ended, per second", "ops", [
                ('sum by (outcome) (rate(orchwf_runs_ended_total{workflow=~"$workflow"}[$__rate_interval]))',
                 "{{outcome}}"),
            ]),
            ("How long runs took", "s", [
                (('histogram_quantile(0.5, sum by (le) '
                 '(rate(orchwf_run_seconds_bucket{workflow=~"$workflow"}[$__rate_interval])))'), "half of them"),
                (('histogram_quantile(0.95, sum by (le) '
                 '(rate(orchwf_run_seconds_bucket{workflow=~"$workflow"}[$__rate_interval])))'), "95 %"),
            ]),
            ("Paused", "short", [
                ('max by (workflow, cause) (orchwf_paused_runs{workflow=~"$workflow"})', "{{workflow}}: {{cause}}"),
            ]),
            ("Schedules that are late", "s", [
                ("max by (schedule) (orchwf_schedule_late_seconds) > 0", "{{schedule}}"),
            ]),
        ),
    ),
    (
        "Steps",
        (
            ("Steps, per second", "ops", [
                ('sum by (outcome) (rate(orchwf_steps_total{workflow=~"$workflow"}[$__rate_interval]))', "{{outcome}}"),
                ('sum by (outcome) (rate(orchwf_items_total{workflow=~"$workflow"}[$__rate_interval]))',
                 "items {{outcome}}"),
            ]),
            ("Steps that fail or are tried again, per second", "ops", [
                (('sum by (workflow, step, outcome) (rate(orchwf_steps_total{workflow=~"$workflow",'
                 'outcome=~"failed|retrying"}[$__rate_interval])) > 0'), "{{workflow}}.{{step}}: {{outcome}}"),
            ]),
            ("The slowest steps, 95 % of their attempts", "s", [
                (('topk(10, histogram_quantile(0.95, sum by (le, workflow, step) '
                 '(rate(orchwf_attempt_seconds_bucket{workflow=~"$workflow"}[$__rate_interval]))))'),
                 "{{workflow}}.{{step}}"),
            ]),
            ("Places held in queues", "short", [("max by (queue) (orchwf_queue_slots_held)", "{{queue}}")]),
        ),
    ),
    (
        "Workers",
        (
            ("Leases", "short", [("max by (state) (orchwf_leases)", "{{state}}")]),
            ("Attempts in flight", "short", [("sum by (instance) (orchwf_attempts_in_flight)", "{{instance}}")]),
            ("How late the event loop is, 99 %", "s", [
                (("histogram_quantile(0.99, sum by (le, instance) (rate(orchwf_loop_lag_seconds_bucket"
                 "[$__rate_interval])))"), "{{instance}}"),
            ]),
            ("How long commits take, 99 %", "s", [
                (("histogram_quantile(0.99, sum by (le, instance) (rate(orchwf_commit_seconds_bucket"
                 "[$__rate_interval])))"), "{{instance}}"),
            ]),
            ("Events in a commit, on the average", "short", [
                (("sum by (instance) (rate(orchwf_commit_events_sum[$__rate_interval])) / "
                 "sum by (instance) (rate(orchwf_commit_events_count[$__rate_interval]))"), "{{instance}}"),
            ]),
            ("The store answers", "short", [("min by (instance) (orchwf_store_up)", "{{instance}}")]),
            ("Age of the lease", "s", [("max by (instance) (orchwf_lease_age_seconds)", "{{instance}}")]),
            ("Reading the store", "s", [("max by (instance) (orchwf_store_read_seconds)", "{{instance}}")]),
        ),
    ),
)  # fmt: skip
"""Row -> its panels: title, unit, queries."""

_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 8, 8


def grafana_dashboard() -> str:
    """The dashboard, as the JSON that Grafana imports."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in PANELS:
        place = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append({"type": "row", "id": len(panels) + 1, "title": title, "gridPos": place, "panels": []})
        top += 1
        for position, (name, unit, targets) in enumerate(row):
            x, y = position % 3 * _WIDTH, top + position // 3 * _HEIGHT
            panels.append(_panel(len(panels) + 1, name, unit, targets, x=x, y=y))
        top += -(-len(row) // 3) * _HEIGHT
    document = {
        "title": "orchwf", "uid": "orchwf", "tags": ["orchwf"], "schemaVersion": 39, "version": 1, "editable": True,
        "timezone": "browser", "refresh": "30s", "time": {"from": "now-3h", "to": "now"}, "graphTooltip": 1,
        "templating": {"list": _variables()}, "annotations": {"list": []}, "links": [], "panels": panels,
    }  # fmt: skip
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _panel(number: int, title: str, unit: str, targets: Sequence[Target], *, x: int, y: int) -> dict[str, Any]:
    return {
        "type": "timeseries", "id": number, "title": title, "datasource": _DATASOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": _DATASOURCE, "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(targets)
        ],
    }  # fmt: skip


def _variables() -> list[dict[str, Any]]:
    query = "label_values(orchwf_open_runs, workflow)"
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0},
        {
            "name": "workflow", "label": "Workflow", "type": "query", "datasource": _DATASOURCE, "query": query,
            "definition": query, "refresh": 2, "includeAll": True, "multi": True, "allValue": ".*", "sort": 1,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        },
    ]  # fmt: skip
