"""What a form asks for is done, and told on the page that comes next."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import quote

import attrs
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..core.definition import ForSignal
from ..core.wording import plural
from ..errors import OrchwfError, UnknownWorkflowError, UsageError
from ..labels import visible
from ..orchestrator import Orchestrator
from ..runtime.published import published
from ..runtime.schedules import Schedules
from .forms import value_from
from .rendering import link
from .sign_in import own_path
from .site import SAID, Site, base_of, field_of, form_of

_MOST = 500
"""How many runs are cancelled or resumed at once."""
_LONGEST_SAID = 600


@attrs.frozen
class Done:
    """What was done, for people; and the page that comes next, if it is another one than before."""

    said: str
    next: str = ""


Act = Callable[[Site, Mapping[str, str], Sequence[str]], Awaitable[Done]]
"""Is given the fields of the form, and the ids of the runs that were chosen."""


def _answering(act: Act) -> Callable[[Site, Request], Awaitable[Response]]:
    async def answer(site: Site, request: Request) -> Response:
        form = form_of(request)
        fields = {name: values[0] for name, values in form.items()}
        chosen = list(dict.fromkeys(form.get("run", [])))
        done = await act(site, fields, chosen)
        path = done.next or own_path(field_of(form, "next"))
        response = RedirectResponse(f"{base_of(request)}{path}", HTTPStatus.SEE_OTHER)
        response.set_cookie(
            SAID, quote(visible(done.said[:_LONGEST_SAID])), max_age=60, httponly=True, samesite="strict",
            path=base_of(request) or "/",
        )  # fmt: skip
        return response

    return answer


async def _each(runs: Sequence[str], act: Callable[[str], Awaitable[object]], word: str, fate: str = "") -> Done:
    """Do it with each of these runs; those with which it cannot be done keep no other from it."""
    if not runs:
        raise UsageError("choose at least one run")
    if len(runs) > _MOST:
        raise UsageError(f"at most {_MOST} runs at once, not {len(runs):,}")
    refused = []
    for run_id in runs:
        try:
            await act(run_id)
        except OrchwfError as error:
            if len(runs) == 1:
                raise
            refused.append(str(error))
    said = f"{plural(len(runs) - len(refused), 'run')} {word}{fate}."
    return Done(f"{said} {len(refused)} could not be: {refused[0]}" if refused else said)


async def _cancel(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    async def act(run_id: str) -> None:
        await (await site.handle(run_id)).cancel(fields.get("reason", ""))

    return await _each(runs, act, "asked to end", ": whoever executes it sees to that")


async def _pause(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    async def act(run_id: str) -> None:
        await (await site.handle(run_id)).pause(fields.get("reason", ""))

    return await _each(runs, act, "asked to pause", ": whoever executes it sees to that")


async def _resume(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    client = await site.client()

    async def act(run_id: str) -> None:
        if site.orchestrator is not None:
            with suppress(UnknownWorkflowError):
                await site.orchestrator.resume(run_id)
                return
        # Its code is elsewhere.
        await client.resume(run_id)

    is_here = site.orchestrator is not None
    return await _each(runs, act, "resumed", "" if is_here else ": whoever serves its workflow goes on with it")


async def _fork(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    handle = await _executing(site).fork(_one(runs), fields.get("step", ""))
    return Done(f"Run {handle.id} was begun; it reuses what came before {fields.get('step', '')}.", _run(handle.id))


def _executing(site: Site) -> Orchestrator:
    if site.orchestrator is None:
        raise UsageError(
            "nothing executes runs here: fork it where its code is (orchwf fork), "
            "or start the dashboard with that, orchwf ui --target file.py"
        )
    return site.orchestrator


def _one(runs: Sequence[str]) -> str:
    if len(runs) != 1:
        raise UsageError(f"this is done with one run, not with {len(runs)}")
    return runs[0]


def _run(run_id: str) -> str:
    return link("/run", id=run_id)


async def _send(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    run_id, signal = _one(runs), fields.get("signal", "")
    record = await site.store.get(run_id)
    stored = None if record is None else await site.dag(record.fingerprint)
    dag = None if record is None else site.typed(record.workflow, stored)
    node = None if dag is None else dag.nodes.get(signal)
    handle = await site.handle(run_id, None if dag is None else dag.workflow)
    payload: object = None
    if dag is not None and node is not None and isinstance(node.waits, ForSignal):
        payload = value_from(fields, "payload", node.waits.type, dag.codec)
    await handle.send(signal, payload)
    return Done(f"Signal {signal} is sent.")


async def _start(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    name = fields.get("workflow", "")
    client, known = await site.client(), site.types.get(name)
    run_id = fields.get("id") or None
    if known is not None and known.workflow is not None:
        given = {
            each: value_from(fields, f"input:{each}", field.type, known.codec)
            for each, field in known.inputs.items()
            if _is_given(fields, f"input:{each}", required=field.required)
        }
        instance = known.workflow(**given)
        if site.orchestrator is not None:
            handle = await site.orchestrator.start(instance, run_id)
        else:
            handle = await client.start(instance, run_id=run_id)
    else:
        stored = await site.published_dag(await published(site.store, name))
        values = {
            each: value_from(fields, f"input:{each}", field.type, stored.codec)
            for each, field in stored.inputs.items()
            if _is_given(fields, f"input:{each}", required=field.required)
        }
        handle = await client.start(name, values, run_id=run_id)
    return Done(f"Run {handle.id} is written, and begins as soon as somebody executes it.", _run(handle.id))


def _is_given(fields: Mapping[str, str], name: str, *, required: bool) -> bool:
    return required or any(text for each, text in fields.items() if each == name or each.startswith(f"{name}."))


async def _pause_schedule(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    record = await Schedules(site.store, site.clock).pause(fields.get("schedule", ""))
    return Done(f"Schedule {record.name} is paused.")


async def _resume_schedule(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    record = await Schedules(site.store, site.clock).resume(fields.get("schedule", ""))
    return Done(f"Schedule {record.name} goes on.")


async def _trigger(site: Site, fields: Mapping[str, str], runs: Sequence[str]) -> Done:
    run_id, record = await Schedules(site.store, site.clock).ask(fields.get("schedule", ""))
    return Done(f"Run {run_id} is asked for, and begins as soon as somebody serves {record.name}.")


ACTIONS = {
    name: _answering(act)
    for name, act in {
        "cancel": _cancel, "pause": _pause, "resume": _resume, "fork": _fork, "send": _send, "start": _start,
        "pause-schedule": _pause_schedule, "resume-schedule": _resume_schedule, "trigger": _trigger,
    }.items()
}  # fmt: skip
"""Name of a form -> what does what it asks for."""
