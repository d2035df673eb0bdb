"""Large values of runs: beside the store until somebody here looks into them, and sent to workers by reference."""

from collections.abc import Callable, Collection, Iterable, Sequence

import attrs

from ..blobs.references import filled, references_in
from ..core.events import Event, StepCompleted
from ..core.plan import Plan
from ..errors import StoreError
from ..ports import LightStore, Shared, Store

Change = Callable[[str], str]
"""Gives what stands for an encoded value, or what that stands for."""


def unchanged(text: str) -> str:
    """The text itself."""
    return text


class Large:
    """
    The large values that a store keeps beside itself, if it does.

    Args:
        store: Where the runs are.

    Attributes:
        is_elsewhere: Whether it does.
    """

    def __init__(self, store: Store) -> None:
        self._store = store if isinstance(store, LightStore) else None
        self.is_elsewhere = self._store is not None

    def is_lacking(self, texts: Iterable[str]) -> bool:
        """Whether a large value is not in these texts, but only what refers to it."""
        return self._store is not None and any(references_in(text) for text in texts)

    async def whole(self, texts: Iterable[str], where: str) -> Change:
        """
        What fills in the large values that are not in these texts.

        Args:
            where: What an error calls the thing that has them.

        Raises:
            StoreError: one is missing or damaged, or cannot be reached.
        """
        wanted = {each: None for text in texts for each in references_in(text)}
        if self._store is None or not wanted:
            return unchanged
        found = await self._store.fetch(wanted, where)
        return lambda text: filled(text, found)

    async def light(self, texts: Collection[str]) -> Change:
        """
        What puts references in place of those of these texts that are large; what these stand for is there then.

        Raises:
            StoreError: it could not be put.
        """
        if self._store is None:
            raise NotImplementedError
        # What has references in it is the list of many values: where it goes they are fetched one by one.
        found = await self._store.put_large([text for text in texts if not references_in(text)])
        return lambda text: found.get(text, text)

    async def shared(self) -> Shared | None:
        """Where workers find large values, and put them; None if they cannot."""
        try:
            return None if self._store is None else await self._store.shared()
        except StoreError:
            # It is no trouble before there is a large value, and then it is told.
            return None

    async def has(self, reference: str) -> bool:
        """Whether what this stands for is there."""
        return self._store is not None and await self._store.has(reference)

    async def looked_into(self, run_id: str, plan: Plan, events: Sequence[Event]) -> Sequence[Event]:
        """
        These events of a run, with those outputs as they are that the run itself looks into.

        Raises:
            StoreError: as of `whole`.
        """
        outputs = {
            each: event.output for each, event in enumerate(events)
            if isinstance(event, StepCompleted) and plan.index.get(event.step) in plan.looked_into
        }  # fmt: skip
        if not self.is_lacking(outputs.values()):
            return events
        fill = await self.whole(outputs.values(), f"an output of run {run_id!r}")
        return [_filled(event, fill) if each in outputs else event for each, event in enumerate(events)]


def _filled(event: Event, fill: Change) -> Event:
    return attrs.evolve(event, output=fill(event.output)) if isinstance(event, StepCompleted) else event
