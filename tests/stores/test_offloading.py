"""The store that keeps large values elsewhere."""

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf import Orchestrator, RunInterruptedError, StoreError, UsageError, make_workflow, open_store, step
from orchwf.blobs.folder import FolderBlobStore
from orchwf.blobs.references import KEY_LENGTH, MARKER, content
from orchwf.core import events as ev
from orchwf.core.caching import CacheEntry, Lookup
from orchwf.core.slots import SlotRequest
from orchwf.crypto import CompressionCodec, EncryptionCodec
from orchwf.ports import Append, LightStore, Message, RunQuery, Store
from orchwf.stores import CodedStore, MemoryStore, OffloadingStore
from orchwf.stores.offloading import GRACE
from orchwf.stores.postgres import open_postgres
from orchwf.stores.sqlite import open_sqlite
from orchwf.testing.relay import Relay
from tests.kinds import opened_store

from .blobs import MemoryBlobStore
from .contract import StoreContract
from .samples import ALL_KINDS, completed, creation, more, schedule, started, written

LARGE = json.dumps("x" * 300_000)


class TestOffloadingMemoryStore(StoreContract):
    """It is a store, whatever the size of what it offloads."""

    @pytest.fixture
    def store(self) -> OffloadingStore:
        return OffloadingStore(MemoryStore(), MemoryBlobStore(), threshold=0)


class TestOffloadingSQLiteStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[OffloadingStore]:
        inner = await open_sqlite(tmp_path / "a.db", durability="process")
        store = OffloadingStore(inner, FolderBlobStore(tmp_path / "blobs", syncs=False), threshold=2)
        yield store
        await store.close()


class TestOffloadingPostgresStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    async def store(self, postgres_url: str) -> AsyncIterator[OffloadingStore]:
        store = OffloadingStore(await open_postgres(postgres_url), MemoryBlobStore(), threshold=0)
        yield store
        await store.close()


def offloading(threshold: int = 1_000, inner: Store | None = None) -> tuple[OffloadingStore, Store, MemoryBlobStore]:
    inner, blobs = inner or MemoryStore(), MemoryBlobStore()
    return OffloadingStore(inner, blobs, threshold=threshold), inner, blobs


# What is offloaded.


async def test_what_is_large_is_elsewhere_and_the_rest_is_not():
    """The store has a reference in its place, of which the key is the SHA-256 of the text."""
    store, inner, blobs = offloading()
    log = [completed(1, output='"small"'), completed(2, output=LARGE)]

    await written(store, creation("A1", *log))

    small, large = await inner.read("A1")
    key = hashlib.sha256(LARGE.encode()).hexdigest()
    assert log[0] == small
    assert f'"\\u006frchwf.blob:{key}:{len(LARGE)}"' == large.output  # type: ignore[attr-defined]
    assert {key: LARGE.encode()} == {key: data for key, (data, _) in blobs.kept.items()}
    assert log == await store.read("A1")


async def test_bytes_count_not_characters():
    """A value of few characters may have many bytes."""
    store, _, blobs = offloading()

    await written(store, creation("A1", completed(1, output=json.dumps("注" * 300, ensure_ascii=False))))
    await written(store, creation("A2", completed(1, output=json.dumps("注" * 340, ensure_ascii=False))))

    assert [1022] == [len(data) for data, _ in blobs.kept.values()]


async def test_whatever_users_give_is_offloaded(tmp_path: Path):
    """Inputs, progress, messages, kept outputs, schedules: everything that holds a value of theirs."""
    store, inner, _ = offloading(inner=await open_sqlite(tmp_path / "a.db", durability="process"))
    inputs = json.dumps({"text": "y" * 5_000})
    entry = CacheEntry(key="k", run_id="A1", step="charge", output=LARGE, created_at=1.0)
    message = Message(run_id="A1", id="m", signal="paid", payload=LARGE)
    log: list[ev.Event] = [
        attrs.evolve(ALL_KINDS[0], inputs=inputs, known=inputs),  # type: ignore[call-arg]
        ev.StepHeartbeat(seq=2, at=1.0, step="s", progress=LARGE),
        ev.ChildStarted(seq=3, at=1.0, step="s", child="c", inputs=inputs),
        ev.SignalReceived(seq=4, at=1.0, signal="s", message_id="other", payload=LARGE),
    ]

    await written(store, attrs.evolve(creation("A1", *log, owner="me"), caches=[entry], messages=[message]))
    await store.send(attrs.evolve(message, id="n"))
    put = await store.put_schedule(schedule("nightly", inputs=inputs))

    request = SlotRequest(limits=(), lookup=Lookup(key="k"), run_id="B1", step="charge", attempt=1)
    assert log == await store.read("A1")
    assert [LARGE, LARGE] == [each.payload for each in await store.inbox("me")]
    assert [entry] == await store.take_slots("me", [request])
    assert put
    assert [inputs, inputs] == [put.inputs, (await store.schedules())[0].inputs]
    await inner.close()
    assert b"x" * 1_000 not in (tmp_path / "a.db").read_bytes()
    assert b"y" * 1_000 not in (tmp_path / "a.db").read_bytes()


async def test_what_is_offloaded_is_encrypted():
    """The codec stands before it, and whoever can read the blobs has nothing of it."""
    blobs, codec = MemoryBlobStore(), EncryptionCodec(EncryptionCodec.generate_key())
    secret = json.dumps("SECRET" * 1_000)
    store = await open_store("memory:", blobs=blobs, codec=codec, blob_threshold=1_000)

    await written(store, creation("A1", completed(1, output=secret)))

    [(data, _)] = blobs.kept.values()
    assert data.startswith(b'"\\u006frchwf.coded:')
    assert b"SECRET" not in data
    assert [completed(1, output=secret)] == await store.read("A1")


async def test_what_is_equal_is_kept_once():
    """Also of several runs."""
    store, _, blobs = offloading()

    await written(store, *(creation(f"R{n}", completed(1, output=LARGE), completed(2, output=LARGE)) for n in range(3)))

    assert 1 == len(blobs.kept)


async def test_a_value_is_there_before_what_refers_to_it():
    """Whoever dies in between leaves a value that nobody wants, never a reference to nothing."""
    store, inner, blobs = offloading()
    order: list[str] = []
    blobs.before_put = lambda: order.append("put")

    class Noting(Relay):
        async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
            order.append("append")
            return await super().append(appends)

    store = OffloadingStore(Noting(inner), blobs, threshold=1_000)
    await written(store, creation("A1", completed(1, output=LARGE)), creation("A2", completed(1, output=LARGE + " ")))

    assert ["put", "put", "append"] == order


async def test_what_cannot_be_put_keeps_all_from_the_store():
    """As a disk that is full does: an orchestrator stops then, and says why, instead of running bodies for nothing."""
    store, inner, blobs = offloading()
    await written(store, creation("A1"))
    blobs.is_full = True

    with pytest.raises(StoreError, match="blobs: is full"):
        await store.append([more("A1", completed(1, output=LARGE)), creation("A2")])

    assert {"A1": []} == {run.id: await inner.read(run.id) for run in await inner.runs(RunQuery())}
    with pytest.raises(StoreError, match="blobs: is full"):
        await store.send(Message(run_id="A1", id="m", signal="s", payload=LARGE))


async def test_an_orchestrator_whose_large_values_cannot_be_put(tmp_path: Path):
    """It stops with the reason, and the body has run once; when there is room the run goes on."""
    ran: list[int] = []

    async def give() -> str:
        ran.append(1)
        return "x" * 300_000

    flow = make_workflow("Flow", {"give": step(give)})
    (tmp_path / "a.db.blobs").write_text("in the way")
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db") as orchestrator:
        handle = await orchestrator.start(flow(), "r")
        with pytest.raises(RunInterruptedError) as caught:
            await handle.result()
    assert "a.db.blobs cannot be used: Not a directory" in str(caught.value.__cause__)
    assert [1] == ran
    (tmp_path / "a.db.blobs").unlink()

    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", workflows=[flow]) as orchestrator:
        assert "x" * 300_000 == (await (await orchestrator.get("r")).result())["give"]


async def test_a_long_log_of_large_values_is_read_in_pieces():
    """No call holds more than some megabytes, however small the references are; but one value at least."""
    store, _, _ = offloading()
    log: list[ev.Event] = [completed(n, output=json.dumps(f"{n}" * 4_000_000)) for n in range(1, 10)]
    await written(store, creation("A1", *log))

    pages: list[list[ev.Event]] = []
    while page := await store.read("A1", after=sum(map(len, pages))):
        pages.append(page)

    assert log == [event for page in pages for event in page]
    assert [4, 4, 1] == [len(page) for page in pages]


async def test_large_values_are_hashed_in_a_thread(monkeypatch: pytest.MonkeyPatch):
    """Others have the loop meanwhile, when they are written and when they are read."""
    threads: list[int] = []
    real = hashlib.sha256

    def noting(data: bytes) -> Any:
        threads.append(threading.get_ident())
        return real(data)

    store, _, _ = offloading()
    monkeypatch.setattr(hashlib, "sha256", noting)

    await written(store, creation("A1", completed(1, output=LARGE)))
    await store.read("A1")

    assert 2 == len(threads)
    assert threading.get_ident() not in threads


def test_without_blobs_writing_costs_nothing():
    """It is the other store's own."""
    inner = MemoryStore()
    store: Any = OffloadingStore(inner, None)

    assert [inner.append, inner.send, inner.claim, inner.get] == [store.append, store.send, store.claim, store.get]


async def test_facts_name_the_blob_store():
    """For whoever operates it."""
    store, _, _ = offloading()

    assert "blobs:" == (await store.facts())["blobs"]
    assert "blobs" not in await OffloadingStore(MemoryStore(), None).facts()


async def test_both_are_closed():
    """Also if one of them cannot be."""

    class Stuck(Relay):
        async def close(self) -> None:
            raise StoreError("stuck")

    blobs = MemoryBlobStore()
    with pytest.raises(StoreError, match="stuck"):
        await OffloadingStore(Stuck(MemoryStore()), blobs).close()

    assert blobs.is_closed


# What cannot be read.


@pytest.mark.parametrize(
    ("data", "state"),
    [(None, "is missing in blobs:"), (b'"other"', "is damaged: it is not what was put in blobs:")],
    ids=["missing", "damaged"],
)
async def test_a_value_that_is_gone_is_one_clear_error(data: bytes | None, state: str):
    """It names run, step and blob, and the way out; what comes before it can be read."""
    store, _, blobs = offloading()
    await written(store, creation("A1", started(1), completed(2, "load", output=LARGE), completed(3, output="1")))
    [key] = blobs.kept
    blobs.kept = {} if data is None else {key: (data, 0.0)}

    with pytest.raises(StoreError) as caught:
        await store.read("A1")

    said = f"event 2 (step.completed of step 'load') of run 'A1' in memory: cannot be read, as blob {key} {state}"
    assert str(caught.value).startswith(said), str(caught.value)
    assert "bring it back from a backup, or delete what needs it and begin that anew" in str(caught.value)
    assert [started(1)] == await store.read("A1", limit=1)
    assert [completed(3, output="1")] == await store.read("A1", after=2)


async def test_each_place_of_a_missing_value_is_named():
    """An item of a step, the inputs of a run, a message, a schedule, a kept output."""
    store, _, blobs = offloading()
    inputs = json.dumps({"text": LARGE})
    begun = attrs.evolve(ALL_KINDS[0], inputs=inputs)  # type: ignore[call-arg]
    entry = CacheEntry(key="k", run_id="A1", step="charge", output=LARGE, created_at=1.0)
    await written(store, attrs.evolve(creation("A1", begun, owner="me"), caches=[entry]))
    await written(store, creation("A2", attrs.evolve(completed(1, output=LARGE), item=4)))
    await store.send(Message(run_id="A1", id="m", signal="paid", payload=LARGE))
    await store.put_schedule(schedule("nightly", inputs=inputs))
    blobs.kept = {}
    request = SlotRequest(limits=(), lookup=Lookup(key="k"), run_id="B1", step="charge", attempt=1)

    with pytest.raises(StoreError, match=r"event 1 \(run.started\) of run 'A1' in"):
        await store.read("A1")
    with pytest.raises(StoreError, match=r"event 1 \(step.completed of step 'charge', item 4\) of run 'A2' in"):
        await store.read("A2")
    with pytest.raises(StoreError, match="a message 'paid' to run 'A1' in"):
        await store.inbox("me")
    with pytest.raises(StoreError, match="schedule 'nightly' in"):
        await store.schedules()
    with pytest.raises(StoreError, match="what is kept of step 'charge' of run 'A1' in"):
        await store.take_slots("me", [request])


async def test_a_store_that_is_opened_without_its_blobs():
    """A reference is never taken for a value; runs without large values can be read."""
    store, inner, _ = offloading()
    await written(store, creation("A1", completed(1, output=LARGE)), creation("A2", completed(1, output="1")))

    without = OffloadingStore(inner, None)

    with pytest.raises(StoreError, match=r"open the store with its blobs, Orchestrator\(url, blobs=...\)"):
        await without.read("A1")
    assert [completed(1, output="1")] == await without.read("A2")


async def test_a_text_that_only_looks_like_a_reference():
    """What is no reference of ours stays what it is."""
    store, inner, _ = offloading()
    log = [completed(1, output='"\\u006frchwf.blob:nonsense"'), completed(2, output='"orchwf.blob:"')]

    await written(inner, creation("A1", *log))

    assert log == await store.read("A1")


# Deleting.


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An open store of each kind, without blobs."""
    store = await opened_store(request.param, request, tmp_path)
    yield store
    await store.close()


async def test_what_nothing_refers_to_is_deleted(any_store: Store):
    """All else stays, wherever the reference stands."""
    store, inner, blobs = offloading(inner=any_store)
    values = {name: json.dumps({"value": name * 2_000}) for name in "abcdefg"}
    begun = attrs.evolve(ALL_KINDS[0], inputs=values["a"], known=values["b"])  # type: ignore[call-arg]
    entry = CacheEntry(key="k", run_id="A1", step="s", output=values["d"], created_at=1.0)
    await written(
        store,
        attrs.evolve(creation("A1", begun, completed(2, output=values["c"])), caches=[entry]),
        creation("A2", completed(1, output=values["c"]), completed(2, output=values["g"])),
    )
    await store.send(Message(run_id="A1", id="m", signal="s", payload=values["e"]))
    await store.put_schedule(schedule("nightly", inputs=values["f"]))
    keys = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in values.items()}

    await store.delete(["A2"])
    blobs.now += GRACE + 1

    assert {keys[name] for name in "abcdef"} == await inner.mentioned(MARKER, KEY_LENGTH)
    assert 1 == await store.sweep()
    assert {keys[name] for name in "abcdef"} == set(blobs.kept)
    await store.delete(["A1"])
    await store.delete_schedule("nightly")
    await store.forget_expired(10.0)
    # A kept output without an end stays.
    assert {keys["d"]} == set(blobs.kept)


async def test_what_is_young_is_kept():
    """Its event may be on its way, from another process, which has put it and is slow."""
    store, _, blobs = offloading()
    await blobs.put("k" * 64, b"x")
    blobs.now += GRACE

    assert 0 == await store.sweep()
    blobs.now += 1
    assert 1 == await store.sweep()


async def test_an_old_value_that_is_put_again_is_not_deleted():
    """Another process comes to need it, between the look at what is needed and the deletion."""
    blobs = MemoryBlobStore()

    class Slow(Relay):
        async def mentioned(self, marker: str, length: int) -> set[str]:
            found = await super().mentioned(marker, length)
            await written(other, creation("A1", completed(1, output=LARGE)))
            return found

    inner = MemoryStore()
    other = OffloadingStore(inner, blobs, threshold=1_000)
    store = OffloadingStore(Slow(inner), blobs, threshold=1_000)
    await blobs.put(hashlib.sha256(LARGE.encode()).hexdigest(), LARGE.encode())
    blobs.now += 2 * GRACE

    assert 0 == await store.sweep()
    assert [completed(1, output=LARGE)] == await store.read("A1")


async def test_nothing_is_looked_through_for_nothing():
    """That takes long in a large store."""

    class Unasked(Relay):
        async def mentioned(self, marker: str, length: int) -> set[str]:
            raise AssertionError("asked")

    store, _, _ = offloading(inner=Unasked(MemoryStore()))
    await written(store, creation("A1", completed(1, output=LARGE)))

    assert 0 == await store.forget_expired(1.0)
    assert 0 == await OffloadingStore(Unasked(MemoryStore()), None).sweep()


async def test_a_long_log_is_looked_through_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The last one counts as the first does."""
    monkeypatch.setattr("orchwf.stores.sqlite_mentions._AT_ONCE", 10)
    inner = await open_sqlite(tmp_path / "a.db", durability="process")
    store, _, blobs = offloading(inner=inner)
    log = [completed(n, output=json.dumps(f"{n}" * 2_000) if n in (1, 10, 11, 95) else "1") for n in range(1, 96)]
    await written(store, creation("A1", *log))
    blobs.now += 2 * GRACE

    assert 0 == await store.sweep()
    assert 4 == len(blobs.kept)
    await store.close()


# Opened by URL.


async def test_a_sqlite_store_has_its_blobs_beside_it(tmp_path: Path):
    """The folder is made with the first large value; whatever link leads to the file, it is the same."""
    (tmp_path / "link.db").symlink_to("a.db")
    store = await open_store(f"sqlite:///{tmp_path}/a.db")
    await written(store, creation("A1", completed(1, output="1")))
    assert not (tmp_path / "a.db.blobs").exists()
    await written(store, creation("A2", completed(1, output=LARGE)))
    await store.close()

    again = await open_store(f"sqlite:///{tmp_path}/link.db")

    assert (tmp_path / "a.db.blobs").is_dir()
    assert [completed(1, output=LARGE)] == await again.read("A2")
    assert str(tmp_path / "a.db.blobs") in (await again.facts())["blobs"]
    await again.close()


@pytest.mark.parametrize("way", ["argument", "URL", "object"])
async def test_another_place_for_blobs(tmp_path: Path, way: str):
    """As an argument, as an option of the URL, or as an object; the URL of the store says so, if that can be said."""
    folder, url = f"file://{tmp_path}/elsewhere", f"sqlite:///{tmp_path}/a.db"
    blobs = {"argument": folder, "URL": None, "object": FolderBlobStore(tmp_path / "elsewhere")}[way]
    asked = f"{url}?durability=process&blobs={folder}" if way == "URL" else url
    store = await open_store(asked, blobs=blobs)
    await written(store, creation("A1", completed(1, output=LARGE)))
    await store.close()

    assert (tmp_path / "elsewhere").is_dir()
    assert not (tmp_path / "a.db.blobs").exists()
    if way == "object":
        assert url == store.url
        return
    again = await open_store(store.url)
    assert [completed(1, output=LARGE)] == await again.read("A1")
    await again.close()


@pytest.mark.parametrize("url", ["memory:", "sqlite:///{}/a.db?blobs=none"])
async def test_a_store_that_keeps_all_itself(tmp_path: Path, url: str):
    """A store in memory does unless it is told otherwise, and any may be told so."""
    store = await open_store(url.format(tmp_path))

    await written(store, creation("A1", completed(1, output=LARGE)))

    assert [completed(1, output=LARGE)] == await store.read("A1")
    assert "blobs" not in await store.facts()
    assert set() == await store.mentioned(MARKER, KEY_LENGTH)
    await store.close()


async def test_the_threshold_is_given_in_bytes():
    """For those who know their values."""
    blobs = MemoryBlobStore()
    store = await open_store("memory:", blobs=blobs, blob_threshold=10)

    await written(store, creation("A1", completed(1, output="1234567890"), completed(2, output="12345678901")))

    assert [b"12345678901"] == [data for data, _ in blobs.kept.values()]


@pytest.mark.parametrize("given", [b"file:///x", MemoryBlobStore, object(), Path("/x")])
async def test_blobs_that_are_none(given: Any):
    """They are refused before anything is opened."""
    with pytest.raises(UsageError, match="blobs takes a BlobStore, or its URL, not"):
        await open_store("memory:", blobs=given)


@pytest.mark.parametrize("given", [-1, True, "256"])
async def test_a_threshold_that_is_none(given: Any):
    """It is refused."""
    with pytest.raises(UsageError, match="blob_threshold takes a number of bytes"):
        await open_store("memory:", blob_threshold=given)


async def test_blobs_for_a_store_that_is_open():
    """It would have to know whether there were any before."""
    with pytest.raises(UsageError, match=r"open this one with it: open_store\(url, blobs=...\)"):
        await open_store(MemoryStore(), blobs="file:///x")


@pytest.mark.parametrize(
    ("blobs", "reason"),
    [
        ("file://x", "file:// is followed by an absolute path"),
        ("file:///", "file:// is followed by an absolute path"),
        ("blobs", "it is the URL of a folder, file:///var/blobs, or of a bucket"),
        ("nope://x/y", "cannot be used: Generic URL error: Unable to recognise URL"),
        ("s3://key:SECRET@bucket/x", "holds no credentials"),
    ],
)
async def test_a_url_of_blobs_that_is_none(tmp_path: Path, blobs: str, reason: str):
    """It says what one looks like, and makes no file."""
    with pytest.raises(StoreError, match=reason) as caught:
        await open_store(f"sqlite:///{tmp_path}/a.db", blobs=blobs)

    assert "SECRET" not in str(caught.value)
    assert not (tmp_path / "a.db").exists()


async def test_obstore_is_an_extra(monkeypatch: pytest.MonkeyPatch):
    """Whoever lacks it is told what to install."""
    monkeypatch.setitem(__import__("sys").modules, "orchwf.blobs.objects", None)

    with pytest.raises(StoreError, match=r"pip install 'orchwf\[s3\]'"):
        await open_store("memory:", blobs="s3://bucket/prefix")


async def test_many_at_once():
    """Each has its own value, however they are put and fetched."""
    store, _, _ = offloading()
    logs = {f"R{n}": [completed(1, output=json.dumps(f"{n}" * 2_000))] for n in range(40)}

    async def one(run_id: str) -> list[ev.Event]:
        await written(store, creation(run_id, *logs[run_id]))
        await written(store, more(run_id, completed(2)))
        return await store.read(run_id, limit=1)

    assert list(logs.values()) == await asyncio.gather(*map(one, logs))


# What is left where it is.


async def test_large_outputs_may_be_left_where_they_are(tmp_path: Path):
    """Those of steps, and nothing else: what is read lightly has references, which can be fetched, and stored again."""
    store, inner, _ = offloading()
    inputs = json.dumps({"text": "y" * 5_000})
    log = [attrs.evolve(ALL_KINDS[0], inputs=inputs), completed(2, output=LARGE)]  # type: ignore[call-arg]
    await written(store, creation("A1", *log))

    first, second = await store.read_light("A1")
    await written(store, creation("A2", attrs.evolve(second, seq=1)))

    assert log[0] == first
    assert second == (await inner.read("A1"))[1]
    assert {second.output: LARGE} == await store.fetch([second.output], "it")  # type: ignore[attr-defined]
    assert [attrs.evolve(log[1], seq=1)] == await store.read("A2")
    assert second == (await store.read_light("A1", 1, 1))[0]


async def test_texts_are_put_for_others(tmp_path: Path):
    """Those that are large; and others are told where, if they can open that."""
    store = await open_store(f"sqlite:///{tmp_path}/a.db", blob_threshold=1_000)
    assert isinstance(store, LightStore)

    found = await store.put_large([LARGE, '"small"'])

    shared = await store.shared()
    assert shared is not None
    assert (f"file://{tmp_path}/a.db.blobs", 1_000) == (shared.url, shared.threshold)
    assert [LARGE] == list(found)
    assert {found[LARGE]: LARGE} == await store.fetch([found[LARGE]], "it")
    assert await store.has(found[LARGE])
    assert not await store.has(content('"another"')[0].text)
    await store.close()


@pytest.mark.parametrize("harm", ["is missing", "is damaged"])
async def test_one_error_tells_of_what_cannot_be_fetched(harm: str):
    """Of several that cannot be had it is one, and no group."""
    store, _, blobs = offloading()
    found = await store.put_large([LARGE, LARGE.replace("x", "y")])
    for key in list(blobs.kept):
        blobs.kept[key] = (b"0", 0.0)
    if harm == "is missing":
        blobs.kept.clear()

    with pytest.raises(StoreError, match=rf"it in memory: cannot be read, as blob [0-9a-f]+ {harm}.* in blobs:"):
        await store.fetch(found.values(), "it")


async def test_nobody_is_told_where_large_values_are_that_only_this_process_reaches(tmp_path: Path):
    """In an object, or behind a codec; a store without any has nothing to leave."""
    codec = EncryptionCodec(EncryptionCodec.generate_key())
    coded = await open_store(f"sqlite:///{tmp_path}/a.db", codec=codec, blob_threshold=10)
    given = await open_store(f"sqlite:///{tmp_path}/b.db", blobs=MemoryBlobStore())
    without = CodedStore(MemoryStore(), codec)
    for store in (coded, without):
        await written(store, creation("A1", completed(1, output=LARGE)))
    assert isinstance(coded, LightStore)
    assert isinstance(given, LightStore)

    [event] = await coded.read_light("A1")

    assert [None] * 3 == [await each.shared() for each in (coded, given, without)]
    assert not await without.has(event.output)  # type: ignore[attr-defined]
    assert {event.output: LARGE} == await coded.fetch([event.output], "it")  # type: ignore[attr-defined]
    assert [completed(1, output=LARGE)] == await without.read_light("A1")
    for store in (coded, given):
        await store.close()
    plain = await open_store(f"sqlite:///{tmp_path}/c.db", blob_threshold=10)
    compressed = await open_store(f"sqlite:///{tmp_path}/c.db", blob_threshold=10, codec=CompressionCodec())
    await written(compressed, creation("A1", completed(1, output=LARGE)))
    assert isinstance(plain, LightStore)
    [event] = await plain.read_light("A1")
    assert {event.output: LARGE} == await plain.fetch([event.output], "it")  # type: ignore[attr-defined]
    for store in (plain, compressed):
        await store.close()


async def test_what_no_key_opens_is_told_when_it_is_fetched(tmp_path: Path):
    """As when it is read."""
    url = f"sqlite:///{tmp_path}/a.db"
    first = await open_store(url, codec=EncryptionCodec(EncryptionCodec.generate_key()), blob_threshold=10)
    other = OffloadingStore(MemoryStore(), None)
    await written(first, creation("A1", completed(1, output=LARGE)))
    [event] = await first.read_light("A1")  # type: ignore[attr-defined]
    await first.close()
    inner = await open_sqlite(tmp_path / "a.db")
    blobs = FolderBlobStore(tmp_path / "a.db.blobs")
    second = CodedStore(OffloadingStore(inner, blobs), EncryptionCodec(EncryptionCodec.generate_key()))

    with pytest.raises(StoreError, match=r"it in sqlite.* cannot be read with the codec"):
        await second.fetch([event.output], "it")
    with pytest.raises(StoreError, match="open the store with its blobs"):
        await OffloadingStore(inner, None).read_light("A1")
    assert not await other.has(event.output)
    await second.close()
