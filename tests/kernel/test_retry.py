"""When to try again: the waits, and which errors are worth it."""

import math
from datetime import timedelta
from typing import Any

import pytest

from orchwf import BadOptionError, Quorum, Retry
from orchwf.core.options import seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0.0), (1.5, 1.5), ("30s", 30.0), ("1h30m", 5400.0), ("2d", 172800.0), ("250 ms", 0.25), (" 1 w ", 604800.0),
        (timedelta(minutes=2), 120.0),
    ],
)  # fmt: skip
def test_durations(value: Any, expected: float):
    """Seconds, a timedelta, or text."""
    assert expected == seconds(value, "timeout")


@pytest.mark.parametrize(
    "value", [-1, math.nan, math.inf, 10**400, True, "soon", "", "30", "s", timedelta(-1), None, [1]]
)
def test_no_durations(value: Any):
    """The error names the option, quotes the value and says what it takes."""
    with pytest.raises(BadOptionError, match="timeout takes a duration, not ") as caught:
        seconds(value, "timeout")

    assert repr(value)[:20] in str(caught.value)
    assert "'1h30m'" in str(caught.value)


def test_waits_with_the_defaults():
    """1, 2, 4, 8, 16, 30, 30 seconds at most, and no number of failures overflows."""
    retry = Retry(10)

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] == [retry.bound(n) for n in range(1, 8)]
    assert 30.0 == retry.bound(10**9)
    assert 7.5 == retry.delay(6, 0.25)


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (Retry(1, initial=0), [0.0, 0.0, 0.0]),
        (Retry(1, initial=5, multiplier=1), [5.0, 5.0, 5.0]),
        (Retry(1, initial=60, max_interval=10), [10.0, 10.0, 10.0]),
        (Retry(1, initial="100ms", multiplier=10, max_interval="1m"), [0.1, 1.0, 10.0]),
    ],
)
def test_waits(retry: Retry, expected: list[float]):
    """The bound itself, without jitter."""
    assert expected == pytest.approx([retry.bound(n) for n in (1, 2, 3)])


@pytest.mark.parametrize(
    "options",
    [
        {"max_retries": -1}, {"max_retries": 1.5}, {"max_retries": True}, {"multiplier": 0}, {"multiplier": math.nan},
        {"multiplier": True}, {"initial": -1}, {"max_interval": "soon"}, {"jitter": "half"}, {"retry_on": "ValueError"},
        {"give_up_on": (ValueError, "x")},
    ],
)  # fmt: skip
def test_policies_that_make_no_sense(options: dict[str, Any]):
    """Fail where they are written."""
    with pytest.raises(BadOptionError):
        Retry(**{"max_retries": 1} | options)


def test_which_errors_are_tried_again():
    """Those of retry_on, but for those of give_up_on; both take classes or a predicate."""
    retry = Retry(1, retry_on=[OSError], give_up_on=lambda error: "fatal" in str(error))  # type: ignore[arg-type]

    assert retry.allows(ConnectionError("lost"))
    assert not retry.allows(ConnectionError("fatal"))
    assert not retry.allows(ValueError("lost"))
    assert Retry(1, retry_on=KeyError).allows(KeyError())


@pytest.mark.parametrize("count", [0, -1, 1.0, True])
def test_quorum_of_nothing(count: Any):
    """It takes a whole number of at least 1."""
    with pytest.raises(BadOptionError, match="Quorum"):
        Quorum(count)
