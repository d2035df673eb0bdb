"""What the pages show."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import attrs
import pytest

import orchwf
from orchwf import Orchestrator, make_workflow, step
from orchwf.core.limits import Limit
from orchwf.core.slots import SlotRequest
from orchwf.dashboard import create_app
from tests.dashboard.browsers import TOKEN, Invoice, Sales, Slow, shown, visitor

HOSTILE = "<script>alert(1)</script>\"'&\u202e]-->\ud800"


ME, YOU = "here/1|7|1|a", "there/1|8|1|b"
PLAIN = Limit(name="newer", concurrency=1)


def body() -> str:
    return HOSTILE.replace("\ud800", "") * 3


async def test_a_failed_run_tells_its_error_first():
    """Its page has the line of the user, how often it was tried, and the way on, before anything else."""
    async with shown([Sales]) as (orchestrator, browser):
        await (await orchestrator.start(Sales(day="sunday"), "A1")).wait()
        page = (await browser.get("/run?id=A1")).text

    assert "closed on sundays" in page
    assert "raise ValueError(&#34;closed on sundays&#34;)" in page
    assert "attempt 2/2" in page
    assert page.index("closed on sundays") < page.index(">Resume<") < page.index('aria-label="Views of the run"')


@pytest.mark.parametrize("tab", ["graph", "timeline", "steps", "events", "inputs"])
@pytest.mark.parametrize("at", ["", "1", "4", "999999", "x", "-1"])
async def test_a_run_at_any_event(tab: str, at: str):
    """Each view shows the run now, or as it was; what is no event of it is now."""
    async with shown([Sales]) as (orchestrator, browser):
        await (await orchestrator.start(Sales(day="sunday"), "A1")).wait()
        answer = await browser.get("/run", params={"id": "A1", "tab": tab, "at": at, "step": "validate"})

    assert answer.status_code == 200
    assert ("As it was after event" in answer.text) == (at in ("1", "4"))
    assert (">Resume<" in answer.text) == (at not in ("1", "4"))


async def test_what_was_true_then():
    """Going back through time shows the steps as they were."""
    async with shown([Sales]) as (orchestrator, browser):
        await (await orchestrator.start(Sales(), "A1")).wait()
        counts = [
            re.findall(r"<span>([\w ,]+)</span>", (await browser.get(f"/run?id=A1&at={at}")).text)[-2]
            for at in (2, 3, 5)
        ]

    assert counts == ["1 running, 2 to do", "1 done, 2 to do", "2 done, 1 to do"]


async def test_what_there_is_not():
    """A run, step, workflow or page that there is not is told, and nothing breaks."""
    async with shown([Sales]) as (orchestrator, browser):
        await (await orchestrator.start(Sales(), "A1")).wait()
        paths = ["/run?id=B", "/run", "/run?id=A1&step=nope", "/workflow?name=nope", "/nope", "/value?id=A1&step=nope"]
        answers = [await browser.get(path) for path in paths]

    assert [answer.status_code for answer in answers] == [404, 404, 400, 404, 404, 400]
    assert all("<h1>" in answer.text for answer in answers)


async def test_the_store_is_away():
    """Without its store a page says so, with 503."""
    store = await orchwf.open_store("memory:")
    app = create_app(store)
    await store.close()
    async with visitor(app) as browser:
        answer = await browser.get("/")

    assert answer.status_code in (200, 503)


async def test_pages_for_workflows():
    """A workflow has its graph, its steps over the last runs, and a form that starts it."""
    async with shown([Sales, Invoice]) as (orchestrator, browser):
        for number in range(3):
            await (await orchestrator.start(Sales(day="sunday" if number == 1 else "monday"), f"A{number}")).wait()
        listing = (await browser.get("/workflows")).text
        page = (await browser.get("/workflow?name=Sales")).text

    assert "67 % of 3" in listing
    assert "half took up to" in page
    assert re.search(r"The longest way, by what half of these runs took: .*(extract|validate|load) ", page)
    assert "Invoice" in listing
    assert page.count('title="A1: failed"') == 2
    assert 'name="input:day"' in page
    assert 'type="number" name="input:count"' in page


async def test_versions_and_what_is_different():
    """Where runs were started with another definition the page says what is different now."""

    def flow(names: list[str]) -> type:
        return make_workflow("Flow", {name: step(body, name=name) for name in names})

    store = await orchwf.open_store("memory:")
    for names in (["a"], ["a", "b"]):
        async with Orchestrator(store, workflows=[flow(names)]) as orchestrator:
            await (await orchestrator.start(flow(names)())).wait()
    async with visitor(create_app(store)) as browser:
        page = (await browser.get("/workflow?name=Flow")).text
    await store.close()

    assert "what is different now" in page
    assert "b" in page


async def test_schedules_and_their_times():
    """A schedule shows when it comes next, on its clocks and in UTC."""
    async with shown([Sales]) as (orchestrator, browser):
        await orchestrator.schedule(Sales(), cron="30 6 * * *", tz="Europe/Zurich", name="morning")
        page = (await browser.get("/schedules")).text
        await browser.act("pause-schedule", schedule="morning")
        paused = (await browser.get("/schedules?name=morning")).text
        await browser.act("resume-schedule", schedule="morning")
        asked = await browser.act("trigger", schedule="morning")

    assert page.partition("Past times")[0].count("06:30 CE") == 11
    assert ">Go on<" in paused
    assert "is asked for" in asked.text


async def test_what_became_of_the_times_of_a_schedule():
    """Of a range of days each time has its run, or none; what has not ended can be cancelled together."""
    async with shown([Sales, Slow]) as (orchestrator, browser):
        await orchestrator.schedule(Slow(), cron="0 * * * *", tz="UTC", name="hourly")
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        run = await orchestrator.start(Slow(), f"hourly@{now - timedelta(hours=3):%Y-%m-%dT%H:%M:%S+00:00}")
        day = (now - timedelta(days=2)).date()
        page = (await browser.get(f"/schedules?from={day}")).text
        many = (await browser.get("/schedules?from=2026-01-01&to=2026-03-01")).text
        answers = [
            (await browser.get(f"/schedules?from={text}")).text for text in ("yesterday", "9999-12-31", "0001-01-01")
        ]
        await run.terminate()

    assert "<span>1 running</span>" in page
    assert 'name="run" value="hourly@' in page
    assert "no run" in page
    assert "those after the first 200" in many
    assert "the range takes days" in answers[0]
    assert all("hourly" in answer for answer in answers)


async def test_workers_and_the_system():
    """Who executes runs, what waits, and what the store says of itself."""
    async with shown([Slow, Invoice]) as (orchestrator, browser):
        run = await orchestrator.start(Slow(), "busy")
        await orchestrator.start(Invoice(), "waits")
        workers = (await browser.get("/workers")).text
        system = (await browser.get("/system?facts=1")).text
        await run.terminate()

    assert "alive" in workers
    assert "Nothing: all is well." in system
    assert "integrity" in system


async def test_who_holds_the_places_of_limits():
    """Of each limit: which step of which run holds a place for how long, and which processes wait for one."""
    store = await orchwf.open_store("memory:")
    hostile, keyed = (
        Limit(name=json.dumps(["mutex", HOSTILE[:-1]])),
        Limit(name='["queue", "api", "acme"]', concurrency=1),
    )
    for limit, run in ((attrs.evolve(hostile, concurrency=1), HOSTILE[:-1]), (keyed, "A2"), (PLAIN, "A3")):
        await store.take_slots(ME, [SlotRequest(limits=[limit], run_id=run, step="call", attempt=1, item=3)])
    for owner in (ME, YOU):
        await store.renew(owner, 60)
    await store.take_slots(YOU, [SlotRequest(limits=[keyed], run_id="A4", step="call", attempt=1)])
    async with visitor(create_app(store)) as browser:
        page = (await browser.get("/workers")).text
    await store.close()

    assert "queue &#39;api&#39; for &#39;acme&#39;" in page
    assert page.index("acme") < page.index("newer")
    assert "process 8 on there for" in page
    assert ">call[3]</a>" in page
    assert 'href="/run?id=A2"' in page
    assert "<script>alert" not in page
    assert "\u202e" not in page


async def test_findings_are_told_with_the_way_out():
    """What waits for somebody stands on the page of the system, with what to type."""
    store = await orchwf.open_store("memory:")
    async with Orchestrator(store, workflows=[Slow], grace=0) as orchestrator:
        await orchestrator.start(Slow(), "A1")
        await (await orchestrator.get("A1")).pause("lunch")
        await asyncio.sleep(0)
    async with visitor(create_app(store, workflows=[Sales])) as browser:
        page = (await browser.get("/system")).text
        run = (await browser.get("/run?id=A1")).text
    await store.close()

    assert "orchwf" in page
    assert "Slow" in page
    assert "orchwf resume A1" in run


@pytest.mark.parametrize("shows", [True, False])
async def test_payloads_are_hidden(shows: bool):
    """Without payloads no page shows an input, an output, what was said to a run, or its metadata."""
    async with shown([Sales, Invoice], payloads=shows) as (orchestrator, browser):
        await (await orchestrator.start(Sales(day="SECRET"), "A1", metadata={"key": "SECRET"})).wait()
        run = await orchestrator.start(Invoice(), "B2")
        await run.send(Invoice.paid, 424242)
        await run.wait()
        paths = ["/", *(f"/run?id=A1&tab={tab}&step=extract" for tab in ("graph", "steps", "events", "inputs"))]
        paths += [f"/run?id=B2&tab={tab}&step=paid" for tab in ("graph", "timeline", "events", "inputs")]
        paths += ["/value?id=A1", "/value?id=B2&step=paid"]
        text = "".join([(await browser.get(path)).text for path in paths])

    assert ("SECRET" in text) == shows
    assert ("424242" in text) == shows


async def test_values_of_any_size():
    """A large output is shown in part; all of it is behind a link, as plain text."""

    def large() -> str:
        return "x" * 1_000_000

    flow = make_workflow("Large", {"large": step(large, name="large")})
    async with shown([flow]) as (orchestrator, browser):
        await (await orchestrator.start(flow(), "A1")).wait()
        page = (await browser.get("/run?id=A1&step=large")).text
        whole = await browser.get("/value?id=A1&step=large")

    assert len(page) < 100_000
    assert "All of it, 1.0 MB" in page
    assert (len(whole.text), whole.headers["content-type"]) == (1_000_002, "text/plain; charset=utf-8")


async def test_hostile_names_and_values():
    """Whatever users call things, and whatever steps give or raise, is shown as text and nothing else."""

    def fails() -> None:
        raise ValueError(HOSTILE)

    name = HOSTILE.replace("\ud800", "")
    flow = make_workflow(
        name, {name: step(body, name=name), f"{name}!": step(fails, name=f"{name}!", depends_on=[name])}
    )
    run_id = "<script>alert(1)</script>\"'&"
    async with shown([flow]) as (orchestrator, browser):
        run = await orchestrator.start(flow(), run_id, tags={"a": name}, metadata={"a": name})
        await run.wait()
        query = {"id": run_id, "step": name}
        answers = [await browser.get("/run", params={**query, "tab": tab}) for tab in ("graph", "timeline", "steps")]
        answers += [await browser.get("/run", params={**query, "tab": tab, "at": "3"}) for tab in ("events", "inputs")]
        answers += [await browser.get("/", params={"q": f"alert {name}"}), await browser.get("/")]
        answers += [await browser.get("/workflow", params={"name": name}), await browser.get("/workflows")]
        answers += [await browser.get("/system"), await browser.get("/nope/<script>alert(1)</script>")]
        answers += [await browser.act("resume", run=name), await browser.get("/sign-in", params={"next": name})]

    assert {answer.status_code for answer in answers} <= {200, 404}
    for answer in answers:
        assert "<script>alert" not in answer.text
        assert "\u202e" not in answer.text
        assert re.search(r"\son\w+=", answer.text.replace("&#39;", "")) is None


async def test_mounted_anywhere():
    """Under any prefix, pages lead to pages under that prefix, and so do forms and cookies."""
    store = await orchwf.open_store("memory:")
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        await (await orchestrator.start(Sales(day="sunday"), "A1")).wait()
        app = create_app(store, orchestrator=orchestrator, token=TOKEN)
        async with visitor(app, base="http://localhost/team/runs/", root_path="/team/runs") as browser:
            answer = await browser.sign_in()
            pages = [
                await browser.get(path) for path in ("", "run?id=A1", "workflows", "workflow?name=Sales", "system")
            ]
            style = await browser.get("static/dashboard.css")
            resumed = await browser.act("resume", run="A1", next="/run?id=A1")
    await store.close()

    assert answer.history[0].headers["set-cookie"].count("Path=/team/runs") == 1
    assert style.status_code == 200
    assert resumed.url.path == "/team/runs/run"
    for page in pages:
        assert page.status_code == 200
        addresses = re.findall(r'(?:href|src|action|data-href|data-live)="([^"#]+)', page.text)
        assert [each for each in addresses if not each.startswith("/team/runs/")] == []


async def test_a_url_without_a_server_that_begins():
    """A store that is named by its URL is opened when the server begins; where it never does the error says so."""
    async with visitor(create_app("memory:")) as browser:
        answer = await browser.get("/")

    assert answer.status_code == 400
    assert "create_app(await open_store(URL))" in answer.text
