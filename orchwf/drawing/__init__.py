"""A workflow, or a run of one, as SVG, text, Mermaid, DOT and for a notebook: values in, text out."""

from .dot import to_dot
from .lanes import Lane, Span
from .mermaid import to_mermaid
from .notebook import mimebundle
from .picture import STATUSES, Arrow, Picture, Shape
from .stylesheet import themed_stylesheet
from .summary import opened as opened
from .svg import to_svg
from .text import to_text
from .timeline import Timeline

__all__ = [
    "STATUSES",
    "Arrow",
    "Lane",
    "Picture",
    "Shape",
    "Span",
    "Timeline",
    "mimebundle",
    "themed_stylesheet",
    "to_dot",
    "to_mermaid",
    "to_svg",
    "to_text",
]
