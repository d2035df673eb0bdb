"""The page about the patterns says what these tests show."""

import re

import pytest

from tests.patterns.table import PAGE, patterns, rewritten

REFUSED = {10, 33}


def test_each_pattern_has_one_test():
    """They are numbered from 1 to 43, and each has a name and says how it is written."""
    found = patterns()

    assert list(range(1, 44)) == [pattern.number for pattern in found]
    assert 43 == len({pattern.name for pattern in found})
    assert [] == [pattern.test for pattern in found if not (pattern.name and pattern.how)]


def test_each_test_is_called_like_its_pattern():
    """So that it is found by the name of the catalogue."""
    wrong = [
        pattern.test
        for pattern in patterns()
        if pattern.test != f"test_wcp_{pattern.number:02}_{re.sub(r'[^a-z]+', '_', pattern.name.lower())}"
    ]

    assert [] == wrong


def test_what_is_refused_says_so():
    """These two, and no others."""
    assert REFUSED == {pattern.number for pattern in patterns() if pattern.how.startswith("Refused on purpose")}


def test_the_page_has_the_table():
    """After a change of the tests `python -m tests.patterns` rewrites it."""
    page = PAGE.read_text(encoding="utf-8")

    assert page == rewritten(page)


def test_a_page_without_a_place_for_the_table_is_refused():
    """Instead of one that loses its text."""
    with pytest.raises(ValueError, match="has no line"):
        rewritten("# Patterns\n")
