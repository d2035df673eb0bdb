"""A trace over processes, of which one is killed; and what a process without OpenTelemetry does."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.telemetry.traces import Seen, check_whole, paths


def shop(place: Path, how: str) -> int:
    """Run `tests.telemetry.shop`; what it ended with."""
    spans = place / f"{how}.jsonl"
    spans.touch()
    command = [sys.executable, "-m", "tests.telemetry.shop", f"sqlite:///{place / 'r.db'}", str(spans), how]
    return subprocess.run(command, check=False, capture_output=True, timeout=100).returncode


def exported(path: Path) -> list[Seen]:
    return [read(json.loads(line)) for line in path.read_text().splitlines()]


def read(span: dict[str, Any]) -> Seen:
    return Seen(
        span["context"]["trace_id"][2:], span["context"]["span_id"][2:], (span["parent_id"] or "")[2:], span["name"],
        span["start_time"], span["end_time"], span["attributes"], [each["name"] for each in span["events"]],
        [each["context"]["span_id"][2:] for each in span["links"]], span["status"]["status_code"],
        span["status"].get("description", ""),
    )  # fmt: skip


def test_a_run_that_is_killed_and_resumed_is_one_trace(tmp_path: Path):
    """Each span is exported once, by whoever wrote its end, and lies in one that is exported, too."""
    assert -signal.SIGKILL == shop(tmp_path, "die")
    assert 0 == shop(tmp_path, "finish")

    first, second = exported(tmp_path / "die.jsonl"), exported(tmp_path / "finish.jsonl")
    # The second one was asked, too, but by then the run was there.
    (asked,) = [span for span in second if span.name == "request"]
    spans = [*first, *second]
    spans.remove(asked)
    assert [
        "request",
        "request / Shop / check / check item / check item attempt: completed",
        "request / Shop / check / check item / check item attempt: completed",
        "request / Shop / check / check item: completed",
        "request / Shop / check / check item: completed",
        "request / Shop / check: completed",
        "request / Shop / orders / orders attempt: completed",
        "request / Shop / orders: completed",
        "request / Shop / ship / Parcel / carry / carry attempt / drive",
        "request / Shop / ship / Parcel / carry / carry attempt / drive",
        "request / Shop / ship / Parcel / carry / carry attempt: completed",
        "request / Shop / ship / Parcel / carry / carry attempt: lost",
        "request / Shop / ship / Parcel / carry: completed",
        "request / Shop / ship / Parcel / label / label attempt / print",
        "request / Shop / ship / Parcel / label / label attempt: completed",
        "request / Shop / ship / Parcel / label: completed",
        "request / Shop / ship / Parcel: completed",
        "request / Shop / ship / ship attempt: waiting",
        "request / Shop / ship: completed",
        "request / Shop / thank / thank attempt / mail",
        "request / Shop / thank / thank attempt: completed",
        "request / Shop / thank: completed",
        "request / Shop: completed",
    ] == paths(spans)
    assert {"Parcel", "Shop", "carry", "carry attempt", "ship", "thank", "thank attempt", "mail", "drive"} == {
        span.name for span in second
    } - {"request"}
    lost, again = [span for span in second if span.name == "carry attempt"]
    assert ("ERROR", "its process died") == (lost.status, lost.described)
    assert [lost.id] == again.links
    by_id = check_whole(spans)
    for name in ("Shop", "Parcel"):
        (run,) = [span for span in spans if span.name == name]
        assert {"run.resumed"} == set(run.notes)
        if name == "Parcel":
            assert [run.id] == by_id[run.parent].links


def test_nothing_is_imported_that_the_process_has_not():
    """Without OpenTelemetry of its own a process does not load it; with the API alone nothing is traced."""
    code = """
import sys, orchwf
from orchwf import step, workflow, Client, Orchestrator

@workflow
class Flow:
    @step
    def one(self) -> int: return 1

orchwf.run(Flow(), store="memory:")
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
import opentelemetry.trace
orchwf.run(Flow(), store="memory:")
assert "orchwf.observers.tracing" not in sys.modules
"""

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=100)

    assert (0, "") == (done.returncode, done.stderr)
