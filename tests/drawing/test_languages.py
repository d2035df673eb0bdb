"""The picture for Mermaid and Graphviz."""

import re
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings

from orchwf.drawing import Arrow, Picture, Shape, to_dot, to_mermaid

from .pictures import DIAMOND, EVERY_KIND, HOSTILE, chain, fan, hostile_pictures

DOT = shutil.which("dot")


def rich() -> Picture:
    shapes = (
        Shape("a", 'say "hi"', status="completed", detail="1 s"),
        Shape("b", "end", kind="signal", required=False, condition="x > 3", tooltip="Waits."),
    )
    return Picture("T", shapes, (Arrow("a", "b", "then", True),), "A note")


def test_mermaid():
    """Names stand in quoted labels only; statuses are classes."""
    assert to_mermaid(rich()).splitlines() == [
        "---",
        'title: "T"',
        "---",
        "flowchart LR",
        "    %% A note",
        '    n0["say #quot;hi#quot;<br/>completed<br/>1 s"]',
        '    n1[/"end<br/>signal<br/>optional<br/>when x #gt; 3"/]',
        '    n0 -.->|"then"| n1',
        "    classDef completed fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
        "    class n0 completed",
        "    classDef maybe stroke-dasharray:5 3",
        "    class n1 maybe",
    ]


def test_mermaid_of_every_kind():
    """Signals lean, sleeps are round, subflows have a double line; what runs per item has a thick one."""
    assert to_mermaid(EVERY_KIND).splitlines()[4:] == [
        '    n0["lines<br/>stream"]',
        '    n1["parse<br/>each"]',
        '    n2["settle<br/>until"]',
        '    n3[/"paid<br/>signal"/]',
        '    n4(["night<br/>sleep"])',
        '    n5[["ship<br/>subflow<br/>each"]]',
        '    n0 -->|"each"| n1',
        "    n1 --> n2",
        "    n2 --> n3",
        "    n2 --> n4",
        '    n3 -.->|"each"| n5',
        "    classDef each stroke-width:4px",
        "    class n1,n5 each",
    ]


def test_dot_of_every_kind():
    """Each has an outline of its own, and arrows of items two heads."""
    assert [line.strip() for line in to_dot(EVERY_KIND).splitlines()[5:-1]] == [
        'n0 [label="lines\\nstream"];',
        'n1 [label="parse\\neach", shape=box3d];',
        'n2 [label="settle\\nuntil"];',
        'n3 [label="paid\\nsignal", shape=parallelogram];',
        'n4 [label="night\\nsleep", shape=ellipse];',
        'n5 [label="ship\\nsubflow, each", peripheries=2, shape=box3d];',
        "n0 -> n1 [arrowhead=normalnormal];",
        "n1 -> n2;",
        "n2 -> n3;",
        "n2 -> n4;",
        "n3 -> n5 [style=dashed, arrowhead=normalnormal];",
    ]


@settings(max_examples=200)
@given(hostile_pictures())
def test_mermaid_has_nothing_but_known_lines(picture: Picture):
    """Whatever the names, each line is one that Mermaid reads, and no name gets out of its quotes."""
    text = r"(?:[^\W]|[ ,.()/=-]|[^\x00-\x7f]|#\w+;)*"
    known = re.compile(
        rf'---|title: ".*"|flowchart LR|    %% {text}|    n\d+\["(?:{text}|<br/>)+"\]'
        rf'|    n\d+(?:\[/"(?:{text}|<br/>)+"/\]|\(\["(?:{text}|<br/>)+"\]\)|\[\["(?:{text}|<br/>)+"\]\])'
        rf'|    n\d+ (?:-->|-\.->)(?:\|"{text}"\|)? n\d+|    classDef \w+ [\w:#, -]+|    class [n\d,]+ \w+'
    )

    assert not [line for line in to_mermaid(picture).splitlines() if not known.fullmatch(line)]


def test_mermaid_of_a_large_picture_is_a_summary():
    """Mermaid refuses more than 500 arrows."""
    assert '    n1["work × 400"]' in to_mermaid(fan(400)).splitlines()


def test_an_empty_name_has_a_label():
    """Mermaid takes an empty label for a mistake."""
    assert '    n0[" "]' in to_mermaid(Picture("", (Shape("x", ""),), ()))


def test_mermaid_shortens_long_names():
    """Mermaid refuses a text above 50,000 characters."""
    assert len(to_mermaid(Picture("", (Shape("x", "x" * 5_000, condition="y" * 5_000),), ()))) < 500


def test_dot():
    """Labels are quoted, tooltips, colours and dashes are attributes."""
    assert to_dot(rich()).splitlines() == [
        'digraph "T" {',
        "    rankdir=LR;",
        '    node [shape=box, style="rounded,filled", fillcolor="#f6f8fa", color="#818b98", fontname="sans-serif"];',
        '    edge [color="#818b98"];',
        '    label="T\\nA note"; labelloc=t;',
        '    n0 [label="say \\"hi\\"\\ncompleted, 1 s", fillcolor="#dafbe1", color="#1a7f37"];',
        (
            '    n1 [label="end\\nsignal, optional, when x > 3", shape=parallelogram, tooltip="Waits.", '
            'style="rounded,filled,dashed"];'
        ),
        '    n0 -> n1 [label="then", style=dashed];',
        "}",
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [("back\\Nslash", "back\\\\Nslash"), ("a\nb", "a\\\\nb"), ("&lt;", "&amp;lt;"), ("<b>", "<b>"), ('"', '\\"')],
)
def test_dot_takes_names_literally(name: str, label: str):
    """What Graphviz would replace in a label is escaped."""
    assert f'n0 [label="{label}"]' in to_dot(Picture("", (Shape("x", name),), ()))


def test_dot_is_complete():
    """DOT is for programs: nothing is left out, however large the workflow."""
    assert to_dot(chain(1_000)).count(" -> ") == 999


@pytest.mark.skipif(DOT is None, reason="Graphviz is not installed")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_pictures())
def test_graphviz_reads_every_picture(picture: Picture):
    """Whatever the names, Graphviz finds the shapes and arrows that were drawn."""
    assert (len(picture.shapes), len(picture.arrows)) == graphviz_count(picture)


@pytest.mark.skipif(DOT is None, reason="Graphviz is not installed")
def test_graphviz_reads_hostile_names():
    """All hostile names in one picture, and a diamond."""
    hostile = Picture("\\", tuple(Shape(str(at), name) for at, name in enumerate(HOSTILE)), ())

    assert (len(HOSTILE), 0) == graphviz_count(hostile)
    assert (4, 4) == graphviz_count(DIAMOND)
    assert (6, 5) == graphviz_count(EVERY_KIND)


def graphviz_count(picture: Picture) -> tuple[int, int]:
    read = subprocess.run([DOT or "", "-Tplain"], input=to_dot(picture).encode(), capture_output=True, check=True)
    lines = read.stdout.decode().splitlines()
    assert read.stderr == b""
    return sum(line.startswith("node ") for line in lines), sum(line.startswith("edge ") for line in lines)
