"""A drawing for a notebook."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from ..labels import shorten, visible
from .canvas import Drawn, Spot
from .picture import Picture
from .svg import draw
from .text import to_text

_MOST_SAID = 60_000
"""So many characters of what is said where somebody points: the output of a cell is kept with the notebook."""

_LONGEST_SAID = 400


def mimebundle(picture: Picture) -> dict[str, str]:
    """The picture as `text/html` and `text/plain`."""
    return bundle(draw(picture), visible(picture.title), to_text(picture))


def bundle(drawn: Drawn, title: str, text: str) -> dict[str, str]:
    """
    A drawing as `text/html` and `text/plain`.

    The HTML is an image with the SVG in its address: that is shown by every notebook, trusted or not. SVG as a type of
    its own is dropped where a notebook is not trusted, and as elements in the page it is cleaned away. An image tells
    nobody who points at it what is where, so there are empty elements with titles over it; where the notebook is not
    trusted they lose their places, and do no harm.
    """
    address = b64encode(drawn.svg.encode()).decode()
    alternative = escape(f"{title}: {drawn.text}")
    image = f'<img src="data:image/svg+xml;base64,{address}" alt="{alternative}" style="display:block;max-width:100%">'
    over = "".join(_over(drawn))
    html = f'<div style="position:relative;display:inline-block;max-width:100%">{image}{over}</div>'
    return {"text/html": html, "text/plain": text}


def _over(drawn: Drawn) -> Iterator[str]:
    for spot, said in zip(drawn.spots, _said(drawn.spots), strict=True):
        left, width = spot.x / drawn.width, spot.width / drawn.width
        top, height = spot.y / drawn.height, spot.height / drawn.height
        place = f"left:{left:.2%};top:{top:.2%};width:{width:.2%};height:{height:.2%}"
        yield f'<span style="position:absolute;{place}" title="{escape(said).replace(chr(10), "&#10;")}"></span>'


def _said(spots: Sequence[Spot]) -> list[str]:
    """What is said of each; where that is very much in all, of each as much as there is room for."""
    said = [shorten(spot.text, _LONGEST_SAID, len) for spot in spots]
    room = _MOST_SAID // max(1, len(said))
    return said if sum(map(len, said)) <= _MOST_SAID else [shorten(text, room, len) for text in said]
