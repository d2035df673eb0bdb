"""Graphs without code, and machines over them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from orchwf.core.dag import Dag
from orchwf.core.definition import Argument, FromStep, Node
from orchwf.core.events import CompensationEvent, ErrorInfo, Event, StepEvent, StepStarted, from_row, to_row
from orchwf.core.machine import STARTS, Machine, Turn, Verdict
from orchwf.core.options import Join, StepOptions, WorkflowOptions
from orchwf.core.outcome import Begun, Ended, Happening, Outcome, Raised, Returned, TakenUp
from orchwf.core.plan import Plan

BEGUN = Begun("Flow", "1", "f", "{}")
BROKEN = ErrorInfo("ValueError", "broken")
UNDONE = Returned("null")


def node(
    name: str, *dependencies: str, absorbs: Iterable[str] = (), undo: Mapping[str, Any] | None = None, **options: Any
) -> Node:
    """
    A step that waits for these others; it bears that those in `absorbs` have no output.

    With `undo`, the options of its compensation, it has one.
    """
    needs = frozenset(dependencies) - set(absorbs) if options.get("join", Join.ALL) is Join.ALL else frozenset[str]()
    compensation = None if undo is None else Node(name=name, options=StepOptions(**undo))
    return Node(
        name=name, dependencies=dependencies, needs=needs, options=StepOptions(**options), compensation=compensation
    )


def reading(step: Node) -> Node:
    """The step, which takes the outputs of all that it waits for."""
    return attrs.evolve(step, arguments=tuple(Argument(name, FromStep((name,))) for name in step.dependencies))


def dag_of(*nodes: Node, **options: Any) -> Dag:
    """The graph of these steps, which have to be in topological order; that is their order of definition, too."""
    placed = {each.name: attrs.evolve(each, position=position) for position, each in enumerate(nodes)}
    return Dag(name="Flow", nodes=placed, options=WorkflowOptions(**options))


@attrs.frozen
class Granted:
    """There is a free place for this step (its number)."""

    step: int


def turned(machine: Machine, happened: Sequence[Happening | Granted], now: float) -> Turn:
    """What follows, asked for as the engine does: starts one by one, and a turn for all else."""
    events: list[Event] = []
    others: list[Happening] = []
    is_due = not happened
    for each in happened:
        if not isinstance(each, Granted):
            others.append(each)
            continue
        if others:
            events += machine.turn(others, now).events
            others = []
        event = machine.start(each.step, now)
        events += [event] if event is not None else []
        is_due = is_due or type(event) not in STARTS
    turn = machine.turn(others, now) if others or is_due else Turn([], [])
    return attrs.evolve(turn, events=events + turn.events)


class Life:
    """A run that lives through a machine: every ready step is started at once, and its log is kept."""

    def __init__(
        self, *nodes: Node, verdicts: Mapping[str, Verdict] | None = None, begun: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        self.plan = Plan(dag_of(*nodes, **options))
        self.verdicts = dict(verdicts or {})
        self.machine = self.new_machine()
        self.log: list[Event] = []
        self.now = 100.0
        self.spoken = self.turn(attrs.evolve(BEGUN, **(begun or {})))

    def new_machine(self) -> Machine:
        return Machine("r", self.plan, lambda each: self.verdicts.get(each.name))

    def turn(self, *happened: Happening | Granted) -> list[str]:
        """What followed, as `kind step`; all that became ready was granted."""
        before = len(self.log)
        ready = self.bare_turn(*happened)
        while ready:
            ready = self.bare_turn(*map(Granted, ready))
        return [spoken(event) for event in self.log[before:]]

    def bare_turn(self, *happened: Happening | Granted) -> list[int]:
        """What became ready by one turn, and is not granted: the numbers of these steps."""
        turn = turned(self.machine, happened, self.now)
        self.log += turn.events
        assert list(range(1, len(self.log) + 1)) == [event.seq for event in self.log]
        for event in turn.events:
            assert self.now == event.at
            check_attempt(self.machine, event)
        return turn.ready

    def number(self, name: str) -> int:
        return self.plan.index[name]

    def ends(self, name: str, outcome: Outcome) -> list[str]:
        step = self.number(name)
        return self.turn(Ended(step, self.machine.run.attempts[step], outcome))

    def returns(self, name: str, output: str = "1") -> list[str]:
        return self.ends(name, Returned(output))

    def fails(self, name: str, *, retryable: bool = True, spread: float = 1.0) -> list[str]:
        return self.ends(name, Raised(error=BROKEN, retryable=retryable, spread=spread))

    def undoing(self, name: str, outcome: Outcome = UNDONE) -> list[str]:
        """The compensation of this step, which is in flight, ends so."""
        number = self.plan.undo[self.number(name)]
        return self.turn(Ended(number, self.machine.run.attempts[number], outcome))

    def crashes(self, **taken: Any) -> list[str]:
        """The process dies, and another one takes the run up with what the log says."""
        self.machine = self.new_machine()
        self.machine.replay(from_row(to_row(event)) for event in self.log)
        return self.turn(TakenUp(fingerprint="f", **taken))

    def status(self, name: str) -> str:
        return str(self.machine.run.statuses[self.number(name)])

    @property
    def running(self) -> list[str]:
        return [self.plan.nodes[step].name for step in self.machine.run.running]

    def last(self, name: str) -> Event:
        """The last event of this step."""
        return next(event for event in reversed(self.log) if getattr(event, "step", None) == name)


def check_attempt(machine: Machine, event: Event) -> None:
    """What has just happened to a step, or to its compensation, happened in its last attempt, or before the first."""
    plan = machine.run.plan
    match event:
        case StepEvent():
            assert machine.run.attempts[plan.index[event.step]] == event.attempt
        case CompensationEvent():
            assert machine.run.attempts[plan.undo[plan.index[event.step]]] == event.attempt


def spoken(event: Event) -> str:
    """`kind step`, or the kind alone for an event of the run."""
    step = getattr(event, "step", "")
    return f"{event.kind} {step}".strip()


def starts(events: Iterable[Event]) -> list[str]:
    return [event.step for event in events if isinstance(event, StepStarted)]
