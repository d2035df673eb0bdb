"""The targets of the four shapes; those of the measures stand in their rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """
    What one contender is to reach in one shape.

    Attributes:
        shape: The shape.
        contender: Whose figure it is.
        figure: "rate" (steps per second), "cpu" or "wall" (microseconds per step).
        reference: The contender whose rate it is compared with; empty if with nothing.
        limit: Of the ratio, or of the figure where there is no reference.
    """

    shape: str
    contender: str
    figure: str
    reference: str
    limit: float

    @property
    def better(self) -> str:
        """Which is better: "lower" or "higher"."""
        return "higher" if self.figure == "rate" else "lower"


def _ahead_of(peer: str, chain: float, groups: float) -> tuple[Target, ...]:
    shapes = {"chain": chain, "many": groups, "fan": groups}
    return tuple(Target(shape, "orchwf FULL", "rate", peer, limit) for shape, limit in shapes.items())


TARGETS = (
    Target("chain", "orchwf FULL", "rate", "raw FULL", 0.6),
    Target("many", "orchwf FULL", "rate", "raw FULL", 0.13),
    Target("fan", "orchwf FULL", "rate", "raw FULL", 0.056),
    Target("layers", "orchwf FULL", "rate", "raw FULL", 0.22),
    # 2,500 steps a second where raw gives 20,000.
    Target("chain", "orchwf NORMAL", "rate", "raw NORMAL", 0.125),
    *(Target(shape, "orchwf FULL", "cpu", "", 40.0) for shape in ("many", "fan", "layers")),
    *(Target(shape, "orchwf memory", "wall", "", 25.0) for shape in ("chain", "many", "fan", "layers")),
    *_ahead_of("DBOS as shipped", 5.0, 100.0),
    *_ahead_of("DBOS with WAL", 5.0, 100.0),
    *_ahead_of("LangGraph", 4.0, 40.0),
    *_ahead_of("Prefect", 12.0, 150.0),
)
