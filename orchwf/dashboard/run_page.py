"""The page of one run: its error first, then its graph, timeline, steps, events and inputs, now or at any event."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ..core.definition import ForSignal
from ..core.failures import failed_items, max_attempts
from ..core.history import StepRecord
from ..core.progress import told_status
from ..core.state import RunStatus, StepStatus
from ..core.wording import count_steps, counts_text
from ..drawing import opened, to_svg
from ..errors import RunNotFoundError, UnknownStepError, resume_command
from ..runtime.result import run_picture
from ..runtime.stored import stored_json
from ..views import Found, is_interrupted, is_undoing, sleep_text, step_text
from .drawer import drawer_of
from .events_tab import events_of
from .forms import Field, fields_of
from .live import mark_of_run
from .rendering import link
from .site import Site, base_of, is_number, page_number

TABS = ("graph", "timeline", "steps", "events", "inputs")
_MOST_STEPS = 200
_MOST_FAILURES = 5


@attrs.frozen
class Looked:
    """
    What is looked at.

    Attributes:
        found: The run, as it was then.
        steps: Name -> what had become of it, of all steps.
        last: The number of the last event that there is now.
        at: The number of the event at which it is looked at; None for now.
        now: The present of what is shown (epoch seconds).
    """

    found: Found
    steps: Mapping[str, StepRecord]
    last: int
    at: int | None
    now: float

    @property
    def status(self) -> str:
        """Where the run is, or was."""
        if self.at is None and self.found.history.status is RunStatus.RUNNING and is_interrupted(self.found.record):
            return "interrupted"
        return self.found.history.status


async def show(site: Site, request: Request) -> Response:
    """One run."""
    query = request.query_params
    looked = await look_at(site, query.get("id", ""), query.get("at", ""))
    tab = query.get("tab", "") if query.get("tab", "") in TABS else TABS[0]
    found = looked.found
    step = query.get("step", "")
    report = found.report(store="" if site.orchestrator is not None else _named(site))
    values: dict[str, Any] = {
        "looked": looked, "record": found.record, "history": found.history, "dag": found.dag, "tab": tab, "tabs": TABS,
        "failures": _failures(looked), "report": report,
        "counts": counts_text(count_steps(map(told_status, looked.steps.values()))),
        "sleeps": sleep_text(found.record, looked.now) if looked.at is None else "",
        "can": what_can_be_done(looked), "command": resume_command(found.record.id, _named(site)),
        "undoes": is_undoing(report), "seen": mark_of_run(found.record, found.history.seq),
        "signals": _signals(site, looked) if looked.at is None else [],
        "drawer": await drawer_of(site, looked.found, looked.steps, step, looked.now, query) if step else None,
        "duration": report.duration, "at": _address(request, looked, tab),
    }  # fmt: skip
    values |= await _TAB_VALUES[tab](site, request, looked)
    return site.page(request, "run.html", **values)


def _address(request: Request, looked: Looked, tab: str) -> Callable[..., str]:
    """Gives the address of this page with another tab, step or group of its graph, or at another event."""
    base, shown = base_of(request), ".".join(map(str, _path_of(request.query_params.get("group", ""))))

    def address(
        tab: str = tab, step: str = "", at: int | str | None = looked.at, group: str = shown, **more: object
    ) -> str:
        return f"{base}{link('/run', id=looked.found.record.id, tab=tab, step=step, at=at, group=group, **more)}"

    return address


def _named(site: Site) -> str:
    return "" if site.store.url.startswith("memory:") else site.store.url


async def look_at(site: Site, run_id: str, at: str) -> Looked:
    """
    A run, now or at one of its events.

    Raises:
        RunNotFoundError: there is none of this id.
    """
    record = await site.store.get(run_id)
    if record is None:
        raise RunNotFoundError(run_id, site.store.url)
    history = await site.history(run_id)
    last, seq, now = history.seq, None, site.clock.now()
    if at.isascii() and at.isdigit() and len(at) < 12 and 0 < int(at) < last:
        seq = int(at)
        history = await site.history_at(run_id, seq)
        event = (await site.store.read(run_id, after=seq - 1, limit=1))[0]
        now = event.at
    found = Found(record, history, await site.dag(history.fingerprint or record.fingerprint))
    return Looked(found, found.result.steps, last, seq, now)


def what_can_be_done(looked: Looked) -> set[str]:
    """The names of the actions that make sense for a run, by where it is now."""
    if looked.at is not None:
        return set()
    record, history = looked.found.record, looked.found.history
    can = {"fork"}
    if not history.status.is_final:
        can |= {"cancel"} | ({"pause"} if history.status is RunStatus.RUNNING else set())
    is_resumable = history.status in (RunStatus.FAILED, RunStatus.PAUSED) or (
        history.status is RunStatus.CANCELLED and history.compensation == "failed"
    )
    if (is_resumable and history.compensation != "done") or is_interrupted(record):
        can.add("resume")
    return can


@attrs.frozen
class Failure:
    """A step that failed, or one of its items: what is told first."""

    step: str
    record: StepRecord
    tries: str
    more: int


def _failures(looked: Looked) -> list[Failure]:
    failed = [record for record in looked.steps.values() if record.status is StepStatus.FAILED]
    told = []
    for record in failed[:_MOST_FAILURES]:
        items = failed_items(record)
        shown = items[0] if items else record
        tries = f"attempt {shown.attempt}/{max_attempts(shown, looked.found.dag)}" if shown.attempt else "not tried"
        told.append(Failure(record.name, shown, tries, len(items) - 1 if items else 0))
    return told


@attrs.frozen
class SignalForm:
    """What can be said to a run, and the fields of the form for it."""

    name: str
    is_waited_for: bool
    fields: list[Field]
    type: str


def _signals(site: Site, looked: Looked) -> list[SignalForm]:
    if looked.found.history.status.is_final or looked.found.dag is None:
        return []
    dag = site.typed(looked.found.record.workflow, looked.found.dag) or looked.found.dag
    forms = []
    for name, record in looked.steps.items():
        node = dag.nodes.get(name)
        if node is None or not isinstance(node.waits, ForSignal) or record.status.is_final:
            continue
        fields = fields_of("payload", "payload", node.waits.type)
        forms.append(SignalForm(name, record.status is StepStatus.WAITING, fields, fields[0].type))
    return sorted(forms, key=lambda form: not form.is_waited_for)


# What the tabs show.


async def _graph(site: Site, request: Request, looked: Looked) -> dict[str, Any]:
    dag = looked.found.dag
    if dag is None:
        return {"picture": None, "ways": []}
    base, path = base_of(request), _path_of(request.query_params.get("group", ""))
    address, picture = _address(request, looked, "graph"), run_picture(dag, looked.steps)
    key = (looked.found.record.id, looked.found.history.seq, dag.fingerprint, base, looked.at, path)

    def group(*path: int) -> str:
        return address(group=".".join(map(str, path)))

    def draw() -> str:
        part = opened(picture, path)
        return to_svg(part, link=lambda step: f"{address(step=step)}#step", opens=lambda at: group(*path, at))

    ways = [("all", group()), *((f"group {at + 1}", group(*path[:depth])) for depth, at in enumerate(path, 1))]
    return {"picture": await site.picture(key, draw), "ways": ways if path else []}


def _path_of(text: str) -> tuple[int, ...]:
    """The numbers of groups within groups, `3.0`; none if this is none."""
    parts = text.split(".")
    return tuple(map(int, parts)) if len(parts) < 20 and all(map(is_number, parts)) else ()


async def _timeline(site: Site, request: Request, looked: Looked) -> dict[str, Any]:
    address = _address(request, looked, "timeline")
    drawn = looked.found.timeline(looked.now)
    if not any(lane.spans for lane in drawn.lanes):
        return {"picture": None}
    # Not kept: of a run that goes on it is another one each time, and would soon take the place of all graphs.
    return {"picture": await site.picture(None, lambda: drawn.to_svg(link=lambda step: f"{address(step=step)}#step"))}


@attrs.frozen
class StepRow:
    """One step in the table."""

    record: StepRecord
    status: str
    said: str
    is_critical: bool


async def _steps(site: Site, request: Request, looked: Looked) -> dict[str, Any]:
    """A page of steps: those of interest first, where there are many."""
    wanted = request.query_params.get("status", "")
    records = [record for record in looked.steps.values() if not wanted or told_status(record) == wanted]
    page = page_number(request.query_params.get("page", ""))
    pages = max(1, math.ceil(len(records) / _MOST_STEPS))
    shown = records[(page - 1) * _MOST_STEPS : page * _MOST_STEPS]
    critical = {name for name, _ in looked.found.path(looked.now).steps}
    rows = [
        StepRow(record, told_status(record), step_text(record, looked.found.dag, looked.now), record.name in critical)
        for record in shown
    ]
    counts = count_steps(map(told_status, looked.steps.values()))
    return {
        "rows": rows, "page": page, "pages": pages, "wanted": wanted,
        "by_status": [(str(status), counts[status]) for status in StepStatus if status in counts],
    }  # fmt: skip


async def _events(site: Site, request: Request, looked: Looked) -> dict[str, Any]:
    return {"events": await events_of(site, looked.found.record.id, request.query_params, last=looked.at)}


async def _inputs(site: Site, request: Request, looked: Looked) -> dict[str, Any]:
    history, record = looked.found.history, looked.found.record
    if not site.shows_payloads:
        return {"inputs": None, "metadata": None}
    inputs = stored_json(history.inputs, f"the inputs of run {record.id!r}")
    return {
        "inputs": json.dumps(inputs, indent=2, ensure_ascii=False),
        "metadata": json.dumps(dict(record.metadata), indent=2, ensure_ascii=False) if record.metadata else "",
    }


_TAB_VALUES = {"graph": _graph, "timeline": _timeline, "steps": _steps, "events": _events, "inputs": _inputs}


async def value(site: Site, request: Request) -> Response:
    """All of the output of a step, or of the inputs of a run, as plain text."""
    query = request.query_params
    if not site.shows_payloads:
        return PlainTextResponse("payloads are not shown here\n", 403)
    looked = await look_at(site, query.get("id", ""), "")
    name = query.get("step", "")
    if not name:
        return PlainTextResponse(looked.found.history.inputs)
    record = looked.steps.get(name)
    if record is None:
        raise UnknownStepError(name, looked.found.record.workflow, "")
    return PlainTextResponse(record.result or "")
