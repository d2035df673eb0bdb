"""What is drawn on a terminal while a run is executed."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Sequence

import pytest
from rich.console import Console

from orchwf import make_workflow, step
from orchwf.blobs.references import content
from orchwf.cli.documents import event_document
from orchwf.cli.live import LiveDisplay
from orchwf.cli.output import Output, wrapped
from orchwf.cli.scene import Beginning, scene_of
from orchwf.core.dag import Dag, dag_of
from orchwf.core.events import (
    CompensationCompleted,
    CompensationFailed,
    CompensationStarted,
    ErrorInfo,
    Event,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepHeartbeat,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from orchwf.core.lines import Line
from orchwf.core.state import RunStatus, StepStatus
from orchwf.ports import RunRecord
from tests.cli.console import Shell, steady

RECORD = RunRecord(
    id="r", workflow="Flow", version="1", fingerprint="f", entrypoint="", status=RunStatus.RUNNING, metadata={},
    tags={}, created_at=0.0,
)  # fmt: skip


def flow(size: int) -> Dag:
    return dag_of(make_workflow("Flow", [step(name=f"s{at:04}")(lambda: 1) for at in range(size)]))


def started(name: str, seq: int = 1) -> StepStarted:
    return StepStarted(seq=seq, at=100.0, step=name, attempt=1)


def on_a_terminal(width: int = 80, height: int = 24) -> tuple[Output, io.StringIO]:
    output, screen = Output(), io.StringIO()
    output.console = Console(file=screen, force_terminal=True, width=width, height=height, color_system=None)
    return output, screen


def test_scene_is_bounded():
    """Of thousands of steps in flight a few have a line; the rest is counted."""
    scene = scene_of(Beginning(dag=flow(5000)))
    for at in range(3000):
        scene.apply(started(f"s{at:04}"))

    lines = scene.lines(now=102.0, limit=12)

    assert 12 == len(lines)
    assert "  > s0000  2.0 s" == lines[0].text
    assert lines[-1].text.endswith("3,000 running, 2,000 to do   (2,989 more in flight)")
    assert [] == scene.fresh


def test_what_ended_scrolls_up():
    """Of few steps each end is told; of many only what did not go well."""
    for size, expected in ((2, ["  + s0000  1.0 s"]), (500, [])):
        scene = scene_of(Beginning(dag=flow(size)))
        scene.apply(started("s0000"))

        scene.apply(StepCompleted(seq=2, at=101.0, step="s0000", attempt=1, output="1"))

        assert expected == [line.text for line in scene.fresh]


def test_a_wait_is_counted_down():
    """A step that is to be tried again says when, and why."""
    scene = scene_of(Beginning(dag=flow(2)))
    scene.apply(started("s0000"))
    error = ErrorInfo("builtins.ValueError", "no")

    scene.apply(StepRetrying(seq=2, at=101.0, step="s0000", attempt=1, error=error, delay=5.0, due_at=106.0))

    assert "  ~ s0000  again in 4.0 s: ValueError: no" == scene.lines(102.0, 5)[0].text
    assert "  ~ s0000  attempt 1/1 failed, again in 5.0 s: ValueError: no" == scene.fresh[0].text


def test_progress_stands_beside_the_step():
    """What the body said last, as text; a sign of life alone says nothing."""
    scene = scene_of(Beginning(dag=flow(2)))
    scene.apply(started("s0000"))

    shown = []
    for progress in ("null", '"half"', '{"row":3,"of":"ten"}', "0.5"):
        scene.apply(StepHeartbeat(seq=2, at=101.0, step="s0000", attempt=1, progress=progress))
        shown.append(scene.lines(102.0, 5)[0].text)
    scene.apply(StepCompleted(seq=3, at=102.0, step="s0000", attempt=1, output="1"))

    assert ["", "  half", "  row=3 of=ten", "  0.5"] == [line.removeprefix("  > s0000  2.0 s") for line in shown]
    assert ["  + s0000  2.0 s"] == [line.text for line in scene.fresh]


def test_steps_that_are_being_undone():
    """They are in flight like others; what came of it scrolls up."""
    scene = scene_of(Beginning(dag=flow(2)))
    error = ErrorInfo("builtins.ValueError", "no")

    scene.undo(CompensationStarted(seq=1, at=100.0, step="s0000", attempt=1))
    flying = scene.lines(102.0, 5)[0].text
    scene.undo(CompensationFailed(seq=2, at=102.0, step="s0000", attempt=1, error=error, delay=5.0, due_at=107.0))
    waiting = scene.lines(103.0, 5)[0].text
    scene.undo(CompensationStarted(seq=3, at=107.0, step="s0000", attempt=2))
    again = scene.lines(108.0, 5)[0].text
    scene.undo(CompensationCompleted(seq=4, at=108.0, step="s0000", attempt=2))

    assert "  > s0000  undoing  2.0 s" == flying
    assert "  ~ s0000  undoing  again in 4.0 s: ValueError: no" == waiting
    assert "  > s0000  undoing  1.0 s  attempt 2" == again
    assert ["  ~ s0000  could not be undone, again in 5.0 s: ValueError: no", "  + s0000  undone"] == [
        line.text for line in scene.fresh
    ]
    assert 1 == len(scene.lines(109.0, 5))


async def test_what_a_fork_keeps_is_not_told_again():
    """It counts as done, and the opening has named it."""
    output, screen = on_a_terminal()
    beginning = Beginning(dag=flow(2), kept={"s0000": StepStatus.COMPLETED}, opening=[Line("  keeps  s0000")])
    display = LiveDisplay(output, beginning)
    events: Sequence[Event] = [
        RunStarted(seq=1, at=99.0, workflow="Flow", version="1", fingerprint="f", inputs="{}", origin="o"),
        StepCompleted(seq=2, at=99.0, step="s0000", output="1"),
        started("s0001", 3),
        CompensationCompleted(seq=4, at=99.0, step="s0001", attempt=1),
    ]

    async with display:
        display.told(RECORD, events)

    assert "> Flow run r   2 steps, forked from o\n  keeps  s0000\n  + s0001  undone\n" in screen.getvalue()
    assert "1 done, 1 running" in screen.getvalue()


def test_skips_are_bounded():
    """One failure that leaves thousands of steps out does not flood the screen."""
    scene = scene_of(Beginning(dag=flow(1000)))

    for at in range(1000):
        scene.apply(StepSkipped(seq=at + 1, at=1.0, step=f"s{at:04}", reason="x failed", cause="failure"))

    assert 20 == len(scene.fresh)


def test_completed_steps_of_a_resumed_run_count():
    """What is kept is counted as done from the beginning."""
    scene = scene_of(Beginning(dag=flow(3), kept={"s0000": StepStatus.COMPLETED}))

    assert "  <1 ms: 1 done, 2 to do" == scene.lines(scene.begun_at, 5)[-1].text


async def test_frames():
    """Whatever happens between two frames is one write; the end leaves nothing but what scrolled up."""
    output, screen = on_a_terminal()
    display = LiveDisplay(output, Beginning(dag=flow(2)))
    events: Sequence[Event] = [
        RunStarted(seq=1, at=99.0, workflow="Flow", version="1", fingerprint="f", inputs="{}"),
        started("s0000", 2),
        StepFailed(seq=3, at=101.0, step="s0000", attempt=1, error=ErrorInfo("ValueError", "[bold]no")),
    ]

    async with display:
        display.told(RECORD, events)
        before = screen.getvalue()
        display.say(Line("! stopping"))

    assert "Flow run r" not in before
    text = screen.getvalue()
    assert "> Flow run r   2 steps\n  x s0000  attempt 1/1  ValueError: [bold]no\n! stopping\n" in text
    assert text.index("\x1b[?25l") < text.index("\x1b[?25h")


@pytest.mark.parametrize("width", [40, 80])
def test_long_lines_break_between_words(width: int):
    """On a terminal a long line goes on below, indented; elsewhere it stays whole."""
    line = Line("  x validate  " + "word " * 40, "failed")

    parts = wrapped(line, width)

    assert all(len(part.text) <= width for part in parts)
    assert all(part.text.startswith("      word") for part in parts[1:])
    assert [line] == wrapped(line, None)


def terminal() -> tuple[int, int]:
    """Both ends of a terminal; the test is skipped where the system has none to give."""
    try:
        return pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal: {error}")


def test_on_a_real_terminal(shell: Shell):
    """The whole program on a terminal: its cursor is back, and the summary is the last thing."""
    primary, secondary = terminal()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
    command = [sys.executable, "-m", "orchwf", "run", "sales.py", "--run-id", "bad"]

    process = subprocess.Popen(command, cwd=shell.folder, stdout=secondary, stderr=secondary, env=environment)
    os.close(secondary)
    text = _read_all(primary)
    code = process.wait(timeout=30)

    assert 1 == code
    assert "\x1b[31mx\x1b[0m load" not in text
    assert "\x1b[1;31mx\x1b[0m" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "Mend the code, then:  orchwf resume bad" in text.splitlines()[-1]


def test_no_color_on_a_terminal(shell: Shell):
    """NO_COLOR and --no-color leave neither colours nor bold."""
    shell("run", "sales.py", "--run-id", "bad")
    texts = []
    for words, variables in ((["--no-color"], {}), ([], {"NO_COLOR": "1"})):
        primary, secondary = terminal()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **variables}

        process = subprocess.Popen(
            [sys.executable, "-m", "orchwf", "show", *words], cwd=shell.folder, stdout=secondary, env=environment
        )
        os.close(secondary)
        texts.append(_read_all(primary))
        process.wait(timeout=30)

    assert ["\x1b" in text for text in texts] == [False, False]
    assert "x DailySales run bad failed" in steady(texts[0])


def _read_all(descriptor: int) -> str:
    read = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # The other end is closed.
            chunk = b""
        if not chunk:
            os.close(descriptor)
            return read.decode().replace("\r\n", "\n")
        read += chunk


def test_a_large_output_that_is_elsewhere_is_told_by_its_key():
    """A line for a program says where it is and how large; `events` prints it."""
    large = content('"' + "x" * 10 + '"')[0]

    document = event_document("r", StepCompleted(seq=1, at=0.0, step="a", attempt=1, output=large.text))

    assert (None, large.key, 12) == (document["output"], document["blob"], document["size"])
