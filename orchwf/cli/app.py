"""The commands: what they take, and what their help says."""

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from .. import __version__
from ..core.dag import dag_of
from ..core.state import RunStatus
from ..errors import OrchwfError
from . import draw, execute, look
from .common import DEFAULTS, Common
from .documents import problem_document
from .exits import CommandError, Exit, as_command_error
from .finding import LAST, LAST_FAILED
from .inputs import make_instance
from .loading import load_one, parse_target
from .output import Output

_HELP = """
Durable workflows: checked before they run, resumed where they were.

A TARGET is a workflow: file.py, file.py:Class or package.module:Class.
A RUN is the id of one, a prefix of it that no other has, last, or last-failed.

  orchwf check flow.py                   compile it, run nothing
  orchwf run flow.py -i day=monday       run it
  orchwf show                            how the last run went
  orchwf resume                          go on with what failed last

Exit codes: 0 done, 1 run failed or cancelled, 2 definition or usage,
3 timed out, 4 store unavailable, 5 not found, 130 and 143 interrupted
(then the run can be resumed).
"""

app = App(name="orchwf", help=_HELP, help_format="plaintext", version=__version__, version_format="plaintext")

_Target = Annotated[str, Parameter(help="The workflow: file.py, file.py:Class or package.module:Class.")]
_Step = Parameter(name="--step", help="Only what happened to this step.")
_Tag = Parameter(name="--tag", negative="", help="A label, as name=value or name. Repeatable.")
_Jobs = Parameter(name=["--jobs", "-j"], help="How many steps may run at once.", show_default=False)
_Class = Parameter(name="--target", help="Where the workflow is now, if its file was moved.")


@app.command(sort_key=1)
def check(*targets: _Target, common: Common = DEFAULTS) -> int:
    """
    Compile workflows and report all that is wrong with them; nothing is run.

    orchwf check flow.py
    orchwf check flows/*.py --json
    """
    if not targets:
        raise CommandError("name at least one workflow: orchwf check file.py")
    return draw.check(common.output, targets)


@app.command(sort_key=2)
def graph(
    target_or_run: Annotated[str, Parameter(help="A workflow, or a run: then with the state of each step.")],
    /,
    *,
    format: Annotated[  # noqa: A002  As the option is called.
        draw.Format | None, Parameter(name=["--format", "-f"], help="Otherwise what the suffix of FILE says, or text.")
    ] = None,
    file: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write to this file.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Draw a workflow, or a run of one.

    orchwf graph flow.py
    orchwf graph last -o run.svg
    """
    return draw.graph(common.output, common.place, target_or_run, form=format, file=file)


@app.command(sort_key=3)
def run(
    target: _Target,
    /,
    *,
    input: Annotated[  # noqa: A002  As the option is called.
        list[str] | None, Parameter(name=["--input", "-i"], negative="", help="An input, as name=value. Repeatable.")
    ] = None,
    inputs: Annotated[str | None, Parameter(help="A JSON file with an object of inputs.")] = None,
    run_id: Annotated[str | None, Parameter(help="A name for the run; otherwise a new id.")] = None,
    tag: Annotated[list[str] | None, _Tag] = None,
    jobs: Annotated[int | None, _Jobs] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Run a workflow and wait for it.

    orchwf run flow.py -i day=2026-11-02 -i 'shops=["a", "b"]'
    orchwf run flow.py:Sales --inputs monday.json --run-id monday --tag team=eu -j 4

    With --json it prints an event a line, and the whole run as the last line.
    """
    output = common.output
    loaded = load_one(parse_target(target))
    for warning in loaded.warnings:
        output.warn(warning)
    (workflow,) = loaded.workflows
    instance = make_instance(dag_of(workflow), input or [], inputs)
    tags = _tags(tag)
    work = execute.run(output, common.place, instance, run_id=run_id, tags=tags, jobs=_checked_jobs(jobs))
    return asyncio.run(work)


@app.command(sort_key=4)
def resume(
    run: Annotated[str, Parameter(help="Which run.")] = LAST_FAILED,
    /,
    *,
    target: Annotated[str | None, _Class] = None,
    jobs: Annotated[int | None, _Jobs] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Go on with a failed or interrupted run: only what did not complete.

    orchwf resume
    orchwf resume 7f3a
    """
    work = execute.resume(common.output, common.place, run, target=target, jobs=_checked_jobs(jobs))
    return asyncio.run(work)


@app.command(sort_key=5)
def runs(
    *,
    status: Annotated[list[RunStatus] | None, Parameter(negative="", help="Only runs that are so. Repeatable.")] = None,
    workflow: Annotated[str | None, Parameter(help="Only runs of this workflow, by name.")] = None,
    tag: Annotated[list[str] | None, _Tag] = None,
    since: Annotated[str | None, Parameter(help="Only runs begun since: 30m, 2d, or 2026-11-02T08:30.")] = None,
    limit: Annotated[int, Parameter(help="How many at most.")] = 20,
    common: Common = DEFAULTS,
) -> int:
    """
    List runs, newest first.

    orchwf runs --status failed --since 2d
    orchwf runs --workflow Sales --tag team=eu
    """
    work = look.runs(
        common.output, common.place, statuses=status or [], workflow=workflow, tags=_tags(tag), since=since, limit=limit
    )  # fmt: skip
    return asyncio.run(work)


@app.command(sort_key=6)
def show(
    run: Annotated[str, Parameter(help="Which run.")] = LAST,
    /,
    *,
    output: Annotated[str | None, Parameter(help="Print what this step returned, and nothing else.")] = None,
    graph: Annotated[bool, Parameter(negative="", help="Draw the steps as a graph.", show_default=False)] = False,
    all: Annotated[  # noqa: A002  As the option is called.
        bool, Parameter(negative="", help="All steps, however many.", show_default=False)
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Tell how a run went: what failed first, then each step.

    orchwf show
    orchwf show 7f3a --output report
    """
    return asyncio.run(look.show(common.output, common.place, run, step=output, graph=graph, everything=all))


@app.command(sort_key=7)
def events(
    run: Annotated[str, Parameter(help="Which run.")] = LAST,
    /,
    *,
    step: Annotated[str | None, _Step] = None,
    since: Annotated[str | None, Parameter(help="Only what happened since: 30m, or 2026-11-02T08:30.")] = None,
    follow: Annotated[bool, Parameter(negative="", help="Go on until the run has ended.", show_default=False)] = False,
    common: Common = DEFAULTS,
) -> int:
    """
    Print the log of a run.

    orchwf events last --step validate
    orchwf events 7f3a --follow --json
    """
    return asyncio.run(look.events(common.output, common.place, run, step=step, since=since, follow=follow))


@app.command(sort_key=8)
def cancel(
    run: Annotated[str, Parameter(help="Which run.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the log.", show_default=False)] = "",
    target: Annotated[str | None, _Class] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Ask a run to end, whoever executes it.

    orchwf cancel 7f3a --reason "wrong day"
    """
    return asyncio.run(execute.cancel(common.output, common.place, run, reason=reason, target=target))


def _tags(given: Sequence[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in given or []]
    if any(not name for name, _, _ in pairs):
        raise CommandError("--tag takes name=value, or a name alone")
    return {name: value for name, _, value in pairs}


def _checked_jobs(jobs: int | None) -> int | None:
    if jobs is not None and jobs < 1:
        raise CommandError(f"--jobs takes a number of at least 1, not {jobs}")
    return jobs


# From words to an exit code.

_FLAGS = frozenset({"--json", "--no-color", "--quiet", "-q", "--verbose", "-v"})


def command_first(words: Sequence[str]) -> list[str]:
    """The words with the options for every command moved behind the command, where they may stand as well."""
    at = 0
    while at < len(words) and (words[at] in _FLAGS or words[at] == "--store" or words[at].startswith("--store=")):
        at += 2 if words[at] == "--store" else 1
    return [*words[at : at + 1], *words[:at], *words[at + 1 :]] if at < len(words) else list(words)


def call(words: Sequence[str]) -> int:
    """Do what the words of a command line say; returns the exit code and never raises for what a user did."""
    tokens = command_first(words)
    output = Output(json="--json" in tokens, color="--no-color" not in tokens)
    try:
        app.console = output.console
        command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False, console=output.console)
        code = command(*bound.args, **bound.kwargs)
        return code if isinstance(code, int) else Exit.DONE
    except CycloptsError as error:
        return _fail(output, CommandError(_usage(error, tokens)))
    except CommandError as error:
        return _fail(output, error)
    except OrchwfError as error:
        return _fail(output, as_command_error(error))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _usage(error: CycloptsError, tokens: Sequence[str]) -> str:
    """What is wrong with the command line, in one line, and where to look."""
    name = tokens[0] if tokens and tokens[0] in app else ""
    if isinstance(error, UnusedCliTokensError):
        text = f"there is no place for {' '.join(map(repr, error.unused_tokens or ()))}"
    elif tokens and tokens[0].partition("=")[0] in (*_FLAGS, "--store"):
        text = "the command is missing"
    else:
        text = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
        text = text[:1].lower() + text[1:]
    return f"{text}; see: {' '.join(filter(None, ('orchwf', name, '--help')))}"


def _fail(output: Output, error: CommandError) -> int:
    if output.json:
        problems = [problem_document(problem) for problem in error.problems]
        told = {"exit_code": int(error.code), "message": error.message, "problems": problems}
        output.document({"error": told})
    output.error(error.message)
    return error.code


def main(words: Sequence[str] | None = None) -> int:
    """The program `orchwf`: the words are those of its command line. Returns the exit code."""
    return int(call(list(sys.argv[1:] if words is None else words)))
