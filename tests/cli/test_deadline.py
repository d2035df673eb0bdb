"""How the process of a command is ended that was told to and does not end; the ending itself is only noted here."""

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Iterator

import pytest

from orchwf.cli.leaving import Deadline, leave_threads_behind
from tests.runtime.flows import PATIENCE

WORDS = "! ended; go on with: orchwf resume s"


@pytest.fixture
def codes(monkeypatch: pytest.MonkeyPatch) -> "queue.Queue[int]":
    """The exit codes with which the process would have ended."""
    ended: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr("orchwf.cli.leaving.os._exit", ended.put)
    return ended


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its ends to read and to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def told(limit: float, stream: int) -> Deadline:
    """A deadline that says its words there."""
    deadline = Deadline(limit)
    deadline.words, deadline.stream = WORDS, stream
    return deadline


def watcher() -> threading.Thread:
    """The thread of the newest deadline."""
    return [each for each in threading.enumerate() if each.name == "orchwf-deadline"][-1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_takes_too_long_is_ended(
    codes: "queue.Queue[int]", pipe: tuple[int, int], number: signal.Signals, code: int
):
    """It says how to go on, and the code is that of the signal."""
    deadline = told(0, pipe[1])

    deadline.begin(number)

    assert code == codes.get(timeout=PATIENCE)
    assert f"{WORDS}\n".encode() == os.read(pipe[0], 1000)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals to open")
def test_a_terminal_gets_its_cursor_back(codes: "queue.Queue[int]"):
    """It may be hidden while a run is shown."""
    ours, terminal = os.openpty()
    deadline = told(0, terminal)

    deadline.begin(signal.SIGINT)
    code = codes.get(timeout=PATIENCE)
    shown = os.read(ours, 1000)
    os.close(terminal)
    os.close(ours)

    assert (130, f"\x1b[?25h{WORDS}\r\n".encode()) == (code, shown)


def test_who_does_not_read_keeps_no_process(codes: "queue.Queue[int]", pipe: tuple[int, int]):
    """Nothing is said where that would have to be waited for."""
    os.set_blocking(pipe[1], False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe[1], b"x" * 1000)
    os.set_blocking(pipe[1], True)
    deadline = told(0, pipe[1])

    deadline.begin(signal.SIGINT)

    assert 130 == codes.get(timeout=PATIENCE)


def test_an_output_that_is_closed_keeps_no_process(codes: "queue.Queue[int]"):
    """There is nobody to say it to."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    deadline = told(0, writing)

    deadline.begin(signal.SIGINT)

    assert 130 == codes.get(timeout=PATIENCE)


def test_a_process_that_ends_in_time_is_left_alone(codes: "queue.Queue[int]"):
    """Nothing watches it any more."""
    deadline = Deadline(PATIENCE)
    thread = watcher()

    deadline.begin(signal.SIGINT)
    deadline.lift()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert codes.empty()


def test_when_all_is_told_what_is_left_has_a_moment(
    codes: "queue.Queue[int]", pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    """Then it is ended without another word."""
    monkeypatch.setattr("orchwf.cli.leaving._MOMENT", 0)
    deadline = told(PATIENCE, pipe[1])

    deadline.begin(signal.SIGTERM)
    deadline.hasten()
    code = codes.get(timeout=PATIENCE)
    deadline.lift()
    os.write(pipe[1], b".")

    assert (143, b".") == (code, os.read(pipe[0], 1000))


def test_who_was_not_told_to_end_is_not_hastened(codes: "queue.Queue[int]", monkeypatch: pytest.MonkeyPatch):
    """A command that has done its work ends by itself."""
    monkeypatch.setattr("orchwf.cli.leaving._MOMENT", 0)
    deadline = Deadline(0)

    deadline.hasten()
    for thread in threading.enumerate():
        if thread.name == "orchwf-moment":
            thread.join(PATIENCE)
    deadline.lift()

    assert codes.empty()


def test_threads_that_are_not_ours_are_left_behind(codes: "queue.Queue[int]", capfd: pytest.CaptureFixture[str]):
    """Python would wait for them; what was printed before is there."""
    go_on = threading.Event()
    thread = threading.Thread(target=go_on.wait)
    thread.start()
    print("done", end="")

    leave_threads_behind(130)
    go_on.set()
    thread.join()

    assert 130 == codes.get_nowait()
    assert "done" == capfd.readouterr().out


def test_without_other_threads_the_process_ends_as_any(codes: "queue.Queue[int]", monkeypatch: pytest.MonkeyPatch):
    """With all that is done at its exit; threads that Python does not wait for do not count."""
    ours = [threading.main_thread(), threading.Thread(daemon=True)]
    monkeypatch.setattr("orchwf.cli.leaving.threading.enumerate", lambda: ours)

    leave_threads_behind(130)

    assert codes.empty()
