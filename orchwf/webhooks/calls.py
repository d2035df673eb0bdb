"""What goes out: calls over HTTP that a step may make again and again, signed, and heard to the end."""

import asyncio
import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import attrs

from ..context import current
from ..core.options import Duration, positive_seconds, seconds
from ..errors import CallFailedError, CallPostponedError, CallRefusedError, UsageError
from ..labels import cells, shorten, visible
from ..ports import Clock
from ..runtime.clock import WallClock
from .addresses import Network, Target, redacted, target_of, url_parts
from .signatures import SigningSecret

if TYPE_CHECKING:
    # Loaded by who calls.
    import httpx

_LARGEST = 1 << 20
_TOLD = 200
"""How many characters of an answer are told in an error."""
_AGAIN = {408, 425, 429}
"""Answers that say no, but not for ever; so do those from 500 on, but for these:"""
_NEVER = {501, 505}


@attrs.frozen(kw_only=True)
class Answer:
    """
    What came back.

    Attributes:
        id: What the call was named: in its headers `Idempotency-Key` and `webhook-id`.
        status: From 200 to 299.
        headers: Name in lower case -> value.
        body: As it came.
    """

    id: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """
        The body, read as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


async def post(
    url: str,
    payload: object = None,
    *,
    secret: SigningSecret | None = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
    timeout: Duration = "30s",  # noqa: ASYNC109 - it is an option of the call, and bounds all of it
    patience: Duration = "1h",
    max_size: int = _LARGEST,
    networks: Sequence[str] = (),
    client: "httpx.AsyncClient | None" = None,
    clock: Clock | None = None,
) -> Answer:
    """
    Call a URL from the body of a step, and give what was answered, if that was well.

    ::

        @step(retries=5)
        async def tell(self, *, receipt: Receipt) -> None:
            await post("https://shop.example/hooks", {"order": self.id}, secret=SigningSecret(os.environ["SECRET"]))

    Each attempt of the step, in whatever process, names the call the same, so that the other side can see that it knows
    it already. What may mend itself (no connection, no time, 408, 425, 429, 500 and above) is tried again as the step
    says, or after `Retry-After`; anything else fails the step for good. Redirects are not followed.

    Args:
        url: Where to; `https://` unless you know better. What it holds is not told in errors: see `CallFailedError`.
        payload: What is sent: bytes as they are, anything else as JSON.
        secret: Signs the call, by the standard of webhooks.
        headers: More headers, such as `Authorization`.
        key: What the call is for, the same in every attempt; by default that is the step, and the item. A step that
            makes several calls gives each a key: `f"{ctx.idempotency_key}/mail"`.
        timeout: How long the call may take, all in all: a duration.
        patience: A `Retry-After` that is longer counts as this: a duration.
        max_size: How many bytes the answer may have.
        networks: Addresses, or networks such as `10.0.0.0/8`, that may be called though not everybody can reach them.
        client: Whose connections are used; by default one is made for the call. It is asked to follow no redirect.
        clock: Where time comes from.

    Raises:
        CallFailedError: it may succeed the next time.
        CallPostponedError: and the other side said when.
        CallRefusedError: it never will.
        UsageError: something given makes no sense, no step runs here and there is no key, or httpx is not installed.
    """
    httpx = _httpx()
    limit, longest = positive_seconds(timeout, "timeout"), seconds(patience, "patience")
    call_id, content, parts = _call_id(key), _content(payload), url_parts(url)
    clock, told = clock or WallClock(), redacted(parts)
    sent = httpx.Headers(headers)
    sent.setdefault("Content-Type", "application/octet-stream" if isinstance(payload, bytes) else "application/json")
    # What is unpacked may be a thousand times as large.
    sent.update({"Idempotency-Key": call_id, "Accept-Encoding": "identity"})
    sent.update({"webhook-id": call_id} if secret is None else secret.signed(call_id, content, clock.now()))
    try:
        async with asyncio.timeout(limit):
            target = await target_of(parts, _networks(networks))
            sent["Host"] = target.host
            response, body = await _exchange(target, content, sent, max_size, client)
    except TimeoutError as error:
        raise CallFailedError(told, f"did not answer within {limit:g} s") from error
    except httpx.LocalProtocolError:
        # Its text quotes the header.
        raise UsageError(f"the headers of a call to {told} cannot be sent: is there a line break in one?") from None
    except httpx.RequestError as error:
        raise CallFailedError(told, f"cannot be called: {type(error).__name__}: {error}") from error
    _check(told, response, body, longest=longest, now=clock.now())
    if len(body) > max_size:
        raise CallRefusedError(told, f"answered with more than max_size={max_size:,} bytes", response.status_code)
    return Answer(id=call_id, status=response.status_code, headers=dict(response.headers), body=body)


async def _exchange(
    target: Target, content: bytes, headers: "httpx.Headers", most: int, client: "httpx.AsyncClient | None"
) -> "tuple[httpx.Response, bytes]":
    """What came back; of its body a little more than `most`, if there is more."""
    async with AsyncExitStack() as stack:
        used = client or await _opened(stack)
        request = used.build_request(
            "POST", target.url, content=content, headers=headers, timeout=None,
            # Who answers proves to be whom we mean, though it was called by its number.
            extensions={"sni_hostname": target.name},
        )  # fmt: skip
        response = await used.send(request, stream=True, follow_redirects=False)
        stack.push_async_callback(response.aclose)
        parts, size = [b""], 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > most:
                break
        return response, b"".join(parts)


async def _opened(stack: AsyncExitStack) -> "httpx.AsyncClient":
    """A client for a single call. Proxies are not asked: where one leads to, nobody here could tell."""
    opened: httpx.AsyncClient = await stack.enter_async_context(_httpx().AsyncClient(trust_env=False))
    return opened


def _httpx() -> Any:
    try:
        import httpx
    except ImportError:
        raise UsageError("calls over HTTP need httpx: pip install 'orchwf[http]'") from None
    return httpx


def _call_id(key: str | None) -> str:
    """The name of the call: keys hold ids and items of users, which headers could not hold."""
    if key is None:
        key = current().idempotency_key
    if not isinstance(key, str) or not key:
        raise UsageError(f"key takes text that is not empty, not {key!r}")
    return f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _content(payload: object) -> bytes:
    if isinstance(payload, bytes):
        return payload
    try:
        return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the payload of a call takes bytes, or what JSON has: {error}; of a model, model_dump(mode='json')"
        ) from error


def _networks(given: Sequence[str]) -> list[Network]:
    if isinstance(given, str):
        raise UsageError(f"networks takes a list, such as ['10.0.0.0/8'], not {given!r}")
    try:
        return [ipaddress.ip_network(each) for each in given]
    except ValueError as error:
        raise UsageError(f"networks takes addresses and networks, such as '10.0.0.0/8': {error}") from None


def _check(told: str, response: "httpx.Response", body: bytes, *, longest: float, now: float) -> None:
    """See that the answer was well."""
    status = response.status_code
    if 200 <= status < 300:
        return
    said = f": {shorten(visible(text), _TOLD, cells)}" if (text := body[:4096].decode(errors="replace").strip()) else ""
    if 300 <= status < 400:
        raise CallRefusedError(told, f"answered {status}, and redirects are not followed: call where it leads", status)
    if status not in _AGAIN and (status < 500 or status in _NEVER):
        raise CallRefusedError(told, f"answered {status}{said}", status)
    wait = _wait(response.headers.get("retry-after", ""), now)
    if wait is None:
        raise CallFailedError(told, f"answered {status}{said}", status)
    raise CallPostponedError(told, f"answered {status}{said}", status, min(wait, longest))


def _wait(text: str, now: float) -> float | None:
    """
    Seconds that the other side wants to be left alone for; None if it did not say.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
