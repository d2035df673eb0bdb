"""What the world tells the machine: how attempts ended, and what was asked for."""

import attrs

from .events import ErrorInfo


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
    """

    error: ErrorInfo
    retryable: bool
    retry_after: float | None = None
    spread: float = 0.0


@attrs.frozen
class SkippedItself:
    """The body raised Skip."""

    reason: str


@attrs.frozen
class Stopped:
    """The attempt was stopped because its step was no longer wanted."""


Outcome = Returned | Raised | SkippedItself | Stopped


@attrs.frozen
class Begun:
    """The run is to begin. `inputs` is the encoded JSON object of its inputs."""

    workflow: str
    version: str
    fingerprint: str
    inputs: str


@attrs.frozen
class Granted:
    """There is a free place for this step (its number): it may start."""

    step: int


@attrs.frozen
class Ended:
    """This attempt (counted from 1) of this step (its number) ended so."""

    step: int
    attempt: int
    outcome: Outcome


@attrs.frozen
class TakenUp:
    """
    A new owner has the run; no attempt of the one before lives.

    With `retry`, what failed is tried again with a fresh budget of attempts.
    """

    fingerprint: str
    retry: bool = False


@attrs.frozen
class CancelAsked:
    """Somebody wants the run to end."""

    message_id: str
    reason: str = ""


Happening = Begun | Granted | Ended | TakenUp | CancelAsked
