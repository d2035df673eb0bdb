"""An attempt whose body runs elsewhere, as it is seen here: what is sent, and what comes back."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs

from ..blobs.references import references_in
from ..core.definition import FromEach, FromInput
from ..core.events import ErrorInfo
from ..core.outcome import Finished, Outcome, Raised, Returned, SkippedItself
from ..core.values.pieces import LARGE
from ..errors import ExecutorError, LargeOutputError, NotImportableError, StoreError
from ..ports import Call, Shared
from ..surroundings import carried
from .attempt import Attempt, Away
from .execution import Execution
from .executors import Executors
from .large import Change, Large
from .remote import PROTOCOL, answer
from .worklog import log_again, wanted_level

_LOGGER = logging.getLogger("orchwf")


@attrs.frozen(eq=False)
class _Parcel:
    """The values that go along with an attempt, encoded: all that its body takes, and how far the one before it was."""

    inputs: str
    outputs: Mapping[str, str]
    items: Mapping[str, str]
    carried: str | None
    last_heartbeat: str | None

    @property
    def texts(self) -> list[str]:
        others = [each for each in (self.carried, self.last_heartbeat) if each is not None]
        return [self.inputs, *self.outputs.values(), *self.items.values(), *others]

    def changed(self, change: Change) -> "_Parcel":
        """The same, with each text as that gives it."""
        return _Parcel(
            change(self.inputs),
            {name: change(text) for name, text in self.outputs.items()},
            {name: change(text) for name, text in self.items.items()},
            None if self.carried is None else change(self.carried),
            None if self.last_heartbeat is None else change(self.last_heartbeat),
        )


class Elsewhere:
    """
    Has bodies run by the executors that their steps name.

    Large values go by reference, but to executors whose workers were seen not to find them.

    Args:
        begun: Is told, on the loop, when a body begins.
    """

    def __init__(self, executors: Executors, large: Large, begun: Callable[[Execution, Attempt], None]) -> None:
        self._executors = executors
        self._large = large
        self._begun = begun
        self._apart: set[str] = set()

    async def outcome(self, execution: Execution, attempt: Attempt) -> Outcome:
        """
        How an attempt ended, of which all is known then but whether it was told to end.

        Raises:
            ExecutorError: the body was not run to its end, or its output is lost.
            StoreError: a large value that it takes cannot be had, or not be put for it.
        """
        name = attempt.node.options.executor or ""
        shared = None if name in self._apart else await self._large.shared()
        told = await self._told(execution, attempt, name, shared)
        if told["kind"] == "unread":
            if told["is_apart"]:
                self._set_apart(name, told["reason"])
            # It has not begun. If it is not there, or is damaged, it is here that it is told.
            told = await self._told(execution, attempt, name, None)
        if told["kind"] == "unkept":
            raise LargeOutputError(name, _label(execution, attempt), told["reason"])
        outcome = _outcome(told, name, execution.dag.entrypoint)
        if isinstance(outcome, Returned | Finished) and references_in(outcome.output):
            return await self._received(execution, attempt, name, outcome)
        return outcome

    async def _told(
        self, execution: Execution, attempt: Attempt, name: str, shared: Shared | None
    ) -> Mapping[str, Any]:
        """What a worker answers to an attempt that goes to it with its large values by reference, or as they are."""
        make = partial(_parcel, execution, attempt)
        parcel = make() if attempt.reads_little() else await asyncio.to_thread(make)
        if shared is None:
            change = await self._large.whole(parcel.texts, f"what {_label(execution, attempt)} takes")
        else:
            change = await self._large.light(parcel.texts)
        parcel = parcel.changed(change)
        write = partial(_request, execution, attempt, parcel, shared)
        call = Call(
            label=_label(execution, attempt), function=answer,
            text=write() if sum(map(len, parcel.texts)) < LARGE else await asyncio.to_thread(write),
            resources=attempt.node.options.resources, heard=partial(self._heard, execution, attempt),
        )  # fmt: skip
        attempt.away = Away(call)
        text = await self._executors.workers(name).run(call)
        told: Mapping[str, Any] = json.loads(text) if len(text) < LARGE else await asyncio.to_thread(json.loads, text)
        return told

    async def _received(
        self, execution: Execution, attempt: Attempt, name: str, outcome: Returned | Finished
    ) -> Returned | Finished:
        """How an attempt ended that gave a large value by reference, or the value itself where that is looked into."""
        plan = execution.plan
        try:
            if not await self._large.has(outcome.output):
                reason = "its worker has put it into a blob store of the same URL that is another place"
                self._set_apart(name, reason)
                raise LargeOutputError(name, _label(execution, attempt), reason)
            if attempt.host.around is None and plan.index[attempt.node.name] not in plan.looked_into:
                return outcome
            fill = await self._large.whole([outcome.output], f"the output of {_label(execution, attempt)}")
        except StoreError as error:
            # The body has run, and may not be one that can do so again.
            raise LargeOutputError(name, _label(execution, attempt), str(error)) from error
        return attrs.evolve(outcome, output=fill(outcome.output))

    def _set_apart(self, name: str, reason: str) -> None:
        self._apart.add(name)
        _LOGGER.warning(
            "workers of the executor %r do not reach the large values of this store, which go along with each attempt "
            "from now on: %s; give it blobs=... that all reach, a bucket or a folder",
            name, reason,
        )  # fmt: skip

    def _heard(self, execution: Execution, attempt: Attempt, text: str) -> None:
        told = json.loads(text)
        match told["kind"]:
            case "begun":
                self._begun(execution, attempt)
            case "heartbeat":
                attempt.hear(told["progress"])
            case _:
                log_again(told)


def _label(execution: Execution, attempt: Attempt) -> str:
    return f"step {attempt.node.name!r} of run {execution.record.id!r}"


def _parcel(execution: Execution, attempt: Attempt) -> _Parcel:
    node, item = attempt.node, attempt.item
    sources = [each.binding.step for each in node.arguments if isinstance(each.binding, FromEach)]
    takes_inputs = node.takes_self or any(isinstance(each.binding, FromInput) for each in node.arguments)
    return _Parcel(
        inputs=execution.inputs if takes_inputs else "{}", outputs=attempt.outputs,
        items={} if item is None else {source: item.text(source) for source in sources},
        carried=None if item is None else item.carried, last_heartbeat=attempt.last_heartbeat,
    )  # fmt: skip


def _request(execution: Execution, attempt: Attempt, parcel: _Parcel, shared: Shared | None) -> str:
    """What is sent for an attempt: where its workflow is, which step of it, and all that its body takes."""
    node, context = attempt.node, attempt.context()
    return json.dumps(
        {
            "protocol": PROTOCOL,
            "entrypoint": execution.dag.entrypoint,
            "digest": node.digest(),
            "context": {
                "run_id": context.run_id, "workflow": context.workflow, "step": context.step, "item": context.item,
                "attempt": context.attempt, "max_attempts": context.max_attempts, "metadata": context.metadata,
            },
            **attrs.asdict(parcel),
            "is_item": attempt.item is not None,
            "shared": None if shared is None else attrs.asdict(shared),
            "log_level": wanted_level(),
            "within": carried(),
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
