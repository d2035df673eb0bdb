"""
How a run ended, in the few lines that a person wants.

The command line ends with them, and a `RunFailed` carries them as its notes.
"""

from collections.abc import Iterable, Mapping

import attrs

from ..labels import cells, shorten, visible
from .dag import Dag
from .events import ErrorInfo
from .history import StepRecord
from .state import RunStatus, StepStatus
from .wording import MARKS, count_steps, counts_text, duration_text

_LONGEST_NAME = 40
_LONGEST_MESSAGE = 300
_MOST_FAILURES = 5
_MOST_OTHERS = 5
_MOST_KEPT = 5

STOPPED = "interrupted"
"""The tone of a run that has not ended, but that nobody executes any more."""


@attrs.frozen
class Line:
    """
    One line for people.

    Attributes:
        text: Without control characters.
        tone: The status of the run or step that its mark stands for, which may be shown by a colour; empty for none.
        weight: `strong` for a headline, `faint` for what is said beside, or empty.
    """

    text: str
    tone: str = ""
    weight: str = ""


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
        reason: The headline of the failure, or why it was cancelled.
        interrupted: Whether it has not ended, and nobody executes it.
        resume: The command that resumes it; empty where there is none to type.
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
    interrupted: bool = False
    resume: str = ""
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
        width = name_width(record.name for record in (*failures, *others))
        lines = [self.headline()]
        if self.reason and (not failed or self.status is RunStatus.CANCELLED):
            lines.append(Line(f"  {brief(self.reason)}"))
        for record in failures:
            lines += self._failure(record, width)
        if len(failed) > len(failures):
            lines.append(Line(f"  x and {len(failed) - len(failures):,} more that failed", StepStatus.FAILED))
        lines += [
            Line(f"  {MARKS[record.status]} {padded(record.name, width)}  {record.status}: {brief(record.reason)}",
                 record.status)
            for record in others
        ]  # fmt: skip
        if len(left_out) > len(others):
            counted = counts_text(count_steps(record.status for record in left_out[len(others) :]))
            lines.append(Line(f"  - and more: {counted}", StepStatus.SKIPPED))
        return lines + self._way_on()

    def headline(self) -> Line:
        """`x DailySales run 7f3a failed in 2.1 s   (2 done, 1 failed, 1 skipped)`"""
        counts = count_steps(record.status for record in self.steps.values())
        tone = STOPPED if self.interrupted else str(self.status)
        mark = "!" if self.interrupted else MARKS[self.status]
        ended = self.status.is_final and not self.interrupted
        took = "" if self.duration is None else f" {'in' if ended else 'after'} {duration_text(self.duration)}"
        word = STOPPED if self.interrupted else str(self.status)
        if self.interrupted:
            # Nobody executes it, so nothing of it is running.
            counts[StepStatus.PENDING] = sum(
                counts.pop(each, 0) for each in (StepStatus.PENDING, StepStatus.RUNNING, StepStatus.RETRYING)
            )
        counted = f"   ({counts_text(counts)})" if counts else ""
        name = shorten(visible(self.workflow), _LONGEST_NAME, cells)
        return Line(f"{mark} {name} run {visible(self.run_id)} {word}{took}{counted}", tone, "strong")

    def _is_left_out(self, record: StepRecord) -> bool:
        """Whether it did not run, or not to its end, because of the failure or the cancellation of the run."""
        if record.status not in (StepStatus.SKIPPED, StepStatus.CANCELLED):
            return False
        return self.status is not RunStatus.COMPLETED and record.cause not in ("when", "body", "rest")

    def _failure(self, record: StepRecord, width: int) -> list[Line]:
        error = record.error or ErrorInfo("Exception", "")
        node = self.dag.nodes.get(record.name) if self.dag is not None else None
        optional = "  (optional)" if node is not None and not node.options.required else ""
        tries = f"attempt {record.attempt}/{max_attempts(record, self.dag)}" if record.attempt else "not tried"
        headline = f"  x {padded(record.name, width)}  {tries}  {brief(error.headline)}{optional}"
        return [Line(headline, StepStatus.FAILED), *self._place(error)]

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
        if not self.resume or not (self.status is RunStatus.FAILED or self.interrupted):
            return []
        kept = [name for name, record in self.steps.items() if record.status is StepStatus.COMPLETED]
        keeps = f"      (keeps {names_text(kept)})" if kept else ""
        what = "Go on with:" if self.interrupted else "Mend the code, then:"
        return [Line(f"  {what}  {self.resume}{keeps}")]


def max_attempts(record: StepRecord, dag: Dag | None) -> int:
    """How many attempts there may be: those of the definition, or more if a resume gave a fresh budget."""
    node = dag.nodes.get(record.name) if dag is not None else None
    return max(record.attempt, record.spent + 1 + node.options.retry.max_retries if node is not None else 0)


def relative(location: str, folder: str) -> str:
    """A location without the folder, if it is below it."""
    if not folder:
        return location
    prefix = folder if folder.endswith(("/", "\\")) else folder + ("\\" if "\\" in folder else "/")
    return location.removeprefix(prefix)


def name_width(names: Iterable[str]) -> int:
    """The columns that the longest of the names takes once it is shortened."""
    return max((min(_LONGEST_NAME, cells(visible(name[: 2 * _LONGEST_NAME]))) for name in names), default=0)


def padded(name: str, width: int) -> str:
    """The name made visible, shortened if it has to be, and filled up to so many columns."""
    text = shorten(visible(name), _LONGEST_NAME, cells)
    return text + " " * (width - cells(text))


def names_text(names: Iterable[str], limit: int = _MOST_KEPT) -> str:
    """`extract, transform and 2,466 more`"""
    every = list(names)
    shown = ", ".join(shorten(visible(name), _LONGEST_NAME, cells) for name in every[:limit])
    return f"{shown} and {len(every) - limit:,} more" if len(every) > limit else shown


def brief(text: str) -> str:
    """The text on one line, and no longer than anyone reads."""
    return visible(text[:_LONGEST_MESSAGE]) + ("…" if len(text) > _LONGEST_MESSAGE else "")
