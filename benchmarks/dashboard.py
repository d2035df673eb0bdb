"""
What pages of the dashboard take where there is much, on this machine as it is.

    python -m benchmarks.dashboard [--runs 100000] [--steps 5000] [--pages 200] [--idle 10]

It makes two SQLite files in `.bench`, which are kept for the next time: one with so many runs of ten events each, and
one with a run of so many steps. Each dashboard is a process of its own, `orchwf ui`, asked over HTTP: told is how long
half of the answers took, the longest, and the processor time of that process. With Chromium and playwright it says,
too, how long the large run takes until a browser has drawn it.

    list         one page of the listing: the first time, again, and older pages of which nothing is known yet
    run          one page of the run of many steps
    memory       of the process, before and after so many pages
    idle         statements that SQLite was asked while pages were open and nothing happened
"""

import argparse
import asyncio
import importlib.util
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import attrs
import httpx

from orchwf import Orchestrator, make_workflow, step
from orchwf.dashboard import create_app
from orchwf.dashboard.live import listing_look
from orchwf.ports import Append, RunRecord, Store, Summary
from orchwf.stores.sqlite import SQLiteStore, open_sqlite

from .places import prepared_place

_BATCH = 500
_WIDTH = 50


def _body() -> int:
    return 1


def _flow(count: int) -> type:
    """So many steps, fifty beside each other."""
    names = [f"part_{number:05}" for number in range(count)]
    steps = {
        name: step(_body, name=name, depends_on=[names[at - _WIDTH]] if at >= _WIDTH else [])
        for at, name in enumerate(names)
    }
    return make_workflow("Large", steps)


def _made(path: Path, fill: Callable[[Store], Awaitable[None]]) -> Path:
    """The file, which is filled if it is not there; what was left half done does not count."""
    if path.exists():
        return path
    begun = path.with_suffix(".begun")
    for leftover in begun.parent.glob(f"{begun.name}*"):
        leftover.unlink()

    async def make() -> None:
        store = await open_sqlite(begun, durability="process")
        await fill(store)
        await store.close()

    asyncio.run(make())
    with sqlite3.connect(begun) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    begun.rename(path)
    return path


async def _fill_runs(store: Store, count: int) -> None:
    """So many runs, a second apart: copies of one that was executed."""
    flow = _flow(4)
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.start(flow(), "first")).wait()
    model = await store.get("first")
    events = await store.read("first")
    assert model is not None
    definition = await store.definition(model.fingerprint) or ""
    begin = time.time() - count
    for first in range(0, count, _BATCH):
        appends = [
            _copy(model, events, begin + number, number, definition)
            for number in range(first, min(count, first + _BATCH))
        ]
        assert {*await store.append(appends)} == {None}


def _copy(model: RunRecord, events: list, at: float, number: int, definition: str) -> Append:  # type: ignore[type-arg]
    run_id, ended_at = f"run-{number:07}", at + 1 + number % 7
    record = attrs.evolve(model, id=run_id, created_at=at, ended_at=None, tags={"shop": "eu" if number % 2 else "us"})
    moved = [attrs.evolve(event, at=at + event.seq / 10) for event in events]
    return Append(
        run_id=run_id, expected=0, events=moved, create=record, definition=lambda: definition,
        summary=Summary(status=model.status, fingerprint=model.fingerprint, ended_at=ended_at),
    )  # fmt: skip


async def _fill_steps(store: Store, count: int) -> None:
    """One run of so many steps."""
    flow = _flow(count)
    async with Orchestrator(store, workflows=[flow]) as orchestrator:
        await (await orchestrator.start(flow(), "A1")).wait()


@contextmanager
def _served(path: Path) -> Iterator["_Dashboard"]:
    """`orchwf ui` on this store."""
    command = [sys.executable, "-m", "orchwf", "ui", "--store", f"sqlite:///{path}", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        found = None
        while found is None and (line := process.stdout.readline()):
            found = re.search(r"http://\S+?(?=/?\s|/?$)", line)
        assert found is not None, "the dashboard did not say where it is"
        try:
            with httpx.Client(base_url=found[0], timeout=60) as browser:
                browser.get("/sign-in")
                yield _Dashboard(browser, process.pid)
        finally:
            process.terminate()
            process.wait()


@attrs.frozen
class _Dashboard:
    """A dashboard that is served: who asks it, and its process."""

    browser: httpx.Client
    pid: int

    def measure(self, name: str, paths: Sequence[str]) -> None:
        """Ask for these pages, one after the other, and tell how long that took."""
        times, before = [], _processor(self.pid)
        for path in paths:
            begun = time.perf_counter()
            answer = self.browser.get(path)
            assert answer.status_code == 200, (path, answer.status_code)
            times.append(1000 * (time.perf_counter() - begun))
        _told(name, times, f"{1000 * (_processor(self.pid) - before) / len(paths):6.0f} ms CPU")


def _told(name: str, times: Sequence[float], more: str = "") -> None:
    print(f"{name:34} {statistics.median(times):8.0f} ms   at most {max(times):6.0f} ms {more}", flush=True)


def _processor(pid: int) -> float:
    """Seconds of the processor that this process has used; 0 where that cannot be known."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    used = text.rpartition(")")[2].split()[11:13]
    return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    """MiB that the process has in memory; 0 where that cannot be known."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return 0 if found is None else int(found[1]) // 1024


def _measure_listing(path: Path, runs: int, pages: int) -> None:
    with _served(path) as there:
        there.measure("list: the first time", ["/"])
        there.measure("list: again", ["/"] * 10)
        older = [f"/?before={runs - 1000 * at}" for at in range(1, min(21, runs // 1000 + 1))]
        there.measure("list: older pages", older)
        for text in ("status:completed", "tag:shop=eu", "id:run-00", "since:12h", "nothing-like-that"):
            there.measure(f"list: {text}", [f"/?{urllib.parse.urlencode({'q': text})}"] * 5)
        for page in ("/workers", "/system", "/workflows", "/workflow?name=Large"):
            there.measure(page, [page] * 5)
        before = _memory(there.pid)
        for at in range(pages):
            there.browser.get(f"/?before={runs - 50 * at}")
            there.browser.get(f"/run?id=run-{at:07}")
        print(f"{'memory':34} {before} MiB, {_memory(there.pid)} MiB after {2 * pages:,} more pages", flush=True)


def _measure_run(path: Path) -> None:
    with _served(path) as there:
        for tab in ("graph", "graph&group=0", "timeline", "steps", "events", "graph&at=4000"):
            there.measure(f"run: {tab}, the first time", [f"/run?id=A1&tab={tab}"])
            there.measure(f"run: {tab}, again", [f"/run?id=A1&tab={tab}"] * 3)
        asyncio.run(_measure_browser(str(there.browser.base_url)))


async def _measure_browser(url: str) -> None:
    """Until Chromium has drawn the graph of the run."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        print("run: in a browser: there is none (apt install chromium, pip install playwright)")
        return
    from playwright.async_api import async_playwright

    async with async_playwright() as player:
        browser = await player.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        times = []
        for _ in range(4):
            begun = time.perf_counter()
            await page.goto(f"{url.rstrip('/')}/run?id=A1")
            await page.wait_for_selector(".graph svg g.step")
            # Twice: what was asked for in the first frame is drawn by the second one.
            await page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            times.append(1000 * (time.perf_counter() - begun))
        await browser.close()
    _told("run: in Chromium, the first time", times[:1])
    _told("run: in Chromium, again", times[1:])


@asynccontextmanager
async def _counted(store: SQLiteStore) -> AsyncIterator[list[str]]:
    """What SQLite is asked in the block."""
    asked: list[str] = []
    await store._connection.call(lambda db: db.set_trace_callback(asked.append))
    yield asked
    await store._connection.call(lambda db: db.set_trace_callback(None))


async def _measure_idle(path: Path, seconds: float) -> None:
    """What a page of a run that has ended, and a listing, ask while nothing happens."""
    store = await open_sqlite(path)
    app = create_app(store)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as browser:
        await browser.get("/")
        ended = (await browser.get("/run?id=run-0000001")).text
        async with _counted(store) as asked:
            site = app._site
            look = listing_look(site, "")
            await look()
        once = len(asked)
        async with _counted(store) as asked:
            await asyncio.sleep(seconds)
        live = re.search(r'data-live="([^"]*)"', ended)
    print(f"{'idle: a run that has ended':34} {'nothing' if live and not live[1] else 'a stream'}")
    print(f"{'idle: a listing':34} {once} statements for each look, every ten seconds at last")
    print(f"{'idle: nobody looks':34} {len(asked)} statements in {seconds:g} s")
    app.stop()
    await store.close()


def main() -> None:
    """Measure it, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--idle", type=float, default=10.0)
    given = parser.parse_args()
    place = prepared_place()
    runs = _made(place / f"dashboard-{given.runs}.db", lambda store: _fill_runs(store, given.runs))
    steps = _made(place / f"dashboard-steps-{given.steps}.db", lambda store: _fill_steps(store, given.steps))
    _measure_listing(runs, given.runs, given.pages)
    _measure_run(steps)
    asyncio.run(_measure_idle(runs, given.idle))


if __name__ == "__main__":
    main()
