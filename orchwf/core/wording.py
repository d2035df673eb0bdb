"""Figures and lists as people read them."""

from collections.abc import Iterable, Mapping

from .state import RunStatus, StepStatus

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

_WORDS: dict[StepStatus, str] = {
    StepStatus.COMPLETED: "done",
    StepStatus.FAILED: "failed",
    StepStatus.SKIPPED: "skipped",
    StepStatus.CANCELLED: "cancelled",
    StepStatus.RUNNING: "running",
    StepStatus.RETRYING: "retrying",
    StepStatus.WAITING: "waiting",
    StepStatus.PENDING: "to do",
}
"""What a step of this status is called where steps are counted, in the order in which they are."""


def duration_text(seconds: float) -> str:
    """
    How long something took, in at most two units and with no more digits than mean something.

    `2 ms`, `2.1 s`, `42 s`, `3 min 04 s`, `2 h 05 min`, `3 d 04 h`.
    """
    milliseconds = round(seconds * 1000)
    if milliseconds < 1:
        return "<1 ms"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    tenths = round(seconds * 10)
    if tenths < 100:
        return f"{tenths / 10:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    minutes = round(seconds / _MINUTE)
    if minutes * _MINUTE < _DAY:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / _HOUR)
    return f"{hours // 24} d {hours % 24:02} h"


def age_text(seconds: float) -> str:
    """How long ago something was, roughly: `just now`, `42 s ago`, `3 min ago`, `2 h ago`, `5 d ago`."""
    for length, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= length:
            return f"{int(seconds // length):,} {unit} ago"
    return f"{int(seconds)} s ago" if seconds >= 2 else "just now"


def counts_text(counts: Mapping[StepStatus, int]) -> str:
    """`2 done, 1 failed, 1 skipped`: how many steps are where; what there is none of is left out."""
    return ", ".join(f"{counts[status]:,} {word}" for status, word in _WORDS.items() if counts.get(status))


def count_steps(statuses: Iterable[StepStatus]) -> dict[StepStatus, int]:
    """Status -> how many have it."""
    counts: dict[StepStatus, int] = {}
    for status in statuses:
        counts[status] = counts.get(status, 0) + 1
    return counts


def size_text(size: int) -> str:
    """`812 B`, `1.2 MB`, `40 GB`: bytes with their decimal units."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:.0f} {unit}"


def plural(count: int, noun: str) -> str:
    """`1 step`, `5,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


MARKS: dict[str, str] = {
    StepStatus.COMPLETED: "+",
    StepStatus.FAILED: "x",
    StepStatus.SKIPPED: "-",
    StepStatus.CANCELLED: "/",
    StepStatus.RUNNING: ">",
    StepStatus.RETRYING: "~",
    StepStatus.WAITING: "=",
    StepStatus.PENDING: "o",
    RunStatus.SCHEDULED: "o",
    RunStatus.PAUSED: "o",
}
"""Status of a run or step -> the mark it has at the beginning of a line: never told by colour alone."""
