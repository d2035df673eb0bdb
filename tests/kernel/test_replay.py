"""Replay equals life: any graph, any order of endings, crashes anywhere."""

import random
import sys
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchwf.core import events as ev
from orchwf.core.definition import Argument, FromStep, Node
from orchwf.core.events import Event, from_row, to_row
from orchwf.core.history import History
from orchwf.core.machine import Machine
from orchwf.core.options import Join, Quorum, Retry, StepOptions
from orchwf.core.outcome import Asked, Beat, Ended, Found, Raised, Returned, SkippedItself, Stopped, TakenUp
from orchwf.core.plan import Plan
from orchwf.core.state import RunStatus, StepStatus
from tests.histories import histories, time_for
from tests.kernel.graphs import BEGUN, BROKEN, Granted, check_attempt, dag_of, turned
from tests.kernel.oracles import check_effects, check_fates, check_start, outputs_of

HISTORIES = histories(300 if sys.flags.dev_mode else 1200)
"""How many lives are lived; more of them when the machine was touched."""


def random_node(draw: random.Random, name: str, earlier: list[str]) -> Node:
    """A step with random dependencies among the earlier ones and random options."""
    dependencies = tuple(draw.sample(earlier, min(len(earlier), draw.randint(0, 3))))
    join: Any = Join.ALL
    if dependencies and draw.random() < 0.4:
        join = draw.choice([Join.ANY, Join.FIRST, Join.SETTLED, Quorum(draw.randint(1, len(dependencies)))])
    absorbed = {each for each in dependencies if draw.random() < 0.3}
    chosen = tuple(sorted(absorbed)) if len(absorbed) > 1 and draw.random() < 0.5 else ()
    asked = frozenset(draw.sample(dependencies, 1)) if join is not Join.ALL and len(dependencies) > 2 else frozenset()
    counted = len(dependencies) - len(asked)
    if isinstance(join, Quorum) and join.count > counted:
        join = Quorum(counted)
    read = [each for each in dependencies if draw.random() < 0.7]
    node = Node(
        name=name,
        dependencies=dependencies,
        needs=frozenset(dependencies) - absorbed if join is Join.ALL else frozenset(),
        choices=(chosen,) if chosen and join is Join.ALL else (),
        asked=asked,
        arguments=tuple(Argument(f"p{n}", FromStep((each,), maybe=True)) for n, each in enumerate(read)),
    )
    when = (lambda _: True) if draw.random() < 0.2 else None
    if draw.random() < 0.4:
        undo = StepOptions(retry=Retry(draw.choice([0, 1]), initial=draw.choice([0, 60])))
        node = attrs.evolve(node, compensation=Node(name=name, options=undo))
    options = attrs.evolve(
        node.options,
        join=join,
        when=when,
        required=draw.random() < 0.7,
        cancel_rest=(join is Join.FIRST or isinstance(join, Quorum)) and draw.random() < 0.5,
        retry=Retry(draw.choice([0, 0, 1, 3]), initial=draw.choice([0, 1, 60])),
        total_timeout=draw.choice([None, None, 50.0]),
        priority=draw.randint(-2, 2),
        delivery="at_most_once" if draw.random() < 0.2 else "at_least_once",
        on_exhausted="pause" if draw.random() < 0.15 else "fail",
    )
    return attrs.evolve(node, options=options)


def state_of(machine: Machine) -> dict[str, Any]:
    """All that is true of a run; what only tells a turn where to look is left out, and what nobody needs let go."""
    work_lists = {"plan", "touched", "offered", "held", "timers", "is_closed", "is_late", "passed"}
    machine.run.let_go()
    return {name: value for name, value in vars(machine.run).items() if name not in work_lists}


class Story:
    """
    A run that lives a random life: the log, and what invariants it kept.

    `resets` is how likely a step that completed is to run again after a crash, as if its inputs had changed; `hits` how
    likely one that could start need not.
    """

    def __init__(self, seed: int, resets: float = 0.0, hits: float = 0.0) -> None:
        self.draw = random.Random(seed)
        self.resets = resets
        self.hits = hits
        names = [f"s{n}" for n in range(self.draw.randint(1, 9))]
        nodes = [random_node(self.draw, name, names[:n]) for n, name in enumerate(names)]
        self.plan = Plan(
            dag_of(*nodes, fail_fast=self.draw.random() < 0.7, deadline=self.draw.choice([None, None, 100.0]))
        )
        # How many steps a turn looks at changes what is decided in which turn, and nothing else.
        self.glance = self.draw.choice([1, 2, 5, 1000])
        self.now = 1000.0
        self.log: list[Event] = []
        self.machine = self.fresh()
        self.ready: list[int] = []
        self.messages = 0
        self.unread: list[Asked] = []
        self.follow(BEGUN)

    def fresh(self) -> Machine:
        # The answer to a condition depends on nothing but its step: it would be stored, and not asked again.
        return Machine(
            "r", self.plan, lambda node: "it is false" if int(node.name[1:]) % 3 == 0 else None, glance=self.glance
        )

    def replayed(self) -> Machine:
        machine = self.fresh()
        machine.replay(from_row(to_row(event)) for event in self.log)
        return machine

    def follow(self, *happened: Any) -> None:
        """One turn; then the log is written, and a machine made of it alone must be the same."""
        has_more = True
        while has_more:
            turn = turned(self.machine, happened, self.now)
            self.log += turn.events
            self.ready += turn.ready
            assert state_of(self.replayed()) == state_of(self.machine)
            self.check_new(turn.events)
            happened, has_more = (), turn.has_more

    def check_new(self, events: list[Event]) -> None:
        for event in events:
            check_attempt(self.machine, event)
            if isinstance(event, ev.StepStarted):
                before = self.log[: event.seq - 1]
                check_start(self.plan, event, before)
                self.check_inputs(self.plan.index[event.step], outputs_of(before))

    def check_inputs(self, step: int, outputs: dict[str, str]) -> None:
        """Invariant 11: a step that starts can read what has come of all that it reads."""
        sources = {self.plan.nodes[source].name: source for source in self.plan.sources[step]}
        there = {name: self.machine.run.output_of(source) for name, source in sources.items()}
        assert {name: outputs.get(name) for name in sources} == there

    def crash(self, **taken: Any) -> None:
        """The process dies: the log is all there is, and another machine goes on with it."""
        self.machine = self.replayed()
        self.ready = []
        asked, self.unread = tuple(self.unread), []
        reset = tuple(name for name in outputs_of(self.log) if self.resets and self.draw.random() < self.resets)
        self.follow(TakenUp(fingerprint="f", asked=asked, most_takeovers=10**6, reset=reset, **taken))

    def ask(self) -> None:
        """Somebody wants something, and it is heard at once, or after the next crash."""
        self.messages += 1
        signal = self.draw.choice(["cancel", "pause", "pause", "terminate"])
        asked = Asked(signal, f"m{self.messages}", "asked")
        if self.draw.random() < 0.5:
            self.follow(asked)
        else:
            self.unread.append(asked)

    def resume(self) -> None:
        """Somebody resumes the run, which is paused, and says what became of the steps in question, or of some."""
        run, draw = self.machine.run, self.draw
        rerun, skipped, given = [], [], {}
        # Once something is being undone it is too late to say that a step did not fail.
        failed = [] if run.effects.has_begun else list(run.errors)
        for step in [*run.unknown, *run.exhausted, *failed]:
            match draw.randrange(4):
                case 0 if step in run.unknown:
                    rerun.append(step)
                case 1:
                    skipped.append(step)
                case 2:
                    given[step] = "7"
                case _:
                    pass
        self.crash(by_hand=True, rerun=tuple(rerun), skipped=tuple(skipped), given=given)

    def step_on(self) -> None:
        """One random thing happens."""
        machine, draw = self.machine, self.draw
        unwanted = machine.run.unwanted()
        if machine.run.status is RunStatus.PAUSED:
            self.resume()
        elif draw.random() < 0.03:
            self.ask()
        elif unwanted:
            step = draw.choice(unwanted)
            stopped = Stopped(runs_on=draw.random() < 0.3) if draw.random() < 0.7 else Returned("1")
            self.follow(Ended(step, machine.run.attempts[step], stopped))
        elif self.ready and draw.random() < 0.6:
            step = self.ready.pop(draw.randrange(len(self.ready)))
            is_hit = self.hits and step < len(self.plan) and draw.random() < self.hits
            self.follow(Found(step, "key", "r0", "8") if is_hit else Granted(step))
        elif machine.run.running and draw.random() < 0.8:
            step = draw.choice(list(machine.run.running))
            happened = [Beat(step, machine.run.attempts[step], "5")] if draw.random() < 0.2 else []
            self.follow(*happened, Ended(step, machine.run.attempts[step], self.outcome()))
        elif self.ready and machine.run.pausing() is not None and not machine.run.running:
            self.follow(Granted(self.ready.pop()))
        elif not machine.run.running and not self.ready:
            due = machine.run.next_due()
            assert due is not None, "the run neither ended nor waits for anything"
            self.now = max(self.now, due)
            self.follow()
        else:
            self.now += draw.random()

    def outcome(self) -> Any:
        kind = self.draw.random()
        if kind < 0.55:
            return Returned(str(self.draw.randint(0, 9)))
        if kind < 0.65:
            return SkippedItself("nothing to do")
        return Raised(
            error=BROKEN, retryable=self.draw.random() < 0.8, spread=self.draw.random(),
            runs_on=self.draw.random() < 0.2,
        )  # fmt: skip

    def can_be_resumed(self) -> bool:
        """Whether the run failed, and is not undone."""
        return self.machine.run.status is RunStatus.FAILED and self.machine.run.effects.outcome != "done"

    def live(self, crashes: float) -> None:
        for _ in range(2000):
            if self.machine.run.status.is_final:
                return
            if self.draw.random() < crashes:
                self.crash()
            else:
                self.step_on()
        raise AssertionError("the run does not end")


@pytest.mark.slow
@time_for(HISTORIES)
@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**48),
    crashes=st.sampled_from([0.0, 0.05, 0.3]),
    resets=st.sampled_from([0.0, 0.0, 0.2]),
    hits=st.sampled_from([0.0, 0.0, 0.3]),
)
def test_replay_equals_life(seed: int, crashes: float, resets: float, hits: float):
    """
    Invariants 2, 3, 6 to 11: after every turn a machine made of the log alone is the same as the one that lived;
    no completed step starts again unless it was to; nothing starts before what it needs; the run ends, once.
    """
    story = Story(seed, resets, hits)

    story.live(crashes)

    check_fates(story.plan, story.log)
    check_effects(story.plan, story.log)
    ends = [event for event in story.log if event.kind in ("run.completed", "run.failed", "run.cancelled")]
    assert 1 == len(ends)
    assert story.log[-1] is ends[0]
    assert list(range(1, len(story.log) + 1)) == [event.seq for event in story.log]
    assert all(status.is_final for status in story.machine.run.statuses[: len(story.plan)])


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**48))
def test_a_failed_run_that_is_resumed_keeps_what_completed(seed: int):
    """After a resume nothing that completed before starts again, and the run ends again."""
    story = Story(seed)
    story.live(0.05)
    if story.can_be_resumed():
        story.machine = story.replayed()
        story.ready = []
        story.follow(TakenUp(fingerprint="f", by_hand=True))

        story.live(0.05)

    completed = [event.step for event in story.log if isinstance(event, ev.StepCompleted)]
    assert len(set(completed)) == len(completed)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**48))
def test_history_agrees_with_the_machine(seed: int):
    """The view for people and the state that decides have one table of transitions, and say the same."""
    story = Story(seed, hits=0.2)
    story.live(0.1)
    if story.can_be_resumed():
        story.follow(TakenUp(fingerprint="f", by_hand=True))

    history = History("r").extend(story.log)

    names = [node.name for node in story.plan.nodes[: len(story.plan)]]
    shown = [history.steps[name].status if name in history.steps else StepStatus.PENDING for name in names]
    undoing = {
        story.plan.undo[story.plan.index[name]]: record.compensation
        for name, record in history.steps.items()
        if record.compensation is not None
    }
    assert story.machine.run.statuses[: len(names)] == shown
    assert {number: story.machine.run.statuses[number] for number in undoing} == {
        number: record.status for number, record in undoing.items()
    }
    assert story.machine.run.status is history.status
    assert story.machine.run.attempts[: len(names)] == [
        history.steps[name].attempt if name in history.steps else 0 for name in names
    ]


def test_work_per_completion_does_not_grow_with_the_run():
    """A chain of twice the length takes twice the calls: counted, not timed."""
    import sys

    def calls(length: int) -> int:
        from tests.kernel.graphs import Life, node

        life = Life(node("s0"), *(node(f"s{n}", f"s{n - 1}") for n in range(1, length)))
        count = 0

        def tick(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(tick)
        for n in range(length):
            life.machine.turn([Ended(n, 1, Returned("1"))], 1.0)
            if n + 1 < length:
                life.machine.start(n + 1, 1.0)
        sys.setprofile(None)
        assert life.machine.run.status is RunStatus.COMPLETED
        return count

    assert calls(400) <= 2.05 * calls(200)
