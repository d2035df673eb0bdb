"""A picture in the language of Graphviz."""

from ..labels import visible
from .picture import LOOKS, Picture, Shape, distinct_arrows

_OUTLINES = {
    "signal": "shape=parallelogram",
    "sleep": "shape=ellipse",
    "subflow": "peripheries=2",
    "each": "shape=box3d",
}
"""What a step is, or how it has several runs -> the attributes by which its outline tells that."""


def to_dot(picture: Picture) -> str:
    """The picture as a DOT digraph: all of it, however large it is."""
    ids = {shape.id: f"n{at}" for at, shape in enumerate(picture.shapes)}
    lines = [
        f"digraph {_quoted(picture.title)} {{",
        "    rankdir=LR;",
        '    node [shape=box, style="rounded,filled", fillcolor="#f6f8fa", color="#818b98", fontname="sans-serif"];',
        '    edge [color="#818b98"];',
    ]
    if caption := [row for row in (picture.title, picture.note) if row]:
        lines.append(f"    label={_quoted(*caption)}; labelloc=t;")
    lines += [f"    {ids[shape.id]} [{_attributes(shape)}];" for shape in picture.shapes]
    for arrow in distinct_arrows(picture):
        options = [f"label={_quoted(arrow.label)}"] if arrow.label else []
        options += ["style=dashed"] if arrow.optional else []
        options += ["arrowhead=normalnormal"] if arrow.each else []
        suffix = f" [{', '.join(options)}]" if options else ""
        lines.append(f"    {ids[arrow.source]} -> {ids[arrow.target]}{suffix};")
    return "\n".join([*lines, "}", ""])


def _attributes(shape: Shape) -> str:
    outcome = ", ".join(filter(None, (shape.status, shape.detail)))
    attributes = [f"label={_quoted(*filter(None, (shape.label, outcome, ', '.join(shape.traits))))}"]
    attributes += [_OUTLINES[word] for word in (shape.kind, shape.several) if word in _OUTLINES]
    if shape.tooltip:
        attributes.append(f"tooltip={_quoted(shape.tooltip)}")
    if look := LOOKS.get(shape.status):
        fill, line = look.light
        attributes.append(f'fillcolor="{fill}", color="{line}"')
    if shape.condition or not shape.required or shape.status == "skipped":
        attributes.append('style="rounded,filled,dashed"')
    return ", ".join(attributes)


def _quoted(*rows: str) -> str:
    r"""A DOT string of these rows. Graphviz reads `\N` and `&lt;` in a label, so both are taken literally."""
    escaped = [visible(row).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for row in rows]
    return '"' + "\\n".join(escaped) + '"'
