"""Runs whose payloads are encoded in the store."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import orchwf
from orchwf import Orchestrator, RunFailed, RunStatus, Skip, StepContext, StoreError, UsageError, step, workflow
from orchwf.crypto import ChainedCodec, CompressionCodec, EncryptionCodec
from orchwf.stores import CodedStore, MemoryStore
from orchwf.testing import TestOrchestrator, crash_everywhere
from tests.runtime.flows import log_of

KEY, OTHER_KEY = EncryptionCodec.generate_key(), EncryptionCodec.generate_key()
MENDED: list[bool] = []
UNDONE: list[str] = []
RAN: Counter[str] = Counter()


def reset() -> None:
    for kept in (MENDED, UNDONE, RAN):
        kept.clear()


@pytest.fixture(autouse=True)
def _new_world() -> None:
    reset()


@workflow
class Payment:
    """All that it is given, returns and says is secret."""

    card: str
    payments: list[dict[str, Any]]

    @step
    def authorise(self, *, ctx: StepContext) -> str:
        RAN["authorise"] += 1
        ctx.heartbeat("SECRET progress")
        return f"authorised SECRET {self.card}"

    @authorise.compensate
    def release(self, authorise: str) -> None:
        UNDONE.append(authorise)
        if not MENDED:
            raise ConnectionError("SECRET answer of the bank")

    @step(required=False)
    async def rate(self) -> None:
        raise Skip("SECRET reason to skip")

    @step(retries=1, depends_on=[rate, authorise], join="settled")
    async def charge(self) -> str:
        RAN["charge"] += 1
        if RAN["charge"] == 1:
            raise ValueError("SECRET retry")
        if not MENDED:
            raise ValueError(f"SECRET failure of {self.card}")
        return "SECRET receipt"


PAYMENT = Payment(card="SECRET 4711", payments=[{"SECRET key": 1}])


def read_file(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_a_run_leaves_no_secret_in_its_file(tmp_path: Path):
    """Inputs, outputs, errors, reasons, progress, metadata and messages: nothing of them, in any of its files."""
    url, codec = f"sqlite:///{tmp_path}/a.db", EncryptionCodec(KEY)
    async with Orchestrator(url, codec=codec) as orchestrator:
        run = await orchestrator.start(PAYMENT, run_id="p1", metadata={"trace": "SECRET trace"}, tags={"shop": "eu"})
        result = await run.wait()
        await run.cancel("SECRET second thoughts")
        other = await orchestrator.start(PAYMENT, run_id="p2")
        await other.cancel("SECRET cancellation")
        await other.wait()
        stored = read_file(tmp_path)
        log = await log_of(run)

    assert b"SECRET" not in stored + read_file(tmp_path)
    assert all(word in stored for word in (b"Payment", b"authorise", b"trace", b"shop", b"ValueError"))
    assert (RunStatus.FAILED, "ValueError: SECRET failure of SECRET 4711") == (result.status, result.error)
    assert {"trace": "SECRET trace"} == result.metadata
    assert "authorised SECRET SECRET 4711" == result[Payment.authorise]
    kinds = {event.kind for event in log}
    assert {"step.retrying", "step.failed", "step.skipped", "step.heartbeat", "compensation.failed"} <= kinds


async def test_another_process_goes_on_with_the_key(tmp_path: Path):
    """What failed is resumed from what is stored, and what is undone gets the output that was stored."""
    url = f"sqlite:///{tmp_path}/a.db"
    async with Orchestrator(url, codec=EncryptionCodec(OTHER_KEY)) as orchestrator:
        with pytest.raises(RunFailed, match="SECRET failure"):
            await orchestrator.run(PAYMENT, "p1")
    MENDED.append(True)

    async with Orchestrator(url, codec=EncryptionCodec(KEY, OTHER_KEY), workflows=[Payment]) as orchestrator:
        run = await orchestrator.resume("p1")
        result = await run.wait()

    assert {"authorised SECRET SECRET 4711"} == set(UNDONE)
    assert ("done", 1) == (result.compensation, RAN["authorise"])


async def test_another_process_without_the_key_does_nothing(tmp_path: Path):
    """It says on entry what is wrong."""
    url = f"sqlite:///{tmp_path}/a.db"
    async with Orchestrator(url, codec=EncryptionCodec(KEY)) as orchestrator:
        await (await orchestrator.start(PAYMENT, "p1")).wait()
        log = await log_of(await orchestrator.get("p1"))

    for codec in (None, EncryptionCodec(OTHER_KEY)):
        with pytest.raises(StoreError, match="run 'p1'"):
            await Orchestrator(url, codec=codec, workflows=[Payment]).__aenter__()

    async with Orchestrator(url, codec=EncryptionCodec(KEY)) as orchestrator:
        assert log == await log_of(await orchestrator.get("p1"))


async def test_a_run_of_another_key_is_left_alone(caplog: pytest.LogCaptureFixture):
    """Who cannot read it does not take it up, says so once, and goes on with all others."""
    inner = MemoryStore()
    async with TestOrchestrator(CodedStore(inner, EncryptionCodec(OTHER_KEY)), grace=0) as orchestrator:
        await orchestrator.start(Payment(card="1", payments=[]), "theirs")
    before = await inner.read("theirs")

    async with TestOrchestrator(CodedStore(inner, EncryptionCodec(KEY)), workflows=[Payment]) as orchestrator:
        result = await (await orchestrator.start(PAYMENT, "ours")).wait()
        await orchestrator.clock.advance(30)

    assert RunStatus.FAILED is result.status
    assert before == await inner.read("theirs")
    assert 1 == sum("'theirs'" in text for text in caplog.messages)


@pytest.mark.slow
@pytest.mark.parametrize(
    "codec", [EncryptionCodec(KEY), ChainedCodec(CompressionCodec(), EncryptionCodec(KEY))], ids=repr
)
@pytest.mark.parametrize("ends", [RunStatus.FAILED, RunStatus.COMPLETED])
def test_a_run_survives_crashes_everywhere(codec: Any, ends: RunStatus):
    """Nothing is lost and nothing runs again, as without a codec."""

    def begin() -> None:
        reset()
        MENDED.extend([True] if ends is RunStatus.COMPLETED else [])
        RAN["charge"] = 5

    crash_everywhere(PAYMENT, codec=codec, ends=ends, reset=begin, metadata={"trace": "SECRET"})


def test_orchwf_run_takes_a_codec(tmp_path: Path):
    """As an orchestrator does."""
    MENDED.append(True)

    result = orchwf.run(PAYMENT, store=f"sqlite:///{tmp_path}/a.db", codec=EncryptionCodec(KEY))

    assert "SECRET receipt" == result[Payment.charge]
    assert b"SECRET" not in read_file(tmp_path)


async def test_a_codec_in_memory():
    """It needs no file."""
    MENDED.append(True)
    async with Orchestrator("memory:", codec=EncryptionCodec(KEY)) as orchestrator:
        assert "SECRET receipt" == (await orchestrator.run(PAYMENT))[Payment.charge]
    async with TestOrchestrator(codec=EncryptionCodec(KEY)) as orchestrator:
        assert "SECRET receipt" == (await orchestrator.run(PAYMENT))[Payment.charge]


async def test_a_codec_for_a_store_that_is_open():
    """The error says where the codec belongs."""
    with pytest.raises(UsageError, match=r"open_store\(url, codec=...\)"):
        Orchestrator(MemoryStore(), codec=EncryptionCodec(KEY))


async def test_a_codec_that_is_none():
    """It is refused before anything begins."""
    bad: Any = KEY
    with pytest.raises(UsageError, match="codec takes an object") as caught:
        Orchestrator("memory:", codec=bad)

    assert KEY not in str(caught.value)


class Failing(EncryptionCodec):
    """A codec that cannot encode what has this word in it, as long as it is down."""

    is_down = True

    def encode(self, data: bytes, /) -> bytes:
        if self.is_down and b"receipt" in data:
            raise OSError("the key service is down")
        return super().encode(data)


async def test_a_run_whose_output_cannot_be_encoded_is_parked():
    """Nothing of it stands there plainly; others go on, and so does it when the codec works again."""
    MENDED.append(True)
    inner, codec = MemoryStore(), Failing(KEY)
    async with TestOrchestrator(CodedStore(inner, codec), max_takeovers=1, lease=1) as orchestrator:
        parked = await (await orchestrator.start(PAYMENT, "p1")).wait()
        codec.is_down = False
        result = await (await orchestrator.resume("p1")).wait()

    assert (RunStatus.PAUSED, "takeovers") == (parked.status, parked.pause)
    assert (RunStatus.COMPLETED, "SECRET receipt") == (result.status, result[Payment.charge])
    assert "SECRET" not in repr(await inner.read("p1"))
