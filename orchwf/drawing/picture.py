"""What is to be drawn: shapes, the arrows between them, and what statuses and kinds look like."""

from collections.abc import Iterable, Sequence

import attrs


@attrs.frozen
class Shape:
    """
    One step.

    Attributes:
        id: Unique in the picture; any text.
        label: What is written in the box; any text.
        kind: `step`, or another word, which is then written beside the label; `signal`, `sleep` and `subflow` have an
            outline of their own.
        several: `each` if the step runs once per item, `until` if it is a loop, `stream` if it gives one item after the
            other; written beside the label, too.
        required: False marks the step as optional.
        condition: The text of its `when`; empty if it has none.
        tooltip: What is said beside the full name when somebody points at the box.
        status: One of `LOOKS`, or empty in a picture that shows no run and no change.
        detail: What is written after the status, such as `1.2 s, attempt 2`.
        share: How much of it is done, from 0 to 1, which is shown as a bar; None where that is not to be told.
    """

    id: str
    label: str
    kind: str = "step"
    required: bool = True
    condition: str = ""
    tooltip: str = ""
    status: str = ""
    detail: str = ""
    several: str = ""
    share: float | None = None

    @property
    def traits(self) -> list[str]:
        """What is special about the step: kind, how it has several runs, and whether it may be missing."""
        words = ["" if self.kind == "step" else self.kind, self.several, "" if self.required else "optional"]
        return [*filter(None, words), *([f"when {self.condition}"] if self.condition else [])]


@attrs.frozen
class Arrow:
    """
    What `source` must end before `target` can start, both by id.

    Dashed if `optional`, with a double head if `each` item of the source goes its own way. `status` is one of `CHANGES`
    in a picture of what changed.
    """

    source: str
    target: str
    label: str = ""
    optional: bool = False
    each: bool = False
    status: str = ""


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
    "waiting": Look(
        mark="=",
        icon="M5 1a4 4 0 1 0 .01 0zM5 2.9V5.2L6.6 6.3",
        light=("#d5f2f6", "#0b6a76"),
        dark=("#0a2d35", "#39c5cf"),
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


CHANGES: dict[str, Look] = {
    "added": Look(mark="+", icon="M5 1.2v7.6M1.2 5h7.6", light=("#dafbe1", "#1a7f37"), dark=("#12301d", "#3fb950")),
    "removed": Look(mark="-", icon="M1.2 5h7.6", light=("#ffebe9", "#cf222e"), dark=("#481517", "#ff7b72")),
    "changed": Look(
        mark="*",
        icon="M5 1.2v7.6M1.7 3.1l6.6 3.8M8.3 3.1L1.7 6.9",
        light=("#fff8c5", "#9a6700"),
        dark=("#3a2d08", "#d29922"),
    ),
    "reached": Look(mark=">", icon="M1 5h7M5 2l3 3-3 3", light=("#ddf4ff", "#0969da"), dark=("#0c2d4d", "#58a6ff")),
}
"""What became of a step from one graph to another, or whether a change reaches it -> its look."""

LOOKS: dict[str, Look] = STATUSES | CHANGES
"""All that may be said of a shape by mark, icon and colour."""


KINDS: dict[str, str] = {
    "signal": "M.8 2h8.4v6H.8zM.8 2.3L5 5.6l4.2-3.3",
    "sleep": "M2 1h6M2 9h6M2.8 1c0 2 1.2 3 2.2 4-1 1-2.2 2-2.2 4M7.2 1c0 2-1.2 3-2.2 4 1 1 2.2 2 2.2 4",
    "subflow": "M.8.8h8.4v8.4H.8zM3.2 3.2h3.6v3.6H3.2z",
    "each": "M.8.8h5.4v5.4H.8zM4 8.9h4.9V4",
    "until": "M8.4 6A3.6 3.6 0 1 1 7.6 2.4M7.9.6v2.1H5.8",
    "stream": "M.8 2.5h5.4M.8 5h8.4M.8 7.5h5.4",
}
"""What a step is, or how it has several runs -> an SVG path in a square of 10 by 10 that stands before the word."""


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
    is_each, is_optional = any(arrow.each for arrow in arrows), all(arrow.optional for arrow in arrows)
    return attrs.evolve(arrows[0], label=", ".join(labels), optional=is_optional, each=is_each)
