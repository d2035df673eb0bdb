"""What a measure prints: one JSON object a line, a row of the table or a gap in it."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """
    One figure.

    Attributes:
        name: What was measured, unique in the table.
        value: The figure.
        unit: Its unit.
        reference: What it is compared with; empty if with nothing.
        reference_value: The figure of that, in the same unit, of the same minute.
        limit: The target: of `value / reference_value`, or of `value` if there is no reference; None if there is none.
        better: Which is better: "lower" or "higher".
    """

    name: str
    value: float
    unit: str
    reference: str = ""
    reference_value: float | None = None
    limit: float | None = None
    better: str = "lower"

    @property
    def ratio(self) -> float | None:
        """To the reference; None without one."""
        return self.value / self.reference_value if self.reference_value else None


@dataclass(frozen=True)
class Gap:
    """Something that is not measured, and why."""

    name: str
    reason: str


def is_met(value: float, limit: float, better: str) -> bool:
    """Whether a figure is as good as its target."""
    return value <= limit if better == "lower" else value >= limit


def emit(item: Row | Gap) -> None:
    """Print it, at once: what was measured is not lost if the rest takes too long."""
    print(json.dumps(asdict(item)), flush=True)


def parsed(line: str) -> Row | Gap:
    """What `emit` printed."""
    fields = json.loads(line)
    return Gap(**fields) if "reason" in fields else Row(**fields)
