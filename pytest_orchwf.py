"""
The fixtures of orchwf, which pytest finds by itself where orchwf is installed: see the page about testing.

It stands beside the package, and imports nothing of it until a test asks for a fixture: who has orchwf installed, and
tests something else, waits for nothing; and whoever measures the coverage of a workflow sees its first line.
"""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from orchwf.ports import Store
    from orchwf.testing import FakeClock, TestOrchestrator
    from orchwf.testing.bench import Bench

BENCH = pytest.StashKey["Bench"]()
"""Where a test keeps what it made of orchwf."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "orchwf_store",
        "what the fixture orchwf_store gives: memory, sqlite (a file in tmp_path), or the URL of a store",
        default="memory",
    )
    parser.addini(
        "orchwf_patience",
        "how long, in real time, a process may take in orchwf_crash_everywhere: a duration",
        default="10s",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to what is told of a test that failed what became of its runs."""
    report = yield
    bench = item.stash.get(BENCH, None)
    if bench is not None and report.when == "call" and report.failed:
        report.sections += bench.sections()
    return report


@pytest.fixture
def orchwf_store(request: pytest.FixtureRequest) -> "str | Store":
    """The store of this test, in which nothing is: one in memory, unless the ini option of this name says otherwise."""
    given = str(request.config.getini("orchwf_store"))
    if given == "memory":
        from orchwf.stores import MemoryStore

        return MemoryStore()
    if given == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return f"sqlite:///{(folder / 'orchwf.db').as_posix()}"
    if "://" not in given:
        raise pytest.UsageError(f"orchwf_store takes 'memory', 'sqlite', or the URL of a store, not {given!r}")
    return given


@pytest.fixture
def orchwf_clock() -> "FakeClock":
    """The clock that the orchestrators of this test go by: it leaps over all waits."""
    from orchwf.testing import FakeClock

    return FakeClock(auto=True)


@pytest.fixture
def orchwf_orchestrator(
    request: pytest.FixtureRequest, orchwf_store: "str | Store", orchwf_clock: "FakeClock"
) -> "Callable[..., TestOrchestrator]":
    """
    Makes a `TestOrchestrator` on the store and the clock of this test: `async with orchwf_orchestrator() as it:`.

    It takes what that takes. One that is made after another has ended finds the runs of that one.
    """
    return _bench(request, orchwf_store, orchwf_clock).orchestrator


@pytest.fixture
def orchwf_run(
    request: pytest.FixtureRequest, orchwf_store: "str | Store", orchwf_clock: "FakeClock"
) -> Callable[..., Any]:
    """
    Runs a workflow and gives its result, for tests that are no coroutines: `orchwf.run`, but no wait takes any time.

    It takes `run_id`, `metadata` and `tags`, and what a `TestOrchestrator` takes.
    """
    return _bench(request, orchwf_store, orchwf_clock).run


@pytest.fixture
def orchwf_crash_everywhere(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`orchwf.testing.crash_everywhere`, with the patience that the ini option `orchwf_patience` says."""
    from functools import partial

    from orchwf.testing import crash_everywhere

    return partial(crash_everywhere, patience=str(request.config.getini("orchwf_patience")))


def _bench(request: pytest.FixtureRequest, store: "str | Store", clock: "FakeClock") -> "Bench":
    """What this test makes of orchwf; the same for all fixtures of a test."""
    from orchwf.testing.bench import Bench, check_backend

    if "anyio_backend" in request.fixturenames:
        check_backend(request.getfixturevalue("anyio_backend"))
    bench: Bench = request.node.stash.setdefault(BENCH, Bench(store, clock))
    return bench
