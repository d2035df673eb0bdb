"""Runs of some of their steps: `only`, which `orchwf run --only` and `--until` give."""

from pathlib import Path

import pytest

import orchwf
from orchwf import (
    Client,
    Orchestrator,
    Quorum,
    StepStatus,
    UnknownStepError,
    UsageError,
    make_workflow,
    step,
    workflow,
)
from orchwf.core.dag import dag_of
from orchwf.core.selection import left_out, select
from orchwf.stores import MemoryStore


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


@pytest.mark.parametrize("by_name", [False, True])
async def test_a_client_starts_a_run_of_some_steps(by_name: bool):
    """Whoever executes it finds in its log what is left out; it ends as if it had been started there."""
    store = MemoryStore()
    async with Orchestrator(store, workflows=[Flow]) as orchestrator, Client(store) as client:
        run = await client.start("Flow" if by_name else Flow(), run_id="r1", only=["+validate"])
        first = [event async for event in run.events()][: len(DAG.nodes) - 1]
        result = await run.result()
        there = await (await orchestrator.start(Flow(), "r2", only=["+validate"])).result()

    assert ["run.started", *["step.skipped"] * (len(DAG.nodes) - 2)] == [event.kind for event in first]
    assert {"extract", "validate"} == set(result.outputs)
    assert {name: step.status for name, step in there.steps.items()} == {
        name: step.status for name, step in result.steps.items()
    }


async def test_what_is_left_out_is_of_the_graph_that_was_started(caplog: pytest.LogCaptureFixture):
    """Code with another graph does not begin the run: which of its steps were meant nobody can know."""
    store = MemoryStore()

    async def one() -> int:
        return 1

    before = make_workflow("F", {"a": step(one), "b": step(one)})
    after = make_workflow("F", {"a": step(one), "b": step(one), "c": step(one)})
    async with Client(store) as client:
        whole = await client.start(before(), run_id="whole")
        part = await client.start(before(), run_id="part", only=["a"])
        async with Orchestrator(store, workflows=[after]):
            result = await whole.result()
            steps = await part.steps()

    assert {"a", "b", "c"} == set(result.outputs)
    assert "pending" == steps["a"].status
    assert "part" in caplog.text


async def test_a_client_is_told_what_cannot_be_left_out():
    """Before anything is written."""
    async with Client("memory:") as client:
        with pytest.raises(UsageError, match="step 'load' needs 'validate'"):
            await client.start(Flow(), only=["load"])
        with pytest.raises(UsageError, match="give not_before or only, not both"):
            await client.start(Flow(), only=["extract"], not_before="1h")
        assert () == (await client.list_runs()).runs


def test_a_blocking_run_of_some_steps(tmp_path: Path):
    """`orchwf.run` takes what `Orchestrator.run` does: some steps, and a run that there is already."""
    store = f"sqlite:///{tmp_path}/runs.db"

    result = orchwf.run(Flow(), store=store, run_id="r1", only=["extract"])
    again = orchwf.run(Flow(), store=store, run_id="r1", on_duplicate="attach")

    assert {"extract"} == set(result.outputs) == set(again.outputs)


async def test_a_later_run_of_some_steps():
    """What begins later runs all of its steps."""
    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(UsageError, match="give not_before or only, not both"):
            await orchestrator.start(Flow(), only=["extract"], not_before="1h")
