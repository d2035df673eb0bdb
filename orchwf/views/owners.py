"""Who executes a run now, and why nobody does."""

from ..core.state import RunStatus
from ..ports import RunRecord
from ..runtime.owner import is_abandoned, is_dead, parse_owner


def is_interrupted(record: RunRecord) -> bool:
    """Whether a run has not ended, and nobody executes it any more; one that sleeps or is queued goes on by itself."""
    if record.status is not RunStatus.RUNNING or is_asleep(record) or record.is_queued:
        return False
    return is_abandoned(record)


def is_asleep(record: RunRecord) -> bool:
    """Whether a run waits, or is yet to begin, and nobody has to execute it until then."""
    return record.wake_at is not None and record.owner is None


def interruption(record: RunRecord) -> str:
    """Why nobody executes a run that has not ended, for people; empty if somebody does, or if it has ended."""
    match interruption_kind(record), record.owner:
        case "died", str() as owner:
            return f"{parse_owner(owner).label} died"
        case "lapsed", str() as owner:
            return f"{parse_owner(owner).label} gives no sign of life any more"
        case "shutdown", _:
            return "it was shut down before its end"
        case _:
            return ""


def interruption_kind(record: RunRecord) -> str | None:
    """
    Why nobody executes a run that has not ended: `shutdown` (it was let go in good order), `died` or `lapsed`.

    None if somebody executes it, or if it has ended.
    """
    if not is_interrupted(record):
        return None
    if record.owner is None:
        return "shutdown"
    return "died" if is_dead(parse_owner(record.owner)) else "lapsed"


def owner_label(record: RunRecord) -> str | None:
    """Who executes a run now; None if nobody does."""
    if record.status is not RunStatus.RUNNING or record.owner is None or is_interrupted(record):
        return None
    return parse_owner(record.owner).label
