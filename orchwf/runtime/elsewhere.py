"""An attempt whose body runs elsewhere, as it is seen here: what is sent, and what comes back."""

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..core.definition import FromEach, FromInput
from ..core.events import ErrorInfo
from ..core.outcome import Finished, Outcome, Raised, Returned, SkippedItself
from ..core.values.pieces import LARGE
from ..errors import ExecutorError, NotImportableError
from ..ports import Call
from .attempt import Attempt, Away
from .execution import Execution
from .executors import Executors
from .remote import PROTOCOL, answer
from .worklog import log_again, wanted_level


class Elsewhere:
    """
    Has bodies run by the executors that their steps name.

    Args:
        begun: Is told, on the loop, when a body begins.
    """

    def __init__(self, executors: Executors, begun: Callable[[Execution, Attempt], None]) -> None:
        self._executors = executors
        self._begun = begun

    async def outcome(self, execution: Execution, attempt: Attempt) -> Outcome:
        """
        How an attempt ended, of which all is known then but whether it was told to end.

        Raises:
            ExecutorError: the body was not run to its end.
        """
        name = attempt.node.options.executor or ""
        make = partial(request_for, execution, attempt)
        call = Call(
            label=f"step {attempt.node.name!r} of run {execution.record.id!r}", function=answer,
            text=make() if attempt.reads_little() else await asyncio.to_thread(make),
            resources=attempt.node.options.resources, heard=partial(self._heard, execution, attempt),
        )  # fmt: skip
        attempt.away = Away(call)
        text = await self._executors.workers(name).run(call)
        told = json.loads(text) if len(text) < LARGE else await asyncio.to_thread(json.loads, text)
        return _outcome(told, name, execution.dag.entrypoint)

    def _heard(self, execution: Execution, attempt: Attempt, text: str) -> None:
        told = json.loads(text)
        match told["kind"]:
            case "begun":
                self._begun(execution, attempt)
            case "heartbeat":
                attempt.hear(told["progress"])
            case _:
                log_again(told)


def request_for(execution: Execution, attempt: Attempt) -> str:
    """What is sent for an attempt: where its workflow is, which step of it, and all that its body takes."""
    node, context, item = attempt.node, attempt.context(), attempt.item
    sources = [each.binding.step for each in node.arguments if isinstance(each.binding, FromEach)]
    takes_inputs = node.takes_self or any(isinstance(each.binding, FromInput) for each in node.arguments)
    return json.dumps(
        {
            "protocol": PROTOCOL,
            "entrypoint": execution.dag.entrypoint,
            "digest": node.digest(),
            "context": {
                "run_id": context.run_id, "workflow": context.workflow, "step": context.step, "item": context.item,
                "attempt": context.attempt, "max_attempts": context.max_attempts, "metadata": context.metadata,
            },
            "inputs": execution.inputs if takes_inputs else "{}",
            "outputs": dict(attempt.outputs),
            "is_item": item is not None,
            "items": {} if item is None else {source: item.text(source) for source in sources},
            "carried": None if item is None else item.carried,
            "last_heartbeat": attempt.last_heartbeat,
            "log_level": wanted_level(),
        },
        ensure_ascii=False,
    )  # fmt: skip


def _outcome(told: Mapping[str, Any], executor: str, entrypoint: str) -> Outcome:
    match told["kind"]:
        case "returned":
            return Returned(told["output"])
        case "finished":
            return Finished(told["output"])
        case "skipped":
            return SkippedItself(told["reason"])
        case "raised":
            rest = {name: told[name] for name in ("retryable", "retry_after", "spread")}
            return Raised(error=ErrorInfo(**told["error"]), **rest)
        case "unimportable":
            raise NotImportableError(
                executor, f"a worker cannot take {entrypoint} for what it is here: {told['reason']}"
            )
        case kind:
            raise ExecutorError(executor, f"what a worker answered is no answer: {kind!r}", runs_on=True)
