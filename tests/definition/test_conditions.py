"""Conditions answer in three values."""

import itertools

import pytest

from orchwf import step
from orchwf.core.references import MISSING, Condition, Lookup, Mode


@step
def a() -> object:
    """The step that is asked."""
    return 1


@step
def b() -> object:
    """Another one."""
    return 1


def lookup(**outputs: object) -> Lookup:
    """Outputs by name; what is not named has none."""
    return lambda ref: outputs.get(ref.name, MISSING)


def test_tests():
    """Equality, membership, a predicate; without an output nothing is known."""
    assert a.is_("x").answer(lookup(a="x")) is True
    assert a.is_("x").answer(lookup(a="y")) is False
    assert a.contains(1).answer(lookup(a=[1, 2])) is True
    assert a.contains(3).answer(lookup(a=[1, 2])) is False
    assert a.where(lambda output: output).answer(lookup(a=[0])) is True
    assert a.where(lambda output: output).answer(lookup()) is None


VALUES = (True, False, None)


@pytest.mark.parametrize(("left", "right"), list(itertools.product(VALUES, VALUES)))
def test_kleene(left: bool | None, right: bool | None):
    """`&` is the least, `|` the greatest of False < unknown < True; `~` turns round."""
    rank = {False: 0, None: 1, True: 2}
    known = {name: value for name, value in (("a", left), ("b", right)) if value is not None}
    both, either = a.is_(True) & b.is_(True), a.is_(True) | b.is_(True)

    assert both.answer(lookup(**known)) is min(left, right, key=rank.__getitem__)
    assert either.answer(lookup(**known)) is max(left, right, key=rank.__getitem__)
    assert (~a.is_(True)).answer(lookup(**known)) is (None if left is None else not left)


def test_decided_conditions_ask_no_further():
    """What follows a decisive answer is not evaluated."""

    def explode(output: object) -> bool:
        raise AssertionError

    assert (a.is_(1) & b.where(explode)).answer(lookup(a=2, b=1)) is False
    assert (a.is_(1) | b.where(explode)).answer(lookup(a=1, b=1)) is True


def test_text():
    """The text is for people and does not depend on the process."""
    condition = (a.is_("x") & ~b.contains(3)) | a.where(bool)

    assert str(condition) == "((a is 'x' & ~b contains 3) | a where bool)"
    assert str(a.where(lambda output: output == 1)) == "a where ..."
    assert str(a.is_({"z", "y"})) == "a is {'y', 'z'}"
    assert str(a.is_(Mode.RESULT)) == "a is Mode.RESULT"
    assert str(a.is_({Mode.RESULT, Mode.ALL})) == "a is {Mode.ALL, Mode.RESULT}"
    assert "0x" not in str(a.is_(object()))


def test_no_truth_value():
    """`and` and `if` would be wrong, so they raise."""
    with pytest.raises(TypeError, match=r"combine conditions with &, | and ~"):
        bool(a.is_(1))


def test_tests_are_listed_in_order():
    """Every test is found, in whatever combination."""
    condition: Condition = ~(a.is_(1) & b.is_(2)) | a.is_(3)

    assert [(test.ref.name, test.value) for test in condition.tests()] == [("a", 1), ("b", 2), ("a", 3)]
    assert condition.depth == 4
