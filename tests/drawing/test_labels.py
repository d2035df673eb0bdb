"""Names made visible, measured and shortened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchwf.labels import cells, common_prefix, pixels, shorten, stem, visible

from .pictures import names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a\nb", "a\\nb"),
        ("\x00", "\\x00"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("\U0001fffe", "\\U0001fffe"),
        ("日本 👩‍👧", "日本 👩‍👧"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, expected: str):
    """Control characters look as in Python; letters and emoji stay."""
    assert expected == visible(text)


@given(names, st.integers(4, 60))
def test_a_shortened_name_fits(name: str, limit: int):
    """However wide its characters are."""
    short = shorten(visible(name), limit, cells)

    assert cells(short) <= limit


def test_a_shortened_name_keeps_both_ends():
    """Its end tells twins apart, so more is kept of it."""
    assert shorten("NFCORE.SAMPLESHEET_CHECK_17", 16, len) == "NFCORE…_CHECK_17"


def test_an_accent_stays_with_its_letter():
    """A name is cut between characters as people see them, also within an emoji of several."""
    assert shorten("e\u0301" * 10, 3, cells) == "e\u0301…e\u0301"
    assert shorten("👩‍👧" * 6, 9, cells) == "👩‍👧…👩‍👧"
    assert shorten("👍🏽" * 6, 9, cells) == "👍🏽…👍🏽"


def test_wide_characters_are_wider():
    """A Chinese character takes two columns, an accent none."""
    assert (1, 2, 1, 3) == (cells("a"), cells("日"), cells("e\u0301"), cells("日b"))
    assert pixels("i", 10) < pixels("_", 10) < pixels("a", 10) < pixels("A", 10) < pixels("W", 10) < pixels("日", 10)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mProject_ID0000180", "mProject"),
        ("FASTQC_2", "FASTQC"),
        ("step", "step"),
        ("chain 7", "chain"),
        ("a_10_ID7", "a"),
        ("ID", "ID"),
        ("GRID7", "GRID"),
        ("2024", "2024"),
    ],
)
def test_the_stem_is_the_name_without_its_number(name: str, expected: str):
    """Steps that were made in a loop share it."""
    assert expected == stem(name)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["pipeline.a", "pipeline.b"], "pipeline."),
        (["pipeline.a.x", "pipeline.a.y"], "pipeline.a."),
        (["pipeline.a", "other.b"], ""),
        (["x.a", "x.b"], ""),
        (["pipeline.", "pipeline.b"], ""),
        (["pipeline.a"], ""),
        ([], ""),
        (["pipelinea", "pipelineb"], ""),
        (["pipeline.a", "pipeline.a.b"], "pipeline."),
    ],
)
def test_the_common_prefix_ends_at_a_mark(labels: list[str], expected: str):
    """It is worth leaving out only if it is long, and something of every name is left."""
    assert expected == common_prefix(labels)
