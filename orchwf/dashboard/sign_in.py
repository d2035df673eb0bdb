"""Where somebody gives the token, who then may change something."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .site import Site, base_of, field_of, form_of


async def show(site: Site, request: Request) -> Response:
    """The form that asks for the token."""
    return site.page(request, "sign_in.html", next=request.query_params.get("next", ""), told="")


async def enter(site: Site, request: Request) -> Response:
    """Give the browser a session, if its user knows the token."""
    form = form_of(request)
    wanted = field_of(form, "next")
    if not site.access.is_token(field_of(form, "token")):
        told = "That is not the token." if site.access.is_patient else "Too many wrong tokens: wait for a minute."
        status = HTTPStatus.FORBIDDEN if site.access.is_patient else HTTPStatus.TOO_MANY_REQUESTS
        return site.page(request, "sign_in.html", status=status, next=wanted, told=told)
    answer = RedirectResponse(f"{base_of(request)}{own_path(wanted)}", HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        site.access.name_of_cookie, site.access.new_session(), httponly=True, samesite="strict",
        path=base_of(request) or "/", secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


async def leave(site: Site, request: Request) -> Response:
    """Let the browser forget its session."""
    answer = RedirectResponse(f"{base_of(request)}/", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(site.access.name_of_cookie, path=base_of(request) or "/")
    return answer


def own_path(text: str) -> str:
    """The path, if it is one of the dashboard, else that of its first page: nobody is sent elsewhere."""
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_own else "/"
