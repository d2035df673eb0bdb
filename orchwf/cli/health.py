"""`--health`: says over HTTP whether a worker is alive, and whether it takes up runs."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import attrs

from ..runtime.health import Health
from ..views import iso_time
from .documents import Document
from .exits import CommandError

_LONGEST_REQUEST = 8_192
_PATIENCE = 5.0
"""Seconds that a client has for its request, and again for reading the answer."""
_MOST_CLIENTS = 64
_PATHS = ("/healthz", "/readyz")


@attrs.frozen
class Answer:
    """What is answered: a status, a document for the body, and headers of its own."""

    status: str
    document: Document
    headers: tuple[str, ...] = ()

    def to_bytes(self, *, has_body: bool = True) -> bytes:
        """It as HTTP has it."""
        body = (json.dumps(self.document) + "\n").encode()
        head = [
            f"HTTP/1.1 {self.status}", "Content-Type: application/json", f"Content-Length: {len(body)}",
            "Cache-Control: no-store", "Connection: close", *self.headers,
        ]  # fmt: skip
        return "\r\n".join([*head, "", ""]).encode() + (body if has_body else b"")


def parse_address(text: str) -> tuple[str, int]:
    """
    Host and port of `127.0.0.1:8080`, `[::1]:8080`.

    Raises:
        CommandError: it is no such text.
    """
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65_536) or (
        ":" in host and not is_bracketed
    ):
        raise CommandError(f"--health takes HOST:PORT, such as 127.0.0.1:8080, not {text!r}")
    return host, int(port)


def answer_to(head: bytes, health: Health | None) -> Answer:
    """The answer to a request of which these are the line and the headers; `health` is None before the worker began."""
    line = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(line) != 3 or not line[2].startswith("HTTP/1."):
        return Answer("400 Bad Request", {"error": "this is no HTTP request"})
    if line[0] not in ("GET", "HEAD"):
        return Answer("405 Method Not Allowed", {"error": "only GET and HEAD are answered"}, ("Allow: GET, HEAD",))
    path = line[1].partition("?")[0]
    if path not in _PATHS:
        return Answer("404 Not Found", {"error": f"there are {' and '.join(_PATHS)}"})
    is_well = _is_alive(health) if path == "/healthz" else health is not None and health.is_ready
    return Answer("200 OK" if is_well else "503 Service Unavailable", health_document(health))


def _is_alive(health: Health | None) -> bool:
    # Who has not begun yet lives: it answers, and nobody waits for its lease.
    return health is None or health.is_alive


def health_document(health: Health | None) -> Document:
    """
    How a worker is, as JSON-able values: `status` is `starting`, `ready`, `draining` or `unwell`.
    """
    if health is None:
        return {"status": "starting"}
    status = "ready" if health.is_ready else "draining" if health.is_draining and health.is_alive else "unwell"
    return {
        "status": status,
        "worker": health.worker,
        "since": iso_time(health.since),
        "renewed_at": iso_time(health.renewed_at),
        "runs": health.runs,
        "steps": health.steps,
        "lease_age": round(health.lease_age, 3),
        "store_answers": health.store_answers,
        "loop_lag": round(health.loop_lag, 6),
        "commits": {
            "count": health.commits.count,
            **{name: round(getattr(health.commits, name), 6) for name in ("last", "mean", "p99")},
            "size": round(health.commits.size, 1),
        },
    }


@asynccontextmanager
async def served(address: tuple[str, int] | None, look: Callable[[], Health | None]) -> AsyncIterator[str]:
    """
    Say how a worker is to whoever asks, in the block; gives the URL at which it does, or nothing without an address.

    Args:
        look: How it is now; None before it has begun.

    Raises:
        CommandError: nobody can listen there.
    """
    if address is None:
        yield ""
        return
    try:
        async with asyncio.TaskGroup() as group:
            clients = _Clients(look, group)
            server = await _listening(clients, *address)
            try:
                yield _url(server)
            finally:
                server.close()
                clients.close()
    except BaseExceptionGroup as error:
        _raise_alone(error)


def _raise_alone(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    # What the block raised, with the cause that it had.
    raise group.exceptions[0]


async def _listening(clients: "_Clients", host: str, port: int) -> asyncio.Server:
    try:
        return await asyncio.start_server(clients.welcome, host, port, limit=_LONGEST_REQUEST)
    except OSError as error:
        raise CommandError(f"--health cannot listen on {host}:{port}: {error.strerror or error}") from error


def _url(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Clients:
    """Those who ask, each of them for a moment: none of them keeps the worker from anything."""

    def __init__(self, look: Callable[[], Health | None], group: asyncio.TaskGroup) -> None:
        self._look = look
        self._group = group
        self._tasks: set[asyncio.Task[None]] = set()

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one, unless there are too many."""
        if len(self._tasks) >= _MOST_CLIENTS:
            writer.transport.abort()
            return
        task = self._group.create_task(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Wait for nobody."""
        for task in self._tasks:
            task.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # Whoever is too slow, sends too much or goes away gets no answer.
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(_PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                answer = answer_to(head, self._look())
                writer.write(answer.to_bytes(has_body=not head.startswith(b"HEAD ")))
                writer.close()
                async with asyncio.timeout(_PATIENCE):
                    await writer.wait_closed()
        finally:
            writer.transport.abort()
