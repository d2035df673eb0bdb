"""Logs that the views of a store show to people, and what they should say of them."""

import random
from collections.abc import Sequence

import attrs
import pytest

from orchwf.core import events as ev
from orchwf.core.events import Event
from orchwf.core.history import History, StepRecord
from orchwf.core.outcome import TakenUp
from orchwf.core.rows import ITEMS
from orchwf.core.state import RunStatus
from tests.histories import histories
from tests.kernel.test_replay_items import WideStory

from .samples import ERROR, NOW, completed, started

STORIES = histories(150)
"""How many random lives the views are compared with."""

RUN_STARTED = ev.RunStarted(seq=1, at=NOW, workflow="Orders", version="1", fingerprint="f1", inputs="{}")

FAILING = (
    RUN_STARTED,
    started(2, "charge"),
    started(3, "risk"),
    started(4, "pack"),
    ev.StepFailed(seq=5, at=NOW + 5, step="risk", attempt=1, error=ERROR),
    completed(6, "pack"),
    started(7, "report"),
    ev.StepSkipped(seq=8, at=NOW + 8, step="thank", reason="off", cause="when"),
    ev.StepFailed(seq=9, at=NOW + 9, step="charge", attempt=1, error=ERROR),
    ev.StepCancelled(seq=10, at=NOW + 10, step="report", attempt=1, reason="failing", cause="failure"),
    ev.StepSkipped(seq=11, at=NOW + 11, step="ship", reason="failing", cause="failure"),
    ev.RunFailed(seq=12, at=NOW + 12, steps=("charge",), error="CardError: declined"),
)
RETRIED = (*FAILING, ev.RunResumed(seq=13, at=NOW + 13, reason="retry", fingerprint="f1"))
TRIED_AGAIN = (
    *RETRIED,
    started(14, "charge", 2),
    completed(15, "charge"),
    started(16, "ship"),
    started(17, "report", 2),
)
KILLED = (*TRIED_AGAIN, ev.RunResumed(seq=18, at=NOW + 18, reason="takeover", fingerprint="f1"))

each_log = pytest.mark.parametrize(
    "log", [FAILING, RETRIED, TRIED_AGAIN, KILLED], ids=["failing", "retried", "again", "killed"]
)
HEADLINES = [
    ("ValueError", "bad", "ValueError: bad"),
    ("a.b.Outer.Inner", "two\nlines", "Inner: two"),
    ("a.ValueError", "", "ValueError"),
    ("a.ValueError", 'a.b: it\'s "x"', 'ValueError: a.b: it\'s "x"'),
]
"""Class and message of an error, and what is shown of it."""


def moments() -> dict[str, list[Event]]:
    """Logs of random runs, each whole, and as it stood at some moment before, after the last resume for one."""
    logs: dict[str, list[Event]] = {}
    for seed in range(STORIES):
        log = lived(seed)
        resumes = [event.seq for event in log if isinstance(event, ev.RunResumed)]
        ends = {len(log), random.Random(seed).randint(1, len(log)), *resumes[-1:]}
        logs |= {f"{seed}-{end}": log[:end] for end in ends}
    return logs


def statuses_of_history(log: Sequence[Event]) -> list[tuple[object, ...]]:
    """What the view of steps should say of each, in short: name, status, and how many attempts there were."""
    steps = History("A1").extend(log).steps
    return [(name, step.status.value, len(step.attempts)) for name, step in sorted(steps.items())]


def lived(seed: int) -> list[Event]:
    """The log of a random run with items, waits and children, which somebody may have resumed when it had failed."""
    story = WideStory(seed, resets=seed % 3 * 0.1)
    story.live(crashes=0.1)
    for _ in range(seed % 3):
        run = story.machine.run
        if run.status is not RunStatus.FAILED or run.effects.outcome == "done":
            break
        story.machine, story.ready = story.replayed(), []
        story.follow(TakenUp(fingerprint="f", by_hand=True))
        story.live(crashes=0.1)
    return [attrs.evolve(event, at=float(round(event.at))) for event in story.log]


def of_history(log: Sequence[Event]) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What the views should say of the steps of a run with this log, and of their items."""
    history = History("A1").extend(log)
    steps = [(name, *_row(record)) for name, record in sorted(history.steps.items())]
    items = [
        (name, each.item, *_row(each))
        for name, record in sorted(history.steps.items())
        for each in record.present
        # The others are known by their number only.
        if each.item in record.items
    ]
    return steps, items


def _row(record: StepRecord) -> tuple[object, ...]:
    output = None if record.output == ITEMS else record.output
    is_over = record.status.is_final
    return (
        str(record.status), len(record.attempts), record.started_at, record.ended_at if is_over else None,
        output if is_over else None, record.reason or None,
    )  # fmt: skip
