"""What tests of PostgreSQL stores in more than one file begin with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.postgres import Cluster, NoServerError, Relay, new_schema, own_server


@pytest.fixture
async def relay(postgres_url: str) -> AsyncIterator[Relay]:
    """What stands between the store `relayed` and its server."""
    folder = Path("/tmp") / f"orchwf-relay-{new_schema()}"
    folder.mkdir()
    try:
        relay = Relay(postgres_url, folder)
    except NoServerError as error:
        folder.rmdir()
        pytest.skip(str(error))
    async with relay:
        yield relay
    (folder / ".s.PGSQL.5432").unlink()
    folder.rmdir()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A server that nobody else uses."""
    try:
        with own_server(tmp_path) as cluster:
            yield cluster
    except NoServerError as error:
        pytest.skip(str(error))
