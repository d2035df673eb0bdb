"""The application: which address leads where, and what is answered when something goes wrong."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ..errors import (
    NotResumableError,
    OrchwfError,
    RunEndedError,
    RunExistsError,
    RunNotFoundError,
    RunOwnedError,
    ScheduleNotFoundError,
    StoreError,
    UnknownWorkflowError,
    UnpublishedWorkflowError,
    WorkflowChangedError,
)
from ..orchestrator import Orchestrator
from ..ports import Clock, Store
from ..runtime.clock import SystemClock
from ..stores import default_store
from . import (
    actions,
    live,
    looks,
    metrics_page,
    run_page,
    runs_page,
    schedules_page,
    sign_in,
    system_page,
    workflow_page,
)
from .access import checked_access
from .forms import known_dags
from .guard import Guard
from .site import FOLDER, Site

Page = Callable[[Site, Request], Awaitable[Response]]

_STATUSES: dict[type[OrchwfError], HTTPStatus] = {
    RunNotFoundError: HTTPStatus.NOT_FOUND,
    ScheduleNotFoundError: HTTPStatus.NOT_FOUND,
    UnpublishedWorkflowError: HTTPStatus.NOT_FOUND,
    UnknownWorkflowError: HTTPStatus.CONFLICT,
    WorkflowChangedError: HTTPStatus.CONFLICT,
    NotResumableError: HTTPStatus.CONFLICT,
    RunOwnedError: HTTPStatus.CONFLICT,
    RunEndedError: HTTPStatus.CONFLICT,
    RunExistsError: HTTPStatus.CONFLICT,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}

_PAGES: dict[str, Page] = {
    "/": runs_page.show,
    "/run": run_page.show,
    "/value": run_page.value,
    "/workflows": workflow_page.show_all,
    "/workflow": workflow_page.show,
    "/schedules": schedules_page.show,
    "/workers": system_page.show_workers,
    "/system": system_page.show,
    "/sign-in": sign_in.show,
    "/live": live.tell,
    "/metrics": metrics_page.show,
}
_ACTIONS: dict[str, Page] = {
    "/sign-in": sign_in.enter,
    "/sign-out": sign_in.leave,
    **{f"/do/{name}": act for name, act in actions.ACTIONS.items()},
}


def create_app(
    store: str | Store | None = None,
    *,
    orchestrator: Orchestrator | None = None,
    workflows: Sequence[type] = (),
    token: str | None = None,
    read_only: bool = False,
    payloads: bool = True,
    hosts: Collection[str] = ("localhost", "127.0.0.1", "::1"),
    clock: Clock | None = None,
) -> "Dashboard":
    """
    The dashboard of a store, as an ASGI application: to be served by itself, or mounted under any prefix.

    Args:
        store: A URL (`sqlite:///path`, `postgresql://...`), which is opened when the server starts; or a store, which
            is never closed here: so it has to be where the application is mounted. By default `$ORCHWF_STORE`.
        orchestrator: What executes the runs that somebody resumes or forks on a page; it is never closed here. Without
            one these can only be resumed where their code is.
        workflows: Classes of which the code is at hand: the forms of their inputs and signals are made of their types.
        token: What somebody has to know to change anything, of at least 16 characters. Without one nobody can. If
            others than this machine can reach the server it is needed for looking, too.
        read_only: Whether nothing can be changed even with the token.
        payloads: Whether inputs, outputs and what is said to runs is shown.
        hosts: The names by which browsers call the server; others are refused. `0.0.0.0` stands for all addresses in
            figures.

    Raises:
        UsageError: a token can be guessed; or others can reach the server, and there is none.
    """
    clock = clock or SystemClock()
    site = Site(
        given=default_store() if store is None else store, orchestrator=orchestrator, types=known_dags(workflows),
        access=checked_access(token=token, is_read_only=read_only, hosts=hosts, clock=clock), shows_payloads=payloads,
        clock=clock,
    )  # fmt: skip

    app = Starlette(routes=_routes(site), lifespan=site.serving, exception_handlers=_handlers(site))
    return Dashboard(app, site)


class Dashboard(Guard):
    """The dashboard, as an ASGI application."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        super().__init__(app, site.access)
        self._site = site

    def stop(self) -> None:
        """Let go of whoever watches a page: the server is about to end, and would wait for them."""
        self._site.stop()


def _routes(site: Site) -> list[Route | Mount]:
    return [
        *(Route(path, _endpoint(site, page)) for path, page in _PAGES.items()),
        *(Route(path, _endpoint(site, act), methods=["POST"]) for path, act in _ACTIONS.items()),
        Route("/static/statuses.css", _stylesheet),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
    ]


def _endpoint(site: Site, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return await page(site, request)

    return answer


async def _stylesheet(request: Request) -> Response:
    return PlainTextResponse(looks.stylesheet(), media_type="text/css")


def _handlers(site: Site) -> "dict[type[Exception] | int, Callable[[Request, Exception], Awaitable[Response]]]":
    async def told(request: Request, error: Exception) -> Response:
        kind = next((status for each, status in _STATUSES.items() if isinstance(error, each)), HTTPStatus.BAD_REQUEST)
        return site.page(request, "error.html", status=kind, title=kind.phrase, told=str(error))

    async def not_there(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
        status = HTTPStatus(code)
        return site.page(request, "error.html", status=status, title=status.phrase, told=status.description)

    return {OrchwfError: told, HTTPException: not_there}
