"""Log lines without secrets: what stands under keys that say so is left out."""

import re
from collections.abc import Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

from ..core.options import bad_option

SECRET_KEYS = (
    "password", "passwd", "pwd", "passphrase", "secret", "secrets", "token", "api_key", "apikey", "access_key",
    "private_key", "credential", "credentials", "authorization", "cookie", "jwt", "otp",
)  # fmt: skip
"""What is left out of log lines by default."""

REDACTED = "[redacted]"
"""What stands in its place."""

_DEEPEST = 20
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Redaction:
    """
    A processor for structlog that puts `[redacted]` in place of the values of some keys, however deep they are nested.

    A key is meant if its words hold those of one given: `token` means `token`, `access_token`, `accessToken` and
    `X-Token`, and not `tokens` or `tokenizer`. It looks into mappings, lists and tuples, and changes none of them. What
    a message or an error says is told: texts are not looked into.

    Args:
        keys: The keys that are meant; by default `orchwf.SECRET_KEYS`.

    Raises:
        BadOptionError: `keys` are no texts.
    """

    def __init__(self, keys: Sequence[str] = SECRET_KEYS) -> None:
        if isinstance(keys, str) or not all(isinstance(key, str) and _words(key) for key in keys):
            raise bad_option("redact", f"redact takes a list of keys, such as ('password', 'token'), not {keys!r}")
        self._keys = tuple(_words(key) for key in keys)
        # The same keys come again and again.
        self._is_meant = lru_cache(maxsize=4096)(self._looked_up)

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The event, with what is secret left out."""
        for key, value in event.items():
            event[key] = REDACTED if self._is_meant(key) else self._cleared(value, 0)
        return event

    def _looked_up(self, key: str) -> bool:
        words = _words(key)
        return any(
            words[at : at + len(wanted)] == wanted
            for wanted in self._keys
            for at in range(len(words) - len(wanted) + 1)
        )  # fmt: skip

    def _cleared(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            if depth == _DEEPEST:
                # It may hold itself.
                return REDACTED
            return {
                key: REDACTED if isinstance(key, str) and self._is_meant(key) else self._cleared(each, depth + 1)
                for key, each in value.items()
            }
        # What is made of these may be more than its parts.
        if type(value) is list or type(value) is tuple:
            return REDACTED if depth == _DEEPEST else type(value)(self._cleared(each, depth + 1) for each in value)
        return value


def _words(key: str) -> tuple[str, ...]:
    """`("access", "token")` of `accessToken`, `access_token` and `Access-Token`."""
    return tuple(word.lower() for word in _WORD.findall(key))
