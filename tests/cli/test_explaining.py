"""What `orchwf explain` says of a step, wherever it may be."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from orchwf import Quorum, signal, sleep, step, workflow
from orchwf.core import events as ev
from orchwf.core.dag import Dag, dag_of
from orchwf.core.events import ErrorInfo, Event
from orchwf.core.history import History, StepRecord
from orchwf.core.plan import Plan
from orchwf.core.slots import Holding, Slot
from orchwf.core.standing import Standing
from orchwf.ports import RunRecord
from orchwf.runtime.result import RunResult
from orchwf.views import Explanation, Known, explain
from tests.cli.console import Shell

NOW = 1_000.0
BROKEN = ErrorInfo("builtins.ValueError", "no")


@workflow
class Chain:
    @step(retries=2, timeout=60)
    async def first(self) -> list[int]:
        return [1]

    @step
    def second(self, first: list[int]) -> int:
        return 2

    @step(depends_on=[second])
    def third(self) -> int:
        return 3

    @step(depends_on=[third])
    def fourth(self) -> int:
        return 4


@workflow
class Joins:
    @step
    def a(self) -> int:
        return 1

    @step
    def b(self) -> int:
        return 2

    @step
    def c(self) -> int:
        return 3

    @step(depends_on=[a, b, c], join=Quorum(2))
    def most(self) -> None: ...

    @step(depends_on=[a, b, c], join="first")
    def first(self) -> None: ...

    @step(depends_on=[a, b, c], join="settled")
    def clean(self) -> None: ...

    @step(depends_on=[a, b], join="any")
    def some(self) -> None: ...


@workflow
class Items:
    @step
    def rows(self) -> list[int]:
        return [1, 2]

    @step(max_parallel=1)
    def parse(self, row: int = rows.each) -> int:
        return row

    @step
    def check(self, row: int = parse.each) -> int:
        return row


@workflow
class Waits:
    paid = signal(int, timeout="1h")
    pause = sleep("1h")

    @step(required=False, queue="api", mutex="bank")
    def call(self) -> int:
        return 1


Happened = tuple[type[Event], dict[str, Any]]
"""The kind of an event, and what it has."""


def of(kind: type[Event], **fields: Any) -> Happened:
    return kind, fields


def started(dag: Dag) -> Event:
    return ev.RunStarted(seq=1, at=NOW - 10, workflow=dag.name, version="1", fingerprint=dag.fingerprint, inputs="{}")


def log(dag: Dag, happened: Sequence[Happened]) -> list[Event]:
    """The log of a run that began ten seconds ago: of each event the kind and what it has; they come a second apart."""
    events = [started(dag)]
    for at, (kind, fields) in enumerate(happened, 2):
        events.append(kind(seq=at, at=NOW - 11 + at, **fields))
    return events


def known_of(flow: type, happened: Sequence[Happened], **of_run: object) -> Known:
    """All that is known of a run to which that happened."""
    dag = dag_of(flow)
    events = log(dag, happened)
    history, standing = History("r1").extend(events), Standing("r1", Plan(dag))
    for event in events:
        standing.apply(event)
    fields: dict[str, object] = {
        "id": "r1", "workflow": dag.name, "version": "1", "fingerprint": dag.fingerprint, "entrypoint": "x:X",
        "status": history.status, "metadata": {}, "tags": {}, "created_at": NOW - 10, "owner": "somebody",
    }  # fmt: skip
    run = RunRecord(**(fields | of_run))  # type: ignore[arg-type]
    report = RunResult(run, history, dag).report(store="")
    return Known(run=run, report=report, now=NOW, standing=standing, origin=history.origin)


def told(
    flow: type, name: str, happened: Sequence[Happened], item: int | None = None,
    **of_run: object,
) -> Explanation:  # fmt: skip
    """What is said of a step of a run to which that happened."""
    known = known_of(flow, happened, **of_run)
    record: StepRecord = known.report.steps[name]
    if item is not None:
        record = record.present[item]
    return explain(known, record)


BEGUN = of(ev.StepStarted, step="first", attempt=1)
FAILED = of(ev.StepFailed, step="first", attempt=1, error=BROKEN)


def test_a_step_that_runs():
    """It says in which attempt, for how long, and when its time is over."""
    assert "runs in attempt 1 of 3, for 9.0 s; its time is over in 51 s" == told(Chain, "first", [BEGUN]).sentence


def test_a_step_that_waits_for_another():
    """It says where that one is."""
    said = told(Chain, "second", [BEGUN])

    assert "has not begun: it waits for first, which runs for 9.0 s" == said.sentence
    assert ("first",) == said.because


def test_a_step_far_behind_what_runs():
    """It says also what all of that waits for."""
    said = told(Chain, "fourth", [BEGUN])

    assert (
        "has not begun: it waits for third, which has not begun; all waits for first, which runs for 9.0 s"
        == said.sentence
    )
    assert ("third", "first") == said.because


def test_a_step_that_could_begin():
    """It waits for a place."""
    said = told(Chain, "first", [])

    assert "has not begun: it could begin, and waits for a free place where its run is executed" == said.sentence


def test_a_step_with_limits_that_could_begin():
    """It says which limits it has."""
    said = told(Waits, "call", [])

    assert "has not begun: it could begin, and waits for a place in queue 'api' and mutex 'bank'" == said.sentence


@pytest.mark.parametrize(
    ("limit", "told_of"),
    [
        ('["queue", "api"]', "held by fetch[2] of run other for 3.0 s"),
        ('["queue", "api", "acme"]', "held by fetch[2] of run other for 3.0 s (for 'acme')"),
        ('["mutex", "bank"]', "held by fetch[2] of run other for 3.0 s"),
        ('["queue", "apis"]', ""),
        ('["mutex", "bank", "other"]', ""),
    ],
)
def test_who_holds_what_a_step_waits_for(limit: str, told_of: str):
    """It names the steps that hold the places, the longest first; those of other limits are none of it."""
    slot = Slot(limit=limit, run_id="other", step="fetch", attempt=1, item=2)
    holding = Holding(slot=slot, owner="x", taken_at=NOW - 3)
    known = attrs.evolve(known_of(Waits, []), holdings=[holding])

    sentence = explain(known, known.report.steps["call"]).sentence

    assert sentence.partition("mutex 'bank'")[2].removeprefix(", ").startswith(told_of)
    assert bool(told_of) == ("held by" in sentence)


def test_many_hold_what_a_step_waits_for():
    """Three are named."""
    slots = [Slot(limit='["queue", "api"]', run_id=f"r{at}", step="fetch", attempt=1) for at in range(5)]
    holdings = [Holding(slot=slot, owner="x", taken_at=NOW - at) for at, slot in enumerate(slots)]
    known = attrs.evolve(known_of(Waits, []), holdings=holdings)

    sentence = explain(known, known.report.steps["call"]).sentence

    assert sentence.endswith(
        "fetch of run r4 for 4.0 s, fetch of run r3 for 3.0 s, fetch of run r2 for 2.0 s and 2 more"
    )


def test_a_step_that_is_tried_again():
    """It says when, and what the last attempt failed with."""
    again = of(ev.StepRetrying, step="first", attempt=1, error=BROKEN, delay=62.0, due_at=NOW + 54)

    said = told(Chain, "first", [BEGUN, again]).sentence

    assert said.startswith("is tried again in 54 s, at ")
    assert said.endswith(", as attempt 1 of 3 failed: ValueError: no")


def test_a_step_without_attempts_left():
    """It waits for somebody."""
    again = of(ev.StepRetrying, step="first", attempt=1, error=BROKEN, delay=None, due_at=None)
    paused = of(ev.RunPaused, reason="first has no attempts left", cause="exhausted")

    said = told(Chain, "first", [BEGUN, again, paused])

    assert said.sentence.startswith("has no attempts left, and waits for somebody to resume the run; attempt 1 of 3")


def test_a_step_of_a_paused_run():
    """It says what it waits for, and that the run is paused."""
    paused = of(ev.RunPaused, reason="the bank is closed", cause="request")

    said = told(Chain, "second", [BEGUN, of(ev.StepCompleted, step="first", attempt=1, output="[1]"), paused])

    assert "has not begun: its run is paused: the bank is closed" == said.sentence


def test_a_step_that_was_not_tried_again():
    """One that had attempts left says why there was no other."""
    said = told(Chain, "first", [BEGUN, FAILED])

    assert (
        "failed in attempt 1 of 3: ValueError: no; there was no other attempt, as it is not retried after such an error"
        == said.sentence
    )


@pytest.mark.parametrize(
    ("name", "sentence", "because"),
    [
        ("second", "was skipped, as first failed in attempt 1 of 3: ValueError: no", ("first",)),
        ("third", "was skipped, as second was, as first failed in attempt 1 of 3: ValueError: no", ("second", "first")),
        (
            "fourth",
            "was skipped, as third was, and so on over 1 step, as first failed in attempt 1 of 3: ValueError: no",
            ("third", "second", "first"),
        ),
    ],
)
def test_a_step_that_was_skipped(name: str, sentence: str, because: tuple[str, ...]):
    """It says with what that began, however far above."""
    skips = [
        of(ev.StepSkipped, step="second", reason="first failed", cause="failure"),
        of(ev.StepSkipped, step="third", reason="second was skipped", cause="failure"),
        of(ev.StepSkipped, step="fourth", reason="third was skipped", cause="failure"),
    ]

    said = told(Chain, name, [BEGUN, FAILED, *skips])

    assert sentence == said.sentence.replace(
        "; there was no other attempt, as it is not retried after such an error", ""
    )
    assert because == said.because


def test_a_step_that_was_skipped_by_its_condition():
    """It says which condition."""
    skipped = of(ev.StepSkipped, step="second", reason="runs only when first == 3", cause="when")

    assert "was skipped: runs only when first == 3" == told(Chain, "second", [skipped]).sentence


def test_a_step_that_skipped_itself():
    """It says what the body said."""
    skipped = of(ev.StepSkipped, step="first", attempt=1, reason="nothing to do", cause="body")

    assert "skipped itself: nothing to do" == told(Chain, "first", [BEGUN, skipped]).sentence


def test_a_step_that_completed_in_its_second_attempt():
    """It says what the first one failed with."""
    again = of(ev.StepRetrying, step="first", attempt=1, error=BROKEN, delay=1.0, due_at=NOW)
    second = of(ev.StepStarted, step="first", attempt=2)
    done = of(ev.StepCompleted, step="first", attempt=2, output="[1]")

    said = told(Chain, "first", [BEGUN, again, second, done]).sentence

    assert "completed in attempt 2 of 3 after 3.0 s; the one before failed: ValueError: no" == said


def test_a_step_from_the_cache():
    """It says which run computed its output."""
    hit = of(ev.CacheHit, step="first", key="k", run="r0")
    done = of(ev.StepCompleted, step="first", output="[1]")

    said = told(Chain, "first", [hit, done]).sentence

    assert "did not run: run r0 had computed its output for the same arguments" == said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("most", "it waits until 2 of what it needs have completed; 1 have, and b, c may"),
        ("first", ""),
        ("clean", "it waits for the end, whatever that is, of b, which runs for 7.0 s and c, which has not begun"),
        ("some", "it waits for the end of b, which runs for 7.0 s"),
    ],
)
def test_a_join(name: str, sentence: str):
    """What is waited for is told as the join has it."""
    happened = [
        of(ev.StepStarted, step="a", attempt=1),
        of(ev.StepCompleted, step="a", attempt=1, output="1"),
        of(ev.StepStarted, step="b", attempt=1),
    ]

    said = told(Joins, name, happened).sentence.removeprefix("has not begun: ")

    assert sentence == said if sentence else said.startswith("it could begin")


def test_a_join_that_waits_for_the_first():
    """Of a join that needs one it says which these are."""
    said = told(Joins, "first", [])

    assert "has not begun: it waits for the first of these to complete: a, b, c" == said.sentence


ROWS = [
    of(ev.StepStarted, step="rows", attempt=1),
    of(ev.StepCompleted, step="rows", attempt=1, output="[1,2]"),
    of(ev.StepExpanded, step="parse", count=2),
    of(ev.StepExpanded, step="check", count=2),
    of(ev.StepStarted, step="parse", attempt=1, item=0),
]


def test_a_step_with_items():
    """It says how far they are, and which are at work."""
    said = told(Items, "parse", ROWS)

    assert "waits for its items: 0/2; at work: parse[0]" == said.sentence
    assert ("parse[0]",) == said.because


def test_an_item_that_waits_for_its_turn():
    """It says how many places there are."""
    said = told(Items, "parse", ROWS, item=1).sentence

    assert "has not begun: it could begin, and waits for one of the 1 places of its items" == said


def test_an_item_that_waits_for_another():
    """What goes on item by item waits for the same item of the step before."""
    said = told(Items, "check", ROWS, item=0)

    assert "has not begun: it waits for parse[0], which runs for 5.0 s" == said.sentence
    assert ("parse[0]",) == said.because


def test_items_that_failed():
    """A step whose items failed names the first ones."""
    failed = of(ev.StepFailed, step="parse", attempt=1, item=0, error=BROKEN)
    ended = of(ev.StepFailed, step="parse", error=BROKEN)

    said = told(Items, "parse", [*ROWS, failed, ended]).sentence

    assert "failed, as parse[0] did, the first with ValueError: no" == said


def test_a_signal_that_has_not_come():
    """It says until when it is waited for."""
    waits = of(ev.TimerSet, step="paid", due_at=NOW + 60, delay=69.0)

    said = told(Waits, "paid", [waits]).sentence

    assert said.startswith("waits for a signal, until ")
    assert said.endswith(", in 1 min 00 s")


def test_how_to_send_what_is_waited_for():
    """What to type is the way on."""
    waits = of(ev.TimerSet, step="paid", due_at=NOW + 60, delay=69.0)

    [way_on] = known_of(Waits, [waits]).report.way_on("paid")

    assert "  Send paid:  orchwf send r1 paid JSON" == way_on.text


def test_an_optional_step_that_failed():
    """It says that the run went on."""
    happened = [
        of(ev.StepStarted, step="call", attempt=1),
        of(ev.StepFailed, step="call", attempt=1, error=BROKEN),
    ]

    said = told(Waits, "call", happened).sentence

    assert "failed in attempt 1 of 1: ValueError: no; it is optional, so the run went on" == said


def test_a_step_of_a_run_that_sleeps():
    """It says until when."""
    said = told(Chain, "first", [], owner=None, wake_at=float("inf"), slept_at=NOW).sentence

    assert "has not begun: its run sleeps until a message comes" == said


# The command.


def test_explain_says_how_to_go_on(shell: Shell):
    """Of what failed it says where, and what to type."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("explain", "last", "validate")

    assert 0 == said.code
    assert [
        "x validate failed in attempt 1 of 1: ValueError: row 2: 'amount' is negative (-12.5)",
        "      sales.py:24 in validate",
        """        raise ValueError(f"row {row}: 'amount' is negative ({amount})")""",
        "  Mend the code, then:  orchwf resume bad      (keeps extract, audit)",
    ] == said.lines


def test_explain_json(shell: Shell):
    """The document has the sentence, and the names in it."""
    shell("run", "sales.py", "--run-id", "bad")

    document = shell("explain", "bad", "load", "--json").json

    assert {
        "run": "bad", "step": "load", "item": None, "status": "skipped",
        "explanation": "was skipped, as validate failed in attempt 1 of 1: "
        "ValueError: row 2: 'amount' is negative (-12.5)",
        "because": ["validate"], "attempt": 0, "max_attempts": 1, "due_at": None, "child": None,
        "ways_on": ["Mend the code, then:  orchwf resume bad      (keeps extract, audit)"],
    } == document  # fmt: skip


def test_explain_misspelt(shell: Shell):
    """A step that there is not gets the name that was meant."""
    shell("run", "sales.py", "--run-id", "bad")

    said = shell("explain", "bad", "lod")

    assert (5, "DailySales has no step 'lod'. Did you mean 'load'?\n") == (said.code, said.err)


def test_explain_a_child(shell: Shell):
    """A subflow says where the run is that it started."""
    shell.write("nest.py", NEST)
    shell("run", "nest.py:Outer", "--run-id", "n1")

    said = shell("explain", "n1", "inner")

    assert (
        "x inner failed in attempt 1 of 1: RunFailed: run 'n1/inner' of Inner failed: step fail: ValueError: broken"
        == said.lines[0]
    )


NEST = """\
from orchwf import step, subflow, workflow


@workflow
class Inner:
    @step
    def fail(self) -> int:
        raise ValueError("broken")


@workflow
class Outer:
    @subflow
    def inner(self) -> Inner:
        return Inner()

"""
