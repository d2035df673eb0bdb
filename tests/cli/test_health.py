"""What a worker says of itself over HTTP, and whom it does not listen to."""

import asyncio
import contextlib
import json

import attrs
import pytest

from orchwf.cli import serving as module
from orchwf.cli.exits import CommandError
from orchwf.cli.health import health_pages
from orchwf.cli.serving import parse_address, served
from orchwf.runtime.health import Health
from orchwf.runtime.measures import CommitTimes

WELL = Health(
    worker="process 7 on vm, ab12", since=1000.0, renewed_at=1005.0, is_alive=True, is_ready=True, is_draining=False,
    runs=2, steps=3, lease_age=1.5, loop_lag=0.0002,
    commits=CommitTimes(count=9, last=0.001, mean=0.002, p99=0.004, size=2.5),
)  # fmt: skip
DRAINING = attrs.evolve(WELL, is_ready=False, is_draining=True)
CUT_OFF = attrs.evolve(WELL, is_ready=False)
DEAD = attrs.evolve(DRAINING, is_alive=False)


async def asked(url: str, request: bytes) -> tuple[str, list[str], bytes]:
    """What is answered to this: the first line, the headers, the body."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.write(request)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    return line, headers, body


def closed_somehow() -> "contextlib.suppress":
    """A connection is closed with an error if not all that was sent had been read, and else without."""
    return contextlib.suppress(ConnectionError)


def request(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("health", "is_well", "is_ready", "status"),
    [
        (None, True, False, "starting"),
        (WELL, True, True, "ready"),
        (DRAINING, True, False, "draining"),
        (CUT_OFF, True, False, "unwell"),
        (DEAD, False, False, "unwell"),
    ],
)
async def test_how_a_worker_is(health: Health | None, is_well: bool, is_ready: bool, status: str):
    """By the status code, for machines; and with a few numbers, for people."""
    async with served(("127.0.0.1", 0), health_pages(lambda: health), "--health") as url:
        answers = [await asked(url, request(path)) for path in ("/healthz", "/readyz?verbose")]

    codes = {True: "HTTP/1.1 200 OK", False: "HTTP/1.1 503 Service Unavailable"}
    assert [codes[is_well], codes[is_ready]] == [line for line, _, _ in answers]
    assert [status, status] == [json.loads(body)["status"] for _, _, body in answers]


async def test_what_is_told():
    """Who it is, since when, and how much it does; nothing of its store."""
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        _, headers, body = await asked(url, request("/readyz"))

    assert {
        "status": "ready", "worker": "process 7 on vm, ab12", "since": "1970-01-01T00:16:40.000Z",
        "renewed_at": "1970-01-01T00:16:45.000Z", "runs": 2, "steps": 3, "lease_age": 1.5, "store_answers": True,
        "loop_lag": 0.0002, "commits": {"count": 9, "last": 0.001, "mean": 0.002, "p99": 0.004, "size": 2.5},
    } == json.loads(body)  # fmt: skip
    own = {"Content-Type: application/json", "Cache-Control: no-store", "Connection: close"}
    assert {*own, f"Content-Length: {len(body)}"} == set(headers)


@pytest.mark.parametrize(
    ("asked_for", "line", "has_body"),
    [
        (request("/healthz", "HEAD"), "200 OK", False),
        (request("/healthz", "POST"), "405 Method Not Allowed", True),
        (request("/"), "404 Not Found", True),
        (request("/healthz/../etc/passwd"), "404 Not Found", True),
        (b"nonsense\r\n\r\n", "400 Bad Request", True),
        (b"GET /healthz SPDY/3\r\n\r\n", "400 Bad Request", True),
        (b"\xff\xfe \x00 HTTP/1.1\r\n\r\n", "405 Method Not Allowed", True),
    ],
)
async def test_what_is_answered_otherwise(asked_for: bytes, line: str, has_body: bool):
    """Two paths, two methods, and nothing else."""
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        first, headers, body = await asked(url, asked_for)

    assert f"HTTP/1.1 {line}" == first
    assert has_body == bool(body)
    assert ("Allow: GET, HEAD" in headers) == line.startswith("405")


async def test_a_request_that_is_too_long_is_not_answered():
    """The connection is closed; the next one is served."""
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /" + b"a" * 100_000)
        with closed_somehow():
            assert b"" == await reader.read()
        writer.close()
        line, _, _ = await asked(url, request("/healthz"))

    assert "HTTP/1.1 200 OK" == line


async def test_who_sends_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch):
    """Nobody keeps a connection for longer than it takes to ask."""
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        line = await asked(url, b"GET /healthz HTTP/1.1\r\n")

    assert ("", [], b"") == line


async def test_who_is_slow_does_not_keep_the_worker():
    """It closes at once, whoever is connected."""
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(5)]
        line, _, _ = await asked(url, request("/healthz"))

    for reader, writer in silent:
        with closed_somehow():
            assert b"" == await reader.read()
        writer.close()
    assert "HTTP/1.1 200 OK" == line


async def test_there_are_not_too_many(monkeypatch: pytest.MonkeyPatch):
    """Who comes when as many are connected as may be is sent away; those who go make place."""
    monkeypatch.setattr(module, "_MOST_CLIENTS", 2)
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
        refused: object = b""
        with closed_somehow():
            refused = (await asked(url, request("/healthz")))[2]
        for reader, writer in silent:
            writer.write(request("/healthz"))
            assert await reader.read()
            writer.close()
        line, _, _ = await asked(url, request("/healthz"))

    assert b"" == refused
    assert "HTTP/1.1 200 OK" == line


async def test_many_ask_at_once():
    """Each is answered."""
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        answers = await asyncio.gather(*(asked(url, request("/healthz")) for _ in range(50)))

    assert {"HTTP/1.1 200 OK"} == {line for line, _, _ in answers}


async def test_without_an_address_nothing_listens():
    """It is there on request only."""
    async with served(None, health_pages(lambda: WELL), "--health") as url:
        assert "" == url


async def test_what_the_block_raises_is_raised_as_it_was():
    """In no group."""
    with pytest.raises(KeyError):
        async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health"):
            raise KeyError("x")


async def test_an_address_that_is_taken():
    """Or that is none of this machine's."""
    async with served(("127.0.0.1", 0), health_pages(lambda: WELL), "--health") as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(CommandError, match=f"--health cannot listen on 127.0.0.1:{port}: "):
            async with served(("127.0.0.1", port), health_pages(lambda: WELL), "--health"):
                pass


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:8080", ("127.0.0.1", 8080)), ("[::1]:80", ("::1", 80)), ("localhost:0", ("localhost", 0))],
)
def test_addresses(text: str, address: tuple[str, int]):
    """Host and port."""
    assert address == parse_address(text, "--health")


@pytest.mark.parametrize("text", ["8080", ":8080", "host:", "host:70000", "::1:80", "host:http", "[]:80", ""])
def test_texts_that_are_no_addresses(text: str):
    """Each of them says what is wanted."""
    with pytest.raises(CommandError, match=r"--health takes HOST:PORT, such as 127\.0\.0\.1:8080, not "):
        parse_address(text, "--health")


@pytest.mark.parametrize(
    ("text", "address"),
    [("9464", ("127.0.0.1", 9464)), ("0", ("127.0.0.1", 0)), ("0.0.0.0:9464", ("0.0.0.0", 9464))],
)
def test_a_port_alone(text: str, address: tuple[str, int]):
    """Where a port is enough, nobody but this machine reaches it."""
    assert address == parse_address(text, "--metrics-port", "127.0.0.1")


@pytest.mark.parametrize("text", ["x", ":9464", "70000", "::1:80", ""])
def test_texts_that_are_no_ports(text: str):
    """They say that a port is enough."""
    with pytest.raises(CommandError, match=r"--metrics-port takes PORT or HOST:PORT, such as 9464, not "):
        parse_address(text, "--metrics-port", "127.0.0.1")
