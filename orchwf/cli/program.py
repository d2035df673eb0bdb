"""From the words of a command line to an exit code."""

import re
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError, UnusedCliTokensError

from ..errors import OrchwfError
from .app import app
from .exits import CommandError, Exit, as_command_error
from .output import Output

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
    except BrokenPipeError:
        # Help is printed by others.
        output.lose_reader()
        return Exit.DONE


def _usage(error: CycloptsError, tokens: Sequence[str]) -> str:
    """What is wrong with the command line, in one line, and where to look."""
    name = tokens[0] if tokens and tokens[0] in app else ""
    if isinstance(error, UnusedCliTokensError):
        text = f"there is no place for {' '.join(map(repr, error.unused_tokens or ()))}"
    elif tokens and tokens[0].partition("=")[0] in (*_FLAGS, "--store"):
        text = "the command is missing"
    else:
        text = re.sub(r"\s+", " ", str(error)).strip().rstrip(".")
        # Of many commands the list is of no help, and cut off.
        text = re.sub(r"\s*Available commands:.*", "", text)
        text = text[:1].lower() + text[1:]
    return f"{text}; see: {' '.join(filter(None, ('orchwf', name, '--help')))}"


def _fail(output: Output, error: CommandError) -> int:
    if output.json:
        from .documents import problem_document

        problems = [problem_document(problem) for problem in error.problems]
        told = {"exit_code": int(error.code), "message": error.message, "problems": problems}
        output.document({"error": told})
    output.error(error.message)
    return error.code


def main(words: Sequence[str] | None = None) -> int:
    """The program `orchwf`: the words are those of its command line. Returns the exit code."""
    code = int(call(list(sys.argv[1:] if words is None else words)))
    if words is None and code in (Exit.INTERRUPTED, Exit.TERMINATED):
        from .leaving import leave_threads_behind

        leave_threads_behind(code)
    return code
