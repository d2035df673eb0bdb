"""Several `orchwf worker` on one store, and a client beside them: each of them is a process of its own."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from orchwf import Client, Orchestrator, open_store
from orchwf.cli.loading import load_one, parse_target
from orchwf.core.events import StepStarted
from tests.cli.console import Shell, read_until
from tests.cli.ship import FLOW
from tests.slowness import without_slowness


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, shell: Shell) -> str:
    """A store for several processes, of which nobody has served the flow yet."""
    shell.write("ship.py", FLOW)
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{shell.folder / 'runs.db'}"


async def publish(url: str) -> None:
    """Let the store know the flow, as whoever served it before has left it."""
    (ship,) = load_one(parse_target("ship.py")).workflows
    async with Orchestrator(url, workflows=[ship]):
        pass


async def start(url: str, *orders: str) -> None:
    """Start a run of each of these orders, which is called like it."""
    async with Client(url) as client:
        for order in orders:
            await client.start("Ship", {"order": order}, run_id=order)


async def result_of(url: str, run_id: str) -> Any:
    """What the last step of this run returned, once it has ended."""
    async with Client(url) as client:
        return (await (await client.get(run_id)).result())["send"]


async def attempts_of(url: str, run_id: str) -> list[tuple[str, int]]:
    """Each attempt of a step that began."""
    store = await open_store(url)
    try:
        log = await store.read(run_id)
    finally:
        await store.close()
    return [(event.step, event.attempt) for event in log if isinstance(event, StepStarted)]


def begun_first(url: str, *run_ids: str) -> list[str]:
    """These runs, first the one of which a step has begun."""
    while not any(begun := [bool(asyncio.run(attempts_of(url, run_id))) for run_id in run_ids]):
        # Another process writes it.
        time.sleep(0.01)
    return sorted(run_ids, key=dict(zip(run_ids, begun, strict=True)).__getitem__, reverse=True)


def worker(shell: Shell, url: str, *words: str, until: str = "serving") -> "subprocess.Popen[str]":
    """A worker; it has printed a line with this text."""
    process = shell.start("worker", "ship.py", "--store", url, *words)
    read(process, until)
    return process


def read(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    return read_until(process.stdout, text)


def stop(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Tell it to end: its exit code, and its errors."""
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    return process.returncode, without_slowness(err)


def test_what_a_client_starts_is_executed(shell: Shell, url: str):
    """By a worker, whose lines say so; the client has no code, and gets the result."""
    asyncio.run(publish(url))
    asyncio.run(start(url, "a"))
    shell.write("go-a", "")

    process = worker(shell, url, until="> Ship run a started")
    found = asyncio.run(result_of(url, "a"))
    printed = read(process, "completed")

    assert "a is sent" == found
    assert "+ Ship run a completed in " in printed
    assert (0, "") == stop(process)


def test_a_worker_that_is_told_to_end_leaves_what_waits(shell: Shell, url: str):
    """It has both runs, and one place: while one has its grace another worker goes on with the other one."""
    asyncio.run(publish(url))
    asyncio.run(start(url, "a", "b"))
    first = worker(shell, url, "--concurrency", "1", "--grace", "1h")
    kept, left = begun_first(url, "a", "b")

    first.send_signal(signal.SIGTERM)
    read(first, "stopping")
    other = worker(shell, url, until=f"> Ship run {left} goes on")
    shell.write(f"go-{left}", "")
    found = asyncio.run(result_of(url, left))
    is_ending = first.poll() is None
    shell.write(f"go-{kept}", "")
    out, err = first.communicate(timeout=60)
    stop(other)

    assert (f"{left} is sent", True) == (found, is_ending)
    assert (0, "") == (first.returncode, without_slowness(err))
    assert out.splitlines()[-1].startswith("o stopped; ")
    assert [("pack", 1)] == asyncio.run(attempts_of(url, kept))[:1]
    assert [("pack", 1), ("send", 1)] == asyncio.run(attempts_of(url, left))


def test_a_worker_that_is_killed_is_followed_by_another_one(shell: Shell, url: str):
    """What was in flight runs again, and what was done does not."""
    asyncio.run(publish(url))
    asyncio.run(start(url, "a"))
    first = worker(shell, url)

    first.kill()
    first.communicate()
    second = worker(shell, url, until="> Ship run a goes on")
    shell.write("go-a", "")
    found = asyncio.run(result_of(url, "a"))
    code, err = stop(second)

    assert ("a is sent", 0, "") == (found, code, err)
    assert [("pack", 1), ("pack", 2), ("send", 1)] == asyncio.run(attempts_of(url, "a"))


# What it says of itself.


def probe(url: str) -> tuple[int, Any]:
    """The status code and the document that are answered at this URL."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_worker_says_how_it_is(shell: Shell, url: str):
    """While it takes up runs, and while it is told to end: alive in both, ready in one."""
    asyncio.run(publish(url))
    asyncio.run(start(url, "a"))
    process = worker(shell, url, "--health", "127.0.0.1:0", "--grace", "1h")
    match = re.search(r"health at (\S+)/healthz and (\S+)/readyz\n", read(process, "health at"))
    assert match is not None
    before = [probe(f"{match[1]}/healthz"), probe(f"{match[2]}/readyz")]
    process.send_signal(signal.SIGTERM)
    read(process, "stopping")
    after = [probe(f"{match[1]}/healthz"), probe(f"{match[2]}/readyz")]
    shell.write("go-a", "")
    _, err = process.communicate(timeout=60)

    assert [(200, "ready"), (200, "ready")] == [(code, document["status"]) for code, document in before]
    assert [(200, "draining"), (503, "draining")] == [(code, document["status"]) for code, document in after]
    assert [1, 1] == [before[0][1]["runs"], before[0][1]["steps"]]
    assert f"process {process.pid} on " in before[0][1]["worker"]
    assert (0, "") == (process.returncode, without_slowness(err))
    assert "sqlite" not in json.dumps([before, after])


def test_an_address_that_is_taken(shell: Shell):
    """It ends, and says why."""
    shell.write("ship.py", FLOW)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = shell("worker", "ship.py", "--health", f"127.0.0.1:{port}")

    assert 2 == said.code
    assert f"--health cannot listen on 127.0.0.1:{port}: " in said.err


# `orchwf run --detach`.


def test_a_run_is_left_to_a_worker(shell: Shell):
    """It is there when the command returns, and begins as soon as one comes."""
    shell.write("ship.py", FLOW)

    said = shell("run", "ship.py", "-i", "order=a", "--run-id", "a", "--tag", "team=eu", "--detach")
    listed, shown = shell("runs"), shell("show", "a")
    document = shell("show", "a", "--json").json

    assert 0 == said.code
    assert [
        "> Ship run a waits for a worker",
        "  See it with:  orchwf show a",
        "  If there is no worker yet:  orchwf worker ship.py",
    ] == said.lines
    assert "waits for a worker" in listed.lines[1]
    assert "> Ship run a running   (2 to do)" == shown.lines[0]
    assert (True, False, {"team": "eu"}) == (document["queued"], document["interrupted"], document["tags"])
    shell.write("go-a", "")
    process = shell.start("worker", "ship.py")
    read(process, "completed")
    assert (0, "") == stop(process)


def test_a_run_is_left_for_programs(shell: Shell):
    """With -q its id alone is printed, with --json what there is to know of it."""
    shell.write("ship.py", FLOW)

    quiet = shell("run", "ship.py", "-i", "order=a", "--run-id", "a", "--detach", "-q")
    document = shell("run", "ship.py", "-i", "order=b", "--run-id", "b", "--detach", "--json").json
    again = shell("run", "ship.py", "-i", "order=a", "--run-id", "a", "--detach")

    assert "a\n" == quiet.out
    assert ("b", True) == (document["id"], document["queued"])
    assert (2, True) == (again.code, "run 'a' exists already" in again.err)


def test_a_store_in_memory_is_out_of_reach(shell: Shell):
    """No worker can take up what only this process has."""
    said = shell("run", "sales.py", "--detach", "--store", "memory:")

    assert (2, "") == (said.code, said.out)
    assert "--detach takes a store that a worker can reach" in said.err


def test_a_run_that_waits_for_a_worker_is_ended_here(shell: Shell):
    """Where its code is, nobody has to come for that."""
    shell.write("ship.py", FLOW)
    shell("run", "ship.py", "-i", "order=a", "--run-id", "a", "--detach")

    said = shell("cancel", "a")

    assert (0, "/ run a is cancelled") == (said.code, said.lines[-1])


# Queues.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("api", "Queue(concurrency=...) takes a whole number of at least 1, or None for no bound, not ''"),
        ("api=many", "takes a whole number of at least 1, or None for no bound, not 'many'"),
        ("api=0", "takes a whole number of at least 1, or None for no bound, not 0"),
        ("api=4,5", "it says concurrency twice"),
        ("api=4/second,5/day", "it says rate twice"),
        ("api=4/x", "takes a number of steps per time, not '4/x'"),
        ("=4", "name"),
    ],
)
def test_limits_that_cannot_be(shell: Shell, text: str, told: str):
    """What is wrong, and what it looks like."""
    said = shell("worker", "sales.py", "--queues", text)

    assert 2 == said.code
    assert said.err.startswith("--queues takes NAME=LIMIT, such as api=4, mail=100/minute or api=4,10/second, not ")
    assert told in said.err


@pytest.mark.slow
def test_steps_of_a_queue_that_is_named(shell: Shell):
    """Nobody else can give its limits: without them the worker says how."""
    shell.write("ship.py", FLOW.replace("@step\n    def send", '@step(queue="carrier")\n    def send'))
    shell.write("go-a", "")
    shell("run", "ship.py", "-i", "order=a", "--run-id", "a", "--detach")

    without = shell("worker", "ship.py")
    process = shell.start("worker", "ship.py", "--queues", "carrier=1,100/second", "--queues", "other=2")
    read(process, "completed")

    assert (2, True) == (without.code, "orchwf worker --queues carrier=4" in without.err)
    assert (0, "") == stop(process)


def test_the_commands_of_before(shell: Shell):
    """`serve` is another name of it."""
    said = shell("serve")

    assert (2, "name at least one workflow: orchwf worker file.py\n") == (said.code, said.err)
