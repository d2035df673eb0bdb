"""Who signed a message: made and verified with secrets that both sides know."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Protocol

from ..core.options import Duration, seconds
from ..errors import SignatureError, UsageError

_PREFIX = "whsec_"
_SHORTEST = 24
"""Bytes that a secret has at least. Source: https://github.com/standard-webhooks/standard-webhooks"""


class Verifier(Protocol):
    """How the requests of a sender are known to be of that sender."""

    def verified(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        """
        What the message is called by its sender: the same each time it is sent again.

        The name has to be in what is signed, or be made of it: else who has seen a message could send it again by
        another name.

        Args:
            headers: Those of the request, their names in lower case.
            body: As it came, byte for byte.
            now: Epoch seconds.

        Raises:
            SignatureError: it is not of this sender, or too old.
        """
        ...


class SigningSecret:
    """
    Secrets by the standard of https://www.standardwebhooks.com: HMAC-SHA256 over id, time and body.

    To change the secret, put the new one in front, and keep the other until the other side has the new one, too: the
    first signs as well as the others, and any of them is believed.

    Args:
        secrets: At least one, as `generate` makes them: base64, with `whsec_` before it or not.
        tolerance: How far the time of a message may be from now: a duration.

    Raises:
        UsageError: there is no secret, or one that is none.
    """

    def __init__(self, *secrets: str, tolerance: Duration = "5m") -> None:
        if not secrets:
            raise UsageError("SigningSecret takes at least one secret; SigningSecret.generate() makes one")
        self._keys = [_key(secret) for secret in secrets]
        self._tolerance = seconds(tolerance, "tolerance")

    def __repr__(self) -> str:
        return f"<SigningSecret of {len(self._keys)}>"

    @staticmethod
    def generate() -> str:
        """A new secret, to be given to both sides."""
        return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()

    def signed(self, message_id: str, body: bytes, now: float) -> dict[str, str]:
        """The headers of a message that is sent now (epoch seconds)."""
        at = str(int(now))
        content = _content(message_id, at, body)
        signatures = " ".join(f"v1,{base64.b64encode(_mac(key, content)).decode()}" for key in self._keys)
        return {"webhook-id": message_id, "webhook-timestamp": at, "webhook-signature": signatures}

    def verified(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        message_id, at = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
        given = _header(headers, "webhook-signature").split()
        content = _content(message_id, at, body)
        wanted = [b"v1," + base64.b64encode(_mac(key, content)) for key in self._keys]
        if not _is_among(given, wanted):
            raise SignatureError("the signature is not of this message and any of our secrets")
        _check_time(at, now, self._tolerance)
        return message_id


class GitHubSecret:
    """
    Secrets of GitHub's webhooks: HMAC-SHA256 over the body, in `X-Hub-Signature-256`.

    GitHub signs neither a time nor an id, so a message is known by its body: the same one counts once, whenever it
    comes.

    Args:
        secrets: At least one, as they were typed in there.

    Raises:
        UsageError: there is none, or one is empty.
    """

    def __init__(self, *secrets: str) -> None:
        self._keys = _texts("GitHubSecret", secrets)

    def __repr__(self) -> str:
        return f"<GitHubSecret of {len(self._keys)}>"

    def verified(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        wanted = [b"sha256=" + _mac(key, body).hex().encode() for key in self._keys]
        if not _is_among([_header(headers, "x-hub-signature-256").strip()], wanted):
            raise SignatureError("the signature is not of this body and any of our secrets")
        return hashlib.sha256(body).hexdigest()


class StripeSecret:
    """
    Secrets of Stripe's webhooks: HMAC-SHA256 over time and body, in `Stripe-Signature`.

    A message is known by the `id` of its event, which is in the body.

    Args:
        secrets: At least one, as they are shown there, with their `whsec_`.
        tolerance: How far the time of a message may be from now: a duration.

    Raises:
        UsageError: there is none, or one is empty.
    """

    def __init__(self, *secrets: str, tolerance: Duration = "5m") -> None:
        self._keys = _texts("StripeSecret", secrets)
        self._tolerance = seconds(tolerance, "tolerance")

    def __repr__(self) -> str:
        return f"<StripeSecret of {len(self._keys)}>"

    def verified(self, headers: Mapping[str, str], body: bytes, now: float) -> str:
        parts = [part.strip().partition("=") for part in _header(headers, "stripe-signature").split(",")]
        at = next((value for name, _, value in parts if name == "t"), "")
        wanted = [_mac(key, at.encode() + b"." + body).hex().encode() for key in self._keys]
        if not _is_among([value for name, _, value in parts if name == "v1"], wanted):
            raise SignatureError("the signature is not of this message and any of our secrets")
        _check_time(at, now, self._tolerance)
        try:
            return str(json.loads(body)["id"])
        except (ValueError, LookupError, TypeError):
            raise SignatureError("the body has no id, so it is no event") from None


def _key(secret: str) -> bytes:
    # What is wrong is said without the secret: it would be in a log.
    if not isinstance(secret, str):
        raise UsageError(f"a secret is text, not {type(secret).__name__}; SigningSecret.generate() makes one")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("a secret is not base64; SigningSecret.generate() makes one") from None
    if len(key) < _SHORTEST:
        raise UsageError(f"a secret has {len(key)} bytes, and can be guessed; SigningSecret.generate() makes one")
    return key


def _texts(name: str, secrets: Iterable[str]) -> list[bytes]:
    keys = [secret.encode() if isinstance(secret, str) else b"" for secret in secrets]
    if not keys or not all(keys):
        raise UsageError(f"{name} takes at least one secret, and none that is empty: is its environment variable set?")
    return keys


def _content(message_id: str, at: str, body: bytes) -> bytes:
    return f"{message_id}.{at}.".encode() + body


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _is_among(given: Iterable[str], wanted: Iterable[bytes]) -> bool:
    """Whether any signature is one of these; how long that takes tells nothing of how alike they are."""
    ours = list(wanted)
    return any(hmac.compare_digest(each.encode(), one) for each in given for one in ours)


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    if not value:
        raise SignatureError(f"the header {name} is missing")
    return value


def _check_time(at: str, now: float, tolerance: float) -> None:
    if not (at.isascii() and at.isdecimal() and len(at) < 16):
        raise SignatureError("the time of the message is no number of seconds")
    if abs(now - int(at)) > tolerance:
        raise SignatureError(
            f"the message is {now - int(at):.0f} s old, and {tolerance:g} s are borne; is a clock wrong?"
        )
