"""The executor `ray`: a cluster of Ray, that is there or is made on this machine."""

import asyncio
import importlib
import importlib.util
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from queue import SimpleQueue
from typing import Any

import attrs

from ..errors import ExecutorError, ExecutorUnavailableError, NotImportableError, UsageError, WorkerDiedError
from ..ports import Call

_OWN_OPTIONS = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}
"""What Ray has an option of its own for; everything else it calls a custom resource."""

_Said = tuple[bool, str]
"""Whether it is the answer, and the text."""


@attrs.frozen(kw_only=True)
class RayExecutor:
    """
    Runs bodies as tasks of a Ray cluster, whose workers can import the workflow.

    The worker of a body that is cancelled or out of time is killed. Ray belongs to the whole program: if that has
    connected already, this connection is used; if it is made here it stays until the program ends, or calls
    `ray.shutdown()`. `resources` of a step are those of Ray: `cpu`, `gpu`, `memory`, and whatever the cluster has.

    Args:
        address: The cluster, such as `auto` or `ray://10.0.0.5:10001`. By default `$RAY_ADDRESS`; without that, one on
            this machine is made when it is first needed.
        init_options: What else `ray.init` is given: `runtime_env`, `num_cpus`.
    """

    address: str | None = None
    init_options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def takes_resources(self) -> bool:
        return True

    def open(self, name: str) -> "_Cluster":
        if importlib.util.find_spec("ray") is None:
            raise UsageError(f"the executor {name!r} needs the package ray:  pip install 'orchwf[ray]'")
        return _Cluster(name, self)


class _Cluster:
    """What there is of Ray in this program."""

    def __init__(self, name: str, settings: RayExecutor) -> None:
        self._name = name
        self._settings = settings
        self._lock = asyncio.Lock()

    @property
    def room(self) -> None:
        """Ray lets tasks wait, and clusters that grow by need have to see them."""
        return

    async def run(self, call: Call) -> str:
        # It takes a second or two to import.
        ray: Any = await asyncio.to_thread(importlib.import_module, "ray")
        async with self._lock:
            if not ray.is_initialized():
                await asyncio.to_thread(self._connect)
        function = f"{call.function.__module__}:{call.function.__qualname__}"
        # A worker that has died is told of; whether there is another attempt is not for Ray to say.
        decorate: Any = ray.remote(max_retries=0, num_returns="streaming", **options_for(call.resources))
        said = decorate(_sent()).remote(__name__, function, call.text)
        answer = None
        try:
            async for is_answer, text in _texts(said):
                if is_answer:
                    answer = text
                else:
                    call.heard(text)
        except Exception as error:
            raise self._told(error, call) from error
        finally:
            if answer is None:
                # Once it has ended, whatever the reason, that does nothing.
                ray.cancel(said, force=True)
        if answer is None:
            raise ExecutorError(self._name, f"{call.label} ended without an answer", runs_on=True)
        return answer

    def _connect(self) -> None:
        """Takes seconds."""
        ray: Any = importlib.import_module("ray")
        options = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        try:
            ray.init(address=self._settings.address, **{**options, **self._settings.init_options})
        # Ray has no class for what may go wrong there.
        except Exception as error:
            where = self._settings.address or "this machine"
            reason = f"no cluster can be reached at {where}: {type(error).__name__}: {error}"
            raise ExecutorUnavailableError(self._name, reason) from error
        # It prints to standard output that a worker has died, which is told anyway, and has no setting for that.
        vars(importlib.import_module("ray._private.worker"))["_worker_logs_enabled"] = False

    def _told(self, error: Exception, call: Call) -> ExecutorError:
        exceptions: Any = importlib.import_module("ray.exceptions")
        died = (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError)
        if isinstance(error, died):
            return WorkerDiedError(self._name, call.label, f"died: {_first_line(error)}")
        if isinstance(error, ImportError):
            return NotImportableError(self._name, f"a worker cannot import orchwf: {_first_line(error)}")
        told = f"{type(error).__name__}: {_first_line(error)}"
        if isinstance(error, exceptions.RayError) and not isinstance(error, exceptions.RayTaskError):
            reason = f"what became of {call.label} is not known: {told}"
            return ExecutorUnavailableError(self._name, reason, runs_on=True)
        return ExecutorError(self._name, f"{call.label} was not run: {told}", runs_on=True)

    async def close(self) -> None:
        """Nothing: Ray belongs to the program."""


async def _texts(said: Any) -> AsyncIterator[_Said]:
    async for reference in said:
        yield await reference


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def options_for(resources: Mapping[str, float]) -> dict[str, Any]:
    """What Ray calls the resources of a step."""
    options: dict[str, Any] = {}
    custom: dict[str, float] = {}
    for name, amount in resources.items():
        if name.lower() in _OWN_OPTIONS:
            options[_OWN_OPTIONS[name.lower()]] = amount
        else:
            custom[name] = amount
    return {**options, "resources": custom} if custom else options


def _sent() -> Callable[..., Iterator[_Said]]:
    """What is sent to a worker. By value, so that one without orchwf can say so."""

    def orchwf_step(module: str, function: str, text: str) -> Iterator[_Said]:
        import importlib

        yield from importlib.import_module(module).run_here(function, text)

    return orchwf_step


# On a worker.


def run_here(function: str, text: str) -> Iterator[_Said]:
    """What this function says, as it says it, and at last what it returns. It runs in a thread of its own."""
    module, _, name = function.partition(":")
    run: Callable[[str, _Line], str] = getattr(importlib.import_module(module), name)
    line = _Line()
    failed: list[Exception] = []

    def work() -> None:
        try:
            line.said.put((True, run(text, line)))
        # A bug of ours, which is to be told like any other.
        except Exception as error:
            failed.append(error)
            line.said.put(None)

    threading.Thread(target=work, name="orchwf-body", daemon=True).start()
    while (each := line.said.get()) is not None:
        yield each
        if each[0]:
            return
    raise failed[0]


class _Line:
    """The line of a body that runs on a worker: what it says is one more thing that its task gives."""

    def __init__(self) -> None:
        self.said: SimpleQueue[_Said | None] = SimpleQueue()

    def say(self, text: str) -> None:
        self.said.put((False, text))

    def is_told(self) -> bool:
        """Never: who is told to end is killed."""
        return False
