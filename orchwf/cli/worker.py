"""`worker`: a process that takes up runs, begins those of schedules, and executes them until it is told to end."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from ..core.dag import dag_of
from ..core.events import EVENT_TYPES, Event, RunCancelled, RunCompleted, RunFailed, RunPaused, RunResumed, RunStarted
from ..core.limits import Queue
from ..core.lines import Line, brief, names_text
from ..core.wording import duration_text, plural
from ..errors import BadOptionError
from ..labels import visible
from ..orchestrator import Orchestrator
from ..ports import RunRecord, Store
from ..runtime.interrupts import Interrupt, listening
from ..views import mark_of
from .execute import Stage
from .exits import CommandError, Exit
from .finding import document_of
from .health import health_pages
from .loading import load, parse_target
from .metrics import metrics_pages
from .output import Output
from .serving import served

_STOP_ON = (signal.SIGINT, signal.SIGTERM)
_JOBS = 256


class RunDisplay:
    """
    Prints a line when a run begins, goes on, ends or pauses: an observer of whatever executes many of them.

    Attributes:
        rested: How many have ended or paused so far.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self.rested = 0

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """Print what happened to a run, if anything did that concerns all of it."""
        for event in events:
            line = self._line(run, event)
            if line is None or self._output.quiet:
                continue
            if self._output.json:
                self._output.document(document_of(run), indent=None)
            else:
                self._output.lines([line])

    def _line(self, run: RunRecord, event: Event) -> Line | None:
        match event:
            case RunStarted() if run.owner is None:
                # It is left to whoever has room for it.
                return None
            case RunStarted():
                return self._of(run, "started", "running")
            case RunResumed(seq=seq, reason=reason):
                # What follows the first event at once, of a run that somebody else has written, is its beginning.
                is_new = (seq, reason) == (2, "due")
                return self._of(run, "started" if is_new else "goes on", "running")
            case RunCompleted(at=at):
                text = f"completed in {duration_text(at - run.created_at)}"
            case RunFailed(at=at, error=error):
                text = f"failed after {duration_text(at - run.created_at)}: {brief(error)}"
            case RunCancelled(at=at, reason=reason):
                text = f"cancelled after {duration_text(at - run.created_at)}{f': {brief(reason)}' if reason else ''}"
            case RunPaused(reason=reason):
                text = f"paused{f': {brief(reason)}' if reason else ''}"
            case _:
                return None
        self.rested += 1
        return self._of(run, text, str(run.status))

    def _of(self, run: RunRecord, text: str, tone: str) -> Line:
        return Line(f"{mark_of(tone)} {visible(run.workflow)} run {visible(run.id)} {text}", tone)


async def work(
    stage: Stage,
    targets: Sequence[str],
    *,
    grace: float,
    queues: Sequence[Queue] = (),
    health: tuple[str, int] | None = None,
    metrics: tuple[str, int] | None = None,
    most: int | None = None,
) -> int:
    """
    Serve the workflows of these targets until a signal comes.

    Args:
        health: Host and port at which is said how it is; None for nowhere.
        metrics: Those at which Prometheus may scrape it; None for nowhere, and then nothing is counted.
        most: How many runs are executed for more to be taken up; None for any number.
    """
    workflows = loaded_classes(stage.output, targets)
    display = RunDisplay(stage.output)
    async with stage.opened(must_exist=False) as store:
        orchestrator = Orchestrator(
            store, workflows=workflows, max_concurrency=stage.jobs or _JOBS, max_runs=most, grace=grace,
            queues=queues, observers=[display],
        )  # fmt: skip
        way_on = "what runs goes on when it is taken up"
        async with (
            served(health, health_pages(orchestrator.health), "--health") as healthy_at,
            served(metrics, metrics_pages(orchestrator) if metrics else {}, "--metrics-port") as scraped_at,
            told_to_stop(stage, orchestrator, way_on, grace) as interrupt,
        ):
            await _tell_ready(stage, store, workflows, healthy_at, scraped_at)
            await until_told(orchestrator.until_closed(), interrupt)
            # A run that slept has been let go of, and nobody here is told what becomes of it elsewhere.
            held = orchestrator.health()
            last = display.rested + (held.runs if held else 0)
    left = max(0, last - display.rested)
    rest = f"; {plural(left, 'run')} {'goes' if left == 1 else 'go'} on when another worker takes over" if left else ""
    _say(stage.output, f"o stopped{rest}", "paused")
    return Exit.DONE


def queue_of(text: str) -> Queue:
    """
    The queue that is meant by `NAME=LIMIT`, or by `NAME=LIMIT,LIMIT`: how many steps at once, how many per time.

    Raises:
        CommandError: it is no such text.
    """
    name, _, limits = text.partition("=")
    given: dict[str, Any] = {}
    for limit in limits.split(","):
        key = "rate" if "/" in limit else "concurrency"
        if key in given:
            raise _bad_queue(text, f"it says {key} twice")
        given[key] = limit if key == "rate" else _whole_number(limit)
    try:
        return Queue(name.strip(), **given)
    except BadOptionError as error:
        raise _bad_queue(text, str(error).partition("\n")[0]) from None


def _whole_number(text: str) -> int | str:
    return int(text) if text.strip().isdecimal() else text


def _bad_queue(text: str, reason: str) -> CommandError:
    examples = "such as api=4, mail=100/minute or api=4,10/second"
    return CommandError(f"--queues takes NAME=LIMIT, {examples}, not {text!r}: {reason}")


def loaded_classes(output: Output, targets: Sequence[str]) -> list[type]:
    """The workflows that these targets name, each once."""
    return list(dict.fromkeys(workflow for target in targets for workflow in _loaded(output, target)))


def _loaded(output: Output, target: str) -> tuple[type, ...]:
    loaded = load(parse_target(target))
    for warning in loaded.warnings:
        output.warn(warning)
    return loaded.workflows


async def _tell_ready(stage: Stage, store: Store, workflows: Sequence[type], health: str, metrics: str) -> None:
    names = [dag_of(workflow).name for workflow in workflows]
    count = sum(record.workflow in names for record in await store.schedules())
    if stage.output.json:
        ready = {
            "serving": names, "schedules": count, "store": store.url, "health": health or None,
            "metrics": metrics or None,
        }  # fmt: skip
        stage.output.document(ready, indent=None)
    _say(stage.output, f"> serving {names_text(names)} from {store.url}, {plural(count, 'schedule')}", "running")
    if health:
        _say(stage.output, f"  health at {health}/healthz and {health}/readyz", "running")
    if metrics:
        _say(stage.output, f"  metrics at {metrics}/metrics", "running")


def _say(output: Output, text: str, tone: str) -> None:
    if not output.quiet:
        output.lines([Line(text, tone, "strong")])


@asynccontextmanager
async def told_to_stop(stage: Stage, orchestrator: Orchestrator, way_on: str, grace: float) -> AsyncIterator[Interrupt]:
    """
    An open orchestrator that is closed in good order after the block, and cut short by a second signal.

    Args:
        way_on: What is said of the rest where it is cut short.
    """
    stage.deadline.words = f"! ended without waiting any longer; {way_on}"
    stage.deadline.stream = 2 if stage.output.json else 1
    told = listening(_STOP_ON, f"! ended at once; {way_on}", stage.deadline.begin)
    with told as interrupt, stage.output.reserved(), _warnings_shown(stage.output):
        async with orchestrator:
            yield interrupt
            if interrupt.number:
                text = f"! stopping: what runs has {duration_text(grace)} to end; a second signal ends it at once"
                _say(stage.output, text, "paused")


async def until_told(work: Coroutine[Any, Any, object], interrupt: Interrupt) -> None:
    """Return when this is done, or when a signal came; then it is cancelled. Raises what it raises."""
    done, asked = asyncio.ensure_future(work), asyncio.ensure_future(interrupt.asked.wait())
    try:
        await asyncio.wait([done, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        if not done.done():
            done.cancel()
    if done.done() and not done.cancelled():
        done.result()


@contextmanager
def _warnings_shown(output: Output) -> Iterator[None]:
    """What orchwf warns of is printed in the block: whoever operates it reads no log otherwise."""
    handler, logger = _Warnings(output), logging.getLogger("orchwf")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Warnings(logging.Handler):
    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        # What happens in a run is shown already.
        if record.msg not in EVENT_TYPES:
            self._output.warn(record.getMessage())
