"""What a run did when, as a picture."""

from collections.abc import Callable

import attrs

from ..labels import visible
from .lanes import Chart
from .notebook import bundle
from .timeline_svg import draw_timeline
from .timeline_text import timeline_rows


@attrs.frozen(kw_only=True)
class Timeline(Chart):
    """
    The steps of a run over time: attempts as bars, waits hatched, the critical path marked.

    A notebook shows it, and `print` does; a step that runs per item is one lane, which shows how many were at work.
    """

    def __str__(self) -> str:
        return self.to_text()

    def to_svg(self, *, link: Callable[[str], str] | None = None) -> str:
        """
        The picture as a self-contained SVG document, for light and dark pages.

        Args:
            link: The address to which the lane of a step leads. The picture is then a part of a page that has the rules
                of `themed_stylesheet`, and brings none of its own.
        """
        return draw_timeline(self, link=link).svg

    def to_text(self, *, encoding: str = "utf-8") -> str:
        """The picture as lines of text, of characters that `encoding` has."""
        return "\n".join([*(text for text, _ in timeline_rows(self, encoding=encoding)), ""])

    def rows(
        self, *, encoding: str = "utf-8", width: int | None = None, everything: bool = False
    ) -> list[tuple[str, str]]:
        """
        The lines of `to_text`, each with the status of its lane, which may be shown by a colour; empty for none.

        Args:
            width: The columns of a line; None for as many as are usual.
            everything: Whether each lane has a line, however many there are.
        """
        return timeline_rows(self, encoding=encoding, width=width, everything=everything)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return bundle(draw_timeline(self), visible(self.title), self.to_text())
