"""Runs of some of their steps: `only`, which `orchwf run --only` and `--until` give."""

import pytest

from orchwf import Orchestrator, Quorum, StepStatus, UnknownStepError, UsageError, step, workflow
from orchwf.core.dag import dag_of
from orchwf.core.selection import left_out, select


@workflow
class Flow:
    @step(tags=["in"])
    def extract(self) -> int:
        return 1

    @step(tags=["in"])
    def audit(self) -> int:
        return 2

    @step
    def validate(self, amount: int = extract.result) -> int:
        return amount

    @step
    def load(self, amount: int = validate.result) -> int:
        return amount

    @step(depends_on=[audit, load], join="settled")
    def clean(self) -> int:
        return 3

    @step(depends_on=[extract, audit], join="any")
    def some(self) -> int:
        return 4

    @step(depends_on=[extract, audit, validate], join=Quorum(2))
    def most(self) -> int:
        return 5

    @step(name="a+b")
    def plus(self) -> int:
        return 6

    @step(depends_on=[(extract | audit)])
    def either(self, one: int = (extract | audit).result) -> int:
        return one


DAG = dag_of(Flow)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["load"], {"load"}),
        (["+load"], {"extract", "validate", "load"}),
        (["validate+"], {"validate", "load", "clean", "most"}),
        (["+validate+"], {"extract", "validate", "load", "clean", "most"}),
        (["tag:in"], {"extract", "audit"}),
        (["audit", "extract"], {"extract", "audit"}),
        (["a+b"], {"a+b"}),
        (["+a+b"], {"a+b"}),
    ],
)
def test_what_is_meant(texts: list[str], names: set[str]):
    """A step, with all above or below it, or those of a tag."""
    assert names == select(DAG, texts)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (["+lod"], UnknownStepError, r"has no step 'lod'. Did you mean 'load'\?"),
        (["tag:inn"], UsageError, r"no step of Flow has the tag 'inn'. Did you mean 'in'\?"),
    ],
)
def test_what_is_not_there(texts: list[str], error: type[Exception], message: str):
    """A misspelt step or tag gets the one that was meant."""
    with pytest.raises(error, match=message):
        select(DAG, texts)


@pytest.mark.parametrize(
    ("only", "lacking"),
    [
        (["load"], "step 'load' needs 'validate'"),
        (["some"], "step 'some' needs 'extract', 'audit'"),
        (["most", "extract"], "step 'most' needs 'audit', 'validate'"),
        (["either"], "step 'either' needs 'extract', 'audit'"),
        ([], "no step of Flow is selected"),
    ],
)
def test_what_is_needed(only: list[str], lacking: str):
    """What cannot run without a step that is left out is refused, and nothing is begun."""
    with pytest.raises(UsageError, match=lacking):
        left_out(DAG, only)


@pytest.mark.parametrize(
    "only", [["extract", "validate"], ["clean"], ["some", "audit"], ["most", "extract", "audit"], ["either", "audit"]]
)
def test_what_can_be_left_out(only: list[str]):
    """A join that has enough without it does without."""
    assert set(DAG.nodes) - set(only) == {event.step for event in left_out(DAG, only)}


async def test_a_run_of_some_steps():
    """The others are skipped, the run completes, and a fork runs what was left out."""
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(Flow(), "r1", only="+validate")
        fork = await orchestrator.fork("r1", "load")
        whole = await fork.result()

    assert {"extract", "validate"} == set(result.outputs)
    assert StepStatus.SKIPPED is result.steps["load"].status
    assert "it was left out when the run was started" == result.steps["load"].reason
    assert set(DAG.nodes) == set(whole.outputs)
    assert 0 == whole.steps["validate"].attempt


async def test_a_later_run_of_some_steps():
    """What begins later runs all of its steps."""
    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(UsageError, match="give not_before or only, not both"):
            await orchestrator.start(Flow(), only=["extract"], not_before="1h")
