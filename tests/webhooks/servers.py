"""Real servers on loopback, and what they answer."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """The address of this application, which is served meanwhile on the loop of the test."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            # Whoever calls before it listens waits in the line of the socket.
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await serving


@attrs.define
class Scripted:
    """
    An application that answers each request with the next of its answers, the last one for ever.

    Attributes:
        answers: Status, headers and body of each.
        seen: The headers and the body of each request.
    """

    answers: list[tuple[int, Mapping[str, str], bytes]]
    seen: list[tuple[Mapping[str, str], bytes]] = attrs.field(factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.seen.append((dict(request.headers), await request.body()))
        status, headers, body = self.answers[min(len(self.seen), len(self.answers)) - 1]
        await Response(body, status, dict(headers))(scope, receive, send)
