"""What may be read of the runs that subflows start, and which type it has."""

from typing import Any

from .definition import UNKNOWN, ForChild, Node, Several, Wait
from .items import results_type
from .references import ChildOutput, Mode, Source
from .suggestions import did_you_mean

Wrong = tuple[str, str, str]
"""The code of a problem, what is wrong, and the way out."""


def misread(source: Source, child: ChildOutput[Any], name: str, waits: Wait | None, *, is_mapped: bool) -> Wrong | None:
    """
    What is wrong with how a step reads a step of a run; None if nothing is.

    Args:
        name: What starts that run.
        waits: What that waits for; it should be another run.
        is_mapped: Whether it runs once per item.
    """
    if not isinstance(waits, ForChild):
        return "foreign-step", f"takes {source!r}, but {name!r} is no subflow", f"Use {name}.result."
    found = _foreign(source, child, name, waits)
    if found is not None:
        return found
    step = None if waits.steps is None else waits.steps[child.step.name]
    many = name if is_mapped else child.step.name if step is not None and step.several is Several.EACH else ""
    match source.mode:
        case Mode.ALL if many:
            return None
        case Mode.RESULT if not many:
            return None
        case Mode.EACH:
            hint = f"Use {child.name}.{'all' if many else 'result'} in a step, and the items of that one."
            return "not-mapped", f"takes {source!r}: items are taken of a step, not of another run", hint
        case Mode.MAYBE:
            hint = f"Use {name}.maybe, and if it is there what you need of it:  {name}[{child.step.name!r}]"
            return "optional-result", f"takes {source!r}: of a run that completed all is there", hint
        case Mode.ALL:
            return "not-mapped", f"takes {source!r}, but {name!r} starts only one run", f"Use {child.name}.result."
        case _:
            message = f"takes {source!r}, but {many!r} runs once per item and has many results"
            return "mapped-result", message, f"Use {child.name}.all."


def _foreign(source: Source, child: ChildOutput[Any], name: str, waits: ForChild) -> Wrong | None:
    """The problem that the run has no such step."""
    steps, workflow, step = waits.steps, waits.workflow, child.step
    if steps is None or workflow is None:
        return None
    if step.name not in steps:
        message = f"takes {source!r}, but {workflow.__name__} has no step {step.name!r}"
        return "foreign-step", message, did_you_mean(step.name, steps.keys(), "steps")
    if step.owner is not None and step.owner not in workflow.__mro__:
        message = (
            f"takes {source!r}, but that is a step of {step.owner.__name__}, and {name!r} runs {workflow.__name__}"
        )
        return "foreign-step", message, f"Use {name}[{workflow.__name__}.{step.name}]."
    return None


def output_type(node: Node, output: str) -> Any:
    """The type of what a step of the run gives that this node starts; UNKNOWN if it is not known."""
    steps = node.waits.steps if isinstance(node.waits, ForChild) else None
    step = None if steps is None else steps.get(output)
    if steps is None or step is None:
        return UNKNOWN
    return results_type(step, step.returns, steps) if step.several is Several.EACH else step.returns
