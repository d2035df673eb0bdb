"""What bodies say of how far they are: how much of it is stored, who finds it, and what silence means."""

from orchwf import Orchestrator, Retry, RunHandle, StepContext, make_workflow, step
from orchwf.core.events import StepHeartbeat
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from tests.runtime.flows import Gate, log_of


async def progress_of(run: RunHandle[object]) -> list[str]:
    """What is stored of the heartbeats of a run."""
    return [event.progress for event in await log_of(run) if isinstance(event, StepHeartbeat)]


async def test_one_a_second_is_stored_and_the_last_one_when_the_attempt_ends():
    """However many there are."""
    first, second = Gate(), Gate()

    async def beats(ctx: StepContext) -> None:
        ctx.heartbeat(1)
        await first.pass_through()
        for n in (2, 3):
            ctx.heartbeat(n)
        await second.pass_through()
        ctx.heartbeat(4)

    async with TestOrchestrator(clock=FakeClock()) as orchestrator:
        run = await orchestrator.start(make_workflow("Beats", [step(beats)])())
        await first.came.get()
        first.open()
        await second.came.get()
        await orchestrator.clock.advance(0.9)
        within = await progress_of(run)
        await orchestrator.clock.advance(0.1)
        after = await progress_of(run)
        second.open()
        await run.result()

        assert (["1"], ["1", "3"], ["1", "3", "4"]) == (within, after, await progress_of(run))


async def test_the_next_attempt_finds_the_last_one():
    """After a failure, and after its process is gone; a heartbeat without progress keeps the one before."""
    gate, found, store = Gate(), list[object](), MemoryStore()

    async def goes_on(ctx: StepContext) -> None:
        found.append(ctx.last_heartbeat)
        ctx.heartbeat(ctx.attempt)
        ctx.heartbeat()
        if ctx.attempt == 1:
            raise ConnectionError
        if ctx.attempt == 2:
            await gate.pass_through()

    flow = make_workflow("GoesOn", [step(goes_on, retries=Retry(1, initial=0))])
    async with Orchestrator(store, grace=0) as orchestrator:
        run = await orchestrator.start(flow(), run_id="r")
        await gate.came.get()
        async for event in run.events(follow=True):
            if isinstance(event, StepHeartbeat) and event.attempt == 2:
                break
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.get("r")).result()

    assert [None, 1, 2] == found


async def test_silence_ends_an_attempt():
    """One that speaks in time lives on, however long it takes."""
    gates = [Gate() for _ in range(3)]

    async def speaks(ctx: StepContext) -> int:
        if ctx.attempt > 1:
            return ctx.attempt
        for gate in gates:
            await gate.pass_through()
            ctx.heartbeat()
        return 0

    flow = make_workflow("Speaks", [step(speaks, heartbeat_timeout=60, retries=Retry(1, initial=0))])
    async with TestOrchestrator(clock=FakeClock()) as orchestrator:
        run = await orchestrator.start(flow())
        for gate in gates[:2]:
            await gate.came.get()
            await orchestrator.clock.advance(59)
            gate.open()
        await gates[2].came.get()
        assert "running" == (await run.steps())["speaks"].status
        await orchestrator.clock.advance(60)
        result = await run.result()

    error = result.steps["speaks"].attempts[0].error
    assert 2 == result["speaks"]
    assert error is not None
    assert "StepTimeoutError: step 'speaks' gave no heartbeat for 60 s (attempt 1)" == error.headline
