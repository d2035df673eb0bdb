"""A picture for a notebook."""

from base64 import b64encode
from html import escape

from ..labels import visible
from .picture import Picture
from .svg import description, to_svg
from .text import to_text


def mimebundle(picture: Picture) -> dict[str, str]:
    """
    The picture as `text/html` and `text/plain`.

    The HTML is an image with the SVG in its address: that is shown by every notebook, trusted or not. SVG as a type of
    its own is dropped where a notebook is not trusted, and as elements in the page it is cleaned away.
    """
    address = b64encode(to_svg(picture).encode()).decode()
    alternative = escape(f"{visible(picture.title)}: {description(picture, picture)}")
    image = f'<img src="data:image/svg+xml;base64,{address}" alt="{alternative}" style="max-width:100%">'
    return {"text/html": image, "text/plain": to_text(picture)}
