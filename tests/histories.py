"""How many random lives are lived in the tests, and how long that may take."""

import os

import pytest

_LONGEST = 0.2
"""Seconds that one life may take, on a busy machine and traced."""


def histories(usual: int) -> int:
    """How many are to be lived: as many as ORCHWF_TEST_HISTORIES says, else as usual."""
    return int(os.environ.get("ORCHWF_TEST_HISTORIES") or usual)


def time_for(lives: int) -> pytest.MarkDecorator:
    """Gives a test the time that so many lives may take, if that is more than all tests have."""
    return pytest.mark.timeout(max(120, lives * _LONGEST))
