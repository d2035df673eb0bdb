"""Where a call may go: to whom a name leads is looked up once, judged, and called."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

import attrs

from ..errors import CallFailedError, CallRefusedError, UsageError
from ..labels import visible

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SECRET = 16
"""A part of a path that is as long may be a secret: the addresses of webhooks are, often."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@attrs.frozen(kw_only=True)
class Target:
    """
    Where a call goes.

    Attributes:
        url: The address, with the number of the machine in the place of its name.
        host: What is to be in the header `Host`.
        name: The name by which the machine has to prove who it is.
        told: The address as it is told, without what may be secret.
    """

    url: str
    host: str
    name: str
    told: str


def redacted(parts: SplitResult) -> str:
    """An address without user, password, query and fragment; of its path, without parts of 16 characters or more."""
    path = re.sub(rf"[^/]{{{_SECRET},}}", "…", parts.path)
    return visible(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}")


def url_parts(url: str) -> SplitResult:
    """
    The parts of a URL that can be called.

    Raises:
        UsageError: it is no URL of HTTP.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and url.isprintable():
            return parts
    except (ValueError, AttributeError):
        pass
    # Not the URL: it may hold a secret, and it is not known where.
    raise UsageError("a call takes a URL such as 'https://example.com/orders', and this is none")


async def target_of(parts: SplitResult, networks: Sequence[Network]) -> Target:
    """
    Where a call to this URL goes.

    Args:
        networks: Where it may go besides the addresses that everybody can reach.

    Raises:
        CallRefusedError: its name leads to an address that only some can reach.
        CallFailedError: nothing is known of its name now.
    """
    told, host, port = redacted(parts), parts.hostname or "", parts.port
    address = await _checked(told, host, port or (443 if parts.scheme == "https" else 80), networks)
    number = f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)
    pinned = parts._replace(netloc=f"{number}:{port}" if port else number, fragment="")
    return Target(url=pinned.geturl(), host=parts.netloc.rpartition("@")[2], name=host, told=told)


async def _checked(told: str, host: str, port: int, networks: Sequence[Network]) -> Address:
    """The address that this name leads to. It is called itself: asked once more, the name might lead elsewhere."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CallFailedError(told, f"cannot be called: nothing is known of {host!r}") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if not _is_public(address) and not any(address in network for network in networks):
            raise CallRefusedError(
                told,
                f"was not called: {host!r} leads to {address}, which not everybody can reach; "
                f"if it is meant: networks=[{str(address)!r}]",
            )
    return addresses[0]


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        # What stands for an address of the other kind leads there.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return _is_public(inner)
    return address.is_global and not address.is_multicast
