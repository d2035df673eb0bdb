"""`step`: the body of one step again, with what a run recorded; nothing is written."""

import bdb
import json
import time
from contextlib import nullcontext

import attrs

from ..core.dag import dag_of
from ..core.failures import Failures, item_name
from ..core.history import StepRecord
from ..core.lines import Line, brief
from ..core.outcome import Finished, Outcome, Raised, Returned, SkippedItself
from ..core.rows import ITEMS
from ..core.wording import duration_text
from ..labels import visible
from ..runtime.again import Again, again
from ..runtime.attempt import Ending
from ..views import Found, read_run
from .classes import workflow_of
from .debugger import look_at, stopping_in
from .documents import Document, error_document
from .exits import CommandError, Exit
from .finding import find_run, step_of
from .output import Output, harmless
from .places import Place, opened


@attrs.frozen(kw_only=True)
class Wanted:
    """
    Which body is to run, and how.

    Attributes:
        target: Where its workflow is.
        step: Its step, or an item of that.
        run: The run that says what it is called with.
        post_mortem: Whether a debugger is to show where it raises.
        trace: Whether a debugger is to stop at its first line.
    """

    target: str
    step: str
    run: str
    post_mortem: bool = False
    trace: bool = False


async def prepared(output: Output, place: Place, wanted: Wanted) -> tuple[Found, StepRecord, Again]:
    """
    All that it takes to run the body, once the store is closed again.

    Raises:
        CommandError: there is no such run, step or workflow, or it has no body that could run.
    """
    if output.json and (wanted.post_mortem or wanted.trace):
        raise CommandError("a debugger talks to a person: leave out --json, or --pdb and --trace")
    async with opened(place.url) as store:
        found = await read_run(store, await find_run(store, wanted.run))
        workflow = workflow_of(output, found.record, wanted.target)
        record = step_of(found, wanted.step)
        return found, record, await again(store, found.record, found.history.inputs, dag_of(workflow), record)


def run_body(output: Output, found: Found, record: StepRecord, body: Again, wanted: Wanted) -> int:
    """Run the body on this thread, and tell how it ended."""
    function = body.attempt.node.function
    begun = time.perf_counter()
    with output.reserved(), stopping_in(function) if wanted.trace and function is not None else nullcontext():
        outcome, error = body.run()
    took = time.perf_counter() - begun
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, bdb.BdbQuit):
        raise CommandError("the debugger was left before the body ended", Exit.FAILED)
    _tell(output, found, record, body, (outcome, error), took)
    if wanted.post_mortem and isinstance(outcome, Raised) and error is not None:
        look_at(error.__traceback__)
    return Exit.FAILED if isinstance(outcome, Raised) else Exit.DONE


def _tell(output: Output, found: Found, record: StepRecord, body: Again, ending: Ending, took: float) -> None:
    outcome, _ = ending
    name, value = item_name(record.name, record.item), _value(outcome, body)
    if output.json:
        output.document(_document(found, record, outcome, value, took))
        return
    shown, lasted = visible(name), duration_text(took)
    match outcome:
        case Raised():
            failures = Failures(folder=found.report().folder, verbose=output.verbose)
            headline = brief(outcome.error.headline)
            output.lines([Line(f"x {shown} raised after {lasted}: {headline}", "failed", "strong")])
            output.lines(failures.place(outcome.error))
        case SkippedItself():
            output.lines(
                [Line(f"- {shown} skipped itself after {lasted}: {brief(outcome.reason)}", "skipped", "strong")]
            )
        case Finished():
            output.lines([Line(f"+ {shown} after {lasted}: it would end the run with", "completed", "strong")])
        case _:
            is_child = body.attempt.node.waits is not None
            what = f"after {lasted}: it would start a run with" if is_child else f"returned after {lasted}"
            output.lines([Line(f"+ {shown} {what}", "completed", "strong")])
    if isinstance(outcome, Returned | Finished):
        text = json.dumps(value, indent=2, ensure_ascii=not output.encoding.lower().startswith("utf"))
        output.text(harmless(text) if output.is_terminal else text)
    if not isinstance(outcome, Raised):
        output.lines([Line("  nothing was written: the run is as it was", weight="faint")])


def _value(outcome: Outcome, body: Again) -> object:
    """What the body gave, as JSON; None if it gave nothing."""
    if not isinstance(outcome, Returned | Finished):
        return None
    if outcome.output == ITEMS:
        return [json.loads(text) for text in body.given]
    value: object = json.loads(outcome.output)
    return value


def _document(found: Found, record: StepRecord, outcome: Outcome, value: object, took: float) -> Document:
    """`outcome` is `returned`, `finished` (it ended the run), `skipped` or `raised`; `duration` is in seconds."""
    words = {Returned: "returned", Finished: "finished", SkippedItself: "skipped"}
    return {
        "run": found.record.id,
        "step": record.name,
        "item": record.item,
        "outcome": words.get(type(outcome), "raised"),
        "output": value,
        "reason": outcome.reason if isinstance(outcome, SkippedItself) else None,
        "error": error_document(outcome.error) if isinstance(outcome, Raised) else None,
        "duration": round(took, 6),
    }
