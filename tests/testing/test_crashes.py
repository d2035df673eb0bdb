"""Processes that die wherever they can."""

import asyncio
import contextlib
import csv
import inspect
import pickle
import shutil
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import orchwf
from examples import flights
from orchwf import (
    NonRetryable,
    Retry,
    RunResult,
    StepContext,
    UnknownStepError,
    UsageError,
    make_workflow,
    signal,
    step,
    workflow,
)
from orchwf.core import events as ev
from orchwf.ports import Taken, Wanted
from orchwf.stores import MemoryStore
from orchwf.testing import (
    CrashError,
    CrashProblem,
    CrashReport,
    Fault,
    crash_everywhere,
    freezing,
    judging,
    override,
    trials,
)
from orchwf.testing.dying import RUN_ID, Died, Life, Log
from orchwf.testing.report import log_lines

CALLS: Counter[str] = Counter()
CHARGES: dict[str, str] = {}
EFFECTS: list[str] = []


def reset() -> None:
    CALLS.clear()
    CHARGES.clear()
    EFFECTS.clear()


@workflow
class Order:
    """Its charge is safe to repeat, as the gateway knows the key."""

    id: str = "A1"

    @step
    def validate(self) -> str:
        return self.id

    @step(retries=Retry(2, initial="2d", max_interval="2d", jitter=None))
    async def charge(self, validate: str, *, ctx: StepContext) -> str:
        CALLS["charge"] += 1
        if CALLS["charge"] == 1:
            raise ConnectionError("the gateway hung up")
        CHARGES[ctx.idempotency_key] = validate
        return f"receipt {ctx.idempotency_key}"

    @step
    def notify(self, charge: str) -> str:
        return f"mail about {charge}"


def chain(length: int, body: Any) -> Any:
    names = [f"s{number}" for number in range(length)]
    steps = {name: step(body, depends_on=names[:number][-1:]) for number, name in enumerate(names)}
    return make_workflow("Chain", steps)


async def key(ctx: StepContext) -> str:
    return ctx.idempotency_key


def key_in_thread(ctx: StepContext) -> str:
    return ctx.idempotency_key


def test_a_workflow_that_survives():
    """The report says how often it died, and that all was well; two days of back-off take no time."""
    report = crash_everywhere(Order(), reset=reset, check=lambda result: len(CHARGES) == 1)

    assert () == report.problems
    assert len(report.deaths) == len(set(report.deaths)) > 30
    assert report.lives > 2 * len(report.deaths)
    assert f"Order survives: it died at {len(report.deaths)} places and ended well" in str(report)


@pytest.mark.parametrize("body", [key, key_in_thread])
def test_every_place_is_tried(body: Any):
    """Around each body and each write, and at each state of the log in which a run can be taken up."""
    report = crash_everywhere(chain(3, body)())

    expected = {
        "before the write of run.started + step.started s0",
        "after the write of run.started + step.started s0, before it knew",
        "before the write of step.completed s0 + step.started s1",
        "after the write of step.completed s2 + run.completed, before it knew",
        *(
            text.format(name)
            for name in ("s0", "s1", "s2")
            for text in (
                "before the body of '{}' (attempt 1) ran",
                "after the body of '{}' (attempt 1) returned, before that was stored",
            )
        ),
        *(
            f"after the write of run.started + step.started s0, before it knew, then {text}"
            for text in (
                "before it claimed the run",
                "after it claimed the run, before it knew",
                "before the write of run.resumed + step.started s0",
                "after the write of run.resumed + step.started s0, before it knew",
            )
        ),
    }
    assert set() == expected - set(report.deaths)
    # Four appends and three bodies, with two places each, and four for each of three states that can be taken up.
    assert 2 * 4 + 2 * 3 + 4 * 3 == len(report.deaths)


def test_ten_steps_take_some_hundred_lives():
    """So it can be in any suite: as many as there are processes that die, and one after each."""
    report = crash_everywhere(chain(10, key_in_thread)())

    assert 82 == len(report.deaths)
    # Two that do not die, one that shows that there is no further place, and of 40 runs the second process dies, too.
    assert 2 + 1 + 2 * 82 + 40 == report.lives


async def test_it_can_be_called_under_a_running_loop():
    """It blocks, on a loop of its own, as `orchwf.run` does."""
    assert 26 == len(crash_everywhere(chain(3, key)()).deaths)


def test_a_charge_that_is_not_safe_to_repeat_is_found():
    """The error tells where it died, what the log was, what ran then, what was wrong and what to do."""

    @workflow
    class Shop:
        @step
        def validate(self) -> str:
            return "A1"

        @step
        def charge(self, validate: str) -> str:
            EFFECTS.append(validate)
            return "receipt"

        @step
        def notify(self, charge: str) -> None: ...

    def charged_once(result: RunResult[Shop]) -> None:
        assert len(EFFECTS) == 1, f"charged {len(EFFECTS)} times"

    with pytest.raises(CrashError) as caught:
        crash_everywhere(Shop(), reset=reset, check=charged_once)

    text = str(caught.value)
    report = caught.value.report
    expected = """\
1. died after the body of 'charge' (attempt 1) returned, before that was stored
   the log then:
       1 run.started
       2 step.started validate (attempt 1)
       3 step.completed validate (attempt 1)
       4 step.started charge (attempt 1)
   after the resume ran: charge (attempt 2), notify (attempt 1)
   x the check failed: AssertionError: charged 2 times"""
    assert text.startswith("Shop does not survive the death of its process at 2 of the 26 places tried")
    assert expected in text
    assert "test_crashes.py:" in text
    assert "assert len(EFFECTS) == 1" in text
    assert "Ran more often: 'charge' 2 times instead of 1." in text
    assert "ctx.idempotency_key" in text
    assert "The same, 1 time more:\n     died before the write of step.completed charge + step.started notify" in text
    assert isinstance(caught.value, AssertionError)
    assert [("check",)] * 2 == [tuple(fault.kind for fault in problem.faults) for problem in report.problems]


@pytest.mark.parametrize("verdict", [lambda result: len(EFFECTS) == 1, lambda result: 1 // (len(EFFECTS) == 1)])
def test_checks_say_no_in_any_way(verdict: Any):
    """By False, and by any error."""

    async def effect() -> None:
        EFFECTS.append("effect")

    with pytest.raises(CrashError, match=r"the check returned False|ZeroDivisionError"):
        crash_everywhere(make_workflow("One", {"effect": effect})(), reset=reset, check=verdict)


def test_reset_and_check_may_be_coroutines():
    """They are awaited on the loop of the runs."""
    seen: list[str] = []

    async def new_world() -> None:
        await asyncio.sleep(0)
        seen.append("reset")

    async def look(result: RunResult[Any]) -> bool:
        await asyncio.sleep(0)
        seen.append(f"{result.status}")
        return True

    report = crash_everywhere(chain(1, key)(), reset=new_world, check=look)

    # Two undisturbed runs come first, and one that has come to the last place.
    assert ["reset", "completed"] * (len(report.deaths) + 3) == seen


def test_compensations_die_like_steps():
    """And the run is undone once more, from where it was."""

    @workflow
    class Trip:
        @step
        def book(self, *, ctx: StepContext) -> str:
            CHARGES[ctx.idempotency_key] = "booked"
            return ctx.idempotency_key

        @book.compensate
        async def cancel(self, book: str | None, *, ctx: StepContext) -> None:
            CHARGES.pop(ctx.step_key, None)

        @step
        def pay(self, book: str) -> None:
            raise NonRetryable("no money")

    report = crash_everywhere(Trip(), reset=reset, check=lambda result: not CHARGES, ends="failed")

    assert "before the compensation of 'book' (attempt 1) ran" in report.deaths
    assert "after the compensation of 'book' (attempt 1) returned, before that was stored" in report.deaths
    assert "after the body of 'pay' (attempt 1) raised NonRetryable, before that was stored" in report.deaths
    with pytest.raises(CrashError, match="left alone\n   x it ended failed: NonRetryable: no money") as caught:
        crash_everywhere(Trip(), reset=reset)
    assert "pay: " in str(caught.value)
    assert "If that is meant, say ends='failed'." in str(caught.value)
    assert "cannot be tried" in str(caught.value)


def test_steps_of_unknown_fate_may_pause_the_run():
    """That is no problem: the report says so, and the check is left out."""

    @step(delivery="at_most_once")
    def charge(ctx: StepContext) -> str:
        EFFECTS.append(ctx.idempotency_key)
        return "receipt"

    @step
    def notify(charge: str) -> str:
        return charge

    flow = make_workflow("Once", [charge, notify])

    def charged_once(result: RunResult[Any]) -> bool:
        return EFFECTS == ["crash-everywhere/charge"]

    report = crash_everywhere(flow(), reset=reset, check=charged_once)
    skipped = crash_everywhere(flow(), reset=reset, skip=charge, ignore=[charge, "notify"])
    given = crash_everywhere(flow(), reset=reset, values={charge: "receipt"}, check=lambda result: len(EFFECTS) <= 1)
    with pytest.raises(CrashError, match="Ran more often: 'charge' 2 times"):
        crash_everywhere(flow(), reset=reset, check=charged_once, rerun="charge")

    assert 4 <= report.paused
    assert ("charge",) == report.doubted
    assert "of these paused, as nobody knew whether 'charge' took effect" in str(report)
    assert 0 == skipped.paused == given.paused


def test_what_differs_from_the_undisturbed_run_is_a_problem():
    """Outputs, how steps ended, and how the run ended."""

    def count() -> int:
        CALLS["count"] += 1
        return CALLS["count"]

    def refuse(count: int) -> int:
        if count > 1:
            raise ValueError(f"seen {count} times")
        return count

    counted = make_workflow("Counted", [count])
    refused = make_workflow("Refused", [count, refuse])
    optional = make_workflow("Optional", [count, step(required=False)(refuse)])

    with pytest.raises(CrashError, match=r"step 'count' returned 2; undisturbed it returned 1") as output:
        crash_everywhere(counted(), reset=reset)
    with pytest.raises(CrashError, match="x it ended failed: ValueError: seen 2 times") as status:
        crash_everywhere(refused(), reset=reset)
    with pytest.raises(CrashError, match=r"step 'refuse' ended failed \(ValueError.*\); undisturbed it ended comple"):
        crash_everywhere(optional(), reset=reset, ignore="count")
    ignored = crash_everywhere(counted(), reset=reset, ignore=counted.count)

    assert "say ignore=['count']" in str(output.value)
    assert "undisturbed it ended completed" in str(status.value)
    assert 'raise ValueError(f"seen {count} times")' in str(status.value)
    assert () == ignored.problems


def test_what_differs_without_any_death_is_told_at_once():
    """It says nothing about the deaths, and hides what would."""
    with pytest.raises(CrashError) as caught:
        crash_everywhere(make_workflow("Timed", {"at": lambda: str(time.perf_counter())})())

    text = str(caught.value)
    assert "Timed cannot be tried: something is wrong with it when its process does not die" in text
    assert "1. left alone\n   x step 'at' returned" in text
    assert () == caught.value.report.deaths


def test_values_that_cannot_be_compared():
    """They are taken to differ, if what is stored does."""

    class Odd(int):
        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    assert not judging._is_equal(Odd(1), Odd(1))
    assert judging._is_equal({1, 2}, {2, 1})


def test_a_run_that_does_not_end_is_a_problem():
    """What it is in the midst of is named, and nothing more is tried."""
    started = threading.Event()

    async def first() -> None:
        started.set()

    async def second(first: None) -> None:
        # What the process before knew is not told to the next one.
        if not started.is_set():
            await asyncio.Event().wait()

    flow = make_workflow("Forgetful", {"first": step(first), "second": step(second)})
    calls: list[str] = []

    def forget() -> None:
        calls.append("reset")

    original = trials._bury

    async def bury(life: Life, work: "asyncio.Task[Any]") -> None:
        await original(life, work)
        started.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "_bury", bury)
        with pytest.raises(CrashError) as caught:
            crash_everywhere(flow(), reset=forget, patience=1)

    assert "it had not ended after 1 s; in flight: 'second' (attempt" in str(caught.value)
    assert 1 == len(caught.value.report.problems)
    assert len(calls) < 15


def test_a_run_that_does_not_end_at_all():
    """Without any death, too."""

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(CrashError, match=r"left alone\n   x it had not ended after 0\.5 s; in flight: 'wait'"):
        crash_everywhere(make_workflow("Stuck", {"wait": wait})(), patience=0.5, check=lambda result: True)


def test_nothing_of_a_dead_process_goes_on():
    """No line of a coroutine runs after the death: not what comes next, not what is `finally`, no task it started."""

    async def turns(count: int) -> None:
        # On a busy machine the sleep may end before the death; that comes within some turns of the loop.
        for _ in range(count):
            await asyncio.sleep(0)

    @workflow
    class Watched:
        @step
        async def long(self, *, ctx: StepContext) -> str:
            EFFECTS.append("begun")
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.child())
                    await asyncio.sleep(0.002)
                    await turns(100)
                    EFFECTS.append("went on")
            finally:
                EFFECTS.append("cleaned up")
            return "done"

        async def child(self) -> None:
            await asyncio.sleep(0.004)
            await turns(100)
            EFFECTS.append("child")

        @step
        async def other(self) -> str:
            await asyncio.sleep(0)
            return "other"

    def look(result: RunResult[Watched]) -> None:
        # Each life that began it either went through, or did nothing any more.
        assert EFFECTS.count("went on") == EFFECTS.count("cleaned up") == EFFECTS.count("child")

    report = crash_everywhere(Watched(), reset=reset, check=look)

    assert any("'other'" in death for death in report.deaths)


def test_threads_go_on_to_the_end_of_their_body():
    """Before the next process begins."""

    async def dies(ctx: StepContext) -> int:
        return 1

    def in_a_thread() -> int:
        EFFECTS.append("begun")
        threading.Event().wait(0.005)
        EFFECTS.append("ended")
        return 1

    flow = make_workflow("Both", {"dies": dies, "in_a_thread": in_a_thread})

    crash_everywhere(flow(), reset=reset, check=lambda result: EFFECTS == ["begun", "ended"] * (len(EFFECTS) // 2))


def test_a_thread_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    """Not for long: the next process begins without it."""
    monkeypatch.setattr(trials, "_THREADS_END", 0.001)
    release = threading.Event()

    def hangs() -> int:
        CALLS["hangs"] += 1
        if CALLS["hangs"] == 2:
            release.wait(5)
        return 1

    async def quick() -> int:
        await asyncio.sleep(0.002)
        return 1

    async def end(result: object) -> None:
        release.set()

    flow = make_workflow("Hangs", {"hangs": hangs, "quick": quick})
    crash_everywhere(flow(), check=end, steps=["quick"])
    release.set()


def test_wide_workflows():
    """Whatever order things come in, something dies around each body."""
    names = [f"s{number}" for number in range(8)]
    flow = make_workflow("Wide", {name: key_in_thread if number % 2 else key for number, name in enumerate(names)})

    for most in (256, 3):
        report = crash_everywhere(flow(), max_concurrency=most)

        for name in names:
            assert f"before the body of {name!r} (attempt 1) ran" in report.deaths
            assert f"after the body of {name!r} (attempt 1) returned, before that was stored" in report.deaths


def test_the_places_of_some_steps_only():
    """For workflows that take long."""
    report = crash_everywhere(chain(4, key)(), steps="s2")

    assert 6 == len(report.deaths)
    assert all("s2" in death for death in report.deaths)


def test_fakes_die_as_well():
    """An override counts, and is there after the death."""
    with override(Order.validate, "B2"):
        crash_everywhere(Order(), reset=reset, check=lambda result: set(CHARGES.values()) == {"B2"})
    with override(Order.charge, lambda: asyncio.ensure_future(_awaited())):
        crash_everywhere(Order(), check=lambda result: result[Order.charge] == "awaited")
    with override(Order.charge, "a plain value"):
        crash_everywhere(Order(), check=lambda result: result[Order.charge] == "a plain value")


def test_runs_outside_do_not_die():
    """The class is as it was, and what runs it meanwhile is not in any of these processes."""
    seen: list[object] = []

    def elsewhere() -> None:
        if not seen:
            thread = threading.Thread(target=lambda: seen.extend(_both(flow)))
            thread.start()
            thread.join()

    flow = make_workflow("Apart", {"a": key, "b": key_in_thread, "c": _maybe_awaitable})
    before = orchwf.compile_workflow(flow)
    crash_everywhere(flow(), reset=elsewhere)

    assert before is orchwf.compile_workflow(flow)
    assert ["r/a", "r/b", "awaited"] == seen


def _both(flow: Any) -> list[object]:
    return list(orchwf.run(flow(), store="memory:", run_id="r").outputs.values())


async def _awaited() -> str:
    await asyncio.sleep(0)
    return "awaited"


class _Wrapper:
    """A plain callable that says of itself that it gives a coroutine, and gives a future."""

    __name__ = "maybe_awaitable"

    async def __call__(self) -> str:
        return await asyncio.ensure_future(_awaited())


_maybe_awaitable = _Wrapper()


def test_metadata_reaches_the_bodies():
    """As of `start`."""

    def trace(ctx: StepContext) -> object:
        return ctx.metadata["trace"]

    flow = make_workflow("Traced", {"trace": trace})

    crash_everywhere(flow(), metadata={"trace": 7}, check=lambda result: result["trace"] == 7)


def test_an_orchestrator_that_breaks_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    """Of the run in which it does; without any death it is raised as it is."""
    flow = chain(1, key)

    take = MemoryStore.take

    async def broken(self: MemoryStore, owner: str, wanted: Wanted) -> Taken:
        taken = await take(self, owner, wanted)
        if taken.runs:
            raise RuntimeError("broken")
        return taken

    monkeypatch.setattr(MemoryStore, "take", broken)
    with pytest.raises(CrashError, match="the orchestrator raised RuntimeError: broken"):
        crash_everywhere(flow())
    monkeypatch.setattr(MemoryStore, "append", broken)
    with pytest.raises(TypeError):
        crash_everywhere(flow())


def test_bodies_that_run_out_of_order_are_a_problem():
    """After their completion was stored, or before their start was."""
    log = Log()
    context = StepContext(run_id=RUN_ID, step="s", attempt=1)
    early = log.trouble_of(context)

    asyncio.run(_completed(log))

    assert "ran (attempt 1) before its start was stored" == early
    assert "ran again (attempt 1) after its completion was stored" == log.trouble_of(context)


async def _completed(log: Log) -> None:
    async with orchwf.Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("W", {"s": lambda: 1})())
        await run.wait()
        log.committed = [event async for event in run.events()]


def test_a_step_that_runs_again_is_named(monkeypatch: pytest.MonkeyPatch):
    """Should the library ever break its promise."""
    monkeypatch.setattr(Log, "trouble_of", lambda log, context: "ran again (attempt 2) after its completion was stored")

    with pytest.raises(CrashError, match="x step 's0' ran again"):
        crash_everywhere(chain(1, key)())


def test_a_run_that_every_process_leaves(monkeypatch: pytest.MonkeyPatch):
    """It is given up after some."""
    monkeypatch.setattr(trials, "_immortal", lambda place: place.resumes)

    with pytest.raises(CrashError, match="10 processes"):
        crash_everywhere(chain(1, key)())


def test_a_class_is_no_instance():
    """And what is named has to be there."""
    with pytest.raises(UsageError, match=r"takes an instance with its inputs, Order\(...\)"):
        crash_everywhere(Order)
    with pytest.raises(UsageError, match="is not a workflow"):
        crash_everywhere("text")
    with pytest.raises(UnknownStepError, match="Did you mean 'charge'"):
        crash_everywhere(Order(), ignore="chrage")
    with pytest.raises(UsageError, match="ends takes one of paused, completed, failed, cancelled; not 'running'"):
        crash_everywhere(Order(), ends="running")


@pytest.mark.slow
def test_flights_survive(tmp_path: Path):
    """The example, over the first flights of its week: the report is the same wherever it dies."""
    data = tmp_path / "data"
    shutil.copytree(Path(flights.__file__).parent / "data", data)
    _shorten(data, "flights", 60)
    for table in ("weather", "planes"):
        _shorten(data, table, 200)
    report = tmp_path / "report.md"
    texts: set[str] = set()

    def same_report(result: RunResult[flights.Flights]) -> bool:
        texts.add(report.read_text())
        return texts == {result[flights.Flights.report]}

    found = crash_everywhere(
        flights.Flights(data=data, report_to=report), reset=lambda: report.unlink(missing_ok=True), check=same_report
    )

    assert len(found.deaths) > 60


def _shorten(folder: Path, name: str, rows: int) -> None:
    table = flights.read_table(folder, f"{name}*")[:rows]
    (path,) = folder.glob(f"{name}*")
    path.unlink()
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def test_dead_coroutines_are_closed():
    """In the end, whatever they do about it; only an interrupt goes through."""

    async def waits_while_it_ends() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            EFFECTS.append("ended")

    async def raises_while_it_ends(error: BaseException) -> None:
        try:
            await asyncio.sleep(0)
        finally:
            raise error

    reset()
    for coroutine in (waits_while_it_ends(), raises_while_it_ends(ValueError()), raises_while_it_ends(Died())):
        coroutine.send(None)
        freezing.close(coroutine)
        assert inspect.CORO_CLOSED == inspect.getcoroutinestate(coroutine)
    interrupted = raises_while_it_ends(KeyboardInterrupt())
    interrupted.send(None)

    with pytest.raises(KeyboardInterrupt):
        freezing.close(interrupted)
    assert [] == EFFECTS


def test_a_coroutine_that_never_ends_is_left():
    """After some attempts to close it."""

    async def stubborn() -> None:
        for _ in range(150):
            with contextlib.suppress(GeneratorExit):
                await asyncio.sleep(0)

    coroutine = stubborn()
    coroutine.send(None)

    freezing.close(coroutine)

    assert inspect.CORO_SUSPENDED == inspect.getcoroutinestate(coroutine)
    freezing.close(coroutine)


def test_the_error_travels():
    """With its report, from a worker of pytest to its master, say."""
    report = CrashReport(workflow="W", deaths=("before a",), lives=3, problems=(_problem(1),))

    other = pickle.loads(pickle.dumps(CrashError(report)))

    assert (str(report), report) == (str(other), other.report)


def _problem(faults: int, deaths: tuple[str, ...] = ("before a",), log: int = 2) -> CrashProblem:
    return CrashProblem(
        deaths=deaths,
        log=tuple(f"{number} step.started s{number}" for number in range(1, log + 1)),
        ran=(),
        faults=tuple(Fault("order", f"fault {number}\nwith details") for number in range(1, faults + 1)),
    )


def test_long_reports_are_shortened():
    """To what anyone reads: the end of the log, the first faults, the first places of the same sort."""
    places = [_problem(7, (f"before {number}",), log=30) for number in range(15)]

    text = str(CrashReport(workflow="W", deaths=("x",) * 20, lives=3, problems=(*places, _problem(1, log=0))))

    assert "   the log then:\n       ... 18 events before\n       19 step.started s19\n" in text
    assert "   after the resume ran: nothing\n   x fault 1\n     with details\n   x fault 2" in text
    assert "   x and 2 more like these\n" in text
    assert "   The same, 14 times more:\n     died before 1\n" in text
    assert "     died before 10\n     and 4 more\n" in text
    assert "2. died before a\n   the log was empty then\n" in text


def test_the_log_of_a_report():
    """One line per event, with what matters of it."""
    events = [
        ev.RunStarted(seq=9, at=1, workflow="W", version="1", fingerprint="f", inputs="{}"),
        ev.StepSkipped(seq=10, at=1, step="s", reason="r", cause="when"),
        ev.CompensationStarted(seq=11, at=1, step="s", attempt=2),
        ev.RunPaused(seq=12, at=1, reason="lunch"),
        ev.RunFailed(seq=13, at=1, steps=("s",), error="no"),
        ev.RunCancelled(seq=14, at=1),
    ]

    assert (
        " 9 run.started",
        "10 step.skipped s",
        "11 compensation.started s (attempt 2)",
        "12 run.paused: lunch",
        "13 run.failed: no",
        "14 run.cancelled",
    ) == log_lines(events)
    assert () == log_lines([])


def test_long_values_are_shortened():
    """In what is said of outputs."""

    def grow() -> str:
        CALLS["grow"] += 1
        return "x" * 1000 + str(CALLS["grow"])

    with pytest.raises(CrashError, match=r"x…; undisturbed it returned"):
        crash_everywhere(make_workflow("Long", {"grow": grow})(), reset=reset)


@workflow
class Invoice:
    """Waits for its money."""

    paid = signal(int, timeout="30d", default=None)

    @step
    def receipt(self, paid: int | None = paid.result) -> str:
        return f"{paid} paid"


@pytest.mark.parametrize(
    ("send", "receipt"), [({Invoice.paid: 7}, "7 paid"), ({"paid": 7}, "7 paid"), (None, "None paid")]
)
def test_signals_are_sent(send: Any, receipt: str):
    """Every run gets it, wherever it dies; without it thirty days pass in no time."""
    report = crash_everywhere(Invoice(), send=send, check=lambda result: result[Invoice.receipt] == receipt)

    assert report.deaths


def test_what_cannot_be_sent_is_an_error():
    """A signal that there is not, and a payload that it does not hold, are told before anything dies."""
    with pytest.raises(UnknownStepError, match="Did you mean 'paid'"):
        crash_everywhere(Invoice(), send={"payed": 7})
    with pytest.raises(UsageError, match="signal 'paid' of Invoice holds int, not 'seven'"):
        crash_everywhere(Invoice(), send={Invoice.paid: "seven"})
    with pytest.raises(UsageError, match="'receipt' of Invoice is a step, not a signal"):
        crash_everywhere(Invoice(), send={Invoice.receipt: 7})
