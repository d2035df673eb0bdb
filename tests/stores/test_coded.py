"""The store whose payloads are encoded."""

import base64
import json
import threading
import typing
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import attrs
import pytest

from orchwf import StoreError, UsageError, open_store
from orchwf.core import events as ev
from orchwf.core.caching import CacheEntry, Lookup
from orchwf.core.schedules import ScheduleRecord
from orchwf.core.slots import SlotRequest
from orchwf.core.state import RunStatus
from orchwf.crypto import ChainedCodec, CompressionCodec, EncryptionCodec
from orchwf.ports import Append, Message, PayloadCodec, RunQuery, RunRecord, Store, Summary
from orchwf.stores import CodedStore, MemoryStore
from orchwf.stores.payloads import FIELDS, Kind, changed, fields_of
from orchwf.stores.sqlite import open_sqlite
from orchwf.testing.relay import Relay

from .contract import StoreContract
from .samples import ALL_KINDS, ERROR, completed, creation, more, received, record, schedule, started, written

KEY, OTHER_KEY = EncryptionCodec.generate_key(), EncryptionCodec.generate_key()
MARK = '"\\u006frchwf.coded:'


class Reversed:
    """A codec that hides nothing from those who look twice; it notes in which threads it was called."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def encode(self, data: bytes, /) -> bytes:
        self.threads.add(threading.get_ident())
        return data[::-1]

    def decode(self, data: bytes, /) -> bytes:
        self.threads.add(threading.get_ident())
        return data[::-1]


class Broken(Reversed):
    """A codec that fails where the payload says so."""

    def encode(self, data: bytes, /) -> bytes:
        if b"no" in data:
            raise ValueError(data)
        return super().encode(data)


class TestCodedMemoryStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    def store(self) -> CodedStore:
        return CodedStore(MemoryStore(), EncryptionCodec(KEY))


class TestCodedSQLiteStore(StoreContract):
    """It is a store."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[CodedStore]:
        codec = ChainedCodec(CompressionCodec(), EncryptionCodec(KEY))
        store = CodedStore(await open_sqlite(tmp_path / "orders.db", durability="process"), codec)
        yield store
        await store.close()


class TestStoreWithoutCodec(StoreContract):
    """It is a store."""

    @pytest.fixture
    def store(self) -> CodedStore:
        return CodedStore(MemoryStore(), None)


# What is coded.


def holds_text(hint: Any) -> bool:
    """Whether a value of this type may hold text."""
    if typing.get_origin(hint) in (UnionType, typing.Union):
        return any(map(holds_text, typing.get_args(hint)))
    return not (isinstance(hint, type) and issubclass(hint, (int, float, NoneType, RunStatus)))


@pytest.mark.parametrize(
    "cls",
    [ev.ErrorInfo, *ev.EVENT_TYPES.values(), RunRecord, ScheduleRecord, CacheEntry, Summary, Message],
    ids=lambda cls: cls.__name__,
)
def test_each_text_is_coded_or_plain(cls: type[attrs.AttrsInstance]):
    """A new field has to be entered in the table of payloads, or it would be stored readably, unnoticed."""
    hints = typing.get_type_hints(cls)
    texts = {field.name for field in attrs.fields(cls) if holds_text(hints[field.name])}

    assert texts == set(fields_of(cls)), "enter it in orchwf/stores/payloads.py: as plain, or as what it is"


def test_the_table_has_no_other_classes():
    """What is in it is stored."""
    stored: set[type] = {
        ev.ErrorInfo,
        *ev.EVENT_TYPES.values(),
        RunRecord,
        ScheduleRecord,
        CacheEntry,
        Summary,
        Message,
    }

    assert set() == {cls for cls in FIELDS if not any(issubclass(each, cls) for each in stored)}


def secret_events() -> list[ev.Event]:
    """One event of each kind, with a secret in each payload."""
    secrets: dict[Kind, Any] = {
        Kind.TEXT: "SECRET text", Kind.JSON: '"SECRET value"', Kind.OBJECT: '{"card":"SECRET input"}',
        Kind.TEXTS: ("SECRET key", "SECRET other key"),
        Kind.NESTED: attrs.evolve(ERROR, message="SECRET message", traceback="SECRET trace", source="SECRET line"),
    }  # fmt: skip
    found: list[ev.Event] = []
    for event in ALL_KINDS:
        coded = {name: secrets[kind] for name, kind in fields_of(type(event)).items() if kind is not Kind.PLAIN}
        found.append(attrs.evolve(event, **coded))
    return found


def bytes_of(folder: Path) -> bytes:
    """All that the files of a folder hold."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_no_payload_stands_readable_in_the_file(tmp_path: Path):
    """Whatever kind of event it is in; names, ids and tags do."""
    store = await open_store(f"sqlite:///{tmp_path}/a.db", codec=EncryptionCodec(KEY))
    events = secret_events()
    labels: dict[str, Any] = {"metadata": {"card": "SECRET label"}, "tags": {"shop": "eu"}, "owner": "me"}
    await written(store, creation("A1", *events, error="SECRET reason", **labels))
    await store.send(Message(run_id="A1", id="m", signal="cancel", payload='"SECRET wish"'))
    summary = Summary(status=RunStatus.FAILED, fingerprint="f1", error="SECRET failure")
    await written(store, Append(run_id="A1", expected=len(events), events=[], summary=summary))

    found = bytes_of(tmp_path)

    assert b"SECRET" not in found
    assert all(word in found for word in (b"Orders", b"charge", b"shop", b"card", b"CardError", b"shop.py:3"))
    assert events == await store.read("A1")
    assert "SECRET failure" == (await store.runs(RunQuery()))[0].error
    assert [Message(run_id="A1", id="m", signal="cancel", payload='"SECRET wish"')] == await store.inbox("me")
    await store.close()


async def test_what_is_stored_is_json_where_that_is_expected():
    """An output and a payload are JSON, and inputs are an object: stores may rely on it."""
    inner = MemoryStore()
    store = CodedStore(inner, EncryptionCodec(KEY))
    await written(store, creation("A1", *secret_events(), owner="me"))
    await store.send(Message(run_id="A1", id="m", signal="cancel", payload='"wish"'))

    kinds = {event.kind: event for event in await inner.read("A1")}
    [message] = await inner.inbox("me")

    inputs = json.loads(kinds["run.started"].inputs)  # type: ignore[attr-defined]
    outputs = [kinds["step.completed"].output, kinds["step.heartbeat"].progress, message.payload]  # type: ignore[attr-defined]
    assert [""] == list(inputs)
    assert all(json.loads(text).startswith("orchwf.coded:") for text in [*outputs, kinds["signal.received"].payload])  # type: ignore[attr-defined]


async def test_nothing_is_told_of_nothing():
    """An output that is null, and a reason that nobody gave, stay as they are."""
    inner = MemoryStore()
    log = [completed(1), ev.RunCancelled(seq=2, at=1.0), ev.StepHeartbeat(seq=3, at=1.0, step="s")]

    await written(CodedStore(inner, EncryptionCodec(KEY)), creation("A1", *log))

    assert log == await inner.read("A1")


# With another codec, or without.


async def test_what_was_written_before_stays_readable():
    """A codec may be given to a store that has runs already; they go on, encoded from now on."""
    inner = MemoryStore()
    labels: dict[str, Any] = {"metadata": {"trace": ["t", 1]}, "error": "no"}
    await written(inner, creation("A1", completed(1, output='{"a":1}'), **labels))
    store = CodedStore(inner, EncryptionCodec(KEY))

    await written(store, more("A1", completed(2, output='"later"')))

    assert [completed(1, output='{"a":1}'), completed(2, output='"later"')] == await store.read("A1")
    assert record(number=1, **labels) == await store.get("A1")


@pytest.mark.parametrize(
    ("codec", "ways"),
    [
        (None, ["was written with a codec", "open_store(url, codec=...)", "$ORCHWF_KEYS"]),
        (EncryptionCodec(OTHER_KEY), ["another codec or key", "EncryptionCodec (InvalidToken)", "all keys"]),
        (CompressionCodec(), ["another codec or key", "CompressionCodec (UnicodeDecodeError)"]),
    ],
    ids=repr,
)
async def test_a_store_of_another_codec_is_not_opened(tmp_path: Path, codec: PayloadCodec | None, ways: Sequence[str]):
    """The error says so, and what to do; the file can be opened again at once."""
    url = f"sqlite:///{tmp_path}/a.db"
    store = await open_store(url, codec=EncryptionCodec(KEY))
    await written(store, creation("A1", *ALL_KINDS))
    await store.close()

    with pytest.raises(StoreError) as caught:
        await open_store(url, codec=codec)

    assert all(way in str(caught.value) for way in ["run 'A1'", url, *ways]), str(caught.value)
    again = await open_store(url, codec=EncryptionCodec(OTHER_KEY, KEY))
    assert list(ALL_KINDS) == await again.read("A1")
    await again.close()


@pytest.mark.parametrize("codec", [None, EncryptionCodec(OTHER_KEY)], ids=repr)
async def test_what_cannot_be_read_is_never_taken_for_a_value(codec: PayloadCodec | None):
    """Not the inputs of one run, nor the output of another that was begun without the codec."""
    inner = MemoryStore()
    store, other = CodedStore(inner, EncryptionCodec(KEY)), CodedStore(inner, codec)
    await written(store, creation("A1", *ALL_KINDS))
    await written(inner, creation("B1", started(1)))
    await written(store, more("B1", completed(2, output='"x"')))

    for run_id in ("A1", "B1"):
        with pytest.raises(StoreError, match=f"run '{run_id}'"):
            await other.read(run_id)

    assert [started(1)] == await other.read("B1", limit=1)


@pytest.mark.parametrize("codec", [None, EncryptionCodec(OTHER_KEY)], ids=repr)
async def test_schedules_and_kept_outputs_that_cannot_be_read_are_told(codec: PayloadCodec | None):
    """No run begins with inputs that are none, and no step completes with such an output."""
    inner = MemoryStore()
    store, other = CodedStore(inner, EncryptionCodec(KEY)), CodedStore(inner, codec)
    entry = CacheEntry(key="k", run_id="A1", step="pay", output="7", created_at=0.0)
    await written(store, attrs.evolve(creation("A1", started(1)), caches=[entry]))
    await store.put_schedule(schedule("nightly"))
    request = SlotRequest(limits=(), lookup=Lookup(key="k"), run_id="B1", step="pay", attempt=1)

    with pytest.raises(StoreError, match="a schedule in memory:"):
        await other.schedules()
    with pytest.raises(StoreError, match="what is kept of step 'pay' in memory:"):
        await other.take_slots("owner", [request])

    assert [entry] == await store.take_slots("owner", [request])
    assert ['{"order_id":"A1"}'] == [each.inputs for each in await store.schedules()]


@pytest.mark.parametrize("codec", [None, EncryptionCodec(OTHER_KEY)], ids=repr)
async def test_runs_can_be_listed_whatever_codec_they_were_written_with(codec: PayloadCodec | None):
    """One run must not keep all others from being seen; what cannot be read says so."""
    inner = MemoryStore()
    await written(CodedStore(inner, EncryptionCodec(KEY)), creation("A1", error="no", metadata={"a": 1, "b": "c"}))
    await written(inner, creation("B1", error="never", metadata={"a": 2}))

    listed = await CodedStore(inner, codec).runs(RunQuery())

    unreadable = "(it was written with another codec)"
    assert [("never", {"a": 2}), (unreadable, {"a": unreadable, "b": unreadable})] == [
        (run.error, run.metadata) for run in listed
    ]


async def test_a_request_is_heard_whatever_its_reason():
    """Somebody with a codec may cancel a run of somebody without; a value it would have to read is refused."""
    inner = MemoryStore()
    await written(inner, creation("A1", owner="me"), creation("A2", owner="you"))
    sender, other = CodedStore(inner, EncryptionCodec(KEY)), CodedStore(inner, None)
    await sender.send(Message(run_id="A1", id="m", signal="cancel", payload='"enough"'))
    await sender.send(Message(run_id="A2", id="m", signal="paid", payload="7"))

    [message] = await other.inbox("me")

    assert ("cancel", '"(it was written with another codec)"') == (message.signal, message.payload)
    with pytest.raises(StoreError, match="the message to run 'A2'"):
        await other.inbox("you")


async def test_a_reason_that_only_looks_encoded_harms_nobody():
    """Whoever can choose the text of an error must not be able to make a run unreadable."""
    store = CodedStore(MemoryStore(), None)
    error = attrs.evolve(ERROR, message=f'{MARK}AAAA"')
    failed = ev.StepFailed(seq=1, at=1.0, step="s", attempt=1, error=error)
    await written(store, creation("A1", failed, error=f'{MARK}AAAA"', metadata={"a": f'{MARK}AAAA"'}))

    [read] = await store.read("A1")

    assert isinstance(read, ev.StepFailed)
    assert "(it was written with another codec)" == read.error.message
    assert await store.get("A1")


BOMB = base64.b64encode(zlib.compress(b"0" * 50_000_000)).decode()
NO_JSON = base64.b64encode(zlib.compress(b"no JSON")).decode()


@pytest.mark.parametrize("data", [BOMB, NO_JSON, "AAAA", "no Base64"], ids=["bomb", "no JSON", "nothing", "no Base64"])
@pytest.mark.parametrize("codec", [None, EncryptionCodec(KEY)], ids=repr)
async def test_metadata_that_only_look_encoded_harm_nobody(codec: PayloadCodec | None, data: str):
    """They may come from a stranger; the list of all runs must not depend on them, nor its memory."""
    inner = MemoryStore()
    await written(inner, creation("A1", metadata={"a": f'{MARK}{data}"', "b": f'{{"":{MARK}{data}"}}'}))

    [run] = await CodedStore(inner, codec).runs(RunQuery())

    assert {"a": "(it was written with another codec)", "b": f'{{"":{MARK}{data}"}}'} == run.metadata


@pytest.mark.parametrize("codec", [CompressionCodec(), EncryptionCodec(KEY)], ids=repr)
async def test_with_a_codec_no_text_is_taken_for_an_encoded_one(codec: PayloadCodec):
    """Also one that the codec leaves as it is."""
    store = CodedStore(MemoryStore(), codec)
    error = attrs.evolve(ERROR, message=f'{MARK}AAAA"')
    failed = ev.StepFailed(seq=1, at=1.0, step="s", attempt=1, error=error)

    await written(store, creation("A1", failed))

    assert [failed] == await store.read("A1")


async def test_what_is_only_compressed_is_readable_without_a_codec():
    """And with whatever other one."""
    inner = MemoryStore()
    log = [completed(1, output='"short"'), completed(2, output=json.dumps(["long"] * 1000))]
    await written(CodedStore(inner, CompressionCodec()), creation("A1", *log))

    stored = await inner.read("A1")

    assert log[0] == stored[0]
    assert len(stored[1].output) < 200  # type: ignore[attr-defined]
    assert log == await CodedStore(inner, None).read("A1")
    assert log == await CodedStore(inner, EncryptionCodec(KEY)).read("A1")


async def test_compressed_and_encrypted_is_readable_with_the_keys_alone():
    """Commands have no more than these."""
    inner = MemoryStore()
    log = [completed(1, output='"short"'), completed(2, output=json.dumps(["long"] * 1000))]

    await written(CodedStore(inner, ChainedCodec(CompressionCodec(), EncryptionCodec(KEY))), creation("A1", *log))

    assert log == await CodedStore(inner, EncryptionCodec(KEY)).read("A1")


async def test_keys_are_changed():
    """The new one encrypts from now on, and what the old one encrypted stays readable as long as it is given."""
    inner = MemoryStore()
    old, both, new = (CodedStore(inner, EncryptionCodec(*keys)) for keys in ([KEY], [OTHER_KEY, KEY], [OTHER_KEY]))
    log = [completed(seq, output=f'"{seq}"') for seq in (1, 2, 3)]
    await written(old, creation("A1", *log[:2]))

    await written(both, more("A1", log[2]))
    await written(both, creation("A2", *log))

    assert log == await both.read("A1")
    assert log == await new.read("A2")
    with pytest.raises(StoreError, match="another codec or key"):
        await new.read("A1")


# Trouble.


async def test_a_codec_that_fails_keeps_one_run_from_the_store():
    """What it could not encode is not written at all, the rest is; the error does not repeat what was to be secret."""
    inner = MemoryStore()
    store = CodedStore(inner, Broken())
    outputs = ('"yes"', '"no SECRET"', '"yes"')

    outcomes = await store.append(
        [creation(f"R{number}", completed(1, output=output)) for number, output in enumerate(outputs)]
    )

    assert [None, StoreError, None] == [outcome and type(outcome) for outcome in outcomes]
    assert "what run 'R1' should have been given is not in memory:" in str(outcomes[1])
    assert "Broken failed to encode it (ValueError)" in str(outcomes[1])
    assert "SECRET" not in str(outcomes[1])
    assert ["R2", "R0"] == [run.id for run in await inner.runs(RunQuery())]
    with pytest.raises(StoreError, match="the message to run 'R0' is not in memory:"):
        await store.send(Message(run_id="R0", id="m", signal="cancel", payload='"no"'))
    with pytest.raises(StoreError, match="schedule 'nightly' is not in memory:"):
        await store.put_schedule(schedule("nightly", inputs='{"order_id":"no"}'))
    assert [] == await inner.runs(RunQuery(asked=["cancel"]))
    assert [] == await inner.schedules()


async def test_metadata_that_a_codec_cannot_encode_are_not_written_plainly():
    """Their trouble is the codec's, not that they are no JSON."""
    store = CodedStore(MemoryStore(), Broken())

    [outcome] = await store.append([creation("A1", metadata={"a": "no"})])

    assert "failed to encode it" in str(outcome)
    assert await store.get("A1") is None


@pytest.mark.parametrize("codec", ["key", CompressionCodec, object(), b"SECRET"])
async def test_a_codec_that_is_none(codec: Any):
    """It is refused before anything is opened, and not shown: it may be a key."""
    with pytest.raises(UsageError, match="codec takes an object with encode and decode") as caught:
        CodedStore(MemoryStore(), codec)

    assert "SECRET" not in str(caught.value)


async def test_a_codec_for_a_store_that_is_open():
    """It would have to know whether there was one before."""
    with pytest.raises(UsageError, match=r"open this one with it: open_store\(url, codec=...\)"):
        await open_store(MemoryStore(), codec=CompressionCodec())


async def test_a_bad_codec_leaves_no_file_open(tmp_path: Path):
    """The file is closed, and can be opened again."""
    with pytest.raises(UsageError):
        await open_store(f"sqlite:///{tmp_path}/a.db", codec=typing.cast(Any, "key"))

    await (await open_store(f"sqlite:///{tmp_path}/a.db")).close()


class Faulty(Relay):
    """A store that cannot list its runs."""

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        raise StoreError("damaged")


async def test_a_damaged_store_is_opened():
    """What can be done with it is another's to say."""
    await CodedStore(Faulty(MemoryStore()), CompressionCodec()).check()


async def test_facts_name_the_codec():
    """For whoever operates it."""
    assert "EncryptionCodec" == (await CodedStore(MemoryStore(), EncryptionCodec(KEY)).facts())["codec"]
    assert "codec" not in await CodedStore(MemoryStore(), None).facts()


# Costs.


class Counting(Relay):
    """A store that notes how many appends came at once."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.batches: list[int] = []

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        self.batches.append(len(appends))
        return await super().append(appends)


async def test_a_batch_stays_one_batch():
    """So it stays one commit."""
    counting = Counting(MemoryStore())

    await written(CodedStore(counting, Reversed()), *(creation(f"R{n}", completed(1, output='"x"')) for n in range(9)))

    assert [9] == counting.batches


@pytest.mark.parametrize(("size", "is_elsewhere"), [(10, False), (1_000_000, True)])
async def test_large_payloads_are_coded_in_a_thread(size: int, is_elsewhere: bool):
    """Others have the loop meanwhile."""
    codec = Reversed()
    store = CodedStore(MemoryStore(), codec)

    await written(store, creation("A1", completed(1, output=f'"{"xy" * size}"'), owner="me"))
    await store.send(Message(run_id="A1", id="m", signal="cancel", payload=f'"{"xy" * size}"'))
    encoded, codec.threads = codec.threads, set()
    await store.read("A1")
    await store.inbox("me")

    assert is_elsewhere == any(each != threading.get_ident() for each in encoded)
    assert is_elsewhere == any(each != threading.get_ident() for each in codec.threads)


async def test_large_metadata_are_coded_in_a_thread():
    """Though they are no text."""
    codec = Reversed()

    await written(CodedStore(MemoryStore(), codec), creation("A1", metadata={"list": [["x"] * 5_000]}))

    assert {threading.get_ident()} != codec.threads


def test_without_a_codec_writing_costs_nothing():
    """It is the other store's own."""
    inner = MemoryStore()
    store: Any = CodedStore(inner, None)

    calls: list[Callable[..., object]] = [store.append, store.send, store.claim, store.renew]
    assert [inner.append, inner.send, inner.claim, inner.renew] == calls


def test_what_needs_no_change_is_not_copied():
    """Nearly all of a log is plain."""
    event = received(1, "m")

    assert changed(event, lambda kind, value: value) is event
