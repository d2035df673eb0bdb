"""Runs that undo what they did: what is told while they do, at the end, and later."""

import pytest

from tests.cli.console import Shell

TRIP = """\
import os

from orchwf import step, workflow


@workflow
class Trip:
    @step
    def flight(self) -> str:
        return "flight"

    @flight.compensate(retries=RETRIES)
    def cancel_flight(self, flight: str) -> None:
        if "BROKEN" in os.environ:
            raise ConnectionError("the airline does not answer")

    @step(depends_on=[flight])
    def hotel(self) -> str:
        return "hotel"

    @hotel.compensate
    def cancel_hotel(self, hotel: str) -> None:
        pass

    @step(depends_on=[hotel], on_exhausted=os.environ.get("EXHAUSTED", "fail"))
    def pay(self) -> int:
        if "MONEY" not in os.environ:
            raise ValueError("no money")
        return 1
"""
"""Its last step fails, and the flight cannot be cancelled while BROKEN is in the environment."""

UNDONE = """\
> Trip run t   3 steps
  > flight
  + flight  TIME
  > hotel
  + hotel   TIME
  > pay
  x pay     attempt 1/1  ValueError: no money
  > hotel   undoing
  + hotel   undone
  > flight  undoing
  + flight  undone
x Trip run t failed in TIME   (2 done, 1 failed)
  x pay  attempt 1/1  ValueError: no money
      trip.py:28 in pay
        raise ValueError("no money")
  undone: hotel, flight
  Mend the code, then:  orchwf fork t --from pay      (what was undone runs again)
"""

NOT_UNDONE = """\
x Trip run t failed in TIME   (2 done, 1 failed)
  x pay  attempt 1/1  ValueError: no money
      trip.py:28 in pay
        raise ValueError("no money")
  undone: hotel
  x flight  could not be undone: ConnectionError: the airline does not answer
      trip.py:15 in cancel_flight
        raise ConnectionError("the airline does not answer")
  To try again what could not be undone:  orchwf resume t
"""


@pytest.fixture
def trip(shell: Shell) -> Shell:
    """A shell with the flow above."""
    shell.write("trip.py", TRIP.replace("RETRIES", "0"))
    return shell


def test_undone(trip: Shell):
    """Each step that is undone is told, in that order; going on means a new run that reuses what is left."""
    said = trip("run", "trip.py", "--run-id", "t")
    shown, refused = trip("show"), trip("resume", "t")

    assert (1, "") == (said.code, said.err)
    assert UNDONE.splitlines() == said.lines
    assert ["  + flight  TIME, undone", "  + hotel   TIME, undone"] == shown.lines[7:9]
    assert 2 == refused.code
    assert "what it did is undone: there is nothing to resume" in refused.err
    assert "orchwf fork t --from STEP" in refused.err


def test_not_undone_and_tried_again(trip: Shell, monkeypatch: pytest.MonkeyPatch):
    """What could not be undone says why and where, and a resume tries only that again."""
    monkeypatch.setenv("BROKEN", "1")
    failed = trip("run", "trip.py", "--run-id", "t", "-q")
    shown, document = trip("show"), trip("show", "--json").json
    monkeypatch.delenv("BROKEN")
    resumed = trip("resume")

    assert NOT_UNDONE.splitlines() == failed.lines
    assert "  + flight  TIME, could not be undone: ConnectionError: the airline does not answer" in shown.lines
    assert "failed" == document["compensation"]
    assert ["failed", "completed", None] == [
        step["compensation"] and step["compensation"]["status"] for step in document["steps"]
    ]
    assert [
        "> Trip run t resumed",
        "  done   hotel   (undone)",
        "  undo   flight   (ConnectionError: the airline does not answer)",
        "  > flight  undoing, attempt 2",
        "  + flight  undone",
    ] == resumed.lines[:5]
    assert 1 == resumed.code
    assert "  undone: hotel, flight" in resumed.lines


def test_picture_of_what_was_undone(trip: Shell, monkeypatch: pytest.MonkeyPatch):
    """The graph of a run says it beside each step."""
    monkeypatch.setenv("BROKEN", "1")
    trip("run", "trip.py", "--run-id", "t")

    lines = trip("show", "--graph").lines

    assert "+ flight  completed TIME, could not be undone" in lines
    assert "+ hotel  completed TIME, undone" in lines


def test_attempts_to_undo(shell: Shell, monkeypatch: pytest.MonkeyPatch):
    """An attempt to undo that failed and is made again is told while it happens, and later."""
    shell.write(
        "trip.py",
        TRIP.replace("RETRIES", "orchwf.Retry(1, initial=0)").replace("import os", "import os\nimport orchwf"),
    )
    monkeypatch.setenv("BROKEN", "1")

    said, shown, events = shell("run", "trip.py"), shell("show"), shell("events")

    assert "  ~ flight  could not be undone, again in <1 ms: ConnectionError: the airline does not answer" in (
        said.out.splitlines()
    )
    assert "  x flight  could not be undone in 2 attempts: ConnectionError: the airline does not answer" in said.lines
    assert "      attempt 1 to undo it  TIME  ConnectionError: the airline does not answer" in shown.lines
    kinds = [line.split()[2] for line in events.out.splitlines()]
    assert 2 == kinds.count("compensation.failed")
    columns = {line.index("flight") for line in events.out.splitlines() if "flight" in line}
    assert 1 == len(columns)


def test_cancelled_and_undone(trip: Shell, monkeypatch: pytest.MonkeyPatch):
    """Who cancels a paused run sees it being undone."""
    monkeypatch.setenv("EXHAUSTED", "pause")
    assert 1 == trip("run", "trip.py", "--run-id", "t").code

    said = trip("cancel", "t", "--reason", "enough")

    assert 0 == said.code
    assert [
        "  / pay     cancelled: the run was cancelled: enough",
        "  > hotel   undoing",
        "  + hotel   undone",
        "  > flight  undoing",
        "  + flight  undone",
    ] == said.lines[:5]
    assert ["  enough", "  / pay  cancelled: the run was cancelled: enough", "  undone: hotel, flight"] == said.lines[
        6:
    ]


def test_cancelled_and_not_undone(trip: Shell, monkeypatch: pytest.MonkeyPatch):
    """That is no success; it can be tried again, though the run is cancelled."""
    monkeypatch.setenv("EXHAUSTED", "pause")
    monkeypatch.setenv("BROKEN", "1")
    trip("run", "trip.py", "--run-id", "t")

    said = trip("cancel", "t", "--json")
    shown = trip("show", "t")
    monkeypatch.delenv("BROKEN")
    resumed, again = trip("resume", "t"), trip("resume", "t")

    assert (1, "cancelled") == (said.code, said.json["status"])
    assert "  To try again what could not be undone:  orchwf resume t" in shown.lines
    assert "  + flight  undone" in resumed.lines
    assert "/ Trip run t cancelled in TIME   (2 done, 1 cancelled)" in resumed.lines
    assert 2 == again.code


def test_terminated_and_not_undone(trip: Shell, monkeypatch: pytest.MonkeyPatch):
    """Nothing is undone."""
    monkeypatch.setenv("EXHAUSTED", "pause")
    trip("run", "trip.py", "--run-id", "t")

    said = trip("cancel", "t", "--terminate")

    assert (0, ["/ run t is cancelled"]) == (said.code, said.lines)
    assert "" == trip("show", "--json").json["compensation"]
