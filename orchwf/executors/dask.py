"""The executor `dask`: a cluster of Dask's distributed, that is there or is made on this machine."""

import asyncio
import importlib
import importlib.util
import os
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import attrs

from ..errors import ExecutorError, ExecutorUnavailableError, NotImportableError, UsageError, WorkerDiedError
from ..ports import Call

_MANNERS = 5.0
"""Seconds that a scheduler has to say good-bye."""


@attrs.frozen(kw_only=True)
class DaskExecutor:
    """
    Runs bodies on the workers of a Dask cluster, which can import the workflow; in threads of theirs, as Dask does.

    A body that is cancelled or out of time cannot be stopped there: it runs on, `ctx.cancelled` is true for it, and
    what it returns is dropped. A worker that dies is told of as `WorkerDiedError`: that Dask gives its tasks to another
    one is seen to be in vain. `resources` of a step are those that Dask's workers were started with.

    Args:
        address: The scheduler, such as `tcp://10.0.0.5:8786`. By default what Dask is configured with
            (`DASK_SCHEDULER_ADDRESS`); without that, a cluster on this machine is made when it is first needed. The
            program then needs  `if __name__ == "__main__":`,  since its processes import it.
        max_workers: How many processes that cluster has; by default as many as there are processors.
        client_options: What else `distributed.Client` is given: `security`, `timeout`.
    """

    address: str | None = None
    max_workers: int | None = None
    client_options: Mapping[str, Any] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.address is not None and not (isinstance(self.address, str) and self.address):
            # That would be as if there was none.
            raise UsageError(f"DaskExecutor(address=...) takes one such as 'tcp://10.0.0.5:8786', not {self.address!r}")

    @property
    def takes_resources(self) -> bool:
        return True

    def open(self, name: str) -> "_Cluster":
        if importlib.util.find_spec("distributed") is None:
            raise UsageError(f"the executor {name!r} needs the package distributed:  pip install 'orchwf[dask]'")
        return _Cluster(name, self)


class _Cluster:
    """A connection to a scheduler, made when it is needed, and made again when it was lost."""

    def __init__(self, name: str, settings: DaskExecutor) -> None:
        self._name = name
        self._settings = settings
        self._lock = asyncio.Lock()
        self._topic = f"orchwf-{secrets.token_hex(8)}"
        self._calls: dict[str, Call] = {}
        self._client: Any = None
        self._comm: Any = None
        self._local: Any = None

    @property
    def room(self) -> None:
        """Dask lets tasks wait, and clusters that grow by need have to see them."""
        return

    async def run(self, call: Call) -> str:
        client = await self._connected()
        # Dask shows what is before the last hyphen.
        key = f"orchwf-{secrets.token_hex(16)}"
        self._calls[key] = call
        function = f"{call.function.__module__}:{call.function.__qualname__}"
        future = _submitted(client, key, function, call, self._topic)
        try:
            answer: str | None = await future
        except Exception as error:
            raise self._told(error, call) from error
        finally:
            del self._calls[key]
            # What has not begun is forgotten by that, and what is told later nobody hears.
            future.release()
        if answer is None:
            raise WorkerDiedError(self._name, call.label, "has died or was retired; another one was kept from it")
        return answer

    def _told(self, error: Exception, call: Call) -> ExecutorError:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return WorkerDiedError(self._name, call.label, f"died ({error.last_worker.address})")
        if isinstance(error, ImportError):
            return NotImportableError(self._name, f"a worker cannot import orchwf: {error}")
        if isinstance(error, CancelledError | OSError):
            reason = f"what became of {call.label} is not known: {error}"
            return ExecutorUnavailableError(self._name, reason, runs_on=True)
        return ExecutorError(self._name, f"{call.label} was not run: {type(error).__name__}: {error}", runs_on=True)

    async def _connected(self) -> Any:
        async with self._lock:
            # One that has connected again by itself is subscribed to nothing.
            if self._client is None or self._client.scheduler_comm is not self._comm or self._comm is None:
                await self._disconnect()
                try:
                    await self._connect()
                # Dask has no class for what may go wrong there.
                except Exception as error:
                    where = self._settings.address or "this machine, or where Dask is configured to look"
                    reason = f"no scheduler can be reached at {where}: {type(error).__name__}: {error}"
                    raise ExecutorUnavailableError(self._name, reason) from error
            return self._client

    def _address(self) -> str | None:
        import dask.config

        address: str | None = self._settings.address or dask.config.get("scheduler-address", None)
        return address

    async def _connect(self) -> None:
        # It takes a second or two to import.
        await asyncio.to_thread(importlib.import_module, "distributed")
        from distributed import Client, LocalCluster

        address: Any = self._address()
        if address is None:
            if self._local is None:
                self._local = LocalCluster(
                    n_workers=self._settings.max_workers or os.cpu_count(), threads_per_worker=1, processes=True,
                    asynchronous=True, dashboard_address="127.0.0.1:0",
                )  # fmt: skip
            address = await self._local
        # Kept before it is connected: who is cancelled meanwhile leaves it to be closed.
        self._client = Client(address, asynchronous=True, set_as_default=False, **self._settings.client_options)
        await self._client
        self._comm = self._client.scheduler_comm
        self._client.subscribe_topic(self._topic, self._heard)

    def _heard(self, event: tuple[float, list[str]]) -> None:
        key, text = event[1]
        if key in self._calls:
            self._calls[key].heard(text)

    async def _disconnect(self) -> None:
        client, self._client, self._comm = self._client, None, None
        if client is not None:
            # Whoever is gone need not hear of it.
            with suppress(OSError, TimeoutError):
                await client.close(_MANNERS)

    async def close(self) -> None:
        await self._disconnect()
        local, self._local = self._local, None
        if local is not None:
            await local.close()


def _submitted(client: Any, key: str, function: str, call: Call, topic: str) -> Any:
    import dask.config

    # A large text goes along with its task: where it would wait otherwise it could be lost.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        return client.submit(
            _sent(), __name__, function, call.text.encode(), topic,
            key=key, pure=False, retries=0, resources=dict(call.resources) or None,
        )  # fmt: skip


def _sent() -> Callable[..., str | None]:
    """What is sent to a worker. By value, as it is no function of a module: so a scheduler need not have orchwf."""

    def orchwf_step(module: str, function: str, text: bytes, topic: str) -> str | None:
        import importlib

        answer: str | None = importlib.import_module(module).run_here(function, text, topic)
        return answer

    return orchwf_step


# On a worker.


def run_here(function: str, text: bytes, topic: str) -> str | None:
    """What this function returns; None if it was called before for the same task, which is not to happen twice."""
    from distributed import get_client, get_worker

    worker = get_worker()
    key = str(worker.get_current_task())
    if not get_client().run_on_scheduler(_taking(), key):
        return None
    module, _, name = function.partition(":")
    run: Callable[[str, _Line], str] = getattr(importlib.import_module(module), name)
    return run(text.decode(), _Line(worker, key, topic))


def _taking() -> Callable[..., bool]:
    """What is sent to the scheduler, by value as above, to tell whether a task is taken up for the first time."""

    def take(key: str, dask_scheduler: Any) -> bool:
        task = dask_scheduler.tasks.get(key)
        if task is None or (task.metadata or {}).get("orchwf"):
            return False
        task.metadata = {**(task.metadata or {}), "orchwf": True}
        return True

    return take


class _Line:
    """The line of a body that runs on this worker: over the scheduler, which passes on what workers tell."""

    def __init__(self, worker: Any, key: str, topic: str) -> None:
        self._worker = worker
        self._key = key
        self._topic = topic

    def say(self, text: str) -> None:
        self._worker.log_event(self._topic, [self._key, text])

    def is_told(self) -> bool:
        task = self._worker.state.tasks.get(self._key)
        return task is None or task.state in ("cancelled", "resumed")
