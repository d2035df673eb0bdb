"""An application that is told to end by signals."""

import signal
import subprocess
import time

import pytest

from orchwf.core import events as ev
from tests.processes.application import COMPLETED, INTERRUPTED, OWN
from tests.processes.place import PATIENCE, Place, kinds

_LONG = 4 * PATIENCE
"""Seconds of grace that no test lives to see the end of."""

_SLACK = 15.0
"""Seconds that an end may take beside the grace, which is a second or two where the machine is not busy."""


def application(place: Place, workflow: str, grace: float, until: str = "result") -> "subprocess.Popen[bytes]":
    return place.begin("tests.processes.application", place.url, workflow, str(grace), until)


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, list[str]]:
    """The exit code, and what it said."""
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said.decode().splitlines()


def check_goes_on(place: Place, workflow: str) -> list[str]:
    """The next process completes the run, which was left in good order; the steps that began in it."""
    assert (COMPLETED, ["handlers are back"]) == ended(application(place, workflow, 1))
    record, log = place.read()
    assert "completed" == str(record.status)
    assert ["shutdown"] == [event.reason for event in log if isinstance(event, ev.RunResumed)]
    return kinds(log)


@pytest.mark.parametrize(("number", "until"), [(signal.SIGTERM, "result"), (signal.SIGINT, "events")])
def test_the_first_signal_lets_an_application_end_in_good_order(place: Place, number: signal.Signals, until: str):
    """
    Bodies are told, what ends in its grace is kept, whoever waits gets an error, the program chooses its exit code,
    its own handlers are called and come back, and the run can be resumed at once.
    """
    process = application(place, "Polite", 0.5, until)
    place.until("look", 1, "begin")
    place.until("wait", 1, "begin")

    process.send_signal(number)

    assert (INTERRUPTED, [OWN[number], "RunInterruptedError", "handlers are back"]) == ended(process)
    assert [("look", 1)] == place.noted("end")
    assert [("wait", 1)] == place.noted("cancelled")
    record, log = place.read()
    assert ("running", None) == (str(record.status), record.owner)
    assert ["run.started", "step.started look", "step.started wait", "step.completed look"] == kinds(log)
    assert ["run.resumed", "step.started wait", "step.completed wait", "step.started last"] == (
        check_goes_on(place, "Polite")[4:8]
    )


@pytest.mark.parametrize("workflow", ["Polite", "Stubborn"])
@pytest.mark.parametrize("until", ["result", "signal"])
def test_the_second_signal_ends_an_application_at_once(place: Place, workflow: str, until: str):
    """Whatever runs, and also where the first one let the program leave its orchestrator."""
    body = {"Polite": "wait", "Stubborn": "go_on"}[workflow]
    process = application(place, workflow, _LONG, until)
    place.until(body, 1, "begin")

    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert b"own SIGTERM\n" == process.stdout.readline()
    if workflow == "Polite":
        # Now the grace runs, in which the other body waits on.
        place.until("look", 1, "end")
    process.send_signal(signal.SIGTERM)

    assert (128 + signal.SIGTERM, []) == ended(process)
    assert "ended at once; what was done is kept" in place.errors.read_text()
    record, _ = place.read()
    assert "running" == str(record.status)


@pytest.mark.parametrize(("workflow", "body"), [("Stubborn", "go_on"), ("Stuck", "hang")])
@pytest.mark.parametrize("grace", [0, 0.5])
def test_a_body_that_does_not_end_keeps_no_application(place: Place, workflow: str, body: str, grace: float):
    """A coroutine that swallows its cancellation, and a thread that never returns: the grace and a second or two."""
    process = application(place, workflow, grace)
    place.until(body, 1, "begin")

    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    outcome = ended(process)

    assert (INTERRUPTED, ["own SIGTERM", "RunInterruptedError", "handlers are back"]) == outcome
    assert time.monotonic() - began < grace + _SLACK
    assert f"step.started {body}" == check_goes_on(place, workflow)[-3]
