"""What is read of runs that other runs started."""

from typing import Any

from orchwf import ChildResult, step, subflow, workflow
from orchwf.core.children import decoded_child, encoded_child
from orchwf.core.dag import dag_of
from orchwf.core.history import StepRecord


@workflow
class Inner:
    @step
    def count(self) -> int:
        return 1


@workflow
class Outer:
    @subflow
    def inner(self) -> Inner:
        return Inner()


def test_the_outputs_of_a_run_may_hold_those_of_one_that_it_started():
    """They are what they are for the steps of that run: a `ChildResult`."""
    inner = encoded_child("r/inner", {"count": StepRecord("count", output="7")}, None)
    outer = encoded_child("r", {"inner": StepRecord("inner", output=inner)}, None)

    result: ChildResult[Any] = decoded_child(outer, dag_of(Outer))

    assert ChildResult("r/inner", {"count": 7}) == result["inner"]
