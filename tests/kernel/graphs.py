"""Graphs without code, and machines over them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from orchwf.core.dag import Dag
from orchwf.core.definition import (
    Argument,
    Binding,
    ForChild,
    ForSignal,
    ForTime,
    FromAll,
    FromEach,
    FromStep,
    Node,
    Several,
)
from orchwf.core.events import (
    CacheHit,
    CompensationEvent,
    ErrorInfo,
    Event,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepSkipped,
    StepStarted,
    from_row,
    to_row,
)
from orchwf.core.machine import STARTS, Machine, Turn, Verdict
from orchwf.core.options import Join, StepOptions, WorkflowOptions
from orchwf.core.outcome import (
    Asked,
    Begun,
    ChildEnded,
    Ended,
    Happening,
    Outcome,
    Raised,
    Returned,
    Spawned,
    Split,
    TakenUp,
    Yielded,
)
from orchwf.core.plan import Plan
from orchwf.core.rows import ITEMS

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


def each(name: str, source: str, *others: str, **options: Any) -> Node:
    """A step that runs once per item of the first of these others, and waits for the rest."""
    return _taking(node(name, source, *others, **options), FromEach(source), Several.EACH)


def gathering(name: str, source: str, **options: Any) -> Node:
    """A step that takes the results of all items of another one."""
    return _taking(node(name, source, **options), FromAll(source), None)


def stream(name: str, *dependencies: str, **options: Any) -> Node:
    """A step whose body is a generator."""
    return attrs.evolve(node(name, *dependencies, **options), several=Several.STREAM)


def loop(name: str, *dependencies: str, **options: Any) -> Node:
    """A step that runs again, its output as its input."""
    return attrs.evolve(node(name, *dependencies, **options), several=Several.LOOP)


def signal(
    name: str, *dependencies: str, timeout: float | None = None, default: str | None = None, **options: Any
) -> Node:
    """A node that waits for a message."""
    return attrs.evolve(
        node(name, *dependencies, **options), waits=ForSignal(type=int, timeout=timeout, default=default)
    )


def pause(name: str, *dependencies: str, until: Any, **options: Any) -> Node:
    """A node that waits for a time."""
    return attrs.evolve(node(name, *dependencies, **options), waits=ForTime(until=until))


def subflow(step: Node) -> Node:
    """The step, whose body, or that of each of its items, gives a workflow for whose run it waits."""
    return attrs.evolve(step, waits=ForChild())


def _taking(step: Node, binding: Binding, several: Several | None) -> Node:
    return attrs.evolve(step, arguments=(Argument("value", binding),), several=several)


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
        settles: Callable[[str], bool | ErrorInfo] = lambda output: output == "0",
        due: Callable[[Node, float], float | ErrorInfo] | None = None, glance: int = 1_000, **options: Any,
    ) -> None:  # fmt: skip
        self.plan = Plan(dag_of(*nodes, **options))
        self.verdicts = dict(verdicts or {})
        self.settles = settles
        self.due = due
        self.glance = glance
        self.messages = 0
        self.machine = self.new_machine()
        self.log: list[Event] = []
        self.now = 100.0
        self.spoken = self.turn(attrs.evolve(BEGUN, **(begun or {})))

    def new_machine(self) -> Machine:
        return Machine(
            "r", self.plan, lambda each: self.verdicts.get(each.name), due=self.due,
            settles=lambda _, output: self.settles(output), glance=self.glance,
        )  # fmt: skip

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
        while turn.has_more:
            more = self.machine.turn([], self.now)
            turn = Turn(turn.events + more.events, turn.ready + more.ready, more.has_more)
        self.log += turn.events
        assert list(range(1, len(self.log) + 1)) == [event.seq for event in self.log]
        for event in turn.events:
            assert self.now == event.at
            check_attempt(self.machine, event)
        return turn.ready

    def number(self, name: str) -> int:
        """The number of `step`, or of `step[3]`, an item as its events name it."""
        step, item = _parsed(name)
        return self.plan.index[step] if item is None else self.machine.run.rows[self.plan.index[step]].find(item)

    def ends(self, name: str, outcome: Outcome) -> list[str]:
        step = self.number(name)
        return self.turn(Ended(step, self.machine.run.attempts[step], outcome))

    def returns(self, name: str, output: str = "1") -> list[str]:
        return self.ends(name, Returned(output))

    def fails(self, name: str, *, retryable: bool = True, spread: float = 1.0) -> list[str]:
        return self.ends(name, Raised(error=BROKEN, retryable=retryable, spread=spread))

    def splits(self, name: str, count: int, *keys: str) -> list[str]:
        """It was found out how many items this step has."""
        return self.ends(name, Split(count, keys))

    def spawns(self, name: str) -> list[str]:
        """The body of this subflow gave a workflow."""
        return self.ends(name, Spawned(child=f"r/{name}", workflow="Child", version="1", inputs="{}", depth=2))

    def child_ends(self, name: str, outcome: Returned | Raised | None) -> list[str]:
        """The run for which this step waits has ended so, and said so."""
        step = self.number(name)
        said = Asked("child", self._message_id(), "{}")
        return self.turn(ChildEnded(step, self.machine.run.children[step].child, outcome, said))

    def gives(self, name: str, position: int, output: str = "1") -> list[str]:
        """This generator gave an item."""
        step = self.number(name)
        return self.turn(Yielded(step, self.machine.run.attempts[step], position, output))

    def is_exhausted(self, name: str) -> list[str]:
        """This generator has come to its end."""
        return self.returns(name, ITEMS)

    def asked(self, signal: str, payload: str = "7") -> list[str]:
        return self.turn(Asked(signal, self._message_id(), payload))

    def _message_id(self) -> str:
        self.messages += 1
        return f"m{self.messages}"

    def at(self, now: float) -> list[str]:
        """What followed as it came to be so late."""
        self.now = now
        return self.turn()

    def output(self, name: str) -> str | None:
        return self.machine.run.output_of(self.number(name))

    def undoing(self, name: str, outcome: Outcome = UNDONE) -> list[str]:
        """The compensation of this step, which is in flight, ends so."""
        number = self.machine.run.undo[self.number(name)]
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
        return [self._named(step) for step in self.machine.run.running]

    @property
    def unwanted(self) -> list[str]:
        """What is to be stopped."""
        return [self._named(step) for step in self.machine.run.unwanted()]

    def _named(self, number: int) -> str:
        return _shown(self.machine.run.nodes[number].name, self.machine.run.item_of(number))

    def why(self, name: str) -> tuple[str, str]:
        """Cause and reason of the skip or the cancellation of this step, or item."""
        number = self.number(name)
        step, item = self.machine.run.nodes[number].name, self.machine.run.item_of(number)
        ends = [each for each in self.log if isinstance(each, StepSkipped | StepCancelled)]
        end = next(each for each in reversed(ends) if (each.step, each.item) == (step, item))
        return end.cause, end.reason

    def last(self, name: str) -> Event:
        """The last event of this step, or item."""
        is_meant = {"step": _parsed(name)[0], "item": _parsed(name)[1]}
        return next(
            event
            for event in reversed(self.log)
            if all(getattr(event, key, None) == value for key, value in is_meant.items())
        )


def of_items(count: int, *others: Node, **options: Any) -> Life:
    """A run in which a step runs for each of so many items, as far as there is a place."""
    life = Life(node("load"), each("pay", "load", **options), *others)
    life.returns("load")
    life.splits("pay", count)
    return life


def check_attempt(machine: Machine, event: Event) -> None:
    """What has just happened to a step, or to its compensation, happened in its last attempt, or before the first."""
    run = machine.run
    match event:
        case CacheHit() | StepCompleted(attempt=0):
            # Of what need not run no attempt is made, though there may have been one before.
            assert 0 == event.attempt
        case StepEvent():
            # What generators give, and what is known of items, comes of no attempt of theirs.
            assert event.attempt in (run.attempts[run.number_of(event)], 0 if event.item is not None else -1)
        case CompensationEvent():
            assert run.attempts[run.undo[run.number_of(event)]] == event.attempt


def spoken(event: Event) -> str:
    """`kind step`, `kind step[3]` for an item, or the kind alone for an event of the run."""
    step, item = getattr(event, "step", ""), getattr(event, "item", None)
    return f"{event.kind} {_shown(step, item)}".strip()


def _shown(step: str, item: int | None) -> str:
    return step if item is None else f"{step}[{item}]"


def _parsed(name: str) -> tuple[str, int | None]:
    """What `_shown` made this of."""
    step, item = re.fullmatch(r"(.+?)(?:\[(\d+)\])?", name).groups()  # type: ignore[union-attr]
    return step, None if item is None else int(item)


def starts(events: Iterable[Event]) -> list[str]:
    return [event.step for event in events if isinstance(event, StepStarted)]
