"""Fakes in the place of generators: what gives the items in any way."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from orchwf import StepContext, step, workflow
from orchwf.testing import TestOrchestrator, crash_everywhere, override


@workflow
class Letters:
    """Letters, made great one by one."""

    text: str = "ab"

    @step
    def plain(self) -> Iterator[str]:
        yield from self.text

    @step
    async def waiting(self) -> AsyncIterator[str]:
        for letter in self.text:
            yield letter

    @step
    def upper(self, letter: str = plain.each) -> str:
        return letter.upper()

    @step
    def title(self, letter: str = waiting.each) -> str:
        return letter.upper()


def generator(self: Letters) -> Iterator[str]:
    yield from reversed(self.text)


async def async_generator(self: Letters) -> AsyncIterator[str]:
    for letter in reversed(self.text):
        yield letter


def function(ctx: StepContext | None = None) -> list[str]:
    return ["b", "a"]


async def coroutine(self: Letters) -> list[str]:
    return list(reversed(self.text))


@pytest.mark.parametrize("name", ["plain", "waiting"])
@pytest.mark.parametrize("fake", [["b", "a"], function, coroutine, generator, async_generator])
async def test_a_fake_gives_the_items(name: str, fake: Any):
    """A list, a function or coroutine that gives one, and generators of both kinds."""
    async with TestOrchestrator() as orchestrator:
        with override(name, fake, workflow=Letters):
            result = await orchestrator.run(Letters())

    assert ["b", "a"] == result.outputs[name]
    assert ["B", "A"] == result.outputs["upper" if name == "plain" else "title"]


@pytest.mark.parametrize("name", ["plain", "waiting"])
async def test_a_fake_may_raise(name: str):
    """The step fails then; so it does if what it gives has no items."""
    async with TestOrchestrator() as orchestrator:
        with override(name, ValueError("no letters"), workflow=Letters):
            raised = await (await orchestrator.start(Letters())).wait()
        with override(name, 3, workflow=Letters):
            empty = await (await orchestrator.start(Letters())).wait()

    assert "ValueError: no letters" == raised.error
    assert "TypeError: 'int' object is not iterable" == empty.error


def test_fakes_die_like_what_they_stand_for():
    """A process may die around them, too."""
    with override(Letters.plain, ["x"]), override(Letters.waiting, coroutine):
        report = crash_everywhere(Letters(), check=lambda result: result[Letters.plain] == ["x"])

    assert "before the body of 'plain' (attempt 1) ran" in report.deaths
