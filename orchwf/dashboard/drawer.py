"""What is shown of one step beside its run: attempts, errors, output, where its code is."""

import math
from collections import Counter
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
from .site import Site, page_number

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
        items: What became of its items: a page of them, those that failed first, then as they come.
        by_status: Status -> how many of its items have it.
        wanted: The status that the items have which are shown; empty for any.
        page, pages: Which page of them this is, counted from 1, and how many there are.
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
    by_status: list[tuple[str, int]]
    wanted: str
    page: int
    pages: int


async def drawer_of(
    site: Site, found: Found, steps: Mapping[str, StepRecord], name: str, now: float, query: Mapping[str, str]
) -> Drawer:
    """
    What is shown of the step of this name.

    Args:
        query: `items`, the page of its items, and `item_status`, which of them.

    Raises:
        UnknownStepError: there is none.
    """
    record = steps.get(name)
    if record is None:
        raise UnknownStepError(name, found.record.workflow, "")
    node = None if found.dag is None else found.dag.nodes.get(name)
    output = record.result if site.shows_payloads else None
    items, wanted = record.present if record.count else [], query.get("item_status", "")
    counts = Counter(item.status for item in items)
    chosen = [item for item in items if not wanted or item.status == wanted]
    chosen.sort(key=lambda item: item.status is not StepStatus.FAILED)
    page, pages = page_number(query.get("items", "")), max(1, math.ceil(len(chosen) / _MOST_ITEMS))
    page = min(page, pages)
    return Drawer(
        name=name, status=told_status(record), said=step_text(record, found.dag, now), record=record, node=node,
        type="" if node is None else describe_type(node.returns), tries=max_attempts(record, found.dag),
        output=None if output is None else output[:MOST_SHOWN], size=len(output or ""),
        items=chosen[(page - 1) * _MOST_ITEMS : page * _MOST_ITEMS], wanted=wanted, page=page, pages=pages,
        by_status=[(str(status), counts[status]) for status in StepStatus if counts[status]],
    )  # fmt: skip
