"""A small HTTP server for machines: a few pages, read only, that keep a worker from nothing."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn

import attrs

from .documents import Document
from .exits import CommandError

_LONGEST_REQUEST = 8_192
_PATIENCE = 5.0
"""Seconds that a client has for its request, and again for reading the answer."""
_MOST_CLIENTS = 64


@attrs.frozen
class Answer:
    """What is answered: a status, a body and what it is, and headers of its own."""

    status: str
    body: bytes
    kind: str
    headers: tuple[str, ...] = ()

    def to_bytes(self, *, has_body: bool = True) -> bytes:
        """It as HTTP has it."""
        head = [
            f"HTTP/1.1 {self.status}", f"Content-Type: {self.kind}", f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store", "Connection: close", *self.headers,
        ]  # fmt: skip
        return "\r\n".join([*head, "", ""]).encode() + (self.body if has_body else b"")


Page = Callable[[], Awaitable[Answer]]
"""What gives the answer to whoever asks for a path."""


def answer_with(status: str, document: Document, headers: tuple[str, ...] = ()) -> Answer:
    """The answer with this document, as JSON."""
    return Answer(status, (json.dumps(document) + "\n").encode(), "application/json", headers)


def parse_address(text: str, option: str, host: str = "") -> tuple[str, int]:
    """
    Host and port of `127.0.0.1:8080`, `[::1]:8080`.

    Args:
        option: For what it was given.
        host: Where it is if only a port is given; empty if that is not enough.

    Raises:
        CommandError: it is no such text.
    """
    given, colon, port = text.rpartition(":")
    if not colon:
        given = host
    is_bracketed = given.startswith("[") and given.endswith("]")
    name = given[1:-1] if is_bracketed else given
    if not (name and port.isascii() and port.isdigit() and int(port) < 65_536) or (":" in name and not is_bracketed):
        wanted = "HOST:PORT, such as 127.0.0.1:8080" if not host else "PORT or HOST:PORT, such as 9464"
        raise CommandError(f"{option} takes {wanted}, not {text!r}")
    return name, int(port)


async def answer_to(head: bytes, pages: Mapping[str, Page]) -> Answer:
    """The answer to a request of which these are the line and the headers."""
    line = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(line) != 3 or not line[2].startswith("HTTP/1."):
        return answer_with("400 Bad Request", {"error": "this is no HTTP request"})
    if line[0] not in ("GET", "HEAD"):
        return answer_with("405 Method Not Allowed", {"error": "only GET and HEAD are answered"}, ("Allow: GET, HEAD",))
    page = pages.get(line[1].partition("?")[0])
    if page is None:
        return answer_with("404 Not Found", {"error": f"there is {' and '.join(pages)}"})
    return await page()


@asynccontextmanager
async def served(address: tuple[str, int] | None, pages: Mapping[str, Page], option: str) -> AsyncIterator[str]:
    """
    Answer whoever asks, in the block; gives the URL at which that is done, or nothing without an address.

    Args:
        pages: Path -> what is answered there.
        option: By which the address was given.

    Raises:
        CommandError: nobody can listen there.
    """
    if address is None:
        yield ""
        return
    try:
        async with asyncio.TaskGroup() as group:
            clients = _Clients(pages, group)
            server = await _listening(clients, *address, option)
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


async def _listening(clients: "_Clients", host: str, port: int, option: str) -> asyncio.Server:
    try:
        return await asyncio.start_server(clients.welcome, host, port, limit=_LONGEST_REQUEST)
    except OSError as error:
        raise CommandError(f"{option} cannot listen on {host}:{port}: {error.strerror or error}") from error


def _url(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Clients:
    """Those who ask, each of them for a moment: none of them keeps the worker from anything."""

    def __init__(self, pages: Mapping[str, Page], group: asyncio.TaskGroup) -> None:
        self._pages = pages
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
                answer = await answer_to(head, self._pages)
                writer.write(answer.to_bytes(has_body=not head.startswith(b"HEAD ")))
                writer.close()
                async with asyncio.timeout(_PATIENCE):
                    await writer.wait_closed()
        finally:
            writer.transport.abort()
