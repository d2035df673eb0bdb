"""Lengths of time as people write them, and the error for an option that makes no sense."""

import math
import re
from datetime import timedelta

from ..errors import BadOptionError, Problem

Duration = float | str | timedelta
"""Seconds, a `timedelta`, or text such as `"30s"`, `"1h30m"`, `"2d"`."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:\s*\d+(?:\.\d+)?\s*(?:ms|[smhdw])\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])")


def bad_option(option: str, message: str, hint: str = "") -> BadOptionError:
    """The error that says that one value given to an option is wrong."""
    return BadOptionError(option, [Problem("bad-option", "", message, hint=hint)])


def seconds(value: object, option: str) -> float:
    """
    A duration as seconds.

    Raises:
        BadOptionError: it is negative, not finite, or no duration at all.
    """
    result: float
    match value:
        case bool():
            result = math.nan
        case int() | float():
            result = float(value) if abs(value) < 1e15 else math.inf
        case timedelta():
            result = value.total_seconds()
        case str() if _DURATION.fullmatch(value):
            result = sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(value))
        case _:
            result = math.nan
    if not (math.isfinite(result) and result >= 0):
        raise bad_option(
            option,
            f"{option} takes a duration, not {value!r}",
            "Give seconds (a number that is not negative), a timedelta, or text such as '30s', '1h30m', '2d'.",
        )
    return result


def positive_seconds(value: object, option: str) -> float:
    """A duration that is longer than nothing, as seconds; errors as of `seconds`."""
    result = seconds(value, option)
    if result == 0:
        raise bad_option(option, f"{option} must be longer than 0 seconds", "Leave it out for no limit.")
    return result
