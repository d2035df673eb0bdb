"""
How a run ended, in the few lines that a person wants.

The command line ends with them, and a `RunFailed` carries them as its notes.
"""

from collections.abc import Iterable, Mapping

import attrs

from ..errors import command_line, resume_command
from ..labels import cells, shorten, visible
from .dag import Dag
from .events import ErrorInfo
from .history import StepRecord
from .lines import LONGEST_NAME, STOPPED, Line, brief, name_width, names_text, padded, relative
from .state import RunStatus, StepStatus
from .wording import MARKS, count_steps, counts_text, duration_text, plural

_MOST_FAILURES = 5
_MOST_OTHERS = 5

_RESUMABLE = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.PAUSED)
_TOLD_BY_STEPS = ("unknown", "exhausted")
"""The kinds of pauses of which the steps say more than the reason does."""


@attrs.frozen(kw_only=True)
class Report:
    """
    What there is to tell of a run.

    Attributes:
        run_id, workflow: Which run.
        status: Where it is.
        steps: Step name -> what became of it, of all steps.
        dag: The definition, if it is known: says how often a step may be tried, and which are optional.
        duration: Seconds from its start to its end, or to now; None if unknown.
        reason: The headline of the failure, or why it was cancelled, paused or interrupted.
        pause: Of a paused run, the kind of that reason, as in the event.
        compensation: `done` or `failed` if steps were undone; empty otherwise.
        interrupted: Whether it has not ended, and nobody executes it.
        store: The URL of its store for the commands that are told, empty if it is found without; None for no commands.
        folder: Paths below it are shown relative to it.
        verbose: Whether tracebacks are wanted, and all steps instead of the first ones.
    """

    run_id: str
    workflow: str
    status: RunStatus
    steps: Mapping[str, StepRecord]
    dag: Dag | None = None
    duration: float | None = None
    reason: str = ""
    pause: str = ""
    compensation: str = ""
    interrupted: bool = False
    store: str | None = None
    folder: str = ""
    verbose: bool = False

    def lines(self) -> list[Line]:
        """
        The whole: a headline, what failed and where, what was left out because of it, how to go on.

        ::

            x DailySales run 7f3a failed in 2.1 s   (2 done, 1 failed, 1 skipped)
              x validate  attempt 3/3  ValueError: row 3: 'amount' is negative (-12.5)
                  flows/sales.py:19 in validate
                    if r.amount < 0: raise ValueError(...)
              - load      skipped: validate failed
              Mend the code, then:  orchwf resume 7f3a      (keeps extract, transform)
        """
        failed = [record for record in self.steps.values() if record.status is StepStatus.FAILED]
        left_out = [record for record in self.steps.values() if self._is_left_out(record)]
        failures = failed if self.verbose else failed[:_MOST_FAILURES]
        others = left_out if self.verbose else left_out[:_MOST_OTHERS]
        width = name_width(record.name for record in (*failures, *others, *self.unknown, *self._exhausted))
        lines = [self.headline()]
        if self.reason and not (failed and self.status is RunStatus.FAILED) and self.pause not in _TOLD_BY_STEPS:
            lines.append(Line(f"  {brief(self.reason)}"))
        for record in failures:
            lines += self._failure(record, width)
        if len(failed) > len(failures):
            lines.append(Line(f"  x and {len(failed) - len(failures):,} more that failed", StepStatus.FAILED))
        lines += [*self._waiting(width), *self._others(others, width)]
        if len(left_out) > len(others):
            counted = counts_text(count_steps(record.status for record in left_out[len(others) :]))
            lines.append(Line(f"  - and more: {counted}", StepStatus.SKIPPED))
        return [*lines, *self._undoing(), *self._way_on()]

    @property
    def unknown(self) -> list[StepRecord]:
        """The steps that run at most once, and of which nobody knows whether they took effect."""
        if self.pause == "unknown":
            return [record for record in self.steps.values() if self._runs_once(record) and was_in_flight(record)]
        if not self.interrupted:
            return []
        in_flight = [record for record in self.steps.values() if record.status is StepStatus.RUNNING]
        return list(filter(self._runs_once, in_flight))

    @property
    def _exhausted(self) -> list[StepRecord]:
        """The steps that wait for somebody, as they have no attempts left."""
        if self.status is not RunStatus.PAUSED:
            return []
        return [record for record in self.steps.values() if waits_for_somebody(record)]

    def _runs_once(self, record: StepRecord) -> bool:
        node = self.dag.nodes.get(record.name) if self.dag is not None else None
        return node is not None and node.options.delivery == "at_most_once"

    def _waiting(self, width: int) -> list[Line]:
        """Of a run that waits for somebody, the steps that it waits for."""
        lines = [
            Line(f"  ? {padded(record.name, width)}  attempt {record.attempt} was in flight when its process died, "
                 "and it runs at most once", StepStatus.RETRYING)
            for record in self.unknown
        ]  # fmt: skip
        for record in self._exhausted:
            lines += self._failure(record, width, mark=MARKS[StepStatus.RETRYING], tone=StepStatus.RETRYING)
        if self.pause == "takeovers":
            died = [record for record in self.steps.values() if was_in_flight(record)]
            lines += [
                Line(f"  ! {padded(record.name, width)}  was in flight, attempt {record.attempt}", STOPPED)
                for record in died[:_MOST_OTHERS]
            ]
        return lines

    def _others(self, others: Iterable[StepRecord], width: int) -> list[Line]:
        return [
            Line(f"  {MARKS[record.status]} {padded(record.name, width)}  {record.status}: {brief(record.reason)}",
                 record.status)
            for record in others
        ]  # fmt: skip

    def _undoing(self) -> list[Line]:
        """What was undone, and what was not."""
        undoing = [(record, record.compensation) for record in self.steps.values() if record.compensation is not None]
        undoing.sort(key=lambda pair: pair[1].started_at or 0.0)
        undone = [record.name for record, undo in undoing if undo.status is StepStatus.COMPLETED]
        lines = [Line(f"  undone: {names_text(undone)}")] if undone else []
        width = name_width(record.name for record, undo in undoing if undo.status is not StepStatus.COMPLETED)
        for record, undo in undoing:
            name = padded(record.name, width)
            if undo.status is StepStatus.FAILED:
                error = undo.error or ErrorInfo("Exception", "")
                tries = f" in {plural(undo.attempt, 'attempt')}" if undo.attempt > 1 else ""
                lines.append(
                    Line(f"  x {name}  could not be undone{tries}: {brief(error.headline)}", StepStatus.FAILED)
                )
                lines += self._place(error)
            elif undo.status is not StepStatus.COMPLETED and (self.interrupted or self.status.is_final):
                lines.append(Line(f"  ! {name}  was being undone", STOPPED))
        return lines

    def headline(self) -> Line:
        """`x DailySales run 7f3a failed in 2.1 s   (2 done, 1 failed, 1 skipped)`"""
        counts = count_steps(record.status for record in self.steps.values())
        tone = STOPPED if self.interrupted else str(self.status)
        mark = "!" if self.interrupted else MARKS[self.status]
        ended = self.status.is_final and not self.interrupted
        took = "" if self.duration is None else f" {'in' if ended else 'after'} {duration_text(self.duration)}"
        word = STOPPED if self.interrupted else str(self.status)
        if self.interrupted or self.status is RunStatus.PAUSED:
            # Nobody executes it, so nothing of it is running.
            counts[StepStatus.PENDING] = sum(
                counts.pop(each, 0) for each in (StepStatus.PENDING, StepStatus.RUNNING, StepStatus.RETRYING)
            )
        counted = f"   ({counts_text(counts)})" if counts else ""
        name = shorten(visible(self.workflow), LONGEST_NAME, cells)
        return Line(f"{mark} {name} run {visible(self.run_id)} {word}{took}{counted}", tone, "strong")

    def _is_left_out(self, record: StepRecord) -> bool:
        """Whether it did not run, or not to its end, because of the failure or the cancellation of the run."""
        if record.status not in (StepStatus.SKIPPED, StepStatus.CANCELLED):
            return False
        return self.status is not RunStatus.COMPLETED and record.cause not in ("when", "body", "rest")

    def _failure(self, record: StepRecord, width: int, *, mark: str = "x", tone: str = StepStatus.FAILED) -> list[Line]:
        error = record.error or ErrorInfo("Exception", "")
        node = self.dag.nodes.get(record.name) if self.dag is not None else None
        optional = "  (optional)" if node is not None and not node.options.required else ""
        tries = f"attempt {record.attempt}/{max_attempts(record, self.dag)}" if record.attempt else "not tried"
        headline = f"  {mark} {padded(record.name, width)}  {tries}  {brief(error.headline)}{optional}"
        return [Line(headline, tone), *self._place(error)]

    def _place(self, error: ErrorInfo) -> list[Line]:
        if self.verbose and error.traceback:
            return [Line(f"      {visible(line)}", weight="faint") for line in error.traceback.rstrip().splitlines()]
        lines = []
        if error.location:
            lines.append(Line(f"      {brief(relative(error.location, self.folder))}", weight="faint"))
        if error.source:
            lines.append(Line(f"        {brief(error.source)}"))
        return lines

    def _way_on(self) -> list[Line]:
        """What to type, and what it keeps."""
        if self.store is None or not (self.interrupted or self.status in _RESUMABLE):
            return []
        if self.unknown:
            return self._questions([record.name for record in self.unknown], self.store)
        resume = resume_command(self.run_id, self.store)
        if self.compensation == "failed":
            return [Line(f"  To try again what could not be undone:  {resume}")]
        if self.status is RunStatus.CANCELLED:
            return []
        if self.compensation == "done":
            return self._fork(self.store)
        is_undoing = any(record.compensation is not None for record in self.steps.values())
        kept = [name for name, record in self.steps.items() if record.status is StepStatus.COMPLETED]
        keeps = f"      (keeps {names_text(kept)})" if kept and not is_undoing else ""
        if self._exhausted:
            names = [record.name for record in self._exhausted]
            without = resume_command(self.run_id, self.store, "skip", names)
            return [
                Line(f"  Mend what is wrong, then:  {resume}{keeps}"),
                Line(f"  Or go on without {names_text(names)}:  {without}"),
            ]
        what = "Mend the code, then:" if self.status is RunStatus.FAILED else "Go on with:"
        return [Line(f"  {'Find out why, then:' if self.pause == 'takeovers' else what}  {resume}{keeps}")]

    def _fork(self, store: str) -> list[Line]:
        """How to go on where nothing is left to resume, as all is undone."""
        failed = [name for name, record in self.steps.items() if record.status is StepStatus.FAILED]
        if not failed or store.startswith("memory:"):
            return []
        fork = command_line("fork", self.run_id, store, ["--from", failed[0]])
        return [Line(f"  Mend the code, then:  {fork}      (what was undone runs again)")]

    def _questions(self, names: list[str], store: str) -> list[Line]:
        """What somebody may answer who knows what became of the steps that run at most once."""
        it, them = ("it", "it") if len(names) == 1 else ("they", "them")
        answers = {
            "rerun": f"{it} did not: run {them} again",
            "values": f"{it} did, and returned this",
            "skip": f"go on without {them}",
        }
        typed = {resume_command(self.run_id, store, answer, names): what for answer, what in answers.items()}
        longest = max(map(len, typed))
        return [
            Line(f"  Find out whether {names_text(names)} took effect, and say so:"),
            *(Line(f"    {command:<{longest}}   {what}") for command, what in typed.items()),
        ]


def was_in_flight(record: StepRecord) -> bool:
    """Whether an attempt of it was in flight when its process died, and it was not begun again."""
    return bool(record.attempts) and StepStatus.PENDING is record.status is record.attempts[-1].status


def waits_for_somebody(record: StepRecord) -> bool:
    """Whether it has no attempts left and goes on when somebody resumes the run."""
    return record.status is StepStatus.RETRYING and record.due_at is None


def max_attempts(record: StepRecord, dag: Dag | None) -> int:
    """How many attempts there may be: those of the definition, or more if a resume gave a fresh budget."""
    node = dag.nodes.get(record.name) if dag is not None else None
    return max(record.attempt, record.spent + 1 + node.options.retry.max_retries if node is not None else 0)
