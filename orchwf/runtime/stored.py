"""What a store keeps of a run, read as a whole: what cannot be is a `StoreError` that says so."""

import json
from collections.abc import AsyncIterator

from ..core.dag import Dag
from ..core.events import Event
from ..core.history import History
from ..core.machine import Machine
from ..core.plan import Plan
from ..core.standing import Standing
from ..errors import IllegalTransitionError, OrchwfError, RunNotFoundError, StoreError
from ..ports import LightStore, Store

_PAGE = 500
"""So few that the garbage collector, which counts what is made and not yet freed, seldom runs while a log is read."""


async def stored_history(store: Store, run_id: str, last: int | None = None) -> History:
    """
    What became of a run: the fold of its log.

    Args:
        last: The number of its last event, if that is known.

    Raises:
        RunNotFoundError: there is no such run.
        StoreError: it has no log, or one in which something happens that cannot.
    """
    history = History(run_id)
    async for page in pages(store, run_id, last):
        try:
            history.extend(page)
        except IllegalTransitionError as error:
            raise damaged_log(store, run_id, error) from error
    if not history.seq:
        raise RunNotFoundError(run_id, store.url) if await store.get(run_id) is None else empty_log(store, run_id)
    return history


async def stored_standing(store: Store, run_id: str, dag: Dag) -> Standing:
    """
    How a run stands, as its log says.

    Args:
        dag: Its definition.

    Raises:
        StoreError: something happens in the log that cannot.
    """
    machine = Machine(run_id, Plan(dag), lambda _: None)
    async for page in pages(store, run_id):
        try:
            machine.replay(page)
        except IllegalTransitionError as error:
            raise damaged_log(store, run_id, error) from error
    return machine.run


async def pages(store: Store, run_id: str, last: int | None = None) -> AsyncIterator[list[Event]]:
    """The log of a run, up to this number, piece by piece: a long one is never held whole."""
    after = 0
    while after != last and (page := await store.read(run_id, after=after, limit=_PAGE)):
        yield page
        after = page[-1].seq


async def light_pages(store: Store, run_id: str) -> AsyncIterator[list[Event]]:
    """The same of the whole log, where large outputs of steps may be references."""
    read, after = store.read_light if isinstance(store, LightStore) else store.read, 0
    while page := await read(run_id, after, _PAGE):
        yield page
        after = page[-1].seq


def empty_log(store: Store, run_id: str) -> StoreError:
    """The error for a run without a log: it is written with the first event, never before."""
    return StoreError(f"the log of run {run_id!r} is empty in {store.url}: the store is damaged")


def damaged_log(store: Store, run_id: str, error: IllegalTransitionError) -> StoreError:
    """The error for a log that no run can have written."""
    return StoreError(
        f"the log of run {run_id!r} in {store.url} makes no sense: "
        f"{error.subject} is {error.state!r} when {error.event!r} happens; the store is damaged: restore a backup"
    )


async def stored_dag(store: Store, fingerprint: str) -> Dag | None:
    """
    The definition that the store keeps under this fingerprint, without code; None if it has none.

    Raises:
        StoreError: what it keeps is none.
    """
    text = await store.definition(fingerprint)
    if text is None:
        return None
    try:
        dag = Dag.from_dict(json.loads(text))
        missing = {parent for node in dag.nodes.values() for parent in node.dependencies} - dag.nodes.keys()
        if missing:
            raise LookupError(f"it has no step {min(missing)!r}")
        return dag
    except (OrchwfError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"the definition {fingerprint} in {store.url} cannot be read ({type(error).__name__}: {error}): "
            "it was written by a newer orchwf, or it is damaged"
        ) from error


def stored_json(text: str, what: str) -> object:
    """
    The JSON value of a stored text.

    Args:
        what: What the error calls it.

    Raises:
        StoreError: it is no JSON.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{what} cannot be read, as it is no JSON ({error}): the store is damaged") from error
    return value
