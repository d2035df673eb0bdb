"""The PostgreSQL that is measured: one of our own, whose commits reach the disk, or one that is named."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.postgres import own_server

from ..places import prepared_place

OPTIONS = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
}
"""What our own server is configured with; everything else is as it comes, or of no matter here."""


@dataclass(frozen=True)
class Server:
    """
    A server that runs.

    Attributes:
        url: How it is reached.
        postmaster: The id of its first process, by which its CPU is measured; 0 if it is not ours.
        log: The file into which it writes what it is asked to log; empty if it is not ours.
    """

    url: str
    postmaster: int = 0
    log: str = ""

    @property
    def words(self) -> Sequence[str]:
        """What a measure is given on its command line."""
        return ["--url", self.url, "--postmaster", str(self.postmaster), "--log", self.log]


@contextmanager
def serving(url: str) -> Iterator[Server]:
    """
    The server of this URL; without one a server of our own, which is gone after the block.

    Raises:
        NoServerError: none can be started.
    """
    if url:
        yield Server(url)
        return
    with tempfile.TemporaryDirectory(dir=prepared_place()) as folder, own_server(Path(folder), **OPTIONS) as cluster:
        pid = (cluster.folder / "data" / "postmaster.pid").read_text().split()[0]
        yield Server(cluster.url, int(pid), str(cluster.folder / "log"))


def described(server: Server) -> dict[str, str]:
    """Name -> value, for the head of the table."""
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size", "max_connections")
    with psycopg.connect(server.url) as connection:
        rows = {name: connection.execute(f"SHOW {name}".encode()).fetchall()[0][0] for name in names}
    told = {f"PostgreSQL: {name}" if name != "server_version" else "PostgreSQL": str(rows[name]) for name in names}
    where = _disk(server.log) if server.log else "of the server that was named"
    return {**told, "PostgreSQL: disk": where}


def _disk(path: str) -> str:
    """The kind of the file system on which this is: one in memory would have nothing to sync."""
    said = subprocess.run(["df", "--output=fstype", path], capture_output=True, text=True, check=False)
    return said.stdout.split()[-1] if said.stdout.split() else "unknown"
