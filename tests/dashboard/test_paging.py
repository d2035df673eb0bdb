"""What is too much for one page goes on on the next."""

import re

import attrs

import orchwf
from orchwf import Orchestrator, make_workflow, step, workflow
from orchwf.dashboard import create_app
from tests.dashboard.browsers import Sales, shown, visitor


def body() -> int:
    return 1


@workflow
class Items:
    """Runs once per item."""

    @step
    def make(self) -> list[int]:
        return list(range(250))

    @step(tolerate=5)
    def check(self, number: int = make.each) -> int:
        if number == 249:
            raise ValueError("too much")
        return number


async def test_many_steps():
    """A page has 200 steps, of one status if that is asked for; a page that there is not has none."""
    flow = make_workflow("Many", {f"part_{number:03}": step(body, name=f"part_{number:03}") for number in range(450)})
    async with shown([flow]) as (orchestrator, browser):
        await (await orchestrator.start(flow(), "A1")).wait()
        query = "/run?id=A1&tab=steps"
        counts = [
            len(set(re.findall(r">(part_\d+)<", (await browser.get(f"{query}{more}")).text)))
            for more in ("", "&page=2", "&page=3", "&page=9", "&page=x", "&status=completed", "&status=failed")
        ]
        timeline = (await browser.get("/run?id=A1&tab=timeline")).text

    assert counts == [200, 200, 50, 0, 200, 200, 0]
    assert ["part × 420"] == re.findall(r">(part × \d+)</text>", timeline)
    assert re.search(
        r'<a href="/run\?id=A1&amp;tab=timeline&amp;step=part_\d+#step"><g class="lane completed"><title>', timeline
    )


async def test_a_long_log():
    """A log goes on behind its last entry; one step of it can be looked at alone."""
    async with shown([Items]) as (orchestrator, browser):
        await (await orchestrator.start(Items(), "A1")).wait()
        first = (await browser.get("/run?id=A1&tab=events")).text
        later = re.search(r'href="([^"]+after=\d+)"', first)
        assert later is not None
        second = (await browser.get(later[1].replace("&amp;", "&"))).text
        only = (await browser.get("/run?id=A1&tab=events&only=make&after=x")).text

    numbers = [[int(each) for each in re.findall(r">\s+(\d+)  \d\d:", page)] for page in (first, second, only)]
    assert (numbers[0][0], numbers[0][-1], numbers[1][0]) == (1, 200, 201)
    assert len(numbers[2]) == 2


async def test_items_that_failed_come_first():
    """Of the items of a step 200 are shown, and those that failed are among them."""
    async with shown([Items]) as (orchestrator, browser):
        await (await orchestrator.start(Items(), "A1")).wait()
        page = (await browser.get("/run?id=A1&tab=steps&step=check")).text

    drawer = page[page.index('id="step"') :]
    assert drawer.index("too much") < drawer.index("completed", drawer.index(">Items</h3>") + 400)
    assert "1 of 2" in drawer


async def test_pages_of_items():
    """Items go in pages, and can be chosen by what became of them; what is no page is the first or the last one."""
    paths = ["&items=2", "&items=99", "&items=x", "&item_status=failed", "&item_status=nope", "&item_status=<script>"]
    async with shown([Items]) as (orchestrator, browser):
        await (await orchestrator.start(Items(), "A1")).wait()
        pages = [(await browser.get(f"/run?id=A1&tab=inputs&step=check{path}")).text for path in paths]

    counts = [len(re.findall(r'<td class="num">\d+</td><td>', page.partition(">Items</h3>")[2])) for page in pages]
    assert counts == [50, 50, 200, 1, 0, 0]
    assert 'rel="prev"' in pages[0]
    assert all("<script>" not in page.partition("<main")[2] for page in pages)


async def test_many_runs():
    """A listing goes on with older runs, each of which is shown once."""
    async with shown([Sales]) as (orchestrator, browser):
        for number in range(55):
            await orchestrator.start(Sales(), f"run-{number:02}")
        pages = [(await browser.get("/")).text]
        older = re.search(r'rel="next" href="([^"]+)"', pages[0])
        assert older is not None
        pages.append((await browser.get(older[1])).text)

    found = [re.findall(r'class="id" href="[^"]+">(run-\d\d)<', page) for page in pages]
    assert [len(each) for each in found] == [50, 5]
    assert len({*found[0], *found[1]}) == 55
    assert "data-live=" in pages[0]
    assert 'data-live=""' in pages[1]


async def test_a_schedule_that_cannot_be_read_here():
    """It is told, and keeps no other from being shown."""
    store = await orchwf.open_store("memory:")
    async with Orchestrator(store, workflows=[Sales]) as orchestrator:
        await orchestrator.schedule(Sales(), cron="0 6 * * *", name="good")
        record = (await store.schedules("good"))[0]
        await store.put_schedule(attrs.evolve(record, name="bad", tz="Moon/Crater", revision=0))
        await (await orchestrator.get_schedule("good")).trigger()
    async with visitor(create_app(store)) as browser:
        page = (await browser.get("/schedules")).text
    await store.close()

    assert "Moon/Crater" in page
    assert "good" in page
