"""Large values: written and read like small ones, and not on the event loop."""

import json
import random
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

import attrs
import pytest

from orchwf import make_workflow
from orchwf.core.values.pieces import LARGE, dumps_in_pieces, is_large, loads_in_pieces
from orchwf.core.values.shapes import dumps
from orchwf.testing import TestOrchestrator


@attrs.define
class Slotted:
    rows: list[int]


@dataclass
class Open:
    rows: list[int]


MADE_ON: list[int] = []
"""The threads on which rows were made."""


@attrs.define
class Rows:
    rows: list[int]

    def __attrs_post_init__(self) -> None:
        MADE_ON.append(threading.get_ident())


MANY = list(range(3_000))


@pytest.mark.parametrize(
    "value",
    [
        MANY, tuple(MANY), set(MANY), frozenset(MANY), deque(MANY), {"a": {"b": [MANY]}}, OrderedDict(a=MANY),
        "x" * 300_000, b"x" * 300_000, ["x" * 1_000] * 300, Slotted(MANY), Open(MANY), {n: n for n in MANY},
        [[n, n] for n in range(800)],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_large(value: object):
    """Many values, or long texts, wherever they are."""
    assert is_large(value)


@pytest.mark.parametrize(
    "value", [None, 1, "x", "x" * 10_000, [1, 2], {"a": [1]}, Slotted([1]), Open([1]), object(), MANY[:1_000]]
)
def test_what_is_not(value: object):
    """Nothing is said of what cannot be seen from outside."""
    assert not is_large(value)


def random_json(draw: random.Random, depth: int = 0) -> Any:
    kinds = ["int", "float", "text", "none"] + ["list", "dict"] * (3 if depth < 3 else 0)
    match draw.choice(kinds):
        case "list":
            return [random_json(draw, depth + 1) for _ in range(draw.choice([0, 1, 3, 30]))]
        case "dict":
            return {f"k\n{n}": random_json(draw, depth + 1) for n in range(draw.choice([0, 1, 3, 30]))}
        case "int":
            return draw.choice([0, -1, 2**70])
        case "float":
            return draw.random() * 10 ** draw.randint(-20, 20)
        case "text":
            return draw.choice(["", "é\u2028\\", 'x"y' * draw.choice([1, 5_000])])
        case _:
            return draw.choice([None, True, False])


@pytest.mark.parametrize("seed", range(20))
def test_pieces_make_the_same_text(seed: int):
    """And the text is read as the same value."""
    draw = random.Random(seed)
    value = [random_json(draw) for _ in range(100)]

    text = dumps_in_pieces(value)

    assert is_large(value)
    assert dumps(value) == text
    assert len(text) > LARGE
    assert value == loads_in_pieces(text, json.loads)


async def test_large_values_are_read_on_a_thread():
    """The event loop goes on meanwhile. What a body gets and gives is the same."""
    MADE_ON.clear()

    async def makes() -> Rows:
        return Rows([2**60] * 20_000)

    async def reads(makes: Rows) -> int:
        return len(makes.rows)

    async with TestOrchestrator() as orchestrator:
        result = await orchestrator.run(make_workflow("Large", [makes, reads])())

    assert 20_000 == result["reads"]
    assert [True, False] == [thread == threading.get_ident() for thread in MADE_ON]
