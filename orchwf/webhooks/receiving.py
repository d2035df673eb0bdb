"""What comes in: signed requests that begin runs, or are sent to them as signals."""

import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

import attrs

from ..client import Client
from ..core.events import SignalReceived
from ..core.references import SignalRef
from ..errors import (
    OrchwfError,
    RunEndedError,
    RunNotFoundError,
    SignatureError,
    StoreError,
    UnpublishedWorkflowError,
    UsageError,
)
from ..orchestrator import Orchestrator
from ..ports import Clock
from ..runtime.clock import WallClock
from .signatures import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Write = Callable[[Message], Awaitable[None]]

_LARGEST = 1 << 20

_ANSWERS: dict[type[OrchwfError], tuple[HTTPStatus, str]] = {
    SignatureError: (HTTPStatus.UNAUTHORIZED, "signature"),
    RunNotFoundError: (HTTPStatus.NOT_FOUND, "run-not-found"),
    UnpublishedWorkflowError: (HTTPStatus.NOT_FOUND, "workflow-not-found"),
    RunEndedError: (HTTPStatus.GONE, "run-ended"),
    # The sender tries again.
    StoreError: (HTTPStatus.SERVICE_UNAVAILABLE, "store"),
    OrchwfError: (HTTPStatus.UNPROCESSABLE_ENTITY, "payload"),
}


@attrs.frozen(kw_only=True)
class Delivery:
    """
    A request whose signature was found to be true.

    Attributes:
        id: What its sender calls the message: the same when it is sent again.
        body: As it came.
        headers: Name in lower case -> value.
    """

    id: str
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """
        The body, read as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


@attrs.frozen
class Send:
    """What is to be sent to a run, as of `RunHandle.send`."""

    run_id: str
    signal: SignalRef[Any, Any] | str
    payload: object = None


@attrs.frozen
class Begin:
    """
    The run that is to be begun.

    Attributes:
        workflow: An instance, with its inputs; for a `Client`, also the name of a workflow.
        inputs: With a name: name of an input -> its value.
        run_id: Names the run; by default it is made of the id of the message. If there is one of this name it is that.
    """

    workflow: object
    inputs: Mapping[str, object] | None = None
    run_id: str | None = None


Wanted = Send | Begin | None
"""What a delivery is to do; None for nothing."""


@attrs.frozen
class Hook:
    """
    An address for one sender.

    Attributes:
        secret: How its requests are known to be of that sender.
        wanted: What a delivery is to do: a function, or coroutine function. That it raises `ValueError`, `LookupError`
            or `TypeError` says that the payload is wrong, and the sender is told so.
    """

    secret: Verifier
    wanted: Callable[[Delivery], Wanted | Awaitable[Wanted]]


@attrs.frozen
class _Refused(Exception):
    status: HTTPStatus
    code: str
    text: str


class Webhooks:
    """
    An ASGI application that turns signed requests into signals and runs; to be mounted, or served by itself.

    ::

        app.mount("/hooks", Webhooks({"/payments": Hook(SigningSecret(secret), paid)}))

    It answers 200 when what was wanted is durable, and not before. The same message may come again: it counts once.

    Args:
        hooks: Path below where it is mounted -> what comes there.
        runs: What begins runs, and speaks to them; by default what the lifespan of the application has put into its
            state as `orchestrator`.
        max_size: How many bytes a body may have.
        clock: Where time comes from.

    Raises:
        UsageError: a path does not begin with `/`, or it leads to no `Hook`.
    """

    def __init__(
        self,
        hooks: Mapping[str, Hook],
        *,
        runs: Orchestrator | Client | None = None,
        max_size: int = _LARGEST,
        clock: Clock | None = None,
    ) -> None:
        for path, hook in hooks.items():
            if not path.startswith("/") or not isinstance(hook, Hook):
                raise UsageError(
                    f"Webhooks takes paths such as '/payments', each with its Hook(...), not {path!r}: {hook!r}"
                )
        self._hooks = dict(hooks)
        self._runs = runs
        self._max_size = max_size
        self._clock = clock or WallClock()

    async def __call__(self, scope: Scope, receive: Receive, send: Write) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise UsageError(f"Webhooks answers requests over HTTP, not {scope['type']!r}")
        try:
            said = await self._answered(scope, receive)
            await _respond(send, HTTPStatus.OK, said)
        except _Refused as refused:
            await _respond(send, refused.status, {"error": refused.code, "detail": refused.text})

    async def _answered(self, scope: Scope, receive: Receive) -> dict[str, object]:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        hook = self._hooks.get(path)
        if hook is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "no-hook", "nothing is received at this address")
        if scope["method"] != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method", "only POST is answered here")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body, runs = await self._body(receive, headers), self._talker(scope)
        try:
            message_id = hook.secret.verified(headers, body, self._clock.now())
            wanted = await _wanted(hook, Delivery(id=message_id, body=body, headers=headers))
            run_id = await _done(runs, wanted, _name(path, message_id))
        except OrchwfError as error:
            if isinstance(error, UsageError) and _is_closed(runs):
                raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE, "closed", str(error)) from error
            status, code = next(answer for kind, answer in _ANSWERS.items() if isinstance(error, kind))
            # Where the store is, is no business of the sender.
            text = "the runs cannot be reached now: send it again" if isinstance(error, StoreError) else str(error)
            raise _Refused(status, code, text) from error
        return {"id": message_id, "run": run_id}

    def _talker(self, scope: Scope) -> Orchestrator | Client:
        found = self._runs or scope.get("state", {}).get("orchestrator")
        if found is None:
            raise RuntimeError(
                "Webhooks has nothing that begins runs: give runs=, or yield {'orchestrator': ...} in the lifespan of "
                "the application"
            )
        talker: Orchestrator | Client = found
        return talker

    async def _body(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        """All of it, unless it is too large: then no more than that is read."""
        told = headers.get("content-length", "")
        is_large, body = told.isdecimal() and int(told[:16]) > self._max_size, bytearray()
        while not is_large:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refused(HTTPStatus.BAD_REQUEST, "body", "it was not sent to its end")
            body += message.get("body", b"")
            is_large = len(body) > self._max_size
            if not is_large and not message.get("more_body", False):
                return bytes(body)
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "size", f"more than {self._max_size:,} bytes are not taken")


async def _done(runs: Orchestrator | Client, wanted: Wanted, name: str) -> str | None:
    """Do it; durable when this returns. The id of the run, if there is one."""
    match wanted:
        case Send():
            await _send(runs, wanted, name)
            return wanted.run_id
        case Begin(str() as workflow, inputs, run_id):
            if not isinstance(runs, Client):
                raise UsageError(
                    f"an orchestrator begins instances of workflows: Begin({workflow}(...)); a Client, names"
                )
            handle = await runs.start(workflow, inputs, run_id=run_id or name, on_duplicate="attach")
            return handle.id
        case Begin(instance, _, run_id):
            begun = await runs.start(instance, run_id=run_id or name, on_duplicate="attach")
            return begun.id
        case None:
            return None
        case _:
            raise TypeError(f"a hook gives Send(...), Begin(...) or None, not {wanted!r}")


def _is_closed(runs: Orchestrator | Client) -> bool:
    """Whether this begins nothing any more, or not yet: then not the sender is wrong."""
    if not isinstance(runs, Orchestrator):
        return False
    health = runs.health()
    return health is None or health.is_draining


async def _wanted(hook: Hook, delivery: Delivery) -> Wanted:
    try:
        wanted = hook.wanted(delivery)
        return await wanted if inspect.isawaitable(wanted) else wanted
    # Foreign code, which says so that the payload is not what it expects.
    except (ValueError, LookupError, TypeError) as error:
        raise _Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "payload", f"{type(error).__name__}: {error}") from error


async def _send(runs: Orchestrator | Client, wanted: Send, name: str) -> None:
    run = await runs.get(wanted.run_id)
    try:
        await run.send(wanted.signal, wanted.payload, id=name)
    except RunEndedError:
        # It may be for this very message that it ended, of which the sender has not heard.
        node = wanted.signal if isinstance(wanted.signal, str) else wanted.signal.name
        async for event in run.events():
            if isinstance(event, SignalReceived) and event.message_id == f"{node}-{name}":
                return
        raise


def _name(path: str, message_id: str) -> str:
    """What a message is called here, where other senders have ids of their own."""
    return f"webhook-{hashlib.sha256(f'{path} {message_id}'.encode()).hexdigest()[:32]}"


async def _respond(send: Write, status: HTTPStatus, said: Mapping[str, object]) -> None:
    headers = [(b"content-type", b"application/json")]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"5"))
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


async def _live(receive: Receive, send: Write) -> None:
    """Begin and end with the server: nothing is opened, and nothing closed."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
