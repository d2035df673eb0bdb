"""What the world tells the machine: how attempts ended, and what was asked for."""

from collections.abc import Mapping, Sequence

import attrs

from .events import ErrorInfo, StepEvent


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
        runs_on: Whether the body could not be stopped: what it does outside may still happen.
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
class Stopped:
    """The attempt was stopped because its step was no longer wanted. `runs_on` is as of `Raised`."""

    runs_on: bool = False


Outcome = Returned | Raised | SkippedItself | Stopped


@attrs.frozen
class Begun:
    """
    The run is to begin.

    Attributes:
        inputs: The encoded JSON object of its inputs.
        origin: The run that it is forked from; empty if from none.
        reused: How steps ended in that run, of those that are not run again: events of which step and content count.
    """

    workflow: str
    version: str
    fingerprint: str
    inputs: str
    origin: str = ""
    reused: Sequence[StepEvent] = ()


@attrs.frozen
class Ended:
    """This attempt (counted from 1) of this step (its number) ended so."""

    step: int
    attempt: int
    outcome: Outcome


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
        reset: The names of the steps that completed and are to run again, as their inputs have changed.
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


@attrs.frozen
class Asked:
    """Somebody wants something of the run: `signal` is `cancel`, `terminate` or `pause`."""

    signal: str
    message_id: str
    reason: str = ""


Happening = Begun | Ended | Beat | TakenUp | Asked
