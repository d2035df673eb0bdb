"""What is to be done about a schedule at an instant: the rules, as values."""

from datetime import datetime
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchwf.core.schedules import (
    Due,
    Missed,
    Overlap,
    Phase,
    ScheduleRecord,
    delay_of,
    due_of,
    run_id_of,
    turn_of,
)
from orchwf.core.timetable import Timetable, timetable

HOURLY = timetable("@hourly", "UTC")
NOON = datetime(2026, 11, 27, 12, tzinfo=ZoneInfo("UTC")).timestamp()
HOUR = 3600.0


def schedule(**differing: object) -> ScheduleRecord:
    """An hourly one, whose next time is noon."""
    record = ScheduleRecord(
        name="nightly", workflow="Flow", version="1", entrypoint="m:Flow", inputs="{}", cron="@hourly", tz="UTC",
        overlap=Overlap.SKIP, catchup=None, jitter=0.0, created_at=NOON - HOUR, next_at=NOON,
    )  # fmt: skip
    return attrs.evolve(record, **differing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "turn"),
    [(0, Due()), (60, Due()), (60.1, Missed(NOON + HOUR)), (5 * HOUR, Missed(NOON + 5 * HOUR)),
     (5 * HOUR + 59, Missed(NOON + 5 * HOUR)), (5 * HOUR + 61, Missed(NOON + 6 * HOUR))],
)  # fmt: skip
def test_without_catchup_a_minute_is_in_time(now: float, turn: object):
    """Whoever comes later passes over what was missed, to the first time that is in time or to come."""
    assert turn == turn_of(schedule(), HOURLY, NOON + now)


@pytest.mark.parametrize(
    ("now", "turn"),
    [(59, Due()), (2.5 * HOUR, Due(is_late=True)), (3 * HOUR, Due(is_late=True)), (3 * HOUR + 1, Missed(NOON + HOUR)),
     (30 * HOUR, Missed(NOON + 27 * HOUR))],
)  # fmt: skip
def test_catchup_reaches_back(now: float, turn: object):
    """What is no older comes, what is older is passed over."""
    assert turn == turn_of(schedule(catchup=3 * HOUR), HOURLY, NOON + now)


def test_a_catchup_of_less_than_a_minute():
    """A minute is in time in any case."""
    assert Due() == turn_of(schedule(catchup=1.0), HOURLY, NOON + 50)


def test_what_waits_is_never_too_late():
    """Nor is what is being begun: somebody was there in time."""
    assert Due(is_late=True) == turn_of(schedule(phase=Phase.WAITING), HOURLY, NOON + 100 * HOUR)
    assert Due(is_late=True) == turn_of(schedule(phase=Phase.BEGUN), HOURLY, NOON + 100 * HOUR)


@given(
    st.just(0.0) | st.floats(0.001, 86_400),
    st.integers(0, 1_000),
    st.floats(0, 400 * HOUR),
    st.none() | st.floats(0, 50 * HOUR),
)
def test_jitter_only_delays(jitter: float, hours: int, late: float, catchup: float | None):
    """By less than the jitter; and whether a time is too late is counted from then on."""
    record = schedule(jitter=jitter, next_at=NOON + hours * HOUR, catchup=catchup)
    reach = max(60.0, catchup or 0.0)

    delay = delay_of(record, record.next_at)
    now = due_of(record) + late
    turn = turn_of(record, HOURLY, now)

    assert 0 <= delay < jitter or delay == jitter == 0
    assert due_of(record) == record.next_at + delay
    match turn:
        case Due(is_late):
            assert is_late == (now > record.next_at + delay + 60)
            assert record.next_at + delay <= now <= record.next_at + delay + reach
        case Missed(until):
            assert now > record.next_at + delay + reach
            assert now <= until + delay_of(record, until) + reach
            between = HOURLY.between(record.next_at, until)
            assert all(at + delay_of(record, at) + reach < now for at in between)


def test_the_delay_is_the_same_wherever_it_is_drawn():
    """It depends on the name and the time; this one is known."""
    record = schedule(jitter=30.0)

    assert 5.828 == pytest.approx(delay_of(record, NOON), abs=0.001)
    assert delay_of(record, NOON) != delay_of(record, NOON + HOUR)
    assert delay_of(record, NOON) != delay_of(attrs.evolve(record, name="other"), NOON)


def test_delays_are_spread():
    """Over all of the jitter."""
    record = schedule(jitter=1.0)
    delays = [delay_of(record, NOON + n * HOUR) for n in range(2_000)]

    assert 0.47 < sum(delays) / 2_000 < 0.53
    assert min(delays) < 0.01
    assert max(delays) > 0.99


def test_the_id_of_a_run_is_its_time():
    """On the clocks of its zone, and different for what they show twice."""
    table = timetable("*/15 * * * *", "Europe/Berlin")
    first, second = (
        datetime(2026, 10, 25, 2, 15, tzinfo=table.zone, fold=fold).timestamp() for fold in (0, 1)
    )  # fmt: skip

    assert "nightly@2026-10-25T02:15:00+02:00" == run_id_of("nightly", table, first)
    assert "nightly@2026-10-25T02:15:00+01:00" == run_id_of("nightly", table, second)


# What a schedule becomes.


def test_a_time_that_was_begun():
    """It is the last one, and the next one is still to come."""
    fired = schedule(phase=Phase.BEGUN).fired(HOURLY, "nightly@noon")

    assert (NOON + HOUR, Phase.PLANNED, NOON, "nightly@noon") == (
        fired.next_at, fired.phase, fired.last_at, fired.last_run,
    )  # fmt: skip


def test_times_that_were_skipped():
    """The last of them is kept, and why."""
    overlapped = schedule(phase=Phase.WAITING).overlapped(HOURLY)
    missed = schedule().missed(HOURLY, NOON + 5 * HOUR)

    assert (NOON + HOUR, Phase.PLANNED, NOON, "overlap") == (
        overlapped.next_at, overlapped.phase, overlapped.skipped_at, overlapped.skipped,
    )  # fmt: skip
    assert (NOON + 5 * HOUR, NOON + 4 * HOUR, "missed") == (missed.next_at, missed.skipped_at, missed.skipped)


def test_a_pause_passes_over_times():
    """Also over one that waits; it goes on with what is to come."""
    paused = schedule(phase=Phase.WAITING).paused()
    resumed = paused.resumed(HOURLY, NOON + 2.5 * HOUR)

    assert not paused.is_acting
    assert (NOON + 3 * HOUR, Phase.PLANNED, False) == (resumed.next_at, resumed.phase, resumed.is_paused)
    assert schedule() == schedule().paused().resumed(HOURLY, NOON - HOUR / 2)
    assert schedule() == schedule().resumed(HOURLY, NOON + 9 * HOUR)


def test_a_pause_does_not_stop_what_is_being_begun():
    """It was decided before."""
    paused = schedule(phase=Phase.BEGUN).paused()

    assert paused.is_acting
    assert (NOON, Phase.BEGUN) == (
        paused.resumed(HOURLY, NOON + HOUR).next_at, paused.resumed(HOURLY, NOON + HOUR).phase,
    )  # fmt: skip


def later(**differing: object) -> ScheduleRecord:
    """The same, said once more two hours later."""
    return schedule(next_at=NOON + 2 * HOUR, created_at=NOON + HOUR, **differing)


def test_a_schedule_that_is_said_again():
    """What became of it stays, and its next time does if its times are the same."""
    old = schedule(is_paused=True, last_at=NOON - HOUR, last_run="r", skipped_at=1.0, skipped="missed",
                   asked={"x": 2.0}, revision=7, phase=Phase.WAITING)  # fmt: skip

    same_times, other_times = old.redefined(later(inputs='{"a":1}')), old.redefined(later(cron="@daily"))

    assert attrs.evolve(old, inputs='{"a":1}') == same_times
    assert attrs.evolve(old, cron="@daily", next_at=NOON + 2 * HOUR, phase=Phase.PLANNED) == other_times
    assert NOON == attrs.evolve(old, phase=Phase.BEGUN).redefined(later(cron="@daily")).next_at


def test_a_definition_is_what_was_said():
    """Two that were said alike are one."""
    assert schedule().definition == later(is_paused=True, revision=3).definition
    assert schedule().definition != later(jitter=1.0).definition


def test_asking_for_runs():
    """Each is kept until it was begun."""
    asked = schedule().asked_for("a", 1.0).asked_for("b", 2.0)

    assert {"a": 1.0, "b": 2.0} == asked.asked
    assert {"b": 2.0} == asked.answered(["a", "c"]).asked


def test_a_timetable_is_a_value():
    """Two of the same expression and zone are equal."""
    assert Timetable("@hourly", ZoneInfo("UTC")) == HOURLY
