"""Fakes in the place of bodies."""

import asyncio
import threading
from contextlib import ExitStack
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from orchwf import (
    NonRetryable,
    RunFailed,
    StepContext,
    UnknownStepError,
    UsageError,
    compile_workflow,
    make_workflow,
    run,
    step,
    workflow,
)
from orchwf.testing import TestOrchestrator, override


@workflow
class Order:
    id: str = "A1"

    @step
    def load(self) -> int:
        return 40

    @step
    async def charge(self, load: int, *, note: str = "by card", ctx: StepContext) -> str:
        return f"{self.id}: {load} {note} {ctx.idempotency_key.rpartition('/')[2]}"

    @charge.compensate
    def refund(self, charge: str | None) -> None:
        REFUNDS.append(charge)

    @step
    def ship(self, charge: str) -> str:
        if charge == "no":
            raise NonRetryable("not paid")
        return f"shipped after {charge}"


@workflow
class Gift(Order):
    @step
    def wrap(self, ship: str) -> str:
        return f"{ship}, in paper"


@workflow
class Free(Order):
    @step
    async def charge(self, load: int, *, note: str = "", ctx: StepContext) -> str:
        return "free"


REFUNDS: list[object] = []


def outputs(instance: Any) -> dict[str, object]:
    return dict(run(instance, store="memory:").outputs)


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        (lambda: "faked", "faked"),
        (lambda load: f"faked {load}", "faked 40"),
        (lambda self: f"faked {self.id}", "faked A1"),
        (lambda note, self, load: f"{note} {self.id} {load}", "by card A1 40"),
        (lambda *, ctx, load: f"{ctx.step} {load}", "charge 40"),
        (lambda load, more=2: str(load + more), "42"),
        (lambda **given: " ".join(sorted(given)), "ctx load note"),
        (lambda *rest: str(rest), "()"),
        ("a plain value", "a plain value"),
    ],
)
def test_a_fake_takes_what_it_asks_for(fake: object, expected: str):
    """Any of the parameters of the body, by name, and the instance; other values are what the step returns."""
    with override(Order.charge, fake):
        assert expected == outputs(Order())["charge"]

    assert "A1: 40 by card charge" == outputs(Order())["charge"]


async def test_coroutine_functions_stand_in_for_plain_ones():
    """They run on the loop of the orchestrator."""

    async def fake() -> int:
        return threading.get_ident()

    async with TestOrchestrator() as orchestrator:
        with override(Order.load, fake):
            result = await orchestrator.run(Order())

    assert threading.get_ident() == result[Order.load]


async def test_plain_fakes_stay_where_the_body_was():
    """Those of a coroutine function are on the loop, and may touch what belongs to it; others are in a thread."""
    with (
        override(Order.load, lambda: int(threading.get_ident())),
        override(Free.charge, lambda: str(threading.get_ident())),
    ):
        async with TestOrchestrator() as orchestrator:
            result = await orchestrator.run(Free())

    assert threading.get_ident() != result[Order.load]
    assert str(threading.get_ident()) == result[Free.charge]


def test_mocks_are_fakes():
    """They tell afterwards what they were called with."""
    load, charge = Mock(return_value=7), AsyncMock(return_value="mocked")

    with override(Order.load, load), override(Order.charge, charge):
        assert {"load": 7, "charge": "mocked", "ship": "shipped after mocked"} == outputs(Order())

    load.assert_called_once_with()
    assert {"load": 7, "note": "by card"}.items() <= charge.await_args.kwargs.items()  # type: ignore[union-attr]


@pytest.mark.parametrize("error", [ConnectionError("down"), ConnectionError])
def test_an_exception_is_raised(error: object):
    """An instance as it is, a class when it is called."""
    with override(Order.load, error), pytest.raises(RunFailed) as failure:
        run(Order(), store="memory:")

    assert isinstance(failure.value.__cause__, ConnectionError)


def test_all_classes_that_have_the_body_are_meant():
    """That in which it stands and those that inherit it; not those that have another one."""
    with override(Order.charge, "faked"):
        found = [outputs(cls())["charge"] for cls in (Order, Gift, Free)]
    with override(Gift.charge, "by another name"):
        inherited = outputs(Order())["charge"]

    assert ["faked", "faked", "free"] == found
    assert "by another name" == inherited


def test_one_class_can_be_meant():
    """With those that inherit from it."""
    with override(Order.charge, "faked", workflow=Gift):
        found = [outputs(cls())["charge"] for cls in (Order, Gift)]

    assert ["A1: 40 by card charge", "faked"] == found


def test_steps_of_a_mixin():
    """A class that is no workflow has steps for others."""

    class Mixin:
        @step
        def hello(self) -> str:
            return "hello"

    @workflow
    class One(Mixin):
        pass

    @workflow
    class Two(Mixin):
        pass

    with override(Mixin.hello, "faked"):
        assert [{"hello": "faked"}] * 2 == [outputs(One()), outputs(Two())]


def test_the_definition_is_the_same():
    """For a store nothing has changed, and afterwards it is the very graph."""
    before = compile_workflow(Order)

    with override(Order.charge, "faked"):
        within = compile_workflow(Order)
    after = compile_workflow(Order)

    assert before is after
    assert before is not within
    assert before.fingerprint == within.fingerprint
    assert not before.diff(within)


def test_blocks_may_be_nested_and_crossed():
    """The last one that began counts; each ends with its own block, whatever their order."""
    first, second = override(Order.load, 1), override(Order.load, 2)

    first.__enter__()
    second.__enter__()
    found = [outputs(Order())["load"]]
    first.__exit__(None, None, None)
    found.append(outputs(Order())["load"])
    second.__exit__(None, None, None)
    found.append(outputs(Order())["load"])

    assert [2, 2, 40] == found


def test_several_steps_at_once():
    """Of one workflow, or of several."""
    with ExitStack() as stack:
        stack.enter_context(override(Order.load, 1))
        stack.enter_context(override(Order.charge, "2"))
        stack.enter_context(override(Free.charge, "3"))

        assert {"load": 1, "charge": "2", "ship": "shipped after 2"} == outputs(Order())
        assert "3" == outputs(Free())["charge"]


def test_an_error_in_the_block_ends_it_too():
    """The body is there again."""
    with pytest.raises(ZeroDivisionError), override(Order.load, 1):
        raise ZeroDivisionError

    assert 40 == outputs(Order())["load"]


async def test_runs_keep_the_body_they_were_started_with():
    """A run that outlives the block still has the fake; one that was started before never has it."""
    gates = [asyncio.Event(), asyncio.Event()]

    @step
    async def wait(number: int) -> int:
        await gates[number].wait()
        return number

    @step
    def real(wait: int) -> str:
        return f"real {wait}"

    flow = make_workflow("Two", [wait, real], inputs={"number": int})
    async with TestOrchestrator() as orchestrator:
        before = await orchestrator.start(flow(number=0))
        with override(real, "faked", workflow=flow):
            within = await orchestrator.start(flow(number=1))
            gates[0].set()
            first = await before.result()
        gates[1].set()
        second = await within.result()

    assert ["real 0", "faked"] == [first["real"], second["real"]]


async def test_a_resumed_run_has_the_body_of_its_resume():
    """So a step that was made to fail can be mended by leaving the block, or by another one."""
    async with TestOrchestrator(workflows=[Order]) as orchestrator:
        with override(Order.load, ConnectionError("down")):
            run = await orchestrator.start(Order(), run_id="r")
            await run.wait()
        with override(Order.load, ConnectionError("still down")):
            failed = await (await orchestrator.resume("r", workflow=Order)).wait()
        result = await (await orchestrator.resume("r")).result()

    assert "ConnectionError: still down" == failed.error
    assert 40 == result[Order.load]


def test_direct_calls_are_not_replaced():
    """Who calls a body wants that body."""
    with override(Order.load, 1):
        assert 40 == Order().load()


def test_a_compensation_can_be_replaced():
    """Alone, or with its step."""
    undone: list[object] = []
    REFUNDS.clear()

    with override(Order.charge, "no", compensation=lambda charge, self: undone.append((self.id, charge))):
        fails()
    with override(Order.ship, NonRetryable("no")), override(Order.charge, compensation=Mock(return_value=None)):
        fails()
    replaced = list(REFUNDS)
    with override(Order.charge, "no"):
        fails()

    assert [("A1", "no")] == undone
    assert [] == replaced
    assert ["no"] == REFUNDS


def fails() -> None:
    with pytest.raises(RunFailed):
        run(Order(), store="memory:")


def one() -> int:
    return 1


def test_steps_of_made_workflows():
    """By the step, whatever name it has there, or by name; `workflow` says where."""
    mine = step(one, name="mine")
    flow = make_workflow("Made", {"first": one, "second": one, "other name": mine})

    with override("first", 2, workflow=flow):
        found = [outputs(flow())]
    with override(flow.second, 3, workflow=flow):
        found.append(outputs(flow()))
    listed = make_workflow("Listed", [mine])
    with override(mine, 4, workflow=listed):
        found.append(outputs(listed()))

    assert {"first": 2, "second": 1, "other name": 1} == found[0]
    assert {"first": 1, "second": 3, "other name": 1} == found[1]
    assert {"mine": 4} == found[2]


def test_positional_parameters_and_gathered_outputs():
    """A fake gets by name what the body gets in another way."""

    def add(a: int, /, b: int) -> int:
        return a + b

    def gather(**outputs: int) -> int:
        return sum(outputs.values())

    flow = make_workflow(
        "Ways",
        {"a": one, "b": one, "add": add, "gather": step(gather, depends_on=["a", "add"])},
    )
    with (
        override("add", lambda b, a: 10 * a + b, workflow=flow),
        override("gather", lambda add, **rest: [add, rest], workflow=flow),
    ):
        found = outputs(flow())

    assert 11 == found["add"]
    assert [11, {"a": 1}] == found["gather"]


class Lonely:
    @step
    def alone(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((Order.load,), {}, "takes a fake for the body"),
        ((Lonely.alone, 1), {}, "step 'Lonely.alone' is in no workflow: neither Lonely"),
        ((Order.load, 1), {"workflow": Lonely}, "is in no workflow"),
        ((step(one), 1), {}, "step 'one' belongs to no class: say of which workflow"),
        (("load", 1), {}, "say of which workflow"),
        (("laod", 1), {"workflow": Order}, "Did you mean 'load'"),
        (("load", 1), {"workflow": Lonely}, "Lonely is not a workflow"),
        ((Order().load, 1), {}, "takes a step, such as"),
        ((one, 1), {}, "takes a step, such as"),
        ((Order.load, lambda amount: 1), {}, "takes 'amount', which it cannot get: it may take, by name, any of self"),
        ((Order.charge, lambda load, /: 1), {}, "takes 'load', which it cannot get"),
        ((Order.load, dict.fromkeys), {}, "no signature|cannot get"),
        ((Order.load, type), {}, "has no signature that Python knows"),
        ((Order.load,), {"compensation": 1}, "step 'load' has no compensation"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[Any, ...], options: dict[str, Any], message: str):
    """With an error that says the way out, before anything is replaced."""
    with pytest.raises(UsageError, match=message), override(*arguments, **options):
        pass

    assert 40 == outputs(Order())["load"]


def test_an_unknown_name_is_an_unknown_step():
    """As everywhere."""
    with pytest.raises(UnknownStepError), override("nothing", 1, workflow=Order):
        pass
