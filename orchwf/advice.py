"""Tells of code that works, but is probably not meant as it is."""

import contextlib
import logging
import warnings

from .errors import OrchwfWarning

_LOGGER = logging.getLogger("orchwf")


def advise(text: str, filename: str, line: int) -> None:
    """
    Log this as a warning; where nobody listens to the log, warn as Python does, once for each place.

    It may be called from any thread, and raises nothing: not even where warnings are errors.

    Args:
        filename, line: The place in the code of the user.
    """
    _LOGGER.warning("%s", text)
    if not _is_heard():
        with contextlib.suppress(OrchwfWarning):
            warnings.warn_explicit(text, OrchwfWarning, filename, line)


def _is_heard() -> bool:
    """Whether anything is done with what is logged."""
    logger: logging.Logger | None = _LOGGER
    while logger is not None:
        if not all(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
