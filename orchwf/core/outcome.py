"""What the world tells the machine: how attempts ended, and what was asked for."""

from collections.abc import Mapping, Sequence

import attrs

from .events import ErrorInfo, RunStarted, StepEvent


@attrs.frozen
class Returned:
    """The body returned; `output` is the encoded value."""

    output: str


@attrs.frozen(kw_only=True)
class Raised:
    """
    The body raised, took too long, or could not be called.

    Attributes:
        error: What it raised.
        retryable: Whether the retry policy of the step lets an error of this kind be tried again.
        retry_after: The wait that the body asked for, in seconds; None to let the policy choose.
        spread: A number drawn from [0, 1) for the jitter of that wait.
        runs_on: Whether the body could not be stopped, or was killed or lost somewhere: what it does outside may have
            happened, or may yet.
    """

    error: ErrorInfo
    retryable: bool
    retry_after: float | None = None
    spread: float = 0.0
    runs_on: bool = False


@attrs.frozen
class SkippedItself:
    """The body raised Skip."""

    reason: str


@attrs.frozen
class Finished:
    """The body raised Finish; `output` is the encoded value."""

    output: str


@attrs.frozen
class Stopped:
    """The attempt was stopped because its step was no longer wanted. `runs_on` is as of `Raised`."""

    runs_on: bool = False


@attrs.frozen
class Split:
    """What the step runs once per item of was taken apart: into so many, told by these keys if that was asked for."""

    count: int
    keys: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Spawned:
    """
    The body gave a workflow, and the step waits for the run of it.

    Attributes:
        child: The id of that run.
        workflow, version: Of which workflow it is.
        inputs: The encoded JSON object of its inputs; empty if the run is there already.
        depth: How many runs deep it is nested, itself counted.
    """

    child: str
    workflow: str = ""
    version: str = ""
    inputs: str = ""
    depth: int = 1


Outcome = Returned | Raised | SkippedItself | Finished | Split | Spawned | Stopped


@attrs.frozen
class Begun:
    """
    The run is to begin.

    Attributes:
        inputs: The encoded JSON object of its inputs.
        origin: The run that it is forked from; empty if from none.
        reused: How steps ended in that run, of those that are not run again: events of which step and content count.
        known: JSON: step name -> key of an item -> its encoded result, of the items that are not run again.
        not_before: When it begins (epoch seconds); None for at once.
        parent, parent_step, parent_item: The run whose step, or item of it, started this one; empty if none did.
        depth: How many runs deep it is nested, itself counted.
        use_cache: Whether outputs of earlier runs are taken.
        traceparent, tracestate, linked: As of `RunStarted`.
    """

    workflow: str
    version: str
    fingerprint: str
    inputs: str
    origin: str = ""
    reused: Sequence[StepEvent] = ()
    known: str = ""
    not_before: float | None = None
    parent: str = ""
    parent_step: str = ""
    parent_item: int | None = None
    depth: int = 1
    use_cache: bool = True
    traceparent: str = ""
    tracestate: str = ""
    linked: str = ""

    def events(self, seq: int, now: float) -> Sequence[StepEvent | RunStarted]:
        """
        What is written of it first.

        Args:
            seq: The number of the first one.
        """
        started = RunStarted(
            seq=seq, at=now, workflow=self.workflow, version=self.version, fingerprint=self.fingerprint,
            inputs=self.inputs, origin=self.origin, not_before=self.not_before, parent=self.parent,
            parent_step=self.parent_step, parent_item=self.parent_item, depth=self.depth, known=self.known,
            use_cache=self.use_cache, traceparent=self.traceparent, tracestate=self.tracestate, linked=self.linked,
        )  # fmt: skip
        if not self.reused:
            return (started,)
        rest = enumerate(self.reused, seq + 1)
        return (started, *(attrs.evolve(reused, seq=number, at=now, attempt=0) for number, reused in rest))


@attrs.frozen
class Ended:
    """This attempt (counted from 1) of this step (its number) ended so."""

    step: int
    attempt: int
    outcome: Outcome


@attrs.frozen
class Yielded:
    """This attempt of this step, a generator, gave its item at this position (counted from 0), encoded."""

    step: int
    attempt: int
    position: int
    output: str


@attrs.frozen
class Found:
    """This step (its number), which could start, need not: the run `run` computed its output, kept under `key`."""

    step: int
    key: str
    run: str
    output: str


@attrs.frozen
class ChildEnded:
    """
    The run `child`, for which this step waits, has ended so; or not, if `outcome` is None.

    `message` is what said so; None if that was found out otherwise.
    """

    step: int
    child: str
    outcome: Returned | Raised | None
    message: "Asked | None" = None


@attrs.frozen
class Beat:
    """This attempt of this step lives; `progress` is what its body said of how far it is, encoded."""

    step: int
    attempt: int
    progress: str


@attrs.frozen(kw_only=True)
class TakenUp:
    """
    A new owner has the run; no attempt of the one before lives.

    Attributes:
        fingerprint: The definition with which it goes on.
        by_hand: Whether somebody asked for it: then what failed is tried again with a fresh budget of attempts.
        was_released: Whether the owner before had let go of the run, instead of dying.
        asked: What was asked of the run while nobody had it, in that order.
        most_takeovers: How many owners in a row may die before the run is parked.
        rerun: The steps of unknown fate that are to run again.
        skipped: The steps that are to be skipped.
        given: Step -> its encoded output, of those that need not run as somebody gives what they would.
        reset: The names of the steps whose inputs have changed: those that completed, or wait, are to run again.
        is_due: Whether it slept, and goes on as what it waited for has come; or nobody has executed it before.
        refused: Why it cannot begin, as its inputs are none of its workflow; empty if it can.
    """

    fingerprint: str
    by_hand: bool = False
    was_released: bool = False
    asked: "tuple[Asked, ...]" = ()
    most_takeovers: int = 5
    rerun: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    given: Mapping[int, str] = attrs.field(factory=dict)
    reset: tuple[str, ...] = ()
    is_due: bool = False
    refused: str = ""


@attrs.frozen
class Asked:
    """
    A message to the run: `signal` is `cancel`, `terminate` or `pause`, with the reason as payload, or the name of the
    node that waits for it, with its encoded value.
    """

    signal: str
    message_id: str
    payload: str = ""


Happening = Begun | Ended | Found | Yielded | ChildEnded | Beat | TakenUp | Asked
