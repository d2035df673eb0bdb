"""The web examples under a real server, that is killed in the midst of a run, begins anew, and ends in good order."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest

from orchwf import Client
from orchwf.core.events import StepCompleted, StepStarted
from tests.web.test_apps import KEY, TEA

if not hasattr(signal, "SIGKILL"):
    # This system kills otherwise, and a server of it takes no socket over.
    pytest.skip("needs signals", allow_module_level=True)

pytestmark = pytest.mark.slow
PATIENCE = 30.0
"""Seconds after which a test gives up that waits for something."""


class Asked:
    """An attempt that waits for a word: `charge 1 A1/charge 4711`, the last one being the process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = connection.makefile("rw", encoding="utf-8")
        step, attempt, self.key, pid = self._stream.readline().split()
        self.attempt, self.pid = (step, int(attempt)), int(pid)

    def hang_up(self) -> None:
        """Its process is dead."""
        with self._connection, self._stream:
            pass

    def answer(self, word: str) -> None:
        with self._connection, self._stream:
            self._stream.write(f"{word}\n")


class Site:
    """
    An example, its servers, and the bank that its steps ask. The socket is the test's: who asks while no server lives
    is heard by the next one.
    """

    def __init__(self, example: str, folder: Path) -> None:
        self.store = f"sqlite:///{folder / 'runs.db'}"
        self._socket, self._bank = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
        self._bank.settimeout(PATIENCE)
        self._environment = {
            **os.environ, "ORCHWF_STORE": self.store, "EXAMPLE": example,
            "BANK": str(self._bank.getsockname()[1]), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }  # fmt: skip
        self._begun: list[subprocess.Popen[bytes]] = []
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self._socket.getsockname()[1]}", timeout=PATIENCE,
            headers={"Connection": "close"},
        )  # fmt: skip

    def serve(self, *options: str) -> "subprocess.Popen[bytes]":
        descriptor = self._socket.fileno()
        words = ["--fd", str(descriptor), "--log-level", "warning", *options, "tests.web.site:app"]
        server = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "uvicorn", *words], env=self._environment, pass_fds=[descriptor]
        )
        self._begun.append(server)
        return server

    def asked(self) -> Asked:
        """The next attempt that asks the bank."""
        return Asked(self._bank.accept()[0])

    @contextmanager
    def waiting(self, path: str) -> Iterator[BinaryIO]:
        """What is answered at this address, by and by."""
        with socket.create_connection(self._socket.getsockname(), PATIENCE) as asking, asking.makefile("rb") as answer:
            asking.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            yield answer

    def log(self, run_id: str) -> list[tuple[str, str, int]]:
        """`("started", step, attempt)` and `("completed", step, attempt)`, as they are in the store."""

        async def read() -> list[tuple[str, str, int]]:
            async with Client(self.store) as client:
                run = await client.get(run_id)
                return [
                    (event.kind.removeprefix("step."), event.step, event.attempt or 0)
                    async for event in run.events()
                    if isinstance(event, StepStarted | StepCompleted)
                ]

        return asyncio.run(read())

    def close(self) -> None:
        for server in self._begun:
            server.kill()
            server.wait()
        self.client.close()
        self._socket.close()
        self._bank.close()


@pytest.fixture(params=["fastapi_app", "starlette_app", "django_app"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """An example, of which no server has begun."""
    site = Site(request.param, tmp_path)
    try:
        yield site
    finally:
        site.close()


def test_a_killed_server_is_resumed_by_the_next(site: Site):
    """What completed is not run again, what was in flight is, with the same key; a plea to end lets it end."""
    server = site.serve()
    assert 202 == site.client.post("/orders", json=TEA, headers=KEY).status_code
    site.asked().answer("9.00")
    first = site.asked()
    server.kill()
    server.wait()
    first.hang_up()

    server = site.serve()
    second = site.asked()
    second.answer("receipt-1")
    parcel = site.client.get("/orders/A1/parcel")
    again = site.client.post("/orders", json=TEA, headers=KEY)

    assert [("charge", 1), ("charge", 2)] == [first.attempt, second.attempt]
    assert (first.key, "A1/charge") == (second.key, second.key)
    assert first.pid != second.pid
    assert {"receipt": {"number": "receipt-1", "amount": "9.00"}, "days": 3} == parcel.json()
    assert {"id": "A1"} == again.json()
    expected = [
        ("started", "price", 1), ("completed", "price", 1), ("started", "charge", 1), ("started", "charge", 2),
        ("completed", "charge", 2), ("started", "ship", 1), ("completed", "ship", 1),
    ]  # fmt: skip
    assert expected == site.log("A1")

    ends_in_good_order(site, server)


def ends_in_good_order(site: Site, server: "subprocess.Popen[bytes]") -> None:
    """Told to end, the server lets go of who waits for a run, and lets the step in flight end; the rest is left."""
    site.client.post("/orders", json=TEA, headers={"Idempotency-Key": "A2"})
    site.asked().answer("9.00")
    with site.waiting("/orders/A2/parcel") as waiting:
        in_flight = site.asked()
        # Who came later has been answered: so the other one is heard, and waits.
        site.client.get("/orders/A2")
        server.send_signal(signal.SIGTERM)
        in_flight.answer("receipt-2")

        assert -signal.SIGTERM == server.wait(PATIENCE)
        assert waiting.readline().split()[1] in (b"200", b"503")
    log = site.log("A2")
    assert ("completed", "charge", 1) in log
    assert log == sorted(set(log), key=log.index)


@pytest.mark.parametrize("site", ["fastapi_app"], indirect=True)
def test_processes_of_one_server_share_the_runs(site: Site):
    """Each has an orchestrator of its own; whoever is asked tells of runs that another one executes."""
    server = site.serve("--workers", "2")
    keys = [f"A{number}" for number in range(12)]
    for key in keys:
        site.client.post("/orders", json=TEA, headers={"Idempotency-Key": key})

    workers = set()
    for _ in range(2 * len(keys)):
        asked = site.asked()
        workers.add(asked.pid)
        asked.answer("9.00")
    parcels = [site.client.get(f"/orders/{key}/parcel").json() for key in keys]

    assert ["9.00"] * len(keys) == [parcel["receipt"]["number"] for parcel in parcels]
    assert workers <= children(server.pid)
    for key in keys:
        assert sorted(set(site.log(key))) == sorted(site.log(key))
    server.terminate()
    assert server.wait(PATIENCE) in (0, -signal.SIGTERM)


def children(pid: int) -> set[int]:
    """The processes that this one has begun."""
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.is_dir():
        pytest.skip("this system does not tell the children of a process")
    return {int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()}
