"""What a store tells of what is written to it, so that nobody has to look for it again and again."""

import contextlib
from collections.abc import Callable

from ..errors import StoreError
from ..ports import Hint, HintKind, Store


class Hearing:
    """
    Passes on what the store tells.

    Attributes:
        is_told: Whether everything is told now; else one has to look from time to time.
        hearers: Are told every hint, also that it begins, and that it is lost.
        begin: Is called by whoever would rather be told than look, as there may be nobody yet who listens.
    """

    def __init__(self, store: Store) -> None:
        self.is_told = False
        self.hearers: list[Callable[[Hint], None]] = []
        self.begin: Callable[[], object] = _nothing_to_do
        self._store = store

    async def listen(self) -> None:
        """Listen until cancelled, or until it is clear that nothing is ever told."""
        try:
            # Whoever asks the store meets the same trouble, and reports it.
            with contextlib.suppress(StoreError):
                await self._store.listen(self._hear)
        finally:
            if self.is_told:
                self._hear(Hint(HintKind.LOST))

    def _hear(self, hint: Hint) -> None:
        match hint.kind:
            case HintKind.BEGUN:
                self.is_told = True
            case HintKind.LOST:
                self.is_told = False
        for hear in self.hearers:
            hear(hint)


def _nothing_to_do() -> None:
    pass
