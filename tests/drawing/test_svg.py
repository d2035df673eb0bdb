"""The picture as SVG, and in a notebook."""

import base64
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from orchwf.drawing import Arrow, Picture, Shape, mimebundle, to_svg
from orchwf.drawing.picture import KINDS, STATUSES

from .pictures import CHAIN, EVERY_KIND, HOSTILE, chain, chart, complete, fan, hostile_pictures

NAMESPACE = "{http://www.w3.org/2000/svg}"


def parsed(picture: Picture) -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(picture).encode())


def shape_groups(picture: Picture) -> list[ElementTree.Element]:
    found = parsed(picture).iter(f"{NAMESPACE}g")
    return [group for group in found if group.get("class", "").split()[:1] == ["step"]]


def words(element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in element.iter(f"{NAMESPACE}text")]


@settings(max_examples=300)
@given(hostile_pictures())
def test_svg_is_well_formed_whatever_the_names(picture: Picture):
    """Any text may be a name, a condition or a detail: the document stays XML, and holds nothing that runs."""
    svg = to_svg(picture)

    tags = {element.tag.removeprefix(NAMESPACE) for element in ElementTree.fromstring(svg.encode()).iter()}

    assert tags <= {"svg", "title", "desc", "style", "rect", "g", "path", "text"}
    assert not re.search(r"<script|var\(|url\(|href|@import|<!", svg)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_shown(name: str):
    """What XML forbids and what turns text around is written out; all else comes through as it is."""
    (group,) = shape_groups(Picture("p", (Shape("x", name),), ()))

    title = group.findtext(f"{NAMESPACE}title")

    assert title is not None
    assert title == name or "\\" in title
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\ud800-\udfff]", title)


def test_every_step_is_drawn_once():
    """Up to 300 steps each has its box."""
    picture = chain(300)

    assert [shape.label for shape in picture.shapes] == [words(group)[0] for group in shape_groups(picture)]


def test_the_same_picture_gives_the_same_text():
    """An SVG can be compared, and kept under version control."""
    assert to_svg(fan(20)) == to_svg(fan(20))


def test_a_long_name_is_shortened_in_the_middle():
    """The box stays narrow; pointing at it shows the whole name."""
    name = "first" + "x" * 200 + "last"
    (group,) = shape_groups(Picture("p", (Shape("x", name),), ()))

    assert re.fullmatch("firstx+…x+last", words(group)[0])
    assert group.findtext(f"{NAMESPACE}title") == name


def test_a_common_prefix_is_written_once():
    """What all names begin with is said in the note, and left out of the boxes."""
    picture = chart({"PIPELINE.MAIN.fetch": [], "PIPELINE.MAIN.clean": []})

    assert ["fetch", "clean"] == [words(group)[0] for group in shape_groups(picture)]
    assert "All names begin with PIPELINE.MAIN." in words(parsed(picture))


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_shown_by_word_icon_and_colour(status: str):
    """Whoever sees no colours reads the word."""
    (group,) = shape_groups(Picture("p", (Shape("x", "x", status=status, detail="1.2 s"),), ()))

    assert group.get("class", "").split()[1] == status
    assert words(group) == ["x", f"{status} · 1.2 s"]
    assert STATUSES[status].icon in [path.get("d") for path in group.iter(f"{NAMESPACE}path")]


def test_an_unknown_status_is_written():
    """A status that this version does not know is shown as a word without a colour."""
    (group,) = shape_groups(Picture("p", (Shape("x", "x", status="dreaming"),), ()))

    assert words(group) == ["x", "dreaming"]
    assert group.get("class") == "step"


def test_the_legend_counts_the_statuses():
    """It stands where statuses are shown, in the order in which steps go through them."""
    picture = chart({"a": [], "b": [], "c": []}, status={"a": "completed", "b": "running", "c": "completed"})

    assert words(parsed(picture))[-2:] == ["1 running", "2 completed"]


def test_there_is_no_legend_without_statuses():
    """A picture of a definition shows its steps and nothing else."""
    assert words(parsed(CHAIN)) == ["Chain", "extract", "transform", "load"]


def test_conditions_and_optional_steps_are_marked():
    """A dashed border says that a step may not run, words say why."""
    shapes = (
        Shape("a", "a", condition="score > 3"),
        Shape("b", "b", required=False),
        Shape("c", "c", kind="signal"),
        Shape("d", "d", status="skipped"),
    )
    groups = shape_groups(Picture("p", shapes, ()))

    assert ["step when", "step optional", "step", "step skipped when"] == [group.get("class") for group in groups]
    assert [["a", "when score > 3"], ["b", "optional"], ["c", "signal"]] == [words(group) for group in groups[:3]]


def outlines(group: ElementTree.Element) -> list[tuple[str, str]]:
    """What a box is drawn of: the element and its class, the lowest first."""
    parts = [(element.tag.removeprefix(NAMESPACE), element.get("class", "")) for element in group]
    return [part for part in parts if part[1] in ("box", "frame")]


def test_every_kind_has_an_outline_of_its_own():
    """A step per item is a stack, a signal leans, a sleep is round, a subflow has a double line."""
    lines, parse, settle, paid, night, ship = shape_groups(EVERY_KIND)
    box, frame = ("rect", "box"), ("rect", "frame")

    assert [["lines", "stream"], ["parse", "each"], ["settle", "until"]] == list(map(words, (lines, parse, settle)))
    assert [["paid", "signal"], ["night", "sleep"], ["ship", "subflow · each"]] == list(map(words, (paid, night, ship)))
    assert [[box], [box] * 3, [box]] == list(map(outlines, (lines, parse, settle)))
    assert [[("path", "box")], [box], [box, box, box, frame]] == list(map(outlines, (paid, night, ship)))
    radii = [float(group.find(f"{NAMESPACE}rect").get("rx", "")) for group in (lines, night)]  # type: ignore[union-attr]
    assert [6.0, 18.0] == radii


def test_every_kind_has_an_icon():
    """It stands before the word, also where the text is in the middle of the box."""
    drawn = [[path.get("d") for path in group.iter(f"{NAMESPACE}path")] for group in shape_groups(EVERY_KIND)]

    for word, paths in zip(["stream", "each", "until", "signal", "sleep", "subflow"], drawn, strict=True):
        assert KINDS[word] in paths


@pytest.mark.parametrize("kind", ["step", "signal", "sleep", "subflow"])
def test_every_kind_has_the_bar_of_its_status(kind: str):
    """It lies within the outline, whatever that is."""
    (group,) = shape_groups(Picture("p", (Shape("x", "x", kind=kind, status="waiting"),), ()))

    bars = [element for element in group if element.get("class") == "bar"]

    assert ["path" if kind == "signal" else "rect"] == [bar.tag.removeprefix(NAMESPACE) for bar in bars]


def test_arrows_of_items_have_two_heads():
    """Whoever looks sees where every item goes its own way."""
    root = parsed(EVERY_KIND)

    (heads,) = [path.get("d", "") for path in root.iter(f"{NAMESPACE}path") if path.get("class") == "head"]

    assert 5 + 2 == heads.count("M")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("status", STATUSES)
def test_colours_have_contrast(status: str, scheme: str):
    """The words of a status can be read on its ground: 3 to 1 at least, as for everything that is told twice."""
    ground, line = getattr(STATUSES[status], scheme)

    assert contrast(ground, line) >= 3.0


def contrast(one: str, other: str) -> float:
    """
    How well two colours are told apart, from 1 to 21.

    Source: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
    """

    def luminance(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_optional_arrows_are_dashed_and_labels_stand_on_theirs():
    """What may be absent is dashed; a label is written on its arrow."""
    shapes = tuple(Shape(name, name) for name in "abcd")
    arrows = (Arrow("a", "b", "yes"), Arrow("a", "c", "no", True), Arrow("b", "d", "x"), Arrow("c", "d", "y"))
    root = parsed(Picture("p", shapes, arrows))

    classes = [path.get("class") for path in root.iter(f"{NAMESPACE}path")]
    labels = [text.text or "" for text in root.iter(f"{NAMESPACE}text") if text.get("class") == "on"]

    assert ["arrow dashed", "arrow", "arrow", "arrow", "head"] == classes
    assert sorted(labels) == ["no", "x", "y", "yes"]


@pytest.mark.parametrize("length", [2, 20], ids=["across", "down"])
def test_arrow_labels_stand_in_either_direction(length: int):
    """Arrows that lead down bear their labels, too."""
    picture = chain(length)
    picture = Picture("p", picture.shapes, tuple(Arrow(one.source, one.target, "then") for one in picture.arrows))

    assert words(parsed(picture)).count("then") == length - 1


def test_arrows_that_lead_down_bend_across():
    """An arrow leaves its box, and reaches the next one, along the direction in which the picture is read."""
    picture = chain(20)
    picture = Picture("p", picture.shapes, (*picture.arrows, Arrow("step_0", "step_2", "skips one")))
    paths = [path.get("d", "") for path in parsed(picture).iter(f"{NAMESPACE}path") if path.get("class") == "arrow"]

    (start, first, second, end) = re.match(r"M(\S+) \S+C(\S+) \S+ (\S+) \S+ (\S+)", paths[-1]).groups()  # type: ignore[union-attr]

    assert (start, second) == (first, end)
    assert start != end


def test_the_picture_is_described_for_those_who_do_not_see_it():
    """Role, title and description are there for a screen reader."""
    root = parsed(chart({"a": [], "b": ["a"]}, status={"a": "failed", "b": "skipped"}))

    assert (root.get("role"), root.get("aria-label")) == ("img", "Chart")
    assert root.findtext(f"{NAMESPACE}title") == "Chart"
    assert root.findtext(f"{NAMESPACE}desc") == "2 steps and 1 arrow between them. 1 failed, 1 skipped."


def test_light_and_dark_are_in_the_picture():
    """The colours without any media query are those for light pages; no variable is needed."""
    style = parsed(CHAIN).findtext(f"{NAMESPACE}style") or ""
    light, dark = style.split("@media (prefers-color-scheme:dark)")

    assert ".page{fill:#ffffff" in light
    assert ".page{fill:#0d1117" in dark


def test_nothing_is_drawn_of_nothing():
    """A picture without shapes, title and note is a document all the same."""
    root = parsed(Picture("", (), ()))

    assert words(root) == []
    assert root.get("aria-label") == "Workflow"


def test_a_long_note_takes_several_lines():
    """The picture does not get as wide as its note."""
    root = parsed(Picture("Chart", (Shape("a", "a"),), (), "one note " * 60 + "x" * 300))

    assert float(root.get("width", "")) < 720


@pytest.mark.parametrize("picture", [chain(300), fan(298), complete(300)], ids=["chain", "fan", "complete"])
def test_the_size_of_a_picture_is_bounded(picture: Picture):
    """What a notebook keeps of a workflow of 300 steps is small."""
    assert len(to_svg(picture)) < 200_000


def test_mimebundle_has_two_entries():
    """HTML that every notebook shows, and text for where there is none: nothing that an untrusted notebook drops."""
    bundle = mimebundle(CHAIN)

    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle["text/plain"] == "Chain\no extract\no transform\no load\n"


@given(hostile_pictures())
def test_mimebundle_is_one_image_with_the_svg(picture: Picture):
    """Whatever the names, the HTML is an image whose address is the picture, and over it empty elements with titles."""
    match = re.fullmatch(
        r'<div style="[\w:;%-]+"><img src="data:image/svg\+xml;base64,([\w+/=]+)" alt="[^"<>]*" style="[\w:;%-]+">'
        r'((?:<span style="[\w:;.%-]+" title="[^"<>]*"></span>)*)</div>',
        mimebundle(picture)["text/html"],
    )

    assert match is not None
    assert base64.b64decode(match[1]).decode() == to_svg(picture)
    assert len(picture.shapes) == match[2].count("<span")


def test_what_is_said_of_a_shape_stands_over_it():
    """As a part of the size of the image, which may be scaled down."""
    html = mimebundle(Picture("p", (Shape("a", "alone", tooltip="Says\n<more> & all"),), ()))["text/html"]

    place, title = re.findall(r'<span style="([^"]*)" title="([^"]*)">', html)[0]

    assert "alone&#10;Says&#10;&lt;more&gt; &amp; all" == title
    assert re.fullmatch(r"position:absolute;left:[\d.]+%;top:[\d.]+%;width:[\d.]+%;height:[\d.]+%", place)


def test_what_is_said_of_many_shapes_is_short():
    """The output of a cell is kept with the notebook: so much is said in all, and what that is is divided."""
    shapes = [Shape(f"s{at}", f"s{at}", tooltip="word " * 1_000) for at in range(200)]

    assert len(mimebundle(Picture("p", shapes, ()))["text/html"]) < 300_000
