"""A picture as a Mermaid flowchart."""

import json
import re
from collections.abc import Iterator, Sequence

from ..labels import cells, shorten, visible
from .picture import LOOKS, Picture, Shape
from .summary import GroupShape, summarise

_PLAIN = re.compile(r"[^\w ,.()/=\u0080-\U0010ffff-]")
_MAX_COLUMNS = 120
_OUTLINES = {"signal": ("[/", "/]"), "sleep": ("([", "])"), "subflow": ("[[", "]]")}
"""Kind of a step -> what stands around its label."""

_NAMED = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;"}


def to_mermaid(picture: Picture) -> str:
    """
    The picture as the text of a Mermaid flowchart; of more than 300 steps a summary, as Mermaid refuses large charts.

    Names stand in quoted labels only, so that any text is one.
    """
    drawn = summarise(picture)
    ids = {shape.id: f"n{at}" for at, shape in enumerate(drawn.shapes)}
    lines = ["---", f"title: {json.dumps(visible(drawn.title))}", "---"] if drawn.title else []
    lines += ["flowchart LR", *([f"    %% {_encoded(drawn.note)}"] if drawn.note else [])]
    lines += [f"    {ids[shape.id]}{_outlined(shape)}" for shape in drawn.shapes]
    for arrow in drawn.arrows:
        line = "-.->" if arrow.optional else "-->"
        said = ", ".join(filter(None, (arrow.label, "each" if arrow.each else "")))
        label = f'|"{_encoded(said)}"|' if said else ""
        lines.append(f"    {ids[arrow.source]} {line}{label} {ids[arrow.target]}")
    return "\n".join([*lines, *_classes(drawn.shapes), ""])


def _outlined(shape: Shape) -> str:
    begin, end = _OUTLINES.get(shape.kind, ("[", "]"))
    return f'{begin}"{_label(shape)}"{end}'


def _label(shape: Shape) -> str:
    rows = [shape.label, "" if isinstance(shape, GroupShape) else shape.status, shape.detail]
    rows += shape.traits
    # An empty label is a syntax error.
    return "<br/>".join(_encoded(row) for row in rows if row) or " "


def _encoded(text: str) -> str:
    """The text on one line, not too long, with all that could mean something to Mermaid as entities."""
    short = shorten(visible(text), _MAX_COLUMNS, cells)
    return _PLAIN.sub(lambda match: _NAMED.get(match[0], f"#{ord(match[0])};"), short)


def _classes(shapes: Sequence[Shape]) -> Iterator[str]:
    for status, look in LOOKS.items():
        members = [f"n{at}" for at, shape in enumerate(shapes) if shape.status == status]
        if members:
            fill, line = look.light
            yield f"    classDef {status} fill:{fill},stroke:{line},color:#1f2328"
            yield f"    class {','.join(members)} {status}"
    stacked = [f"n{at}" for at, shape in enumerate(shapes) if shape.several == "each"]
    if stacked:
        yield "    classDef each stroke-width:4px"
        yield f"    class {','.join(stacked)} each"
    dashed = [f"n{at}" for at, shape in enumerate(shapes) if shape.condition or not shape.required]
    if dashed:
        yield "    classDef maybe stroke-dasharray:5 3"
        yield f"    class {','.join(dashed)} maybe"
