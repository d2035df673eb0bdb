"""`explain`: why a step is where it is."""

import time

from ..core.failures import Failures, max_attempts
from ..core.history import StepRecord
from ..core.lines import Line
from ..core.slots import Holding
from ..core.state import StepStatus
from ..ports import RunRecord, Store
from ..runtime.stored import stored_standing
from ..views import Explanation, Found, Known, asks_standing, beginnings_of, explain, iso_time, read_run
from .documents import Document
from .exits import Exit
from .finding import find_run, step_of
from .output import Output
from .places import Place, opened


async def told(output: Output, place: Place, run: str, step: str) -> int:
    """Tell why a step, or an item of one, is where it is, and how to go on where somebody has to see to that."""
    async with opened(place.url) as store:
        found = await read_run(store, await find_run(store, run))
        record = step_of(found, step)
        known = await _known(store, place, found, record)
    explanation = explain(known, record)
    way_on = [] if record.status is StepStatus.COMPLETED else known.report.way_on(record.name)
    if output.json:
        output.document(_document(found.record, record, explanation, known, way_on))
        return Exit.DONE
    failures = Failures(dag=found.dag, folder=known.report.folder, verbose=output.verbose)
    is_place_wanted = record.error is not None and record.status in (StepStatus.FAILED, StepStatus.RETRYING)
    place_lines = failures.place(record.error) if record.error is not None and is_place_wanted else []
    output.lines([explanation.line(), *place_lines, *way_on])
    return Exit.DONE


async def _known(store: Store, place: Place, found: Found, record: StepRecord) -> Known:
    """All that there is to know, read as far as this step needs it."""
    standing = None
    if found.dag is not None and asks_standing(record):
        standing = await stored_standing(store, found.record.id, found.dag)
    holdings: list[Holding] = []
    if found.dag is not None and record.status is StepStatus.PENDING:
        for beginning in beginnings_of(found.dag.nodes.get(record.name), found.record.id):
            holdings += (await store.occupancy(beginning)).holdings
    child = await store.get(record.child) if record.child else None
    return Known(
        run=found.record, report=found.report(store=place.named), now=time.time(), origin=found.history.origin,
        standing=standing, children={} if child is None else {child.id: child}, holdings=holdings,
    )  # fmt: skip


def _document(
    run: RunRecord, record: StepRecord, explanation: Explanation, known: Known, way_on: list[Line]
) -> Document:
    """`because` names the steps that the sentence is about; `commands` are what to type, each with what it does."""
    return {
        "run": run.id,
        "step": record.name,
        "item": record.item,
        "status": str(record.status),
        "explanation": explanation.sentence,
        "because": list(explanation.because),
        "attempt": record.attempt,
        "max_attempts": max_attempts(record, known.report.dag) or None,
        "due_at": iso_time(record.due_at),
        "child": record.child or None,
        "ways_on": [line.text.strip() for line in way_on],
    }
