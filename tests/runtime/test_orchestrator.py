"""Runs, from start to end, through the public face."""

import asyncio
import contextvars
import functools
import signal
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import orchwf
from orchwf import (
    BadOptionError,
    EncodingError,
    NonRetryable,
    NotResumableError,
    Orchestrator,
    OrchwfWarning,
    Quorum,
    RecordedError,
    Retry,
    RetryAfter,
    RunCancelled,
    RunExistsError,
    RunFailed,
    RunInterruptedError,
    RunNotFoundError,
    RunStatus,
    Skip,
    StepContext,
    StepTimeoutError,
    UnknownWorkflowError,
    UsageError,
    WaitTimeoutError,
    make_workflow,
    step,
    workflow,
)
from orchwf.stores import open_store
from tests.runtime.flows import Gate, kinds_of, log_of

NOW = Retry(2, initial=0)


@workflow
class Sums:
    """Two branches and their sum."""

    start: int = 1

    @step
    async def left(self) -> int:
        return self.start + 1

    @step
    def right(self) -> int:
        return self.start + 2

    @step
    async def total(self, a: int = left.result, b: int = right.result) -> int:
        return a + b


async def test_outputs_reach_dependents_and_the_result():
    """A step sees the outputs it declared, and the result has all, typed and by name."""
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(Sums(start=10))

    assert 23 == result[Sums.total] == result["total"]
    assert {"left": 11, "right": 12, "total": 23} == dict(result.outputs)
    assert RunStatus.COMPLETED is result.status
    assert ["left", "right", "total"] == list(result.steps)


async def test_the_log_tells_the_story_in_order():
    """Starts are written before bodies run, and ends before what follows."""
    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(Sums())
        await run.wait()
        kinds = await kinds_of(run)

    assert ["run.started", "step.started left", "step.started right"] == kinds[:3]
    assert ["step.started total", "step.completed total", "run.completed"] == kinds[-3:]


def test_blocking_run_without_a_loop(tmp_path: Path):
    """It waits, and the run is in the store afterwards."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    result = orchwf.run(Sums(), store=url, run_id="one")

    assert 5 == result[Sums.total]
    assert 5 == asyncio.run(_read(url, "one"))[Sums.total]


async def _read(url: str, run_id: str) -> Any:
    async with Orchestrator(url) as orchestrator:
        return await (await orchestrator.get(run_id)).result()


async def test_blocking_run_under_a_running_loop():
    """As in a notebook: on a loop of its own, with the context variables of the caller."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    @step
    def seen() -> str:
        return variable.get()

    variable.set("mine")

    with pytest.warns(OrchwfWarning, match=r"\[blocked-loop\] orchwf.run blocks the event loop that runs here"):
        assert "mine" == orchwf.run(make_workflow("Seen", [seen])(), store="memory:")["seen"]


async def test_blocking_run_under_a_running_loop_raises_what_failed():
    """The error comes through the thread."""

    @step
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(RunFailed) as caught, pytest.warns(OrchwfWarning):
        orchwf.run(make_workflow("Broken", [broken])(), store="memory:")

    assert "broken" == str(caught.value.__cause__)


def test_the_default_store_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`$ORCHWF_STORE`, else a file here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCHWF_STORE", raising=False)
    orchwf.run(Sums())
    monkeypatch.setenv("ORCHWF_STORE", "sqlite:///other.db")
    orchwf.run(Sums())

    assert {"orchwf.db", "other.db"} <= {path.name for path in tmp_path.iterdir()}


async def test_a_failing_required_step_fails_the_run_with_its_cause():
    """The very exception is the cause, and the message names run, step and way out."""
    error = ValueError("row 3 is negative")

    @step(retries=Retry(1, initial=0))
    async def validate() -> None:
        raise error

    @step(depends_on=validate)
    async def load() -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Sales", [validate, load])(), run_id="r1")
        with pytest.raises(RunFailed) as caught:
            await run.result()
        result = await run.wait()

    assert error is caught.value.__cause__
    assert ("validate",) == caught.value.steps
    assert "run 'r1' of Sales failed: step validate failed after 2 attempts: ValueError: row 3 is negative" in str(
        caught.value
    )
    assert "orchestrator.resume('r1')" in caught.value.__notes__[0]
    assert RunStatus.FAILED is result.status
    assert "skipped" == result.steps["load"].status
    with pytest.raises(UsageError, match=r"run 'r1' has no output of load: it is skipped \(validate failed\)"):
        result["load"]


async def test_several_failures_come_as_a_group():
    """All of them, in the order in which they happened."""

    @step
    async def one() -> None:
        raise ValueError("one")

    @step
    async def two() -> None:
        raise KeyError("two")

    async with Orchestrator("memory:") as orchestrator:
        flow = make_workflow("Both", [one, two], fail_fast=False)
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(flow())

    cause = caught.value.__cause__
    assert isinstance(cause, ExceptionGroup)
    assert {"ValueError", "KeyError"} == {type(error).__name__ for error in cause.exceptions}


async def test_an_optional_failure_gives_none():
    """The run completes, and who takes `.maybe` sees None."""

    @step(required=False)
    async def risk() -> float:
        raise RuntimeError("no report")

    @step
    async def decide(score: float | None = risk.maybe) -> str:
        return f"score {score}"

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Loan", [risk, decide])())

    assert "score None" == result["decide"]
    error = result.steps["risk"].error
    assert error is not None
    assert "RuntimeError: no report" == error.headline


async def test_three_attempts():
    """A step that fails twice is called exactly three times, and knows which attempt it is."""
    seen: list[tuple[int, int, str]] = []

    @step(retries=NOW)
    async def flaky(ctx: StepContext) -> str:
        seen.append((ctx.attempt, ctx.max_attempts, ctx.idempotency_key))
        if ctx.attempt < 3:
            raise ConnectionError("try again")
        return "done"

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Flaky", [flaky])(), run_id="r")

    assert [(1, 3, "r/flaky"), (2, 3, "r/flaky"), (3, 3, "r/flaky")] == seen
    assert "done" == result["flaky"]


@pytest.mark.parametrize(
    ("retry", "error", "calls"),
    [
        (Retry(3, initial=0, retry_on=(ConnectionError,)), ValueError("x"), 1),
        (Retry(3, initial=0, retry_on=(ConnectionError,)), ConnectionResetError("x"), 4),
        (Retry(3, initial=0, give_up_on=(KeyError,)), KeyError("x"), 1),
        (Retry(3, initial=0, retry_on=lambda error: "again" in str(error)), ValueError("again"), 4),
        (Retry(3, initial=0), NonRetryable("enough"), 1),
        (Retry(3, initial=60), RetryAfter(0), 4),
        (Retry(0), RetryAfter(0), 1),
        (Retry(3, initial=0), SystemExit(3), 1),
        (Retry(3, initial=0), StopIteration(), 4),
        (Retry(3, initial=0), asyncio.CancelledError(), 1),
        (Retry(3, initial=0), RetryAfter("soon"), 1),
        (Retry(3, initial=0, retry_on=lambda error: bool(1 / 0)), ValueError("x"), 1),
    ],
)
@pytest.mark.parametrize("plain", [True, False])
async def test_what_is_tried_again(retry: Retry, error: BaseException, calls: int, plain: bool):
    """Only what the policy allows; whatever a body raises is a failure of its step, and hurts nobody else."""
    count = 0

    def body() -> None:
        nonlocal count
        count += 1
        raise error

    async def coroutine() -> None:
        body()

    async with Orchestrator("memory:") as orchestrator:
        flow = make_workflow("Fails", {"bad": step(retries=retry)(body if plain else coroutine)})
        run = await orchestrator.start(flow())
        result = await run.wait()

    assert RunStatus.FAILED is result.status
    assert calls == count


async def test_skip():
    """The step ends skipped with its reason, and so does what needs it."""

    @step
    async def maybe() -> int:
        raise Skip("nothing new")

    @step
    async def after(x: int = maybe.result) -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Skips", [maybe, after])())

    assert [("skipped", "nothing new"), ("skipped", "maybe was skipped")] == [
        (record.status, record.reason) for record in result.steps.values()
    ]


async def test_conditions_and_branches():
    """The branch whose condition is true runs, and the join takes whichever ran."""

    @workflow
    class Loan:
        amount: float
        express: bool = False

        @step
        def assess(self) -> str:
            return "approve" if self.amount < 1000 else "review"

        @step(when=assess.is_("approve"))
        def auto(self) -> str:
            return "auto"

        @step(when=assess.is_("review"))
        def manual(self) -> str:
            return "manual"

        @step
        def finish(self, how: str = (auto | manual).result) -> str:
            return how

        @step(when=lambda self: self.express)
        def hurry(self) -> str:
            return "hurried"

    async with Orchestrator("memory:") as orchestrator:
        small = await orchestrator.run(Loan(amount=5))
        large = await orchestrator.run(Loan(amount=5000, express=True))

    assert ("auto", "skipped", "skipped") == (
        small[Loan.finish], small.steps["manual"].status, small.steps["hurry"].status
    )  # fmt: skip
    assert ("manual", "hurried") == (large[Loan.finish], large[Loan.hurry])
    assert "runs only when assess is 'review'" == small.steps["manual"].reason


async def test_a_condition_that_raises_fails_its_step():
    """With the user's exception as the cause."""

    @step
    async def number() -> int:
        return 0

    @step(when=number.where(lambda value: 1 / value))
    async def inverse() -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(make_workflow("Divides", [number, inverse])())

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_timeout_is_a_failure_of_the_attempt():
    """The coroutine is cancelled, the error says which limit, and a retry has its own."""
    cancelled: list[int] = []

    @step(timeout=0.01, retries=Retry(1, initial=0))
    async def slow(ctx: StepContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(ctx.attempt)

    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(make_workflow("Slow", [slow])())

    assert [1, 2] == cancelled
    assert isinstance(caught.value.__cause__, StepTimeoutError)
    assert "step 'slow' took longer than its timeout of 0.01 s (attempt 2)" == str(caught.value.__cause__)


async def test_a_body_that_returns_after_its_timeout_has_failed():
    """Whatever it returns while it is being cancelled."""

    @step(timeout=0.01)
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "too late"
        return "never"

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Stubborn", [stubborn])())
        result = await run.wait()

    assert RunStatus.FAILED is result.status


@pytest.mark.filterwarnings("ignore:.*thread.*")
async def test_a_thread_that_times_out_changes_nothing_later():
    """The attempt has failed at once; what the thread returns is dropped, and it may look whether it is wanted."""
    seen: list[bool] = []
    go_on, ended = threading.Event(), threading.Event()

    def slow(ctx: StepContext) -> str:
        go_on.wait(30)
        seen.append(ctx.cancelled)
        ended.set()
        return "too late"

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("SlowThread", {"slow": step(timeout=0.01)(slow)})())
        result = await run.wait()
        before = await kinds_of(run)
        go_on.set()
        await asyncio.to_thread(ended.wait)
        after = await kinds_of(run)

    assert RunStatus.FAILED is result.status
    assert [True] == seen
    assert before == after


async def test_total_timeout_bounds_all_attempts_together():
    """The last attempt gets what is left, and is not tried again."""

    @step(total_timeout=0.05, retries=Retry(1000, initial=0))
    async def slow() -> None:
        await asyncio.Event().wait()

    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(make_workflow("Total", [slow])())

    assert "its total_timeout of 0.05 s (all 1 attempts together)" in str(caught.value.__cause__)


async def test_the_deadline_of_a_workflow():
    """What runs is stopped, and the run has failed with that reason."""

    @step
    async def slow() -> None:
        await asyncio.Event().wait()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Late", [slow], deadline=0.02)())
        result = await run.wait()

    assert (RunStatus.FAILED, "the run passed its deadline of 0.02 s") == (result.status, result.error)


async def test_max_concurrency_is_a_hard_bound():
    """Never more at a time, over all runs, and all run."""
    gate = Gate()

    async def body() -> None:
        await gate.pass_through()

    flow = make_workflow("Wide", {f"s{n}": step(body) for n in range(20)})
    async with Orchestrator("memory:", max_concurrency=3) as orchestrator:
        runs = [await orchestrator.start(flow()) for _ in range(3)]
        for _ in range(3):
            await gate.came.get()
        gate.open()
        results = [await run.wait() for run in runs]

    assert 3 == gate.most
    assert {RunStatus.COMPLETED} == {result.status for result in results}


async def test_plain_functions_are_bounded_too():
    """A thread counts like a coroutine."""
    lock, running, most = threading.Lock(), 0, 0

    def body() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1

    flow = make_workflow("Threads", {f"s{n}": step(body) for n in range(30)})
    async with Orchestrator("memory:", max_concurrency=4) as orchestrator:
        await orchestrator.run(flow())

    assert 1 <= most <= 4


async def test_priority_then_definition_order():
    """One at a time: higher first, equals as they were defined."""
    order: list[str] = []

    def recorder(name: str) -> Any:
        async def body() -> None:
            order.append(name)

        return body

    priorities = {"low": -10, "b": 0, "high": 10, "c": 0, "a": 0}
    flow = make_workflow("Order", {name: step(priority=p)(recorder(name)) for name, p in priorities.items()})
    async with Orchestrator("memory:", max_concurrency=1) as orchestrator:
        await orchestrator.run(flow())

    assert ["high", "b", "c", "a", "low"] == order


async def test_joins():
    """first, any, quorum and settled, each with what they wait for."""
    slow = asyncio.Event()

    @step
    async def fast() -> str:
        return "fast"

    @step
    async def late() -> str:
        await slow.wait()
        return "late"

    @step(required=False)
    async def bad() -> str:
        raise ValueError("bad")

    @step(depends_on=[fast, late], join="first")
    async def first(fast: str | None = fast.maybe, late: str | None = late.maybe) -> str:
        slow.set()
        return f"{fast} {late}"

    @step(depends_on=[fast, late, bad], join=Quorum(2))
    async def two() -> str:
        return "two"

    @step(depends_on=[bad], join="settled")
    async def tidy() -> str:
        return "tidy"

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Joins", [fast, late, bad, first, two, tidy])())

    assert ("fast None", "two", "tidy") == (result["first"], result["two"], result["tidy"])


async def test_cancel():
    """Coroutines get CancelledError, clean-up runs, and the run ends cancelled with the reason."""
    gate, seen = Gate(), []

    @step
    async def work() -> None:
        try:
            await gate.pass_through()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @step(depends_on=work)
    async def after() -> None: ...

    @step(depends_on=[work, after], join="settled")
    async def tidy() -> None:
        seen.append("tidy")

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Cancels", [work, after, tidy])())
        await gate.came.get()
        await run.cancel("not needed")
        await run.cancel("twice")
        with pytest.raises(RunCancelled, match="not needed"):
            await run.result()
        result = await run.wait()
        await run.cancel("after the end")

    assert ["cancelled", "tidy"] == seen
    assert ["cancelled", "cancelled", "completed"] == [record.status for record in result.steps.values()]


async def test_cancel_a_thread_step():
    """It is told, and the run does not wait for it."""
    started, go_on = threading.Event(), threading.Event()

    def body() -> None:
        started.set()
        go_on.wait(30)

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Thread", {"body": step(body)})())
        await asyncio.to_thread(started.wait)
        await run.cancel()
        result = await run.wait()
        go_on.set()

    assert RunStatus.CANCELLED is result.status


async def test_a_completion_during_the_cancellation_counts():
    """A body that catches the cancellation and completes has completed: the log says what happened."""
    gate = Gate()

    @step
    async def work() -> str:
        try:
            await gate.pass_through()
        except asyncio.CancelledError:
            return "saved"
        return "not reached"

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Saves", [work])())
        await gate.came.get()
        await run.cancel()
        result = await run.wait()

    assert (RunStatus.COMPLETED, "saved") == (result.status, result["work"])


async def test_ids():
    """A second run of one id is refused, or attached to; odd ids are refused."""
    async with Orchestrator("memory:") as orchestrator:
        first = await orchestrator.start(Sums(), run_id="one")
        with pytest.raises(RunExistsError, match="on_duplicate='attach'"):
            await orchestrator.start(Sums(), run_id="one")
        attached = await orchestrator.start(Sums(start=99), run_id="one", on_duplicate="attach")
        await first.wait()
        with pytest.raises(RunExistsError):
            await orchestrator.start(Sums(), run_id="one")
        results = [await first.result(), await attached.result()]
        for odd in ["", " x", "a\nb", "x" * 256, 7]:
            with pytest.raises(UsageError, match="run_id takes text"):
                await orchestrator.start(Sums(), run_id=odd)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="on_duplicate"):
            await orchestrator.start(Sums(), on_duplicate="ignore")  # type: ignore[arg-type]
        with pytest.raises(RunNotFoundError, match="there is no run 'two' in memory:"):
            await orchestrator.get("two")

    assert [5, 5] == [result[Sums.total] for result in results]


async def test_metadata_and_tags():
    """They come back as they were given, and steps see the metadata."""

    @step
    async def seen(ctx: StepContext) -> str:
        return f"{ctx.metadata['trace_id']} {ctx.workflow}"

    flow = make_workflow("Tagged", [seen], tags=("nightly",))
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(flow(), metadata={"trace_id": "t1", "n": [1]}, tags={"shop": "eu"})
        listed = await orchestrator.list_runs(tags={"shop": "eu"})
        with pytest.raises(UsageError, match="metadata takes a mapping"):
            await orchestrator.start(flow(), metadata={"x": object()})
        with pytest.raises(UsageError, match="tags take a mapping"):
            await orchestrator.start(flow(), tags={"x": 1})  # type: ignore[dict-item]
        with pytest.raises(UsageError, match="not the class Tagged"):
            await orchestrator.start(flow)

    assert "t1 Tagged" == result["seen"]
    assert {"trace_id": "t1", "n": [1]} == dict(listed[0].metadata)
    assert {"shop": "eu", "nightly": ""} == dict(listed[0].tags)


async def test_inputs_that_cannot_be_stored():
    """The error names the input, and there is no run."""

    @workflow
    class Takes:
        thing: object

        @step
        def use(self) -> None: ...

    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(EncodingError, match="input 'thing' of Takes cannot be stored"):
            await orchestrator.start(Takes(thing=object()))
        assert 0 == len(await orchestrator.list_runs())


async def test_outputs_that_cannot_be_stored():
    """The step fails, is not tried again, and the error names it."""
    count = 0

    @step(retries=5)
    async def gives() -> object:
        nonlocal count
        count += 1
        return object()

    @step
    def forgets() -> Any:
        return asyncio.sleep(0)

    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(make_workflow("Gives", [gives])())
        with pytest.raises(RunFailed) as forgotten:
            await orchestrator.run(make_workflow("Forgets", [forgets])())

    assert 1 == count
    assert "the output of step 'gives' cannot be stored" in str(caught.value.__cause__)
    assert "await it" in str(forgotten.value.__cause__)


async def test_steps_share_nothing():
    """What one step does to its input no other sees: each gets a copy of what is stored."""

    @workflow
    class Lists:
        given: list[int]

        @step
        async def make(self) -> list[int]:
            self.given.append(99)
            return [1]

        @step
        async def one(self, x: list[int] = make.result) -> list[int]:
            x.append(2)
            return x + self.given

        @step(depends_on=one)
        async def two(self, x: list[int] = make.result) -> list[int]:
            return x

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(Lists(given=[7]))

    assert ([1, 2, 7], [1]) == (result[Lists.one], result[Lists.two])


async def test_listing():
    """Newest first, by filters alone and together, in pages; what makes no sense is an error."""
    async with Orchestrator("memory:") as orchestrator:
        for n in range(5):
            await orchestrator.run(Sums(start=n), run_id=f"r{n}")
        other = make_workflow("Other", {"x": step(lambda_free)})
        await orchestrator.run(other(), run_id="other")

        everything = await orchestrator.list_runs()
        first = await orchestrator.list_runs(workflow=Sums, status="completed", limit=3)
        second = await orchestrator.list_runs(workflow="Sums", limit=3, cursor=first.cursor)
        recent = await orchestrator.list_runs(since=datetime.now(UTC) - timedelta(hours=1), until=time.time() + 60)

        assert ["other", "r4", "r3", "r2", "r1", "r0"] == [run.id for run in everything]
        assert (["r4", "r3", "r2"], ["r1", "r0"]) == ([run.id for run in first], [run.id for run in second])
        assert second.cursor is None
        assert 6 == len(recent)
        assert 0 == len(await orchestrator.list_runs(status=[RunStatus.FAILED, "cancelled"]))
        for wrong in [
            {"limit": -1}, {"limit": 0}, {"limit": True}, {"status": "done"}, {"cursor": "x"}, {"since": "2d"},
            {"since": datetime(2026, 1, 1)},
        ]:  # fmt: skip
            with pytest.raises(UsageError):
                await orchestrator.list_runs(**wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await orchestrator.list_runs(colour="red")  # type: ignore[call-arg]


def lambda_free() -> int:
    return 1


async def test_delete_and_prune():
    """Ended runs go when asked; running ones are refused."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Sums(), run_id="done")
        running = await orchestrator.start(make_workflow("Waits", [waits])(), run_id="running")
        with pytest.raises(UsageError, match="is being executed"):
            await orchestrator.delete("running")
        await orchestrator.delete("done")
        with pytest.raises(RunNotFoundError):
            await orchestrator.get("done")
        gate.open()
        await running.wait()
        assert 0 == await orchestrator.prune(older_than="1h")
        with pytest.raises(UsageError, match="only runs that have ended"):
            await orchestrator.prune(older_than="1h", status="running")


async def test_prune_deletes_what_ended_long_ago():
    """By the time of the end, over pages."""
    async with Orchestrator("memory:", clock=Shifted(-7200)) as old:
        store = old._runs.store
        for n in range(3):
            await old.run(Sums(), run_id=f"old{n}")
        async with Orchestrator(store) as orchestrator:
            await orchestrator.run(Sums(), run_id="new")

            assert 0 == await orchestrator.prune(older_than="1h", status="failed")
            assert 3 == await orchestrator.prune(older_than="1h")
            assert ["new"] == [run.id for run in await orchestrator.list_runs()]


class Shifted:
    """A clock that goes by so many seconds wrong."""

    def __init__(self, shift: float) -> None:
        from orchwf.runtime.clock import SystemClock

        self._clock, self._shift = SystemClock(), shift

    def now(self) -> float:
        return self._clock.now() + self._shift

    def call_at(self, when: float, callback: Any) -> Any:
        return self._clock.call_at(when - self._shift, callback)


async def test_wait_with_a_timeout():
    """It raises TimeoutError, and the run goes on."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", [waits])())
        with pytest.raises(TimeoutError):
            await run.wait(timeout=0.01)
        assert RunStatus.RUNNING is await run.status()
        assert "running" == (await run.steps())["waits"].status
        gate.open()
        assert RunStatus.COMPLETED is (await run.wait(timeout=30)).status


async def test_following_events():
    """They come as they are written, until the run has ended."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", [waits])())
        seen = []
        async for event in run.events(follow=True):
            seen.append(event.kind)
            if event.kind == "step.started":
                gate.open()

    assert ["run.started", "step.started", "step.completed", "run.completed"] == seen


async def test_resume_of_a_failed_run(tmp_path: Path):
    """Only what did not complete runs again, with fresh attempts, in another orchestrator, too."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    calls: list[str] = []
    broken = True

    @step
    async def first() -> int:
        calls.append("first")
        return 1

    @step(retries=Retry(1, initial=0))
    async def second(x: int = first.result) -> int:
        calls.append("second")
        if broken:
            raise ValueError("broken")
        return x + 1

    @step
    async def third(x: int = second.result) -> int:
        calls.append("third")
        return x + 1

    flow = make_workflow("Mended", [first, second, third])
    async with Orchestrator(url) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await run.wait()
    broken = False
    async with Orchestrator(url, workflows=[flow]) as orchestrator:
        with pytest.raises(RunFailed) as caught:
            await (await orchestrator.get("r")).result()
        result = await (await orchestrator.resume("r")).result()
        with pytest.raises(NotResumableError, match="run 'r' is completed"):
            await orchestrator.resume("r")
        with pytest.raises(RunNotFoundError):
            await orchestrator.resume("q")

    cause = caught.value.__cause__
    assert isinstance(cause, RecordedError)
    assert ("ValueError", "broken") == (cause.type_name, cause.message)
    assert "raise ValueError" in cause.traceback
    assert ["first", "second", "second", "second", "third"] == calls
    assert 3 == result["third"]
    assert 3 == result.steps["second"].attempt


async def test_resume_of_a_run_that_is_executed_here():
    """It is the run: nothing starts twice."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.start(make_workflow("Waits", [waits])(), run_id="r")
        await gate.came.get()
        resumed = await orchestrator.resume("r")
        gate.open()
        result = await resumed.result()

    assert 1 == result.steps["waits"].attempt


async def test_resume_needs_the_workflow(tmp_path: Path):
    """An orchestrator that was not given it says so."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    @step
    async def bad() -> None:
        raise ValueError

    async with Orchestrator(url) as orchestrator:
        await (await orchestrator.start(make_workflow("Bad", [bad])(), run_id="r")).wait()
    async with Orchestrator(url, workflows=[Sums]) as orchestrator:
        with pytest.raises(UnknownWorkflowError, match=r"does not know the workflow 'Bad' \(it knows: 'Sums'\)"):
            await orchestrator.resume("r")
        result = await (await orchestrator.get("r")).wait()

    assert "failed" == result.steps["bad"].status


async def test_closing_leaves_the_rest_to_be_resumed(tmp_path: Path):
    """On exit what is in flight gets its grace, is stopped, and runs again when somebody takes the run up."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    gate, calls = Gate(), []

    @step
    async def first() -> int:
        calls.append("first")
        return 1

    @step
    async def second(x: int = first.result) -> int:
        calls.append("second")
        await gate.pass_through()
        return x + 1

    flow = make_workflow("Closes", [first, second])
    async with Orchestrator(url, grace=0.01) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        waiting = asyncio.ensure_future(run.wait())
        await gate.came.get()
    with pytest.raises(RunInterruptedError, match=r"orchwf resume --store .* r$"):
        await waiting
    gate.open()
    async with Orchestrator(url, workflows=[flow]) as orchestrator:
        result = await (await orchestrator.get("r")).result()

    assert ["first", "second", "second"] == calls
    assert 2 == result["second"]


async def test_what_is_in_flight_may_end_within_the_grace(tmp_path: Path):
    """Its completion is written, and nothing new starts."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    gate, calls = Gate(), []

    @step
    async def first() -> None:
        await gate.pass_through()

    @step(depends_on=first)
    async def second() -> None:
        calls.append("second")

    async with Orchestrator(url, grace=30) as orchestrator:
        run = await orchestrator.start(make_workflow("Closes", [first, second])(), run_id="r")
        await gate.came.get()
        asyncio.get_running_loop().call_soon(gate.open)
    async with Orchestrator(url) as orchestrator:
        kinds = await kinds_of(await orchestrator.get("r"))

    assert ["run.started", "step.started first", "step.completed first"] == kinds
    assert [] == calls
    assert "r" == run.id


async def test_an_orchestrator_that_is_not_open_says_how():
    """Before, and again."""
    orchestrator = Orchestrator("memory:")

    with pytest.raises(UsageError, match="async with Orchestrator"):
        await orchestrator.start(Sums())
    async with orchestrator:
        with pytest.raises(UsageError, match="open already"):
            await orchestrator.__aenter__()
    with pytest.raises(UsageError, match="is closed"):
        await orchestrator.start(Sums())


@pytest.mark.parametrize("wrong", [{"max_concurrency": 0}, {"max_concurrency": True}, {"grace": -1}])
def test_options_that_make_no_sense(wrong: dict[str, Any]):
    """Are refused at once."""
    with pytest.raises(orchwf.OrchwfError):
        Orchestrator("memory:", **wrong)


async def test_two_workflows_of_one_name_are_refused():
    """Which of them would a run belong to?"""
    one, two = make_workflow("Same", {"a": step(lambda_free)}), make_workflow("Same", {"b": step(lambda_free)})

    with pytest.raises(UsageError, match="two workflows are called 'Same'"):
        async with Orchestrator("memory:", workflows=[one, two]):
            pass


async def test_an_error_in_the_block_comes_out_as_it_is():
    """Not wrapped in a group."""
    with pytest.raises(KeyError, match="mine"):
        async with Orchestrator("memory:"):
            raise KeyError("mine")


async def test_context_variables_reach_coroutines_and_threads():
    """Those of whoever started the run; what a body sets stays with it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    def plain() -> str:
        seen = variable.get()
        variable.set("changed")
        return seen

    async def coroutine() -> str:
        return plain()

    flow = make_workflow("Sees", {"a": step(plain), "b": step(coroutine), "c": step(depends_on=["a", "b"])(plain)})
    variable.set("mine")
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(flow())

    assert {"mine"} == set(result.outputs.values())


async def test_current_is_the_context_of_the_body():
    """In coroutines and threads."""

    def plain() -> str:
        return orchwf.current().idempotency_key

    async def coroutine() -> str:
        return orchwf.current().idempotency_key

    async with Orchestrator("memory:") as orchestrator:
        flow = make_workflow("Here", {"a": step(plain), "b": step(coroutine)})
        result = await orchestrator.run(flow(), run_id="r")

    assert {"a": "r/a", "b": "r/b"} == dict(result.outputs)


async def test_an_observer_that_fails_hurts_nobody():
    """The run completes, and other observers are told all."""
    told: list[str] = []

    class Bad:
        def told(self, run: Any, events: Any) -> None:
            raise RuntimeError("observer")

    class Good:
        def told(self, run: Any, events: Any) -> None:
            told.extend(event.kind for event in events)

    async with Orchestrator("memory:", observers=[Bad(), Good()]) as orchestrator:
        run = await orchestrator.start(Sums())
        await run.result()
        log = await log_of(run)

    assert [event.kind for event in log] == told


async def test_runs_in_one_store_of_two_orchestrators_do_not_mix():
    """The second one sees the runs of the first, and leaves them alone."""
    gate = Gate()

    @step
    async def waits() -> str:
        await gate.pass_through()
        return "done"

    flow = make_workflow("Waits", [waits])
    store = await open_store("memory:")
    async with Orchestrator(store) as one, Orchestrator(store, workflows=[flow]) as two:
        await one.start(flow(), run_id="r")
        await gate.came.get()
        seen = await two.get("r")
        with pytest.raises(orchwf.RunOwnedError, match="which is alive"):
            await two.resume("r")
        with pytest.raises(UsageError):
            await two.delete("r")
        waiting = asyncio.ensure_future(seen.result())
        gate.open()
        result = await waiting

    assert "done" == result["waits"]
    assert 1 == result.steps["waits"].attempt


async def test_cancel_from_another_orchestrator():
    """Through the inbox; the owner folds it into the log."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    flow = make_workflow("Waits", [waits])
    store = await open_store("memory:")
    async with Orchestrator(store) as one, Orchestrator(store) as two:
        run = await one.start(flow(), run_id="r")
        await gate.came.get()
        await (await two.get("r")).cancel("from afar")
        result = await run.wait()

    assert (RunStatus.CANCELLED, "from afar") == (result.status, result.error)


async def test_a_body_that_raises_while_it_is_stopped():
    """It was stopped: its own error on the way out is not told as a failure."""
    gate = Gate()

    @step
    async def work() -> None:
        try:
            await gate.pass_through()
        finally:
            raise KeyError("on the way out")

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Stops", [work])())
        await gate.came.get()
        await run.cancel()
        result = await run.wait()

    assert (RunStatus.CANCELLED, "cancelled") == (result.status, result.steps["work"].status)


async def test_a_body_that_ignores_the_cancellation(monkeypatch: pytest.MonkeyPatch):
    """It has some patience, then the run goes on without it; what it returns later is dropped."""
    monkeypatch.setattr("orchwf.runtime.attempt._PATIENCE", 0.01)
    gate, let_go = Gate(), asyncio.Event()

    @step
    async def stubborn() -> str:
        gate.came.put_nowait("")
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async with Orchestrator("memory:", max_concurrency=1) as orchestrator:
        run = await orchestrator.start(make_workflow("Stubborn", [stubborn])())
        await gate.came.get()
        await run.cancel()
        result = await run.wait()
        after = await orchestrator.run(Sums())
        let_go.set()

    assert RunStatus.CANCELLED is result.status
    assert 5 == after[Sums.total]


async def test_cancel_before_a_body_began():
    """An attempt that was started and not begun ends at once."""
    seen: list[str] = []

    @step
    async def work() -> None:
        seen.append("began")

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Early", [work])())
        await run.cancel()
        await run.wait()
        kinds = await kinds_of(run)

    assert "step.started work" in kinds
    assert kinds[-1] in ("run.cancelled", "run.completed")


async def test_parameters_of_every_kind():
    """Positional-only ones, inputs by name, and **outputs."""

    async def one() -> int:
        return 1

    async def two() -> int:
        return 2

    async def takes(one: int, /, n: int, *, ctx: StepContext, **outputs: int) -> list[object]:
        return [one, n, ctx.step, outputs]

    flow = make_workflow(
        "Kinds", {"one": one, "two": two, "takes": step(depends_on=["two"])(takes)}, inputs={"n": (int, 7)}
    )
    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(flow())

    assert [1, 7, "takes", {"two": 2}] == result["takes"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signals to threads")
def test_interrupt_of_a_blocking_run_under_a_loop(tmp_path: Path):
    """As in a notebook: it stops the run where it is, resumable, and comes out as KeyboardInterrupt."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"

    @step
    async def waits(ctx: StepContext) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        while not ctx.cancelled:  # noqa: ASYNC110 - what bodies are told is a flag
            await asyncio.sleep(0)
        raise RuntimeError("told")

    async def cell() -> None:
        with pytest.warns(OrchwfWarning):
            orchwf.run(make_workflow("Waits", [waits])(), store=url, run_id="r")

    # Not asyncio.run, which takes the first interrupt for its own main task.
    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(cell())
    loop.close()

    assert RunStatus.FAILED is asyncio.run(_status(url, "r"))


async def _status(url: str, run_id: str) -> RunStatus:
    async with Orchestrator(url) as orchestrator:
        return await (await orchestrator.get(run_id)).status()


async def test_attaching_at_the_same_time():
    """Whoever comes while the run is being made gets that run, when it is in the store."""
    async with Orchestrator("memory:") as orchestrator:
        starts = [orchestrator.start(Sums(), run_id="one", on_duplicate="attach") for _ in range(3)]
        runs = await asyncio.gather(*starts)
        results = [await run.result() for run in runs]

    assert [5, 5, 5] == [result[Sums.total] for result in results]


async def test_attaching_takes_up_what_nobody_executes(tmp_path: Path):
    """A run whose orchestrator was closed goes on where one attaches to it, without being named in `workflows`."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    gate = Gate()

    @step
    async def waits() -> int:
        await gate.pass_through()
        return 1

    flow = make_workflow("Waits", [waits])
    async with Orchestrator(url, grace=0) as orchestrator:
        await orchestrator.start(flow(), run_id="one")
        await gate.came.get()
    gate.open()

    async with Orchestrator(url) as orchestrator:
        run = await orchestrator.start(flow(), run_id="one", on_duplicate="attach")
        result = await run.result()

    assert 1 == result["waits"]


async def test_attaching_to_a_run_of_another_workflow():
    """It is not what was asked for, so it is refused."""
    other = make_workflow("Other", [step(lambda: 1, name="one")])
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Sums(), run_id="one")
        with pytest.raises(UsageError, match="run 'one' is one of Sums, not of Other; choose another run_id"):
            await orchestrator.start(other(), run_id="one", on_duplicate="attach")


async def test_waiting_has_an_end():
    """A time-out is any duration, and its error names the run; a value that is none is refused."""
    gate = Gate()

    @step
    async def waits() -> None:
        await gate.pass_through()

    async with Orchestrator("memory:") as orchestrator:
        run = await orchestrator.start(make_workflow("Waits", [waits])(), run_id="slow")
        with pytest.raises(WaitTimeoutError, match=r"run 'slow' had not ended after 0\.001 s; it goes on"):
            await run.wait(timeout="1ms")
        with pytest.raises(BadOptionError, match="timeout takes a duration, not 'soon'"):
            await run.wait(timeout="soon")
        with pytest.raises(UsageError, match="the reason of a cancellation is text, not 3"):
            await run.cancel(3)  # type: ignore[arg-type]
        gate.open()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tags": "eu"}, "tags take a mapping of text to text"),
        ({"tags": ["eu"]}, "tags take a mapping of text to text"),
        ({"tags": {"shop": 3}}, "tags take a mapping of text to text"),
        ({"status": 3}, "status takes one or several of"),
        ({"since": float("nan")}, "since takes an aware datetime or epoch seconds"),
    ],
)
async def test_filters_that_could_never_match(given: dict[str, Any], message: str):
    """An error, and not an empty page."""
    async with Orchestrator("memory:") as orchestrator:
        with pytest.raises(UsageError, match=message):
            await orchestrator.list_runs(**given)


def test_workflows_are_several():
    """One class alone is told as what it is."""
    with pytest.raises(UsageError, match="workflows takes a list of workflow classes, not <class"):
        Orchestrator("memory:", workflows=Sums)  # type: ignore[arg-type]


async def test_everything_that_ended_can_be_pruned():
    """Nothing is older than no time at all."""
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Sums(), run_id="one")
        deleted = await orchestrator.prune(older_than=0)

    assert 1 == deleted


def test_a_failed_blocking_run_shows_the_callers_frames():
    """Nothing of ours or of asyncio's lies between the caller and the step, and no group is its context."""

    @step
    def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(RunFailed) as caught:
        orchwf.run(make_workflow("Broken", [broken])(), store="memory:")

    error, cause = caught.value, caught.value.__cause__
    assert cause is not None
    assert ["test_a_failed_blocking_run_shows_the_callers_frames", "run"] == _functions(error)
    assert ["broken"] == _functions(cause)
    assert not isinstance(error.__context__, BaseExceptionGroup)


def _functions(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


async def test_what_leaves_the_block_keeps_its_context():
    """The group that a task group makes of it is not told."""
    with pytest.raises(KeyError) as caught:  # noqa: PT012 - the block is what this is about
        async with Orchestrator("memory:"):
            try:
                raise ValueError("first")
            except ValueError:
                raise KeyError("second")  # noqa: B904 - so is its context

    assert isinstance(caught.value.__context__, ValueError)


async def test_a_plain_wrapper_around_a_coroutine_function():
    """It is run on the loop, and its output is what the coroutine returned."""

    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: object, **kwargs: object) -> object:
            return function(*args, **kwargs)

        return wrapper

    @step
    @logged
    async def one() -> int:
        return 1

    @step
    @functools.wraps(one.function)
    def two() -> int:
        return 2

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Wrapped", {"one": one, "two": two})())

    assert {"one": 1, "two": 2} == dict(result.outputs)


async def test_an_orchestrator_without_a_store_takes_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`$ORCHWF_STORE`, else a file here."""
    monkeypatch.setenv("ORCHWF_STORE", f"sqlite:///{tmp_path / 'default.db'}")

    async with Orchestrator() as orchestrator:
        await orchestrator.run(Sums(), "one", {"trace_id": "t"}, {"shop": "eu"})

    assert (tmp_path / "default.db").exists()
