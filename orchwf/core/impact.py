"""What a step reaches: all that would be other if it was."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from .lines import names_text
from .pictures import marked
from .wording import plural

if TYPE_CHECKING:
    # For a type only: what draws is loaded by who looks.
    from ..drawing import Picture


@attrs.frozen(kw_only=True)
class Impact:
    """
    What depends on a step. A notebook shows it in the graph.

    Attributes:
        step: Its name.
        direct: The steps that wait for it directly, in topological order.
        steps: All that wait for it, directly or not, in topological order.
        spared: How many steps it does not reach, itself not counted.
    """

    step: str
    direct: Sequence[str]
    steps: Sequence[str]
    spared: int
    _picture: "Picture" = attrs.field(eq=False, repr=False, alias="picture")

    def __str__(self) -> str:
        if not self.steps:
            return f"no step waits for {names_text([self.step])}"
        others = len(self.steps) + self.spared
        reached = f"{names_text([self.step])} reaches {len(self.steps):,} of the other {plural(others, 'step')}"
        return f"{reached}: directly {names_text(self.direct)}; in all {names_text(self.steps)}"

    def picture(self) -> "Picture":
        """The graph in which the step and what it reaches are marked."""
        statuses = {**dict.fromkeys(self.steps, "reached"), self.step: "changed"}
        return marked(self._picture, statuses, str(self))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from .. import drawing  # Only wanted by who looks.

        return drawing.mimebundle(self.picture())
