"""Large values of bodies that run elsewhere: they go by reference, and nobody here carries them."""

import asyncio
import importlib
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchwf import (
    LargeOutputError,
    Orchestrator,
    RunFailed,
    RunStatus,
    StepContext,
    StepStatus,
    open_store,
)
from orchwf.blobs.references import MARKER
from orchwf.core.events import Event
from orchwf.crypto import CompressionCodec
from orchwf.executors import ProcessExecutor
from orchwf.ports import Call, RunRecord, Store
from tests.executors.conftest import KINDS, executor_of
from tests.executors.fakes import Near
from tests.executors.large import (
    FLOATS,
    Chain,
    Dies,
    Everywhere,
    Fan,
    Finishes,
    Later,
    Reads,
    Stops,
    Watched,
    elsewhere,
)
from tests.stores.blobs import MemoryBlobStore

MEBIBYTE = 1_048_576


def blobs_of(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/*") if path.is_file()]


async def opened(folder: Path, **options: Any) -> Store:
    return await open_store(f"sqlite:///{folder / 'a.db'}", durability="process", **options)


# What passes through here.


@pytest.mark.parametrize("kind", KINDS)
async def test_a_chain_of_large_arrays_costs_no_bytes_here(tmp_path: Path, kind: str):
    """Each worker fetches what its body takes, and puts what that gives; here a reference comes by, and goes on."""
    watched = Watched(executor_of(kind))
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": watched}) as orchestrator:
        run = await orchestrator.start(Chain())
        result = await run.result()
    if kind == "ray":
        importlib.import_module("ray").shutdown()

    assert (FLOATS + 1) * FLOATS == result[Chain.total]
    assert FLOATS == len(result[Chain.third])
    assert 8 == len(watched.sizes)
    assert max(watched.sizes) < 2_000
    assert all(path.stat().st_size > MEBIBYTE for path in blobs_of(tmp_path / "a.db.blobs"))
    assert 3 == len(blobs_of(tmp_path / "a.db.blobs"))


async def test_a_fan_of_large_arrays_costs_no_bytes_here(tmp_path: Path):
    """Items are taken from the step before one by one, and their outputs come together where they are wanted."""
    watched = Watched(ProcessExecutor(max_workers=2))
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": watched}) as orchestrator:
        result = await orchestrator.run(Fan())

    assert 30.0 == result[Fan.total]
    assert max(watched.sizes) < 3_000
    # What is equal is there once: 0 to 5, and 6, 8 and 10.
    assert 9 == len(blobs_of(tmp_path / "a.db.blobs"))


async def test_what_is_large_and_came_from_here_goes_by_reference_too(tmp_path: Path):
    """Inputs, and what bodies of this process gave: they are put for it, if they are not there."""
    near = Watched(Near())
    store = await opened(tmp_path, blob_threshold=100)
    async with Orchestrator(store, executors={"there": near}) as orchestrator:
        result = await orchestrator.run(Everywhere(given="i" * 200))

    assert 2 * 700 == sum(map(len, result[Everywhere.upper]))
    by_step = {request["context"]["step"]: request for request in near.requests}
    assert MARKER in by_step["words"]["inputs"]
    assert MARKER in by_step["upper"]["items"]["words"]
    assert MARKER in by_step["again"]["items"]["upper"]
    assert MARKER in by_step["grown"]["carried"]
    await store.close()


# What is looked into here.


class Around:
    """A layer that sees what bodies give."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext) -> Any:
        value = await call()
        self.seen.append(value)
        return value


async def test_an_output_that_is_looked_into_has_to_be_there(tmp_path: Path):
    """If it is damaged as soon as it is put, the attempt ends with that: its body has run, and its output is lost."""

    class Damaging(Near):
        async def run(self, call: Call) -> str:
            answer = await super().run(call)
            for blob in blobs_of(tmp_path / "a.db.blobs"):
                blob.write_bytes(b"0")
            return answer

    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": Damaging()}) as orchestrator:
        with pytest.raises(RunFailed) as failed:
            await orchestrator.run(Later(file=""))

    assert isinstance(failed.value.__cause__, LargeOutputError)
    assert "is damaged" in str(failed.value.__cause__)


@pytest.mark.parametrize("layers", [[], [Around()]], ids=["alone", "around"])
async def test_what_is_looked_into_here_is_what_it_would_be_without_references(tmp_path: Path, layers: list[Around]):
    """Arguments, conditions, loops, items, keys of kept outputs, other runs, results, and bodies that undo."""
    store = await opened(tmp_path, blob_threshold=100)
    async with Orchestrator(store, executors={"there": Near()}, middleware=layers) as orchestrator:
        result = await orchestrator.run(Everywhere(), run_id="r")
        again = await orchestrator.run(Everywhere())
        fork = await orchestrator.fork("r", from_step=Everywhere.told)
        forked = await fork.result()
    async with Orchestrator("memory:", executors={"there": Near()}) as orchestrator:
        plain = await orchestrator.run(Everywhere())

    outputs = [{**each.outputs, "child": each[Everywhere.child].outputs} for each in (plain, result, again, forked)]
    assert all(outputs[0] == each for each in outputs)
    assert "r" == again.steps["cached"].cached_from == again.steps["kept"].cached_from
    assert not layers or "A" * 500 in layers[0].seen
    await store.close()


async def test_what_undoes_a_body_gets_what_that_gave(tmp_path: Path):
    """It runs here, and the output is fetched for it."""
    store, file = await opened(tmp_path, blob_threshold=100), tmp_path / "undone.txt"
    async with Orchestrator(store, executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed):
            await orchestrator.run(Everywhere(undone=str(file)))

    assert 2 * ("c" * 500 + "d" * 500) == file.read_text()
    await store.close()


async def test_a_run_that_finishes_early_may_do_so_with_a_large_value(tmp_path: Path):
    """Which goes like any other output."""
    watched = Watched(Near())
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": watched}) as orchestrator:
        result = await orchestrator.run(Finishes())

    assert 1_000_000 == len(result[Finishes.made])
    assert max(watched.sizes) < 2_000


# Resuming.


class End:
    """An observer that tells when a run has ended; of its outputs nothing is read."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()
        self._status = RunStatus.RUNNING

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        self._status = run.status
        if run.status.is_final:
            self._ended.set()

    async def status(self) -> RunStatus:
        await self._ended.wait()
        return self._status


async def test_a_resume_loads_nothing_that_nobody_wants(tmp_path: Path):
    """Not even where it could not: the run ends though its outputs are away, and has them when they are back."""
    there, away = tmp_path / "a.db.blobs", tmp_path / "away"
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed, match="No such file"):
            await orchestrator.run(Stops(file=str(tmp_path / "go")), run_id="r")
    (tmp_path / "go").write_text("go")
    there.rename(away)

    end = End()
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": Near()}, observers=[end]) as orchestrator:
        run = await orchestrator.resume("r", workflow=Stops)
        status = await end.status()
        there.rmdir()
        away.rename(there)
        result = await run.result()

    assert RunStatus.COMPLETED is status
    assert [1_000_000] * 100 == [len(each) for each in result[Stops.made]]


async def test_a_resume_looks_into_what_it_has_to(tmp_path: Path):
    """Conditions, items, and the keys of kept outputs: all are as if the run had not been interrupted."""
    url = f"sqlite:///{tmp_path}/a.db"
    async with Orchestrator(url, executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed, match="No such file"):
            await orchestrator.run(Later(file=str(tmp_path / "go")), run_id="r")
    (tmp_path / "go").write_text("go")
    async with Orchestrator(url, executors={"there": Near()}) as orchestrator:
        result = await (await orchestrator.resume("r", workflow=Later)).result()
        again = await orchestrator.run(Later(file=str(tmp_path / "go")))

    assert ("asked", [500_000] * 2, 2) == tuple(result.outputs[name] for name in ("asked", "lengths", "cached"))
    assert "r" == again.steps["cached"].cached_from


@pytest.mark.parametrize("harm", ["is missing", "is damaged"])
async def test_a_value_that_cannot_be_had_fails_what_takes_it(tmp_path: Path, harm: str):
    """Here as elsewhere: by an error that names it, and the way out; once it is back the run can be resumed."""
    url, end = f"sqlite:///{tmp_path}/a.db", End()
    async with Orchestrator(url, executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed, match="No such file"):
            await orchestrator.run(Reads(file=str(tmp_path / "go")), run_id="r")
    async with Orchestrator(url, executors={"there": Near()}, observers=[end]) as orchestrator:
        (tmp_path / "go").write_text("go")
        [blob] = blobs_of(tmp_path / "a.db.blobs")
        kept = blob.read_bytes()
        blob.unlink() if harm == "is missing" else blob.write_bytes(kept[1:])
        run = await orchestrator.resume("r", workflow=Reads)
        status = await end.status()
        blob.write_bytes(kept)
        result = await run.wait()

        assert RunStatus.COMPLETED is status
        for name in ("there", "here", "kept"):
            error = result.steps[name].error
            assert error is not None
            assert f"StoreError: what step {name!r} of run 'r' takes in sqlite" in error.headline
            assert f"blob {blob.name} {harm}" in error.headline
            assert "bring it back from a backup" in error.headline


# What dies.


async def test_a_worker_that_dies_between_put_and_answer_leaves_nothing_half_done(tmp_path: Path):
    """What it has put nobody refers to; the next attempt puts it once more."""
    async with Orchestrator(
        f"sqlite:///{tmp_path}/a.db", executors={"there": ProcessExecutor(max_workers=1)}
    ) as orchestrator:
        result = await orchestrator.run(Dies())

    assert 1_000_000 == result[Dies.length]
    first, second = result.steps["made"].attempts
    assert "WorkerDiedError" in (first.error.type_name if first.error else "")
    assert StepStatus.COMPLETED is second.status
    assert 1 == len(blobs_of(tmp_path / "a.db.blobs"))


_PROGRAM = """
import asyncio, os, signal, sys
from orchwf import Orchestrator, open_store
from orchwf.executors import ProcessExecutor
from orchwf.testing.relay import Relay
from tests.executors.large import Chain

async def main():
    store = await open_store(sys.argv[1])
    append = store.append

    async def last(appends):
        if any(event.kind == "step.completed" for each in appends for event in each.events):
            os.kill(os.getpid(), signal.SIGKILL)
        return await append(appends)

    store.append = last
    async with Orchestrator(store, executors={"there": ProcessExecutor(max_workers=1)}) as orchestrator:
        await orchestrator.run(Chain(), run_id="r")

asyncio.run(main())
"""


async def test_an_orchestrator_that_dies_between_answer_and_commit_leaves_what_was_put(tmp_path: Path):
    """For the next sweep, or for whoever runs the body again."""
    url = f"sqlite:///{tmp_path}/a.db"
    died = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", _PROGRAM, url], check=False)
    left = blobs_of(tmp_path / "a.db.blobs")
    async with Orchestrator(url, executors={"there": Near()}) as orchestrator:
        result = await (await orchestrator.resume("r", workflow=Chain)).result()

    assert -9 == died.returncode
    assert 1 == len(left)
    assert (FLOATS + 1) * FLOATS == result[Chain.total]
    assert 2 == len(result.steps["first"].attempts)
    assert 3 == len(blobs_of(tmp_path / "a.db.blobs"))


async def test_a_sweep_leaves_what_a_worker_has_just_put(tmp_path: Path):
    """Between the put and the commit of the event nothing refers to it but its age."""
    swept: list[int] = []
    store = await opened(tmp_path)

    class Sweeping(Watched):
        def open(self, name: str) -> Any:
            workers = super().open(name)
            run = workers.run

            async def run_and_sweep(call: Any) -> str:
                answer = await run(call)
                await store.forget_expired(0.0)
                swept.append(len(blobs_of(tmp_path / "a.db.blobs")))
                return answer

            workers.run = run_and_sweep  # type: ignore[method-assign]
            return workers

    async with Orchestrator(store, executors={"there": Sweeping(Near())}) as orchestrator:
        result = await orchestrator.run(Chain())

    assert [1, 2, 3, 3] == swept
    assert (FLOATS + 1) * FLOATS == result[Chain.total]
    await store.close()


# Where values go along.


@pytest.mark.parametrize("way", ["codec", "object", "none", "memory"])
async def test_what_a_worker_cannot_open_goes_along_as_it_is(tmp_path: Path, way: str):
    """It has no codec, an object has no URL that opens it, and where there is no blob store there is none."""
    ways: dict[str, dict[str, Any]] = {
        "codec": {"codec": CompressionCodec()}, "object": {"blobs": MemoryBlobStore()}, "none": {"blobs": "none"},
        "memory": {},
    }  # fmt: skip
    watched = Watched(Near())
    store = await open_store("memory:" if way == "memory" else f"sqlite:///{tmp_path}/a.db", **ways[way])
    async with Orchestrator(store, executors={"there": watched}) as orchestrator:
        result = await orchestrator.run(Chain())

    assert (FLOATS + 1) * FLOATS == result[Chain.total]
    assert all(request["shared"] is None for request in watched.requests)
    assert 6 == sum(size > MEBIBYTE for size in watched.sizes)
    await store.close()


async def test_a_resume_reads_lazily_what_a_codec_wrote(tmp_path: Path):
    """It is decoded when it is fetched."""
    store = await opened(tmp_path, codec=CompressionCodec(), blob_threshold=1_000)
    async with Orchestrator(store, executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed):
            await orchestrator.run(Reads(file=str(tmp_path / "go")), run_id="r")
        (tmp_path / "go").write_text("go")
        result = await (await orchestrator.resume("r", workflow=Reads)).result()

    assert (1_000_000, 1_000_000) == (result[Reads.there], result[Reads.here])
    await store.close()


async def test_what_was_once_written_with_a_codec_goes_along_decoded(tmp_path: Path):
    """A worker sees that it is encoded, and is given what it is."""
    watched, run_id = Watched(Near()), "r"
    store = await opened(tmp_path, codec=CompressionCodec(), blob_threshold=1_000)
    async with Orchestrator(store, executors={"there": Near()}) as orchestrator:
        with pytest.raises(RunFailed):
            await orchestrator.run(Reads(file=str(tmp_path / "go")), run_id=run_id)
    await store.close()
    (tmp_path / "go").write_text("go")
    store = await opened(tmp_path, blob_threshold=1_000)
    async with Orchestrator(store, executors={"there": watched}) as orchestrator:
        result = await (await orchestrator.resume(run_id, workflow=Reads)).result()

    assert 1_000_000 == result[Reads.there]
    assert ["unread", "returned"] == [each["kind"] for each in watched.answers]
    await store.close()


async def test_workers_that_see_another_folder_get_values_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Before a body begins, once and for all, and it is said; a folder that is not there they do not make."""
    watched = Watched(Near(), elsewhere(f"file://{tmp_path}/other"))
    store = await opened(tmp_path, blob_threshold=100)
    with caplog.at_level(logging.WARNING, "orchwf"):
        async with Orchestrator(store, executors={"there": watched}) as orchestrator:
            result = await orchestrator.run(Everywhere(given="i" * 200))

    assert 2 * 700 == sum(map(len, result[Everywhere.upper]))
    assert ["unread"] == [each["kind"] for each in watched.answers if each["kind"] != "returned"]
    assert [None] * (len(watched.requests) - 1) == [each["shared"] for each in watched.requests[1:]]
    [warning] = [record.getMessage() for record in caplog.records if "do not reach" in record.getMessage()]
    assert "workers of the executor 'there'" in warning
    assert not (tmp_path / "other").exists()
    await store.close()


async def test_an_output_in_another_folder_of_the_same_url_is_lost(tmp_path: Path):
    """It is seen at once, told by its own error, and the next attempt goes another way."""
    (tmp_path / "other").mkdir()
    watched = Watched(Near(), elsewhere(f"file://{tmp_path}/other"))
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": watched}) as orchestrator:
        with pytest.raises(RunFailed) as failed:
            await orchestrator.run(Chain(), run_id="r")
        result = await (await orchestrator.resume("r", workflow=Chain)).result()

    assert isinstance(failed.value.__cause__, LargeOutputError)
    assert failed.value.__cause__.runs_on
    assert "another place" in str(failed.value.__cause__)
    assert "blobs='none'" in str(failed.value.__cause__)
    assert (FLOATS + 1) * FLOATS == result[Chain.total]


async def test_an_output_that_cannot_be_put_is_lost(tmp_path: Path):
    """The error names the blob store and the way out."""
    other = tmp_path / "other"
    other.mkdir()
    for number in range(256):
        (other / f"{number:02x}").write_text("a file where a folder should be")
    watched = Watched(Near(), elsewhere(f"file://{other}"))
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": watched}) as orchestrator:
        with pytest.raises(RunFailed) as failed:
            await orchestrator.run(Chain())

    assert isinstance(failed.value.__cause__, LargeOutputError)
    assert f"the blob store file://{other} cannot be used" in str(failed.value.__cause__)


async def test_a_worker_that_cannot_open_a_blob_store_says_so_before_the_body(tmp_path: Path):
    """And gets what it takes as it is."""
    watched = Watched(Near(), elsewhere("nowhere:///at/all"))
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": watched}) as orchestrator:
        result = await orchestrator.run(Chain())

    assert (FLOATS + 1) * FLOATS == result[Chain.total]
    assert ["unread", "returned"] == [each["kind"] for each in watched.answers][:2]


async def test_a_folder_that_cannot_be_made_does_not_hinder_what_is_small(tmp_path: Path):
    """There is trouble only where there is a large value."""
    (tmp_path / "a.db.blobs").write_text("a file where the folder should be")
    watched = Watched(Near())
    async with Orchestrator(f"sqlite:///{tmp_path}/a.db", executors={"there": watched}) as orchestrator:
        result = await orchestrator.run(Everywhere())

    assert len(result[Everywhere.told]) > 1_000
    assert all(request["shared"] is None for request in watched.requests)
