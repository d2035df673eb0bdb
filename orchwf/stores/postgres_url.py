"""What the URL of a PostgreSQL store says: what is libpq's, what is ours, and what may be shown of it."""

import re
from urllib.parse import quote, unquote

import attrs
from psycopg import Error, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..errors import StoreError
from .urls import Durability, durability_option

DEFAULT_SCHEMA = "orchwf"
_SECRETS = ("password", "sslpassword")
_LISTEN = {"yes": True, "no": False}
_ESCAPE = "in a URL the characters : / ? # @ % of a user or a password are written %3A %2F %3F %23 %40 %25"
# What is added if the URL does not say otherwise: who does not answer is given up, also in the midst of a connection.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "fallback_application_name": "orchwf",
    "client_encoding": "UTF8",
}


@attrs.frozen
class Address:
    """
    Where a PostgreSQL store is.

    Attributes:
        url: How a person would name it again, without a password.
        schema: The namespace within the database in which everything of the store is.
        conninfo: What libpq is given, the password with it.
        durability: What the URL says of it; None for nothing.
        listens: Whether it is to be listened to what others write; None if the URL does not say so.
    """

    url: str
    schema: str
    conninfo: str = attrs.field(repr=False)
    durability: Durability | None = None
    listens: bool | None = None


def parse_url(url: str) -> Address:
    """
    What this URL says.

    Raises:
        StoreError: it is none, or has options that nobody knows. The text has nothing of a password.
    """
    location, _, query = url.partition("://")[2].partition("?")
    authority, slash, database = location.partition("/")
    credentials, at, hosts = authority.rpartition("@")
    if "@" in credentials + database or not re.fullmatch(r"([^:]*|.*\])(:\d+)?(,([^:]*|.*\])(:\d+)?)*", hosts):
        raise _unclear("it cannot be told where its parts begin")
    schema, durability, listens, kept, shown = DEFAULT_SCHEMA, None, None, [], []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if "@" in unquote(name):
            raise _unclear("it cannot be told where its options begin")
        match unquote(name):
            case "schema":
                schema = _schema(unquote(value))
                shown += [part] * (schema != DEFAULT_SCHEMA)
            case "durability":
                durability = durability_option("a postgresql:// URL", unquote(value))
            case "listen":
                listens = _listens(unquote(value))
                shown.append(part)
            case known if known == "ssl" or known in _libpq_options():
                kept.append(part)
                shown += [part] * (known not in _SECRETS)
            case unknown:
                raise StoreError(
                    f"a postgresql:// URL has the option {unknown!r}, which there is not: orchwf knows 'schema', "
                    "'durability' and 'listen', and libpq what its manual names under connection parameters"
                )
    ours = f"{quote(unquote(credentials.partition(':')[0]), safe='')}{at}{hosts}{slash}{database}"
    return Address(
        url=f"postgresql://{ours}{'?' * bool(shown)}{'&'.join(shown)}",
        schema=schema,
        conninfo=_conninfo(f"postgresql://{location}{'?' * bool(kept)}{'&'.join(kept)}"),
        durability=durability,
        listens=listens,
    )


def _conninfo(url: str) -> str:
    try:
        given = conninfo_to_dict(url)
    # What libpq says may quote a part of the password: neither text nor cause is kept.
    except Error:
        raise _unclear("PostgreSQL's library cannot read it") from None
    return make_conninfo("", **{**_DEFAULTS, **{name: value for name, value in given.items() if value is not None}})


def _libpq_options() -> set[str]:
    return {option.keyword.decode() for option in pq.Conninfo.get_defaults()}


def _schema(name: str) -> str:
    if not name or "\0" in name or len(name.encode()) > 63 or name.startswith("pg_") or name == "information_schema":
        raise StoreError(
            f"a postgresql:// URL has the schema {name!r}, which cannot be: a schema has a name of 1 to 63 bytes that "
            "does not begin with pg_"
        )
    return name


def _listens(value: str) -> bool:
    if value not in _LISTEN:
        raise StoreError(f"a postgresql:// URL has listen={value!r}, which cannot be: it is yes or no")
    return _LISTEN[value]


def _unclear(reason: str) -> StoreError:
    # The URL may hold a password, so it is not repeated.
    return StoreError(
        f"that is no URL of a PostgreSQL store: {reason}; it looks like "
        f"postgresql://user:password@host:5432/database?schema=orchwf, and {_ESCAPE}"
    )
