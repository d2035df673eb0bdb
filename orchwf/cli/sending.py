"""`send`: says something to a run, whoever executes it."""

import secrets
import sys
import time
from typing import Any

from ..core.dag import Dag, dag_of
from ..core.definition import ForSignal, Node
from ..core.lines import Line, brief
from ..core.state import RunStatus
from ..core.suggestions import did_you_mean
from ..core.types import TypeName, describe_type
from ..core.wording import age_text
from ..errors import command_line, send_command
from ..labels import visible
from ..ports import Message, RunRecord, Store
from ..runtime.arguments import encoded_payload
from ..runtime.stored import stored_dag, stored_json
from ..views import NO_VALUE, example, is_asleep, is_interrupted, json_or_text, owner_label, sleep_text, value_of
from .classes import workflow_of
from .exits import CommandError, Exit
from .finding import find_run
from .output import Output
from .places import Place, opened

STDIN = "-"
"""The payload that stands for what is on standard input."""


async def send(
    output: Output,
    place: Place,
    run: str,
    signal: str,
    payload: str | None,
    *,
    given_id: str | None,
    target: str | None,
) -> int:
    """Send a signal to a run; it is in the store when this returns."""
    if given_id == "":
        raise CommandError("--id takes a text that is not empty")
    message_id = secrets.token_hex(8) if given_id is None else given_id
    async with opened(place.url) as store:
        record = await find_run(store, run)
        if record.status.is_final:
            raise CommandError(_too_late(record), Exit.FAILED)
        dag = await _dag(output, store, record, signal, target)
        text = _encoded(dag, record, signal, _read(payload), place)
        # The same id as `RunHandle.send` gives, so that either may repeat what the other one sent.
        message = Message(run_id=record.id, id=f"{signal}-{message_id}", signal=signal, payload=text)
        await store.send(message)
        after = await find_run(store, record.id)
    if output.json:
        value = stored_json(text, f"the message {message.id!r}")
        output.document({"run": record.id, "signal": signal, "id": message_id, "payload": value})
        return Exit.DONE
    output.lines(_told(after, signal, place))
    return Exit.DONE


def _too_late(record: RunRecord) -> str:
    ago = "" if record.ended_at is None else f" {age_text(time.time() - record.ended_at)}"
    return f"run {record.id!r} was {record.status}{ago}: what is said to it now comes too late; nothing was sent"


def _read(payload: str | None) -> str | None:
    """The payload itself, or what standard input says, without the end of its last line."""
    return sys.stdin.read().removesuffix("\n") if payload == STDIN else payload


async def _dag(output: Output, store: Store, record: RunRecord, signal: str, target: str | None) -> Dag | None:
    """
    The definition that has the signal: that of the code, which knows its type, else the stored one.

    Raises:
        CommandError: it has no such signal, or what was named as its class is none.
    """
    stored = await stored_dag(store, record.fingerprint)
    try:
        dag: Dag | None = dag_of(workflow_of(output, record, target))
    except CommandError:
        if target is not None:
            raise
        # The code may be on another machine: then what is sent is taken as it is.
        dag = None
    found = next(
        (each for each in (dag, stored) if each is not None and _node(each, signal) is not None), dag or stored
    )
    if found is not None and _node(found, signal) is None:
        raise CommandError(_no_such_signal(found, signal), Exit.NOT_FOUND)
    return found


def _node(dag: Dag, signal: str) -> Node | None:
    node = dag.nodes.get(signal)
    return node if node is not None and isinstance(node.waits, ForSignal) else None


def _no_such_signal(dag: Dag, name: str) -> str:
    names = [each.name for each in dag.nodes.values() if isinstance(each.waits, ForSignal)]
    hint = did_you_mean(name, names, "signals") or "It waits for none."
    node = dag.nodes.get(name)
    what = f"{brief(name)!r} of {dag.name} is a {node.kind}, and no signal" if node is not None else ""
    return f"{what or f'{dag.name} has no signal {brief(name)!r}'}. {hint}"


def _encoded(dag: Dag | None, record: RunRecord, name: str, text: str | None, place: Place) -> str:
    node = None if dag is None else _node(dag, name)
    type_: Any = None if node is None or not isinstance(node.waits, ForSignal) else node.waits.type
    if dag is None or isinstance(type_, TypeName):
        return encoded_payload(None, record.workflow, name, None if text is None else json_or_text(text))
    if text is None and type_ is None:
        return "null"
    if text is None or type_ is None:
        raise CommandError(_what_it_holds(dag, record, name, type_, place))
    try:
        value = value_of(text, type_, dag.codec)
    except NO_VALUE as error:
        reason = str(error).partition("\n")[0].replace("what is stored", "the value")
        raise CommandError(f"{_what_it_holds(dag, record, name, type_, place)}: {brief(reason)}") from None
    return encoded_payload(dag, record.workflow, name, value)


def _what_it_holds(dag: Dag, record: RunRecord, name: str, type_: Any, place: Place) -> str:
    command = send_command(record.id, place.named, name, "" if type_ is None else example(type_))
    holds = "nothing" if type_ is None else describe_type(type_)
    return f"signal {name!r} of {dag.name} holds {holds}, such as: {command}"


def _told(record: RunRecord, signal: str, place: Place) -> list[Line]:
    who, way_on = _who(record), []
    if record.status is RunStatus.PAUSED or is_interrupted(record):
        way_on = [Line(f"  Go on with:  {command_line('resume', record.id, place.named)}")]
    return [Line(f"+ signal {visible(signal)} is sent to run {visible(record.id)}; {who}", "completed"), *way_on]


def _who(record: RunRecord) -> str:
    """Who will give the signal to the step that waits for it, or when."""
    if is_asleep(record):
        if record.status is RunStatus.SCHEDULED:
            return f"it {sleep_text(record, time.time())}"
        return f"it sleeps, and whoever serves {visible(record.workflow)} wakes it"
    owner = owner_label(record)
    return f"{owner} executes it" if owner is not None else "nobody executes it now, so it counts when the run goes on"
