"""The store that stands before another one and encodes its payloads: nobody can read them there without the codec."""

import base64
import json
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import attrs

from ..blobs.references import CODED
from ..blobs.values import computed
from ..core.caching import CacheEntry
from ..core.events import Event
from ..core.rows import ITEMS
from ..core.schedules import ScheduleRecord
from ..core.slots import Answer, Slot, SlotRequest
from ..crypto import CompressionCodec
from ..errors import StoreError, UsageError
from ..ports import Append, LightStore, Message, PayloadCodec, RunQuery, RunRecord, Shared, Store, Taken, Wanted
from .payloads import Kind, changed, cost, payloads

A = TypeVar("A", bound=attrs.AttrsInstance)

_MARK = CODED
_MARK_OF_OBJECT = '{"":' + _MARK
_MARKS = (_MARK, _MARK_OF_OBJECT)
_LONGEST = 1_000_000
"""How long a text may become (bytes) of which it is not sure that we have compressed it."""
_UNREADABLE = "(it was written with another codec)"
"""What is given for a text that cannot be read, where all else can be used without it."""
_REQUESTS = frozenset({"cancel", "terminate", "pause"})
"""The signals whose payload is a reason, and no value."""


class _UnreadableError(Exception):
    """A coded text cannot be read here; the cause says why, if it was tried."""


class CodedStore:
    """
    A `Store` that keeps its payloads in another one, encoded.

    What was written there without a codec stays readable. Without one this store writes plainly, and still knows what
    is encoded: that is never taken for a value.

    Args:
        inner: Where everything is kept. It is closed with this one.
        codec: What encodes and decodes; None for a store of which nothing is known to be encoded.

    Raises:
        UsageError: the codec is none.
    """

    def __init__(self, inner: Store, codec: PayloadCodec | None) -> None:
        self.url = inner.url
        self._inner = inner
        self._codec = checked_codec(codec)
        self._light = inner if isinstance(inner, LightStore) else None
        # What holds no payload goes straight through.
        self.definition, self.claim, self.delete = inner.definition, inner.claim, inner.delete
        self.census = inner.census
        self.renew, self.release = inner.renew, inner.release
        self.listen, self.watch = inner.listen, inner.watch
        self.next_wake, self.forget_expired, self.occupancy = inner.next_wake, inner.forget_expired, inner.occupancy
        self.close, self.mentioned = inner.close, inner.mentioned
        self.delete_schedule = inner.delete_schedule
        self.publish, self.published, self.published_names = inner.publish, inner.published, inner.published_names
        # So does what is written without a codec: a step costs no more than in the other store.
        self.append = inner.append if codec is None else self._append
        self.send = inner.send if codec is None else self._send

    async def facts(self) -> dict[str, str]:
        facts = await self._inner.facts()
        return facts if self._codec is None else {**facts, "codec": type(self._codec).__name__}

    # Writing.

    async def _append(self, appends: Sequence[Append]) -> list[Exception | None]:
        size = sum([_cost(append) for append in appends])
        coded = await computed(size, lambda: [self._encoded(append) for append in appends])
        outcomes = iter(await self._inner.append([each for each in coded if isinstance(each, Append)]))
        return [next(outcomes) if isinstance(each, Append) else each for each in coded]

    def _encoded(self, append: Append) -> Append | StoreError:
        """What to append; if the codec fails, the error for which nothing of it is."""
        try:
            return attrs.evolve(
                append, events=[changed(event, self._encode) for event in append.events],
                summary=append.summary and changed(append.summary, self._encode),
                create=append.create and changed(append.create, self._encode),
                messages=[changed(message, self._encode) for message in append.messages],
                caches=[changed(entry, self._encode) for entry in append.caches],
            )  # fmt: skip
        # Foreign code. What it says may quote what is to stay secret, so the message does not repeat it.
        except Exception as error:
            return self._not_encoded(f"what run {append.run_id!r} should have been given", error)

    async def _send(self, message: Message) -> None:
        try:
            coded = await computed(cost(message), lambda: changed(message, self._encode))
        # Foreign code, as above.
        except Exception as error:
            raise self._not_encoded(f"the message to run {message.run_id!r}", error) from error
        await self._inner.send(coded)

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        if self._codec is None:
            return await self._inner.put_schedule(schedule)
        try:
            coded = await computed(cost(schedule), lambda: changed(schedule, self._encode))
        # Foreign code, as above.
        except Exception as error:
            raise self._not_encoded(f"schedule {schedule.name!r}", error) from error
        stored = await self._inner.put_schedule(coded)
        return stored and attrs.evolve(stored, inputs=schedule.inputs)

    def _not_encoded(self, what: str, error: Exception) -> StoreError:
        failure = StoreError(
            f"{what} is not in {self.url}: "
            f"the codec {type(self._codec).__name__} failed to encode it ({type(error).__name__})"
        )
        failure.__cause__ = error
        return failure

    def _encode(self, kind: Kind, value: Any) -> Any:
        match kind:
            case Kind.VALUES:
                return self._values(value)
            case Kind.TEXTS:
                return tuple(map(self._text, value))
            case Kind.OBJECT if not value:
                return value
            case Kind.OBJECT:
                coded = self._text(value)
                return value if coded is value else f'{{"":{coded}}}'
            case Kind.JSON if value in ("null", ITEMS):
                # Most outputs are. That there is nothing, or items, is no secret.
                return value
            case _:
                return self._text(value) if value else value

    def _values(self, values: dict[str, object]) -> dict[str, object]:
        try:
            texts = {name: json.dumps(value, ensure_ascii=False, allow_nan=False) for name, value in values.items()}
            "".join(texts.values()).encode()
        except (TypeError, ValueError):
            # It cannot be JSON, which the store itself says.
            return values
        coded = {name: self._text(text) for name, text in texts.items()}
        return {name: values[name] if text is texts[name] else text for name, text in coded.items()}

    def _text(self, text: str) -> str:
        """The text encoded; itself if the codec leaves it as it is."""
        codec, plain = self._codec, text.encode()
        data = plain if codec is None else codec.encode(plain)
        if data == plain and not text.startswith(_MARK):
            return text
        return f'{_MARK}{base64.b64encode(data).decode("ascii")}"'

    # Reading.

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        return await self._read(run_id, await self._inner.read(run_id, after, limit))

    async def _read(self, run_id: str, events: list[Event]) -> list[Event]:
        try:
            return await self._decoded(events)
        except _UnreadableError as error:
            raise self._not_decoded(f"run {run_id!r}", error) from error.__cause__

    # What is large, and kept elsewhere: references are no payloads, but what they stand for is one.

    async def shared(self) -> Shared | None:
        # Nobody else has the codec.
        return None if self._codec is not None or self._light is None else await self._light.shared()

    async def read_light(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        if self._light is None:
            return await self.read(run_id, after, limit)
        return await self._read(run_id, await self._light.read_light(run_id, after, limit))

    async def fetch(self, references: Collection[str], where: str) -> dict[str, str]:
        if self._light is None:
            raise NotImplementedError
        found = await self._light.fetch(references, where)
        try:
            size = sum(map(len, found.values())) if any(map(_may_be_coded, found.values())) else 0
            return await computed(size, lambda: {key: self._decode(Kind.JSON, text) for key, text in found.items()})
        except _UnreadableError as error:
            raise self._not_decoded(where, error) from error.__cause__

    async def put_large(self, texts: Collection[str]) -> dict[str, str]:
        if self._light is None or self._codec is not None:
            raise NotImplementedError
        return await self._light.put_large(texts)

    async def has(self, reference: str) -> bool:
        return self._light is not None and await self._light.has(reference)

    async def get(self, run_id: str) -> RunRecord | None:
        record = await self._inner.get(run_id)
        return None if record is None else (await self._decoded([record]))[0]

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        return await self._decoded(await self._inner.runs(query))

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        taken = await self._inner.take(owner, wanted)
        return Taken(await self._decoded([*taken.runs]), taken.is_all)

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        found = await self._inner.schedules(name)
        try:
            return await self._decoded(found)
        except _UnreadableError as error:
            raise self._not_decoded("a schedule", error) from error.__cause__

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        answers = await self._inner.take_slots(owner, requests, frees=frees, now=now)
        return [await self._entry(each) if isinstance(each, CacheEntry) else each for each in answers]

    async def _entry(self, entry: CacheEntry) -> CacheEntry:
        try:
            return (await self._decoded([entry]))[0]
        except _UnreadableError as error:
            raise self._not_decoded(f"what is kept of step {entry.step!r}", error) from error.__cause__

    async def inbox(self, owner: str) -> list[Message]:
        return [await self._message(message) for message in await self._inner.inbox(owner)]

    async def _message(self, message: Message) -> Message:
        try:
            return (await self._decoded([message]))[0]
        except _UnreadableError as error:
            if message.signal in _REQUESTS:
                # What is asked for is plain, and is done whatever the reason.
                return attrs.evolve(message, payload=json.dumps(_UNREADABLE))
            raise self._not_decoded(f"the message to run {message.run_id!r}", error) from error.__cause__

    async def check(self) -> None:
        """
        See that the run that was started last can be read; of a store in trouble nothing is said.

        Raises:
            StoreError: it was written with another codec.
        """
        try:
            newest = [record.id for record in await self._inner.runs(RunQuery(limit=1))]
            beginnings = [(run_id, await self._inner.read(run_id, limit=1)) for run_id in newest]
        except StoreError:
            return
        for run_id, events in beginnings:
            await self._read(run_id, events)

    def _not_decoded(self, what: str, error: _UnreadableError) -> StoreError:
        if self._codec is None:
            return StoreError(
                f"{what} in {self.url} was written with a codec: open the store with the same one, "
                "Orchestrator(url, codec=...) or open_store(url, codec=...); "
                "commands take the keys of an encrypted store from $ORCHWF_KEYS"
            )
        return StoreError(
            f"{what} in {self.url} cannot be read with the codec {type(self._codec).__name__} "
            f"({type(error.__cause__).__name__}): it was written with another codec or key, or was changed since; "
            "open the store with the codec, and with all keys, that it was written with"
        )

    async def _decoded(self, things: list[A]) -> list[A]:
        coded = [cost(each) for each in things if any(map(_may_be_coded, payloads(each)))]
        if not coded:
            return things
        return await computed(sum(coded), lambda: [changed(each, self._decode) for each in things])

    def _decode(self, kind: Kind, value: Any) -> Any:
        match kind:
            case Kind.VALUES:
                return {name: self._value(each) for name, each in value.items()}
            case Kind.TEXTS:
                return tuple(self._plain(each) if each.startswith(_MARK) else each for each in value)
            case Kind.OBJECT:
                return self._plain(value[len('{"":') : -1]) if value.startswith(_MARK_OF_OBJECT) else value
            case Kind.TEXT if value.startswith(_MARK):
                return self._readable(value)
            case Kind.JSON if value.startswith(_MARK):
                return self._plain(value)
            case _:
                return value

    def _value(self, value: object) -> object:
        if not isinstance(value, str) or not value.startswith(_MARK):
            return value
        text = self._readable(value)
        try:
            return text if text is _UNREADABLE else json.loads(text)
        except ValueError:
            # A text of a user's that only looks as if it was ours.
            return _UNREADABLE

    def _readable(self, text: str) -> str:
        """What was encoded to this; else what says that it cannot be read. It may be a text that only looks so."""
        try:
            return self._plain(text, _LONGEST)
        except _UnreadableError:
            return _UNREADABLE

    def _plain(self, text: str, longest: int = 0) -> str:
        """What was encoded to this text."""
        # What is only compressed can be read whatever the codec.
        ways: list[Callable[[bytes], bytes]] = [lambda data: _inflated(data, longest)]
        if self._codec is not None:
            ways.insert(0, self._codec.decode)
        failure: Exception | None = None
        for decode in ways:
            try:
                data = decode(base64.b64decode(text[len(_MARK) : -1], validate=True))
                return CompressionCodec().decode(data).decode()
            # Foreign code: it raises what it likes for what it cannot read.
            except Exception as error:
                failure = failure or error
        raise _UnreadableError from failure


def _inflated(data: bytes, longest: int) -> bytes:
    """
    What was compressed to this by zlib.

    Args:
        longest: How many bytes it may be; 0 for any number.

    Raises:
        ValueError, zlib.error: it is longer, or was not compressed to this.
    """
    inflating = zlib.decompressobj()
    plain = inflating.decompress(data, longest)
    if not inflating.eof or inflating.unused_data:
        raise ValueError("it is not whole, or too long")
    return plain


def _cost(append: Append) -> int:
    things = [*append.events, append.summary, append.create, *append.messages, *append.caches]
    return sum([cost(thing) for thing in things if thing is not None])


def _may_be_coded(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_MARKS)


def checked_codec(codec: PayloadCodec | None) -> PayloadCodec | None:
    """
    The codec itself.

    Raises:
        UsageError: it is none.
    """
    is_one = callable(getattr(codec, "encode", None)) and callable(getattr(codec, "decode", None))
    if codec is None or (is_one and not isinstance(codec, type)):
        return codec
    # It is not shown, as it may be a key.
    raise UsageError(
        "codec takes an object with encode and decode, such as orchwf.crypto.EncryptionCodec(key), "
        f"not {f'the class {codec.__name__}' if isinstance(codec, type) else f'a value of type {type(codec).__name__}'}"
    )
