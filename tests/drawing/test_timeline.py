"""Timelines: as SVG, as text, and of more steps than anyone could tell apart."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchwf.drawing import Lane, Span, Timeline
from orchwf.drawing.lanes import MAX_LANES, stacked, summarised
from orchwf.drawing.picture import STATUSES
from orchwf.drawing.scale import make_scale

from .pictures import HOSTILE

NAMESPACE = "{http://www.w3.org/2000/svg}"


def lane(name: str, *spans: tuple[float, float], status: str = "completed", **more: object) -> Lane:
    """A lane whose spans all have its status."""
    made = [Span(start=start, end=end, status=status, said=f"{name} {start}") for start, end in spans]
    return Lane(label=name, status=status, spans=made, **more)  # type: ignore[arg-type]


def timeline(*lanes: Lane, length: float = 10.0) -> Timeline:
    return Timeline(title="Sales run r", lanes=lanes, length=length)


RETRIED = Lane(
    label="fetch",
    status="completed",
    detail="6.0 s, attempt 2",
    is_critical=True,
    spans=[
        Span(start=0.0, end=2.0, status="retrying"),
        Span(start=2.0, end=4.0, status="retrying", is_wait=True, said="waited 2.0 s"),
        Span(start=4.0, end=6.0, status="completed"),
    ],
)


def elements(drawn: Timeline) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(drawn.to_svg().encode()).iter())


def test_attempts_and_waits_are_told_apart_in_text():
    """A line for what was done, dots for waits, a mark for how each attempt ended, a star for the critical path."""
    text = str(timeline(RETRIED, lane("other", (6.0, 10.0), status="failed")))

    _, fetch, other, axis = text.splitlines()
    assert re.fullmatch(r"\*\+ fetch ━+~┄+━+\+ +6\.0 s, attempt 2", fetch)
    assert re.fullmatch(r" x other +━+x", other)
    assert re.fullmatch(r" +0 s +2 s +4 s +6 s +8 s( +10 s)?", axis)
    assert other.index("━") >= fetch.index("+", 3)


def test_a_terminal_without_such_characters_gets_others():
    """What an encoding lacks is written in plain letters."""
    text = timeline(RETRIED, lane("many", (0.0, 1.0), (0.5, 1.0), is_stacked=True)).to_text(encoding="ascii")

    assert text.isascii()
    assert re.search(r"fetch =+~\.+=+\+", text)
    assert re.search(r"many +[4-6]+8+3?", text)


def test_a_line_has_the_status_of_its_lane():
    """By which a terminal colours it; what stands around has none."""
    rows = timeline(RETRIED, lane("other", (6.0, 10.0), status="failed")).rows()

    assert ["", "completed", "failed", ""] == [status for _, status in rows]


@pytest.mark.parametrize("width", [None, 60, 10])
def test_lines_are_as_wide_as_the_terminal(width: int | None):
    """100 columns where none is known, and never fewer than can be read."""
    drawn = timeline(RETRIED, lane("x" * 500, (0.0, 10.0), detail="y" * 500))

    longest = max(len(text) for text, _ in drawn.rows(width=width))

    assert {None: 100, 60: 60, 10: 40}[width] == longest


def test_each_lane_has_a_line_if_everything_is_wanted():
    """However many there are."""
    lanes = [lane(f"load_{at}", (0.0, 1.0)) for at in range(200)]

    texts = [text for text, _ in timeline(*lanes).rows(everything=True)]

    assert 200 == sum("load_" in text for text in texts)


def test_a_lane_of_a_page_leads_to_its_step():
    """As a part of a page it has no rules of its own; a lane of several steps leads nowhere."""
    lanes = [lane(f"undo s{at}", (at, at + 1.0), step=f's"{at}') for at in range(70)]

    svg = timeline(*lanes).to_svg(link=lambda name: f"?step={name}")

    links = [each.get("href") for each in ElementTree.fromstring(svg.encode()).iter(f"{NAMESPACE}a")]
    assert [f'?step=s"{at}' for at in range(30)] == links
    assert "<style>" not in svg
    assert 'role="group"' in svg


def test_attempts_and_waits_are_told_apart_in_svg():
    """Attempts are boxes of their status, waits are hatched, and the critical path is underlined."""
    drawn = elements(timeline(RETRIED))

    classes = [each.get("class", "") for each in drawn]
    assert ["span retrying", "span completed"] == [each for each in classes if each.startswith("span")]
    assert 1 == classes.count("hatch")
    assert 1 == classes.count("critical")
    style = next(each.text or "" for each in drawn if each.tag.endswith("style"))
    assert ".orchwf .retrying .box" in style


@given(st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=4), st.sampled_from(["", "odd", *STATUSES]))
def test_whatever_the_names_it_is_well_formed(names: list[str], status: str):
    """Any text may be a name: the document stays XML, holds nothing that runs, and lines of text stay lines."""
    drawn = Timeline(
        title=names[0], note=names[-1], length=1.0, lanes=[lane(name, (0.0, 1.0), status=status) for name in names]
    )

    tags = {each.tag.removeprefix(NAMESPACE) for each in elements(drawn)}

    assert tags <= {"svg", "title", "desc", "style", "rect", "g", "path", "text"}
    assert not re.search(r"<script|var\(|url\(|href|@import|<!", drawn.to_svg())
    assert max(map(len, drawn.to_text().splitlines())) <= 120


def test_pointing_at_an_attempt_tells_of_it():
    """In a notebook, where an image says nothing, empty elements over it do."""
    html = timeline(RETRIED)._repr_mimebundle_()["text/html"]

    assert 'title="waited 2.0 s"' in html
    assert 'title="fetch&#10;6.0 s, attempt 2"' in html


def test_a_run_without_steps_and_time_is_drawn():
    """Of a run that has just begun there is not much to see."""
    nothing = timeline(length=0.0)

    assert "Sales run r\n" == str(nothing)
    assert "0 steps over time." in nothing.to_svg()
    assert "0 s" in str(timeline(lane("a", (0.0, 0.0)), length=0.0))


def test_many_steps_are_drawn_together():
    """Those that failed stay by themselves; the others count how many were at work, and the note says so."""
    lanes = [lane(f"load_{at}", (at / 500, at / 500 + 0.01)) for at in range(4_999)]
    drawn = timeline(*lanes, lane("broken", (1.0, 2.0), status="failed"))

    shown = summarised(drawn)

    assert len(shown.lanes) <= MAX_LANES
    assert ["broken"] == [each.label for each in shown.lanes if each.status == "failed"]
    assert ["load × 4,970"] == [each.label for each in shown.lanes if each.is_stacked]
    assert "5,000 steps: those that failed" in shown.note
    assert len(drawn._repr_mimebundle_()["text/html"]) < 100_000


def test_steps_of_many_names_are_drawn_together():
    """The largest groups have a name; what is left is counted; a group of one is that step."""
    lanes = [lane(f"{chr(97 + at % 26) * 2}_{at}", (0.0, 1.0)) for at in range(200)]
    drawn = timeline(*lanes, lane("alone", (0.0, 0.5)))

    labels = [each.label for each in summarised(drawn).lanes if each.is_stacked]
    few = summarised(
        timeline(*lanes[:1], *(lane(f"load_{at}", (0.0, 1.0)) for at in range(99)), lane("alone", (0.0, 0.5)))
    )

    assert 20 == len(labels)
    assert any(re.fullmatch(r"\d+ steps", label) for label in labels)
    assert ["alone"] == [each.label for each in few.lanes if each.label == "alone" and not each.is_stacked]


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1)), max_size=12),
    st.integers(1, 30),
)
def test_a_stack_loses_nothing(pairs: list[tuple[float, float]], count: int):
    """The areas together are as large as all spans are long."""
    spans = [Span(start=start, end=start + more, status="completed") for start, more in pairs if more > 0.001]
    edges = [at * 10 / count for at in range(count + 1)]

    pieces = stacked(spans, edges)

    area = sum(sum(piece.values()) for piece in pieces) * 10 / count
    assert area == pytest.approx(sum(span.end - span.start for span in spans), abs=1e-6)


def test_the_worst_of_a_stack_comes_first():
    """What failed stands at the bottom, where it is seen first; what took no time counts once."""
    spans = [Span(start=0, end=1, status="completed"), Span(start=0.5, end=0.5, status="failed")]

    assert [{"failed": 1.0, "completed": 1.0}] == stacked(spans, [0.0, 1.0])
    assert ["failed", "completed"] == list(stacked(spans, [0.0, 1.0])[0])


def test_a_long_pause_is_cut_short():
    """Two seconds of work on both sides of two days can both be seen."""
    scale = make_scale([(0.0, 1.0), (172_801.0, 172_802.0)], 172_802.0)

    assert [(1.0, 172_801.0)] == list(scale.cuts)
    assert scale.place(1.0) > 0.4
    assert scale.place(172_801.0) < 0.6
    assert 1.0 == pytest.approx(scale.time(scale.place(1.0)))
    text = str(timeline(lane("a", (0.0, 1.0)), lane("b", (172_801.0, 172_802.0)), length=172_802.0))
    assert "Long pauses" in text
    assert "0 s" not in text
    assert "⋯" in timeline(lane("a", (0.0, 1.0)), lane("b", (99.0, 100.0)), length=100.0).to_svg()


@pytest.mark.parametrize(
    ("length", "texts"),
    [
        (0.004, ["0 ms", "1 ms", "2 ms", "3 ms", "4 ms"]),
        (2.0, ["0 s", "0.5 s", "1 s", "1.5 s", "2 s"]),
        (60.0, ["0 s", "20 s", "40 s", "60 s"]),
        (600.0, ["0 min", "5 min", "10 min"]),
        (7 * 3600.0, ["0 h", "2 h", "4 h", "6 h"]),
        (100 * 86_400.0, ["0 d", "28 d", "56 d", "84 d"]),
    ],
)
def test_ticks_are_round(length: float, texts: list[str]):
    """Times below the lanes are such as people count in."""
    assert texts == [text for _, text in make_scale([(0.0, length)], length).ticks(4)]
