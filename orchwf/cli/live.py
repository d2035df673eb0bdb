"""Shows a run while it is executed: live on a terminal, else a line for each change, or JSON lines."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import attrs
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..core.dag import Dag
from ..core.events import (
    CompensationEvent,
    Event,
    RunResumed,
    RunStarted,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepHeartbeat,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from ..core.lines import Line, brief, name_width, padded
from ..core.state import StepStatus
from ..core.wording import count_steps, counts_text, duration_text
from ..ports import RunRecord
from ..views import Changes, is_progress, progress_text, started_line
from .documents import event_document
from .output import Output, styled, wrapped

_INTERVAL = 0.25
_MOST_LIVE = 12
_MANY = 100
_MOST_LEFT_OUT = 20


@attrs.frozen(kw_only=True)
class Beginning:
    """
    What is true before anything happens here.

    Attributes:
        dag: The definition.
        kept: Step name -> where it is, of those that ended before, or in the run that this one was forked from.
        spent: Step name -> how many attempts were made before its budget was renewed.
        opening: What is told when a run is resumed, or after the first line of one that is forked.
    """

    dag: Dag
    kept: Mapping[str, StepStatus] = attrs.field(factory=dict)
    spent: Mapping[str, int] = attrs.field(factory=dict)
    opening: Sequence[Line] = ()

    def changes(self) -> Changes:
        """What makes the lines of this run."""
        return Changes(self.dag, name_width(self.dag.nodes), self.spent)

    def is_kept(self, event: Event) -> bool:
        """Whether this tells only again how a step ended in the run that this one was forked from."""
        return isinstance(event, StepEvent) and event.attempt == 0 and event.step in self.kept

    def first_lines(self, run: RunRecord, event: Event) -> Sequence[Line]:
        """What is told when a run begins, or goes on; nothing for other events."""
        match event:
            case RunStarted():
                return [started_line(run.workflow, run.id, len(self.dag.nodes), event.origin), *self.opening]
            case RunResumed():
                return self.opening
            case _:
                return ()


class Display(Protocol):
    """Shows one run; an observer of its orchestrator, which it outlives."""

    def told(self, run: RunRecord, events: Sequence[Event]) -> None: ...

    def say(self, line: Line) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


def display_for(output: Output, beginning: Beginning) -> Display:
    """The display that fits what is printed to."""
    if output.json:
        return JsonDisplay(output)
    if output.quiet:
        return SilentDisplay(output)
    return LiveDisplay(output, beginning) if output.is_terminal else LineDisplay(output, beginning)


class SilentDisplay:
    """Shows nothing but what `say` is called for."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Nothing is to be shown."""

    def say(self, line: Line) -> None:
        """Print a line at once."""
        self._output.lines([line])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing is left to be shown."""


class JsonDisplay(SilentDisplay):
    """Prints each event as one line of JSON."""

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Print these events."""
        if not self._output.quiet:
            for event in events:
                self._output.document(event_document(run.id, event), indent=None)


class LineDisplay(SilentDisplay):
    """Prints one plain line for each change."""

    def __init__(self, output: Output, beginning: Beginning) -> None:
        super().__init__(output)
        self._beginning = beginning
        self._changes = beginning.changes()
        self._left_out = 0

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Print what happened."""
        lines: list[Line] = []
        for event in events:
            if self._beginning.is_kept(event):
                continue
            if isinstance(event, StepEvent):
                lines += self._change(event)
            elif isinstance(event, CompensationEvent):
                lines += self._changes.undoing(event)
            else:
                lines += self._beginning.first_lines(run, event)
        self._output.lines(lines)

    def _change(self, event: StepEvent) -> list[Line]:
        if isinstance(event, StepHeartbeat):
            return []
        line = self._changes.line(event)
        if isinstance(event, StepStarted):
            # Of many steps it is enough to tell that they ended.
            return [line] if len(self._beginning.dag.nodes) <= _MANY else []
        if not isinstance(event, StepSkipped | StepCancelled):
            return [line]
        # One failure may leave thousands of steps out; the summary counts them.
        self._left_out += 1
        return [line] if self._left_out <= _MOST_LEFT_OUT else []


@attrs.define
class Scene:
    """
    What is on the screen: the steps in flight, and how many are where.

    Attributes:
        dag: The definition.
        changes: What makes the lines.
        statuses: Name -> where the step is.
        counts: Status -> how many steps have it.
        begun_at: When it was begun here (epoch seconds).
        in_flight: Name -> the last thing that happened to it, of the steps that run or wait for their next attempt.
        undoing: The same of the steps that are being undone.
        fresh: Lines that are to scroll up.
        left_out: How many steps were skipped or cancelled.
        progress: Name -> what its body said last of how far it is (JSON), of the steps that run.
    """

    dag: Dag
    changes: Changes
    statuses: dict[str, StepStatus]
    counts: dict[StepStatus, int]
    begun_at: float
    in_flight: dict[str, StepStarted | StepRetrying] = attrs.field(factory=dict)
    undoing: dict[str, StepStarted | StepRetrying] = attrs.field(factory=dict)
    fresh: list[Line] = attrs.field(factory=list)
    left_out: int = 0
    progress: dict[str, str] = attrs.field(factory=dict)

    def apply(self, event: StepEvent) -> None:
        """Take in what happened to a step."""
        if isinstance(event, StepHeartbeat):
            self.progress[event.step] = event.progress
            return
        self.progress.pop(event.step, None)
        line = self.changes.line(event)
        status = _STATUS[type(event)]
        self.counts[self.statuses[event.step]] -= 1
        self.counts[status] = self.counts.get(status, 0) + 1
        self.statuses[event.step] = status
        if isinstance(event, StepStarted | StepRetrying):
            self.in_flight[event.step] = event
        else:
            self.in_flight.pop(event.step, None)
        if self._scrolls(event, status):
            self.fresh.append(line)

    def undo(self, event: CompensationEvent) -> None:
        """Take in what happened to the undoing of a step."""
        step = event.as_step()
        self.undoing.pop(event.step, None)
        if isinstance(step, StepStarted | StepRetrying):
            self.undoing[event.step] = step
        if not isinstance(step, StepStarted):
            self.fresh += self.changes.undoing(event)

    def _scrolls(self, event: StepEvent, status: StepStatus) -> bool:
        if isinstance(event, StepStarted):
            return False
        if status in (StepStatus.SKIPPED, StepStatus.CANCELLED):
            self.left_out += 1
            return self.left_out <= _MOST_LEFT_OUT
        # Of many steps those that went well are only counted.
        return status is not StepStatus.COMPLETED or len(self.dag.nodes) <= _MANY

    def lines(self, now: float, limit: int) -> list[Line]:
        """At most so many lines: the steps in flight, the oldest first, and the counts."""
        flying = [(event, "") for event in self.in_flight.values()]
        flying += [(event, "undoing  ") for event in self.undoing.values()]
        shown = flying[: max(1, limit - 1)]
        lines = [self._flying(event, what, now) for event, what in shown]
        hidden = len(flying) - len(shown)
        more = f"   ({hidden:,} more in flight)" if hidden else ""
        took = duration_text(now - self.begun_at)
        lines.append(Line(f"  {took}: {counts_text(self.counts)}{more}", weight="faint"))
        return lines

    def _flying(self, event: StepStarted | StepRetrying, what: str, now: float) -> Line:
        name = padded(event.step, self.changes.width)
        if isinstance(event, StepRetrying):
            due_at = event.due_at
            again = "when the run is resumed" if due_at is None else f"in {duration_text(max(0.0, due_at - now))}"
            return Line(f"  ~ {name}  {what}again {again}: {brief(event.error.headline)}", "retrying")
        took = duration_text(max(0.0, now - event.at))
        tries = f"  attempt {event.attempt}" if event.attempt > 1 else ""
        progress = None if what else self.progress.get(event.step)
        told = f"  {progress_text(progress)}" if is_progress(progress) else ""
        return Line(f"  > {name}  {what}{took}{tries}{told}", "running")


_STATUS: dict[type[StepEvent], StepStatus] = {
    StepStarted: StepStatus.RUNNING,
    StepRetrying: StepStatus.RETRYING,
    StepCompleted: StepStatus.COMPLETED,
    StepFailed: StepStatus.FAILED,
    StepSkipped: StepStatus.SKIPPED,
    StepCancelled: StepStatus.CANCELLED,
}


def scene_of(beginning: Beginning) -> Scene:
    """The scene before anything happens here."""
    statuses = {name: beginning.kept.get(name, StepStatus.PENDING) for name in beginning.dag.nodes}
    return Scene(beginning.dag, beginning.changes(), statuses, count_steps(statuses.values()), time.time())


class LiveDisplay(SilentDisplay):
    """
    Keeps a few lines for what is in flight at the bottom of the terminal; what has ended scrolls up.

    All that happened within a quarter of a second is drawn at once, so that a fast run does not wait for its display.
    """

    def __init__(self, output: Output, beginning: Beginning) -> None:
        super().__init__(output)
        self._beginning = beginning
        self._scene = scene_of(beginning)
        self._live = Live(console=output.console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._timer: asyncio.TimerHandle | None = None

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Take in what happened; it is drawn with the next frame."""
        for event in events:
            if self._beginning.is_kept(event):
                continue
            if isinstance(event, StepEvent):
                self._scene.apply(event)
            elif isinstance(event, CompensationEvent):
                self._scene.undo(event)
            else:
                self._scene.fresh += self._beginning.first_lines(run, event)

    def say(self, line: Line) -> None:
        """Print a line at once."""
        self._scene.fresh.append(line)
        self._draw()

    async def __aenter__(self) -> Self:
        self._live.start()
        self._tick()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._draw()
        self._live.stop()

    def _tick(self) -> None:
        self._draw()
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL, self._tick)

    def _draw(self) -> None:
        """One frame: what is fresh scrolls up, the rest is drawn anew below."""
        console = self._live.console
        fresh = [part for line in self._scene.fresh for part in wrapped(line, console.width)]
        self._scene.fresh.clear()
        self._live.update(_cropped(self._scene.lines(time.time(), _limit(console))), refresh=False)
        if fresh:
            # Printing draws the lines below anew, too.
            console.print(Text("\n").join(map(styled, fresh)), soft_wrap=True)
        else:
            self._live.refresh()


def _limit(console: Console) -> int:
    return max(2, min(_MOST_LIVE, console.height - 2))


def _cropped(lines: Sequence[Line]) -> Text:
    # A line that wraps would make the display jump.
    return Text("\n", no_wrap=True, overflow="ellipsis").join(map(styled, lines))
