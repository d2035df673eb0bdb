"""What asyncio says in development mode of all that holds its loop up for 0.1 s: a busy machine does so by itself."""

import logging
import re

_SAID = re.compile(r"Executing <.*> took \d+\.\d+ seconds\n?")


def heard(record: logging.LogRecord) -> bool:
    """Whether a record of asyncio's is of something else: a filter."""
    return not str(record.msg).startswith("Executing ")


def without_slowness(errors: str) -> str:
    """What a process said on its standard error, without that."""
    return _SAID.sub("", errors)
