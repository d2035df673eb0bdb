"""Each example does what its docstring says, called as a function and run as a script."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import orchwf
from examples import background, batch, conditional, error_handling, parallel, quickstart, saga
from examples.error_handling import Billing
from examples.parallel import Dashboard, LoadDashboard
from orchwf import Orchestrator
from orchwf.testing import crash_everywhere
from tests.conftest import ROOT
from tests.slowness import without_slowness


def test_quickstart_says_hello():
    """One step returns a message."""
    result = orchwf.run(quickstart.Hello(), store="memory:")

    assert result[quickstart.Hello.greet] == "Hello, world!"


def test_parallel_gives_the_summary():
    """The last step has the outputs of the three fetches."""
    dashboard = parallel.main()

    assert dashboard == Dashboard(user="customer 7", orders=[30, 12], total=42, rating=4.5)


async def test_parallel_fetches_overlap():
    """All three fetches have started before the first of them is done."""
    async with Orchestrator("memory:", workflows=[LoadDashboard]) as orchestrator:
        run = await orchestrator.start(LoadDashboard(customer=7))
        await run.wait()
        happened = [(event.kind, getattr(event, "step", "")) async for event in run.events()]

    starts = [happened.index(("step.started", fetch)) for fetch in ("user", "orders", "rating")]
    ends = [happened.index(("step.completed", fetch)) for fetch in ("user", "orders", "rating")]
    assert max(starts) < min(ends)


def test_error_handling_makes_do_with_what_there_is():
    """The invoice has a rate, no advert and no voucher."""
    invoice = error_handling.main()

    assert invoice == "90.00 EUR. Thank you."


def test_error_handling_tries_as_often_as_said():
    """Two failures and a success, three failures, and one that knew better."""
    result = orchwf.run(Billing(dollars=1), store="memory:")

    assert {name: (record.status.value, record.attempt) for name, record in result.steps.items()} == {
        "rates": ("completed", 3),
        "advert": ("failed", 3),
        "voucher": ("failed", 1),
        "invoice": ("completed", 1),
    }


def test_saga_gives_back_what_was_booked(capsys: pytest.CaptureFixture[str]):
    """The last thing first, and what fails once is tried again; a trip that is paid is left as it is."""
    ends = saga.main()

    assert ends == [
        "Ada travels for 550",
        "Bob stays at home: ValueError: 550 is more than the 500 there are (undoing: done)",
    ]
    assert capsys.readouterr().out.splitlines() == [
        "Ada: a room is booked",
        "Ada: a flight is booked",
        "Ada: room 12 and seat 7A are paid",
        ends[0],
        "Bob: a room is booked",
        "Bob: a flight is booked",
        "Bob: the airline does not answer",
        "Bob: seat 7A is given back",
        "Bob: room 12 is given back",
        ends[1],
    ]


def test_saga_survives_crashes():
    """Wherever its process dies, all is undone in the end."""
    report = crash_everywhere(saga.Trip(traveller="Bob", budget=0), ends="failed")

    assert not report.problems
    assert len(report.deaths) > 20


def test_conditional_runs_one_branch():
    """Each user gets what belongs to the plan, and nothing else is done."""
    greetings = conditional.main()
    result = orchwf.run(conditional.Welcome(user=15), store="memory:")

    assert greetings == [
        "Welcome, user 15! You have a tour.",
        "Welcome, user 10! You have an account manager.",
        "Welcome, user 7! You have a line to support.",
    ]
    assert set(result.outputs) == {"plan", "tour", "greet"}


def test_batch_survives_one_bad_item():
    """Of 51 items 50 are completed and one failed; the sum is that of the good ones."""
    result = batch.main()

    assert result.ended == {"completed": 50, "failed": 1}
    assert result.total == Decimal("14025.0")


async def test_batch_tries_the_bad_item_twice():
    """The negative value fails in each of its two attempts."""
    async with Orchestrator("memory:", workflows=[batch.Item]) as orchestrator:
        run = await orchestrator.start(batch.Item(value=-1))
        result = await run.wait()

    assert result.status == "failed"
    assert result.error == "ValueError: -1 is negative"
    assert result.steps["check"].attempt == 2


def test_batch_can_be_started_again(tmp_path: Path):
    """A second batch over the same store does no item twice and gives the same."""
    store = f"sqlite:///{tmp_path / 'runs.db'}"

    assert batch.main(store) == batch.main(store)


def test_background_runs_end_while_nobody_waits(capsys: pytest.CaptureFixture[str]):
    """Five runs give their results, and the store lists five completed runs, the newest first."""
    counts = background.main()

    started, *listed, total = capsys.readouterr().out.splitlines()
    assert counts == [3] * 5
    ids = started.removeprefix("started: ").split(", ")
    assert listed == [f"{run_id} completed" for run_id in reversed(ids)]
    assert total == "15 pictures"


@pytest.mark.parametrize(
    ("script", "last_line"),
    [
        ("quickstart.py", "Hello, world!"),
        ("parallel.py", "Dashboard(user='customer 7', orders=[30, 12], total=42, rating=4.5)"),
        ("error_handling.py", "90.00 EUR. Thank you."),
        ("saga.py", "Bob stays at home: ValueError: 550 is more than the 500 there are (undoing: done)"),
        ("conditional.py", "Welcome, user 7! You have a line to support."),
        ("batch.py", "{'completed': 50, 'failed': 1}, total 14025.00"),
        ("background.py", "15 pictures"),
        ("flights.py", "--format svg -o flights.svg"),
        ("order_saga.py", "cancelled: the customer does not want cups (undoing: done)"),
        ("crawler.py", "22 teas; 2 pages could not be read: /dooars-0, /keemun-2"),
        ("nightly_report.py", "west: missing"),
        ("document_review.py", "Dear author, it was published before, as 11681671."),
    ],
)
def test_script_runs(script: str, last_line: str, tmp_path: Path):
    """Run as a script, from any folder, an example prints its result and nothing to stderr."""
    # In the development mode of Python asyncio itself prints how long things take.
    environment = {**os.environ, "PYTHONPATH": str(Path(orchwf.__file__).parents[1]), "PYTHONDEVMODE": ""}

    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / script)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, without_slowness(done.stderr)) == (0, "")
    assert done.stdout.splitlines()[-1].endswith(last_line)
