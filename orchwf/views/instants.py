"""Instants as people and programs read them; all are given in epoch seconds."""

import math
from datetime import datetime

from ..core.options import seconds
from ..core.progress import moment_of
from ..core.wording import duration_text
from ..errors import BadOptionError


def local_time(at: float) -> str:
    """`2026-11-22 20:47:03`, in the time zone of the machine."""
    return moment_of(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock_time(at: float) -> str:
    """`20:47:03.123`, in the time zone of the machine."""
    return moment_of(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def near_time(at: float, now: float) -> str:
    """`20:47:03` if that is today, else as `local_time`."""
    moment = moment_of(at).astimezone()
    is_today = moment.date() == moment_of(now).astimezone().date()
    return moment.strftime("%H:%M:%S") if is_today else local_time(at)


def time_to_come(at: float, now: float) -> str:
    """`20:47:03, in 12 min 03 s`: when something is due, and how long that takes; only when, if that has passed."""
    return near_time(at, now) + (f", in {duration_text(at - now)}" if at > now else "")


def iso_time(at: float | None) -> str | None:
    """`2026-11-22T20:47:03.123Z`; None stays None, and so is what never comes."""
    if at is None or at == math.inf:
        return None
    return moment_of(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def past_instant(text: str, now: float) -> float:
    """
    The instant meant by `2d` (so long before now) or `2026-11-02T08:30` (local time, unless it names a zone).

    Raises:
        ValueError: it is neither.
    """
    try:
        return now - seconds(text, "it")
    except BadOptionError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("it takes how long ago (30m, 12h, 2d) or when (2026-11-02T08:30)") from None
