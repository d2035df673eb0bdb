"""What is told of an append to those who listen, the same in each store."""

import json

from ..core.state import RunStatus
from ..ports import Append, Hint, HintKind

RESTS = frozenset({RunStatus.PAUSED, *(status for status in RunStatus if status.is_final)})
"""Where a run is that does not go on by itself."""


def hint_of(append: Append) -> Hint | None:
    """What is told of a run that nobody owns after this append; None if somebody does, or it rests."""
    now = append.summary or append.create
    is_free = append.releases or (append.create is not None and append.create.owner is None)
    if not is_free:
        return None
    if now is None:
        return Hint(HintKind.FREE)
    if now.wake_at is not None:
        return Hint(HintKind.ASLEEP, at=now.wake_at)
    return Hint(HintKind.FREE) if now.status is RunStatus.RUNNING else None


def brings_to_rest(append: Append) -> bool:
    """Whether the run rests after this append, if it did not before."""
    return append.summary is not None and append.summary.status in RESTS


def hint_text(hint: Hint) -> str:
    """The hint as text: JSON."""
    return json.dumps([hint.kind, hint.run, hint.owner, str(hint.at)])


def read_hint(text: str) -> Hint | None:
    """The hint that this text was made of; None if it is none, as somebody else wrote it."""
    try:
        kind, run, owner, at = json.loads(text)
        return Hint(HintKind(kind), str(run), None if owner is None else str(owner), float(at))
    except (ValueError, TypeError, RecursionError):
        return None
