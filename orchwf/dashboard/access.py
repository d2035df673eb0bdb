"""Who may see the pages, and who may change something by them. Nothing here knows of HTTP but a few of its headers."""

import hashlib
import hmac
import ipaddress
import math
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

import attrs

from ..errors import UsageError
from ..ports import Clock

SHORTEST_TOKEN = 16
"""How many characters a token has at least: it must not be guessed."""

_SESSION = 7 * 86_400.0
"""Seconds for which somebody who has signed in need not do so again."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - it is compared with, and nothing listens here
_MOST_FAILURES = 10
_WINDOW = 60.0


def is_loopback(host: str) -> bool:
    """Whether this names the machine itself, for nobody but itself."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(netloc: str) -> str:
    """The host of `example.org:8080` or `[::1]:8080`, in small letters; empty if that is none."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@attrs.define(eq=False)
class _Failures:
    """How often somebody signed in with a wrong token, in the last minute."""

    clock: Clock
    times: list[float] = attrs.field(factory=list)

    def note(self) -> None:
        self.times = [*self.recent, self.clock.now()]

    @property
    def recent(self) -> list[float]:
        return [at for at in self.times if at > self.clock.now() - _WINDOW]


@attrs.frozen(kw_only=True)
class Access:
    """
    What is asked of whoever comes.

    Attributes:
        token: What somebody must know to change anything; None if nobody can.
        is_read_only: Whether nothing can be changed, by nobody.
        hosts: The names by which browsers may call the server. `0.0.0.0` stands for all addresses in figures: a page
            of somebody else can make its name lead here, but not an address.
        clock: What time it is.
    """

    token: str | None
    is_read_only: bool
    hosts: Collection[str]
    clock: Clock
    failures: _Failures = attrs.field(init=False, default=attrs.Factory(lambda self: _Failures(self.clock), True))

    @property
    def is_open(self) -> bool:
        """Whether whoever comes may look: only the machine itself can come."""
        return all(map(is_loopback, self.hosts))

    @property
    def name_of_cookie(self) -> str:
        """Cookies are shared by all ports of a host: each token has its own."""
        return f"orchwf_{self._mac('cookie')[:12]}"

    def is_called(self, netloc: str) -> bool:
        """Whether the server is called so, by its `Host` header: else a page of somebody else may have led here."""
        host = host_of(netloc)
        return host in self.hosts or (_is_address(host) and not _ANY.isdisjoint(self.hosts))

    def is_token(self, given: str) -> bool:
        """Whether this is the token. Never after too many wrong ones: see `is_patient`."""
        if self.token is None or not self.is_patient:
            return False
        if hmac.compare_digest(given.encode(), self.token.encode()):
            return True
        self.failures.note()
        return False

    @property
    def is_patient(self) -> bool:
        """Whether not too many wrong tokens were given in the last minute."""
        return len(self.failures.recent) < _MOST_FAILURES

    def new_session(self) -> str:
        """What the browser of somebody keeps who gave the token."""
        text = f"{math.ceil(self.clock.now() + _SESSION)}.{secrets.token_hex(16)}"
        return f"{text}.{self._mac(text)}"

    def is_session(self, given: str) -> bool:
        """Whether this is a session of ours that has not run out."""
        text, _, mac = given.rpartition(".")
        if self.token is None or not hmac.compare_digest(mac.encode(), self._mac(text).encode()):
            return False
        return self.clock.now() < int(text.partition(".")[0])

    def form_key(self, session: str) -> str:
        """What each form of a session holds: a page of somebody else cannot know it."""
        return self._mac(f"form {session}")

    def is_form_key(self, given: str, session: str) -> bool:
        """Whether a form that holds this is of our pages."""
        return hmac.compare_digest(given.encode(), self.form_key(session).encode())

    def _mac(self, text: str) -> str:
        key = hashlib.sha256(f"orchwf dashboard {self.token}".encode()).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def checked_access(*, token: str | None, is_read_only: bool, hosts: Collection[str], clock: Clock) -> Access:
    """
    The access that is asked for.

    Raises:
        UsageError: a token can be guessed, or others could look without one; or no host is named.
    """
    if isinstance(hosts, str) or not hosts or not all(isinstance(host, str) and host for host in hosts):
        raise UsageError(f"hosts takes the names by which browsers call the server, not {hosts!r}")
    names = frozenset(host.lower().strip("[]") for host in hosts)
    if token is not None and (not isinstance(token, str) or len(token) < SHORTEST_TOKEN):
        raise UsageError(f"a token has at least {SHORTEST_TOKEN} characters: secrets.token_urlsafe() makes one")
    access = Access(token=token, is_read_only=is_read_only, hosts=names, clock=clock)
    if token is None and not access.is_open:
        far = ", ".join(sorted(name for name in names if not is_loopback(name)))
        raise UsageError(f"others can reach the dashboard at {far}: give it a token, token=secrets.token_urlsafe()")
    return access
