"""What keeps a step from beginning, or kept it from running: asked of the machine's own state."""

from collections.abc import Callable, Mapping, Sequence

import attrs

from ..core.failures import item_name
from ..core.history import StepRecord
from ..core.lines import names_text
from ..core.options import Join, Quorum
from ..core.standing import Standing
from ..core.state import StepStatus
from ..labels import visible

_MOST_NAMED = 3

Where = Callable[[StepRecord], str]
"""Where a step is, as part of a sentence: `runs for 2.1 s`."""


@attrs.frozen
class Blockers:
    """
    What stands between a step and its beginning.

    Attributes:
        standing: How the run stands.
        steps: Step name -> what became of it.
    """

    standing: Standing
    steps: Mapping[str, StepRecord]

    def of(self, record: StepRecord, where: Where) -> tuple[str, list[str]]:
        """What a step, or an item, waits for that has not ended, as a clause; and the names. Empty if for nothing."""
        if record.item is not None:
            return self._of_item(record, where)
        number = self.standing.plan.index.get(record.name)
        if number is None:
            return "", []
        waited = [self._name(each) for each in self.standing.plan.parents[number] if not self._has_ended(each)]
        if not waited or self.standing.is_resolved(number):
            return "", []
        told = self._joined(number, waited, where)
        # Of what has not begun itself, only what it waits for says anything.
        holders = self._holders(waited)
        if holders and set(holders).isdisjoint(waited):
            told += f"; all waits for {self._told(holders, where)}"
        return told, [*waited, *(each for each in holders if each not in waited)]

    def _of_item(self, record: StepRecord, where: Where) -> tuple[str, list[str]]:
        """An item that goes on behind those of other steps waits for theirs."""
        row = self.standing.rows.get(self.standing.plan.index.get(record.name, -1))
        present = self.steps[record.name].present
        at = next((at for at, each in enumerate(present) if each.item == record.item), None)
        if row is None or at is None:
            return "", []
        waited = []
        for number in self.standing.followed(row, at):
            if not self.standing.statuses[number].is_final:
                source = self.steps[self.standing.nodes[number].name]
                waited.append(source.present[at])
        if not waited:
            return "", []
        told = " and ".join(f"{visible(item_name(each.name, each.item))}, which {where(each)}" for each in waited)
        return f"it waits for {told}", [item_name(each.name, each.item) for each in waited]

    def chain(self, record: StepRecord) -> list[StepRecord]:
        """From the step for which this one was skipped to the one with which it began."""
        found: list[StepRecord] = []
        while record.status is StepStatus.SKIPPED and record.cause in ("upstream", "failure"):
            number = self.standing.plan.index.get(record.name)
            blocker = None if number is None else self.standing.blocker(number)
            if blocker is None:
                break
            record = self.steps[self._name(blocker)]
            found.append(record)
        return found

    def _joined(self, number: int, waited: Sequence[str], where: Where) -> str:
        """What is waited for, as the join of the step has it."""
        join, named = self.standing.nodes[number].options.join, names_text(waited, _MOST_NAMED)
        match join:
            case Quorum():
                done = self.standing.done[number]
                return f"it waits until {join.count} of what it needs have completed; {done} have, and {named} may"
            case Join.FIRST:
                return f"it waits for the first of these to complete: {named}"
            case Join.SETTLED:
                return f"it waits for the end, whatever that is, of {self._told(waited, where)}"
            case Join.ANY:
                return f"it waits for the end of {self._told(waited, where)}"
            case _:
                return f"it waits for {self._told(waited, where)}"

    def _told(self, names: Sequence[str], where: Where) -> str:
        told = [f"{names_text([name])}, which {where(self.steps[name])}" for name in names[:_MOST_NAMED]]
        if len(names) > _MOST_NAMED:
            told.append(f"{len(names) - _MOST_NAMED:,} more")
        return " and ".join(told) if len(told) < 3 else f"{'; '.join(told[:-1])}; and {told[-1]}"

    def _holders(self, waited: Sequence[str]) -> list[str]:
        """Of all that has to end first, what has begun."""
        seen, waiting, found = set(waited), list(waited), []
        while waiting:
            name = waiting.pop()
            if self.steps[name].status is not StepStatus.PENDING:
                found.append(name)
                continue
            parents = map(self._name, self.standing.plan.parents[self.standing.plan.index[name]])
            fresh = [parent for parent in parents if parent not in seen and not self.steps[parent].status.is_final]
            seen.update(fresh)
            waiting += fresh
        return sorted(found, key=lambda name: self.standing.plan.index[name])

    def _name(self, number: int) -> str:
        return self.standing.nodes[number].name

    def _has_ended(self, number: int) -> bool:
        return self.standing.statuses[number].is_final
