"""Workflows whose bodies run elsewhere and give large values, and executors that count or disturb what is sent."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy

from orchwf import Cache, ChildResult, Finish, Retry, StepContext, WorkerDiedError, step, subflow, workflow
from orchwf.blobs.folder import FolderBlobStore
from orchwf.ports import Call, Executor, Workers

FLOATS = 131_072
"""How many floats are a mebibyte."""


@workflow
class Chain:
    """Each body takes a large array, and gives another one."""

    @step(executor="there")
    def first(self) -> numpy.ndarray:
        return numpy.arange(FLOATS, dtype=numpy.float64)

    @step(executor="there")
    def second(self, first: numpy.ndarray) -> numpy.ndarray:
        return first + 1

    @step(executor="there")
    async def third(self, second: numpy.ndarray) -> numpy.ndarray:
        return second * 2

    @step(executor="there")
    def total(self, third: numpy.ndarray) -> float:
        return float(third.sum())


@workflow
class Fan:
    """Many bodies give a large array each; others take one each, and one takes all."""

    @step
    def numbers(self) -> list[int]:
        return list(range(6))

    @step(executor="there")
    def made(self, number: int = numbers.each) -> numpy.ndarray:
        return numpy.full(FLOATS, float(number))

    @step(executor="there")
    def doubled(self, array: numpy.ndarray = made.each) -> numpy.ndarray:
        return array * 2

    @step(executor="there")
    def total(self, arrays: list[numpy.ndarray] = doubled.all) -> float:
        return float(sum(array[0] for array in arrays))


@workflow
class Stops:
    """What a body of this process takes is large, and a file says whether it is there yet."""

    file: str

    @step
    def numbers(self) -> list[int]:
        return list(range(100))

    @step(executor="there")
    def made(self, number: int = numbers.each) -> str:
        return f"{number:04}" * 250_000

    @step(depends_on=made)
    def waits(self) -> str:
        return Path(self.file).read_text()

    @step(executor="there", depends_on=waits)
    def last(self) -> int:
        return len("last")


@workflow
class Reads:
    """One body gives a large value, and two take it: one elsewhere, one here."""

    file: str

    @step(executor="there")
    def made(self) -> str:
        return "x" * 1_000_000

    @step(depends_on=made)
    def waits(self) -> str:
        return Path(self.file).read_text()

    @step(executor="there", depends_on=waits, required=False)
    def there(self, made: str) -> int:
        return len(made)

    @step(depends_on=waits, required=False)
    def here(self, made: str) -> int:
        return len(made)

    @step(depends_on=waits, required=False, cache=Cache())
    def kept(self, made: str) -> int:
        return len(made)


@workflow
class Child:
    """Is started by another run."""

    @step(executor="there")
    def made(self) -> list[str]:
        return ["c" * 500, "d" * 500]


@workflow
class Everywhere:
    """All that looks into a large value in the process of the orchestrator."""

    given: str = ""
    undone: str = ""

    @step(executor="there")
    def words(self) -> list[str]:
        return [f"{each}{self.given}" for each in ("a" * 500, "b" * 500)]

    @step(when=words.where(lambda words: len(words) == 2))
    def asked(self) -> str:
        return "asked"

    @step(executor="there", max_parallel=2)
    def upper(self, word: str = words.each) -> str:
        return word.upper()

    @step(executor="there")
    def again(self, word: str = upper.each) -> str:
        return word * 2

    @step
    def here(self, word: str = again.each) -> int:
        return len(word)

    @step
    def joined(self, words: list[str] = again.all, lengths: list[int] = here.all) -> str:
        assert lengths == [len(each) for each in words]
        return "".join(words)

    @step(executor="there", until=lambda text: len(text) >= 4_000)
    def grown(self, text: str = joined.result) -> str:
        return text + "g" * 500

    @step(executor="there", cache=Cache())
    def cached(self, grown: str) -> str:
        return f"cached {grown}"

    @step(cache=Cache(key=lambda cached: cached), depends_on=grown)
    async def kept(self, cached: str) -> int:
        return len(cached)

    @subflow(depends_on=kept)
    def child(self) -> Child:
        return Child()

    @step(executor="there")
    def told(self, made: list[str] = child[Child.made].result, whole: ChildResult[Child] = child.result) -> str:
        return "".join([*made, *whole["made"]])

    @told.compensate
    def untold(self, told: str) -> None:
        Path(self.undone).write_text(told)

    @step(depends_on=told)
    def last(self) -> None:
        if self.undone:
            raise ValueError("no")


@workflow
class Later:
    """What is looked into is so after a file is there."""

    file: str

    @step(executor="there")
    def words(self) -> list[str]:
        return ["a" * 500_000, "b" * 500_000]

    @step(depends_on=words)
    def waits(self) -> str:
        return Path(self.file).read_text()

    @step(when=words.where(lambda words: len(words) == 2), depends_on=waits)
    def asked(self) -> str:
        return "asked"

    @step(executor="there", depends_on=waits)
    def lengths(self, word: str = words.each) -> int:
        return len(word)

    @step(cache=Cache(), depends_on=waits)
    def cached(self, words: list[str]) -> int:
        return len(words)


@workflow
class Finishes:
    """Ends its run early, with a large value."""

    @step(executor="there")
    def made(self) -> str:
        raise Finish("f" * 1_000_000)


@workflow
class Dies:
    """Its worker dies when it has put what its body gave, before it says so."""

    @step(executor="there", retries=Retry(1, initial=0, retry_on=(WorkerDiedError,)))
    def made(self, ctx: StepContext) -> str:
        if ctx.attempt == 1:
            _die_after_put()
        return "x" * 1_000_000

    @step
    def length(self, made: str) -> int:
        return len(made)


def _die_after_put() -> None:
    put = FolderBlobStore.put

    async def last_put(blobs: FolderBlobStore, key: str, data: bytes) -> None:
        await put(blobs, key, data)
        os.kill(os.getpid(), signal.SIGKILL)

    # In the process of a worker, which does not outlive it.
    FolderBlobStore.put = last_put  # type: ignore[method-assign, assignment]


def _same(text: str) -> str:
    return text


@attrs.define(eq=False)
class Watched:
    """
    An executor that keeps what passes between here and the workers of another one.

    Attributes:
        inner: The other one.
        change: What becomes of a request on its way.
        sizes: How long each request and each answer was.
        requests: What was asked, of each.
        answers: What was answered to each.
    """

    inner: Executor
    change: Callable[[str], str] = _same
    sizes: list[int] = attrs.field(factory=list)
    requests: list[dict[str, Any]] = attrs.field(factory=list)
    answers: list[dict[str, Any]] = attrs.field(factory=list)
    takes_resources: bool = False

    def open(self, name: str) -> Workers:
        return _WatchedWorkers(self, self.inner.open(name))


class _WatchedWorkers:
    def __init__(self, watched: Watched, workers: Workers) -> None:
        self._watched = watched
        self._workers = workers

    @property
    def room(self) -> int | None:
        return self._workers.room

    async def run(self, call: Call) -> str:
        watched = self._watched
        call.text = watched.change(call.text)
        watched.requests.append(json.loads(call.text))
        answer = await self._workers.run(call)
        watched.sizes += [len(call.text), len(answer)]
        watched.answers.append(json.loads(answer))
        return answer

    async def close(self) -> None:
        await self._workers.close()


def elsewhere(url: str) -> Callable[[str], str]:
    """Lets workers look for large values in this blob store, as if it had the URL of the other one."""

    def change(text: str) -> str:
        request = json.loads(text)
        return json.dumps({**request, "shared": request["shared"] and {**request["shared"], "url": url}})

    return change
