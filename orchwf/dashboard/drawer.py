"""What is shown of one step beside its run: attempts, errors, output, where its code is."""

from collections.abc import Mapping

import attrs

from ..core.definition import Node
from ..core.failures import max_attempts
from ..core.history import StepRecord
from ..core.progress import told_status
from ..core.state import StepStatus
from ..core.types import describe_type
from ..errors import UnknownStepError
from ..views import Found, step_text
from .site import Site

MOST_SHOWN = 20_000
"""How many characters of a value are shown; the rest is behind a link."""
_MOST_ITEMS = 200


@attrs.frozen(kw_only=True)
class Drawer:
    """
    One step.

    Attributes:
        output: The beginning of its encoded output; None if it has none, or it is not to be shown.
        size: How many characters that has.
        items: What became of its items: those that failed first, then as they come.
        left_out: How many of them are not shown.
    """

    name: str
    status: str
    said: str
    record: StepRecord
    node: Node | None
    type: str
    tries: int
    output: str | None
    size: int
    items: list[StepRecord]
    left_out: int


async def drawer_of(site: Site, found: Found, steps: Mapping[str, StepRecord], name: str, now: float) -> Drawer:
    """
    What is shown of the step of this name.

    Raises:
        UnknownStepError: there is none.
    """
    record = steps.get(name)
    if record is None:
        raise UnknownStepError(name, found.record.workflow, "")
    node = None if found.dag is None else found.dag.nodes.get(name)
    output = record.result if site.shows_payloads else None
    items = sorted(record.present, key=lambda item: item.status is not StepStatus.FAILED) if record.count else []
    return Drawer(
        name=name, status=told_status(record), said=step_text(record, found.dag, now), record=record, node=node,
        type="" if node is None else describe_type(node.returns), tries=max_attempts(record, found.dag),
        output=None if output is None else output[:MOST_SHOWN], size=len(output or ""), items=items[:_MOST_ITEMS],
        left_out=max(0, len(items) - _MOST_ITEMS),
    )  # fmt: skip
