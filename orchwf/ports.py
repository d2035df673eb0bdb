"""What the engine needs from outside: a store, observers, executors, a clock."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import attrs

from .context import RunContext, StepContext
from .core.caching import CacheEntry
from .core.census import Census
from .core.dag import Dag
from .core.events import Event
from .core.schedules import ScheduleRecord
from .core.slots import Answer, Occupancy, Slot, SlotRequest
from .core.state import RunStatus
from .surroundings import Carried


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
        wake_at: When it goes on (epoch seconds), if it sleeps, which is to say that it waits and nobody executes it;
            infinity if only a message wakes it. None if it does not sleep.
        slept_at: Since when (epoch seconds); also of a run that waits for whoever serves its workflow, and that nobody
            has executed yet. Else None.
        number: Grows with each run of the store: the order of creation, and the cursor of a listing. 0 before it is
            stored. Where several processes create runs at once, one may be stored after another with a higher number.
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
    wake_at: float | None = None
    slept_at: float | None = None
    number: int = 0

    @property
    def is_queued(self) -> bool:
        """Whether it waits for whoever serves its workflow, and nobody has executed it yet."""
        return self.owner is None and self.wake_at is None and self.slept_at is not None


@attrs.frozen(kw_only=True)
class Summary:
    """The part of a `RunRecord` that an append changes."""

    status: RunStatus
    fingerprint: str
    ended_at: float | None = None
    error: str = ""
    wake_at: float | None = None
    slept_at: float | None = None


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
        caches: Outputs to keep for other runs, each instead of one of its key.
        definition: With `create`, or when the run goes on with another definition: gives the JSON text of
            `Dag.to_dict()`, which is kept once per fingerprint. It is called only if that is not there yet, and maybe
            on another thread.
        messages: What is said to other runs by this, in the same transaction, after all appends of the call; of those
            that there are not, or that have ended, nothing is kept.
    """

    run_id: str
    expected: int
    events: Sequence[Event]
    owner: str | None = None
    summary: Summary | None = None
    releases: bool = False
    create: RunRecord | None = None
    caches: Sequence[CacheEntry] = ()
    definition: Callable[[], str] | None = None
    messages: Sequence[Message] = ()


@attrs.frozen(kw_only=True)
class RunQuery:
    """
    Which runs to list, newest first. None is "any".

    `id_prefix` compares the beginning of the id; `tags` must all match; `since` and `until` compare `created_at`
    (epoch seconds, `since` inclusive, `until` exclusive); `before` is the `number` after which the listing goes on: it
    shows all runs that were there when it began, and of those that are created meanwhile maybe some.
    `owners` are owners as text, and None for runs that nobody owns; `asked` are signals of which a message waits, and
    `has_mail` says whether any does. `compensation` is what the last failure or cancellation in the log says of it:
    `done` or `failed`. `is_asleep` says whether they sleep; `due_by` is the present (epoch seconds): those that sleep
    are to go on by then, or went to sleep later, as a clock was set back since.
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
    is_asleep: bool | None = None
    due_by: float | None = None
    has_mail: bool | None = None
    before: int | None = None
    limit: int | None = None


@attrs.frozen(kw_only=True)
class Wanted:
    """
    Which runs somebody wants to execute, of those that nobody does.

    Nobody executes a run without an owner, nor one whose owner has let its lease run out, by the clock of the store.

    Attributes:
        awake: The names of the workflows of which runs are wanted that go on by themselves: they run, and do not sleep.
        asleep: Those of which runs are wanted that sleep and are to go on by `due_by`, or went to sleep later, as a
            clock was set back since; and running ones that sleep and to which something was said.
        due_by: The present (epoch seconds).
        gone: Owners that count as gone, though their leases last.
        but: The ids of runs that are not wanted.
        limit: How many are wanted at most.
    """

    awake: Sequence[str] = ()
    asleep: Sequence[str] = ()
    due_by: float = 0.0
    gone: Sequence[str] = ()
    but: Collection[str] = ()
    limit: int


@attrs.frozen
class Taken:
    """
    What somebody got of what it wanted.

    Attributes:
        runs: The summaries of the runs as they were before they were taken, by age.
        is_all: Whether there were no more. If not, and fewer were taken than wanted, others are about to take the rest;
            but nobody knows whether they will.
    """

    runs: Sequence[RunRecord]
    is_all: bool


def _listed(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


@attrs.frozen(kw_only=True)
class Renewal:
    """
    What there is to know when a lease was renewed.

    Attributes:
        was_live: Whether the lease before had not run out: if it had, others may have taken runs of this owner.
        lapsed: The other owners whose leases have run out, of those that have runs which have not ended.
        near: The other owners whose leases last, of those that were asked for.
    """

    was_live: bool
    lapsed: Sequence[str] = attrs.field(default=(), converter=_listed)
    near: Sequence[str] = attrs.field(default=(), converter=_listed)


class HintKind(StrEnum):
    """
    What a store tells to those who listen.

    - `BEGUN`: from now on everything is told; what was before has to be looked for
    - `LOST`: nothing is told until it has begun again
    - `FREE`: a run that goes on by itself has no owner any more, or was made without
    - `ASLEEP`: a run sleeps, and is to go on at `at`
    - `MESSAGE`: something was said to `run`, which `owner` executes, or nobody
    - `RESTS`: `run`, which somebody watches, has ended, was paused, or was deleted
    - `SCHEDULE`: a schedule was changed
    """

    BEGUN = "begun"
    LOST = "lost"
    FREE = "free"
    ASLEEP = "asleep"
    MESSAGE = "message"
    RESTS = "rests"
    SCHEDULE = "schedule"


@attrs.frozen
class Hint:
    """
    That something was written: a reason to look, and no more. It may come late, twice, or for nothing.

    Attributes:
        kind: What it is about, and what the others are then.
        run: The id of a run; empty if it may be any.
        owner: Who executed it then, as far as that was known; None for nobody.
        at: An instant (epoch seconds).
    """

    kind: HintKind
    run: str = ""
    owner: str | None = None
    at: float = 0.0


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

    async def take(self, owner: str, wanted: Wanted) -> Taken:
        """
        Make `owner` the owner of runs that are wanted and that nobody executes, all at once, durably when this returns.

        First come those that are awake, of owners that are gone before those without; then those that are due, and
        those to which something was said. Of each of these the workflows have turns, in the order in which they are
        named: each gives its oldest run that is left, or the one that is due first, then the next one has its turn.
        Runs of `owner` itself are left alone.

        A cancelled call, or one that fails, may have taken runs: they are known by their owner.
        """
        ...

    async def renew(self, owner: str, lease: float, *, near: str | None = None) -> Renewal:
        """
        Say that this owner lives, and give it a lease of so many seconds by the clock of the store; 0 gives it up.

        Args:
            near: With what the text of other owners begins that are to be told though their leases last.
        """
        ...

    async def release(self, owner: str) -> None:
        """Let go of all runs of this owner, so that anyone may take them up at once, of its lease and its slots."""
        ...

    async def take_slots(
        self, owner: str, requests: Sequence[SlotRequest], *, frees: Sequence[Slot] = (), now: float | None = None
    ) -> list[Answer]:
        """
        Give back what this owner holds of `frees`, then take for it what is asked for, as far as there is of it.

        It is durable when this returns. A slot counts for as long as the lease of its owner lasts.

        Args:
            requests: In this order.
            now: What time it is (seconds) for the rates; None for the clock of the store.

        Returns:
            For each request None if all of it was taken; the output that was looked up, if there is one, or why
            nothing of it was taken.
        """
        ...

    async def occupancy(self, beginning: str = "", limit: int = 1_000) -> Occupancy:
        """
        Who holds slots now, and who waits for one, of the owners whose lease lasts; at most so many of each.

        Args:
            beginning: With what the names of the limits begin that are of interest.
        """
        ...

    async def forget_expired(self, now: float) -> int:
        """
        Delete the outputs kept for other runs that nobody wants any more at this instant; how many there were.

        With them go large values that are kept beside the store, and to which nothing refers any more.
        """
        ...

    async def mentioned(self, marker: str, length: int) -> set[str]:
        """
        What stands, so many characters of it, behind each occurrence of the marker.

        Looked through are logs, kept outputs, messages and the inputs of schedules, as they are stored. May take long.
        """
        ...

    async def next_wake(self, after: float) -> float | None:
        """
        When (epoch seconds) the first run goes on that sleeps, and is due later than `after`; infinity if only messages
        wake those that are, None if there are none.
        """
        ...

    async def census(self, now: float) -> Census:
        """
        How many runs have not ended at this instant (epoch seconds), and where they are.

        What it costs depends on these runs, and not on how many have ended.
        """
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
            RunEndedError: it has ended.
        """
        ...

    async def inbox(self, owner: str) -> list[Message]:
        """The messages to the runs of this owner that are not folded into their logs yet, oldest first."""
        ...

    async def delete(self, run_ids: Sequence[str]) -> int:
        """Delete runs with all that belongs to them; unknown ids are passed over. Returns how many there were."""
        ...

    async def schedules(self, name: str | None = None) -> list[ScheduleRecord]:
        """The schedules, by name; with a name that one only, or none."""
        ...

    async def put_schedule(self, schedule: ScheduleRecord) -> ScheduleRecord | None:
        """
        Write a schedule, durably when this returns, if the store has it as it was read: a compare-and-set.

        Its `revision` is the fence: 0 for one that must not be there yet, else that of what it replaces.

        Returns:
            It as it is stored now, with a revision that no schedule of this store ever had; None if it was changed,
            made or deleted meanwhile, and nothing was written.
        """
        ...

    async def delete_schedule(self, name: str) -> bool:
        """Delete the schedule of this name; its runs stay. Returns whether there was one."""
        ...

    async def publish(self, definitions: Mapping[str, str]) -> None:
        """
        Keep these definitions for whoever starts runs by the name of a workflow, durably when this returns.

        Args:
            definitions: Name of a workflow -> its definition, as the JSON text of `Dag.to_dict()`; each goes in the
                place of the one before. Runs have theirs by themselves.
        """
        ...

    async def published(self, workflow: str) -> str | None:
        """The JSON text of the definition that was published last under this name; None if none was."""
        ...

    async def published_names(self) -> list[str]:
        """The names under which definitions were published, in order."""
        ...

    async def listen(self, heard: Callable[[Hint], None]) -> None:
        """
        Call `heard`, on the loop, whenever something is written that others may be waiting for, until cancelled.

        Nothing can be told before `BEGUN` and between `LOST` and the next `BEGUN`. Returns if this store, or the way to
        it, never tells anything: then one has to look from time to time.
        """
        ...

    async def watch(self, run_id: str) -> bool:
        """
        Let those who listen be told when this run rests next: has ended, is paused, or is deleted.

        Returns:
            Whether that will be told; False if it rests already, if there is no such run, or if nothing is ever told.
        """
        ...

    async def close(self) -> None:
        """Let go of the store. Nothing may be called after it; closing twice is harmless."""
        ...


@attrs.frozen
class Shared:
    """
    Where other processes find, and put, the large values of a store.

    Attributes:
        url: Of the blob store, as `open_blobs` takes it.
        threshold: How many bytes a value takes at most that does not go there.
    """

    url: str
    threshold: int


@runtime_checkable
class LightStore(Store, Protocol):
    """
    A store that keeps large values beside itself, and can leave them there.

    What stands for one in a text is a reference, as of `orchwf.blobs.references`. It may be stored like what it stands
    for.
    """

    async def shared(self) -> Shared | None:
        """Where other processes find large values; None if nobody but this one can reach them, or read them there."""
        ...

    async def read_light(self, run_id: str, after: int = 0, limit: int | None = None) -> list[Event]:
        """As `read`, but the outputs of steps may be references."""
        ...

    async def fetch(self, references: Collection[str], where: str) -> dict[str, str]:
        """
        Reference -> what it stands for, of all of these; `where` is what an error calls the thing that has them.

        Raises:
            StoreError: it is missing or damaged, or cannot be reached.
        """
        ...

    async def put_large(self, texts: Collection[str]) -> dict[str, str]:
        """Text -> a reference to it, of those among these that are large. It is there, and as young as if new."""
        ...

    async def has(self, reference: str) -> bool:
        """Whether what this stands for is there; nothing is said of whether it is damaged."""
        ...


class BlobStore(Protocol):
    """
    Keeps large values beside a store, each under the SHA-256 of its bytes in hexadecimal, which is its key.

    A value is put before anything is stored that refers to it, and is never changed. What a method raises is
    `StoreError`: the values cannot be reached.
    """

    url: str
    """How a person would name it; never holds a password."""

    async def put(self, key: str, data: bytes) -> None:
        """
        Keep these bytes, durably when this returns. If they are there they stay, and are as young as if they were new.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """The bytes that are kept under this key, unchecked; None if there are none."""
        ...

    def ages(self) -> AsyncIterator[tuple[str, float]]:
        """Each key, and how many seconds ago it was last put; also those of leftovers, under whatever name."""
        ...

    async def delete(self, key: str, *, older_than: float) -> bool:
        """
        Delete what was last put longer ago than so many seconds. Whether it was there, and so old.

        One that is put at the same time is there afterwards.
        """
        ...

    async def close(self) -> None:
        """Let go of it. Closing twice is harmless."""
        ...


class SharedBlobStore(BlobStore, Protocol):
    """A blob store that other processes open by its URL."""

    async def has(self, key: str) -> bool:
        """Whether there is anything under this key."""
        ...

    async def prepare(self) -> None:
        """Make it, if it is one that has to be made: then whoever can reach it sees that it is there."""
        ...

    async def is_there(self) -> bool:
        """Whether it is seen to be there, as far as that can be seen: if not, what is put here others may not find."""
        ...


class Observer(Protocol):
    """
    Is told of events after they are written. It cannot hurt the run: what it raises is logged and dropped.

    A large output of a body that ran elsewhere may be a reference in its event, as of `LightStore`.
    """

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        """These events of this run are in the store now. Called on the loop: must be quick."""
        ...


class Trace(Protocol):
    """One run that is executed here, as it is traced. Nothing of this raises, or waits."""

    def recall(self, events: Sequence[Event]) -> None:
        """These events were written before it was executed here."""
        ...

    def told(self, events: Sequence[Event]) -> None:
        """These are in the store now."""
        ...

    def enter(self, step: str, item: int | None, *, undoes: bool) -> None:
        """Make the attempt that is under way what the context variables of here belong to."""
        ...

    def parent_of(self, step: str, item: int | None) -> Carried:
        """The span within which a run begins that this step starts."""
        ...


class Tracer(Protocol):
    """Traces the runs of an orchestrator."""

    def follow(self, run: RunRecord, dag: Dag) -> Trace:
        """The trace of a run that is about to be executed here."""
        ...


class TracerProvider(Protocol):
    """Where tracers come from: the `TracerProvider` of OpenTelemetry."""

    def get_tracer(self, instrumenting_module_name: str, instrumenting_library_version: str | None = None, /) -> Any:
        """A tracer for the library of this name and version."""
        ...


@runtime_checkable
class AroundStep(Protocol):
    """Stands around the body of every attempt, of compensations too."""

    async def around_step(self, call: Callable[[], Awaitable[Any]], context: StepContext, /) -> Any:
        """
        What the attempt returns: that of `await call()`, which runs the body, or something else.

        What this raises is how the attempt ends, as if the body had raised it. Without `call()` the body does not run.
        """
        ...


@runtime_checkable
class AroundRun(Protocol):
    """Accompanies a run for as long as it is executed here."""

    async def around_run(self, call: Callable[[], Awaitable[RunRecord]], context: RunContext, /) -> object:
        """
        `await call()` gives the run when it is executed here no longer. Nothing that this does can hurt the run.

        Its status then says why: it has ended, it is paused, or it is still `running`, and will be resumed.
        """
        ...


class Line(Protocol):
    """What a body that runs elsewhere has to do with its orchestrator while it runs. Safe to use from any thread."""

    def say(self, text: str) -> None:
        """Send this text home; it arrives, in order with others, before the end of the call. May be lost in a crash."""
        ...

    def is_told(self) -> bool:
        """Whether the body was told to end, as far as that is known where it runs."""
        ...


def _nothing() -> None:
    pass


@attrs.define(eq=False, kw_only=True)
class Call:
    """
    One body that is to run elsewhere.

    Attributes:
        label: Which step of which run, for people.
        function: What is to be called there, with `text` and a `Line`. It stands in a module: only its name is sent. It
            raises nothing but for bugs.
        text: What it is called with.
        resources: What it needs, as the step says: name -> how much.
        heard: Is to be called, on the loop, with what is said over the line.
        tell: Tells the body that it should end. Who runs the call puts something in its place, if that can be done.
    """

    label: str
    function: Callable[[str, Line], str]
    text: str
    resources: Mapping[str, float]
    heard: Callable[[str], None]
    tell: Callable[[], None] = _nothing


class Workers(Protocol):
    """
    What an executor has opened: it runs bodies in other processes. Belongs to one event loop.

    Nothing is started before the first call. What a body does, and how it ended, is in the texts: an executor knows
    nothing of steps.
    """

    @property
    def room(self) -> int | None:
        """How many calls it takes at once; None for any number, as it lets them wait itself."""
        ...

    async def run(self, call: Call) -> str:
        """
        What the function of this call returned. It is called at most once, whatever happens.

        Cancelled, it sees to it that the body ends if it can, and does not wait for that: if it has not begun it never
        does, and what it still returns is dropped.

        Raises:
            WorkerDiedError: the process that ran it died.
            ExecutorUnavailableError: nothing can run it now, or it is not known any more what became of it.
            NotImportableError: there is no such function where it was to run.
            ExecutorError: whatever else it could not be run for.
        """
        ...

    async def close(self) -> None:
        """End all that was started. No call is under way, and none may follow."""
        ...


class Executor(Protocol):
    """
    Where bodies run that name it: `@step(executor="process")`. A value: it can serve several orchestrators.

    Bodies without one (`"auto"`) run on the loop of the orchestrator and its threads. Those are no executor: a call
    would cost more than many of these bodies take.
    """

    @property
    def takes_resources(self) -> bool:
        """Whether it knows what `resources` of a step mean."""
        ...

    def open(self, name: str) -> Workers:
        """
        What runs bodies for one orchestrator, which calls it `name`. Starts and connects nothing yet.

        Raises:
            UsageError: a package is missing; the message says which.
        """
        ...


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Epoch seconds. Never goes back while the process lives, whatever is done to the clock of the machine."""
        ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back, on the running loop, when it is `when` (epoch seconds). Returns what revokes that."""
        ...


@runtime_checkable
class WatchfulClock(Clock, Protocol):
    """A clock that moves by itself, or is moved: only when nothing is under way. So it has to see what is."""

    def watched(self, store: Store) -> Store:
        """This store, for those who go by this clock."""
        ...


class PayloadCodec(Protocol):
    """
    Turns what users gave and what their steps returned into what is stored, and back: it encrypts or compresses.

    Both methods may be called from any thread, and by several at once. What is stored may have been encoded years ago:
    who changes keys goes on to decode with the old ones.
    """

    def encode(self, data: bytes, /) -> bytes:
        """What is stored in place of this."""
        ...

    def decode(self, data: bytes, /) -> bytes:
        """What `encode` was given. Raises whatever it likes if this is nothing that it can read."""
        ...
