"""What can be done on a page."""

import attrs
import pytest

import orchwf
from orchwf import Client, Orchestrator, RunStatus, signal, step, workflow
from orchwf.dashboard import create_app
from orchwf.dashboard.actions import _MOST
from tests.dashboard.browsers import TOKEN, Invoice, Sales, Slow, shown, visitor


async def test_resume():
    """A failed run goes on, and the page that comes next says so once."""
    async with shown([Sales]) as (orchestrator, browser):
        run = await orchestrator.start(Sales(day="sunday"), "A1")
        await run.wait()
        page = await browser.act("resume", run="A1", next="/run?id=A1")
        await run.wait()
        again = await browser.get("/run?id=A1")
        events = [event.kind async for event in run.events()]

    assert (page.url.path, str(page.url.query)) == ("/run", "b'id=A1'")
    assert "1 run resumed." in page.text
    assert "1 run resumed." not in again.text
    assert "run.resumed" in events


async def test_resume_where_the_code_is_not():
    """Without the code that is written, and whoever serves the workflow goes on with the run."""
    async with shown([Sales], executes=False) as (orchestrator, browser):
        run = await orchestrator.start(Sales(day="sunday"), "A1")
        await run.wait()
        page = (await browser.get("/run?id=A1")).text
        answer = await browser.act("resume", run="A1")
        again = await browser.act("resume", run="A1")
        async for event in run.events(follow=True):
            if event.kind == "run.failed" and event.seq > 12:
                break
        kinds = [event.kind async for event in run.events()]

    assert "whoever serves Sales does so" in page
    assert "whoever serves its workflow goes on with it" in answer.text
    assert again.status_code in (200, 409)
    assert kinds.count("run.failed") >= 2


async def test_resume_of_a_run_that_was_deleted_or_has_completed():
    """What cannot be is told, as what it is."""
    async with shown([Sales], executes=False) as (orchestrator, browser):
        await (await orchestrator.start(Sales(), "A1")).wait()
        answers = [await browser.act("resume", run=run_id) for run_id in ("A1", "nope")]

    assert [answer.status_code for answer in answers] == [409, 404]


async def test_fork_where_the_code_is_not():
    """It is told where the code has to be."""
    async with shown([Sales], executes=False) as (orchestrator, browser):
        await (await orchestrator.start(Sales(), "A1")).wait()
        answer = await browser.act("fork", run="A1", step="load")

    assert answer.status_code == 400
    assert "orchwf ui --target" in answer.text


async def test_resume_of_a_workflow_that_is_not_served():
    """It is left to whoever comes and serves it; the page says that nobody has yet."""
    store = await orchwf.open_store("memory:")
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        await (await orchestrator.start(Sales(day="sunday"), "A1")).wait()
    async with shown([Invoice], store=store) as (_, browser):
        answer = await browser.act("resume", run="A1", next="/run?id=A1")

    assert "1 run resumed." in answer.text
    assert "sleeps until" in answer.text


async def test_retry_from_a_step():
    """A fork reuses what came before the step, and its page comes next."""
    async with shown([Sales]) as (orchestrator, browser):
        await (await orchestrator.start(Sales(), "A1")).wait()
        page = await browser.act("fork", run="A1", step="load")
        run_id = page.url.params["id"]
        result = await (await orchestrator.get(run_id)).wait()

    assert result.forked_from == "A1"
    assert 'forked from <a href="/run?id=A1">A1</a>' in page.text


async def test_cancel_and_pause():
    """They reach whoever executes the run."""
    async with shown([Slow]) as (orchestrator, browser):
        runs = [await orchestrator.start(Slow(), run_id) for run_id in ("A1", "B2")]
        await browser.act("cancel", run="A1", reason="enough")
        cancelled = await runs[0].wait()
        paused = await browser.act("pause", run="B2")
        await runs[1].terminate()

    assert (cancelled.status, cancelled.error) == (RunStatus.CANCELLED, "enough")
    assert "asked to pause" in paused.text


async def test_cancel_of_a_run_that_rests():
    """A paused run, which nobody executes, is taken up to be ended where its code is."""
    async with shown([Invoice]) as (orchestrator, browser):
        run = await orchestrator.start(Invoice(), "A1")
        await browser.act("pause", run="A1")
        paused = await run.wait()
        await browser.act("cancel", run="A1")
        async for _ in run.events(follow=True):
            pass
        status = await run.status()

    assert (paused.status, status) == (RunStatus.PAUSED, RunStatus.CANCELLED)


async def test_many_at_once():
    """Of several runs those with which it cannot be done keep no other from it."""
    async with shown([Sales]) as (orchestrator, browser):
        for run_id, day in (("A1", "sunday"), ("B2", "sunday"), ("C3", "monday")):
            await (await orchestrator.start(Sales(day=day), run_id)).wait()
        page = await browser.act("resume", run=["A1", "B2", "C3", "A1", "nowhere"])
        none = await browser.act("resume")
        too_many = await browser.act("cancel", run=[str(number) for number in range(_MOST + 1)])

    assert "2 runs resumed. 2 could not be: " in page.text
    assert "choose at least one run" in none.text
    assert f"at most {_MOST} runs at once, not {_MOST + 1}" in too_many.text


async def test_a_signal():
    """The form has a field of the type of the signal; what is typed into it is sent."""
    async with shown([Invoice]) as (orchestrator, browser):
        run = await orchestrator.start(Invoice(), "A1")
        async for event in run.events(follow=True):
            if event.kind == "timer.set":
                break
        page = (await browser.get("/run?id=A1")).text
        wrong = await browser.act("send", run="A1", signal="paid", payload="much")
        sent = await browser.act("send", run="A1", signal="paid", payload="7", next="/run?id=A1")
        result = await run.wait()
        late = await browser.act("send", run="A1", signal="paid", payload="7")

    assert "Waits for signal" in page
    assert 'type="number" name="payload"' in page
    assert (wrong.status_code, sent.status_code, late.status_code) == (400, 200, 409)
    assert "takes int" in wrong.text
    assert result.outputs["book"] == 7


async def test_a_signal_where_the_code_is_not():
    """Without the code what is typed is JSON, or text; whoever executes the run knows the type."""
    async with shown([Invoice], executes=False) as (orchestrator, browser):
        run = await orchestrator.start(Invoice(), "A1")
        page = (await browser.get("/run?id=A1")).text
        await browser.act("send", run="A1", signal="paid", payload="7")
        result = await run.wait()
        unknown = await browser.act("send", run="nowhere", signal="paid", payload="7")

    assert 'type="number" name="payload"' in page
    assert result.outputs["book"] == 7
    assert unknown.status_code == 404


@attrs.frozen
class Payment:
    amount: float
    currency: str = "EUR"


@workflow
class Order:
    """Of records."""

    payment: Payment
    urgent: bool = False
    paid = signal(Payment)

    @step
    def book(self, payment: Payment = paid.result) -> float:
        return payment.amount + self.payment.amount


async def test_records_have_a_field_for_each_part():
    """An input or a signal that is a record is asked for part by part; a part with a default may be left empty."""
    async with shown([Order]) as (orchestrator, browser):
        page = (await browser.get("/workflow?name=Order")).text
        fields = {"input:payment.amount": "1.5", "input:payment.currency": "CHF", "input:urgent": "true", "id": "A1"}
        started = await browser.act("start", workflow="Order", **fields)
        run = await orchestrator.get("A1")
        await browser.act("send", run="A1", signal="paid", **{"payload.amount": "2", "payload.currency": "CHF"})
        result = await run.wait()

    assert 'name="input:payment.amount"' in page
    assert started.url.params["id"] == "A1"
    assert result.outputs["book"] == 3.5


async def test_starting_what_others_execute():
    """Where the code is not here, what is published says which inputs there are; a worker executes the run."""
    async with shown([Sales], executes=False) as (orchestrator, browser):
        page = (await browser.get("/workflow?name=Sales")).text
        started = await browser.act("start", workflow="Sales", **{"input:day": "monday", "input:count": "4"})
        run = await orchestrator.get(started.url.params["id"])
        result = await run.wait()
        again = await browser.act("start", workflow="Sales", id=run.id)
        nothing = await browser.act("start", workflow="Nothing")

    assert 'name="input:count"' in page
    assert result.outputs["load"] == 6
    assert (again.status_code, nothing.status_code) == (409, 404)


async def test_starting_with_the_code_and_no_orchestrator():
    """With the code at hand, and nobody to execute here, the run is left to a worker."""
    store = await orchwf.open_store("memory:")
    app = create_app(store, workflows=[Sales], token=TOKEN)
    async with Orchestrator(store, workflows=[Sales]) as orchestrator, visitor(app) as browser:
        await browser.sign_in()
        started = await browser.act("start", workflow="Sales", id="A1", **{"input:count": "2"})
        result = await (await orchestrator.get("A1")).wait()
    await store.close()

    assert started.status_code == 200
    assert result.outputs["load"] == 1


async def test_a_message_is_no_way_in():
    """What is told on the next page is text, however it came there."""
    async with shown([Sales]) as (_, browser):
        browser.cookies.set("orchwf_said", "%3Cscript%3Ealert(1)%3C/script%3E")
        page = await browser.get("/")

    assert "&lt;script&gt;alert" in page.text


@pytest.mark.parametrize("action", ["pause-schedule", "resume-schedule", "trigger"])
async def test_schedules_that_there_are_not(action: str):
    """It is told that there is none."""
    async with shown([Sales]) as (_, browser):
        answer = await browser.act(action, schedule="nowhere")

    assert answer.status_code == 404


async def test_a_client_is_closed_with_the_dashboard():
    """What was opened to speak to runs is closed when the server ends."""
    app = create_app("memory:", token=TOKEN)
    received = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        message = next(received)
        if message["type"] == "lifespan.shutdown":
            async with visitor(app) as browser:
                await browser.sign_in()
                await browser.act("cancel", run="A1")
        return message

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message["type"])

    await app({"type": "lifespan", "state": {}}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(orchwf.UsageError):
        await Client("memory:").get("A1")
