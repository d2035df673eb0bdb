"""Pictures to draw: of every sort, and with the names that hurt."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from orchwf.drawing import Arrow, Picture, Shape
from orchwf.drawing.picture import KINDS, STATUSES

HOSTILE = (
    "\"quoted\" 'twice'",
    "<script>alert(1)</script>",
    "]]>",
    "<![CDATA[",
    "--><!--",
    "&amp;",
    "a\nb\tc\r",
    "\x00\x07\x1b[31m",
    "\u202egnirts\u202c",
    "\ud800",
    "\ufffe\U0001ffff",
    "名前が長い" * 30,
    "👩‍👩‍👧‍👦 family",
    "é" * 3,
    "שלום",
    "end",
    "back\\slash\\N",
    "",
    " ",
    "x" * 5_000,
    "%%{init: {}}%%",
    "`code`",
    "style a:b#c;",
)


def chart(parents: Mapping[str, Iterable[str]], title: str = "Chart", **traits: Mapping[str, Any]) -> Picture:
    """Step -> what it waits for, as a picture; `traits` are attributes of its shapes: attribute -> step -> value."""
    shapes = [
        Shape(name, name, **{trait: values[name] for trait, values in traits.items() if name in values})
        for name in parents
    ]
    return Picture(title, tuple(shapes), tuple(Arrow(one, name) for name, own in parents.items() for one in own))


CHAIN = chart({"extract": [], "transform": ["extract"], "load": ["transform"]}, "Chain")
DIAMOND = chart({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, "Diamond")
FORK_JOIN = chart(
    {"split": [], **{f"work{n}": ["split"] for n in range(1, 5)}, "join": [f"work{n}" for n in range(1, 5)]}
)
TWO_PARTS = chart({"a": [], "x": [], "b": ["a"], "y": ["x"]}, "Two parts")


def chain(length: int) -> Picture:
    """Steps one after the other, all of one name stem."""
    return chart({f"step_{n}": [f"step_{n - 1}"] if n else [] for n in range(length)})


def fan(width: int) -> Picture:
    """One step, many that wait for it, and one that waits for these."""
    middle = [f"work_{n}" for n in range(width)]
    return chart({"split": [], **{name: ["split"] for name in middle}, "join": middle})


def complete(size: int) -> Picture:
    """Every step waits for all before it."""
    return chart({f"step_{n}": [f"step_{before}" for before in range(n)] for n in range(size)})


EVERY_KIND = Picture(
    "Every kind",
    (
        Shape("lines", "lines", several="stream"),
        Shape("parse", "parse", several="each"),
        Shape("settle", "settle", several="until"),
        Shape("paid", "paid", kind="signal"),
        Shape("night", "night", kind="sleep"),
        Shape("ship", "ship", kind="subflow", several="each"),
    ),
    (
        Arrow("lines", "parse", each=True),
        Arrow("parse", "settle"),
        Arrow("settle", "paid"),
        Arrow("settle", "night"),
        Arrow("paid", "ship", optional=True, each=True),
    ),
)
"""One step of each kind, and of each way to run several times."""

names = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=()), max_size=40))
"""Any text, with surrogates and control characters."""


@st.composite
def charts(draw: st.DrawFn, max_size: int = 24) -> Picture:
    """Any picture without circles, its names harmless."""
    size = draw(st.integers(1, max_size))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] != pair[1])
    edges = {(min(pair), max(pair)) for pair in draw(st.lists(pairs, max_size=3 * size))}
    parents = {f"s{at}": [f"s{one}" for one, other in sorted(edges) if other == at] for at in range(size)}
    statuses = draw(st.lists(st.sampled_from(["", *STATUSES]), min_size=size, max_size=size))
    return chart(parents, status={f"s{at}": status for at, status in enumerate(statuses)})


@st.composite
def hostile_pictures(draw: st.DrawFn) -> Picture:
    """A few shapes whose every text is anything."""
    size = draw(st.integers(1, 4))
    shapes = [
        Shape(
            f"{at}{draw(names)}",
            draw(names),
            kind=draw(st.one_of(st.sampled_from(["step", *KINDS]), names)),
            several=draw(st.one_of(st.sampled_from(["", "each", "until", "stream"]), names)),
            required=draw(st.booleans()),
            condition=draw(names),
            tooltip=draw(names),
            status=draw(st.one_of(st.sampled_from(["", *STATUSES]), names)),
            detail=draw(names),
        )
        for at in range(size)
    ]
    arrows = [
        Arrow(shapes[at].id, shapes[at + 1].id, draw(names), draw(st.booleans()), draw(st.booleans()))
        for at in range(size - 1)
    ]
    return Picture(draw(names), tuple(shapes), tuple(arrows), draw(names))
