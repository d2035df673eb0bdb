"""The places within limits: what is asked for, and what is answered."""

from collections.abc import Sequence

import attrs

from .caching import CacheEntry, Lookup
from .limits import Limit


@attrs.frozen(kw_only=True)
class Slot:
    """
    A place within a limit, held by one attempt of a step.

    `item` tells which item of a step that runs per item, counted from 0; it is -1 of any other step. `compensates` says
    that it is an attempt to undo the step.
    """

    limit: str
    run_id: str
    step: str
    attempt: int
    item: int = -1
    compensates: bool = False


@attrs.frozen(kw_only=True)
class SlotRequest:
    """
    An attempt that is to begin: within all of these limits, or not now. What is asked by is as of `Slot`.

    `lookup` is the output that makes it unnecessary, if there is one.
    """

    limits: Sequence[Limit]
    lookup: Lookup | None = None
    run_id: str
    step: str
    attempt: int
    item: int = -1
    compensates: bool = False

    def slots(self) -> list[Slot]:
        """What it holds if it may begin: a place in each limit that bounds how many run at once."""
        return [
            Slot(
                limit=limit.name, run_id=self.run_id, step=self.step, attempt=self.attempt, item=self.item,
                compensates=self.compensates,
            )
            for limit in self.limits if limit.concurrency is not None
        ]  # fmt: skip


@attrs.frozen(kw_only=True)
class Refusal:
    """
    Why an attempt may not begin now.

    Attributes:
        limit: The name of the limit that is exhausted.
        wait: After how many seconds one more may begin, if that is for its rate; None if its places are taken.
        owners: Who has these places.
    """

    limit: str
    wait: float | None = None
    owners: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Holding:
    """A slot that an owner holds, since `taken_at` (epoch seconds)."""

    slot: Slot
    owner: str
    taken_at: float


@attrs.frozen(kw_only=True)
class Waiting:
    """An owner waits for a slot of this limit, for so many `seconds` until now."""

    limit: str
    owner: str
    seconds: float


@attrs.frozen(kw_only=True)
class Occupancy:
    """Who holds the slots of limits, and who waits for one: both by the name of the limit."""

    holdings: tuple[Holding, ...] = ()
    waiting: tuple[Waiting, ...] = ()


Answer = Refusal | CacheEntry | None
"""To a request: None if all that was asked for was taken; a refusal, or the output that was looked up, if nothing."""
