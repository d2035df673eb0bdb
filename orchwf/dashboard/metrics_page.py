"""What Prometheus scrapes: no page for people."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from .site import Site


async def show(site: Site, request: Request) -> Response:
    """The metrics of the store, and of what executes runs here; they are counted from the first time on."""
    try:
        from ..metrics import CONTENT_TYPE, registry_of, rendered  # It comes with an extra that may not be installed.
    except ImportError as error:
        return PlainTextResponse(f"{error}\n", HTTPStatus.NOT_IMPLEMENTED)
    if site.registry is None:
        site.registry = registry_of(site.orchestrator or site.store)
    return Response(await rendered(site.registry), media_type=CONTENT_TYPE)
