"""What bodies log that run elsewhere, sent home: there somebody has configured logging."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..ports import Line

_LOGGER = logging.getLogger("orchwf.step")
"""That of `StepContext.log`."""

_ELSEWHERE = "(elsewhere)"
"""In place of the file in which was logged."""

_line: ContextVar[Line | None] = ContextVar("orchwf_line", default=None)
_USUAL = frozenset(vars(logging.makeLogRecord({})))


class _Homeward(logging.Handler):
    """Sends records over the line of the body that logs; of threads that a body starts itself nothing is sent."""

    def emit(self, record: logging.LogRecord) -> None:
        line = _line.get()
        # What has come home does not leave again, where both are one process.
        if line is None or record.pathname == _ELSEWHERE:
            return
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        told = {"level": record.levelno, "message": record.getMessage(), "extra": extra, "trace": trace}
        line.say(json.dumps({"kind": "log", **told}, default=str))


@contextmanager
def said_over(line: Line, level: int) -> Iterator[None]:
    """Send what is logged in the block, of this level and above, over this line."""
    if not any(isinstance(each, _Homeward) for each in _LOGGER.handlers):
        _LOGGER.addHandler(_Homeward())
    # Never to fewer: another body may want them. What is not wanted at home is dropped there.
    if not _LOGGER.isEnabledFor(level):
        _LOGGER.setLevel(level)
    token = _line.set(line)
    try:
        yield
    finally:
        _line.reset(token)


def wanted_level() -> int:
    """From which level on records of bodies are wanted here."""
    return _LOGGER.getEffectiveLevel()


def log_again(told: Mapping[str, Any]) -> None:
    """Log here what was sent home."""
    if not _LOGGER.isEnabledFor(told["level"]):
        return
    record = _LOGGER.makeRecord(_LOGGER.name, told["level"], _ELSEWHERE, 0, told["message"], (), None)
    # Not by makeRecord, which refuses what a record has already: Ray gives all of them more, here and there.
    vars(record).update({name: value for name, value in told["extra"].items() if name not in vars(record)})
    record.exc_text = told["trace"]
    _LOGGER.handle(record)
