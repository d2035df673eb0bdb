"""An order goes out when it may, is undone when it may not, and neither days nor crashes change that."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from examples import order_saga
from examples.order_saga import WORLD, Approval, Purchase
from orchwf import Orchestrator, RunEndedError, RunHandle, RunResult, RunStatus
from orchwf.testing import FakeClock, TestOrchestrator, crash_everywhere

LARGE = Purchase(product="desk", count=3)
SMALL = Purchase(product="cup", count=4)
YES, NO = Approval(by="Ada", is_granted=True), Approval(by="Bob", is_granted=False)


@pytest.fixture(autouse=True)
def _new_world() -> Iterator[None]:
    WORLD.clear()
    yield
    WORLD.clear()


@pytest.fixture
async def orchestrator() -> AsyncIterator[TestOrchestrator]:
    """Its time stands still until a test moves it."""
    async with TestOrchestrator(workflows=[Purchase], clock=FakeClock()) as orchestrator:
        yield orchestrator


async def begun(orchestrator: TestOrchestrator, purchase: Purchase) -> RunHandle[Purchase]:
    """A run that has got as far as it can by itself: the money is there."""
    run = await orchestrator.start(purchase, run_id="o1")
    await orchestrator.clock.advance("1s")
    return run


async def test_a_small_order_asks_nobody(orchestrator: TestOrchestrator):
    """It goes out half an hour after it was paid."""
    run = await begun(orchestrator, SMALL)
    assert WORLD.shipped == {}

    await orchestrator.clock.advance("30m")
    result = await run.result()

    assert result[Purchase.ship] == "4 x cup"
    assert result[Purchase.decide] == "nobody was asked"
    assert result.steps["approval"].status == "skipped"
    assert WORLD.charged == {"o1/charge": 48}


async def test_a_large_order_waits_for_an_approval(orchestrator: TestOrchestrator):
    """For a day nothing happens; half an hour after somebody said yes it goes out."""
    run = await begun(orchestrator, LARGE)
    await orchestrator.clock.advance("1d")
    assert (await run.steps())["approval"].status == "waiting"

    await run.send(Purchase.approval, YES)
    await orchestrator.clock.advance("31m")
    result = await run.result()

    assert result[Purchase.approval] == YES
    assert WORLD.shipped == {"o1/ship": "3 x desk"}


async def test_a_refusal_undoes_the_order(orchestrator: TestOrchestrator):
    """The money is given back before the goods, as it was taken after them."""
    run = await begun(orchestrator, LARGE)

    await run.send(Purchase.approval, NO)
    await orchestrator.clock.advance("1s")
    result = await run.wait()

    assert (result.status, result.error, result.compensation) == ("failed", "Rejected: Bob said no", "done")
    assert orchestrator.recorder.story()[-5:] == [
        "compensation.started charge",
        "compensation.completed charge",
        "compensation.started reserve",
        "compensation.completed reserve",
        "run.failed",
    ]
    assert WORLD == order_saga.World()


async def test_silence_is_a_refusal(orchestrator: TestOrchestrator):
    """A second before two days are over the order still waits; then it is undone."""
    run = await begun(orchestrator, LARGE)
    await orchestrator.clock.advance("47h59m58s")
    assert await run.status() is RunStatus.RUNNING

    await orchestrator.clock.advance("2s")
    result = await run.wait()

    assert result.error == "Rejected: nobody approved it within two days"
    assert WORLD == order_saga.World()
    with pytest.raises(RunEndedError):
        await run.send(Purchase.approval, YES)


async def test_a_customer_may_regret(orchestrator: TestOrchestrator):
    """A run that sleeps before it ships, in no process' memory, is cancelled, and undone at once."""
    run = await begun(orchestrator, SMALL)
    await orchestrator.clock.advance("20m")
    assert WORLD.charged == {"o1/charge": 48}

    await run.cancel("no cups after all")
    await orchestrator.clock.advance("1s")
    result = await run.wait()

    assert (result.status, result.error, result.compensation) == ("cancelled", "no cups after all", "done")
    assert result.steps["ship"].status == "cancelled"
    assert WORLD == order_saga.World()


async def test_the_bank_gets_one_key_for_all_attempts(orchestrator: TestOrchestrator):
    """The first attempt is lost, the second one charges, and nobody pays twice."""
    await begun(orchestrator, LARGE)

    assert orchestrator.recorder.starts(Purchase.charge) == 2
    assert WORLD.charged == {"o1/charge": 1440}


async def test_an_approval_may_come_when_no_process_runs(tmp_path: Path):
    """What is sent while nobody executes the run is there for whoever takes it up."""
    store = f"sqlite:///{tmp_path / 'orders.db'}"
    purchase = Purchase(product="desk", count=3, grace=0)
    async with Orchestrator(store, workflows=[Purchase]) as first:
        run = await first.start(purchase, run_id="o1")
        await order_saga.until_asleep(run)
    async with Orchestrator(store) as clerk:
        await (await clerk.get("o1")).send("approval", YES)
    async with Orchestrator(store, workflows=[Purchase]) as second:
        result = await (await second.get("o1")).result()

    assert result.outputs["ship"] == "3 x desk"
    assert WORLD.charged == {"o1/charge": 1440}


def is_sold(result: RunResult[Purchase]) -> bool:
    return bool(len(WORLD.reserved) == len(WORLD.charged) == len(WORLD.shipped) == 1)


def is_as_before(result: RunResult[Purchase]) -> bool:
    return WORLD == order_saga.World()


def test_a_sale_survives_crashes():
    """Wherever the process dies, the order is paid once and goes out once."""
    small = crash_everywhere(SMALL, reset=WORLD.clear, check=is_sold)
    large = crash_everywhere(LARGE, reset=WORLD.clear, check=is_sold, send={Purchase.approval: YES})

    assert len(small.deaths) > 50
    assert len(large.deaths) > 50


def test_a_refusal_survives_crashes():
    """Wherever the process dies, also while it undoes, all is as before in the end; so it is if nobody answers."""
    refused = crash_everywhere(
        LARGE, reset=WORLD.clear, check=is_as_before, ends="failed", send={Purchase.approval: NO}
    )
    unanswered = crash_everywhere(LARGE, reset=WORLD.clear, check=is_as_before, ends="failed")

    assert len(refused.deaths) > 50
    assert len(unanswered.deaths) > 60


def test_the_script_plays_four_orders():
    """Two go out, one is refused, one is regretted."""
    assert order_saga.main() == [
        "completed: 4 x cup",
        "completed: 3 x desk",
        "failed: Rejected: Bob said no (undoing: done)",
        "cancelled: the customer does not want cups (undoing: done)",
    ]
    assert len(WORLD.shipped) == len(WORLD.charged) == 2
