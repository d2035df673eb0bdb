"""The times of cron expressions, on clocks that are put forward and back."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchwf import BadOptionError
from orchwf.core.timetable import Timetable, timetable

MINUTE, DAY = 60.0, 86_400.0


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def texts(cron: str, tz: str, start: str, count: int) -> list[str]:
    """The first times from `start` on, which is ISO 8601 text with an offset."""
    table = timetable(cron, tz)
    return [table.text(at) for at in islice(table.between(epoch(start), epoch("2100-01-01T00:00+00:00")), count)]


@pytest.mark.parametrize(
    ("cron", "start", "times"),
    [
        # The clocks go from 02:00 to 03:00: it comes as soon as they have.
        ("30 2 * * *", "2026-03-28T00:00+01:00",
         ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("30 1 * * *", "2026-03-28T00:00+01:00",
         ["2026-03-28T01:30:00+01:00", "2026-03-29T01:30:00+01:00", "2026-03-30T01:30:00+02:00"]),
        # They go from 03:00 back to 02:00: it comes the first time only.
        ("30 2 * * *", "2026-10-24T00:00+02:00",
         ["2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        ("30 1 * * *", "2026-10-24T00:00+02:00",
         ["2026-10-24T01:30:00+02:00", "2026-10-25T01:30:00+02:00", "2026-10-26T01:30:00+01:00"]),
        # What both stand for the same instant comes once.
        ("0,30 2 * * *", "2026-03-29T00:00+01:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]),
        ("0 2,3 * * *", "2026-03-29T00:00+01:00", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]),
        ("0 6 * * MON-FRI", "2026-10-23T00:00+02:00", ["2026-10-23T06:00:00+02:00", "2026-10-26T06:00:00+01:00"]),
    ],
)  # fmt: skip
def test_a_time_of_each_day_where_the_clocks_are_set(cron: str, start: str, times: list[str]):
    """In Berlin, in 2026."""
    assert times == texts(cron, "Europe/Berlin", start, len(times))


def test_every_quarter_of_an_hour_where_the_clocks_go_back():
    """What they show twice comes twice: 25 hours have 100 quarters."""
    times = texts("*/15 * * * *", "Europe/Berlin", "2026-10-25T00:00+02:00", 101)

    assert [
        "2026-10-25T02:00:00+02:00", "2026-10-25T02:15:00+02:00", "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:45:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T02:15:00+01:00",
        "2026-10-25T02:30:00+01:00", "2026-10-25T02:45:00+01:00", "2026-10-25T03:00:00+01:00",
    ] == times[8:17]  # fmt: skip
    assert "2026-10-26T00:00:00+01:00" == times[100]
    assert len(set(times)) == len(times)
    assert {900.0} == {epoch(later) - epoch(sooner) for sooner, later in pairwise(times)}


def test_every_quarter_of_an_hour_where_the_clocks_go_forward():
    """What they skip does not come: 23 hours have 92 quarters."""
    times = texts("*/15 * * * *", "Europe/Berlin", "2026-03-29T00:00+01:00", 93)

    assert ["2026-03-29T01:45:00+01:00", "2026-03-29T03:00:00+02:00"] == times[7:9]
    assert "2026-03-30T00:00:00+02:00" == times[92]


def test_a_time_that_is_shown_twice_elsewhere():
    """New York goes back at two, so it is 01:30 twice: a job of each day comes with the first."""
    times = texts("30 1 * * *", "America/New_York", "2026-10-31T12:00-04:00", 2)

    assert ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"] == times


def test_after_a_time_that_is_shown_for_the_second_time():
    """A job of each day does not come again."""
    table = timetable("30 2 * * *", "Europe/Berlin")

    assert "2026-10-26T02:30:00+01:00" == table.text(table.after(epoch("2026-10-25T02:10+01:00")))


@pytest.mark.parametrize(
    ("name", "cron"),
    [
        ("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@weekly", "0 0 * * 0"), ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"), (" @Daily ", "0 0 * * *"),
    ],
)  # fmt: skip
def test_names_of_expressions(name: str, cron: str):
    """They stand for what crontab says."""
    assert texts(cron, "UTC", "2026-11-27T00:00+00:00", 5) == texts(name, "UTC", "2026-11-27T00:00+00:00", 5)


def test_the_end_of_a_range_is_not_in_it():
    """Its beginning is."""
    table, start = timetable("@hourly", "UTC"), epoch("2026-11-27T00:00+00:00")

    assert [start, start + 3600] == list(table.between(start, start + 7200))
    assert [start] == list(table.between(start, start + 0.5))
    assert [] == list(table.between(start + 0.5, start + 3600))


@pytest.mark.parametrize("cron", ["* * * * *", "30 2 * * *", "0 0 1 1 *", "0 0 29 2 *"])
def test_the_last_time_before_another(cron: str):
    """Whatever lies between."""
    table, since = timetable(cron, "Europe/Berlin"), 0.0
    since = table.after(epoch("2020-01-01T00:00+00:00"))
    until = table.after(epoch("2026-11-27T00:00+00:00"))

    last = table.last_before(until, since)

    assert last < until == table.after(last)
    assert since == table.last_before(table.after(since), since)


def test_times_in_place_of_what_the_clocks_skip():
    """Those of which the expression names another."""
    table = timetable("30 2 * * *", "Europe/Berlin")

    assert [False, True, False] == [
        table.is_moved(at)
        for at in table.between(epoch("2026-03-28T00:00+01:00"), epoch("2026-03-31T00:00+02:00"))
    ]  # fmt: skip
    assert not timetable("*/15 * * * *", "Europe/Berlin").is_moved(epoch("2026-10-25T02:15+01:00"))


@pytest.mark.parametrize(
    ("cron", "tz", "told"),
    [
        ("61 * * * *", "UTC", "cron='61 * * * *' cannot be read: bad minute"),
        ("0 6 * * FRI-MON", "UTC", "cannot be read: bad day-of-week"),
        ("0 0 31 2 *", "UTC", "cannot be read: bad day-of-month"),
        ("0 0 30 2 0#6", "UTC", "cannot be read: bad day-of-week"),
        ("0 6 * *", "UTC", "cron takes five fields, and '0 6 * *' has 4"),
        ("0 0 6 * * *", "UTC", "cron takes five fields, and '0 0 6 * * *' has 6"),
        ("", "UTC", "cron takes five fields, and '' has 0"),
        ("1" * 5_000 + " * * * *", "UTC", "cron takes a shorter text"),
        (6, "UTC", "cron takes the text of a cron expression, not 6"),
        ("0 6 * * *", "Europe/Berln", "tz='Europe/Berln' is no time zone that this machine knows\nDid you mean"),
        ("0 6 * * *", "Europe", "is no time zone that this machine knows"),
        ("0 6 * * *", "../etc/passwd", "is no time zone that this machine knows\nName one"),
        ("0 6 * * *", "a\0b", "is no time zone that this machine knows"),
        ("0 6 * * *", None, "tz takes the name of a time zone, such as 'Europe/Berlin', not None"),
    ],
)  # fmt: skip
def test_what_names_no_times(cron: object, tz: object, told: str):
    """One error, which quotes it and says what would do."""
    with pytest.raises(BadOptionError) as caught:
        timetable(cron, tz)

    assert told in str(caught.value)


def test_an_expression_that_breaks_cronsim(monkeypatch: pytest.MonkeyPatch):
    """Whatever it asserts of itself is told as an expression that cannot be read."""

    def broken(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("cronsim.CronSim", broken)

    with pytest.raises(BadOptionError, match=r"cron='@daily' cannot be read\n"):
        timetable("@daily", "UTC")


def test_days_that_never_come(monkeypatch: pytest.MonkeyPatch):
    """Neither within fifty years nor before the end of the calendar."""
    with pytest.raises(BadOptionError, match="never comes again"):
        timetable("@daily", "UTC").after(epoch("9999-12-31T00:00+00:00"))
    monkeypatch.setattr("cronsim.CronSim", lambda *_: iter(()))
    with pytest.raises(BadOptionError, match="never comes again"):
        timetable("@daily", "UTC")


def test_without_cronsim():
    """The error says what to install; nothing else needs it."""
    code = (
        "import sys; sys.modules['cronsim'] = None\n"
        "import orchwf\nfrom orchwf.core.timetable import timetable\n"
        "try:\n    timetable('@daily', 'UTC')\n"
        "except orchwf.UsageError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "schedules need cronsim, which is not installed: pip install 'orchwf[schedules]'\n" == done.stdout


# Against what a slow and simple program says.

SHIFTS = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Africa/Cairo": ("2026-04-24", "2026-10-30"),
    "America/Havana": ("2026-03-08", "2026-11-01"),
    "Asia/Kathmandu": ("2026-03-29",),
}
"""Time zone -> days on which its clocks are set; of the last one they never are."""

places = st.sampled_from([(tz, day) for tz, days in SHIFTS.items() for day in days])
some_minutes = st.sets(st.integers(0, 59), min_size=1, max_size=3)
some_hours = st.sets(st.integers(0, 4) | st.integers(0, 23), min_size=1, max_size=3)


def listed(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def around(zone: ZoneInfo, day: str) -> tuple[float, float]:
    """Three days, with this one in their midst, from a whole minute on."""
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC).timestamp()
    return noon - 1.5 * DAY, noon + 1.5 * DAY


def chained(table: Timetable, start: float, end: float) -> list[float]:
    """The same times, each found from the one before."""
    times, at = [], start - 1
    while (at := table.after(at)) < end:
        times.append(at)
    return times


@pytest.mark.slow
@settings(max_examples=60)
@given(places, st.sampled_from(["*", "*/15", "*/7"]), st.none() | some_hours)
def test_what_the_clocks_show(place: tuple[str, str], minutes: str, hours: set[int] | None):
    """With a star in the minutes each minute that the clocks show and the expression names comes."""
    zone = ZoneInfo(place[0])
    start, end = around(zone, place[1])
    table = timetable(f"{minutes} {listed(hours) if hours else '*'} * * *", place[0])
    step = int(minutes.partition("/")[2] or 1)
    shown = [(start + MINUTE * n, datetime.fromtimestamp(start + MINUTE * n, zone)) for n in range(3 * 24 * 60)]
    expected = [at for at, wall in shown if wall.minute % step == 0 and (not hours or wall.hour in hours)]

    assert expected == list(table.between(start, end))
    assert expected == chained(table, start, end)


def meant(zone: ZoneInfo, day: date, hour: int, minute: int) -> float:
    """When a job of this time begins: at the first minute from it on that the clocks show, in the order of instants."""
    wall = datetime(day.year, day.month, day.day, hour, minute)
    first = wall.replace(tzinfo=zone).timestamp() - 3 * 3600
    for n in range(6 * 60):
        if datetime.fromtimestamp(first + MINUTE * n, zone).replace(tzinfo=None) >= wall:
            return first + MINUTE * n
    raise AssertionError("no clocks are set by so much")


@settings(max_examples=60)
@given(places, some_minutes, some_hours)
def test_what_is_meant_for_each_day(place: tuple[str, str], minutes: set[int], hours: set[int]):
    """With minutes and hours named each comes once a day, if need be as soon as the clocks have gone over it."""
    zone = ZoneInfo(place[0])
    start, end = around(zone, place[1])
    table = timetable(f"{listed(minutes)} {listed(hours)} * * *", place[0])
    first = datetime.fromtimestamp(start, zone).date()
    days = [first + timedelta(days=n) for n in range(-1, 5)]
    times = {meant(zone, day, hour, minute) for day in days for hour in hours for minute in minutes}
    expected = sorted(at for at in times if start <= at < end)

    assert expected == list(table.between(start, end))
    assert expected == chained(table, start, end)
