"""What the engine needs from outside: a store, observers, a clock."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from .core.events import Event
from .core.state import RunStatus


@attrs.frozen(kw_only=True)
class RunRecord:
    """
    The summary of a run that a store keeps beside its log, written in the same transaction.

    Attributes:
        id: The id of the run, unique in the store.
        workflow: The name of its workflow.
        version: The version of its workflow.
        fingerprint: Which definition it was started with, or last resumed with.
        entrypoint: Where the class can be imported from: `module:Class`, or `path/file.py:Class`.
        status: Where the run is.
        metadata: What the caller gave along: JSON-able values; trace, correlation and business ids, say.
        tags: Labels to filter by.
        created_at: When it was started (epoch seconds).
        ended_at: When it ended (epoch seconds); None while it has not.
        error: The headline of the failure, or the reason of the cancellation or of the pause; empty otherwise.
        owner: Who executes it, as `Owner` text; None if nobody does.
        has_lapsed: Whether its owner has let its lease run out, by the clock of the store; False without an owner.
        number: Grows with each run of the store: the order of creation, and the cursor of a listing. 0 before it is
            stored.
    """

    id: str
    workflow: str
    version: str
    fingerprint: str
    entrypoint: str
    status: RunStatus
    metadata: Mapping[str, object]
    tags: Mapping[str, str]
    created_at: float
    ended_at: float | None = None
    error: str = ""
    owner: str | None = None
    has_lapsed: bool = attrs.field(default=False, eq=False)
    number: int = 0


@attrs.frozen(kw_only=True)
class Summary:
    """The part of a `RunRecord` that an append changes."""

    status: RunStatus
    fingerprint: str
    ended_at: float | None = None
    error: str = ""


@attrs.frozen(kw_only=True)
class Append:
    """
    Events to add to the log of one run.

    Attributes:
        run_id: Whose log.
        expected: The `seq` of the last event in the log; 0 for none. The fence: if the log ends elsewhere, nothing of
            this append is written and its outcome is a `ConflictError`.
        owner: Who appends. If somebody else owns the run, that is a `ConflictError`, too. None if nobody checks.
        events: What to add; their `seq` go on from `expected` without gaps.
        summary: The summary from now on; None if these events do not change it.
        releases: Whether the run has no owner from now on.
        create: The run itself, if it is to be created by this append (then `expected` is 0). The outcome is a
            `RunExistsError` if there is one of this id.
        definition: With `create`, or when the run goes on with another definition: gives the JSON text of
            `Dag.to_dict()`, which is kept once per fingerprint. It is called only if that is not there yet, and maybe
            on another thread.
    """

    run_id: str
    expected: int
    events: Sequence[Event]
    owner: str | None = None
    summary: Summary | None = None
    releases: bool = False
    create: RunRecord | None = None
    definition: Callable[[], str] | None = None


@attrs.frozen(kw_only=True)
class RunQuery:
    """
    Which runs to list, newest first. None is "any".

    `id_prefix` compares the beginning of the id; `tags` must all match; `since` and `until` compare `created_at`
    (epoch seconds, `since` inclusive, `until` exclusive); `before` is the `number` after which the listing goes on.
    `owners` are owners as text, and None for runs that nobody owns; `asked` are signals of which a message waits.
    `compensation` is what the last failure or cancellation in the log says of it: `done` or `failed`.
    """

    workflow: str | None = None
    statuses: Sequence[RunStatus] | None = None
    tags: Mapping[str, str] = attrs.field(factory=dict)
    since: float | None = None
    until: float | None = None
    id_prefix: str | None = None
    owners: Sequence[str | None] | None = None
    asked: Sequence[str] | None = None
    compensation: str | None = None
    before: int | None = None
    limit: int | None = None


@attrs.frozen(kw_only=True)
class Message:
    """
    Something said to a run by anyone, which its owner folds into the log.

    `id` makes its delivery idempotent within the run; `payload` is JSON.
    """

    run_id: str
    id: str
    signal: str
    payload: str = "null"


class Store(Protocol):
    """
    Remembers runs: their logs, summaries and inboxes.

    A store is opened by a function (`open_store`, `open_sqlite`) and belongs to one event loop. What a method
    raises, beside what it says, is `StoreError`: the store could not be used, and the message says why.
    """

    url: str
    """How a person would name this store again; never holds a password."""

    async def append(self, appends: Sequence[Append]) -> list[Exception | None]:
        """
        Write all these appends, durably when this returns, each whole or not at all.

        Returns:
            For each append None if it is written, else the `ConflictError`, `RunExistsError` or `RunNotFoundError`
            for which nothing of it is. What is wrong with one does not touch the others. With an append in which a
            message of the inbox was folded into the log (`SignalReceived`), the message is gone from the inbox.

        A cancelled call may have written: the caller reads the log to know.
        """
        ...

    async def read(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        """
        The events of a run with a `seq` greater than `after`, in order; none of an unknown run.

        There are at most `limit`, and fewer where they are large: only if there are none is that the end.
        """
        ...

    async def get(self, run_id: str) -> RunRecord | None:
        """The summary of a run; None if there is none of this id."""
        ...

    async def runs(self, query: RunQuery) -> list[RunRecord]:
        """The summaries of the runs that match, newest first."""
        ...

    async def definition(self, fingerprint: str) -> str | None:
        """The JSON text of the definition with this fingerprint; None if no run was started with it."""
        ...

    async def claim(self, run_id: str, owner: str | None, *, previous: str | None) -> bool:
        """
        Make `owner` the owner of a run (None: nobody), if `previous` still is: a compare-and-set.

        Returns:
            Whether it was done.
        """
        ...

    async def renew(self, owner: str, lease: float) -> bool:
        """
        Say that this owner lives, and give it a lease of so many seconds by the clock of the store; 0 gives it up.

        Returns:
            Whether the lease before had not run out: if it had, others may have taken its runs meanwhile.
        """
        ...

    async def release(self, owner: str) -> None:
        """Let go of all runs of this owner, so that anyone may take them up at once, and of its lease."""
        ...

    async def owners(self) -> dict[str | None, bool]:
        """The owners of the running runs, None for runs without -> whether its lease has run out."""
        ...

    async def facts(self) -> dict[str, str]:
        """
        What there is to know of the store itself, for whoever operates it: name -> value.

        `integrity` is among them, and `ok` unless something is damaged; so is, as `runs.<status>`, how many runs there
        are of each status that any has. May take long.
        """
        ...

    async def send(self, message: Message) -> None:
        """
        Put a message in the inbox of a run, durably when this returns. A second one with the same id is ignored.

        Raises:
            RunNotFoundError: there is no such run.
        """
        ...

    async def inbox(self, owner: str) -> list[Message]:
        """The messages to the runs of this owner that are not folded into their logs yet, oldest first."""
        ...

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs with all that belongs to them; unknown ids are passed over. Returns how many there were."""
        ...

    async def close(self) -> None:
        """Let go of the store. Nothing may be called after it; closing twice is harmless."""
        ...


class Observer(Protocol):
    """Is told of events after they are written. It cannot hurt the run: what it raises is logged and dropped."""

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """These events of this run are in the store now. Called on the loop: must be quick."""
        ...


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Epoch seconds. Never goes back while the process lives, whatever is done to the clock of the machine."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on the running loop, when it is `when` (epoch seconds). Returns what revokes that."""
        ...
