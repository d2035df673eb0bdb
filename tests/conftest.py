"""What tests of more than one folder share."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import slowness
from tests.postgres import Emptied, NoServerError, server

# A busy machine is no failure: how long an example takes is measured elsewhere.
settings.register_profile("orchwf", deadline=None)
settings.load_profile("orchwf")

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `tests/`, `examples/` and `docs/`."""


def pytest_configure() -> None:
    """
    Let interrupts be heard: where the tests run in the background they are ignored, also by what is started here.

    And let nobody take the slowness of the machine for something that a program says.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger("asyncio").addFilter(slowness.heard)


def shared_data_folder() -> Path | None:
    """
    Where the published real-world data lies that is too big, or licensed otherwise, to be kept in the repository.

    That is `../shared/data` beside it, or what ORCHWF_SHARED_DATA names; None if it is not there.
    """
    folder = Path(os.environ.get("ORCHWF_SHARED_DATA") or ROOT.parent / "shared" / "data")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real-world data; a test that asks for it is skipped where there is none."""
    folder = shared_data_folder()
    if folder is None:
        pytest.skip("no real-world data: neither ../shared/data nor ORCHWF_SHARED_DATA is a folder")
    return folder


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server; a test that asks for it is skipped where none can be had."""
    base = tmp_path_factory.getbasetemp()
    # Each worker has a folder of its own in that of the session.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    try:
        with server(shared) as url:
            yield url
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres_emptied(postgres_server: str) -> Iterator[Emptied]:
    """A schema that is used for one test after the other."""
    emptied = Emptied(postgres_server)
    yield emptied
    emptied.drop()


@pytest.fixture
def postgres_url(postgres_emptied: Emptied) -> str:
    """The URL of a PostgreSQL store in which nothing is."""
    return postgres_emptied.empty()
