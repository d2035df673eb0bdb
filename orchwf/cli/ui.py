"""`ui`: serves the dashboard until it is told to end."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import attrs
import uvicorn

from ..core.lines import Line, names_text
from ..dashboard import create_app
from ..dashboard.access import is_loopback
from ..orchestrator import Orchestrator
from ..ports import Store
from ..runtime.interrupts import Interrupt, listening
from .execute import Stage
from .exits import CommandError, Exit
from .worker import loaded_classes, told_to_stop

TOKEN = "ORCHWF_UI_TOKEN"  # noqa: S105 - the name of a variable of the environment
_GRACE = 10.0
_JOBS = 256
_PATIENCE = 1
"""Seconds that requests have to end when the server does."""
_STOP_ON = (signal.SIGINT, signal.SIGTERM)


@attrs.frozen(kw_only=True)
class Served:
    """
    How the dashboard is served.

    Attributes:
        host: Where it listens.
        port: On which port; 0 for one that is free.
        token: What somebody has to know to change anything; empty for a new one.
        is_read_only: Whether nothing can be changed.
        shows_payloads: Whether inputs and outputs are shown.
        names: More names by which browsers may call it.
    """

    host: str
    port: int
    token: str
    is_read_only: bool
    shows_payloads: bool
    names: Sequence[str]

    @property
    def hosts(self) -> list[str]:
        """The names by which browsers may call the server."""
        own = ["localhost", "127.0.0.1", "::1"] if is_loopback(self.host) else [self.host, socket.gethostname()]
        return [*own, *self.names]

    @property
    def is_reached_by_others(self) -> bool:
        """Whether others than this machine can come."""
        return not all(map(is_loopback, self.hosts))

    def new_token(self) -> str | None:
        """The token that is wanted, or a new one; None if nobody needs one."""
        given = self.token or os.environ.get(TOKEN)
        if given or (self.is_read_only and not self.is_reached_by_others):
            return given or None
        return secrets.token_urlsafe(24)


class _Server(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change nothing."""
        yield


async def serve(stage: Stage, targets: Sequence[str], served: Served) -> int:
    """
    Serve the dashboard of a store until a signal comes.

    Args:
        targets: Workflows whose runs are executed here, too.

    Raises:
        CommandError: nobody can listen there.
    """
    workflows = loaded_classes(stage.output, targets)
    token = served.new_token()
    with _listening_at(served.host, served.port) as found:
        async with stage.opened(must_exist=not workflows) as store, _executing(stage, store, workflows) as (way, told):
            app = create_app(
                store, orchestrator=way, workflows=workflows, token=token, read_only=served.is_read_only,
                payloads=served.shows_payloads, hosts=served.hosts,
            )  # fmt: skip
            server = _Server(
                uvicorn.Config(
                    app, http="h11", ws="none", log_level="critical", access_log=False, server_header=False,
                    timeout_graceful_shutdown=_PATIENCE,
                )
            )  # fmt: skip
            _tell(stage, served, store, found, token, workflows)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[found]))
                asked = group.create_task(told.asked.wait())
                await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
                app.stop()
                asked.cancel()
                server.should_exit = True
    return Exit.DONE


@asynccontextmanager
async def _executing(
    stage: Stage, store: Store, workflows: Sequence[type]
) -> AsyncIterator[tuple[Orchestrator | None, Interrupt]]:
    """What executes runs of these workflows in the block, if there are any; and what says that a signal came."""
    if not workflows:
        with listening(_STOP_ON, "! ended at once", stage.deadline.begin) as told:
            yield None, told
        return
    orchestrator = Orchestrator(store, workflows=workflows, max_concurrency=stage.jobs or _JOBS, grace=_GRACE)
    way_on = "what runs goes on when it is taken up"
    async with told_to_stop(stage, orchestrator, way_on, _GRACE) as told:
        yield orchestrator, told


@contextmanager
def _listening_at(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"nobody can listen on {host}:{port}: {reason}; choose another --port or --host") from error
    with contextlib.closing(found):
        yield found


def _tell(
    stage: Stage, served: Served, store: Store, found: socket.socket, token: str | None, workflows: Sequence[type]
) -> None:
    host, port = ("localhost", found.getsockname()[1]) if is_loopback(served.host) else found.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    is_new = token is not None and token not in (served.token, os.environ.get(TOKEN))
    if stage.output.json:
        stage.output.document({"url": url, "store": store.url, "token": token if is_new else None}, indent=None)
        return
    lines = [Line(f"> {url}   {store.url}", "running", "strong")]
    if workflows:
        lines.append(Line(f"  executes {names_text(each.__name__ for each in workflows)}"))
    if served.is_read_only:
        lines.append(Line("  for reading only", weight="faint"))
    if is_new:
        lines.append(Line(f"  sign in with the token  {token}"))
    stage.output.lines(lines)
