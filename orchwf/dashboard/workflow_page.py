"""What there is to see of a workflow: its graph, its last runs, how long its steps take, and its versions."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median

import attrs
from starlette.requests import Request
from starlette.responses import Response

from ..core.dag import Dag
from ..core.history import History
from ..core.progress import told_status
from ..core.state import RunStatus, StepStatus
from ..core.timelines import SlowPath, slow_path
from ..core.wording import duration_text
from ..drawing import to_svg
from ..errors import RunNotFoundError, StoreError, UnpublishedWorkflowError
from ..ports import RunQuery, RunRecord
from ..runtime.published import published
from .forms import Field, fields_of
from .looks import look_of
from .runs_page import rows_of
from .site import Site

_MOST_RUNS = 25
_MOST_STEPS = 100
_MOST_EVENTS = 20_000
"""So many events are read for the grid at most: of large runs there are fewer columns."""


async def show_all(site: Site, request: Request) -> Response:
    """The workflows that were ever served on this store, or of which the code is at hand."""
    names = sorted({*await site.store.published_names(), *site.types})
    rows = []
    for name in names[: _MOST_RUNS * 4]:
        last = await site.store.runs(RunQuery(workflow=name, limit=_MOST_RUNS))
        rows.append((name, last, _rate(last)))
    now = site.clock.now()
    return site.page(
        request, "workflows.html", rows=[(name, rows_of(last[:1], now), rate, last) for name, last, rate in rows]
    )


def _rate(records: Sequence[RunRecord]) -> str:
    """`92 % of 25`: how many of the last runs that ended have completed."""
    ended = [record for record in records if record.status.is_final]
    good = sum(record.status is RunStatus.COMPLETED for record in ended)
    return f"{round(100 * good / len(ended))} % of {len(ended)}" if ended else ""


def _spans(records: Sequence[RunRecord]) -> str:
    """`half took up to 2.1 s, 95 % up to 9.0 s`: how long the runs took that have completed; empty if none has."""
    took = sorted(
        record.ended_at - record.created_at
        for record in records if record.status is RunStatus.COMPLETED and record.ended_at is not None
    )  # fmt: skip
    return f"half took up to {_share(took, 0.5)}, 95 % up to {_share(took, 0.95)}" if took else ""


def longest_way(dag: Dag, histories: Sequence[tuple[RunRecord, History]]) -> str:
    """`extract 0.2 s > load 1.9 s (2.1 s)`: the way that takes longest, by what half of the last runs took."""
    took: dict[str, list[float]] = {}
    for _, history in histories:
        for name, step in history.steps.items():
            if name in dag.nodes and step.duration is not None and step.status is StepStatus.COMPLETED:
                took.setdefault(name, []).append(max(0.0, step.duration))
    if not took:
        return ""
    halves = {name: median(each) for name, each in took.items()}
    path = dag.critical_path(halves)
    slow = SlowPath(tuple((name, halves[name]) for name in path.steps if halves.get(name)))
    return f"{slow} ({duration_text(path.duration)})"


@attrs.frozen
class StepRow:
    """
    One step over the last runs: how long it took, in half of them and in 95 of 100; and a cell for each run.

    A cell is the id of the run, and the status that the step has in it; empty if it has none. `critical` says in how
    many of the runs it was on the longest way.
    """

    name: str
    p50: str
    p95: str
    cells: tuple[tuple[str, str], ...]
    critical: int


async def show(site: Site, request: Request) -> Response:
    """
    One workflow.

    Raises:
        UnpublishedWorkflowError: nobody has served one of this name, and it has no runs.
    """
    name = request.query_params.get("name", "")
    records = await site.store.runs(RunQuery(workflow=name, limit=_MOST_RUNS))
    dag = await _newest(site, name, records)
    histories = await _histories(site, records)
    prints = list(dict.fromkeys(record.fingerprint for record in records))
    return site.page(
        request, "workflow.html", name=name, dag=dag, records=records, rows=rows_of(records, site.clock.now()),
        rate=_rate(records), took=_spans(records), way=longest_way(dag, histories), grid=grid_of(dag, histories),
        columns=list(reversed(histories)),
        more=max(0, len(dag.nodes) - _MOST_STEPS), forms=_forms(site.typed(name, dag) or dag),
        versions=await _versions(site, dag, prints), is_published=name in await site.store.published_names(),
        picture=await site.picture(("workflow", dag.fingerprint), lambda: to_svg(dag.picture(), link=_nowhere)),
        is_known=name in site.types, look_of=look_of,
    )  # fmt: skip


def _nowhere(step: str) -> str:
    return "#steps"


async def _newest(site: Site, name: str, records: Sequence[RunRecord]) -> Dag:
    if name in site.types:
        return site.types[name]
    try:
        return await site.published_dag(await published(site.store, name))
    except UnpublishedWorkflowError:
        found = None if not records else await site.dag(records[0].fingerprint)
        if found is None:
            raise
        return found


async def _histories(site: Site, records: Sequence[RunRecord]) -> list[tuple[RunRecord, History]]:
    """The newest runs, with what became of them, as many as can be read at once."""
    found, events = [], 0
    for record in records:
        if events > _MOST_EVENTS:
            break
        try:
            history = await site.history(record.id)
        except (RunNotFoundError, StoreError):
            # It was deleted meanwhile; or its log is damaged, of which its own page tells.
            continue
        events += history.seq
        found.append((record, history))
    return found


def grid_of(dag: Dag, histories: Sequence[tuple[RunRecord, History]]) -> list[StepRow]:
    """A row for each step, with a cell for each run, the oldest first."""
    rows = []
    critical = Counter(
        name
        for record, history in histories if history.status is RunStatus.COMPLETED
        for name, _ in slow_path(history.steps, dag, history.ended_at or record.created_at).steps
    )  # fmt: skip
    for name in list(dag.nodes)[:_MOST_STEPS]:
        known = [(record.id, history.steps.get(name)) for record, history in reversed(histories)]
        cells = tuple((run_id, "" if step is None else str(told_status(step))) for run_id, step in known)
        took = sorted(
            step.duration
            for _, step in known
            if step is not None and step.duration is not None and step.status is StepStatus.COMPLETED
        )
        rows.append(StepRow(name, _share(took, 0.5), _share(took, 0.95), cells, critical[name]))
    return rows


def _share(took: Sequence[float], share: float) -> str:
    return duration_text(took[max(0, math.ceil(share * len(took)) - 1)]) if took else ""


def _forms(dag: Dag) -> list[Field]:
    fields: list[Field] = []
    for each in dag.inputs.values():
        fields += fields_of(f"input:{each.name}", each.name, each.type, is_required=each.required)
    return fields


async def _versions(site: Site, newest: Dag, prints: Sequence[str]) -> list[tuple[str, str, Sequence[str]]]:
    """Version, fingerprint, and what the newest has that it had not, of the definitions of the last runs."""
    told: list[tuple[str, str, Sequence[str]]] = []
    for each in dict.fromkeys([newest.fingerprint, *prints]):
        dag = newest if each == newest.fingerprint else await site.dag(each)
        if dag is not None:
            told.append((dag.version, each, dag.diff(newest).lines if dag is not newest else ()))
    return told
