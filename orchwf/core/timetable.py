"""The times of a cron expression in a time zone. Alone knows cronsim, which it imports when the first is asked for."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import attrs

from ..errors import UsageError
from .options import bad_option
from .suggestions import closest

if TYPE_CHECKING:
    # For types only: the package is optional.
    from cronsim import CronSim

_FIELDS = 5
_LONGEST = 200
"""Characters of an expression: nobody writes more, and digits by the thousand are no number to Python."""

_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * SUN",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_HOUR = 3600.0
_HINT = "For example '0 6 * * MON-FRI' (minute, hour, day of the month, month, day of the week), or @daily."


@attrs.frozen
class Timetable:
    """
    When a schedule fires: a cron expression, read on the clocks of a time zone. Times are epoch seconds.

    An expression that names minutes and hours is meant for each day: where the clocks go forward over such a time it
    comes as soon as they have, and where they go back it comes once, the first time. With a `*` in minutes or hours it
    is meant for what the clocks show: what they skip does not come, and what they show twice comes twice.

    Source: Debian's cron, as cronsim has it, https://github.com/cuu508/cronsim

    Attributes:
        cron: The expression, as it was given.
        zone: The time zone.
    """

    cron: str
    zone: ZoneInfo

    def after(self, at: float) -> float:
        """
        The first time after this instant.

        Raises:
            BadOptionError: there is none within fifty years.
        """
        return next(self._from(at))

    def between(self, start: float, end: float) -> Iterator[float]:
        """The times from `start` on, and before `end`, in order."""
        return takewhile(lambda at: at < end, dropwhile(lambda at: at < start, self._from(start - 1)))

    def last_before(self, at: float, since: float) -> float:
        """The last time before `at` and not before `since`, which is a time itself."""
        span = _HOUR
        while span < at - since:
            if times := list(self.between(at - span, at)):
                return times[-1]
            span *= 24
        return list(self.between(since, at))[-1]

    def _from(self, at: float) -> Iterator[float]:
        last = at
        try:
            for each in _parsed(self.cron, self.local(at)):
                # Several times that the clocks go over come to one; and one that comes once may lie before, where the
                # clocks show it for the second time.
                if (instant := each.timestamp()) > last:
                    last = instant
                    yield instant
        except OverflowError:
            # The end of the calendar.
            pass
        raise bad_option("cron", f"cron={self.cron!r} never comes again", _HINT)

    def local(self, at: float) -> datetime:
        """An instant on the clocks of the zone."""
        return datetime.fromtimestamp(at, self.zone)

    def text(self, at: float) -> str:
        """`2026-11-27T06:00:00+01:00`: no two instants have the same, also where the clocks go back."""
        return self.local(at).isoformat(timespec="seconds")

    def is_moved(self, at: float) -> bool:
        """Whether a time stands for one that the clocks went over: it is none that the expression names."""
        wall = self.local(at).replace(tzinfo=None)
        return next(_parsed(self.cron, wall - timedelta(seconds=1)), None) != wall


def timetable(cron: object, tz: object) -> Timetable:
    """
    The times of this expression in the time zone of this name.

    Raises:
        BadOptionError: one of them is none, or the expression names days that never come.
        UsageError: cronsim is not installed.
    """
    if not isinstance(cron, str):
        raise bad_option("cron", f"cron takes the text of a cron expression, not {cron!r}", _HINT)
    table = Timetable(cron, _zone(tz))
    table.after(0.0)
    return table


def _zone(tz: object) -> ZoneInfo:
    if isinstance(tz, str):
        try:
            return ZoneInfo(tz)
        # Of a folder of zones, such as "Europe", the operating system speaks.
        except (ZoneInfoNotFoundError, ValueError, OSError):
            near = closest(tz, available_timezones())
            hint = f"Did you mean {near!r}?" if near else "Name one of the IANA database: 'Europe/Berlin', 'UTC'."
            raise bad_option("tz", f"tz={tz[:_LONGEST]!r} is no time zone that this machine knows", hint) from None
    raise bad_option("tz", f"tz takes the name of a time zone, such as 'Europe/Berlin', not {tz!r}")


def _parsed(cron: str, start: datetime) -> "CronSim":
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise UsageError("schedules need cronsim, which is not installed: pip install 'orchwf[schedules]'") from None
    expression = _NAMES.get(cron.strip().lower(), cron)
    if len(fields := expression.split()) != _FIELDS or len(expression) > _LONGEST:
        what = f"five fields, and {cron[:_LONGEST]!r} has {len(fields)}" if len(fields) != _FIELDS else "a shorter text"
        raise bad_option("cron", f"cron takes {what}", _HINT)
    try:
        return CronSim(expression, start)
    # A step of something that cannot have one, such as "L/2" beside others, breaks an assertion.
    except (CronSimError, AssertionError) as error:
        reason = f": {str(error).lower()}" if str(error) else ""
        raise bad_option("cron", f"cron={cron!r} cannot be read{reason}", _HINT) from None
