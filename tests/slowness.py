"""What is said of code that holds its loop up: a busy machine does so by itself."""

import logging
import re

_BLOCKS = "blocks the event loop for more than"
_SAID = re.compile(
    # By asyncio in development mode, of 0.1 s; by us, of a second, with the line of the code.
    rf"Executing <.*> took \d+\.\d+ seconds\n?|.*: OrchwfWarning: .* {_BLOCKS} .*\n(?:  .*\n)?"
)


def heard(record: logging.LogRecord) -> bool:
    """Whether a record is of something else: a filter."""
    return not str(record.msg).startswith("Executing ") and _BLOCKS not in record.getMessage()


def without_slowness(errors: str) -> str:
    """What a process said on its standard error, without that."""
    return _SAID.sub("", errors)
