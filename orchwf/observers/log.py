"""One structured log line per event, over the standard logger `orchwf`."""

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ..core.events import (
    CacheHit,
    ChildStarted,
    CompensationEvent,
    CompensationFailed,
    ErrorInfo,
    Event,
    RunCancelled,
    RunFailed,
    RunPaused,
    RunResumed,
    SignalReceived,
    StepCancelled,
    StepEvent,
    StepExpanded,
    StepFailed,
    StepRetrying,
    StepSkipped,
    TimerSet,
)
from ..core.options import bad_option
from ..ports import RunRecord
from .redaction import SECRET_KEYS, Redaction

_LOGGER = logging.getLogger("orchwf")
# Without it Python itself prints what is severe, of a logger that nobody has configured.
_LOGGER.addHandler(logging.NullHandler())
_LEVELS = {
    "run.failed": logging.ERROR,
    "run.paused": logging.WARNING,
    "compensation.failed": logging.ERROR,
    # There may be one a second.
    "step.heartbeat": logging.DEBUG,
    "step.failed": logging.ERROR,
    "step.retrying": logging.WARNING,
}


class LogObserver:
    """
    Tells every event to the standard logger `orchwf` through structlog: its name is the kind, its fields say which run,
    workflow, step, item and attempt. Never inputs or outputs.

    Nothing is made, and next to nothing is spent, while nobody listens.
    """

    @cached_property
    def _logger(self) -> Any:
        import structlog  # It takes long to import, and brings rich where that is installed; many never log.

        return structlog.wrap_logger(
            _LOGGER,
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[structlog.stdlib.add_log_level, structlog.stdlib.render_to_log_kwargs],
        )

    def told(self, run: RunRecord, events: Sequence[Event]) -> None:
        least = _LOGGER.getEffectiveLevel()
        for event in events:
            level = _LEVELS.get(event.kind, logging.INFO)
            if level >= least:
                self._logger.log(level, event.kind, **_fields(run, event))


def _fields(run: RunRecord, event: Event) -> dict[str, object]:
    fields: dict[str, object] = {"run_id": run.id, "workflow": run.workflow, "seq": event.seq}
    if isinstance(event, StepEvent | CompensationEvent):
        fields.update(step=event.step, attempt=event.attempt)
        if event.item is not None:
            fields.update(item=event.item)
    match event:
        case StepRetrying(error=error, delay=delay) | CompensationFailed(error=error, delay=delay):
            fields.update(error=error.headline, delay=None if delay is None else round(delay, 3))
        case StepFailed(error=ErrorInfo() as error):
            fields.update(error=error.headline)
        case RunFailed(error=str() as text, steps=steps):
            fields.update(error=text, steps=list(steps))
        case StepSkipped() | StepCancelled() | RunCancelled() | RunPaused() | RunResumed():
            fields.update(reason=event.reason)
        case CacheHit(key=key, run=run_id):
            fields.update(key=key, cached_from=run_id)
        case SignalReceived(signal=signal):
            fields.update(signal=signal)
        case StepExpanded(count=count):
            fields.update(count=count)
        case TimerSet(delay=delay):
            fields.update(delay=None if delay is None else round(delay, 3))
        case ChildStarted(child=child):
            fields.update(child=child)
        case _:
            pass
    return fields


def configure_logging(*, json: bool = False, level: str | int = "INFO", redact: Sequence[str] = SECRET_KEYS) -> None:
    """
    Show what orchwf logs, on standard error: for scripts and notebooks that configure no logging of their own.

    Args:
        json: One JSON object a line, instead of text for people.
        level: The least level to show: its standard name, or its number.
        redact: Of which keys the values are not shown, as of `orchwf.Redaction`; none if it is empty.

    Raises:
        BadOptionError: there is no such level, or a key is no text.

    Calling it again replaces what the call before set up.
    """
    import structlog  # As above.

    number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    if isinstance(number, bool) or not isinstance(number, int):
        raise bad_option("level", f"level takes one of {', '.join(logging.getLevelNamesMapping())}, not {level!r}")
    cleared = Redaction(redact)
    handler = _OrchwfHandler()
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if not json:
        renderer = structlog.dev.ConsoleRenderer(colors=handler.stream.isatty(), sort_keys=False)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                cleared,
                structlog.processors.format_exc_info,
                renderer,
            ],
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        )
    )
    for old in [each for each in _LOGGER.handlers if isinstance(each, _OrchwfHandler)]:
        _LOGGER.removeHandler(old)
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(number)
    _LOGGER.propagate = False


class _OrchwfHandler(logging.StreamHandler[Any]):
    """The handler that `configure_logging` adds, so that it can be found again."""
