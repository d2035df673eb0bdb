"""From a URL to a store."""

import os
from pathlib import Path
from typing import Any

import pytest

from orchwf.errors import StoreError
from orchwf.stores import MemoryStore, open_store
from orchwf.stores.urls import Durability, sqlite_url

from .samples import creation, record, written


async def test_memory_gives_a_new_store_each_time():
    """Two stores opened by the same URL share nothing."""
    one, other = await open_store("memory:"), await open_store("memory:")

    await written(one, creation("A1"))

    assert isinstance(one, MemoryStore)
    assert await other.get("A1") is None


async def test_a_store_comes_back_as_it_is():
    """What is open already is not opened again."""
    store = MemoryStore()

    assert await open_store(store) is store


async def test_three_slashes_are_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is resolved at once: the store stays where it is when the process goes elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///orders.db")

    monkeypatch.chdir(tmp_path / "elsewhere")
    await written(store, creation("A1"))
    await store.close()

    assert f"sqlite:///{tmp_path}/orders.db" == store.url
    assert ["elsewhere", "orders.db"] == sorted(os.listdir(tmp_path))


async def test_four_slashes_are_an_absolute_path(tmp_path: Path):
    """The URL that the store then shows opens it again."""
    first = await open_store(f"sqlite:///{tmp_path}/orders.db")
    await written(first, creation("A1"))
    await first.close()

    again = await open_store(first.url, must_exist=True)

    assert record(number=1) == await again.get("A1")
    await again.close()


@pytest.mark.parametrize("name", ["two words.db", "50%.db", "why?.db", "a#b.db", "naïve 注文.db", "a&b=c+d.db"])
async def test_odd_characters_in_a_path_are_escaped(tmp_path: Path, name: str):
    """Any name of a file has a URL, and the store shows it."""
    store = await open_store(sqlite_url(tmp_path / name, "power"))
    shown = store.url
    await store.close()

    again = await open_store(shown, must_exist=True)
    await again.close()

    assert [name] == os.listdir(tmp_path)
    assert shown == again.url


@pytest.mark.parametrize(
    ("query", "argument", "synchronous"),
    [("", None, "FULL"), ("?durability=power", None, "FULL"), ("?durability=process", None, "NORMAL"),
     ("", "process", "NORMAL"), ("?durability=process", "power", "FULL")],
)  # fmt: skip
async def test_durability_is_an_option_of_the_url(
    tmp_path: Path, query: str, argument: Durability | None, synchronous: str
):
    """`power` is FULL, `process` is NORMAL; the argument counts more than the URL."""
    store = await open_store(f"sqlite:///{tmp_path}/orders.db{query}", durability=argument)

    mode = (await store.facts())["synchronous"]
    await store.close()

    assert synchronous == mode
    assert (synchronous == "NORMAL") == store.url.endswith("?durability=process")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("orders.db", "'sqlite:///orders.db'"),
        ("data/orders.db", "'sqlite:///data/orders.db'"),
        ("C:\\data\\orders.db", "'sqlite:///C:/data/orders.db'"),
        ("sqlte:///orders.db", "did you mean 'sqlite'"),
        ("sqlite3:///orders.db", "did you mean 'sqlite'"),
        ("memry:", "did you mean 'memory:'"),
        ("memory", "did you mean 'memory:'"),
        ("sqlite", "did you mean 'sqlite:///"),
        ("mysql://host/db", "no kind of store 'mysql'"),
        ("", "a store is one of"),
        ("memory:orders", "nothing to name"),
        ("sqlite:orders.db", "'sqlite:///orders.db'"),
        ("sqlite://orders.db", "'sqlite:///orders.db'"),
        ("sqlite://", "three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "'memory:'"),
        ("sqlite:///a%00b", "names no file"),
        ("sqlite:///orders.db?durability=none", "'power' or 'process', not 'none'"),
        ("sqlite:///orders.db?sync=off", "the option 'sync'"),
        ("postgresql:me:secret@host/db", "come two slashes"),
        ("postgrsql://me:secret@host/db", "did you mean 'postgresql'"),
    ],
)
async def test_what_is_no_url_of_a_store_is_explained(url: str, hint: str):
    """The error says what there is, and guesses what was meant; a password is not repeated."""
    with pytest.raises(StoreError) as caught:
        await open_store(url)

    assert hint in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Path("runs.db"), "'runs.db' is a path and no URL of a store; write 'sqlite:///runs.db'"),
        (None, "None is no store; a store is one of: memory:"),
        (3, "3 is no store"),
    ],
)
async def test_what_is_neither_url_nor_store_is_refused(given: Any, message: str):
    """At once, and not when it is first written to."""
    with pytest.raises(StoreError) as caught:
        await open_store(given)

    assert str(caught.value).startswith(message)
