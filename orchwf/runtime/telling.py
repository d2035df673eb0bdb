"""Telling observers what was written."""

import logging
from collections.abc import Sequence

from ..core.events import Event
from ..ports import Observer, RunRecord

_LOGGER = logging.getLogger("orchwf")


def tell(observers: Sequence[Observer], run: RunRecord, events: Sequence[Event]) -> None:
    """Tell every observer; what one of them raises is logged and hurts neither the run nor the others."""
    for observer in observers:
        try:
            observer.told(run, events)
        # Foreign code: observers are the user's.
        except Exception:
            _LOGGER.exception("an observer failed: %r", observer)
