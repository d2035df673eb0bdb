"""What a drawing comes to: the SVG, how large it is, and what is said when somebody points at a part of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from html import escape

import attrs

from ..labels import pixels, shorten
from .boxes import ICON_ROOM, SMALL_SIZE, Line
from .outlines import number
from .picture import KINDS, LOOKS
from .stylesheet import stylesheet

MARGIN = 16.0
_NOTE_WIDTH = 640.0


@attrs.frozen(kw_only=True)
class Spot:
    """A rectangle of a drawing (pixels), and what is said of it, a line each."""

    x: float
    y: float
    width: float
    height: float
    text: str


@attrs.frozen(kw_only=True)
class Drawn:
    """
    A picture that was drawn.

    Attributes:
        svg: The SVG document.
        width, height: Its size in pixels.
        spots: What is said when somebody points at a part of it.
        text: What it shows, in words.
    """

    svg: str
    width: float
    height: float
    spots: Sequence[Spot]
    text: str


@attrs.frozen(kw_only=True)
class Frame:
    """
    What stands around every picture: the page, the title with the note, and the legend.

    Attributes:
        title: What the picture is called.
        text: What it shows, in words.
        above: The lines above it.
        legend: Which statuses there are, and how many of each.
        styled: Statuses that occur beside those of the legend.
        rules: Of the style sheet, those that only this sort of picture has.
        is_part: Whether it is a part of a page that has the rules of `themed_stylesheet`, and brings none of its own.
    """

    title: str
    text: str
    above: Sequence[Line]
    legend: Sequence[tuple[str, int]]
    styled: Iterable[str] = ()
    rules: str = ""
    is_part: bool = False

    @property
    def top(self) -> float:
        """Where the picture itself begins."""
        return MARGIN + sum(line.size + 7.0 for line in self.above) + (6.0 if self.above else 0.0)

    @property
    def bottom(self) -> float:
        """What is left free below the picture itself."""
        return MARGIN + (26.0 if self.legend else 0.0)

    @property
    def width(self) -> float:
        """How wide the widest line is, without margins."""
        entries = "".join(f"{count:,} {status}      " for status, count in self.legend)
        return max((line.width for line in (*self.above, Line(entries, "state", SMALL_SIZE))), default=0.0)

    def around(self, body: Sequence[str], width: float, height: float, spots: Sequence[Spot]) -> Drawn:
        """
        The whole.

        Args:
            body: The elements of the picture, which begin at the top and the left margin.
            width, height: Of the whole picture, with its margins.
        """
        lines = [
            *self._opening(width, height),
            f'<rect class="page" x=".5" y=".5" width="{number(width - 1)}" height="{number(height - 1)}" rx="8"/>',
            *self._heading(),
            f'<g transform="translate({number(MARGIN)} {number(self.top)})">',
            *body,
            "</g>",
            *self._drawn_legend(height - 20.0),
            "</svg>",
            "",
        ]
        moved = [attrs.evolve(spot, x=spot.x + MARGIN, y=spot.y + self.top) for spot in spots]
        return Drawn(svg="\n".join(lines), width=width, height=height, spots=moved, text=self.text)

    def _opening(self, width: float, height: float) -> Iterator[str]:
        size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
        role, style = ("group", "") if self.is_part else ("img", ' style="max-width:100%;height:auto"')
        said = f'role="{role}" aria-label="{escaped(self.title)}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" class="orchwf" {said} {size}{style}>'
        yield f"<title>{escaped(self.title)}</title>"
        yield f"<desc>{escaped(self.text)}</desc>"
        if not self.is_part:
            yield f"<style>{self._stylesheet()}</style>"

    def _stylesheet(self) -> str:
        return stylesheet([*(status for status, _ in self.legend), *self.styled], extra=self.rules)

    def _heading(self) -> Iterator[str]:
        y = MARGIN
        for line in self.above:
            y += line.size
            yield f'<text class="{line.css}" x="{number(MARGIN)}" y="{number(y)}">{escaped(line.text)}</text>'
            y += 7.0

    def _drawn_legend(self, y: float) -> Iterator[str]:
        x = MARGIN
        for status, count in self.legend:
            line = Line(f"{count:,} {status}", "state", SMALL_SIZE, status)
            yield f'<g class="{status}">{drawn_line(line, x, y + 4)}</g>'
            x += line.width + 14.0


def heading(title: str, note: str) -> list[Line]:
    """The title, and the note in lines of a readable length."""
    lines = [Line(shorten(title, 480.0, partial(pixels, size=15.0)), "title", 15.0)] if title else []
    row = ""
    for word in note.split():
        if row and pixels(f"{row} {word}", SMALL_SIZE) > _NOTE_WIDTH:
            lines.append(Line(row, "trait", SMALL_SIZE))
            row = ""
        fitted = shorten(word, _NOTE_WIDTH, partial(pixels, size=SMALL_SIZE))
        row = f"{row} {fitted}" if row else fitted
    return [*lines, Line(row, "trait", SMALL_SIZE)] if row else lines


def drawn_line(line: Line, x: float, y: float, css: str = "") -> str:
    """A line of text and its icon; with ` mid` as `css` its middle is at x."""
    icon = ""
    if line.icon:
        left = x - line.width / 2 if css else x
        kind, path = ("icon", LOOKS[line.icon].icon) if line.icon in LOOKS else ("mark", KINDS[line.icon])
        icon = f'<path class="{kind}" transform="translate({number(left)} {number(y - 9)})" d="{path}"/>'
        x += ICON_ROOM / 2 if css else ICON_ROOM
    return f'{icon}<text class="{line.css}{css}" x="{number(x)}" y="{number(y)}">{escaped(line.text)}</text>'


def linked(drawn: str, link: Callable[[str], str] | None, step: str) -> str:
    """What was drawn of a step, leading to it if there is somewhere to lead; of several steps (no name) it is not."""
    return f'<a href="{escaped(link(step))}">{drawn}</a>' if link is not None and step else drawn


def escaped(text: str) -> str:
    """The text as it may stand in an element or an attribute."""
    return escape(text, quote=True)
