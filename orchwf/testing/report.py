"""What came of letting processes die, told to someone who did not think of it."""

from collections.abc import Sequence

import attrs

from ..core.events import CompensationEvent, Event, RunFailed, RunPaused, RunResumed, StepEvent
from ..core.wording import duration_text, plural
from ..errors import OrchwfError

_MOST_EVENTS = 12
_MOST_FAULTS = 5
_MOST_OTHERS = 10


@attrs.frozen
class Fault:
    """
    One thing that is wrong.

    Attributes:
        kind: `order` (of what was stored and what ran), `status`, `output`, `unended`, `check` or `error`.
        text: What it is; its first line says it all, the others give details.
    """

    kind: str
    text: str

    def lines(self) -> list[str]:
        first, *rest = self.text.splitlines() or [""]
        return [f"x {first}", *(f"  {line}" for line in rest)]


@attrs.frozen(kw_only=True)
class CrashProblem:
    """
    A run that did not stand its deaths.

    Attributes:
        deaths: Where it died, in order; empty for a run that was left alone.
        log: What the log said at the last of them.
        ran: The bodies that ran after it, in order.
        faults: What is wrong.
        hint: What may help; empty if nothing is known to.
    """

    deaths: tuple[str, ...]
    log: tuple[str, ...]
    ran: tuple[str, ...]
    faults: tuple[Fault, ...]
    hint: str = ""

    @property
    def headline(self) -> str:
        """Where it died."""
        return f"died {', then '.join(self.deaths)}" if self.deaths else "left alone"

    @property
    def signature(self) -> tuple[str, ...]:
        """What it has in common with others of the same reason."""
        return tuple(f"{fault.kind} {fault.text.splitlines()[0] if fault.text else ''}" for fault in self.faults)

    def lines(self) -> list[str]:
        lines = [self.headline]
        if self.deaths:
            shown = self.log[-_MOST_EVENTS:]
            left_out = len(self.log) - len(shown)
            lines += ["the log then:" if self.log else "the log was empty then"]
            lines += [f"    ... {plural(left_out, 'event')} before"] if left_out else []
            lines += [f"    {line}" for line in shown]
            lines += [f"after the resume ran: {', '.join(self.ran) or 'nothing'}"]
        for fault in self.faults[:_MOST_FAULTS]:
            lines += fault.lines()
        if len(self.faults) > _MOST_FAULTS:
            lines.append(f"x and {len(self.faults) - _MOST_FAULTS} more like these")
        return lines + self.hint.splitlines()


@attrs.frozen(kw_only=True)
class CrashReport:
    """
    What `crash_everywhere` tried, and what came of it.

    Attributes:
        workflow: The name of the workflow.
        deaths: Where it died, one text for each run that did; `, then ` joins the deaths of one run.
        lives: How many processes it had, those of the undisturbed runs included.
        paused: How many runs wait for somebody in the end, as nobody knows whether a step took effect that runs at most
            once.
        doubted: The names of these steps.
        duration: How long it took (real seconds).
        problems: The runs that went wrong; empty if all is well.
    """

    workflow: str
    deaths: tuple[str, ...]
    lives: int
    paused: int = 0
    doubted: tuple[str, ...] = ()
    duration: float = 0.0
    problems: tuple[CrashProblem, ...] = ()

    def __str__(self) -> str:
        took = f"({self.lives:,} processes, {duration_text(self.duration)})"
        if not self.problems:
            lines = [f"{self.workflow} survives: it died at {plural(len(self.deaths), 'place')} and ended well {took}"]
        elif not self.problems[0].deaths:
            lines = [f"{self.workflow} cannot be tried: something is wrong with it when its process does not die"]
        else:
            broken = f"{len(self.problems)} of the {plural(len(self.deaths), 'place')}"
            lines = [f"{self.workflow} does not survive the death of its process at {broken} tried {took}"]
        if self.paused:
            names = ", ".join(map(repr, self.doubted))
            lines.append(
                f"{plural(self.paused, 'run')} of these paused, as nobody knew whether {names} took effect: to have "
                "them go on, say rerun=, skip= or values="
            )
        return "\n".join(lines + self._explained())

    def _explained(self) -> list[str]:
        """The first problem of each sort in full, the others by where they died."""
        sorts: dict[tuple[str, ...], list[CrashProblem]] = {}
        for problem in self.problems:
            sorts.setdefault(problem.signature, []).append(problem)
        lines: list[str] = []
        for number, (first, *others) in enumerate(sorts.values(), 1):
            head, *rest = first.lines()
            lines += ["", f"{number}. {head}", *(f"   {line}" for line in rest)]
            if others:
                lines.append(f"   The same, {plural(len(others), 'time')} more:")
                lines += [f"     {other.headline}" for other in others[:_MOST_OTHERS]]
                lines += [f"     and {len(others) - _MOST_OTHERS} more"] if len(others) > _MOST_OTHERS else []
        return lines


class CrashError(OrchwfError, AssertionError):
    """
    A workflow does not survive the death of its process, wherever that may come.

    Attributes:
        report: What was tried, and what went wrong.
    """

    def __init__(self, report: CrashReport) -> None:
        self.report = report
        super().__init__(str(report))


def log_lines(events: Sequence[Event]) -> tuple[str, ...]:
    """A log for people, one line per event: `4 step.started charge (attempt 1)`."""
    width = len(str(events[-1].seq)) if events else 0
    return tuple(f"{event.seq:>{width}} {event.kind}{_details(event)}" for event in events)


def _details(event: Event) -> str:
    match event:
        case StepEvent(step=step) | CompensationEvent(step=step):
            parts = [f"item {event.item}"] if event.item is not None else []
            parts += [f"attempt {event.attempt}"] if event.attempt else []
            return f" {step}" + (f" ({', '.join(parts)})" if parts else "")
        case RunResumed(reason=text) | RunPaused(reason=text) | RunFailed(error=text):
            return f": {text}" if text else ""
        case _:
            return ""
