"""The options that several commands take, and what is made of them."""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from .common import Common
from .exits import CommandError

if TYPE_CHECKING:
    from . import execute
    from .leaving import Deadline

Format = Literal["text", "svg", "mermaid", "dot", "html"]
"""As what a graph is drawn."""

Target = Annotated[str, Parameter(help="The workflow: file.py, file.py:Class or package.module:Class.")]
Step = Parameter(name="--step", help="Only what happened to this step.")
Tag = Parameter(name="--tag", negative="", help="A label, as name=value or name. Repeatable.")
Jobs = Parameter(name=["--jobs", "-j"], help="How many steps may run at once.", show_default=False)
Input = Parameter(name=["--input", "-i"], negative="", help="An input, as name=value. Repeatable.")
Inputs = Parameter(help="A JSON file with an object of inputs.")
RunId = Parameter(help="A name for the run; otherwise a new id.")
Reason = Parameter(help="Why, for the log.", show_default=False)
Rerun = Parameter(name="--rerun", negative="", help="Run this step again, though it may have run. Repeatable.")
Skip = Parameter(name="--skip", negative="", help="Go on without this step. Repeatable.")
Value = Parameter(name="--value", negative="", help="Take this step to have returned that: STEP=JSON. Repeatable.")
Adopt = Parameter(negative="", help="Go on though the graph has changed, this once.", show_default=False)
NoCache = Parameter(negative="", help="Run all steps, and replace what is kept of earlier runs.", show_default=False)
Detach = Parameter(negative="", help="Only start it: a worker executes it.", show_default=False)
Only = Parameter(
    name="--only", negative="", help="Run these steps: step, +step (and above), step+ (and below), tag:x. Repeatable."
)
Until = Parameter(name="--until", help="Run this step and what it needs, and nothing else.", show_default=False)
DryRun = Parameter(name="--dry-run", negative="", help="Tell what would run, and run nothing.", show_default=False)
Class = Parameter(name="--target", help="Where the workflow is now, if its file was moved.")


def run_async(work: Coroutine[Any, Any, int]) -> int:
    """What this coroutine returns."""
    import asyncio  # As a store, it is wanted by what runs, not by help.

    return asyncio.run(work)


def stage_for(common: Common, jobs: int | None) -> "Callable[[Deadline], execute.Stage]":
    """
    What makes the stage of a command, once the time is watched that it may take to end.

    Raises:
        CommandError: so many jobs there cannot be.
    """
    if jobs is not None and jobs < 1:
        raise CommandError(f"--jobs takes a number of at least 1, not {jobs}")
    from . import execute

    return partial(execute.Stage, common.output, common.place, jobs=jobs)


def labels(given: Sequence[str] | None) -> dict[str, str]:
    """
    Name -> value, of tags given as `name=value`, or as a name alone.

    Raises:
        CommandError: one has no name.
    """
    pairs = [text.partition("=") for text in given or []]
    if any(not name for name, _, _ in pairs):
        raise CommandError("--tag takes name=value, or a name alone")
    return {name: value for name, _, value in pairs}
