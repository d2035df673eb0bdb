"""The lines that tell what failed, and where: of a step, and of those of its items that did."""

from collections.abc import Iterator

import attrs

from ..labels import visible
from .dag import Dag
from .definition import Node
from .events import ErrorInfo
from .hints import hint_for
from .history import StepRecord
from .lines import Line, brief, padded, relative
from .progress import items_text, several_of, tally_of
from .state import StepStatus
from .wording import MARKS, duration_text

_MOST_ITEMS = 3


def item_name(step: str, item: int | None) -> str:
    """`parse[3]`, of an item of a step; of the step itself its name."""
    return step if item is None else f"{step}[{item}]"


def failed_items(record: StepRecord) -> list[StepRecord]:
    """What became of the items of a step that failed, in their order."""
    return sorted(
        (item for item in record.begun if item.status is StepStatus.FAILED), key=lambda item: item.item or 0
    )  # fmt: skip


def max_attempts(record: StepRecord, dag: Dag | None) -> int:
    """How many attempts there may be: those of the definition, or more if a resume gave a fresh budget."""
    node = dag.nodes.get(record.name) if dag is not None else None
    return max(record.attempt, record.spent + 1 + node.options.retry.max_retries if node is not None else 0)


@attrs.frozen(kw_only=True)
class Failures:
    """
    Tells what failed.

    Attributes:
        dag: The definition, if it is known.
        folder: Paths below it are shown relative to it.
        verbose: Whether tracebacks are wanted, and all items instead of the first ones.
    """

    dag: Dag | None = None
    folder: str = ""
    verbose: bool = False

    def of_step(
        self, record: StepRecord, width: int, *, mark: str = "x", tone: str = StepStatus.FAILED
    ) -> Iterator[Line]:
        """
        How often it was tried, its error, and where that was raised; of a step with items, of those that failed.

        Args:
            width: The columns for the names of steps.
        """
        error = record.error or ErrorInfo("Exception", "")
        node = self._node(record)
        optional = "  (optional)" if node is not None and not node.options.required else ""
        items = failed_items(record)
        said = f"{self._tries(record)}  {brief(error.headline)}" if not items else self._tries(record)
        name = padded(item_name(record.name, record.item), width)
        yield Line(f"  {mark} {name}  {said}{optional}", tone)
        yield from self.of_items(items) if items else self.place(error)

    def of_items(self, items: list[StepRecord]) -> Iterator[Line]:
        """The first items that failed. Where several failed at the same place, that is told once."""
        shown = items if self.verbose else items[:_MOST_ITEMS]
        told: list[Line] = []
        for item in shown:
            error = item.error or ErrorInfo("Exception", "")
            name = visible(item_name(item.name, item.item))
            yield Line(f"    x {name}  {self._tries(item)}  {brief(error.headline)}", StepStatus.FAILED)
            place = [attrs.evolve(line, text=f"  {line.text}") for line in self.place(error)]
            if place != told:
                yield from place
            told = place
        if len(shown) < len(items):
            yield Line(f"    x and {len(items) - len(shown):,} more that failed", StepStatus.FAILED)

    def borne(self, record: StepRecord, width: int) -> Iterator[Line]:
        """Of a step that did not fail, though some of its items did: how many, and the first error."""
        items = failed_items(record)
        tally = tally_of(record)
        if items and tally is not None:
            counts = items_text(tally, several_of(record, self._node(record)), record.status)
            error = items[0].error or ErrorInfo("Exception", "")
            said = f"{counts}  {item_name(record.name, items[0].item)}: {error.headline}"
            yield Line(f"  {MARKS[record.status]} {padded(record.name, width)}  {brief(said)}", record.status)

    def place(self, error: ErrorInfo) -> list[Line]:
        """Where an error was raised; with `verbose` the whole traceback."""
        if self.verbose and error.traceback:
            return [Line(f"      {visible(line)}", weight="faint") for line in error.traceback.rstrip().splitlines()]
        lines = []
        if error.location:
            lines.append(Line(f"      {brief(relative(error.location, self.folder))}", weight="faint"))
        if error.source:
            lines.append(Line(f"        {brief(error.source)}"))
        if hint := hint_for(error):
            lines.append(Line(f"      {hint}"))
        return lines

    def _tries(self, record: StepRecord) -> str:
        tally = tally_of(record)
        if record.attempt:
            return f"attempt {record.attempt}/{max_attempts(record, self.dag)}"
        if tally is not None:
            return items_text(tally, several_of(record, self._node(record)), record.status)
        return "not tried" if record.duration is None else f"waited {duration_text(record.duration)}"

    def _node(self, record: StepRecord) -> Node | None:
        return self.dag.nodes.get(record.name) if self.dag is not None else None
