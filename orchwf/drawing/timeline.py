"""What a run did when, as a picture."""

import attrs

from ..labels import visible
from .lanes import Chart
from .notebook import bundle
from .timeline_svg import draw_timeline
from .timeline_text import timeline_text


@attrs.frozen(kw_only=True)
class Timeline(Chart):
    """
    The steps of a run over time: attempts as bars, waits hatched, the critical path marked.

    A notebook shows it, and `print` does; a step that runs per item is one lane, which shows how many were at work.
    """

    def __str__(self) -> str:
        return self.to_text()

    def to_svg(self) -> str:
        """The picture as a self-contained SVG document, for light and dark pages."""
        return draw_timeline(self).svg

    def to_text(self, *, encoding: str = "utf-8") -> str:
        """The picture as lines of text, of characters that `encoding` has."""
        return timeline_text(self, encoding=encoding)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return bundle(draw_timeline(self), visible(self.title), self.to_text())
