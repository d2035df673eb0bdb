"""What a schedule is, and what is to be done about it at an instant: pure, as all of its processes must agree."""

import hashlib
from collections.abc import Collection, Mapping
from enum import StrEnum

import attrs

from .timetable import Timetable

ON_TIME = 60.0
"""So many seconds after it was due a time is begun in any case: a restart, or a loop that blocked, is no downtime."""


class Overlap(StrEnum):
    """What becomes of a time at which the run of the time before has not ended."""

    SKIP = "skip"
    QUEUE = "queue"
    CANCEL = "cancel"


class Phase(StrEnum):
    """
    Where the time is that comes next: still to come, waiting for another run to end, or being begun.

    That it is being begun is stored before its run is created: so all processes act on one decision.
    """

    PLANNED = "planned"
    WAITING = "waiting"
    BEGUN = "begun"


@attrs.frozen(kw_only=True)
class ScheduleRecord:
    """
    A schedule as the store has it. Instants are epoch seconds; the *time* of a run is that which the expression names.

    Attributes:
        name: Names it in its store, and begins the ids of its runs.
        workflow: The name of its workflow.
        version: The version of its workflow.
        entrypoint: Where the class can be imported from: `module:Class`, or `path/file.py:Class`.
        inputs: The encoded inputs (JSON object).
        cron: The expression.
        tz: The name of the time zone.
        overlap: What becomes of a time at which the run of the time before has not ended.
        catchup: Seconds for which a missed time is made up for; None for not at all.
        jitter: Seconds by which a run is begun later at most; 0 for none.
        created_at: When it was made.
        next_at: The time that comes next.
        phase: Whether that time is still to come, waits for the run of the time before to end, or is being begun.
        is_paused: Whether nothing is begun until somebody resumes it.
        last_at: The time of the run that was begun last by the clock; None if none was.
        last_run: The id of that run; empty if there is none.
        skipped_at: The time that was skipped last; None if none was.
        skipped: Why: `overlap` or `missed`; empty if none was.
        asked: Id of a run that somebody asked for -> when it was asked; they are to be begun at once.
        revision: Another one after each change, which the store gives; 0 before it is stored.
    """

    name: str
    workflow: str
    version: str
    entrypoint: str
    inputs: str
    cron: str
    tz: str
    overlap: Overlap
    catchup: float | None
    jitter: float
    created_at: float
    next_at: float
    phase: Phase = Phase.PLANNED
    is_paused: bool = False
    last_at: float | None = None
    last_run: str = ""
    skipped_at: float | None = None
    skipped: str = ""
    asked: Mapping[str, float] = attrs.field(factory=dict)
    revision: int = 0

    @property
    def definition(self) -> "ScheduleRecord":
        """What somebody said of it, without what became of it since."""
        return attrs.evolve(
            self, created_at=0.0, next_at=0.0, phase=Phase.PLANNED, is_paused=False, last_at=None, last_run="",
            skipped_at=None, skipped="", asked={}, revision=0,
        )  # fmt: skip

    @property
    def is_acting(self) -> bool:
        """Whether its times have a meaning: it is not paused, or was when one was being begun."""
        return not self.is_paused or self.phase is Phase.BEGUN

    def in_phase(self, phase: Phase) -> "ScheduleRecord":
        """It, with the time that comes next in this phase."""
        return attrs.evolve(self, phase=phase)

    def fired(self, table: Timetable, run_id: str) -> "ScheduleRecord":
        """It, after the run of the time that comes next was begun."""
        next_at = table.after(self.next_at)
        return attrs.evolve(self, next_at=next_at, phase=Phase.PLANNED, last_at=self.next_at, last_run=run_id)

    def skipping(self, reason: str, at: float, next_at: float) -> "ScheduleRecord":
        """It, after this time was skipped, and maybe others before it; `next_at` is the one after it."""
        return attrs.evolve(self, next_at=next_at, phase=Phase.PLANNED, skipped_at=at, skipped=reason)

    def overlapped(self, table: Timetable) -> "ScheduleRecord":
        """It, after the time that comes next was skipped, as the run of the time before has not ended."""
        return self.skipping("overlap", self.next_at, table.after(self.next_at))

    def missed(self, table: Timetable, until: float) -> "ScheduleRecord":
        """It, after all times before this one were skipped, as nobody was there."""
        return self.skipping("missed", table.last_before(until, self.next_at), until)

    def asked_for(self, run_id: str, at: float) -> "ScheduleRecord":
        """It, with a run to be begun at once."""
        return attrs.evolve(self, asked={**self.asked, run_id: at})

    def answered(self, run_ids: Collection[str]) -> "ScheduleRecord":
        """It, after these runs that were asked for were begun."""
        return attrs.evolve(self, asked={each: at for each, at in self.asked.items() if each not in run_ids})

    def paused(self) -> "ScheduleRecord":
        """It, so that nothing is begun by the clock; a time that is being begun is not stopped."""
        return attrs.evolve(self, is_paused=True)

    def resumed(self, table: Timetable, now: float) -> "ScheduleRecord":
        """It, going on with the first time that is to come; the same if it is not paused."""
        if not self.is_paused or self.phase is Phase.BEGUN:
            return attrs.evolve(self, is_paused=False)
        return attrs.evolve(
            self, is_paused=False, phase=Phase.PLANNED, next_at=max(self.next_at, table.after(now))
        )  # fmt: skip

    def redefined(self, other: "ScheduleRecord") -> "ScheduleRecord":
        """The other one, just made, with what became of this one; if it has other times, it goes on with those."""
        keeps_time = (self.cron, self.tz) == (other.cron, other.tz) or self.phase is Phase.BEGUN
        return attrs.evolve(
            other, created_at=self.created_at, is_paused=self.is_paused, last_at=self.last_at, last_run=self.last_run,
            skipped_at=self.skipped_at, skipped=self.skipped, asked=self.asked, revision=self.revision,
            next_at=self.next_at if keeps_time else other.next_at, phase=self.phase if keeps_time else other.phase,
        )  # fmt: skip


def run_id_of(name: str, table: Timetable, at: float) -> str:
    """`nightly@2026-11-27T06:00:00+01:00`: the id of the run of this time, whoever begins it."""
    return f"{name}@{table.text(at)}"


def delay_of(record: ScheduleRecord, at: float) -> float:
    """
    By how many seconds the run of this time is begun later: from 0 on, less than the jitter.

    It is drawn from the name and the time, so that all processes draw the same.
    """
    drawn = hashlib.sha256(f"{record.name}@{at:.0f}".encode()).digest()
    # 53 bits, as a float has: with more it could be rounded up to 1.
    return (int.from_bytes(drawn[:8]) >> 11) / 2**53 * record.jitter


@attrs.frozen
class Due:
    """The time that comes next has come; `is_late` if it was missed, and is made up for."""

    is_late: bool = False


@attrs.frozen
class Missed:
    """The times before `until` have passed, too long ago."""

    until: float


def due_of(record: ScheduleRecord) -> float:
    """When the run of the time that comes next is to be begun (epoch seconds)."""
    return record.next_at + delay_of(record, record.next_at)


def turn_of(record: ScheduleRecord, table: Timetable, now: float) -> Due | Missed:
    """What is to be done about a schedule that is due. Which runs there are is not known here."""
    due_at = due_of(record)
    oldest = now - max(ON_TIME, record.catchup or 0.0)
    # What waits for another run, or is being begun, is not too late: somebody was there in time.
    if due_at >= oldest or record.phase is not Phase.PLANNED:
        return Due(is_late=now > due_at + ON_TIME)
    until = table.after(max(record.next_at, oldest - record.jitter - 1))
    while until + delay_of(record, until) < oldest:
        until = table.after(until)
    return Missed(until)
