"""Where an executor runs the body of a step: a text in, the body in between, a text out."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Any

import attrs

from ..context import StepContext
from ..core.codec import Codec
from ..core.dag import Dag, dag_of
from ..core.definition import ForChild, Node
from ..core.outcome import Finished, Outcome, Raised, Returned, SkippedItself
from ..errors import StoreError
from ..importing import import_workflow
from ..ports import Line, Shared
from ..surroundings import bind, take
from .attempt import Attempt, Ending, Host, Item
from .execution import decode_inputs
from .failure import user_frames
from .remote_values import UnreadError, kept, with_large_values
from .worklog import said_over

_EVERY = 0.2
"""Seconds between two heartbeats that are sent home."""

PROTOCOL = 3
"""What is said between here and there; each side refuses another one."""

_Request = Mapping[str, Any]
"""What `elsewhere` made."""


def answer(text: str, line: Line) -> str:
    """
    How an attempt ended that is described by a text, as a text. The process that calls this runs its body.

    Nothing but text comes and goes: the workflow is imported by its name, values are encoded, and large ones are in a
    blob store, if both sides can reach one.
    """
    request: _Request = json.loads(text)
    try:
        dag, node = _definition(request)
    except KeyboardInterrupt:
        raise
    # Foreign code: the module of a workflow may raise anything when it is imported, SystemExit too.
    except BaseException as error:
        return json.dumps({"kind": "unimportable", "reason": _reason(error)})
    try:
        request = with_large_values(request)
    except UnreadError as error:
        return json.dumps({"kind": "unread", "reason": str(error), "is_apart": error.is_apart})
    with said_over(line, request["log_level"]):
        pulse = _Pulse(line, dag.codec)
        line.say(json.dumps({"kind": "begun"}))
        try:
            # Of its own: the thread goes on with another body.
            ending = copy_context().run(_surrounded, request, _attempt(request, dag, node, pulse, line))
        finally:
            pulse.close()
    described = _told(_described(ending[0]), request["shared"])
    # What is encoded is text in any case; a reason or a message may be whatever a body raised.
    return json.dumps(described, ensure_ascii="output" not in described)


def _definition(request: _Request) -> tuple[Dag, Node]:
    if request["protocol"] != PROTOCOL:
        raise ImportError("orchwf is of another release there; install the same one")
    workflow = import_workflow(request["entrypoint"], request["context"]["workflow"])
    dag, step = dag_of(workflow), request["context"]["step"]
    node = dag.nodes.get(step)
    if node is None:
        raise ImportError(f"{dag.name} has no step {step!r} there")
    if node.digest() != request["digest"]:
        # What ran would not be what was started, and nobody would know.
        raise ImportError(f"the code of step {step!r} is another one there; restart the workers when the code changes")
    return dag, node


def _surrounded(request: _Request, attempt: Attempt) -> Ending:
    """How an attempt ends that is traced as at home, and whose log lines say what they are of."""
    take(request["within"])
    bind(attempt.context().log_values)
    return ending_of(attempt)


def _reason(error: BaseException) -> str:
    told = f"{type(error).__name__}: {error}"
    frames = user_frames(error.__traceback__)
    return f"{told} ({frames[-1][0]})" if frames else told


def _attempt(request: _Request, dag: Dag, node: Node, pulse: "_Pulse", line: Line) -> Attempt:
    codec, last = dag.codec, request["last_heartbeat"]
    context = StepContext(**request["context"])
    context.listen(pulse.beat, None if last is None else codec.decode(last), line.is_told)
    host = Host(
        codec=codec, input_size=len(request["inputs"]),
        instance=lambda: (dag.workflow or dict)(**decode_inputs(dag, codec, request["inputs"])),
        node=dag.nodes.__getitem__, type_of=lambda step: dag.nodes[step].returns,
        child=lambda step: _started_by(dag.nodes[step]), context_for=lambda step, number: context,
        # What follows is of bodies that do not run elsewhere, or of whoever waits for this one.
        spawn=_never, give=_never, later=_never, soon=_never, report=_never, pulse=_never,
    )  # fmt: skip
    item = Item(request["items"].__getitem__, request["carried"]) if request["is_item"] else None
    attempt = Attempt(host, node, 0, context.attempt, request["outputs"], item=item)
    attempt.know(context)
    return attempt


def _started_by(node: Node) -> Dag | None:
    waits = node.waits
    return dag_of(waits.workflow) if isinstance(waits, ForChild) and waits.workflow is not None else None


def _never(*_: object) -> Any:
    raise NotImplementedError


def ending_of(attempt: Attempt) -> Ending:
    """Run the body to its end, on this thread, which has no event loop; how it ended."""
    box: list[Ending] = []
    attempt.host = attrs.evolve(attempt.host, report=lambda _, ending: box.append(ending))
    try:
        if attempt.node.is_async:
            asyncio.run(_in_task(attempt))
        else:
            attempt.start_on(_at_once, copy_context())
    except KeyboardInterrupt:
        # Nobody interrupts a worker but its own body.
        attempt.fail(RuntimeError("KeyboardInterrupt was raised in a body"))
    return box[0]


async def _in_task(attempt: Attempt) -> None:
    task = asyncio.current_task()
    if task is not None:
        await attempt.run(task)


def _at_once(call: Callable[[], None], then: Callable[[], None]) -> None:
    call()
    then()


def _described(outcome: Outcome) -> Mapping[str, Any]:
    match outcome:
        case Returned(output):
            return {"kind": "returned", "output": output}
        case Finished(output):
            return {"kind": "finished", "output": output}
        case SkippedItself(reason):
            return {"kind": "skipped", "reason": reason}
        case Raised():
            return {"kind": "raised", **attrs.asdict(outcome)}
        case _:
            raise NotImplementedError


def _told(described: Mapping[str, Any], shared: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What is told of an end, once its output is where it belongs."""
    if "output" not in described or shared is None:
        return described
    try:
        return {**described, "output": kept(described["output"], Shared(**shared))}
    except StoreError as error:
        return {"kind": "unkept", "reason": str(error)}


class _Pulse:
    """
    Sends home what a body tells of its progress: at once, then some times a second at most, and what was told last.
    """

    def __init__(self, line: Line, codec: Codec) -> None:
        self._line = line
        self._codec = codec
        self._lock = threading.Lock()
        self._told = threading.Event()
        self._over = threading.Event()
        self._last = "null"
        self._unsaid: str | None = None
        self._thread: threading.Thread | None = None

    def beat(self, progress: object) -> None:
        """
        The body lives; may be called from any thread.

        Raises:
            EncodingError: this progress cannot be stored.
        """
        text = None if progress is None else self._codec.encode(progress)
        with self._lock:
            self._last = self._last if text is None else text
            self._unsaid = self._last
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="orchwf-pulse", daemon=True)
                self._thread.start()
        self._told.set()

    def close(self) -> None:
        """Send what was not sent yet. What a thread of the body tells after that nobody hears."""
        self._over.set()
        self._told.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._over.is_set():
            self._told.wait()
            self._told.clear()
            self._send()
            self._over.wait(_EVERY)
        self._send()

    def _send(self) -> None:
        with self._lock:
            progress, self._unsaid = self._unsaid, None
        if progress is not None:
            self._line.say(json.dumps({"kind": "heartbeat", "progress": progress}))
