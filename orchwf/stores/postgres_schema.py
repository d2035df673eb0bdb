"""The namespace of a PostgreSQL store: is it one of ours, may it be used, and does it have the newest schema?"""

import hashlib
from importlib import resources
from typing import Any

from psycopg import AsyncConnection, sql

from ..errors import StoreError, StoreNotFoundError
from .postgres_errors import unusable
from .postgres_url import Address

_OLDEST_SERVER = 130000
_SERVER = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"
# The table names the application: nobody else has one of this name.
_LOOK = """
    SELECT
        EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = %(schema)s),
        EXISTS (SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = %(schema)s),
        EXISTS (
            SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname = %(schema)s AND relname = 'orchwf_migrations'
        )
"""
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_SEARCH = "SELECT set_config('search_path', quote_ident(%s) || ', pg_temp', true)"
_RECORD = "CREATE TABLE orchwf_migrations (number INTEGER PRIMARY KEY, made_at TIMESTAMPTZ NOT NULL DEFAULT now())"
_NUMBER = "SELECT coalesce(max(number), 0) FROM orchwf_migrations"
_NOTE = "INSERT INTO orchwf_migrations (number) VALUES (%s)"

_Connection = AsyncConnection[tuple[Any, ...]]


async def prepare(connection: _Connection, address: Address, *, must_exist: bool) -> None:
    """
    See that the newest schema is there, and make it if it is not.

    Any number of processes may do so at once: one makes it, the others wait for it.

    Raises:
        StoreNotFoundError: there is nothing, and that is an error.
        StoreError: what is there is not for us.
    """
    await _check_server(connection, address)
    async with connection.transaction():
        version = await _version(connection, address)
    if version == len(migrations()):
        return
    if must_exist and version == 0:
        raise unusable(
            address.url,
            f"there is no store in schema {address.schema!r}; see that the URL is right, or start a run there first",
            StoreNotFoundError,
        )
    # A lock of the transaction: one of the session would get lost in a pooler.
    async with connection.transaction():
        await connection.execute(_LOCK, (lock_number(address.schema, "migrations"),))
        await _migrate(connection, address)


async def _check_server(connection: _Connection, address: Address) -> None:
    row = await (await connection.execute(_SERVER)).fetchone()
    number, encoding = row or (0, "")
    if number < _OLDEST_SERVER:
        raise unusable(address.url, f"its server is PostgreSQL {number // 10000}; orchwf needs 13 or newer")
    if encoding != "UTF8":
        raise unusable(address.url, f"its database has the encoding {encoding}; orchwf needs one with UTF8")


async def _version(connection: _Connection, address: Address) -> int:
    """
    The version of the schema that is there: 0 if there is none.

    Raises:
        StoreError: it belongs to another application, or to a newer orchwf.
    """
    row = await (await connection.execute(_LOOK, {"schema": address.schema})).fetchone()
    _, has_tables, is_ours = row or (False, False, False)
    if not is_ours:
        if has_tables:
            raise unusable(
                address.url,
                f"the schema {address.schema!r} is that of another application; give another with ?schema=NAME",
            )
        return 0
    await connection.execute(_SEARCH, (address.schema,))
    row = await (await connection.execute(_NUMBER)).fetchone()
    version: int = row[0] if row else 0
    newest = len(migrations())
    if version > newest:
        raise _too_new(address, version, newest)
    return version


def _too_new(address: Address, version: int, newest: int) -> StoreError:
    return unusable(
        address.url,
        f"it has schema {version}, made by a newer orchwf; this one knows schemas up to {newest}: upgrade orchwf",
    )


async def _migrate(connection: _Connection, address: Address) -> None:
    # Under the lock, as another process may have come first.
    version = await _version(connection, address)
    if version == 0:
        row = await (await connection.execute(_LOOK, {"schema": address.schema})).fetchone()
        if row is None or not row[0]:
            await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(address.schema)))
        await connection.execute(_SEARCH, (address.schema,))
        await connection.execute(_RECORD)
    for number, script in enumerate(migrations(), 1):
        if number > version:
            await connection.execute(script.encode())
            await connection.execute(_NOTE, (number,))


def migrations() -> list[str]:
    """The scripts that make the newest schema out of an empty namespace, in order; the n-th makes schema n."""
    folder = resources.files("orchwf.stores").joinpath("sql", "postgres")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [file.read_text(encoding="utf-8") for file in files]


def lock_number(*names: str) -> int:
    """The number of an advisory lock, which all clients of a database have in common, for what is called so."""
    digest = hashlib.sha256("\0".join(("orchwf", *names)).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
