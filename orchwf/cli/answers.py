"""`--rerun`, `--skip` and `--value`: what somebody says who resumes a run, of the steps that did not go well."""

from collections.abc import Sequence

import attrs

from ..core.codec import Codec
from ..core.dag import Dag
from ..core.definition import Node
from ..core.lines import brief, names_text
from ..core.report import Report
from ..core.suggestions import did_you_mean
from ..core.types import describe_type
from ..views import NO_VALUE, example, value_of
from .exits import CommandError, Exit
from .inputs import shell_text


@attrs.frozen(kw_only=True)
class Given:
    """
    The words of the command line.

    Attributes:
        rerun, skip: Names of steps.
        values: `step=JSON` each.
    """

    rerun: Sequence[str] = ()
    skip: Sequence[str] = ()
    values: Sequence[str] = ()

    @property
    def valued(self) -> list[str]:
        """The steps whose values are given."""
        return [text.partition("=")[0] for text in self.values]

    def check(self, report: Report) -> None:
        """
        See that all is answered that has to be.

        Raises:
            CommandError: of a step nobody says what is to become of it, though that has to be known; or there is no
                such step.
        """
        named = {*self.rerun, *self.skip, *self.valued}
        for name in named:
            if name not in report.steps:
                raise _no_such_step(report.workflow, name, list(report.steps))
        silent = list(dict.fromkeys(record.name for record in report.unknown if record.name not in named))
        if silent and named:
            raise CommandError(f"nothing is said of {names_text(silent)}, which may have taken effect, too")
        if silent:
            raise CommandError("\n".join(line.text for line in report.lines() if line.text))

    def decoded(self, dag: Dag) -> dict[str, object]:
        """
        Step name -> the value that it is to be taken to have returned.

        Raises:
            CommandError: there is no such step, or this is no such value.
        """
        codec = dag.codec
        pairs = (text.partition("=") for text in self.values)
        return {name: _value(_node(dag, name, equals), text, codec) for name, equals, text in pairs}


def _node(dag: Dag, name: str, equals: str) -> Node:
    if not equals:
        raise CommandError(f"--value takes STEP=JSON, not {brief(name)!r}")
    node = dag.nodes.get(name)
    if node is None:
        raise _no_such_step(dag.name, name, list(dag.nodes))
    return node


def _no_such_step(workflow: str, name: str, known: Sequence[str]) -> CommandError:
    hint = did_you_mean(name, known, "steps")
    return CommandError(f"{workflow} has no step {brief(name)!r}. {hint}".rstrip(), Exit.NOT_FOUND)


def _value(node: Node, text: str, codec: Codec) -> object:
    try:
        return value_of(text, node.returns, codec)
    except NO_VALUE as error:
        kind = describe_type(node.returns)
        told = f"step {node.name!r} returns {kind}, such as --value {node.name}={shell_text(example(node.returns))}"
        raise CommandError(f"{told}: {brief(str(error))}") from None
