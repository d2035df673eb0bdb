"""Outputs of earlier runs at the command line: that they are taken, where they are from, and how not to take them."""

import pytest

from orchwf.cli.scene import Beginning, scene_of
from orchwf.core.events import CacheHit, StepCompleted
from orchwf.decorators import compile_workflow, make_workflow
from orchwf.views import event_line
from tests.cli.console import Shell

FLOW = """\
from orchwf import Cache, Queue, step, workflow


@workflow
class Priced:
    @step(cache=Cache(), queue=Queue("api", concurrency=1))
    def price(self) -> int:
        print("computing")
        return 7

    @step
    def total(self, n: int = price.result) -> int:
        return 2 * n
"""


@pytest.fixture
def priced(shell: Shell) -> Shell:
    """A shell in a folder with such a workflow, of which a run has ended."""
    shell.write("priced.py", FLOW)
    assert "computing" in shell("run", "priced.py", "--run-id", "one").out
    return shell


def test_a_hit_is_told(priced: Shell):
    """While the run is shown, afterwards, and in its log."""
    said = priced("run", "priced.py", "--run-id", "two")
    shown, log = priced("show", "two"), priced("events", "two")

    assert 0 == said.code
    assert "computing" not in said.out
    assert "  + price  cached: run one" in said.lines
    assert "  + price  cached: run one" in shown.lines
    assert [["cache.hit", "price", "run", "one"]] == [line.split()[2:] for line in log.lines if "cache.hit" in line]


def test_a_hit_is_told_to_programs(priced: Shell):
    """In the document of its step, and as an event."""
    events = priced("run", "priced.py", "--run-id", "two", "--json").json_lines
    steps = priced("show", "two", "--json").json["steps"]

    (hit,) = [event for event in events[:-1] if event["kind"] == "cache.hit"]
    assert ("two", "price", "one", 64) == (hit["run"], hit["step"], hit["cached_from"], len(hit["key"]))
    assert ["one", None] == [each["cached_from"] for each in steps]


def test_nothing_is_taken_on_request(priced: Shell):
    """And what is computed then takes the place of what was kept."""
    said = priced("run", "priced.py", "--run-id", "two", "--no-cache")
    later = priced("run", "priced.py", "--run-id", "three")

    assert "computing" in said.out
    assert "  + price  cached: run two" in later.lines


def test_live():
    """The step is never in flight; its line scrolls up."""
    scene = scene_of(Beginning(dag=compile_workflow(make_workflow("Flow", {"a": lambda: 1}))))
    hit = CacheHit(seq=2, at=100.0, step="a", key="k", run="R0")

    scene.apply(hit)
    scene.apply(StepCompleted(seq=3, at=100.0, step="a", output="1"))

    assert ["  + a  cached: run R0"] == [line.text for line in scene.fresh]
    assert {} == scene.in_flight
    assert event_line(hit).text.endswith("cache.hit         a  run R0")
