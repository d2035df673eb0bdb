"""
How a run ended, in the few lines that a person wants.

The command line ends with them, and a `RunFailed` carries them as its notes.
"""

from collections.abc import Iterable, Iterator, Mapping

import attrs

from ..errors import command_line, resume_command, send_command
from ..labels import cells, shorten, visible
from .dag import Dag
from .definition import ForSignal, Several
from .failures import Failures, failed_items, item_name
from .history import StepRecord
from .lines import LONGEST_NAME, STOPPED, Line, brief, name_width, names_text, padded
from .progress import kept_name, several_of, tally_of, told_status, waits_for_somebody, was_in_flight
from .selection import LEFT_OUT
from .state import RunStatus, StepStatus
from .types import describe_type
from .undone import undoing_lines, undoings
from .wording import MARKS, count_steps, counts_text, duration_text

_MOST_FAILURES = 5
_MOST_OTHERS = 5
_MOST_QUESTIONS = 20

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
        borne = [record for record in self.steps.values() if self._bears_failures(record)]
        failures = failed if self.verbose else failed[:_MOST_FAILURES]
        others = left_out if self.verbose else left_out[:_MOST_OTHERS]
        told = (*failures, *borne[:_MOST_OTHERS], *others, *self.unknown, *self._exhausted)
        width = name_width(item_name(record.name, record.item) for record in told)
        lines = [self.headline()]
        if self.reason and not (failed and self.status is RunStatus.FAILED) and self.pause not in _TOLD_BY_STEPS:
            lines.append(Line(f"  {brief(self.reason)}"))
        for record in failures:
            lines += self._failures.of_step(record, width)
        if len(failed) > len(failures):
            lines.append(Line(f"  x and {len(failed) - len(failures):,} more that failed", StepStatus.FAILED))
        for record in borne[:_MOST_OTHERS]:
            lines += self._failures.borne(record, width)
        lines += [*self._waiting(width), *self._others(others, width)]
        if len(left_out) > len(others):
            counted = counts_text(count_steps(record.status for record in left_out[len(others) :]))
            lines.append(Line(f"  - and more: {counted}", StepStatus.SKIPPED))
        is_over = self.interrupted or self.status.is_final
        undoing = undoing_lines(self.steps.values(), self._failures, is_over=is_over)
        return [*lines, *undoing, *self._signals(), *self.way_on()]

    @property
    def unknown(self) -> list[StepRecord]:
        """The steps that run at most once, or items of such, of which nobody knows whether they took effect."""
        if self.pause == "unknown":
            return [record for record in self._all if self._runs_once(record) and was_in_flight(record)]
        if not self.interrupted:
            return []
        in_flight = [record for record in self._all if record.status is StepStatus.RUNNING]
        return list(filter(self._runs_once, in_flight))

    @property
    def _all(self) -> Iterator[StepRecord]:
        """All steps, and after each its items."""
        for record in self.steps.values():
            yield record
            yield from record.begun

    @property
    def _exhausted(self) -> list[StepRecord]:
        """The steps and items that wait for somebody, as they have no attempts left."""
        return list(filter(waits_for_somebody, self._all)) if self.status is RunStatus.PAUSED else []

    def _runs_once(self, record: StepRecord) -> bool:
        node = self.dag.nodes.get(record.name) if self.dag is not None else None
        if node is None or node.options.delivery != "at_most_once":
            return False
        # Finding out about its items does nothing outside.
        return record.item is not None or node.several is not Several.EACH

    def _waiting(self, width: int) -> list[Line]:
        """Of a run that waits for somebody, the steps that it waits for."""
        unknown, exhausted = self.unknown, self._exhausted
        lines = [
            Line(f"  ? {_name(record, width)}  attempt {record.attempt} was in flight "
                 "when its process died, and it runs at most once", StepStatus.RETRYING)
            for record in unknown[:_MOST_QUESTIONS]
        ]  # fmt: skip
        for record in exhausted[:_MOST_QUESTIONS]:
            lines += self._failures.of_step(record, width, mark=MARKS[StepStatus.RETRYING], tone=StepStatus.RETRYING)
        hidden = len(unknown[_MOST_QUESTIONS:]) + len(exhausted[_MOST_QUESTIONS:])
        lines += [Line(f"  ? and {hidden:,} more", StepStatus.RETRYING)] if hidden else []
        if self.pause == "takeovers":
            died = [record for record in self._all if was_in_flight(record)]
            lines += [
                Line(
                    f"  ! {_name(record, width)}  was in flight, attempt {record.attempt}",
                    STOPPED,
                )
                for record in died[:_MOST_OTHERS]
            ]
        return lines

    def _others(self, others: Iterable[StepRecord], width: int) -> list[Line]:
        return [
            Line(f"  {MARKS[record.status]} {padded(record.name, width)}  {record.status}: {brief(record.reason)}",
                 record.status)
            for record in others
        ]  # fmt: skip

    def headline(self) -> Line:
        """`x DailySales run 7f3a failed in 2.1 s   (2 done, 1 failed, 1 skipped)`"""
        counts, items = count_steps(map(told_status, self.steps.values())), self._count_items()
        tone = STOPPED if self.interrupted else str(self.status)
        mark = "!" if self.interrupted else MARKS[self.status]
        ended = self.status.is_final and not self.interrupted
        took = "" if self.duration is None else f" {'in' if ended else 'after'} {duration_text(self.duration)}"
        word = STOPPED if self.interrupted else str(self.status)
        if self.interrupted or self.status is RunStatus.PAUSED:
            # Nobody executes it, so nothing of it is running.
            _rest(counts)
            _rest(items)
        per_item = f"; items: {counts_text(items)}" if any(items.values()) else ""
        counted = f"   ({counts_text(counts)}{per_item})" if counts else ""
        name = shorten(visible(self.workflow), LONGEST_NAME, cells)
        return Line(f"{mark} {name} run {visible(self.run_id)} {word}{took}{counted}", tone, "strong")

    def _count_items(self) -> dict[StepStatus, int]:
        """Status -> how many items have it, of the steps that run once per item."""
        counts: dict[StepStatus, int] = {}
        for record in self.steps.values():
            node, tally = self.dag.nodes.get(record.name) if self.dag is not None else None, tally_of(record)
            if tally is None or several_of(record, node) is not Several.EACH:
                continue
            for status, count in tally.counts.items():
                counts[status] = counts.get(status, 0) + count
            to_come = tally.total - len(tally.statuses)
            counts[StepStatus.PENDING] = counts.get(StepStatus.PENDING, 0) + to_come
        return counts

    def _bears_failures(self, record: StepRecord) -> bool:
        return bool(record.items) and record.status is not StepStatus.FAILED and bool(failed_items(record))

    def _is_left_out(self, record: StepRecord) -> bool:
        """Whether it did not run, or not to its end, because of the failure or the cancellation of the run."""
        if record.status not in (StepStatus.SKIPPED, StepStatus.CANCELLED):
            return False
        return self.status is not RunStatus.COMPLETED and record.cause not in ("when", "body", "rest", LEFT_OUT)

    @property
    def _failures(self) -> Failures:
        return Failures(dag=self.dag, folder=self.folder, verbose=self.verbose)

    def way_on(self, step: str = "") -> list[Line]:
        """
        What to type to go on with the run, and what that keeps; nothing if it needs no help.

        Args:
            step: For this step it is asked, if for one: then also what to send it, if it waits for a signal.
        """
        if step and (signals := self._signals(step)):
            return signals
        if self.store is None or not (self.interrupted or self.status in _RESUMABLE):
            return []
        if self.unknown:
            return self._questions(_names(self.unknown), self.store)
        resume = resume_command(self.run_id, self.store)
        if self.compensation == "failed":
            return [Line(f"  To try again what could not be undone:  {resume}")]
        if self.status is RunStatus.CANCELLED:
            return []
        if self.compensation == "done":
            return self._fork(self.store)
        is_undoing = any(any(undoings(record)) for record in self.steps.values())
        kept = [name for record in self.steps.values() if (name := kept_name(record))]
        keeps = f"      (keeps {names_text(kept)})" if kept and not is_undoing else ""
        if self._exhausted:
            names = _names(self._exhausted)
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

    def _signals(self, step: str = "") -> list[Line]:
        """Of a run that goes on, what to type for the signals that it waits for, or for that one."""
        if self.dag is None or self.store is None or self.store.startswith("memory:"):
            return []
        if self.status is not RunStatus.RUNNING:
            return []
        lines = []
        for record in [self.steps[step]] if step else self.steps.values():
            node = self.dag.nodes.get(record.name)
            if node is not None and record.status is StepStatus.WAITING and isinstance(node.waits, ForSignal):
                payload = "" if describe_type(node.waits.type) == "None" else "JSON"
                command = send_command(self.run_id, self.store, record.name, payload)
                lines.append(Line(f"  Send {visible(record.name)}:  {command}"))
        return lines[:_MOST_OTHERS]

    def _questions(self, names: list[str], store: str) -> list[Line]:
        """What somebody may answer who knows what became of the steps that run at most once."""
        it, them = ("it", "it") if len(names) == 1 else ("they", "them")
        answers = {
            "rerun": f"{it} did not: run {them} again",
            "values": f"{it} did, and returned this",
            "skip": f"go on without {them}",
        }
        if self.dag is not None and any(self.dag.nodes[name].several is not None for name in names):
            # Nobody can say of which item a value is.
            del answers["values"]
        typed = {resume_command(self.run_id, store, answer, names): what for answer, what in answers.items()}
        longest = max(map(len, typed))
        return [
            Line(f"  Find out whether {names_text(names)} took effect, and say so:"),
            *(Line(f"    {command:<{longest}}   {what}") for command, what in typed.items()),
        ]


def _name(record: StepRecord, width: int) -> str:
    return padded(item_name(record.name, record.item), width)


def _names(records: Iterable[StepRecord]) -> list[str]:
    """The names of the steps that these are, or are items of, once each."""
    return list(dict.fromkeys(record.name for record in records))


def _rest(counts: dict[StepStatus, int]) -> None:
    """Count what runs, of what nobody executes, among what is to do."""
    counts[StepStatus.PENDING] = sum(
        counts.pop(each, 0) for each in (StepStatus.PENDING, StepStatus.RUNNING, StepStatus.RETRYING)
    )
