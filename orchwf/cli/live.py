"""Shows a run while it is executed: live on a terminal, else a line for each change, or JSON lines."""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..core.events import (
    CacheHit,
    ChildStarted,
    CompensationEvent,
    Event,
    StepCancelled,
    StepEvent,
    StepExpanded,
    StepHeartbeat,
    StepSkipped,
    StepStarted,
    TimerSet,
)
from ..core.lines import Line
from ..ports import RunRecord
from .documents import event_document
from .output import Output, styled, wrapped
from .scene import MANY, MOST_LEFT_OUT, Beginning, scene_of

_INTERVAL = 0.25
_MOST_LIVE = 12


class Display(Protocol):
    """Shows one run; an observer of its orchestrator, which it outlives."""

    def told(self, run: RunRecord, events: Sequence[Event]) -> None: ...

    def say(self, line: Line) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


class OneRun:
    """Tells a display of one run alone: what is executed beside it, such as the runs that it starts, is left out."""

    def __init__(self, run_id: str, display: Display) -> None:
        self._run_id = run_id
        self._display = display

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Pass on what happened, if it is about this run."""
        if run.id == self._run_id:
            self._display.told(run, events)


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
        if isinstance(event, CacheHit):
            # Those of items are counted with them.
            if event.item is None:
                self._changes.hits[event.step] = event.run
            return []
        lines = self._changes.lines(event)
        if event.item is not None:
            return lines
        if isinstance(event, StepStarted | StepExpanded | TimerSet | ChildStarted):
            # Of many steps it is enough to tell that they ended.
            return lines if len(self._beginning.dag.nodes) <= MANY else []
        if not isinstance(event, StepSkipped | StepCancelled):
            return lines
        # One failure may leave thousands of steps out; the summary counts them.
        self._left_out += 1
        return lines if self._left_out <= MOST_LEFT_OUT else []


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
        self._live.update(cropped(self._scene.lines(time.time(), _limit(console))), refresh=False)
        if fresh:
            # Printing draws the lines below anew, too.
            console.print(Text("\n").join(map(styled, fresh)), soft_wrap=True)
        else:
            self._live.refresh()


def _limit(console: Console) -> int:
    return max(2, min(_MOST_LIVE, console.height - 2))


def cropped(lines: Sequence[Line]) -> Text:
    """The lines, each on one line of the terminal."""
    # A line that wraps would make the display jump.
    return Text("\n", no_wrap=True, overflow="ellipsis").join(map(styled, lines))
