"""Replay equals life, also of steps that have items, wait for signals and times, or start other runs."""

import random
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchwf.core import events as ev
from orchwf.core.definition import (
    Argument,
    ForChild,
    ForSignal,
    ForTime,
    FromAll,
    FromEach,
    FromStep,
    Node,
    Several,
)
from orchwf.core.events import Event, from_row, to_row
from orchwf.core.history import History, StepRecord
from orchwf.core.machine import Machine
from orchwf.core.options import Join, Quorum, Retry, StepOptions
from orchwf.core.outcome import (
    Asked,
    ChildEnded,
    Ended,
    Finished,
    Raised,
    Returned,
    SkippedItself,
    Spawned,
    Split,
    Stopped,
    TakenUp,
    Yielded,
)
from orchwf.core.plan import Plan
from orchwf.core.rows import ITEMS, Row
from orchwf.core.state import RunStatus, StepStatus
from tests.histories import time_for
from tests.kernel.graphs import BEGUN, BROKEN, Granted, dag_of, turned
from tests.kernel.oracles import Key, check_effects, check_end, check_fates, check_signals
from tests.kernel.test_replay import HISTORIES

WORK_LISTS = {"plan", "nodes", "touched", "offered", "held", "timers", "is_closed", "is_late", "passed", "rows"}


def row_of(row: Row) -> dict[str, Any]:
    return attrs.asdict(row, filter=lambda field, _: field.name not in ("live", "ready", "is_touched"))


def state_of(machine: Machine) -> dict[str, Any]:
    """All that is true of a run; what only tells a turn where to look is left out, and what nobody needs let go."""
    machine.run.let_go()
    state = {name: value for name, value in vars(machine.run).items() if name not in WORK_LISTS}
    return {**state, "rows": {step: row_of(row) for step, row in machine.run.rows.items()}}


def wide_node(draw: random.Random, name: str, earlier: list[Node]) -> Node:
    """A step of any sort, with random dependencies among the earlier ones."""
    node = Node(name=name)
    options: dict[str, Any] = {"required": draw.random() < 0.7}
    sources = draw.sample(earlier, min(len(earlier), draw.randint(0, 2)))
    kind = draw.choice(["step", "step", "each", "each", "each", "loop", "stream", "signal", "sleep", "child"])
    if kind == "each" and not sources:
        kind = "stream"
    arguments = [_read(f"p{number}", each) for number, each in enumerate(sources)]
    match kind:
        case "each":
            arguments[0] = Argument("item", FromEach(sources[0].name))
            node = attrs.evolve(node, several=Several.EACH)
            options |= {
                "max_parallel": draw.choice([None, 1, 2]),
                "tolerate": draw.choice([0, 0, 1, 0.5]),
                "need": draw.choice([None, None, None, 1, 2]),
            }
            options["item_key"] = draw.choice([None, None, str])
            if draw.random() < 0.2:
                node = attrs.evolve(node, waits=ForChild())
        case "loop":
            node = attrs.evolve(node, several=Several.LOOP)
            options |= {"until": lambda output: True, "max_iterations": draw.choice([1, 3, None])}
        case "stream":
            node = attrs.evolve(node, several=Several.STREAM)
        case "signal":
            default = draw.choice([None, "0"])
            node = attrs.evolve(node, waits=ForSignal(type=int, timeout=draw.choice([5.0, 50.0]), default=default))
            arguments = []
        case "sleep":
            node = attrs.evolve(node, waits=ForTime(until=draw.choice([0.0, 1.0, 60.0])))
            arguments = []
        case "child":
            node = attrs.evolve(node, waits=ForChild())
            options["timeout"] = draw.choice([None, 30.0])
    if node.waits is None and draw.random() < 0.4:
        undo = StepOptions(retry=Retry(draw.choice([0, 1]), initial=draw.choice([0, 60])))
        node = attrs.evolve(node, compensation=Node(name=name, options=undo))
    dependencies = tuple(each.name for each in sources)
    join: Any = Join.ALL
    if node.several is None and dependencies and draw.random() < 0.4:
        join = draw.choice([Join.ANY, Join.FIRST, Join.SETTLED, Quorum(len(dependencies))])
        options["cancel_rest"] = (join is Join.FIRST or isinstance(join, Quorum)) and draw.random() < 0.6
    if node.several in (None, Several.EACH) and isinstance(node.waits, ForChild | None):
        options["delivery"] = "at_most_once" if draw.random() < 0.1 else "at_least_once"
        options["retry"] = Retry(draw.choice([0, 0, 1, 2]), initial=draw.choice([0, 1, 60]))
        options["on_exhausted"] = "pause" if draw.random() < 0.05 else "fail"
    return attrs.evolve(
        node,
        dependencies=dependencies,
        needs=frozenset(dependencies) if join is Join.ALL else frozenset(),
        arguments=tuple(arguments),
        options=StepOptions(join=join, **options),
    )


def _reads_maybe(node: Node, name: str) -> bool:
    return any(argument.binding == FromStep((name,), maybe=True) for argument in node.arguments)


def _read(parameter: str, source: Node) -> Argument:
    every = source.several is Several.EACH
    return Argument(parameter, FromAll(source.name) if every else FromStep((source.name,), maybe=True))


class WideStory:
    """A run of such steps that lives a random life."""

    def __init__(self, seed: int, resets: float) -> None:
        self.draw = random.Random(seed)
        self.resets = resets
        nodes: list[Node] = []
        for number in range(self.draw.randint(1, 8)):
            nodes.append(wide_node(self.draw, f"s{number}", nodes))
        self.plan = Plan(
            dag_of(*nodes, fail_fast=self.draw.random() < 0.7, deadline=self.draw.choice([None, None, 500.0]))
        )
        self.glance = self.draw.choice([1, 2, 5, 1000])
        self.now = 1000.0
        self.log: list[Event] = []
        self.ready: list[int] = []
        self.unread: list[Asked] = []
        self.messages = 0
        self.outputs: dict[Key, str] = {}
        self.known: dict[tuple[str, str], set[str]] = {}
        self.due: dict[Key, float | None] = {}
        self.machine = self.fresh()
        self.follow(BEGUN)

    def fresh(self) -> Machine:
        # What a predicate says depends on the output alone: it is asked once only, but also after a crash.
        return Machine("r", self.plan, lambda _: None, settles=lambda _, output: output > "3", glance=self.glance)

    def replayed(self) -> Machine:
        machine = self.fresh()
        machine.replay(from_row(to_row(event)) for event in self.log)
        return machine

    def follow(self, *happened: Any) -> None:
        has_more = True
        while has_more:
            turn = turned(self.machine, happened, self.now)
            self.log += turn.events
            self.ready += turn.ready
            assert state_of(self.replayed()) == state_of(self.machine)
            for event in turn.events:
                self.check(event)
            happened, has_more = (), turn.has_more

    def check(self, event: Event) -> None:
        """Nothing that completed starts again, and what starts finds what it reads."""
        run = self.machine.run
        match event:
            case ev.RunResumed():
                for name in event.reset:
                    assert name in event.changed or (name, None) not in self.outputs
                    self.outputs.pop((name, None), None)
            case ev.StepCompleted():
                assert (event.step, event.item) not in self.outputs
                self.outputs[event.step, event.item] = event.output
                self.check_key(event)
                self.check_needs(event)
            case ev.StepStarted():
                number = self.plan.index[event.step]
                assert (event.step, event.item) not in self.outputs
                for source in set(self.plan.sources[number]).difference(self.plan.chained.get(number, ())):
                    assert self.expected(source) == run.output_of(source)
                if event.item is not None:
                    self.check_item(run.rows[number], event)
            case ev.TimerSet() | ev.ChildStarted():
                self.due[event.step, event.item] = event.due_at
            case ev.TimerFired():
                due_at = self.due[event.step, event.item]
                assert due_at is not None
                assert due_at <= event.at
            case ev.CompensationStarted() if (event.step, event.item) in self.outputs:
                assert self.outputs[event.step, event.item] == run.outputs[run.number_of(event)]
            case _:
                pass

    def check_needs(self, event: ev.StepCompleted) -> None:
        """A step completes after all that it needs, also if it follows that item by item; unless some items suffice."""
        node = self.plan.nodes[self.plan.index[event.step]]
        if event.item is None and node.options.need is None and node.options.join is Join.ALL:
            for name in node.needs:
                status = self.machine.run.statuses[self.plan.index[name]]
                assert status is StepStatus.COMPLETED or _reads_maybe(node, name)

    def expected(self, step: int) -> str | None:
        """What this step has given: of one with items the list of what they gave, in their order."""
        run, name = self.machine.run, self.plan.nodes[step].name
        output = self.outputs.get((name, None))
        if output != ITEMS:
            return output
        row = run.rows.get(step) or Row(step)
        numbers = range(len(row.dropped), len(row.dropped) + len(row.items))
        return f"[{','.join(self.outputs.get((name, number), 'null') for number in numbers)}]"

    def check_item(self, row: Row, event: ev.StepStarted) -> None:
        """There is a place for it, and those that it follows have completed: what they gave is there."""
        run, position = self.machine.run, (event.item or 0) - len(row.dropped)
        assert len(row.live - run.offered) <= run.window(row)
        for source in run.followed(row, position):
            assert run.statuses[source] is StepStatus.COMPLETED
            assert self.outputs[run.nodes[source].name, run.item_of(source)] == run.outputs[source]
        if self.plan.several[row.step] is Several.LOOP and position:
            before = self.outputs[event.step, len(row.dropped) + position - 1]
            assert before == run.outputs[row.items[position - 1]]

    def check_key(self, event: ev.StepCompleted) -> None:
        """What is known of an item is what one with its key has given."""
        run, number = self.machine.run, self.plan.index[event.step]
        if event.item is None or not run.rows[number].keys:
            return
        key = run.rows[number].keys[event.item - len(run.rows[number].dropped)]
        given = self.known.setdefault((event.step, key), set())
        assert event.attempt > 0 or event.output in given
        given.add(event.output)

    def crash(self, **taken: Any) -> None:
        self.machine = self.replayed()
        self.ready = []
        asked, self.unread = tuple(self.unread), []
        run = self.machine.run
        changed: set[int] = set()
        for step in range(len(self.plan)) if self.resets and run.status is RunStatus.RUNNING else ():
            # What reads something that is another now reads something else.
            if self.draw.random() < self.resets or changed.intersection(self.plan.sources[step]):
                changed.add(step)
        reset = tuple(
            run.nodes[step].name
            for step in sorted(changed)
            if run.statuses[step] is StepStatus.COMPLETED or step in run.rows
        )
        self.follow(TakenUp(fingerprint="f", asked=asked, most_takeovers=10**6, reset=reset, **taken))

    def ask(self) -> None:
        self.messages += 1
        signals = [node.name for node in self.plan.nodes if isinstance(node.waits, ForSignal)]
        asked = Asked(self.draw.choice(["cancel", "pause", "terminate", *signals * 5]), f"m{self.messages}", "7")
        if self.draw.random() < 0.5:
            self.follow(asked)
        else:
            self.unread.append(asked)

    def step_on(self) -> None:
        """One random thing happens."""
        machine, draw = self.machine, self.draw
        run = machine.run
        unwanted = run.unwanted()
        if run.status is RunStatus.PAUSED:
            self.resume()
        elif draw.random() < 0.03:
            self.ask()
        elif unwanted:
            step = draw.choice(unwanted)
            is_body = step not in self.plan.several and run.nodes[step].waits is None
            stopped = Returned("1") if is_body and draw.random() < 0.3 else Stopped(runs_on=draw.random() < 0.3)
            self.follow(Ended(step, run.attempts[step], stopped))
        elif self.ready and draw.random() < 0.6:
            self.follow(Granted(self.ready.pop(draw.randrange(len(self.ready)))))
        elif run.running and draw.random() < 0.8:
            self.go_on(draw.choice(list(run.running)))
        elif self.children() and draw.random() < 0.5:
            self.end_child(draw.choice(self.children()))
        elif self.ready and run.pausing() is not None and not run.running:
            self.follow(Granted(self.ready.pop()))
        elif not run.running and not self.ready:
            due = run.next_due()
            assert due is not None or self.children(), "the run neither ended nor waits for anything"
            self.now = self.now if due is None else max(self.now, due)
            self.follow()
        else:
            self.now += draw.random() if draw.random() < 0.9 else 70.0

    def resume(self) -> None:
        """Somebody resumes the run, which is paused, and says what became of the steps in question."""
        run = self.machine.run
        asked = {step if step < run.size else run.row_of(step).step for step in (*run.unknown, *run.exhausted)}
        skipped = {step for step in sorted(asked) if self.draw.random() < 0.3}
        self.crash(by_hand=True, rerun=tuple(asked - skipped), skipped=tuple(skipped))

    def children(self) -> list[int]:
        run = self.machine.run
        return [step for step in run.waiting if step in run.children]

    def end_child(self, step: int) -> None:
        self.messages += 1
        run = self.machine.run
        message = Asked("child", f"m{self.messages}", "{}") if self.draw.random() < 0.8 else None
        outcome = self.draw.choice([Returned("8"), Returned("8"), None, Raised(error=BROKEN, retryable=True)])
        self.follow(ChildEnded(step, run.children[step].child, outcome, message))

    def go_on(self, step: int) -> None:
        """Something happens to an attempt that is in flight."""
        run, draw = self.machine.run, self.draw
        node, attempt = run.nodes[step], run.attempts[step]
        if step in run.undone_by:
            fails = Raised(error=BROKEN, retryable=True, spread=draw.random())
            self.follow(Ended(step, attempt, fails if draw.random() < 0.2 else Returned("null")))
        elif step in self.plan.eaches:
            # Taking a value apart gives nothing else.
            broken = Raised(error=BROKEN, retryable=draw.random() < 0.8, spread=draw.random())
            keys = tuple(draw.sample("abcdef", draw.randint(0, 4)))
            split = Split(len(keys), keys if node.options.item_key else ())
            self.follow(Ended(step, attempt, split if draw.random() < 0.9 else broken))
        elif node.several is Several.STREAM and draw.random() < 0.7:
            self.follow(Yielded(step, attempt, draw.randint(0, run.count_of(step)), "1"))
        elif node.several is Several.STREAM and draw.random() < 0.7:
            self.follow(Ended(step, attempt, Returned(ITEMS)))
        elif isinstance(node.waits, ForChild) and draw.random() < 0.8:
            self.follow(Ended(step, attempt, Spawned(child=f"r/{step}", workflow="W", version="1", inputs="{}")))
        else:
            self.follow(Ended(step, attempt, self.outcome()))

    def outcome(self) -> Any:
        kind = self.draw.random()
        if kind < 0.6:
            return Returned(str(self.draw.randint(0, 9)))
        if kind < 0.65:
            return SkippedItself("nothing to do")
        if kind < 0.67:
            return Finished("4")
        return Raised(error=BROKEN, retryable=self.draw.random() < 0.8, spread=self.draw.random())

    def live(self, crashes: float) -> None:
        for _ in range(3000):
            if self.machine.run.status.is_final:
                return
            if self.draw.random() < crashes:
                self.crash()
            else:
                self.step_on()
        raise AssertionError("the run does not end")


def check_ends(story: WideStory) -> None:
    check_end(story.log)
    check_fates(story.plan, story.log)
    check_effects(story.plan, story.log)
    check_signals(story.plan, story.log)
    run = story.machine.run
    assert all(status.is_final for status in run.statuses[: len(story.plan)])
    # A terminated run does not wait for what undoes a step.
    steps = [status for step, status in enumerate(run.statuses) if step not in run.undone_by or not run.is_terminated]
    assert not any(status in (StepStatus.RUNNING, StepStatus.WAITING) for status in steps)


@pytest.mark.slow
@time_for(HISTORIES)
@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**48), crashes=st.sampled_from([0.0, 0.05, 0.3]), resets=st.sampled_from([0.0, 0.0, 0.2]))
def test_replay_equals_life_of_what_waits_and_has_items(seed: int, crashes: float, resets: float):
    """After every turn a machine made of the log alone is the same as the one that lived; the run ends, once."""
    story = WideStory(seed, resets)

    story.live(crashes)

    check_ends(story)


@pytest.mark.slow
@time_for(HISTORIES)
@settings(max_examples=HISTORIES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**48), resets=st.sampled_from([0.0, 0.0, 0.2]))
def test_a_failed_run_that_is_resumed_ends_again(seed: int, resets: float):
    """Nothing that completed before starts again, items as little as steps; the view for people says the same."""
    story = WideStory(seed, resets)
    story.live(0.05)
    run = story.machine.run
    if run.status is RunStatus.FAILED and run.effects.outcome != "done":
        story.machine = story.replayed()
        story.ready = []
        story.follow(TakenUp(fingerprint="f", by_hand=True))
        check_history(story)
        story.live(0.05)

    check_ends(story)
    check_history(story)


def check_history(story: WideStory) -> None:
    run, history = story.machine.run, History("r").extend(story.log)
    assert run.status is history.status
    for step in range(len(story.plan)):
        record = history.steps.get(run.nodes[step].name) or StepRecord(run.nodes[step].name)
        assert run.statuses[step] is record.status, record
        items = run.rows[step].items if step in run.rows else []
        assert [run.statuses[item] for item in items] == [each.status for each in record.present], record
        assert [run.attempts[item] for item in items] == [each.attempt for each in record.present], record
        assert (run.rows[step].keys if step in run.rows else []) == record.keys
        if run.statuses[step] is StepStatus.COMPLETED and step not in story.plan.several:
            assert story.outputs[record.name, None] == record.result
