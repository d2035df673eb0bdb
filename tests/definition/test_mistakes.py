"""Mistakes of newcomers that a definition shows: each problem says the way out."""

from collections.abc import Callable

import pytest

from orchwf import DefinitionError, OrchwfWarning, step, workflow
from orchwf.core.suggestions import as_list


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("extract audit", "Write a list:  depends_on=['extract', 'audit']"),
        ("extract, audit", "Write a list:  depends_on=['extract', 'audit']"),
        ("extract ", "Without the blanks:  depends_on=['extract']"),
        ("extract adit", ""),
        ("extract", ""),
        ("", ""),
    ],
)
def test_several_names_in_one_text(text: str, hint: str):
    """Who writes names with blanks between them is shown the list."""
    assert hint == as_list(text, ["extract", "audit"])


def test_a_dependency_with_a_blank():
    """The problem shows the list to write."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Flow:
            @step
            def extract(self) -> int:
                return 1

            @step
            def audit(self) -> int:
                return 1

            @step(depends_on="extract audit")
            def load(self) -> int:
                return 1

    (problem,) = caught.value.problems
    assert ("unknown-dependency", "Write a list:  depends_on=['extract', 'audit']") == (problem.code, problem.hint)


def named_like_a_step(extract: object) -> object:
    return extract


def of_a_plain_type(rows: list[int]) -> int:
    return len(rows)


def with_a_default(rows: object = None) -> object:
    return rows


def named_like_an_input(day: object) -> object:
    return day


@pytest.mark.parametrize("function", [named_like_a_step, of_a_plain_type, with_a_default, named_like_an_input])
def test_a_forgotten_self(function: Callable[..., object]):
    """A first parameter that cannot be the instance is not taken for it."""
    with pytest.raises(DefinitionError) as caught:

        @workflow
        class Flow:
            day: str = "monday"

            @step
            def extract(self) -> int:
                return 1

            load = step(function)

    (problem,) = caught.value.problems
    assert "not-a-function" == problem.code
    assert "takes no self, but '" in problem.message
    assert "Give it self, or decorate it with @staticmethod." == problem.hint


def test_self_under_another_name():
    """It may be called as one likes, and may be annotated."""

    @workflow
    class Flow:
        @step
        def one(this) -> int:
            return 1

        @step
        def two(flow: "Flow") -> int:
            return 2

    assert (1, 2) == (Flow().one(), Flow().two())


@pytest.mark.parametrize("default", [[], {}, set[int](), bytearray()])
def test_a_mutable_default(default: object):
    """All calls share it, which is a warning at the step."""
    with pytest.warns(OrchwfWarning, match=r"\[mutable-default\] step 'one': the default of parameter 'seen'"):

        @workflow
        class Flow:
            @step
            def one(self, seen: object = default) -> int:
                return 1
