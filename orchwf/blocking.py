"""`orchwf.run`: one run, from code that is not asynchronous."""

import asyncio
import contextvars
import threading
import warnings
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Generic, Literal, TypeVar

from .core.limits import Queue
from .errors import OrchwfWarning, RunError
from .orchestrator import Orchestrator
from .ports import BlobStore, Executor, PayloadCodec, Store
from .runtime.arguments import dag_of_instance
from .runtime.result import RunResult
from .runtime.showing import is_in_notebook, is_loop_running

W = TypeVar("W")
T = TypeVar("T")

_GRACE = 2.0
"""Seconds that the steps in flight get after an interrupt: somebody waits at a prompt."""


def run(
    workflow: W,
    *,
    store: str | Store | None = None,
    run_id: str | None = None,
    metadata: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
    codec: PayloadCodec | None = None,
    blobs: str | BlobStore | None = None,
    queues: Sequence[Queue] = (),
    executors: Mapping[str, Executor] | None = None,
    use_cache: bool = True,
    on_duplicate: Literal["raise", "attach"] = "raise",
    only: Sequence[str] | None = None,
) -> RunResult[W]:
    """
    Run a workflow, and wait for it.

    It works under a running event loop too, as in a notebook: then on a loop of its own in another thread, while this
    one waits. In asynchronous code use `Orchestrator`, which does not block; elsewhere than in a notebook an
    `OrchwfWarning` says so.

    Args:
        workflow: An instance, with its inputs.
        store: A URL or a store; by default `$ORCHWF_STORE`, else `sqlite:///orchwf.db`.
        run_id: Names the run; by default a new id.
        metadata: JSON-able values to keep with it.
        tags: Labels to list it by.
        codec: With a URL: encrypts or compresses what is stored; see `orchwf.crypto`.
        blobs: With a URL: where large values are kept; see `open_store`.
        queues: The queues that its steps name.
        executors: As of `Orchestrator`.
        use_cache, on_duplicate, only: As of `Orchestrator.start`.

    Raises:
        RunFailed: it failed; `__cause__` is what the step raised, or an `ExceptionGroup` of all.
        RunCancelled: it was cancelled.
        RunExistsError, EncodingError, UnknownStepError, UsageError, StoreError: it could not be started.
    """

    # First: of what is wrong in any case there is nothing to be warned.
    dag_of_instance(workflow)
    _warn_of_blocking()

    async def whole_run() -> RunResult[W]:
        orchestrator = Orchestrator(
            store, grace=_GRACE, codec=codec, blobs=blobs, queues=queues, executors=executors
        )  # fmt: skip
        async with orchestrator:
            return await orchestrator.run(
                workflow, run_id, metadata, tags, on_duplicate, use_cache=use_cache, only=only
            )

    try:
        return blocking(whole_run())
    except RunError as error:
        # What lies between the caller and the step is ours and asyncio's, and tells nobody anything.
        raise error.with_traceback(None)  # noqa: B904 - its cause is what the step raised


def _warn_of_blocking() -> None:
    """Tell who calls it from a coroutine that nothing else goes on there meanwhile; in a notebook that is meant."""
    if not is_loop_running() or is_in_notebook():
        return
    text = (
        "[blocked-loop] orchwf.run blocks the event loop that runs here until the run has ended; in asynchronous code: "
        "async with Orchestrator(...) as orchestrator: result = await orchestrator.run(...)"
    )
    warnings.warn(text, OrchwfWarning, stacklevel=3)


def blocking(main: Coroutine[object, object, T]) -> T:
    """What this coroutine returns or raises; it runs on a loop of its own, also where one is running already."""
    return _Elsewhere(main).wait() if is_loop_running() else asyncio.run(main)


class _Elsewhere(Generic[T]):
    """A coroutine run to its end on a loop in a thread of its own, with the context variables of here."""

    def __init__(self, main: Coroutine[object, object, T]) -> None:
        self._main = main
        self._ended: Future[T] = Future()
        self._cancel: Callable[[], object] = _nothing

    def wait(self) -> T:
        """What it returned or raised. An interrupt here cancels it there, and waits for its end."""
        variables = contextvars.copy_context()
        threading.Thread(target=lambda: variables.run(self._work), name="orchwf-run", daemon=True).start()
        try:
            return self._ended.result()
        except KeyboardInterrupt:
            self._cancel()
            # Not the thread is waited for: Python 3.11 takes it for ended once a join was interrupted.
            wait([self._ended])
            raise

    def _work(self) -> None:
        try:
            self._ended.set_result(asyncio.run(self._cancellable()))
        # Whatever it is, it belongs to the caller, who waits for it.
        except BaseException as error:
            self._ended.set_exception(error)

    async def _cancellable(self) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        return await self._main


def _nothing() -> None:
    pass
