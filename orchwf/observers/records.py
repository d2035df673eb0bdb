"""Records of the standard library's logging that say in which step they were written."""

import logging

from ..context import running
from ..surroundings import LOG_NAMES, trace_ids


class StepLogFilter(logging.Filter):
    """
    A filter for handlers of the standard library that lets records say in which step they were written.

    Each record gets `run_id`, `workflow`, `step`, `attempt` and `item`, and where there is a span of OpenTelemetry
    `trace_id` and `span_id`; what does not apply is empty, and what the record has already stays. So it is in
    coroutines, in the threads of plain functions, and in the processes of executors that have such a handler.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        context = running()
        found = {**({} if context is None else context.log_values), **trace_ids()}
        for name in LOG_NAMES:
            if not hasattr(record, name):
                setattr(record, name, found.get(name, ""))
        return True
