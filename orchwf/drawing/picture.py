"""What is to be drawn: shapes, the arrows between them, and what each status looks like."""

from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Shape:
    """
    One step.

    Attributes:
        id: Unique in the picture; any text.
        label: What is written in the box; any text.
        kind: `step`, or another word, which is then written beside the label.
        required: False marks the step as optional.
        condition: The text of its `when`; empty if it has none.
        tooltip: What is said beside the full name when somebody points at the box.
        status: One of `STATUSES`, or empty in a picture that shows no run.
        detail: What is written after the status, such as `1.2 s, attempt 2`.
    """

    id: str
    label: str
    kind: str = "step"
    required: bool = True
    condition: str = ""
    tooltip: str = ""
    status: str = ""
    detail: str = ""


@attrs.frozen
class Arrow:
    """What `source` must end before `target` can start, both by id. Dashed if `optional`."""

    source: str
    target: str
    label: str = ""
    optional: bool = False


def _shapes(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    return tuple(shapes)


def _arrows(arrows: Iterable[Arrow]) -> tuple[Arrow, ...]:
    return tuple(arrows)


@attrs.frozen
class Picture:
    """Shapes in the order of their definition, and the arrows between them, which form no circle."""

    title: str
    shapes: tuple[Shape, ...] = attrs.field(converter=_shapes)
    arrows: tuple[Arrow, ...] = attrs.field(converter=_arrows)
    note: str = ""


@attrs.frozen(kw_only=True)
class Look:
    """
    How a status is shown: never by colour alone.

    `mark` stands in text, `icon` is an SVG path in a square of 10 by 10, `light` and `dark` are fill and line.
    """

    mark: str
    icon: str
    light: tuple[str, str]
    dark: tuple[str, str]


STATUSES: dict[str, Look] = {
    "pending": Look(
        mark="o", icon="M5 1.5a3.5 3.5 0 1 0 .01 0z", light=("#f6f8fa", "#818b98"), dark=("#151b23", "#8b949e")
    ),
    "running": Look(mark=">", icon="M2 1l7 4-7 4z", light=("#ddf4ff", "#0969da"), dark=("#0c2d4d", "#58a6ff")),
    "retrying": Look(
        mark="~",
        icon="M8.5 5A3.5 3.5 0 1 1 6.5 1.8M4.5 1.2l2.3.6-.8 2.3",
        light=("#fff8c5", "#9a6700"),
        dark=("#3a2d08", "#d29922"),
    ),
    "completed": Look(mark="+", icon="M1 5.5l3 3 5-7", light=("#dafbe1", "#1a7f37"), dark=("#12301d", "#3fb950")),
    "failed": Look(
        mark="x", icon="M1.5 1.5l7 7M8.5 1.5l-7 7", light=("#ffebe9", "#cf222e"), dark=("#481517", "#ff7b72")
    ),
    "skipped": Look(mark="-", icon="M1 5h8", light=("#eff2f5", "#6e7781"), dark=("#21262d", "#9198a1")),
    "cancelled": Look(
        mark="/", icon="M8.5 1.5l-7 7M5 1a4 4 0 1 0 .01 0z", light=("#fbefff", "#8250df"), dark=("#2f1c4d", "#bc8cff")
    ),
}
"""Status -> its look, in the order in which a step goes through them."""


def distinct_arrows(picture: Picture) -> list[Arrow]:
    """
    The arrows with at most one between two shapes; it is dashed if all it stands for are.

    Raises:
        ValueError: Two shapes share an id, or an arrow ends at a shape that is not there.
    """
    known = {shape.id for shape in picture.shapes}
    if len(known) < len(picture.shapes):
        raise ValueError(f"Two shapes of the picture {picture.title!r} have the same id.")
    alike: dict[tuple[str, str], list[Arrow]] = {}
    for arrow in picture.arrows:
        if arrow.source not in known or arrow.target not in known:
            raise ValueError(f"The arrow {arrow.source!r} -> {arrow.target!r} ends at no shape of the picture.")
        alike.setdefault((arrow.source, arrow.target), []).append(arrow)
    return [arrows[0] if len(arrows) == 1 else _merged(arrows) for arrows in alike.values()]


def _merged(arrows: Sequence[Arrow]) -> Arrow:
    labels = dict.fromkeys(arrow.label for arrow in arrows if arrow.label)
    return attrs.evolve(arrows[0], label=", ".join(labels), optional=all(arrow.optional for arrow in arrows))
