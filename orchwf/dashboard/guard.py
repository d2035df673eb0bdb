"""Stands before all pages: refuses what must not be, says who comes, and tells browsers what a page may do."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, quote, urlsplit

import attrs
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access

LARGEST_FORM = 1_000_000
"""How many bytes a form may have."""

OPEN_PATHS = ("/static/", "/sign-in")
"""What is shown to whoever comes."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_READING = ("GET", "HEAD")


@attrs.frozen
class Visitor:
    """
    Who comes.

    Attributes:
        is_known: Whether it is somebody who has the token.
        session: That of the browser; empty if it has none.
    """

    is_known: bool = False
    session: str = ""


class RefusedError(Exception):
    """A request is not done; the message says why, and the way out."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)


def path_of(scope: Scope) -> str:
    """The path of a request without the prefix under which the pages are mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "").rstrip("/")) or "/"


class Guard:
    """
    An ASGI application around another one.

    What it lets through has its `Visitor` and its form, which is empty if it has none, in the state of the request.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _telling(send, path_of(scope)))
        else:
            # There are no web sockets here.
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            visitor = self._visitor(request)
            form = await self._checked(request, visitor)
        except RefusedError as error:
            await PlainTextResponse(f"{error.message}\n", error.status)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        if self._must_sign_in(request, visitor):
            await _way_in(request)(scope, receive, send)
            return
        scope.setdefault("state", {}).update(visitor=visitor, form=form)
        await self._app(scope, receive, send)

    def _visitor(self, request: Request) -> Visitor:
        if not self._access.is_called(request.headers.get("host", "")):
            raise RefusedError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this server is not called so; name the host with --allow-host, or with hosts= of create_app",
            )
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            if not self._access.is_token(given.strip()):
                raise RefusedError(HTTPStatus.UNAUTHORIZED, self._wrong_token())
            return Visitor(is_known=True)
        session = request.cookies.get(self._access.name_of_cookie, "")
        return Visitor(is_known=True, session=session) if self._access.is_session(session) else Visitor()

    def _wrong_token(self) -> str:
        return "that is not the token" if self._access.is_patient else "too many wrong tokens: try again in a minute"

    async def _checked(self, request: Request, visitor: Visitor) -> Mapping[str, list[str]]:
        """The form of a request that may be done."""
        if request.method in _READING:
            return {}
        if request.method != "POST":
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "only GET, HEAD and POST are answered")
        _check_origin(request.headers)
        form = await _form_of(request)
        if path_of(request.scope) == "/sign-in":
            return form
        if not visitor.is_known:
            raise RefusedError(HTTPStatus.FORBIDDEN, "sign in with the token first")
        key = request.headers.get("x-form-key") or "".join(form.get("form_key", [])[:1])
        if visitor.session and not self._access.is_form_key(key, visitor.session):
            raise RefusedError(HTTPStatus.FORBIDDEN, "that form is none of this session: load the page again")
        if self._access.is_read_only and path_of(request.scope) != "/sign-out":
            raise RefusedError(HTTPStatus.FORBIDDEN, "this dashboard is for reading only")
        return form

    def _must_sign_in(self, request: Request, visitor: Visitor) -> bool:
        return not (visitor.is_known or self._access.is_open or path_of(request.scope).startswith(OPEN_PATHS))


def _check_origin(headers: Headers) -> None:
    """Refuse what a page of somebody else sends. A browser says where each of its forms comes from."""
    origin, host = headers.get("origin"), headers.get("host", "")
    is_foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    if is_foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError(HTTPStatus.FORBIDDEN, "that comes from another page; use the forms of the dashboard")


async def _form_of(request: Request) -> Mapping[str, list[str]]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/x-www-form-urlencoded"):
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a form is application/x-www-form-urlencoded here")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a form has at most {LARGEST_FORM:,} bytes")
    form: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=10_000):
            form.setdefault(name, []).append(value)
    except ValueError:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "that form cannot be read") from None
    return form


def _way_in(request: Request) -> Response:
    """Where somebody is sent who has to sign in."""
    if request.method != "GET" or "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse("sign in with the token first\n", HTTPStatus.UNAUTHORIZED)
    prefix = request.scope.get("root_path", "").rstrip("/")
    query = f"?{request.url.query}" if request.url.query else ""
    wanted = quote(f"{path_of(request.scope)}{query}", safe="")
    return RedirectResponse(f"{prefix}/sign-in?next={wanted}", HTTPStatus.SEE_OTHER)


def _telling(send: Send, path: str) -> Send:
    """Adds to each answer what a browser may do with it."""

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            if not path.startswith("/static/"):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return tell
