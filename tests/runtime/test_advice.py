"""The mistakes that newcomers make most: each is told in one sentence, with the way out."""

import asyncio
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import orchwf
from orchwf import OrchwfWarning, StepContext, step, workflow
from orchwf.advice import advise
from orchwf.core.events import ErrorInfo
from orchwf.core.failures import Failures
from orchwf.runtime import attempt


@contextmanager
def unheard() -> Iterator[None]:
    """Nobody listens to the log, as in a program that does not configure logging."""
    logger = logging.getLogger("orchwf")
    handlers, propagates = list(logger.handlers), logger.propagate
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagates


def test_advice_is_logged(caplog: pytest.LogCaptureFixture):
    """Where somebody listens to the log, it is there and nowhere else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        advise("do it otherwise", "flow.py", 3)

    assert ["do it otherwise"] == [record.getMessage() for record in caplog.records]
    assert [] == caught


def test_advice_is_a_warning_where_nobody_listens():
    """It names the place in the code of the user."""
    with unheard(), pytest.warns(OrchwfWarning, match="do it otherwise") as caught:
        advise("do it otherwise", "flow.py", 3)

    assert [("flow.py", 3)] == [(each.filename, each.lineno) for each in caught]


def test_advice_raises_nothing():
    """Also where warnings are errors: it comes from our threads."""
    with unheard(), warnings.catch_warnings():
        warnings.simplefilter("error")

        advise("do it otherwise", "flow.py", 3)


@workflow
class Nested:
    @step
    def one(self) -> int:
        return 1

    @step
    def two(self) -> int:
        return self.one() + 1


def test_a_step_called_in_a_step():
    """It runs, but a warning at that line says what it is not."""
    with pytest.warns(OrchwfWarning, match=r"step 'two' calls step 'one': .* \(x = one.result\)") as caught:
        result = orchwf.run(Nested(), store="memory:")

    assert 2 == result[Nested.two]
    assert [__file__] == [each.filename for each in caught]


@workflow
class Base:
    @step
    def one(self) -> int:
        return 1


@workflow
class Derived(Base):
    @step
    def one(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return super().one() + 1


def test_a_step_may_call_the_one_that_it_overrides():
    """That is how one adds to it, and nothing is said."""
    assert 2 == orchwf.run(Derived(), store="memory:")[Derived.one]


def test_a_step_called_outside_of_a_run():
    """A test that calls a body hears nothing."""
    assert 2 == Nested().two()


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (ErrorInfo("TypeError", "unsupported operand type(s) for +: 'coroutine' and 'int'"), "write  await  before"),
        (ErrorInfo("AttributeError", "'coroutine' object has no attribute 'status'"), "write  await  before"),
        (ErrorInfo("RuntimeError", "asyncio.run() cannot be called from a running event loop"), "the event loop runs"),
        (ErrorInfo("TypeError", "unsupported operand type(s) for +: 'str' and 'int'"), ""),
        (ErrorInfo("RuntimeError", "no"), ""),
    ],
)
def test_hints_at_errors(error: ErrorInfo, hint: str):
    """What Python says of a forgotten await does not tell the way out; we do."""
    told = [line.text for line in Failures().place(error)]

    assert any(hint in line for line in told) if hint else told == []


def test_an_output_that_cannot_be_stored():
    """No line raised it, so the place of its step is told."""

    @workflow
    class Odd:
        @step
        def one(self) -> object:
            return object()

    with pytest.raises(orchwf.RunFailed) as caught:
        orchwf.run(Odd(), store="memory:")

    assert any("test_advice.py:" in note for note in caught.value.__notes__)


def test_a_large_output(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """It is stored, and told to be better kept elsewhere."""
    monkeypatch.setattr(attempt, "_BIG", 10)

    @workflow
    class Large:
        @step
        def one(self) -> str:
            return "x" * 100

    result = orchwf.run(Large(), store="memory:")

    assert "x" * 100 == result[Large.one]
    assert ["the output of step 'one' takes 102 B in the store"] == [
        record.getMessage().partition(",")[0] for record in caplog.records if "in the store" in record.getMessage()
    ]


async def test_a_coroutine_instead_of_a_workflow():
    """`orchwf.run` says that it is for workflows, and that it works in a notebook, too."""
    work = asyncio.sleep(0)

    with pytest.raises(orchwf.UsageError, match=r"not of a coroutine: await that by itself; .* as in a notebook"):
        orchwf.run(work, store="memory:")

    await work


def test_the_context_is_passed_on():
    """A body that calls a plain function with its context is none that calls a step."""

    @workflow
    class Plain:
        @step
        def one(self, ctx: StepContext) -> str:
            return helper(ctx)

    assert "one" == orchwf.run(Plain(), store="memory:")[Plain.one]


def helper(ctx: StepContext) -> str:
    return ctx.step
